"""The operator's own file again: same rows, same order, same format, with our columns at its end.

Nothing is put before a text that begins like a formula: the operator would upload that with it again. A
workbook says that it is text. A CSV cannot; what we add to one never begins so.
"""

from __future__ import annotations

import codecs
import csv
import io
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from domain.frames import PROBLEM, ROW, STATUSES
from files.encodings import UTF_16
from files.layouts import Encoding, Layout, is_legacy
from files.result_workbooks import DETAIL, Facts, write_workbook

PIECE = 2**20
STATUS_COLUMNS = tuple(name for name in STATUSES if name != ROW)


@dataclass(frozen=True, slots=True)
class Summary:
    """What the second sheet of a result workbook says of the batch, as pairs of a label and a value, in their order."""

    facts: tuple[tuple[str, str], ...]


def write_result(
    rows: pl.DataFrame, statuses: pl.DataFrame, *, layout: Layout, path: Path, summary: Summary | None = None
) -> None:
    """Write the result file; it is there whole or not at all.

    Every original cell keeps its text, every row its number: blank rows stay blank rows. A text cell
    stays text, whatever it begins with.

    Args:
        rows: ROWS as they were read.
        statuses: STATUSES; a row without a line gets empty statuses.
        layout: how the uploaded file was laid out.
        path: where to write; a file that is there is replaced.
        summary: facts for the Summary sheet of a workbook; a CSV has no second sheet.
    """
    table = _with_blank_rows(_side_by_side(rows, statuses), layout)
    header = (*layout.header, *STATUS_COLUMNS)
    facts = None if summary is None else summary.facts
    _write(table, header, layout=layout, path=path, facts=facts, noted=DETAIL)


def write_bad_rows(rows: pl.DataFrame, sentences: pl.DataFrame, *, layout: Layout, path: Path) -> None:
    """Write the rows that must be corrected, to be corrected there and uploaded again; whole or not at all.

    The file is read like the upload: the same columns, then `Problem`, which begins with the row's number there.
    It is in UTF-8 where the upload was in an older encoding: so few rows may not say in which.

    Args:
        rows: ROWS as they were read.
        sentences: BAD_ROWS; the rows without a line are left out.
        layout: how the uploaded file was laid out.
        path: where to write; a file that is there is replaced.
    """
    if is_legacy(layout.encoding):
        layout = replace(layout, encoding="utf-8-sig")
    table = rows.join(sentences, on=ROW, how="inner", maintain_order="left")
    _write(table, (*layout.header, PROBLEM), layout=layout, path=path, facts=None, noted=PROBLEM)


def _write(
    table: pl.DataFrame, header: tuple[str, ...], *, layout: Layout, path: Path, facts: Facts | None, noted: str
) -> None:
    part = path.with_name(path.name + ".part")
    try:
        if layout.format == "csv":
            _write_csv(table, header, layout=layout, path=part)
        else:
            write_workbook(table, header, layout=layout, path=part, facts=facts, noted=noted)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _side_by_side(rows: pl.DataFrame, statuses: pl.DataFrame) -> pl.DataFrame:
    """Each row with its statuses; the usual ones, a line for each row in order, without a copy of every text."""
    if rows[ROW].equals(statuses[ROW]):
        return rows.hstack(statuses.drop(ROW))
    return rows.join(statuses, on=ROW, how="left", maintain_order="left")


def _with_blank_rows(table: pl.DataFrame, layout: Layout) -> pl.DataFrame:
    """Every row number below the header once, so that line n of the file is row n."""
    last = table[ROW].max()
    if not isinstance(last, int) or last - layout.header_row == table.height:
        return table
    numbers = pl.int_range(layout.header_row + 1, last + 1, dtype=pl.UInt32, eager=True).alias(ROW)
    return numbers.to_frame().join(table, on=ROW, how="left", maintain_order="left")


def _write_csv(table: pl.DataFrame, header: tuple[str, ...], *, layout: Layout, path: Path) -> None:
    """In the upload's own separator, line end, encoding and quotes."""
    cells = table.drop(ROW)
    titles = pl.DataFrame([header], schema=cells.schema, orient="row")
    utf8 = path.with_name(path.name + ".utf8")
    try:
        with utf8.open("wb") as file:
            file.write(codecs.BOM_UTF8 if layout.encoding == "utf-8-sig" else b"")
            file.write(_above(layout).encode())
            for frame in (titles, cells):
                frame.write_csv(
                    file,
                    include_header=False,
                    separator=layout.separator,
                    line_terminator=layout.line_end,
                    quote_style="always" if layout.quotes_all else "necessary",
                )
        if layout.encoding.startswith("utf-8"):
            utf8.replace(path)
        else:
            _encode(utf8, path, encoding=layout.encoding)
    finally:
        utf8.unlink(missing_ok=True)


def _above(layout: Layout) -> str:
    """What stands above the header: the line that names the separator, titles of a report, blank rows."""
    above = dict(layout.above)
    text = io.StringIO(newline="")
    if layout.names_separator:
        text.write(f"sep={layout.separator}{layout.line_end}")
    writer = csv.writer(text, delimiter=layout.separator, lineterminator=layout.line_end)
    for row in range(1, layout.header_row):
        writer.writerow(above.get(row, ()))
    return text.getvalue()


def _encode(source: Path, target: Path, *, encoding: Encoding) -> None:
    """From UTF-8, piece by piece, UTF-16 with its mark; in UTF-8 with its mark what an older encoding has no letter for.

    That is never a cell of the upload, but a status may name anything.
    """
    try:
        with source.open(encoding="utf-8", newline="") as text, target.open("wb") as file:
            file.write("\ufeff".encode(encoding) if encoding in UTF_16 else b"")
            while piece := text.read(PIECE):
                file.write(piece.encode(encoding))
    except UnicodeEncodeError:
        with source.open("rb") as text_in_utf8, target.open("wb") as file:
            file.write(codecs.BOM_UTF8)
            shutil.copyfileobj(text_in_utf8, file, PIECE)
