"""The meaning of single cells: one table a type, and no verdict that differs from the libraries'."""

from __future__ import annotations

import phonenumbers
import polars as pl
import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.understanding import boolean, choice, day, normalised_email, normalised_phone, number, once_each

CELL = pl.col("cell")


def meaning(text: str, expression: pl.Expr) -> object:
    return pl.DataFrame({"cell": [text]}).select(expression).item()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2030-01-31", "2030-01-31"),
        ("2030-01-31 00:00:00", "2030-01-31"),
        ("31.01.2030", "2030-01-31"),
        ("1.2.2030", "2030-02-01"),
        ("2028-02-29", "2028-02-29"),
        ("2030-02-29", None),
        ("31/01/2030", None),
        ("01-31-2030", None),
        ("31.01.30", None),
        ("2030-01-31 10:00:00", None),
        ("47514", None),
        ("tomorrow", None),
    ],
)
def test_a_date_is_iso_or_the_process_format_and_never_a_guess(text: str, expected: str | None) -> None:
    assert meaning(text, day(CELL, pattern="%d.%m.%Y")) == expected


def test_without_a_format_only_iso_is_a_date() -> None:
    assert meaning("31.01.2030", day(CELL, pattern=None)) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", "0"),
        ("007", "7"),
        ("-0.0", "0"),
        ("+1.50", "1.5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("-12.340", "-12.34"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("1,5", None),
        ("1.234,50", None),
        ("4.47E+11", None),
        ("NaN", None),
        ("-", None),
        (".", None),
        ("1 000", None),
        ("٣", None),
    ],
)
def test_a_number_is_digits_and_a_point(text: str, expected: str | None) -> None:
    assert meaning(text, number(CELL)) == expected


@settings(deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**12), max_value=10**12))
def test_a_number_keeps_its_value_in_the_shortest_spelling(value: object) -> None:
    text = f"{value:f}"

    found = meaning(text, number(CELL))

    shortest = text.rstrip("0").rstrip(".")
    assert found == ("0" if shortest in ("-0", "0", "") else shortest)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("YES", "true"),
        ("1", "true"),
        ("Ja", "true"),
        ("TRUE", "true"),
        ("no", "false"),
        ("NEIN", "false"),
        ("0", "false"),
        ("2", None),
        ("maybe", None),
    ],
)
def test_a_boolean_is_a_yes_or_a_no(text: str, expected: str | None) -> None:
    assert meaning(text, boolean(CELL)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("third PARTY", "Third party"), ("Third   party", "Third party"), ("yes", "yes"), ("YES", "YES"), ("fire", None)],
)
def test_a_choice_has_the_spelling_of_the_definition(text: str, expected: str | None) -> None:
    assert meaning(text, choice(CELL, choices=("Third party", "yes", "YES"))) == expected


EMAILS = [
    "a@b.com",
    "A.b+c@Sub.Example.COM",
    "postmaster@x.org",
    "ü@exämple.de",
    '"quoted x"@x.org',
    "a@b",
    "a@@b.com",
    "a..b@c.com",
    "a@localhost",
    "a@b.test",
    "a@-b.com",
    "a" * 65 + "@b.com",
    "a@[127.0.0.1]",
    "name <a@b.com>",
    "nobody",
    "@",
]
PHONES = [
    "07400 123456",
    "7400123456",
    "447400123456",
    "+44 (0)7400 123456",
    "0049 171 1234567",
    "+1 202-555-0123",
    "0171.1234567",
    "1-800-FLOWERS",
    "+447400123456 ext. 5",
    "12345",
    "999",
    "٠٧٤٠٠١٢٣٤٥٦",
    "+",
    "phone",
    "0",
    "00000000000",
]


def by_email_validator(text: str) -> str | None:
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError:
        return None


def by_phonenumbers(text: str, region: str) -> str | None:
    try:
        parsed = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    valid = phonenumbers.is_valid_number(parsed)
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) if valid else None


def test_addresses_mixed_and_repeated_get_the_verdict_of_email_validator() -> None:
    cells = pl.Series([*EMAILS, None, *reversed(EMAILS)])

    found = once_each(cells, normalised_email)

    assert found.to_list() == [None if text is None else by_email_validator(text) for text in cells]


@pytest.mark.parametrize("region", ["GB", "DE", "US", "IL"])
def test_numbers_mixed_and_repeated_get_the_verdict_of_phonenumbers(region: str) -> None:
    cells = pl.Series([*PHONES, None, *reversed(PHONES)])

    found = once_each(cells, lambda text: normalised_phone(text, region=region))

    assert found.to_list() == [None if text is None else by_phonenumbers(text, region) for text in cells]


@settings(deadline=None)
@given(st.lists(st.sampled_from(EMAILS) | st.emails() | st.text(max_size=20)))
def test_generated_addresses_get_the_verdict_of_email_validator(texts: list[str]) -> None:
    found = once_each(pl.Series(texts, dtype=pl.String), normalised_email)

    assert found.to_list() == [by_email_validator(text) for text in texts]


def test_each_distinct_value_is_asked_once() -> None:
    """At a million rows the libraries would take minutes."""
    asked: list[str] = []

    def ask(text: str) -> str:
        asked.append(text)
        return text.upper()

    found = once_each(pl.Series(["a", "b", "a", None, "a"]), ask)

    assert found.to_list() == ["A", "B", "A", None, "A"]
    assert sorted(asked) == ["a", "b"]


@pytest.mark.parametrize("text", ["447400123456.0", "4.47400123456E+11", "1711234567.0"])
def test_a_phone_number_that_a_spreadsheet_spoilt_is_nobodys(text: str) -> None:
    """Without its point `1711234567.0` is a valid number of another person in Germany."""
    assert normalised_phone(text, region="DE") is None
