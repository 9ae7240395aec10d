"""What a cell's text means for its item's type: dates, numbers, choices, addresses in one canonical spelling.

Nothing is guessed: where two readings are possible the cell is not understood, and its remark says so. The usual
spellings of a whole column are read by expressions, only the others one by one. What an address is,
`domain.email_addresses` and `domain.phone_numbers` say, what stands for none `domain.placeholders`.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from enum import StrEnum
from typing import assert_never

import polars as pl

from domain.distinct import all_at_once, once_each
from domain.email_addresses import normalised_emails
from domain.phone_numbers import judged_phones
from domain.placeholders import NOBODY, is_placeholder
from domain.processes import DataItem, ItemType, ProcessDefinition
from domain.words import FALSE_WORDS, MONTHS, TRUE_WORDS

__all__ = ["Remark", "boolean", "choice", "days", "numbers", "understand"]


class Remark(StrEnum):
    """What is to be said of a cell beside whether it was understood."""

    AMBIGUOUS = "ambiguous"
    """It can be read in two ways, so it was not."""
    PLACEHOLDER = "placeholder"
    """It stands for an address that is not there."""
    SPOILT = "spoilt"
    """A spreadsheet made something else of a phone number."""
    LANDLINE = "landline"
    """A good phone number that takes no SMS."""


REMARKS = pl.Enum(Remark)
"""A byte a cell, where a text takes sixteen, and most cells need no remark."""
VALUES: dict[str, pl.DataType | type[pl.DataType]] = {"value": pl.String, "remark": REMARKS}
"""What a cell means: `value` is its canonical spelling, null where it was not understood, `remark` a Remark or null."""
MEANING = pl.Struct(VALUES)
VALUE, REMARK, CELL = pl.col("value"), pl.col("remark"), pl.col("cell")
NOT_UNDERSTOOD: dict[str, str | None] = {"value": None, "remark": None}
UNSURE: dict[str, str | None] = {"value": None, "remark": Remark.AMBIGUOUS.value}
NOTHING, NO_REMARK = pl.lit(None, pl.String), pl.lit(None, REMARKS)


def understand(cells: pl.Series, item: DataItem, *, definition: ProcessDefinition) -> pl.DataFrame:  # noqa: PLR0911 - one return a type
    """The meaning of each cell of one item.

    Args:
        cells: stripped text, null where the cell is empty.
        item: the item, for its type, choices and date format.
        definition: for the region of phone numbers.

    Returns:
        VALUES, as many in the same order.
    """
    match item.type:
        case ItemType.TEXT:
            return _understood(cells, CELL)
        case ItemType.DATE:
            return all_at_once(cells, lambda distinct: days(distinct, pattern=item.format))
        case ItemType.NUMBER:
            return numbers(cells)
        case ItemType.BOOLEAN:
            return all_at_once(cells, lambda distinct: _understood(distinct, boolean(CELL)))
        case ItemType.CHOICE:
            return all_at_once(cells, lambda distinct: _understood(distinct, choice(CELL, choices=item.choices)))
        case ItemType.EMAIL:
            return _emails(cells)
        case ItemType.PHONE:
            return _phones(cells, region=definition.default_region)
        case _:  # pragma: no cover - mypy proves that no type is left
            assert_never(item.type)


def _understood(cells: pl.Series, value: pl.Expr) -> pl.DataFrame:
    """VALUES of a type that needs no remark."""
    return pl.DataFrame({"cell": cells}).select(value=value, remark=NO_REMARK)


def _with_others(known: pl.DataFrame, others: pl.Series, found: pl.DataFrame) -> pl.DataFrame:
    """VALUES with those at the places `others` replaced."""
    if others.is_empty():
        return known
    return pl.DataFrame({name: known[name].scatter(others, found[name]) for name in VALUES})


TIME = r"[ T]+[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?(?: ?[AaPp]\.?[Mm]\.?| ?Z| ?[+-][0-9]{2}:?[0-9]{2})?"
ISO_DAY = rf"^([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})(?:{TIME})?$"
FIRST_YEAR, LAST_YEAR = 1000, 9999
TIME_AT_END = rf",?{TIME}$"
AFTER_A_DAY = re.compile(rf"(?:,?{TIME})?\Z")
YEAR_FIRST = re.compile(r"([0-9]{4})([-/.])([0-9]{1,2})\2([0-9]{1,2})|([0-9]{4})([0-9]{2})([0-9]{2})")
YEAR_LAST = re.compile(r"([0-9]{1,2})([-/. ])([0-9]{1,2})\2([0-9]{4}|[0-9]{2})")
WITH_A_NAME = re.compile(
    r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th|\.|º|er)?[ -]*(?:de |of )?(?P<month>[^\W\d_]{3,})\.?,?[ -]*(?:de |del )?(?P<year>[0-9]{4})"
    r"|(?P<name>[^\W\d_]{3,})\.?[ -]*(?P<number>[0-9]{1,2})(?:st|nd|rd|th)?(?:, *| +|-)(?P<in_year>[0-9]{4})"
)
SERIAL = re.compile(r"([1-9][0-9]{4})(?:[.,][0-9]+)?")
"""Five digits, 18 May 1927 to 14 October 2173: fewer may be a year, more a day without separators."""
DAY_ZERO = date(1899, 12, 30)


def days(cells: pl.Series, *, pattern: str | None) -> pl.DataFrame:
    """VALUES: `YYYY-MM-DD` from ISO, the process's own format, Excel's serial number, or a month's name.

    A time after the day is left out. The year has four digits unless the process's own format says otherwise.
    """
    asked = pl.DataFrame({"cell": cells})
    known = asked.select(value=_iso_text(_own_or_iso(CELL, pattern)), remark=NO_REMARK)
    others = (known["value"].is_null() & cells.is_not_null()).arg_true()
    odd = asked[others]
    has_serials = pattern is None or not DAY_ZERO.strftime(pattern).isdigit()
    meanings = once_each(odd["cell"], lambda text: _day(text, has_serials=has_serials), dtype=MEANING).struct.unnest()
    if pattern is not None:
        own = odd.select(_iso_text(CELL.str.replace(TIME_AT_END, "").str.to_date(pattern, strict=False))).to_series()
        of_own = pl.lit(own).is_null()
        meanings = meanings.select(pl.coalesce(pl.lit(own), VALUE).alias("value"), pl.when(of_own).then(REMARK))
    return _with_others(known, others, meanings)


def _own_or_iso(cell: pl.Expr, pattern: str | None) -> pl.Expr:
    iso = cell.str.extract(ISO_DAY).str.to_date("%Y-%m-%d", strict=False)
    return iso if pattern is None else pl.coalesce(iso, cell.str.to_date(pattern, strict=False))


def _iso_text(day: pl.Expr) -> pl.Expr:
    """Without the bounds, `31.01.30` read with %Y is a day in the year 30."""
    return pl.when(day.dt.year().is_between(FIRST_YEAR, LAST_YEAR)).then(day.dt.strftime("%Y-%m-%d"))


def _day(text: str, *, has_serials: bool) -> dict[str, str | None]:
    """The meaning of a day in another spelling."""
    if (match := SERIAL.fullmatch(text)) and has_serials:
        return {"value": (DAY_ZERO + timedelta(days=int(match[1]))).isoformat(), "remark": None}
    if (match := YEAR_FIRST.match(text)) and AFTER_A_DAY.match(text, match.end()):
        year, month, day = (int(part) for part in (match.group(1, 3, 4) if match[1] else match.group(5, 6, 7)))
        return {"value": _iso(year, month, day), "remark": None}
    if (match := WITH_A_NAME.match(text)) and AFTER_A_DAY.match(text, match.end()):
        day_, name, year_ = (
            match.group("day", "month", "year") if match["day"] else match.group("number", "name", "in_year")
        )
        return {"value": _iso(int(year_), MONTHS.get(name.lower(), 0), int(day_)), "remark": None}
    if (match := YEAR_LAST.match(text)) and AFTER_A_DAY.match(text, match.end()):
        return UNSURE if _could_be_two_days(int(match[1]), int(match[3])) else NOT_UNDERSTOOD
    return NOT_UNDERSTOOD


def _iso(year: int, month: int, day: int) -> str | None:
    try:
        return date(year, month, day).isoformat() if year >= FIRST_YEAR else None
    except ValueError:
        return None


def _could_be_two_days(first: int, second: int) -> bool:
    most_months = 12
    return 1 <= first <= most_months and 1 <= second <= most_months and first != second


NUMBER = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)%?$"
CANONICAL_NUMBER = r"^(?:-?[1-9][0-9]*(?:\.[0-9]+)?|0(?:\.[0-9]+)?|-0\.[0-9]*[1-9][0-9]*)%?$"
SPACES = r"[ \u00a0\u2009\u202f'\u2019]"
GROUP = r"^[+-]?[1-9][0-9]{0,2}"
POINT_DECIMAL = rf"{GROUP}(?:,[0-9]{{3}})+\.[0-9]+%?$|{GROUP}(?:,[0-9]{{3}}){{2,}}%?$|^[+-]?[1-9][0-9]?(?:,[0-9]{{2}})+,[0-9]{{3}}(?:\.[0-9]+)?%?$"
"""`1,234.50`, `1,234,567`, and as in India `12,34,567`."""
COMMA_DECIMAL = rf"{GROUP}(?:\.[0-9]{{3}})+,[0-9]+%?$|{GROUP}(?:\.[0-9]{{3}}){{2,}}%?$|^[+-]?[0-9]*,[0-9]+%?$"
"""`1.234,50`, `1.234.567`, `12,5`."""
SPACED = rf"{GROUP}(?:{SPACES}[0-9]{{3}})+(?:[.,][0-9]+)?%?$"
"""`1 234,50`, `1'234.50`."""
SPACED_COMMA = rf"{GROUP}(?:{SPACES}[0-9]{{3}})+,"
COMMA_UNSURE = rf"{GROUP},[0-9]{{3}}%?$"
"""`1,234`."""
POINT_UNSURE = rf"{GROUP}\.[0-9]{{3}}%?$"
"""`1.234`: our own decimal point, unless the column has decimal commas."""
HAS_DECIMAL_COMMA = CELL.str.contains(rf"{COMMA_DECIMAL}|{SPACED_COMMA}") & ~CELL.str.contains(COMMA_UNSURE)


def numbers(cells: pl.Series) -> pl.DataFrame:
    """VALUES: a decimal with a point, its last zeros kept as in a price, with its percent sign; `4.47E+11` is a guess.

    All of it is dear, so what is spelt so already is kept out of it.
    """
    known = pl.DataFrame({"value": cells}).with_columns(remark=NO_REMARK)
    others = (~cells.str.contains(CANONICAL_NUMBER).fill_null(value=True)).arg_true()
    if others.is_empty():
        return known
    odd = pl.DataFrame({"cell": cells.gather(others)}).select(
        CELL.str.replace(r"\s+%$", "%").str.replace("\u2212", "-", literal=True)
    )
    found = odd.select(value=_number(CELL), remark=_when(CELL.str.contains(COMMA_UNSURE), Remark.AMBIGUOUS))
    both = _with_others(known, others, found)
    if not odd.select(HAS_DECIMAL_COMMA.any()).item():
        return both
    unsure = VALUE.is_not_null() & CELL.str.contains(POINT_UNSURE)
    return both.with_columns(cell=cells).select(
        value=pl.when(~unsure).then(VALUE), remark=pl.coalesce(_when(unsure, Remark.AMBIGUOUS), REMARK)
    )


def _number(cell: pl.Expr) -> pl.Expr:
    """One decimal without a group's separators and needless signs, null where it is none."""
    no_comma = cell.str.replace_all(",", "", literal=True)
    no_point = cell.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
    no_space = cell.str.replace_all(SPACES, "").str.replace(",", ".", literal=True)
    plain = (
        pl.when(cell.str.contains(NUMBER))
        .then(cell)
        .when(cell.str.contains(COMMA_UNSURE))
        .then(NOTHING)
        .when(cell.str.contains(POINT_DECIMAL))
        .then(no_comma)
        .when(cell.str.contains(COMMA_DECIMAL))
        .then(no_point)
        .when(cell.str.contains(SPACED))
        .then(no_space)
    )
    percent = pl.when(plain.str.ends_with("%")).then(pl.lit("%")).otherwise(pl.lit(""))
    digits = plain.str.strip_chars_start("+-").str.strip_chars_end("%")
    no_zeros = digits.str.strip_chars_end(".").str.strip_chars_start("0")
    whole = pl.when((no_zeros == "") | no_zeros.str.starts_with(".")).then(pl.lit("0")).otherwise(pl.lit(""))
    minus = pl.when(plain.str.starts_with("-") & plain.str.contains("[1-9]")).then(pl.lit("-")).otherwise(pl.lit(""))
    return minus + whole + no_zeros + percent


