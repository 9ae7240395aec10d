"""The rules that a recipient's row must keep, as one table, and what they say of a whole file.

A bad row is data: it comes back with its problems and is never dropped. `recognise` (which column is
which item) is in `domain.columns`, the meaning of single cells in `domain.understanding`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import groupby
from operator import itemgetter

import polars as pl

from domain.columns import Columns, address_items, recognise
from domain.frames import PROBLEMS, ROW, column, item_column
from domain.processes import LINK, PLACEHOLDER, DataItem, ItemType, ProcessDefinition
from domain.samples import SAMPLE_DATE, sample_phone, sample_values
from domain.understanding import understand

__all__ = ["RULES", "Columns", "Judged", "Problem", "Rule", "Severity", "Summary"]
__all__ += ["judge", "recognise", "summarise", "to_objects"]

MOST_EMAIL_BYTES = 2_000
"""SendGrid takes 10,000 bytes of substitutions a recipient; a value may stand there escaped, at five times its size."""
MOST_SMS_CHARACTERS = 1_600
LINK_LENGTH = 120
FIRST_ROWS = 5

GIVEN, UNDERSTOOD = pl.col("given"), pl.col("understood")
NOT_UNDERSTOOD = GIVEN.is_not_null() & UNDERSTOOD.is_null()
SPARE = pl.col("spare")
"""The row has another address to write to, and the process does not insist on this one."""
OTHER_ROW = pl.col("other_row")
"""The row that a sentence names in `{row}`; null where the rule is kept."""


class Severity(StrEnum):
    """What a problem means for its row."""

    ERROR = "error"
    """Nothing is sent to this row."""
    WARNING = "warning"
    """The row is sent; somebody should look at it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that can be wrong with a row.

    Attributes:
        code: for programs.
        sentence: for people; `{item}`, `{date}`, `{phone}`, `{choices}`, `{addresses}` are filled in. Never the cell's text.
        broken: true where the rule is broken. Over GIVEN, UNDERSTOOD, `required` and SPARE of one item, or
            over the facts of the whole row (`_facts`).
        types: the item types that the rule looks at; none for a rule of the whole row.
        severity: what it means for the row.
        of_row: the sentence in a row's own problem, when it can name another row as `{row}`.
    """

    code: str
    sentence: str
    broken: pl.Expr
    types: frozenset[ItemType] = frozenset()
    severity: Severity = Severity.ERROR
    of_row: str | None = None


EVERY_TYPE = frozenset(ItemType)
EMAIL, PHONE = frozenset({ItemType.EMAIL}), frozenset({ItemType.PHONE})
DATE, NUMBER = frozenset({ItemType.DATE}), frozenset({ItemType.NUMBER})
BOOLEAN, CHOICE = frozenset({ItemType.BOOLEAN}), frozenset({ItemType.CHOICE})
WARNING = Severity.WARNING

BAD_EMAIL = "{item} is not an email address; "
BAD_PHONE = "{item} is not a phone number that exists; "

ROW_RULES = (
    Rule("sample_row", "This is the example row; it is never sent.", pl.col("is_sample")),
)  # fmt: skip
ITEM_RULES = (
    Rule("required_missing", "{item} is empty; fill it in.", pl.col("required") & GIVEN.is_null(), EVERY_TYPE),
    Rule("date_invalid", "{item} is not a date; write it as {date}.", NOT_UNDERSTOOD, DATE),
    Rule("number_invalid", "{item} is not a number; write only digits and a point, as in 1234.5.", NOT_UNDERSTOOD, NUMBER),
    Rule("boolean_invalid", "{item} is neither yes nor no; write yes or no.", NOT_UNDERSTOOD, BOOLEAN),
    Rule("choice_invalid", "{item} is none of its choices; write one of: {choices}.", NOT_UNDERSTOOD, CHOICE),
    Rule("email_invalid", BAD_EMAIL + "correct it.", NOT_UNDERSTOOD & ~SPARE, EMAIL),
    Rule("email_invalid", BAD_EMAIL + "only the other address is used.", NOT_UNDERSTOOD & SPARE, EMAIL, WARNING),
    Rule("phone_invalid", BAD_PHONE + "write it as {phone}.", NOT_UNDERSTOOD & ~SPARE, PHONE),
    Rule("phone_invalid", BAD_PHONE + "only the other address is used.", NOT_UNDERSTOOD & SPARE, PHONE, WARNING),
)
WHOLE_ROW_RULES = (
    Rule("no_address", "{addresses} can be used; give an address to write to.", ~pl.col("has_address")),
    Rule(
        "text_too_long",
        f"The values of this row are longer than an email can carry ({MOST_EMAIL_BYTES:,} bytes); shorten them.",
        pl.col("email_bytes") > MOST_EMAIL_BYTES,
    ),
    Rule(
        "sms_too_long",
        f"The SMS to this row would be longer than {MOST_SMS_CHARACTERS:,} characters; shorten the values.",
        pl.col("sms_characters") > MOST_SMS_CHARACTERS,
    ),
    Rule(
        "duplicate_row",
        "Identical to an earlier row; it is sent once.",
        OTHER_ROW.is_not_null(),
        of_row="Identical to row {row}; it is sent once.",
    ),
)
