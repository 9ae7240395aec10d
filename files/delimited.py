"""Reading text with separators (CSV) into rows of text, exactly or not at all.

Only the process that `files.reading` starts calls this: its input is hostile. Rows are counted as a
spreadsheet program shows them: one a record, blank lines included, from 1.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import polars as pl

from domain.errors import FileErrorCode, FileProblem
from domain.frames import ROW, column, without_blank_rows
from domain.titles import header_among
from files.encodings import LINE_END, Text, as_text
from files.layouts import Layout, Limits

SEPARATORS = (",", ";", "\t", "|")
SNIFFED_BYTES = 65_536
SNIFFED_RECORDS = 50
CELLS_AT_ONCE = 500_000
LONGEST_CELL = 1_000_000
"""Excel stops at 32,767 characters; what is longer is a quote that was never closed."""
BLANK_ABOVE = re.compile(rb"(?:[ ,;|\t]*(?:\r\n|\r|\n))*")
NAMED_SEPARATOR = re.compile(rb"\"?sep=([^\w\s\"]|\t)\"?(?:\r\n|\r|\n)", re.IGNORECASE)
"""The first line with which Excel is told the separator; it shows no row for it."""
QUOTE = b'"'


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
        start: where the header begins, in bytes.
    """

    separator: str
    known: int = 0
    fit: float = 0.0
    header: tuple[str, ...] = ()
    rows: int = 0
    above: tuple[tuple[int, tuple[str, ...]], ...] = ()
    start: int = 0


@dataclass(frozen=True, slots=True)
class _Source:
    """The text from its header on, and where that stands."""

    text: Text
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

    def refusal(self, code: FileErrorCode, what: str) -> FileProblem:
        return FileProblem(code, f"{self.file_name} {what}")


def read_delimited(
    content: bytes, *, file_name: str, limits: Limits, titles: Sequence[str] = ()
) -> tuple[Layout, pl.DataFrame]:
    """Read a CSV.

    Args:
        content: the bytes of the file.
        file_name: what to call it in messages.
        limits: what reading may cost.
        titles: what its columns may be called, to tell the header from what stands above it.

    Returns:
        The layout, and ROWS without the blank rows.

    Raises:
        FileProblem: NOT_CSV_OR_EXCEL, UNREADABLE, EMPTY or TOO_LARGE, with the row where one is to blame.
    """
    source = _source(as_text(content, file_name=file_name), file_name=file_name, limits=limits, titles=titles)
    records = _quick_records(source)
    if records is None:
        records = _quoted_records(source)
    rows = without_blank_rows(records.with_row_index(ROW, offset=source.header_row).slice(1).cast({ROW: pl.UInt32}))
    if rows.is_empty():
        raise source.refusal(FileErrorCode.EMPTY, "has no rows below its header. Add the recipients to it.")
    layout = Layout(
        format="csv",
        header=source.header,
        header_row=source.header_row,
        above=source.above,
        encoding=source.text.encoding,
        separator=source.separator,
        line_end=source.text.line_end,
        quotes_all=_quotes_all(source),
        names_separator=source.names_separator,
    )
    return layout, rows


def _source(text: Text, *, file_name: str, limits: Limits, titles: Sequence[str]) -> _Source:
    """Find the header and the separator."""
    named = NAMED_SEPARATOR.match(text.content)
    separators = (named[1].decode(),) if named else SEPARATORS
    body = text.content[named.end() :] if named else text.content
    blank = BLANK_ABOVE.match(body)
    start = blank.end() if blank else 0
    blank_rows = len(LINE_END.findall(body, 0, start))
    beginning = max(
        (_beginning(body[start : start + SNIFFED_BYTES], sign, titles) for sign in separators), key=_likelihood
    )
    start += beginning.start
    source = _Source(
        text=Text(body[start:] if start else body, text.encoding, text.line_end),
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
    lines = list(io.StringIO(content.decode("utf-8", errors="ignore"), newline=""))
    reader = csv.reader(lines, delimiter=separator)
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
        start=sum(len(line.encode()) for line in lines[: ends[top]]),
    )


def _quick_records(source: _Source) -> pl.DataFrame | None:
    """All records by the fast reader where its answer is proven; None where it is not."""
    content = _with_line_feeds(source.text.content)
    if content is None:
        return None
    quoted = QUOTE in content
    if not quoted:
        _refuse_too_many(content.count(b"\n") + (not content.endswith(b"\n")) - 1, source)
    try:
        records = pl.read_csv(
            content,
            has_header=False,
            schema=source.schema,
            separator=source.separator,
            quote_char='"' if quoted else None,
        )
    except pl.exceptions.PolarsError:
        return None
    if quoted:
        return _without_empty_texts(records) if _is_exact(records, content, source) else None
    return records if records.height == content.count(b"\n") + (not content.endswith(b"\n")) else None


def _with_line_feeds(content: bytes) -> bytes | None:
    """The text with a line feed at the end of each line; None when carriage returns stand anywhere else."""
    if b"\r" not in content:
        return content
    returns = content.count(b"\r")
    if returns == content.count(b"\r\n"):
        return content
    return content.replace(b"\r", b"\n") if b"\n" not in content and QUOTE not in content else None


def _is_exact(records: pl.DataFrame, content: bytes, source: _Source) -> bool:
    """Whether the same text comes back when the records are written: then no other reading is possible.

    The reader forgives what it must not, such as text after a closing quote, and nothing cheaper tells.
    """
    _refuse_too_many(records.height - 1, source)
    end = source.text.line_end.encode()
    lines = LINE_END.split(content[:SNIFFED_BYTES], maxsplit=2)
    all_quoted = len(lines) > 1 and _is_all_quoted(lines[1], source)
    written = io.BytesIO()
    records.slice(1).write_csv(
        written,
        include_header=False,
        separator=source.separator,
        line_terminator=source.text.line_end,
        quote_style="always" if all_quoted else "necessary",
    )
    body = written.getvalue() if content.endswith(b"\n") else written.getvalue().removesuffix(end)
    header = content[: len(content) - len(body)]
    return content.endswith(body) and _cut_line(header, source) == source.header


def _cut_line(line: bytes, source: _Source) -> tuple[str, ...] | None:
    """The cells of what should be one record; None if it is not."""
    try:
        records = list(csv.reader(io.StringIO(line.decode(), newline=""), delimiter=source.separator, strict=True))
    except (csv.Error, UnicodeDecodeError):
        return None
    return tuple(records[0]) if len(records) == 1 else None


def _without_empty_texts(records: pl.DataFrame) -> pl.DataFrame:
    """An empty cell is null, with quotes or without."""
    empty = records.select((pl.all() == "").any()).row(0)
    names = [name for name, has_empty in zip(records.columns, empty, strict=True) if has_empty]
    return records.with_columns(pl.when(pl.col(name) != "").then(pl.col(name)).alias(name) for name in names)


def _quoted_records(source: _Source) -> pl.DataFrame:
    """All records, one by one: slower, and sure of every quote, line end and surplus cell."""
    csv.field_size_limit(LONGEST_CELL)
    lines = _Lines(source)
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
        raise source.refusal(FileErrorCode.UNREADABLE, _quote_fault(fault, row=source.header_row + count)) from fault
    _refuse_too_many(count - 1, source)
    return pl.concat([*frames, _frame(batch, source.schema)])


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
    return all(_is_all_quoted(line, source) for line in lines)


def _is_all_quoted(line: bytes, source: _Source) -> bool:
    return line.startswith(QUOTE) and line.count(QUOTE) >= 2 * source.width