def boolean(cell: pl.Expr) -> pl.Expr:
    """`true` or `false` from yes and no in the languages of operators, and from what Excel calls its own values."""
    words = dict.fromkeys(TRUE_WORDS, "true") | dict.fromkeys(FALSE_WORDS, "false")
    return cell.str.to_lowercase().replace_strict(words, default=None, return_dtype=pl.String)


def choice(cell: pl.Expr, *, choices: tuple[str, ...]) -> pl.Expr:
    """The definition's spelling of a choice, whatever the cell's case and spaces, if only one choice is like it."""
    alike = [_plain(text) for text in choices]
    spellings = {plain: text for plain, text in zip(alike, choices, strict=True) if alike.count(plain) == 1}
    folded = cell.str.replace_all(r"\s+", "").str.to_lowercase()
    found = folded.replace_strict(spellings, default=None, return_dtype=pl.String)
    return pl.when(cell.is_in(list(choices))).then(cell).otherwise(found)


def _plain(text: str) -> str:
    return "".join(text.split()).lower()


SPOILT_PHONE = r"^(?:[0-9]{6,}\.00?|[0-9](?:[.,][0-9]+)?[eE]\+[0-9]{2})$"
"""`447400123456.0` or `4.47E+11`: the first may be a valid number to phonenumbers, but it is another person's."""


