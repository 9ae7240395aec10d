"""Reading text with separators (CSV) into rows of text, exactly or not at all.

Only the process that `files.reading` starts calls this: its input is hostile. Rows are counted as a
spreadsheet program shows them: one a record, blank lines included, from 1.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import polars as pl

from domain.errors import FileErrorCode, FileProblem
from domain.frames import ROW, column, without_blank_rows
from files.encodings import LINE_END, Text, as_text
from files.layouts import Layout, Limits

SEPARATORS = (",", ";", "\t", "|")
SNIFFED_BYTES = 65_536
SNIFFED_RECORDS = 20
CELLS_AT_ONCE = 500_000
LONGEST_CELL = 1_000_000
"""Excel stops at 32,767 characters; what is longer is a quote that was never closed."""
BLANK_ABOVE = re.compile(rb"(?:[ ,;|\t]*(?:\r\n|\r|\n))*")
QUOTE = b'"'


@dataclass(frozen=True, slots=True)
class _Source:
    """The text from its header on, and where that stands."""

    text: Text
    separator: str
    header: tuple[str, ...]
    header_row: int
    file_name: str
    limits: Limits

    @property
    def width(self) -> int:
        return len(self.header)

    def refusal(self, code: FileErrorCode, what: str) -> FileProblem:
        return FileProblem(code, f"{self.file_name} {what}")


def read_delimited(content: bytes, *, file_name: str, limits: Limits) -> tuple[Layout, pl.DataFrame]:
    """Read a CSV.

    Returns:
        The layout, and ROWS without the blank rows.

    Raises:
        FileProblem: NOT_CSV_OR_EXCEL, UNREADABLE, EMPTY or TOO_LARGE, with the row where one is to blame.
    """
    source = _source(as_text(content, file_name=file_name), file_name=file_name, limits=limits)
    records = _plain_records(source)
    if records is None:
        records = _quoted_records(source)
    rows = without_blank_rows(records.with_row_index(ROW, offset=source.header_row).slice(1).cast({ROW: pl.UInt32}))
    if rows.is_empty():
        raise source.refusal(FileErrorCode.EMPTY, "has no rows below its header. Add the recipients to it.")
    layout = Layout(
        format="csv",
        header=source.header,
        header_row=source.header_row,
        encoding=source.text.encoding,
        separator=source.separator,
        line_end=source.text.line_end,
        quotes_all=_quotes_all(source),
    )
    return layout, rows


def _source(text: Text, *, file_name: str, limits: Limits) -> _Source:
    """Find the header and the separator."""
    above = BLANK_ABOVE.match(text.content)
    start = above.end() if above else 0
    header_row = 1 + len(LINE_END.findall(text.content, 0, start))
    begun = Text(text.content[start:], text.encoding, text.line_end)
    separator = _separator(begun.content)
    header = tuple(next(_first_records(begun.content, separator), []))
    source = _Source(begun, separator, header, header_row, file_name, limits)
    if not any(title.strip() for title in header):
        raise source.refusal(FileErrorCode.EMPTY, "holds nothing. Add a header and the recipients to it.")
    if source.width > limits.columns:
        raise source.refusal(
            FileErrorCode.TOO_LARGE,
            f"has {source.width:,} columns; at most {limits.columns:,} can be read. Delete those you do not need.",
        )
    return source


def _first_records(content: bytes, separator: str) -> Iterator[list[str]]:
    """The records of the beginning, without judging them."""
    piece = content[:SNIFFED_BYTES].decode("utf-8", errors="ignore")
    return csv.reader(io.StringIO(piece, newline=""), delimiter=separator)


def _separator(content: bytes) -> str:
    """The separator that cuts most of the first records into as many cells as the header; a comma if none does."""

    def fit(separator: str) -> tuple[float, int]:
        used = [len(record) for record in islice(_first_records(content, separator), SNIFFED_RECORDS) if record]
        if not used or used[0] == 1:
            return (0.0, 0)
        return (sum(width == used[0] for width in used) / len(used), used[0])

    return max(SEPARATORS, key=fit)


def _plain_records(source: _Source) -> pl.DataFrame | None:
    """All records of a text without any quote, where each line is one; None when that does not hold."""
    content = source.text.content
    if QUOTE in content:
        return None
    lines = content.replace(b"\r\n", b"\n")
    if b"\r" in lines:
        if b"\n" in lines:
            return None
        lines = lines.replace(b"\r", b"\n")
    count = lines.count(b"\n") + (not lines.endswith(b"\n"))
    _refuse_too_many(count - 1, source)
    schema = {column(index): pl.String for index in range(source.width)}
    try:
        records = pl.read_csv(lines, has_header=False, schema=schema, separator=source.separator, quote_char=None)
    except pl.exceptions.PolarsError:
        return None
    return records if records.height == count else None


def _quoted_records(source: _Source) -> pl.DataFrame:
    """All records, one by one: slower, and sure of every quote, line end and surplus cell."""
    csv.field_size_limit(LONGEST_CELL)
    lines = _Lines(source)
    reader = csv.reader(lines, delimiter=source.separator, strict=True)
    schema = {column(index): pl.String for index in range(source.width)}
    frames = [pl.DataFrame(schema=schema)]
    batch: list[list[str | None]] = []
    count = 0
    try:
        for record in reader:
            row = source.header_row + count
            _refuse_odd_line_end(lines.last, source, row=row)
            batch.append(_fitted(record, source, row=row))
            count += 1
            if len(batch) * source.width >= CELLS_AT_ONCE:
                _refuse_too_many(count - 1, source)
                frames.append(_frame(batch, schema))
                batch = []
    except csv.Error as fault:
        raise source.refusal(FileErrorCode.UNREADABLE, _quote_fault(fault, row=source.header_row + count)) from fault
    _refuse_too_many(count - 1, source)
    return pl.concat([*frames, _frame(batch, schema)])


class _Lines:
    """The lines of a text with their ends, remembering the one that was read last."""

    def __init__(self, source: _Source) -> None:
        self._lines = io.TextIOWrapper(io.BytesIO(source.text.content), encoding="utf-8", newline="")
        self.last = ""

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.last = line
            yield line


def _refuse_odd_line_end(line: str, source: _Source, *, row: int) -> None:
    """A lone carriage return among other line ends: it may end a row or stand in a cell, and nobody can tell."""
    if line.endswith(("\r", "\n")) and line.endswith("\r") != (source.text.line_end == "\r"):
        raise source.refusal(
            FileErrorCode.UNREADABLE,
            f"ends row {row} in another way than its header. Save the list again as CSV UTF-8, or as .xlsx.",
        )


def _frame(batch: list[list[str | None]], schema: dict[str, type[pl.String]]) -> pl.DataFrame:
    columns = zip(*batch, strict=True) if batch else ([] for _ in schema)
    return pl.DataFrame(dict(zip(schema, columns, strict=True)), schema=schema)


def _fitted(record: list[str], source: _Source, *, row: int) -> list[str | None]:
    """A record as wide as the header; a surplus cell must be empty, because nobody knows whose it is."""
    surplus = record[source.width :]
    if any(cell.strip() for cell in surplus):
        raise source.refusal(
            FileErrorCode.UNREADABLE,
            f"has {len(record)} cells in row {row}, but its header (row {source.header_row}) has {source.width}. "
            "Put quotes around values that contain the separator, or save the list as .xlsx.",
        )
    cells: list[str | None] = [cell or None for cell in record[: source.width]]
    return cells + [None] * (source.width - len(cells))


def _quote_fault(fault: csv.Error, *, row: int) -> str:
    if "expected after" in str(fault):
        return f'has text after a closing quote in row {row}. Write a quote in a value as "", or save it as .xlsx.'
    return f'has a quote (") in row {row} that is never closed. Close it, or save the list as .xlsx.'


def _refuse_too_many(rows: int, source: _Source) -> None:
    if rows > source.limits.rows:
        raise source.refusal(
            FileErrorCode.TOO_LARGE,
            f"has more than {source.limits.rows:,} rows. Split it and upload the parts one after the other.",
        )


def _quotes_all(source: _Source) -> bool:
    """Whether the header and the first record have quotes around every cell."""
    lines = LINE_END.split(source.text.content[:SNIFFED_BYTES], maxsplit=2)[:2]
    return all(line.startswith(QUOTE) and line.count(QUOTE) >= 2 * source.width for line in lines)
