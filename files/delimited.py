"""Reading text with separators (CSV) into rows of text, exactly or not at all.

Only the process that `files.reading` starts calls this: its input is hostile. Rows are counted as a
spreadsheet program shows them: one a record, blank lines included, from 1.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import polars as pl

from domain.errors import FileErrorCode, FileProblem
from domain.frames import ROW, column, without_blank_rows
from domain.titles import columns_titled, header_among
from files.cutting import Bounds, Dialect, TooManyRows, cut
from files.encodings import LINE_END, QUOTE, NotUtf8, Text, as_text, in_utf8, refuse_what_is_not_utf8
from files.handover import holds_rows, written
from files.layouts import Layout, Limits

SEPARATORS = (",", ";", "\t", "|")
SNIFFED_RECORDS = 50
CELLS_AT_ONCE = 500_000
LONGEST_CELL = 1_000_000
"""Excel stops at 32,767 characters; what is longer is a quote that was never closed."""
BLANK_ABOVE = re.compile(rb"(?:[ ,;|\t]*(?:\r\n|\r|\n))*")
NAMED_SEPARATOR = re.compile(rb"\"?sep=([!#-/:-@\[-`{-~]|\t)\"?(?:\r\n|\r|\n)", re.IGNORECASE)
"""The first line with which Excel is told the separator; it shows no row for it."""
ESCAPED_QUOTE = b'\\"'
ESCAPED = re.compile(rb"\\([\"\\])")
STAND_IN = "\0"
"""For a quote while the cells are cut; no text that comes so far has one."""


@dataclass(frozen=True, slots=True)
class _Beginning:
    """Where the header stands if the cells are cut by one separator, and how well they then fit together.

    Attributes:
        separator: the one that was tried.
        known: how many of the wanted titles the header has.
        fit: the share of records that are as wide as the header; 0 when that has one cell only.
        header: its cells.
        rows: how many records stand above it.
        above: those that are not blank, with their numbers from 1.
        start, end: where the header begins and ends, in bytes.
    """

    separator: str
    known: int = 0
    fit: float = 0.0
    header: tuple[str, ...] = ()
    rows: int = 0
    above: tuple[tuple[int, tuple[str, ...]], ...] = ()
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class _Source:
    """A text, and where in it the header stands: its bytes and its row."""

    text: Text
    start: int
    end: int
    separator: str
    header: tuple[str, ...]
    file_name: str
    limits: Limits
    header_row: int = 1
    above: tuple[tuple[int, tuple[str, ...]], ...] = ()
    names_separator: bool = False
    schema: dict[str, type[pl.String]] = field(default_factory=dict)

    @property
    def width(self) -> int:
        return len(self.header)

    @property
    def records(self) -> bytes:
        """The text from its header on."""
        return self.text.whole()[self.start :]

    def refusal(self, code: FileErrorCode, what: str) -> FileProblem:
        return FileProblem(code, f"{self.file_name} {what}")


def read_delimited(
    path: Path, *, file_name: str, limits: Limits, titles: Sequence[str] = (), with_others: bool = True
) -> tuple[Layout, BinaryIO]:
    """Read a CSV.

    Args:
        path: where the bytes are.
        file_name: what to call it in messages.
        limits: what reading may cost.
        titles: what its columns may be called, to tell the header from what stands above it.
        with_others: whether columns with other titles are wanted too.

    Returns:
        The layout, and the wanted columns of ROWS without the blank rows, as `files.handover` maps them.

    Raises:
        FileProblem: NOT_CSV_OR_EXCEL, UNREADABLE, EMPTY or TOO_LARGE, with the row where one is to blame.
    """
    text = as_text(path, file_name=file_name)
    try:
        return _read(text, file_name=file_name, limits=limits, titles=titles, with_others=with_others)
    except NotUtf8 as fault:
        if text.encoding != "utf-8":
            raise
        text = in_utf8(text, fault, file_name=file_name)
    return _read(text, file_name=file_name, limits=limits, titles=titles, with_others=with_others)


def _read(
    text: Text, *, file_name: str, limits: Limits, titles: Sequence[str], with_others: bool
) -> tuple[Layout, BinaryIO]:
    """Its layout and its rows."""
    source = _source(text, file_name=file_name, limits=limits, titles=titles)
    wanted = columns_titled(source.header, titles, with_others=with_others)
    file = _quick_records(source, wanted) or _written(_sure_records(source), wanted)
    if not holds_rows(file):
        raise source.refusal(FileErrorCode.EMPTY, "has no rows below its header. Add the recipients to it.")
    layout = Layout(
        format="csv",
        header=source.header,
        header_row=source.header_row,
        above=source.above,
        encoding=text.encoding,
        separator=source.separator,
        line_end=text.line_end,
        quotes_all=_quotes_all(source),
        names_separator=source.names_separator,
    )
    return layout, file


def _source(text: Text, *, file_name: str, limits: Limits, titles: Sequence[str]) -> _Source:
    """Find the header and the separator."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(text.beginning)
    except UnicodeDecodeError:
        refuse_what_is_not_utf8(text, file_name=file_name)
    named = NAMED_SEPARATOR.match(text.beginning)
    separators = (named[1].decode(),) if named else SEPARATORS
    start = named.end() if named else 0
    blank = BLANK_ABOVE.match(text.beginning, start)
    blank_rows = 0
    if blank:
        blank_rows = len(LINE_END.findall(text.beginning, start, blank.end()))
        start = blank.end()
    beginning = max((_beginning(text.beginning[start:], sign, titles) for sign in separators), key=_likelihood)
    source = _Source(
        text=text,
        start=start + beginning.start,
        end=start + beginning.end,
        separator=beginning.separator,
        header=beginning.header,
        file_name=file_name,
        limits=limits,
        header_row=1 + blank_rows + beginning.rows,
        above=tuple((blank_rows + row, cells) for row, cells in beginning.above),
        names_separator=named is not None,
        schema={column(index): pl.String for index in range(len(beginning.header))},
    )
    _refuse_header(source)
    return source