def _emails(cells: pl.Series) -> pl.DataFrame:
    """VALUES."""
    known = pl.DataFrame({"cell": cells, "value": normalised_emails(cells)})
    known = known.select("cell", "value", remark=_when(VALUE.str.contains(NOBODY), Remark.PLACEHOLDER))
    return _with_placeholders(known)


def _phones(cells: pl.Series, *, region: str) -> pl.DataFrame:
    """VALUES."""
    judged = judged_phones(cells, region=region)
    known = judged.with_columns(cell=cells).with_columns(is_spoilt=CELL.str.contains(SPOILT_PHONE))
    remark = pl.coalesce(_when(pl.col("is_spoilt"), Remark.SPOILT), _when(pl.col("is_landline"), Remark.LANDLINE))
    return _with_placeholders(known.select("cell", value=pl.when(~pl.col("is_spoilt")).then("number"), remark=remark))


def _with_placeholders(known: pl.DataFrame) -> pl.DataFrame:
    """VALUES, with a remark where a cell that is no address stands for none."""
    others = known.select((VALUE.is_null() & REMARK.is_null() & CELL.is_not_null()).arg_true()).to_series()
    stands = pl.DataFrame({"cell": once_each(known["cell"].gather(others), is_placeholder, dtype=pl.Boolean)})
    remarks = stands.select(_when(CELL, Remark.PLACEHOLDER)).to_series()
    return known.select(VALUE, known["remark"].scatter(others, remarks))


def _when(condition: pl.Expr, remark: Remark) -> pl.Expr:
    return pl.when(condition).then(pl.lit(remark.value, REMARKS))
