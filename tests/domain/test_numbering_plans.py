"""Metadata that are not understood give no plan: then `phonenumbers` itself is asked."""

from __future__ import annotations

from types import SimpleNamespace

import phonenumbers
import polars as pl
import pytest

from domain import numbering_plans
from domain.numbering_plans import (
    LEAST_DIGITS,
    MOST_DIGITS,
    NUMBER,
    ODD,
    calling_codes,
    numbering_plan,
    reading_abroad,
    reading_here,
    types,
)


def test_every_plan_of_this_version_is_translated() -> None:
    assert [region for region in phonenumbers.SUPPORTED_REGIONS if numbering_plan(region) is None] == []
    codes = sorted(set(calling_codes()) - {0})
    assert [code for code in codes if reading_abroad(code, 11) is None] == []


def test_no_calling_code_begins_another() -> None:
    """Else three digits would not tell it."""
    codes = set(map(str, calling_codes())) - {"0"}

    assert {code for code in codes for other in codes if code != other and code.startswith(other)} == set()


def test_digits_of_every_length_are_read_to_the_last() -> None:
    """A search finds a row for whatever there is, and the rows of one length do not meet those of another."""
    for region, code in (("GB", 44), ("AR", 54), ("CN", 86), ("AG", 1)):
        for digits in range(LEAST_DIGITS, MOST_DIGITS + 1):
            here, abroad = reading_here(region, digits), reading_abroad(code, digits)
            assert here is not None
            assert abroad is not None
            assert here.table["last"].is_sorted()
            assert here.table["last"].item(-1) == -(10**digits) - 1
            assert abroad.table["last"].item(-1) == (code + 1) * 10 ** (digits - len(str(code))) - 1


def test_a_prefix_of_thousands_of_spellings_is_left_to_the_library() -> None:
    """And no other number with it: China's mobile numbers begin like its carriers, with 13 to 19."""
    reading = reading_here("CN", 11)
    assert reading is not None

    numbers = (-2 * 10**11 + number for number in (11_012_345_678, 13_912_345_678))

    assert [reading.table.filter(pl.col("last") >= number)["is"].item(0) for number in numbers] == [ODD, NUMBER]


@pytest.mark.parametrize("pattern", ["(?=1)2", "[^1]", "1*", r"\w", "1.", "(?P<a>1)"])
def test_a_pattern_in_another_language_gives_no_plan(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = phonenumbers.PhoneMetadata.metadata_for_region("DE")
    kind = SimpleNamespace(national_number_pattern=pattern, possible_length=(9,))
    odd = SimpleNamespace(**{**vars(real), "fixed_line": kind, "international_prefix": pattern})
    monkeypatch.setattr(phonenumbers.PhoneMetadata, "metadata_for_region", lambda _region: odd)

    assert numbering_plan.__wrapped__("DE") is None
    assert types.__wrapped__(49, 9) is None


def test_a_type_that_is_not_translated_gives_no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbering_plans, "types", lambda _code, _digits: None)

    assert reading_here.__wrapped__("DE", 11) is None


@pytest.mark.parametrize("rule", ["1\\1", "\\3", "12345\\2", "\\1\\2", "x\\2"])
def test_a_rule_of_another_kind_gives_no_plan(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule is known to put digits before the last group of the prefix, and nothing else."""
    real = phonenumbers.PhoneMetadata.metadata_for_region("BR")
    odd = SimpleNamespace(**{**vars(real), "national_prefix_transform_rule": rule})
    monkeypatch.setattr(phonenumbers.PhoneMetadata, "metadata_for_region", lambda _region: odd)

    assert numbering_plan.__wrapped__("BR") is None


@pytest.mark.parametrize("metadata", [None, SimpleNamespace(general_desc=None, country_code=49, id="DE")])
def test_a_region_without_metadata_has_no_plan(metadata: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phonenumbers.PhoneMetadata, "metadata_for_region", lambda _region: metadata)

    assert numbering_plan.__wrapped__("DE") is None


def test_a_calling_code_without_metadata_has_no_types(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phonenumbers.PhoneMetadata, "metadata_for_region", lambda _region: None)

    assert types.__wrapped__(49, 9) is None
