"""Writing a result as a workbook: text stays text, nothing is lost without a word, and a summary stands beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
from xlsxwriter.workbook import Workbook
from xlsxwriter.worksheet import Worksheet

from domain.frames import ROW
from files.layouts import Layout

LAST_ROW = 1_048_576
LONGEST_CELL = 32_767
"""Excel's limit, counted as UTF-16 does: an emoji is two. XlsxWriter drops longer texts without an error."""
KEPT_CHARACTERS = 32_000
CUT_MARK = " … (cut)"
CUT_DETAIL = "A value of this row was too long for Excel and is cut in this file."
ROWS_AT_ONCE = 5_000
NARROWEST, WIDEST, MEASURED_ROWS = 10, 50, 200
STATUS, DETAIL = "Sending Status", "Status Detail"
SUMMARY_SHEET = "Summary"
NOT_IN_A_SHEET_NAME = re.compile(r"[\[\]:*?/\\]")
LONGEST_SHEET_NAME = 31
OPTIONS = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}

Facts = Sequence[tuple[str, str]]


def write_workbook(
    table: pl.DataFrame,
    header: Sequence[str],
    *,
    layout: Layout,
    path: Path,
    facts: Facts | None,
    last_row: int = LAST_ROW,
) -> None:
    """Write the table, and a Summary sheet with facts and counts if there are facts.

    Args:
        table: `row` and then one String column per title; no gaps in `row`.
        header: the titles.
        layout: sheet name, header row and first column of the upload.
        path: where to write.
        facts: labels and values; None for no Summary sheet.
        last_row: rows that one sheet holds; the rest goes to further sheets.
    """
    name = _sheet_name(layout.sheet or "Recipients")
    with Workbook(path, OPTIONS) as workbook:
        room = last_row - layout.header_row
        for number, start in enumerate(range(0, max(table.height, 1), room), 1):
            sheet = workbook.add_worksheet(name if number == 1 else _numbered(name, number))
            _write_sheet(workbook, sheet, table.slice(start, room), header=header, layout=layout)
        if facts is not None:
            taken = {sheet.name.casefold() for sheet in workbook.worksheets()}
            own = SUMMARY_SHEET if SUMMARY_SHEET.casefold() not in taken else _numbered(SUMMARY_SHEET, 2)
            _write_summary(workbook, own, facts=facts, counts=_counts(table))


def _write_sheet(
    workbook: Workbook, sheet: Worksheet, table: pl.DataFrame, *, header: Sequence[str], layout: Layout
) -> None:
    """One sheet with its header; rows are written in order, because the writer keeps only one in memory."""
    top, left = layout.header_row - 1, layout.first_column
    bold = workbook.add_format({"bold": True})
    cells = table.drop(ROW)
    for place, width in enumerate(_widths(cells, header)):
        sheet.set_column(left + place, left + place, width)
    sheet.freeze_panes(top + 1, 0)
    sheet.autofilter(top, left, top + table.height, left + len(header) - 1)
    for row, texts in layout.above:
        for place, text in enumerate(texts):
            if text:
                sheet.write_string(row - 1, left + place, _short(text))
    for place, title in enumerate(header):
        sheet.write_string(top, left + place, _short(title), bold)
    detail = len(header) - len(cells.columns) + cells.columns.index(DETAIL)
    for row, values in enumerate(_rows(cells), top + 1):
        line = _fitted(values, detail=detail)
        for place, value in enumerate(line, left):
            if value is not None:
                sheet.write_string(row, place, value)


def _rows(cells: pl.DataFrame) -> Iterator[tuple[str | None, ...]]:
    for piece in cells.iter_slices(ROWS_AT_ONCE):
        yield from piece.rows()


def _fitted(values: tuple[str | None, ...], *, detail: int) -> Sequence[str | None]:
    """The values, and a word in the detail if one had to be cut."""
    if not any(value is not None and _is_too_long(value) for value in values):
        return values
    short = [None if value is None else _short(value) for value in values]
    short[detail] = " ".join(text for text in (short[detail], CUT_DETAIL) if text)
    return short


def _is_too_long(text: str) -> bool:
    # No text of half the limit can reach it, and almost all are shorter than that.
    return len(text) > LONGEST_CELL // 2 and _excel_length(text) > LONGEST_CELL


def _excel_length(text: str) -> int:
    return len(text.encode("utf-16-le", errors="surrogatepass")) // 2


def _short(text: str) -> str:
    if not _is_too_long(text):
        return text
    units = text.encode("utf-16-le", errors="surrogatepass")[: KEPT_CHARACTERS * 2]
    return units.decode("utf-16-le", errors="ignore") + CUT_MARK


def _widths(cells: pl.DataFrame, header: Sequence[str]) -> list[int]:
    """Wide enough for the title and for most of the first rows."""
    first = cells.head(MEASURED_ROWS).select(pl.all().str.len_chars().quantile(0.9))
    longest = [int(width or 0) for width in first.row(0)]
    return [
        min(max(NARROWEST, len(title) + 4, width + 2), WIDEST) for title, width in zip(header, longest, strict=True)
    ]


def _sheet_name(text: str) -> str:
    return NOT_IN_A_SHEET_NAME.sub("-", text).strip("'")[:LONGEST_SHEET_NAME] or "Recipients"


def _numbered(name: str, number: int) -> str:
    """`Recipients (2)`, however long the name is."""
    end = f" ({number})"
    return name[: LONGEST_SHEET_NAME - len(end)] + end


def _counts(table: pl.DataFrame) -> list[tuple[str, int]]:
    """Each status and how many rows have it, the commonest first; blank rows have none."""
    counted = table.drop_nulls(STATUS).group_by(STATUS).len().sort("len", STATUS, descending=[True, False])
    return [(str(status), int(count)) for status, count in counted.rows()]


def _write_summary(workbook: Workbook, name: str, *, facts: Facts, counts: Sequence[tuple[str, int]]) -> None:
    """Facts, then the counts, then a chart of the counts."""
    sheet = workbook.add_worksheet(name)
    bold = workbook.add_format({"bold": True})
    sheet.set_column(0, 0, 24)
    sheet.set_column(1, 1, 40)
    for row, (label, value) in enumerate(facts):
        sheet.write_string(row, 0, _short(label), bold)
        sheet.write_string(row, 1, _short(value))
    top = len(facts) + 1
    sheet.write_string(top, 0, STATUS, bold)
    sheet.write_string(top, 1, "Rows", bold)
    for row, (status, count) in enumerate(counts, top + 1):
        sheet.write_string(row, 0, status)
        sheet.write_number(row, 1, count)
    if counts:
        _add_chart(workbook, sheet, name=name, first=top + 1, last=top + len(counts))


def _add_chart(workbook: Workbook, sheet: Worksheet, *, name: str, first: int, last: int) -> None:
    chart = workbook.add_chart({"type": "pie"})
    chart.add_series(
        {
            "name": STATUS,
            "categories": [name, first, 0, last, 0],
            "values": [name, first, 1, last, 1],
            "data_labels": {"value": True, "percentage": True},
        }
    )
    sheet.insert_chart(0, 3, chart)
