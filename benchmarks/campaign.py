# ruff: noqa: S311, T201  chance picks examples, and what is found is printed
"""Compare every verdict and spelling with the libraries', at length: `python -m benchmarks.campaign --phones 600000`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from random import Random

import phonenumbers
import polars as pl

from benchmarks.hostile import emails, phones
from domain.email_addresses import normalised_email, normalised_emails
from domain.phone_numbers import is_landline, normalised_phone, normalised_phones

SHOWN = 10
SHARE_ABROAD = 4
"""One number in so many is of another region than the one whose plan it is read by."""


def differences(values: list[str], found: pl.Series, expected: Callable[[str], object]) -> list[tuple[object, ...]]:
    """Each value for which the fast way and the library disagree, with both answers."""
    answers = zip(values, found, map(expected, values), strict=True)
    return [(value, fast, slow) for value, fast, slow in answers if fast != slow]


def compare_emails(count: int, *, chance: Random) -> list[tuple[object, ...]]:
    """Hostile addresses."""
    values = emails(count, chance=chance)
    return differences(values, normalised_emails(pl.Series(values)), normalised_email)


def compare_phones(count: int, *, region: str, chance: Random) -> list[tuple[object, ...]]:
    """Numbers near the examples of a region and of three others, as dialled in that region."""
    others = chance.sample(sorted(phonenumbers.SUPPORTED_REGIONS), 3)
    values = phones(count - count // SHARE_ABROAD, region=region, chance=chance)
    for other in others:
        values += phones(count // SHARE_ABROAD // len(others) + 1, region=other, chance=chance)
    found = normalised_phones(pl.Series(values), region=region, few=0)
    wrong = differences(values, found, lambda text: normalised_phone(text, region=region))
    valid = found.drop_nulls()
    return wrong + differences(valid.to_list(), is_landline(valid, few=0), is_a_landline)


def is_a_landline(number: str) -> bool:
    """What `phonenumbers` says."""
    parsed = phonenumbers.parse(number, None)
    return phonenumbers.number_type(parsed) == phonenumbers.PhoneNumberType.FIXED_LINE


def main() -> None:
    """Print how many values were compared and where the answers differ."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--phones", type=int, default=600_000)
    options.add_argument("--emails", type=int, default=200_000)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    chance = Random(given.seed)
    regions = sorted(phonenumbers.SUPPORTED_REGIONS)
    wrong = compare_emails(given.emails, chance=chance)
    print(f"{given.emails:,} emails: {len(wrong)} differences", *wrong[:SHOWN], sep="\n  ")
    count, failed = given.phones // len(regions) + 1, []
    for region in regions:
        failed += [(region, *each) for each in compare_phones(count, region=region, chance=chance)]
    total = f"{count * len(regions):,} phone numbers over {len(regions)} regions"
    print(f"{total}: {len(failed)} differences", *failed[:SHOWN], sep="\n  ")


if __name__ == "__main__":
    main()
