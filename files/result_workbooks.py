"""Writing rows as a workbook: text stays text, nothing is lost without a word, and a summary may stand beside it.

XlsxWriter makes the workbook with everything but the rows, which Polars writes into the sheets of that
workbook as XML: cell by cell in Python they would take ten times as long.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from xlsxwriter.utility import xl_col_to_name
from xlsxwriter.workbook import Workbook
from xlsxwriter.worksheet import Worksheet

from domain.correction import CUT_MARK
from domain.frames import ROW
from files.layouts import Layout

LAST_ROW = 1_048_576
LONGEST_CELL = 32_767
"""Excel's limit, counted as UTF-16 does: an emoji is two. With a longer text it calls the file damaged."""
KEPT_CHARACTERS = 32_000
CUT_DETAIL = "A value of this row was too long for Excel and is cut in this file."
ROWS_AT_ONCE = 20_000
COMPRESSION = 2
"""Of zlib's levels: half the time of the usual 6 for a file that is a fifth larger."""
NARROWEST, WIDEST, MEASURED_ROWS = 10, 50, 200
STATUS, DETAIL = "Sending Status", "Status Detail"
SUMMARY_SHEET = "Summary"
NOT_IN_A_SHEET_NAME = re.compile(r"[\[\]:*?/\\]")
LONGEST_SHEET_NAME = 31
OPTIONS = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
END_OF_ROWS = b"</sheetData>"

UNWRITABLE = [chr(code) for code in (*range(9), 11, 12, *range(13, 32), 0xFFFE, 0xFFFF)]
"""Characters that XML cannot hold, and the carriage return, which it would read as a line feed."""
WRITTEN = {"&": "&amp;", "<": "&lt;", ">": "&gt;"} | {sign: f"_x{ord(sign):04X}_" for sign in UNWRITABLE}
LOOKS_WRITTEN = "_x[0-9A-Fa-f]{4}_"
NEEDS_CARE = rf"[&<>{''.join(UNWRITABLE)}]|{LOOKS_WRITTEN}|^\s|\s$"

Facts = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Part:
    """A sheet's part in the zip, and the rows that belong below its header."""

    name: str
    rows: pl.DataFrame
    top: int
    left: int


def write_workbook(
    table: pl.DataFrame,
    header: Sequence[str],
    *,
    layout: Layout,
    path: Path,
    facts: Facts | None = None,
    noted: str = DETAIL,
    last_row: int = LAST_ROW,
) -> None:
    """Write the table, and a Summary sheet with facts and counts if there are facts.

    Args:
        table: `row` and then one String column per title; its rows stand below each other, whatever their numbers.
        header: the titles.
        layout: sheet name, header row and first column of the upload.
        path: where to write.
        facts: labels and values; None for no Summary sheet.
        noted: the column that says of a row that a value of it had to be cut.
        last_row: rows that one sheet holds; the rest goes to further sheets.
    """
    name = _sheet_name(layout.sheet or "Recipients")
    book, parts = io.BytesIO(), []
    with Workbook(book, OPTIONS) as workbook:
        room = last_row - layout.header_row
        for number, start in enumerate(range(0, max(table.height, 1), room), 1):
            sheet = workbook.add_worksheet(name if number == 1 else _numbered(name, number))
            rows = table.slice(start, room).drop(ROW)
            _write_frame(workbook, sheet, rows, header=header, layout=layout)
            part = f"xl/worksheets/sheet{number}.xml"
            parts.append(_Part(part, rows, top=layout.header_row, left=layout.first_column))
        if facts is not None:
            taken = {sheet.name.casefold() for sheet in workbook.worksheets()}
            own = SUMMARY_SHEET if SUMMARY_SHEET.casefold() not in taken else _numbered(SUMMARY_SHEET, 2)
            _write_summary(workbook, own, facts=facts, counts=_counts(table))
    _fill(book, parts, path=path, noted=noted)


