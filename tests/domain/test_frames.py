"""Rows that say nothing are left out, whatever they are empty with, and no other row is."""

from __future__ import annotations

import polars as pl
import pytest

from domain.frames import rows_schema, without_blank_rows

SPACES = ["", " ", "\t", "\n", "\x0b", "\x85", "\u00a0", "\u1680", "\u2003", "\u2028", "\u3000", " \u3000 "]


def rows(*cells: tuple[str | None, str | None]) -> pl.DataFrame:
    return pl.DataFrame([(row, *line) for row, line in enumerate(cells, 2)], schema=rows_schema(2), orient="row")


@pytest.mark.parametrize("space", SPACES)
def test_a_row_of_spaces_is_blank(space: str) -> None:
    found = without_blank_rows(rows(("Ann", None), (space, None), (None, space), (space, space), (None, "x")))

    assert found["row"].to_list() == [2, 6]


@pytest.mark.parametrize(
    "cell", ["!", "~", "\x7f", "\u0080", "\u00e9", "\u200b", "\ufeff", " x", "\u00a0x", "\U0001f600"]
)
def test_a_row_with_any_other_sign_is_not_blank(cell: str) -> None:
    assert without_blank_rows(rows((cell, None), (None, cell))).height == 2
