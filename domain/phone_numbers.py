"""Phone numbers as `phonenumbers` judges and spells them: plain ones by tables, the others by itself.

Plain is ASCII digits with the usual separators between them and perhaps a plus before them. Such a text is a whole
number, and `domain.numbering_plans` has tables of what libphonenumber makes of whole numbers: a column is judged by
two searches. The tests compare the two over all regions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import phonenumbers
import polars as pl

from domain.distinct import once_each
from domain.numbering_plans import (
    ABROAD,
    LANDLINE,
    LEAST_DIGITS,
    MOST_DIGITS,
    NOTHING,
    NUMBER,
    ODD,
    READINGS,
    TYPES,
    UNKNOWN,
    Reading,
    calling_codes,
    reading_abroad,
    reading_here,
)

SEPARATORS = dict.fromkeys(" ().-/", "")
"""All that a plain number has beside its digits and a plus: nothing in it can be an extension or a second number."""
LONGEST = 250
"""Characters of what libphonenumber reads."""
FEW = 150
"""So many values that need a table of their own take the library as long as making it takes: about 4 ms."""
TENS = pl.Series([10**digits for digits in range(MOST_DIGITS + 1)], dtype=pl.Int64)
ASK, NONE = -1, 0
"""In the place of an E.164 number: the library is to be asked, and there is none."""
NO_READING = pl.DataFrame(schema=READINGS)
"""Gives a table without rows its columns."""
BEFORE_NUMBERS = pl.DataFrame({"last": [ASK, NONE], "type": [ODD, UNKNOWN]}, schema=TYPES)
"""What is in the place of a number stands before all of them."""
VALUE, DIGITS, HAS_PLUS, IS, TYPE = map(pl.col, ("number", "digits", "has_plus", "is", "type"))
ANSWER = pl.Struct({"number": pl.String, "is_landline": pl.Boolean})
NO_NUMBER = {"number": None, "is_landline": None}

# Python forgets a regex after 512 others: without this, a list of many countries takes 0.4 ms a number, with it 0.04.
phonenumbers.enable_pattern_cache()


def normalised_phone(text: str, *, region: str) -> str | None:
    """E.164 of a valid number; digits without a country code are read as dialled in `region`."""
    number: str | None = _asked(text, region=region)["number"]
    return number


def normalised_phones(cells: pl.Series, *, region: str, few: int = FEW) -> pl.Series:
    """`normalised_phone` of each cell, in the same order; null where it is None or the cell is null."""
    return judged_phones(cells, region=region, few=few)["number"].alias(cells.name)


def is_landline(numbers: pl.Series, *, few: int = FEW) -> pl.Series:
    """True for numbers of the type FIXED_LINE, which take no SMS; false where a mobile phone may have the number.

    Args:
        numbers: E.164; what is no valid number is no landline. Null stays null.
        few: so many values or fewer that need a table of their own go to the library instead.
    """
    landlines = judged_phones(numbers, region=None, few=few)["is_landline"].fill_null(value=False)
    asked = pl.DataFrame({"number": numbers, "landline": landlines})
    return asked.select(pl.when(pl.col("number").is_not_null()).then("landline")).to_series()


def judged_phones(cells: pl.Series, *, region: str | None, few: int = FEW) -> pl.DataFrame:
    """The number in each cell, and whether it is a landline's, in the same order.

    Args:
        cells: text.
        region: as `DE`; None where every number has its country code.
        few: so many values or fewer that need a table of their own go to the library instead.

    Returns:
        `number`, its E.164, and `is_landline`; both null where the cell is null or holds no valid number.
    """
    if cells.len() <= few:
        return _all_asked(cells, region=region)
    numbers, tables = _read(cells, region=region, few=few)
    kinds = _found(pl.concat([BEFORE_NUMBERS, *tables]), numbers)["type"]
    judged = pl.DataFrame({"number": numbers, "type": kinds}).select(
        number=pl.when(TYPE > UNKNOWN).then("+" + VALUE.cast(pl.String)),
        is_landline=pl.when(TYPE > UNKNOWN).then(TYPE == LANDLINE),
    )
    odd = (kinds == ODD).arg_true()
    if odd.is_empty():
        return judged
    answers = _all_asked(cells.gather(odd), region=region)
    return judged.with_columns(judged[name].scatter(odd, answers[name]) for name in answers.columns)


def _all_asked(cells: pl.Series, *, region: str | None) -> pl.DataFrame:
    """The same, of the library."""
    return once_each(cells, lambda text: _asked(text, region=region), dtype=ANSWER).struct.unnest()


def _asked(text: str, *, region: str | None) -> dict[str, Any]:
    """The fields of ANSWER."""
    try:
        parsed = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return NO_NUMBER
    kind = phonenumbers.number_type(parsed)
    if kind == phonenumbers.PhoneNumberType.UNKNOWN:  # this is how `is_valid_number` finds out, too
        return NO_NUMBER
    number = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return {"number": number, "is_landline": kind == phonenumbers.PhoneNumberType.FIXED_LINE}


def _read(cells: pl.Series, *, region: str | None, few: int) -> tuple[pl.Series, Iterable[pl.DataFrame]]:
    """What libphonenumber's `parse` does: each cell's number in E.164, or ASK or NONE, and TYPES of all such numbers."""
    numbers = pl.repeat(ASK, cells.len(), dtype=pl.Int64, eager=True)
    tables: dict[tuple[int, int], pl.DataFrame] = {}
    dialled = _dialled(cells)
    while not dialled.is_empty():
        keys, readings = _keyed(dialled, region=region, few=few)
        rows = _found(pl.concat([NO_READING, *(reading.table for reading in readings)]), keys["key"])
        read = keys["key"] + rows["added"]
        known = pl.when(IS == NUMBER).then(read).when(IS == NOTHING).then(NONE).otherwise(ASK)
        numbers.scatter(keys["place"], rows.select(known).to_series())
        for reading in readings:
            tables.update(reading.types)
        # What followed an international prefix is read as if it followed a plus.
        abroad = rows.select("is", "digits", place=keys["place"], number=read).filter(IS == ABROAD)
        dialled = abroad.with_columns(has_plus=True)
    return numbers, tables.values()


def _keyed(dialled: pl.DataFrame, *, region: str | None, few: int) -> tuple[pl.DataFrame, list[Reading]]:
    """`place` and `key`, the number to look for in the readings; without numbers that have no reading, or too few for one."""
    digits = dialled["digits"].cast(pl.Int32)
    tens = TENS.gather(digits)
    code = calling_codes().gather(dialled["number"] // TENS.gather(digits - 3))
    keys = dialled.select(
        "place",
        key=VALUE - pl.when(HAS_PLUS).then(0).otherwise(tens * 2),
        group=pl.when(HAS_PLUS).then(code * 100 + digits).otherwise(-digits),
    )
    counts = keys["group"].value_counts()
    found = {
        group: reading_here(region, -group) if group < 0 else reading_abroad(*divmod(group, 100))
        for group, count in counts.rows()
        if count > few
    }
    readings = {group: reading for group, reading in found.items() if reading is not None}
    if len(readings) < counts.height:
        keys = keys.filter(pl.col("group").is_in(list(readings)))
    return keys, list(readings.values())


def _found(table: pl.DataFrame, numbers: pl.Series) -> pl.DataFrame:
    """The row of the table for each number, the first whose `last` is not below it; without that column."""
    table = table.sort("last")
    return table.drop("last")[table["last"].search_sorted(numbers, side="left")]


def _dialled(cells: pl.Series) -> pl.DataFrame:
    """The plain cells: `place`, `number`, its `digits` with the zeros before it, and `has_plus`."""
    found = _as_numbers(cells)
    is_spaced = found["number"].is_null() & (found["digits"] <= LONGEST)
    tidied = cells.filter(is_spaced).to_frame().select(pl.first().str.replace_many(SEPARATORS)).to_series()
    places = is_spaced.arg_true()
    # No second copy of the texts: memory that a process touches for the first time is as dear as the work on it.
    found = pl.DataFrame(
        [found[name].scatter(places, values) for name, values in _as_numbers(tidied).to_dict().items()]
    )
    plain = found.with_row_index("place").filter(VALUE.is_not_null(), DIGITS.is_between(LEAST_DIGITS, MOST_DIGITS))
    return plain.with_columns(VALUE.cast(pl.Int64))


def _as_numbers(texts: pl.Series) -> pl.DataFrame:
    """`number` is null where a text is more than digits and a plus before them."""
    has_plus = texts.str.starts_with("+")
    number, digits = texts.cast(pl.UInt64, strict=False), texts.str.len_bytes() - has_plus
    return pl.DataFrame({"number": number, "digits": digits, "has_plus": has_plus})
