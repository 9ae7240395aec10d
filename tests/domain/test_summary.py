"""What approvers see: the counts and made-up messages, harmless in Markdown and HTML."""

from __future__ import annotations

import dataclasses
import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.processes import read_definition
from domain.summary import Checked, ProblemKind, check_markdown, escape, sample_messages
from tests.factories import motor, process

CHECKED = Checked(
    name="March",
    process="Motor",
    version=3,
    sender="ann@acme.example",
    file_name="march.xlsx",
    file_sha256="ab" * 32,
    rows=1234,
    valid=1200,
    invalid=34,
    warnings=5,
    problems=[ProblemKind("phone is not a number", 34, [2, 3, 9])],
)


def test_a_check_shows_the_file_the_counts_and_the_problems() -> None:
    assert check_markdown(CHECKED).splitlines() == [
        "**March** · Motor (version 3)",
        "",
        "File march.xlsx, uploaded by ann@acme.example",
        "",
        "| rows | can be sent | cannot be sent | with a warning |",
        "|---:|---:|---:|---:|",
        "| 1,234 | 1,200 | 34 | 5 |",
        "",
        "| problem | rows | first rows |",
        "|---|---:|---|",
        "| phone is not a number | 34 | 2, 3, 9 |",
        "",
        f"SHA-256 of the file: `{'ab' * 32}`",
    ]


def test_a_check_without_problems_says_so() -> None:
    assert check_markdown(dataclasses.replace(CHECKED, problems=[])).count("No problem was found.") == 1


HOSTILE = "<img src=x>|[a](javascript:b)\n# **`~"


@pytest.mark.parametrize(
    "checked",
    [
        dataclasses.replace(CHECKED, name=HOSTILE),
        dataclasses.replace(CHECKED, process=HOSTILE),
        dataclasses.replace(CHECKED, sender=HOSTILE),
        dataclasses.replace(CHECKED, file_name=HOSTILE),
        dataclasses.replace(CHECKED, problems=[ProblemKind(HOSTILE, 1, [2])]),
    ],
)
def test_no_text_can_draw_on_the_page(checked: Checked) -> None:
    shown = check_markdown(checked)

    assert len(shown.splitlines()) == len(check_markdown(CHECKED).splitlines())
    for drawn in ("<img", "[a]", "\n# ", "**`"):
        assert drawn not in shown


@given(st.text())
def test_an_escaped_text_is_one_line_without_any_sign_that_draws(text: str) -> None:
    safe = escape(text)

    assert len(safe.splitlines()) <= 1
    assert not set("\\`*_[]|!~<>") & set(safe)


def test_sample_messages_show_every_channel_with_made_up_values() -> None:
    shown = sample_messages(motor())

    assert "**Email** from Acme Insurance &lt;renewals@acme.example&gt;" in shown
    assert "**SMS** from +15005550006" in shown
    assert "Subject: Sample First name, your policy Sample Policy number renews on" in shown
    assert shown.count("https://…/l/…") == 2
    assert "{{" not in shown


@pytest.mark.parametrize(("email", "sms", "shown"), [(True, False, ["**Email**"]), (False, True, ["**SMS**"])])
def test_a_channel_that_sends_nothing_is_not_shown(shown: list[str], *, email: bool, sms: bool) -> None:
    text = sample_messages(process(email=email, sms=sms))

    assert [word for word in ("**Email**", "**SMS**") if word in text] == shown


def test_a_process_that_sends_nothing_says_so() -> None:
    assert sample_messages(process(email=False, sms=False)) == "The start phase of this process sends nothing."


@pytest.mark.parametrize("text", ["march_list.csv", "[1] *a* `b` | c! ~d \\\\ #e"])
def test_an_escaped_text_reads_as_it_was_written(text: str) -> None:
    assert html.unescape(escape(text)) == text


def test_a_text_of_the_process_cannot_draw_on_the_page() -> None:
    definition = read_definition(
        "key: a\nname: A\ndefault_region: GB\ndata_items: [{name: p, type: phone}]\n"
        'workflow: [{phase: start, output: {sms: {from: "+15005550006", text: "<b>[x](y) {{ link }}\\n# big"}}}]',
        name="a.yaml",
    )

    shown = sample_messages(definition)

    assert "<b>" not in shown
    assert "[x]" not in shown
    assert "> &#35; big" in shown


def test_dates_are_shown_as_the_process_writes_them() -> None:
    assert "31.01.2030" in sample_messages(motor())