def _refuse_header(source: _Source) -> None:
    if not any(title.strip() for title in source.header):
        raise source.refusal(FileErrorCode.EMPTY, "holds nothing. Add a header and the recipients to it.")
    if source.width > source.limits.columns:
        raise source.refusal(
            FileErrorCode.TOO_LARGE,
            f"has {source.width:,} columns; at most {source.limits.columns:,} can be read. Delete those you do not need.",
        )


def _likelihood(beginning: _Beginning) -> tuple[int, float, int]:
    """More titles that are wanted, then more records of one width, then more cells; a comma if nothing tells."""
    return beginning.known, beginning.fit, len(beginning.header) if beginning.fit else 0


def _beginning(content: bytes, separator: str, titles: Sequence[str]) -> _Beginning:
    """Cut the first records by a separator, without judging them."""
    lines: list[str] = []
    reader = csv.reader(
        _kept(io.StringIO(content.decode("utf-8", errors="ignore"), newline=""), lines), delimiter=separator
    )
    records: list[list[str]] = []
    ends = [0]
    for record in islice(reader, SNIFFED_RECORDS):
        records.append(record)
        ends.append(reader.line_num)
    filled = [number for number, record in enumerate(records) if any(cell.strip() for cell in record)]
    if not filled:
        return _Beginning(separator)
    place, known = header_among([records[number] for number in filled], titles)
    top = filled[place]
    header = tuple(records[top])
    below = [len(record) for record in records[top:] if record]
    return _Beginning(
        separator=separator,
        known=known,
        fit=sum(width == len(header) for width in below) / len(below) if len(header) > 1 else 0.0,
        header=header,
        rows=top,
        above=tuple((1 + number, tuple(records[number])) for number in filled[:place]),
        start=_size(lines[: ends[top]]),
        end=_size(lines[: ends[top + 1]]),
    )


def _kept(lines: Iterable[str], read: list[str]) -> Iterator[str]:
    """The lines, of which those that were taken stand in `read` then."""
    for line in lines:
        read.append(line)
        yield line


def _size(lines: Sequence[str]) -> int:
    return sum(len(line.encode()) for line in lines)


def _written(records: pl.DataFrame, wanted: Sequence[int]) -> BinaryIO:
    return written(without_blank_rows(records).select(ROW, *map(column, wanted)))


