"""The first rows that cannot be sent, as a person would point at them: the row, and in it the cell that is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from domain.columns import Columns
from domain.findings import Judged
from domain.frames import ROW, column
from domain.rules import Severity

LONGEST_CELL = 200
"""Characters of a cell that are shown."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """One row of the file.

    Attributes:
        row: its number in the spreadsheet.
        cells: what stands in the columns that are shown.
        wrong: for each of them what is wrong with it; None where nothing is.
        other: what is wrong with the row as a whole, or with an item that has no column.
    """

    row: int
    cells: tuple[str, ...]
    wrong: tuple[str | None, ...]
    other: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BadRows:
    """The first rows that cannot be sent, and the titles of the columns that are shown of them."""

    header: tuple[str, ...]
    rows: tuple[BadRow, ...]


def first_bad_rows(
    rows: pl.DataFrame, judged: Judged, columns: Columns, *, header: Sequence[str], most: int
) -> BadRows:
    """Point at what is wrong in the first rows that are not valid.

    Args:
        rows: ROWS as they were read.
        judged: what became of them.
        columns: where each data item stands; the columns that are none are not shown.
        header: the titles of the file.
        most: how many rows.
    """
    item_at = {index: item for item, index in columns.of_item.items()}
    shown = sorted(item_at)
    errors = judged.problems.filter(severity=Severity.ERROR.value)
    numbers = errors[ROW].unique().sort().head(most)
    cells = rows.filter(pl.col(ROW).is_in(numbers.implode())).select(
        ROW, *(pl.col(column(index)).fill_null("").str.head(LONGEST_CELL) for index in shown)
    )
    said: dict[int, list[tuple[str | None, str]]] = {}
    for problem in errors.filter(pl.col(ROW).is_in(numbers.implode())).iter_rows(named=True):
        said.setdefault(problem[ROW], []).append((problem["item"], problem["message"]))
    return BadRows(
        header=tuple(header[index] or "" for index in shown),
        rows=tuple(
            BadRow(
                row=line[ROW],
                cells=tuple(line[column(index)] for index in shown),
                wrong=tuple(_joined(said[line[ROW]], item_at[index]) for index in shown),
                other=tuple(text for item, text in said[line[ROW]] if item not in columns.of_item),
            )
            for line in cells.iter_rows(named=True)
        ),
    )


def _joined(said: Sequence[tuple[str | None, str]], item: str) -> str | None:
    return " ".join(text for about, text in said if about == item) or None
