"""A file of bad rows that comes back corrected: which rows of its batch it replaces, and by what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from domain.annotation import ROW_OF_PROBLEM
from domain.columns import LIKE_DATA
from domain.errors import FileErrorCode, FileProblem
from domain.frames import PROBLEM, ROW, column
from domain.titles import folded

MOST_NAMED = 5
CUT_MARK = " … (cut)"
"""Ends a value that was too long for a workbook; what stood behind it is in the batch only."""


@dataclass(frozen=True, slots=True)
class Returned:
    """A corrected file as it was read: what people call it, its titles, and its ROWS, numbered as that file numbers them."""

    file_name: str
    header: Sequence[str]
    rows: pl.DataFrame


def corrected_rows(returned: Returned, *, batch_id: int, header: Sequence[str], rows: pl.DataFrame) -> pl.DataFrame:
    """Find the rows of a batch that a file corrects.

    Args:
        returned: the file.
        batch_id: the batch, for messages.
        header: the titles of the batch's file.
        rows: ROWS of the batch.

    Returns:
        ROWS of the batch that take the place of those with the same number, in the file's order.

    Raises:
        FileProblem: a column is missing or new, a row does not name one row of the batch that no other names, or
            a value that was cut has been changed; one that was not changed is the batch's own again.
    """
    problem = _problem_column(returned, batch_id)
    places = _places(returned, header, problem=problem, batch_id=batch_id)
    number = (pl.col(column(problem)).str.strip_chars() + " ").str.extract(ROW_OF_PROBLEM)
    found = returned.rows.select(
        pl.col(ROW).alias("line"),
        number.cast(pl.UInt32, strict=False).alias(ROW),
        *(pl.col(column(place)).alias(column(index)) for index, place in enumerate(places)),
    )
    _refuse_new_rows(found, returned.file_name, batch_id)
    _refuse_unknown_rows(found, rows, returned.file_name, batch_id)
    _refuse_repeated_rows(found, returned.file_name, batch_id)
    return _with_whole_values(found, rows, header, returned.file_name).select(rows.columns)


def replaced(rows: pl.DataFrame, corrected: pl.DataFrame) -> pl.DataFrame:
    """ROWS with the corrected ones in their places: the same numbers in the same order."""
    return pl.concat([rows.join(corrected, on=ROW, how="anti"), corrected]).sort(ROW)


def count_changed(rows: pl.DataFrame, corrected: pl.DataFrame) -> int:
    """How many of the corrected rows say something else than before."""
    return corrected.join(rows, on=rows.columns, how="anti", nulls_equal=True).height


def _problem_column(returned: Returned, batch_id: int) -> int:
    """The last one of that title: the batch's own file may have one, too."""
    named = [place for place, title in enumerate(returned.header) if folded(title) == folded(PROBLEM)]
    if not named:
        raise _refusal(
            f"{returned.file_name} has no column {PROBLEM}, which says which row of batch {batch_id} each line corrects. "
            f"{_get_again(batch_id)}"
        )
    return named[-1]


def _places(returned: Returned, header: Sequence[str], *, problem: int, batch_id: int) -> list[int]:
    """Where each column of the batch stands in the file; of columns with one title, the first is the first."""
    left = [place for place in range(len(returned.header)) if place != problem]
    places, missing = [], []
    for title in header:
        found = next((place for place in left if folded(returned.header[place]) == folded(title)), None)
        if found is None:
            missing.append(title)
        else:
            left.remove(found)
            places.append(found)
    extra = [returned.header[place] for place in left if not _is_nothing(returned, place)]
    if missing or extra:
        parts = [f"missing: {_listed(missing)}"] * bool(missing) + [f"not in the batch: {_listed(extra)}"] * bool(extra)
        raise _refusal(
            f"{returned.file_name} does not have the columns of batch {batch_id} ({'; '.join(parts)}). "
            "Correct the cells and leave the titles as they are."
        )
    return places


def _is_nothing(returned: Returned, place: int) -> bool:
    """A column without title and content, as spreadsheet programs leave them behind."""
    cells = returned.rows[column(place)]
    return not returned.header[place].strip() and cells.null_count() == cells.len()


def _refuse_new_rows(found: pl.DataFrame, file_name: str, batch_id: int) -> None:
    lines = found.filter(pl.col(ROW).is_null())["line"].to_list()
    if lines:
        raise _refusal(
            f"{_rows(lines)} of {file_name}: {PROBLEM} must begin with the row of batch {batch_id} to correct, such as "
            '"Row 12:". Put that text back; new people cannot be added to a batch, so create another one for them.'
        )


def _refuse_unknown_rows(found: pl.DataFrame, rows: pl.DataFrame, file_name: str, batch_id: int) -> None:
    unknown = found.join(rows, on=ROW, how="anti")
    if unknown.height:
        line, row = unknown.select("line", ROW).row(0)
        raise _refusal(
            f"Row {line} of {file_name} corrects row {row}, which batch {batch_id} does not have. {_get_again(batch_id)}"
        )


def _refuse_repeated_rows(found: pl.DataFrame, file_name: str, batch_id: int) -> None:
    repeated = found.filter(pl.col(ROW).is_duplicated())
    if repeated.height:
        row = repeated[ROW][0]
        lines = repeated.filter(pl.col(ROW) == row)["line"].to_list()
        raise _refusal(f"{_rows(lines)} of {file_name} all correct row {row} of batch {batch_id}. Leave one of them.")


def _with_whole_values(found: pl.DataFrame, rows: pl.DataFrame, header: Sequence[str], file_name: str) -> pl.DataFrame:
    """The batch's own values in place of those that its workbook could show the beginning of only."""
    cut = found.filter(pl.any_horizontal(pl.col(name).str.ends_with(CUT_MARK) for name in rows.columns[1:]))
    own = cut.select(ROW).join(rows, on=ROW, how="left", maintain_order="left")
    whole = []
    for line, before in zip(cut.rows(named=True), own.rows(named=True), strict=True):
        for index, title in enumerate(header):
            cell, kept = line[column(index)] or "", before[column(index)] or ""
            if cell.endswith(CUT_MARK) and cell != kept:
                if not kept.startswith(cell.removesuffix(CUT_MARK)):
                    raise _refusal(
                        f"Row {line['line']} of {file_name}: the value in {_listed([title])} was cut to fit into a workbook, "
                        f'so a change to it would lose its end. Write all of it, without "{CUT_MARK.strip()}".'
                    )
                line[column(index)] = kept
        whole.append(line)
    return found.update(pl.DataFrame(whole, schema=found.schema), on="line") if whole else found


def _rows(lines: Sequence[int]) -> str:
    """`Rows 4, 6 and 3 more`."""
    named = ", ".join(str(line) for line in lines[:MOST_NAMED])
    more = f" and {len(lines) - MOST_NAMED:,} more" if len(lines) > MOST_NAMED else ""
    return f"Row{'s' if len(lines) > 1 else ''} {named}{more}"


def _listed(titles: Sequence[str]) -> str:
    """Titles, shortened, and without what looks like somebody's data."""
    if any(LIKE_DATA.search(title) for title in titles):
        return "data instead of titles"
    named = ", ".join(" ".join(title.split()) or "a column without a title" for title in titles[:MOST_NAMED])
    return named + (f" and {len(titles) - MOST_NAMED} more" if len(titles) > MOST_NAMED else "")


def _get_again(batch_id: int) -> str:
    return f"Get the file of its bad rows again: bulk-sender batch problems {batch_id} --output FILE"


def _refusal(message: str) -> FileProblem:
    return FileProblem(FileErrorCode.UNREADABLE, message)
