"""The example row of a process: one plausible value per data item that nobody could mistake for a real person.

The same values stand in the example files and are recognised again when they come back.
"""

from __future__ import annotations

import re
from typing import assert_never

import phonenumbers

from domain.processes import DataItem, ItemType, ProcessDefinition

SAMPLE_EMAIL = "sample@example.com"
SAMPLE_DATE = "2030-01-31"
WORD_END = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|_+")


def sample_values(definition: ProcessDefinition) -> dict[str, str]:
    """One value per data item, in the order of the definition, as a person would type it."""
    return {item.name: _sample(item, region=definition.default_region) for item in definition.data_items}


def title(name: str) -> str:
    """A data item's name as words: `first_name` and `firstName` become `First name`."""
    return " ".join(word for word in WORD_END.split(name) if word).capitalize()


def _sample(item: DataItem, *, region: str) -> str:  # noqa: PLR0911 - one return a type
    match item.type:
        case ItemType.TEXT:
            return f"Sample {title(item.name)}"
        case ItemType.EMAIL:
            return SAMPLE_EMAIL
        case ItemType.PHONE:
            return sample_phone(region)
        case ItemType.DATE:
            return SAMPLE_DATE
        case ItemType.NUMBER:
            return "123.45"
        case ItemType.BOOLEAN:
            return "yes"
        case ItemType.CHOICE:
            return item.choices[0]
        case _:  # pragma: no cover - mypy proves that no type is left
            assert_never(item.type)


def sample_phone(region: str) -> str:
    """The region's example mobile number in E.164, from libphonenumber's own metadata."""
    number = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    number = number or phonenumbers.example_number(region)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if number else ""
