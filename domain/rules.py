"""The rules that a row must keep: one table, read top to bottom, with a code, a sentence and an expression each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import polars as pl

from domain.processes import ItemType

MOST_EMAIL_BYTES = 2_000
"""SendGrid takes 10,000 bytes of substitutions a recipient; a value may stand there at five times its size, escaped."""
MOST_SMS_CHARACTERS = 1_600

GIVEN, UNDERSTOOD = pl.col("given"), pl.col("understood")
NOT_UNDERSTOOD = GIVEN.is_not_null() & UNDERSTOOD.is_null()
SPARE = pl.col("spare")
"""The row has another address to write to, and the process does not insist on this one."""


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
        sentence: for people. `{item}`, `{date}`, `{phone}`, `{choices}` and `{no_address}` are filled in, the
            cell's own text never.
        broken: true where the rule is broken, over the columns that `domain.validation` prepares: for an
            item rule those of `_item_facts`, for a rule of the whole row those of `_row_facts`.
        types: the item types that the rule looks at; none for a rule of the whole row.
        severity: what it means for the row.
        names_row: column that holds the other row that the row's own problem names, in the words of `of_row`.
        of_row: the sentence with `{row}` in it.
    """

    code: str
    sentence: str
    broken: pl.Expr
    types: frozenset[ItemType] = frozenset()
    severity: Severity = Severity.ERROR
    names_row: str | None = None
    of_row: str = ""


EVERY = frozenset(ItemType)
TEXT = frozenset({ItemType.TEXT})
ERRORS = ["#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!", "#CALC!", "#GETTING_DATA"]
"""What a workbook's cell shows in place of a value; every type but text refuses it anyway."""
EMAIL, PHONE = frozenset({ItemType.EMAIL}), frozenset({ItemType.PHONE})
DATE, NUMBER = frozenset({ItemType.DATE}), frozenset({ItemType.NUMBER})
BOOLEAN, CHOICE = frozenset({ItemType.BOOLEAN}), frozenset({ItemType.CHOICE})
WARNING = Severity.WARNING

BAD_EMAIL = "{item} is not an email address; "
BAD_PHONE = "{item} is not a valid phone number; "
OTHER_IS_USED = "correct it, or only the other address is used."
LONG_EMAIL = f"The values of this row are longer than {MOST_EMAIL_BYTES:,} bytes, too long for an email; shorten them."
LONG_SMS = f"The SMS to this row would be longer than {MOST_SMS_CHARACTERS:,} characters; shorten the values."

RULES: tuple[Rule, ...] = (
    Rule("sample_row", "This is the example row; it is never sent.", pl.col("is_sample")),
    Rule("required_missing", "{item} is empty; fill it in.", pl.col("required") & GIVEN.is_null(), EVERY),
    Rule("error_cell", "{item} holds an error of the spreadsheet; correct its formula.", GIVEN.is_in(ERRORS), TEXT),
    Rule("date_invalid", "{item} is not a date; write it as {date}.", NOT_UNDERSTOOD, DATE),
    Rule("number_invalid", "{item} is not a number; write digits and a point, as 1234.5.", NOT_UNDERSTOOD, NUMBER),
    Rule("boolean_invalid", "{item} is neither yes nor no; write yes or no.", NOT_UNDERSTOOD, BOOLEAN),
    Rule("choice_invalid", "{item} is none of the choices; write one of: {choices}.", NOT_UNDERSTOOD, CHOICE),
    Rule("email_invalid", BAD_EMAIL + "correct it.", NOT_UNDERSTOOD & ~SPARE, EMAIL),
    Rule("email_invalid", BAD_EMAIL + OTHER_IS_USED, NOT_UNDERSTOOD & SPARE, EMAIL, WARNING),
    Rule("phone_invalid", BAD_PHONE + "write it as {phone}.", NOT_UNDERSTOOD & ~SPARE, PHONE),
    Rule("phone_invalid", BAD_PHONE + OTHER_IS_USED, NOT_UNDERSTOOD & SPARE, PHONE, WARNING),
    Rule("no_address", "{no_address} can be used; give an address to write to.", ~pl.col("has_address")),
    Rule("text_too_long", LONG_EMAIL, pl.col("email_bytes") > MOST_EMAIL_BYTES),
    Rule("sms_too_long", LONG_SMS, pl.col("sms_characters") > MOST_SMS_CHARACTERS),
    Rule(
        "duplicate_row",
        "Identical to an earlier row; it is sent once.",
        pl.col("twin").is_not_null(),
        names_row="twin",
        of_row="Identical to row {row}; it is sent once.",
    ),
    Rule(
        "same_address",
        "Same {item} as an earlier row with other values; both are sent.",
        pl.col("namesake").is_not_null(),
        EMAIL | PHONE,
        WARNING,
        names_row="namesake",
        of_row="Same {item} as row {row}, with other values; both are sent.",
    ),
)
