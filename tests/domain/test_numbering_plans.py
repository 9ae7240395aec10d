"""Metadata that are not understood give no plan: then `phonenumbers` itself is asked."""

from __future__ import annotations

from types import SimpleNamespace

import phonenumbers
import pytest

from domain.numbering_plans import calling_codes, numbering_plan, shares


def test_every_plan_of_this_version_is_translated() -> None:
    assert [region for region in phonenumbers.SUPPORTED_REGIONS if numbering_plan(region) is None] == []
    assert [code for code in set(calling_codes().values()) if shares(str(code), 9) is None] == []


def test_no_calling_code_begins_another() -> None:
    """Else three digits would not tell it."""
    codes = set(map(str, calling_codes().values()))

    assert {code for code in codes for other in codes if code != other and code.startswith(other)} == set()


@pytest.mark.parametrize("pattern", ["(?=1)2", "[^1]", "1*", r"\w", "1.", "(?P<a>1)"])
def test_a_pattern_in_another_language_gives_no_plan(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = phonenumbers.PhoneMetadata.metadata_for_region("DE")
    odd = SimpleNamespace(**{**vars(real), "leading_digits": pattern, "international_prefix": pattern})
    monkeypatch.setattr(phonenumbers.PhoneMetadata, "metadata_for_region", lambda _region: odd)

    assert numbering_plan.__wrapped__("DE") is None
    assert shares.__wrapped__("49", 9) is None


@pytest.mark.parametrize("rule", ["1\\1", "\\3", "12345\\2", "\\1\\2", "x\\2"])
def test_a_rule_of_another_kind_gives_no_plan(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule is known to put digits before the last group of the prefix, and nothing else."""
    real = phonenumbers.PhoneMetadata.metadata_for_region("BR")
    odd = SimpleNamespace(**{**vars(real), "national_prefix_transform_rule": rule})
    monkeypatch.setattr(phonenumbers.PhoneMetadata, "metadata_for_region", lambda _region: odd)

    assert numbering_plan.__wrapped__("BR") is None


@pytest.mark.parametrize("metadata", [None, SimpleNamespace(general_desc=None, id="DE")])
def test_a_region_without_metadata_has_no_plan(metadata: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phonenumbers.PhoneMetadata, "metadata_for_region", lambda _region: metadata)

    assert numbering_plan.__wrapped__("DE") is None


def test_a_calling_code_without_metadata_has_no_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phonenumbers.PhoneMetadata, "metadata_for_region", lambda _region: None)

    assert shares.__wrapped__("49", 9) is None
