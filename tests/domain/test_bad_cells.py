"""Pointing at what is wrong in the first rows that cannot be sent."""

from __future__ import annotations

import polars as pl

from domain.bad_cells import LONGEST_CELL, BadRows, first_bad_rows
from domain.columns import recognise
from domain.frames import rows_schema
from domain.validation import judge
from tests.factories import process

HEADER = ("Note", "email", "first_name")


def shown(*lines: tuple[str | None, ...], most: int = 10) -> BadRows:
    rows = pl.DataFrame(
        [(place + 2, *line) for place, line in enumerate(lines)], schema=rows_schema(len(HEADER)), orient="row"
    )
    columns = recognise(HEADER, process(), file_name="march.csv")
    judged = judge(rows, columns, process(), link_length=50, open_links=())
    return first_bad_rows(rows, judged, columns, header=HEADER, most=most)


def test_the_wrong_cell_is_marked_and_the_row_keeps_its_number() -> None:
    found = shown(("x", "ann@mail.example", "Ann"), ("x", "ann", None))

    assert found.header == ("email", "first_name")
    (bad,) = found.rows
    assert (bad.row, bad.cells) == (3, ("ann", ""))
    assert [why is not None for why in bad.wrong] == [True, True]
    assert "fill it in" in str(bad.wrong[1])


def test_what_is_wrong_with_a_row_as_a_whole_stands_beside_its_number() -> None:
    (bad,) = shown(("x", None, "Ann")).rows

    assert bad.wrong == (None, None)
    assert len(bad.other) == 1


def test_only_the_first_are_shown_and_long_cells_are_cut() -> None:
    found = shown(*[("x", "n" * 900, "Ann")] * 5, most=2)

    assert [bad.row for bad in found.rows] == [2, 3]
    assert len(found.rows[0].cells[0]) == LONGEST_CELL


def test_a_good_list_has_none() -> None:
    assert shown(("x", "ann@mail.example", "Ann")).rows == ()
