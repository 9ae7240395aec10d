"""No verdict and no spelling differs from those of `phonenumbers`, whichever way a number goes."""

from __future__ import annotations

from random import Random

import phonenumbers
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks.hostile import examples, phones
from domain import phone_numbers
from domain.numbering_plans import LEAST_DIGITS, MOST_DIGITS, reading_abroad, reading_here
from domain.phone_numbers import is_landline, judged_phones, normalised_phones

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
PHONES = [
    "07400 123456",
    "7400123456",
    "447400123456",
    "+44 (0)7400 123456",
    "(+44) 7400-123456",
    "+0044 7400 123456",
    "0049 171 1234567",
    "0049 0171 1234567",
    "+1 202-555-0123",
    "+7 701 234 5678",
    "+390669812345",
    "+800 1234 5678",
    "+999 1234 5678",
    "0171.1234567",
    "0171/1234567",
    "1-800-FLOWERS",
    "+447400123456 ext. 5",
    "12345",
    "999",
    "٠٧٤٠٠١٢٣٤٥٦",
    "+",
    "phone",
    "0",
    "00000000000",
    "00",
    "0044",
    "12345678901234567890",
    "tel:+447400123456",
    "07400 123456 / 07400 123457",
    "+44\u00a07400\u00a0123456",
    "\u200e+447400123456",
    "+44-7400\u2011123456",
    "07400 123456 (home)",
    "'07400123456",
    "447400123456.0",
    "4.47400123456E+11",
    "1711234567.0",
]


def by_phonenumbers(text: str, region: str) -> str | None:
    try:
        parsed = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    valid = phonenumbers.is_valid_number(parsed)
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) if valid else None


def is_landline_by_phonenumbers(number: str) -> bool:
    kind = phonenumbers.number_type(phonenumbers.parse(number, None))
    return kind == phonenumbers.PhoneNumberType.FIXED_LINE


@pytest.mark.parametrize("few", [0, 1_000])
@pytest.mark.parametrize("region", ["GB", "DE", "US", "IL", "AR", "KZ", "VA", "gb", "ZZ"])
def test_numbers_mixed_and_repeated_get_the_verdict_of_phonenumbers(region: str, few: int) -> None:
    cells = pl.Series([*PHONES, None, *reversed(PHONES)])

    found = normalised_phones(cells, region=region, few=few)

    assert found.to_list() == [None if text is None else by_phonenumbers(text, region) for text in cells]


@settings(max_examples=25)
@given(st.sampled_from(REGIONS), st.sampled_from(REGIONS), st.randoms(use_true_random=True))
def test_numbers_near_real_ones_get_the_verdict_of_phonenumbers(region: str, other: str, chance: Random) -> None:
    """In every region other prefixes, lengths and neighbours decide."""
    texts = phones(100, region=region, chance=chance) + phones(20, region=other, chance=chance)

    found = normalised_phones(pl.Series(texts), region=region, few=0)

    answers = zip(texts, found, strict=True)
    assert {text: number for text, number in answers if number != by_phonenumbers(text, region)} == {}


def edges(region: str) -> list[str]:
    """The first and last digits of every length that the tables of a region tell from their neighbours."""
    code = phonenumbers.country_code_for_region(region)
    found: set[str] = set()
    for digits in range(LEAST_DIGITS, MOST_DIGITS + 1):
        here, abroad = reading_here(region, digits), reading_abroad(code, digits)
        assert here is not None
        assert abroad is not None
        lasts = [last + 2 * 10**digits for last in here.table["last"]]
        found.update(f"{number:0{digits}}" for last in lasts for number in (last, last + 1) if number < 10**digits)
        tables = [abroad.table, *here.types.values(), *abroad.types.values()]
        found.update(f"+{number}" for table in tables for last in table["last"] for number in (last, last + 1))
    return sorted(found)


