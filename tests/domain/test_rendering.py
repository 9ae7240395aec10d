"""Rendering: every person reads their own values, in each part as that part needs them."""

from __future__ import annotations

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.processes import DataItem, EmailOutput, ItemType
from domain.rendering import as_read, fill, one_line, personal, tagged

MARK = "0123456789ab"


def output(*, subject: str = "x", text: str = "x", html: str | None = None) -> EmailOutput:
    return EmailOutput.model_validate({"from": "a@b.example", "subject": subject, "text": text, "html": html})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dear {{ name }}", "Dear Ann"),
        ("Dear {{name}}{{ name }}", "Dear AnnAnn"),
        ("{{  name\t}}", "Ann"),
        ("{{ missing }}!", "!"),
        ("{ name } {{}} }} {{", "{ name }  }} {{"),
        ("{{{ name }}}", "{Ann}"),
        ("nothing", "nothing"),
        ("", ""),
    ],
)
def test_placeholders_are_filled(text: str, expected: str) -> None:
    assert fill(text, {"name": "Ann"}) == expected


@given(st.text())
def test_a_value_is_never_read_as_a_placeholder(value: str) -> None:
    assert fill("<{{ a }}>", {"a": value, "b": "secret"}) == f"<{value}>"


def test_a_value_that_looks_like_a_placeholder_stays_as_it_is() -> None:
    assert fill("{{ a }}", {"a": "{{ b }}", "b": "secret"}) == "{{ b }}"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Ann", "Ann"),
        (" Ann\n", "Ann"),
        ("a\r\nBcc: b", "a Bcc: b"),
        ("a\n\n\nb", "a b"),
        ("a\tb", "a b"),
        ("a\x00b\x1fc\x7fd\x85e\u2028f\u2029g", "a b c d e f g"),
        ("a  b", "a  b"),
        ("\n", ""),
    ],
)
def test_a_header_is_one_line(value: str, expected: str) -> None:
    assert one_line(value) == expected


@given(st.text())
def test_no_value_breaks_a_header(value: str) -> None:
    assert len(one_line(value).splitlines()) <= 1
    assert one_line(one_line(value)) == one_line(value)


def test_each_part_gets_the_value_in_its_own_form() -> None:
    email = tagged(output(subject="{{ a }}", text="{{ a }}", html="{{ a }}"), mark=MARK)

    assert email.substitutions({"a": "<A>\n'&\""}) == {
        email.subject: "<A> '&\"",
        email.text: "<A>\n'&\"",
        email.html: "&lt;A&gt;\n&#x27;&amp;&quot;",
    }


def test_the_same_value_in_one_part_has_one_tag_and_a_missing_value_is_empty() -> None:
    email = tagged(output(text="{{ a }} {{a}} {{ b }}"), mark=MARK)

    assert len(email.tags) == 2
    assert sorted(email.substitutions({"a": "1"}).values()) == ["", "1"]


def test_a_subject_of_several_lines_becomes_one() -> None:
    assert tagged(output(subject="a\nb"), mark=MARK).subject == "a b"


def test_an_email_without_html_stays_without() -> None:
    assert tagged(output(), mark=MARK).html is None


@given(st.dictionaries(st.sampled_from(["a", "aa", "a_a", "b"]), st.text(), min_size=1), st.randoms())
def test_replacing_tags_blindly_and_in_any_order_gives_what_filling_gives(
    values: dict[str, str], chance: object
) -> None:
    """As SendGrid does it: no tag is part of another, and no value holds one."""
    text = "-{{a}}--{{aa}}{{a_a}}-{{b}}-" + MARK
    email = tagged(output(text=text, html=text), mark=MARK)
    tags = list(email.substitutions(values).items())
    chance.shuffle(tags)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    plain, rich = email.text, email.html or ""
    for tag, value in tags:
        plain, rich = plain.replace(tag, value), rich.replace(tag, value)

    assert plain == fill(text, values)
    assert rich == fill(text, {name: html.escape(value) for name, value in values.items()})


def test_a_person_s_values_have_the_link_among_them() -> None:
    values = {"a": "1"}

    assert personal(values, link="https://x.example") == {"a": "1", "link": "https://x.example"}
    assert values == {"a": "1"}


@pytest.mark.parametrize(
    ("item_type", "pattern", "value", "read"),
    [
        ("date", "%d.%m.%Y", "2030-01-31", "31.01.2030"),
        ("date", None, "2030-01-31", "2030-01-31"),
        ("date", "%d.%m.%Y", "soon", "soon"),
        ("boolean", None, "true", "yes"),
        ("boolean", None, "false", "no"),
        ("boolean", None, "", ""),
        ("text", None, "true", "true"),
    ],
)
def test_values_are_shown_as_people_read_them(item_type: str, pattern: str | None, value: str, read: str) -> None:
    item = DataItem(name="item", type=ItemType(item_type), format=pattern)

    assert as_read(item, value) == read
