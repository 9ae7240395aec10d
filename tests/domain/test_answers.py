"""A form is judged as a row of a file is, in words for the person who fills it in."""

from __future__ import annotations

import pytest

from domain.answers import judge_answers, label
from domain.processes import ItemType
from tests.factories import motor

RIGHT = {
    "first_name": "  Zoë ",
    "email": "Zoe@Mail.example",
    "phone": "07400 123456",
    "policy_number": "P-1",
    "renewal_date": "31.01.2030",
    "premium": "1,234.50",
    "cover": "third party",
    "paperless": "yes",
}


def test_what_is_right_is_kept_in_its_canonical_spelling() -> None:
    found = judge_answers(RIGHT, motor())

    assert found.problems == {}
    assert found.values == {
        "first_name": "Zoë",
        "last_name": None,
        "email": "Zoe@mail.example",
        "phone": "+447400123456",
        "policy_number": "P-1",
        "renewal_date": "2030-01-31",
        "premium": "1234.50",
        "cover": "Third party",
        "paperless": "true",
    }


@pytest.mark.parametrize(
    ("item", "entered", "said"),
    [
        ("first_name", "   ", "First name is empty; fill it in."),
        ("email", "zoe", "Email is not an email address; correct it."),
        ("email", "n/a", "Email is not an email address; correct it."),
        ("phone", "12", "Phone is not a valid phone number; write it as +447400123456."),
        ("phone", "447400123456.0", "Phone is not a valid phone number; write it as +447400123456."),
        ("renewal_date", "31.02.2030", "Renewal date is not a date that can be read for sure"),
        ("premium", "1,234", "Premium can be read as two different numbers"),
        ("cover", "All of it", "Cover is none of the choices; write one of: Comprehensive, Third party."),
        ("paperless", "perhaps", "Paperless is neither yes nor no"),
        ("first_name", "x" * 40_000, "First name is longer than the 32,767 characters"),
    ],
)
def test_what_is_wrong_is_said_of_its_item_alone(item: str, entered: str, said: str) -> None:
    found = judge_answers({**RIGHT, item: entered}, motor())

    assert list(found.problems) == [item]
    assert found.problems[item].startswith(said)


def test_what_is_no_data_item_is_left_out_and_what_is_missing_is_empty() -> None:
    found = judge_answers({"link": "x", "First_name": "y"}, motor())

    assert set(found.values) == {item.name for item in motor().data_items}
    assert list(found.problems) == ["first_name", "policy_number", "renewal_date"]


def test_an_item_is_called_what_its_process_calls_it() -> None:
    item = motor().data_items[0]

    assert label(item) == "First name"
    assert item.type is ItemType.TEXT
    assert label(item.model_copy(update={"label": "שם פרטי"})) == "שם פרטי"
