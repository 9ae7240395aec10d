"""Rendering: every person reads their own values, in each part as that part needs them."""

from __future__ import annotations

import html

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.processes import DataItem, EmailOutput, ItemType
from domain.rendering import Email, all_as_read, as_read, fill, filled, one_line, tagged
from tests.factories import personal

MARK = "0123456789ab"


def output(*, subject: str = "x", text: str = "x", html: str | None = None) -> EmailOutput:
    return EmailOutput.model_validate({"from": "a@b.example", "subject": subject, "text": text, "html": html})


def substitutions(email: Email, values: dict[str, str]) -> dict[str, str]:
    """Each tag's replacement for one person."""
    frame = personal((2, "a@mail.example", values))
    return frame.select(email.substitutions(frame.columns)).row(0, named=True)


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

    assert substitutions(email, {"a": "<A>\n'&\""}) == {
        email.subject: "<A> '&\"",
        email.text: "<A>\n'&\"",
        email.html: "&lt;A&gt;\n&#x27;&amp;&quot;",
    }


def test_the_same_value_in_one_part_has_one_tag_and_a_missing_value_is_empty() -> None:
    email = tagged(output(text="{{ a }} {{a}} {{ b }}"), mark=MARK)

    assert len(email.tags) == 2
    assert sorted(substitutions(email, {"a": "1"}).values()) == ["", "1"]


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
    tags = list(substitutions(email, values).items())
    chance.shuffle(tags)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    plain, rich = email.text, email.html or ""
    for tag, value in tags:
        plain, rich = plain.replace(tag, value), rich.replace(tag, value)

    assert plain == fill(text, values)
    assert rich == fill(text, {name: html.escape(value) for name, value in values.items()})


@given(
    st.sampled_from(["{{ a }}", "x{{a}}y{{ b }}", "{{ a }}{{ a }}", "no place", "{{ c }}.", ""]), st.text(), st.text()
)
def test_a_column_is_filled_as_one_text_is(text: str, first: str, second: str) -> None:
    values = {"a": first, "b": second}
    frame = personal((2, "a@mail.example", values))

    assert frame.select(filled(text, frame.columns)).item() == fill(text, values)


@given(st.lists(st.none() | st.sampled_from(["true", "false", "2030-01-31", "soon", ""])))
def test_a_column_is_read_as_one_value_is(values: list[str | None]) -> None:
    for kind in ItemType:
        item = DataItem(
            name="item",
            type=kind,
            format="%d.%m.%Y" if kind is ItemType.DATE else None,
            choices=("soon",) if kind is ItemType.CHOICE else (),
        )
        expected = [as_read(item, value or "") for value in values]
        assert all_as_read(item, pl.Series(values, dtype=pl.String)).to_list() == expected


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
