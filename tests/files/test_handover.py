"""Rows on their way from one process to another."""

from __future__ import annotations

import os

import polars as pl
import pytest

from files import handover
from files.handover import holds_rows, mapped, written

ROWS = pl.DataFrame(
    {"row": [2, 3, 5], "c0": ["ä", None, "x" * 100], "c1": [None, None, ""]}, schema_overrides={"row": pl.UInt32}
)


@pytest.mark.parametrize("in_memory", [True, False])
def test_rows_come_as_they_went_and_outlive_the_file(in_memory: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create")
    with written(ROWS) as file:
        found = mapped(file)

    assert found.equals(ROWS)
    assert found.schema == ROWS.schema


def test_no_rows_are_rows_too() -> None:
    with written(ROWS.head(0)) as file:
        assert mapped(file).schema == ROWS.schema
        assert not holds_rows(file)


@pytest.mark.parametrize("rows", [ROWS, ROWS[1:], pl.concat([ROWS, ROWS[:1]], rechunk=False), ROWS.filter(row=5)])
def test_parts_of_rows_and_rows_in_pieces_come_too(rows: pl.DataFrame) -> None:
    with written(rows) as file:
        assert holds_rows(file)
        assert mapped(file).equals(rows)


def test_such_a_file_has_no_name() -> None:
    with handover.nameless_file() as file:
        assert os.fstat(file.fileno()).st_nlink == 0