@settings(max_examples=15)
@example("GB", Random(1))
@example("BO", Random(1))
@given(st.sampled_from(REGIONS), st.randoms(use_true_random=True))
def test_no_span_is_a_number_too_long_or_too_short(region: str, chance: Random) -> None:
    """Numbers by chance hardly ever meet the edge of a span."""
    found = edges(region)
    texts = chance.sample(found, min(len(found), 500))

    answers = judged_phones(pl.Series(texts), region=region, few=0).rows()

    expected = [
        (number, None if number is None else is_landline_by_phonenumbers(number))
        for number in (by_phonenumbers(text, region) for text in texts)
    ]
    assert [line for line in zip(texts, answers, expected, strict=True) if line[1] != line[2]] == []


@settings(max_examples=20)
@given(st.sampled_from(REGIONS), st.randoms(use_true_random=True))
def test_any_digits_get_the_verdict_of_phonenumbers(region: str, chance: Random) -> None:
    texts = [chance.choice(("", "+")) + str(chance.randrange(10 ** chance.randrange(3, 19))) for _ in range(60)]

    found = normalised_phones(pl.Series(texts), region=region, few=0)

    answers = zip(texts, found, strict=True)
    assert {text: number for text, number in answers if number != by_phonenumbers(text, region)} == {}


def test_an_example_of_every_type_and_region_is_read() -> None:
    """All calling codes in one file."""
    numbers = [
        f"+{phonenumbers.country_code_for_region(region)}{number}" for region in REGIONS for number in examples(region)
    ]

    found = normalised_phones(pl.Series(numbers), region="DE", few=0)
    landlines = is_landline(pl.Series(numbers), few=0)

    assert found.to_list() == [by_phonenumbers(number, "DE") for number in numbers]
    assert landlines.to_list() == [is_landline_by_phonenumbers(number) for number in numbers]


@settings(max_examples=15)
@given(st.sampled_from(REGIONS), st.randoms(use_true_random=True))
def test_landlines_are_those_of_phonenumbers(region: str, chance: Random) -> None:
    """A text to one is paid for and never read; a number that may be mobile gets its text."""
    texts = phones(100, region=region, chance=chance)

    found = judged_phones(pl.Series(texts), region=region, few=0)

    numbers = [by_phonenumbers(text, region) for text in texts]
    assert found["number"].to_list() == numbers
    assert found["is_landline"].to_list() == [
        None if number is None else is_landline_by_phonenumbers(number) for number in numbers
    ]


@pytest.mark.parametrize("few", [0, 1_000])
def test_what_is_no_number_is_no_landline(few: int) -> None:
    numbers = pl.Series(["+442079460958", "+447400123456", "+12025550123", "phone", "0207946095", None])

    assert is_landline(numbers, few=few).to_list() == [True, False, False, False, False, None]


def test_plain_numbers_do_not_wait_for_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes 30 µs a number: half a minute for a million."""
    asked: list[str] = []

    def ask(text: str, _region: str) -> None:
        asked.append(text)
        raise phonenumbers.NumberParseException(phonenumbers.NumberParseException.NOT_A_NUMBER, "not asked")

    monkeypatch.setattr(phonenumbers, "parse", ask)

    normalised_phones(pl.Series(["07400 123456", "+447400123456", "12", "07400x", "07400x"]), region="GB", few=0)

    assert sorted(asked) == ["07400x", "12"]


def test_a_plan_that_cannot_be_translated_is_left_to_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """A later `phonenumbers` may write its patterns in another way."""
    monkeypatch.setattr(phone_numbers, "reading_here", lambda _region, _digits: None)
    monkeypatch.setattr(phone_numbers, "reading_abroad", lambda _code, _digits: None)

    found = normalised_phones(pl.Series(PHONES), region="GB", few=0)

    assert found.to_list() == [by_phonenumbers(text, "GB") for text in PHONES]


@pytest.mark.parametrize("cells", [[], [None, None]])
def test_as_many_answers_as_cells(cells: list[None]) -> None:
    assert normalised_phones(pl.Series(cells, dtype=pl.String), region="DE", few=0).to_list() == cells