def _write_frame(
    workbook: Workbook, sheet: Worksheet, rows: pl.DataFrame, *, header: Sequence[str], layout: Layout
) -> None:
    """A sheet without its rows: what stands above the header, the header, widths, the filter."""
    top, left = layout.header_row - 1, layout.first_column
    bold = workbook.add_format({"bold": True})
    for place, width in enumerate(_widths(rows, header)):
        sheet.set_column(left + place, left + place, width)
    sheet.freeze_panes(top + 1, 0)
    sheet.autofilter(top, left, top + rows.height, left + len(header) - 1)
    for row, texts in layout.above:
        for place, text in enumerate(texts):
            if text:
                sheet.write_string(row - 1, left + place, _short(text))
    for place, title in enumerate(header):
        sheet.write_string(top, left + place, _short(title), bold)
    # Readers that trust the dimension of a sheet stop at its end.
    sheet.dim_rowmax = top + rows.height


def _fill(book: io.BytesIO, parts: Sequence[_Part], *, path: Path, noted: str) -> None:
    """The workbook again, with its rows."""
    part_of = {part.name: part for part in parts}
    with (
        zipfile.ZipFile(book) as frame,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION) as target,
    ):
        for name in frame.namelist():
            content = frame.read(name)
            if name not in part_of:
                target.writestr(name, content)
                continue
            before, end, after = content.partition(END_OF_ROWS)
            with target.open(name, "w", force_zip64=True) as sheet:
                sheet.write(before)
                for xml in _rows(part_of[name], noted=noted):
                    xml.write_csv(sheet, include_header=False, quote_style="never")
                sheet.write(end + after)


def _rows(part: _Part, *, noted: str) -> Iterator[pl.DataFrame]:
    """One text a row."""
    numbers = part.rows.with_row_index(ROW, offset=part.top + 1)
    for piece in numbers.iter_slices(ROWS_AT_ONCE):
        short = _fitted(piece, noted=noted)
        cells = short.drop(ROW)
        care = cells.select(pl.all().str.contains(NEEDS_CARE).any()).row(0)
        number = pl.col(ROW).cast(pl.String)
        texts = (
            _cell(name, xl_col_to_name(part.left + place), number=number, with_care=bool(careful))
            for place, (name, careful) in enumerate(zip(cells.columns, care, strict=True))
        )
        row = pl.concat_str(pl.lit('<row r="'), number, pl.lit('">'), *texts, pl.lit("</row>"), ignore_nulls=True)
        yield short.select(row)


def _cell(name: str, letter: str, *, number: pl.Expr, with_care: bool) -> pl.Expr:
    """A cell as text of its own, so that nothing in it is a number, a formula or a link; null for an empty one."""
    text, space = pl.col(name), ""
    if with_care:
        guarded = text.str.replace_all("_x", "_x005F_x", literal=True)
        text = pl.when(text.str.contains(LOOKS_WRITTEN)).then(guarded).otherwise(text)
        text = text.str.replace_many(WRITTEN)
        space = ' xml:space="preserve"'
    begin = pl.lit(f'" t="inlineStr"><is><t{space}>')
    return pl.concat_str(pl.lit(f'<c r="{letter}'), number, begin, text, pl.lit("</t></is></c>"))


def _fitted(piece: pl.DataFrame, *, noted: str) -> pl.DataFrame:
    """Values that Excel can hold, and a word in `noted` where one had to be cut."""
    long = piece.filter(pl.any_horizontal(pl.exclude(ROW).str.len_bytes() > LONGEST_CELL))
    lines = [line for values in long.iter_rows(named=True) if (line := _cut(values, noted=noted))]
    return piece.update(pl.DataFrame(lines, schema=piece.schema), on=ROW) if lines else piece


def _cut(values: dict[str, Any], *, noted: str) -> dict[str, Any] | None:
    """A row with its long values cut; None where all fit."""
    short = {name: _short(value) if isinstance(value, str) else value for name, value in values.items()}
    if short == values:
        return None
    return short | {noted: " ".join(text for text in (short[noted], CUT_DETAIL) if text)}


def _excel_length(text: str) -> int:
    return len(text.encode("utf-16-le", errors="surrogatepass")) // 2


def _short(text: str) -> str:
    if _excel_length(text) <= LONGEST_CELL:
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
