"""What a cell's text means for its item's type: dates, numbers, choices, addresses in one canonical spelling.

Each function gives an expression over a column of stripped text, null where the text could not be
understood; nothing is guessed. What an address is, `domain.email_addresses` and `domain.phone_numbers` say.
"""

from __future__ import annotations

from typing import assert_never

import polars as pl

from domain.email_addresses import normalised_emails
from domain.phone_numbers import normalised_phone, normalised_phones
from domain.processes import DataItem, ItemType, ProcessDefinition

__all__ = ["boolean", "choice", "day", "normalised_phone", "number", "numbers", "understand"]

TRUE_WORDS = ("true", "yes", "y", "1", "on", "ja", "j", "wahr", "oui", "vrai", "si", "sí", "sì", "sim", "כן", "نعم")
FALSE_WORDS = ("false", "no", "n", "0", "off", "nein", "falsch", "non", "faux", "nee", "não", "nao", "לא", "لا")
ISO_DAY = r"^([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[ T]00:00:00)?$"
NUMBER = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)$"
SHORTEST_NUMBER = r"^(?:0|-?[1-9][0-9]*(?:\.[0-9]*[1-9])?|-?0\.[0-9]*[1-9])$"
FIRST_YEAR, LAST_YEAR = 1000, 9999


def understand(given: pl.DataFrame, item: DataItem, *, definition: ProcessDefinition) -> pl.Series:  # noqa: PLR0911
    """The canonical spelling of each cell of one item.

    Args:
        given: a frame with the column `item.name`: stripped text, null where the cell is empty.
        item: the item, for its type, choices and date format.
        definition: for the region of phone numbers.

    Returns:
        As many values in the same order; null where the cell is empty or is not understood.
    """
    cell = pl.col(item.name)
    match item.type:
        case ItemType.TEXT:
            return given[item.name]
        case ItemType.DATE:
            return given.select(day(cell, pattern=item.format)).to_series()
        case ItemType.NUMBER:
            return numbers(given[item.name])
        case ItemType.BOOLEAN:
            return given.select(boolean(cell)).to_series()
        case ItemType.CHOICE:
            return given.select(choice(cell, choices=item.choices)).to_series()
        case ItemType.EMAIL:
            return normalised_emails(given[item.name])
        case ItemType.PHONE:
            return normalised_phones(given[item.name], region=definition.default_region)
        case _:  # pragma: no cover - mypy proves that no type is left
            assert_never(item.type)


def day(cell: pl.Expr, *, pattern: str | None) -> pl.Expr:
    """`YYYY-MM-DD` from ISO (also with the midnight that Excel's dates carry) or from the process's own format."""
    found = cell.str.extract(ISO_DAY).str.to_date("%Y-%m-%d", strict=False)
    if pattern is not None:
        found = pl.coalesce(found, cell.str.to_date(pattern, strict=False))
    # Without this, `31.01.30` read with %Y is a day in the year 30.
    return pl.when(found.dt.year().is_between(FIRST_YEAR, LAST_YEAR)).then(found.dt.strftime("%Y-%m-%d"))


def number(cell: pl.Expr) -> pl.Expr:
    """A decimal with a point, without needless zeros; `1,5` and `4.47E+11` are not understood: guesses."""
    digits = cell.str.strip_chars_start("+-")
    no_end = digits.str.strip_chars_end("0").str.strip_chars_end(".")
    no_zeros = pl.when(digits.str.contains(".", literal=True)).then(no_end).otherwise(digits).str.strip_chars_start("0")
    whole = pl.when((no_zeros == "") | no_zeros.str.starts_with(".")).then(pl.lit("0")).otherwise(pl.lit(""))
    minus = pl.when(cell.str.starts_with("-") & cell.str.contains("[1-9]")).then(pl.lit("-")).otherwise(pl.lit(""))
    return pl.when(cell.str.contains(NUMBER)).then(minus + whole + no_zeros)


def numbers(cells: pl.Series) -> pl.Series:
    """`number` of each cell; it is dear, so what is in its shortest spelling, as nearly all are, is left alone."""
    other = (~cells.str.contains(SHORTEST_NUMBER).fill_null(value=False)).arg_true()
    shortened = pl.DataFrame({"cell": cells.gather(other)}).select(number(pl.col("cell"))).to_series()
    return cells.clone().scatter(other, shortened)


def boolean(cell: pl.Expr) -> pl.Expr:
    """`true` or `false` from yes and no in some languages."""
    words = dict.fromkeys(TRUE_WORDS, "true") | dict.fromkeys(FALSE_WORDS, "false")
    return cell.str.to_lowercase().replace_strict(words, default=None, return_dtype=pl.String)


def choice(cell: pl.Expr, *, choices: tuple[str, ...]) -> pl.Expr:
    """The definition's spelling of a choice, whatever the cell's case and inner spaces."""
    spellings = {_plain(text): text for text in reversed(choices)}
    folded = cell.str.replace_all(r"\s+", " ").str.to_lowercase()
    alike = folded.replace_strict(spellings, default=None, return_dtype=pl.String)
    return pl.when(cell.is_in(list(choices))).then(cell).otherwise(alike)


def _plain(text: str) -> str:
    return " ".join(text.split()).lower()
