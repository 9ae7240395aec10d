"""The rules that a row must keep: one table, read top to bottom, with a code, a sentence and an expression each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import polars as pl

from domain.processes import ItemType
from domain.understanding import Remark

MOST_EMAIL_BYTES = 2_000
"""SendGrid takes 10,000 bytes of substitutions a recipient; a value may stand there at five times its size, escaped."""
MOST_SMS_CHARACTERS = 1_600
MOST_CELL_CHARACTERS = 32_767
"""Of a cell in Excel, which counts a character beyond the first 65,536 of Unicode twice."""


def _said(remark: Remark) -> pl.Expr:
    """False where nothing is said."""
    return pl.col("remark").eq_missing(remark.value)


GIVEN, UNDERSTOOD = pl.col("given"), pl.col("understood")
NOT_UNDERSTOOD = GIVEN.is_not_null() & UNDERSTOOD.is_null()
NOTHING_TO_SAY = pl.col("remark").is_null()
AMBIGUOUS, SPOILT = _said(Remark.AMBIGUOUS), _said(Remark.SPOILT)
PLACEHOLDER, LANDLINE = _said(Remark.PLACEHOLDER), _said(Remark.LANDLINE)
PLACEHOLDER_CELL = GIVEN.is_null() & PLACEHOLDER
"""It counts as empty, so it is not given."""
REQUIRED = pl.col("required")
SPARE = pl.col("spare")
"""The row has another address to write to, and the process does not insist on this one."""
LONG = pl.when(GIVEN.str.len_bytes() > MOST_CELL_CHARACTERS).then(GIVEN)
LONG_CHARACTERS = LONG.str.len_chars() + LONG.str.count_matches(r"[\x{10000}-\x{10FFFF}]")


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
        names_row: column that holds the other row, or the batch, that the row's own problem names, in the words
            of `of_row`.
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
"""What a workbook's cell shows in place of a value; in place of an address, `domain.placeholders` knows it."""
EMAIL, PHONE = frozenset({ItemType.EMAIL}), frozenset({ItemType.PHONE})
DATE, NUMBER = frozenset({ItemType.DATE}), frozenset({ItemType.NUMBER})
BOOLEAN, CHOICE = frozenset({ItemType.BOOLEAN}), frozenset({ItemType.CHOICE})
WARNING = Severity.WARNING

SUPPRESSED = Rule(
    "suppressed",
    "{item} must not be written to: the person opted out, reported spam, or an earlier message bounced.",
    pl.lit(value=False),
    EMAIL | PHONE,
    of_row="{item} must not be written to: {why}.",
)
"""Not of the file but of what is known of addresses, so `domain.suppressions` finds it, after the other rules."""

ERROR_CELL = GIVEN.is_in(ERRORS)
NO_VALUE = NOT_UNDERSTOOD & ~ERROR_CELL

SHEET_ERROR = "{item} holds an error of the spreadsheet; correct its formula."
NO_DAY = "{item} is not a date that can be read for sure; write it as {date}."
TWO_DAYS = "{item} can be read as two different days, day first or month first; write it as {date}."
NO_NUMBER = "{item} is not a number; write digits and a point, as 1234.5."
TWO_NUMBERS = (
    "{item} can be read as two different numbers, with thousands or with decimals; write it as 1234.00 or 1.2340."
)
NO_ADDRESS = "{item} holds a placeholder, not an address; "
NOBODYS = "{item} looks like a placeholder, not like somebody's address; empty the cell if nobody reads it."
SPOILT_NUMBER = "{item} was changed by a spreadsheet, so its digits are not certain; "
FORMAT_AS_TEXT = "format the column as text and enter the number again."
LANDLINE_NUMBER = "{item} is the number of a landline; it is tried, but an SMS may never be read there."
BAD_EMAIL = "{item} is not an email address; "
BAD_PHONE = "{item} is not a valid phone number; "
OTHER_IS_USED = "correct it, or only the other address is used."
LONG_EMAIL = f"The values of this row are longer than {MOST_EMAIL_BYTES:,} bytes, too long for an email; shorten them."
LONG_CELL = (
    f"{{item}} is longer than the {MOST_CELL_CHARACTERS:,} characters that a cell may hold in Excel; shorten it."
)
LONG_SMS = f"The SMS to this row would be longer than {MOST_SMS_CHARACTERS:,} characters; shorten the values."

RULES: tuple[Rule, ...] = (
    Rule("sample_row", "This is the example row; it is never sent.", pl.col("is_sample")),
    Rule("required_missing", "{item} is empty; fill it in.", REQUIRED & GIVEN.is_null() & ~PLACEHOLDER_CELL, EVERY),
    Rule("error_cell", SHEET_ERROR, ERROR_CELL, TEXT),
    Rule("error_cell", SHEET_ERROR, NOT_UNDERSTOOD & ERROR_CELL, DATE | NUMBER | BOOLEAN | CHOICE),
    Rule("cell_too_long", LONG_CELL, LONG_CHARACTERS > MOST_CELL_CHARACTERS, EVERY),
    Rule("date_ambiguous", TWO_DAYS, NOT_UNDERSTOOD & AMBIGUOUS, DATE),
    Rule("date_invalid", NO_DAY, NO_VALUE & NOTHING_TO_SAY, DATE),
    Rule("number_ambiguous", TWO_NUMBERS, NOT_UNDERSTOOD & AMBIGUOUS, NUMBER),
    Rule("number_invalid", NO_NUMBER, NO_VALUE & NOTHING_TO_SAY, NUMBER),
    Rule("boolean_invalid", "{item} is neither yes nor no; write yes or no.", NO_VALUE, BOOLEAN),
    Rule("choice_invalid", "{item} is none of the choices; write one of: {choices}.", NO_VALUE, CHOICE),
    Rule("email_invalid", BAD_EMAIL + "correct it.", NOT_UNDERSTOOD & ~SPARE, EMAIL),
    Rule("email_invalid", BAD_EMAIL + OTHER_IS_USED, NOT_UNDERSTOOD & SPARE, EMAIL, WARNING),
    Rule("phone_invalid", BAD_PHONE + "write it as {phone}.", NOT_UNDERSTOOD & NOTHING_TO_SAY & ~SPARE, PHONE),
    Rule("phone_invalid", BAD_PHONE + OTHER_IS_USED, NOT_UNDERSTOOD & NOTHING_TO_SAY & SPARE, PHONE, WARNING),
    Rule("phone_spoilt", SPOILT_NUMBER + FORMAT_AS_TEXT, NOT_UNDERSTOOD & SPOILT & ~SPARE, PHONE),
    Rule("phone_spoilt", SPOILT_NUMBER + OTHER_IS_USED, NOT_UNDERSTOOD & SPOILT & SPARE, PHONE, WARNING),
    Rule("address_placeholder", NO_ADDRESS + "fill it in.", PLACEHOLDER_CELL & REQUIRED, EMAIL | PHONE),
    Rule(
        "address_placeholder", NO_ADDRESS + "it counts as empty.", PLACEHOLDER_CELL & ~REQUIRED, EMAIL | PHONE, WARNING
    ),
    Rule("address_placeholder", NOBODYS, UNDERSTOOD.is_not_null() & PLACEHOLDER, EMAIL, WARNING),
    Rule("phone_landline", LANDLINE_NUMBER, LANDLINE & pl.col("is_texted"), PHONE, WARNING),
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
    Rule(
        "open_link",
        "This person already has an open link for this process, from an earlier batch.",
        pl.col("open_in").is_not_null(),
        severity=WARNING,
        names_row="open_in",
        of_row="This person already has an open link for this process, from batch {row}.",
    ),
)
