"""`bulk-sender suppression`: people put addresses on the list and take them off."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.running import Run

BY = ("--by", "boss@acme.example")


def test_an_address_is_entered_listed_and_removed(run: Run) -> None:
    added = run("suppression", "add", "Ada@Mail.Example.com", "--channel", "email", *BY, "--json")
    assert added.content == {"channel": "email", "address": "Ada@mail.example.com"}
    assert run("suppression", "add", "+44 7400 123456", "--channel", "sms", *BY).code == 0

    found = run("suppression", "list", "--json").content
    assert [(one["channel"], one["address"], one["kind"], one["by"]) for one in found] == [
        ("sms", "+447400123456", "entered", "boss@acme.example"),
        ("email", "ada@mail.example.com", "entered", "boss@acme.example"),
    ]
    assert len(run("suppression", "list", "--channel", "sms", "--json").content) == 1
    assert "+447400123456" in run("suppression", "list").out

    assert run("suppression", "remove", "ada@mail.example.com", "--channel", "email", *BY).code == 0
    assert [one["channel"] for one in run("suppression", "list", "--json").content] == ["sms"]


def test_a_check_names_who_is_suppressed(motor: Run, tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text("first_name,last_name,email,policy_number,renewal_date\nAda,L,ada@mail.example.com,1,2030-01-31\n")
    motor("suppression", "add", "ada@mail.example.com", "--channel", "email", *BY)

    found = motor("batch", "check", file, "--process", "motor-renewal", "--json").content

    assert found["counts"]["valid"] == 0
    assert [kind["code"] for kind in found["problems"]] == ["suppressed"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("add", "nobody", "--channel", "email", *BY), "not an email address"),
        (("add", "07400 123456", "--channel", "sms", *BY), "not a phone number with its country code"),
        (("add", "ada@mail.example.com", "--channel", "sms", *BY), "not a phone number with its country code"),
        (("add", "ada@mail.example.com", "--channel", "email", "--by", "me"), "is not an email address"),
        (("remove", "ada@mail.example.com", "--channel", "email", *BY), "is not suppressed"),
    ],
)
def test_what_cannot_be_is_refused_without_repeating_the_address(
    run: Run, arguments: tuple[str, ...], says: str
) -> None:
    refusal = run("suppression", *arguments).refusal

    assert says in refusal
    assert "ada" not in refusal
    assert "0740" not in refusal


def test_an_empty_list_says_so(run: Run) -> None:
    assert run("suppression", "list").out.strip() == "No address is suppressed."
    assert run("suppression", "list", "--json").content == []