def _quick_records(source: _Source, wanted: tuple[int, ...]) -> BinaryIO | None:
    """The wanted columns of ROWS without the blank ones, if it is proven that there is one way to read them; else None."""
    text = source.text
    if text.quoted and not _is_header_sure(source):
        return None
    content: Path | bytes = text.source
    start = text.skipped + source.end
    if text.returns != text.pairs:
        lines = _with_line_feeds(source)
        if lines is None:
            return None
        content, start = lines, lines.find(b"\n") + 1 or len(lines)
    dialect = Dialect(source.separator, source.width, quoted=text.quoted, wanted=wanted)
    bounds = Bounds(source.limits.rows, source.limits.memory_bytes)
    try:
        return cut(content, dialect, bounds, start=start, first_row=source.header_row + 1)
    except TooManyRows as fault:
        raise _too_many(source) from fault


def _is_header_sure(source: _Source) -> bool:
    """Whether a reader that forgives nothing reads the same header as the one that found it."""
    header = io.StringIO(source.text.beginning[source.start : source.end].decode(), newline="")
    try:
        return list(csv.reader(header, delimiter=source.separator, strict=True)) == [list(source.header)]
    except csv.Error:
        return False


def _with_line_feeds(source: _Source) -> bytes | None:
    """The text from its header on, with line feeds for carriage returns that stand alone.

    One ends a line where all do, or where each record is as wide as the header then. Otherwise it may as well stand
    in a cell: None.
    """
    text = source.text
    if text.quoted:
        return None
    lines = LINE_END.sub(b"\n", source.records)
    separator = source.separator.encode()
    if text.count(b"\n") == 0 or (
        source.width > 1 and all(line.count(separator) == source.width - 1 for line in lines.split(b"\n") if line)
    ):
        return lines
    return None


def _sure_records(source: _Source) -> pl.DataFrame:
    """ROWS from all records, one by one: slower, and sure of every quote, line end and surplus cell.

    Where quotes in a cell are not doubled, they may have a backslash before them instead.
    """
    refuse_what_is_not_utf8(source.text, file_name=source.file_name)
    csv.field_size_limit(LONGEST_CELL)
    content = source.records
    try:
        return _cut_records(content, source)
    except _QuoteFault as fault:
        if ESCAPED_QUOTE not in content or ESCAPED_QUOTE in source.text.beginning[: source.end]:
            raise
        with suppress(FileProblem):
            records = _cut_records(ESCAPED.sub(_unescaped, content), source)
            return records.with_columns(pl.exclude(ROW).str.replace_all(STAND_IN, '"', literal=True))
        raise fault  # noqa: TRY201 - the other reading's fault would say what the operator never wrote


def _unescaped(found: re.Match[bytes]) -> bytes:
    return STAND_IN.encode() if found[1] == QUOTE else found[1]


class _QuoteFault(FileProblem):
    """A quote that does not stand where one may."""


def _cut_records(content: bytes, source: _Source) -> pl.DataFrame:
    lines = _Lines(content)
    reader = csv.reader(lines, delimiter=source.separator, strict=True)
    frames = [pl.DataFrame(schema=source.schema)]
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
                frames.append(_frame(batch, source.schema))
                batch = []
    except csv.Error as fault:
        what = _quote_fault(fault, row=source.header_row + count)
        raise _QuoteFault(FileErrorCode.UNREADABLE, f"{source.file_name} {what}") from fault
    _refuse_too_many(count - 1, source)
    records = pl.concat([*frames, _frame(batch, source.schema)])
    return records.with_row_index(ROW, offset=source.header_row).slice(1)


class _Lines:
    """The lines of a text with their ends, remembering the one that was read last."""

    def __init__(self, content: bytes) -> None:
        self._lines = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", newline="")
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
        raise _too_many(source)


def _too_many(source: _Source) -> FileProblem:
    return source.refusal(
        FileErrorCode.TOO_LARGE,
        f"has more than {source.limits.rows:,} rows. Split it and upload the parts one after the other.",
    )


def _quotes_all(source: _Source) -> bool:
    """Whether the header and the first record have quotes around every cell."""
    lines = LINE_END.split(source.text.beginning[source.start :], maxsplit=2)[:2]
    return all(line.startswith(QUOTE) and line.count(QUOTE) >= 2 * source.width for line in lines)
