"""Cutting a text with separators into cells in one pass over its bytes: exactly, or not at all.

Its marks are separators, line ends and quotes. Where quotes stand only around whole cells, and doubled inside those,
there is one way to read the text, and the neighbours of each quote tell: just before one that opens is a mark or
nothing, just behind one that closes a mark or the end of the line. The cells are views of the text where it lies
(`files.handover`), so none is copied, and the text is looked at in pieces that stay in the processor's cache.
"""

from __future__ import annotations

import mmap
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from domain.frames import ROW, column
from files.handover import NO_BUFFER, NUMBERS, TEXTS, Column, append, behind, finish, nameless_file, put

SPARE = 64
"""Bytes before and behind the text, so that a view can be taken from wherever a cell begins."""
PIECE = 2**19
LARGEST_PIECE = 2**24
"""A text with a longer line is hardly a list."""
FARTHEST = 2**31
"""So far a view can point."""
NUMBER_BYTES = 4
VIEW_BYTES = 16
INLINE_BYTES = 12
"""Of a text that a view holds itself."""
SIZE_BYTES = 4
NEW_LINE, RETURN, QUOTE = b'\n\r"'
LAST_OF_ASCII = 127
FIRST_SIGN, LAST_SIGN = b"!~"
"""Of ASCII; what lies between shows something."""
MASKS = np.frombuffer(
    b"".join(b"\0" * SIZE_BYTES + b"\xff" * size + b"\0" * (INLINE_BYTES - size) for size in range(INLINE_BYTES + 1)),
    "V16",
)
"""What of the bytes from 4 before a cell on belongs into its view, by the cell's size."""

Bytes = NDArray[np.uint8]
Places = NDArray[np.int64]
Flags = NDArray[np.bool_]
NOWHERE = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a text is cut.

    Attributes:
        separator: one character of ASCII.
        width: how many cells a record has; missing ones are null, surplus ones must be blank.
        quoted: whether there are quotes in the text.
        wanted: the places of the cells that are handed over.
    """

    separator: str
    width: int
    quoted: bool
    wanted: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Bounds:
    """So many records may be cut, and so many bytes be handed over."""

    rows: int
    bytes: int


class TooManyRows(Exception):
    """More than the bounds allow."""


class _Doubt(Exception):
    """There is no one way to read the text, or none at all."""


def cut(source: Path | bytes, dialect: Dialect, bounds: Bounds, *, start: int, first_row: int) -> BinaryIO | None:
    """Cut the records of a text.

    Args:
        source: UTF-8, each line of which ends with a line feed, the last one perhaps without.
        dialect: how to cut it.
        bounds: what must not be exceeded.
        start: where in it the records begin.
        first_row: the number of the first of them.

    Returns:
        The wanted columns of ROWS without the blank rows, as `files.handover` maps them; None where it is not certain
        what they are.

    Raises:
        TooManyRows: beyond the bounds.
        MemoryError: beyond the other one.
    """
    file, end = _copied(source)
    if end > FARTHEST:
        return None
    data = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    start += SPARE
    most_rows = 1 + sum(
        int(np.count_nonzero(data[place : min(end, place + PIECE)] == NEW_LINE)) for place in range(start, end, PIECE)
    )
    rows = _Rows(file, data, end, dialect.wanted, min(most_rows, bounds.rows + 1))
    if rows.end > bounds.bytes:
        raise MemoryError
    row = first_row
    try:
        for starts, stops in _records(file, data, dialect, start=start, end=end):
            rows.add(starts, stops, row=row)
            row += len(starts)
            if row - first_row > bounds.rows:
                raise TooManyRows
    except _Doubt:
        return None
    rows.finish()
    return file


def _copied(source: Path | bytes) -> tuple[BinaryIO, int]:
    """The text in a nameless file, so that nobody else can change what is read; and where it ends."""
    file = nameless_file()
    file.seek(SPARE)
    if isinstance(source, bytes):
        put(file, source, at=SPARE)
    else:
        with source.open("rb", buffering=0) as content:
            _copy(content, file)
    end = file.seek(0, os.SEEK_END)
    file.truncate(end + SPARE)
    return file, end


def _copy(content: BinaryIO, file: BinaryIO) -> None:
    """All of a file to where another one is, if the system can without showing it to this process."""
    if not hasattr(os, "sendfile") or sys.platform != "linux":  # elsewhere only to a socket
        shutil.copyfileobj(content, file, PIECE)
        return
    while os.sendfile(file.fileno(), content.fileno(), None, PIECE):
        pass


def _records(file: BinaryIO, data: Bytes, dialect: Dialect, *, start: int, end: int) -> Iterator[tuple[Places, Places]]:
    """Where the cells begin and end, in arrays of a record a line; quotes around them are left out.

    A cell that holds doubled quotes is written anew with single ones, where it stands.
    """
    size = PIECE
    while start < end:
        piece = data[start : min(end, start + size)]
        marks = _marks(piece, dialect, is_last=start + len(piece) == end)
        if marks is None:
            size *= 2
            if size > LARGEST_PIECE:
                raise _Doubt
            continue
        used = int(marks.places[-1]) + 1
        _refuse_what_is_not_utf8(piece[:used])
        cuts = _cuts(piece, marks)
        if len(cuts.doubled):
            piece = piece.copy()  # to write to the mapped text itself would take a fault a page
        starts, stops = _in_records(piece, cuts, dialect)
        if len(cuts.doubled):
            put(file, piece.data, at=start)
        yield starts + start, stops + start
        start += used
        size = PIECE


def _refuse_what_is_not_utf8(piece: Bytes) -> None:
    """Decode what is not ASCII, each run with the byte behind it, so that none is taken for the rest of another."""
    shown = piece > LAST_OF_ASCII
    shown[1:] |= shown[:-1]
    try:
        piece.take(np.flatnonzero(shown)).tobytes().decode()
    except UnicodeDecodeError as fault:
        raise _Doubt from fault


@dataclass(frozen=True, slots=True)
class _Marks:
    """The marks of a piece: where they are, what, and whether they stand in quotes, or open them; None where there are none."""

    places: Places
    signs: Bytes
    inside: Flags | None


def _marks(piece: Bytes, dialect: Dialect, *, is_last: bool) -> _Marks | None:
    """All marks up to the last line end outside quotes; None if there is no such end.

    The end of the whole text is a line end too, if it has none.
    """
    is_mark = piece == ord(dialect.separator)
    is_mark |= piece == NEW_LINE
    if dialect.quoted:
        is_quote = piece == QUOTE
        if np.count_nonzero(is_quote) > np.count_nonzero(is_mark):
            marks = _up_to_the_end(piece, np.flatnonzero(is_mark), is_last=is_last)
            if marks is not None and _is_all_quoted(piece, is_quote, marks):
                return marks
        is_mark |= is_quote
    return _up_to_the_end(piece, np.flatnonzero(is_mark), is_last=is_last)


def _up_to_the_end(piece: Bytes, places: Places, *, is_last: bool) -> _Marks | None:
    """The marks at these places up to the last line end outside of those quotes that are among them."""
    signs = piece[places]
    if is_last and piece[-1] != NEW_LINE:
        places, signs = np.append(places, len(piece)), np.append(signs, np.uint8(NEW_LINE))
    is_end = signs == NEW_LINE
    inside: Flags | None = None
    if (is_quote := signs == QUOTE).any():
        inside = (np.cumsum(is_quote, dtype=np.uint32) & 1).astype(np.bool_)  # in bytes it takes three times as long
        is_end &= ~inside & ~is_quote
    ends = np.flatnonzero(is_end)
    if is_last and (not len(ends) or ends[-1] != len(signs) - 1):
        raise _Doubt
    if not len(ends):
        return None
    used = slice(int(ends[-1]) + 1)
    return _Marks(places[used], signs[used], None if inside is None else inside[used])


def _is_all_quoted(piece: Bytes, is_quote: Flags, marks: _Marks) -> bool:
    """Whether all between these separators and line ends begins and ends with a quote, and there are no others.

    Then they stand in no quotes, and the quotes themselves, two thirds of all marks, need no look.
    """
    places = marks.places
    if 2 * len(places) != np.count_nonzero(is_quote[: places[-1] + 1]):
        return False
    first, last = np.concatenate([[0], places[:-1] + 1]), places - 1
    last -= (piece[last] == RETURN) & (marks.signs == NEW_LINE)
    return bool((first < last).all() and is_quote[first].all() and is_quote[last].all())


@dataclass(frozen=True, slots=True)
class _Cuts:
    """Where cells end, whether the record ends there too, and the places of the second of two doubled quotes."""

    places: Places
    is_end: Flags
    doubled: Places


def _cuts(piece: Bytes, marks: _Marks) -> _Cuts:
    """The cuts of a piece whose quotes are where they may be."""
    places, signs, inside = marks.places, marks.signs, marks.inside
    if inside is None:
        return _Cuts(places, signs == NEW_LINE, NOWHERE)
    is_quote = signs == QUOTE
    opens, closes = is_quote & inside, is_quote & ~inside
    touches = np.diff(places) == 1
    if (opens[0] and places[0] != 0) or (opens[1:] & ~touches).any():
        raise _Doubt
    apart = np.flatnonzero(closes[:-1] & ~touches)
    behind_it = places[apart] + 1
    if not ((signs[apart + 1] == NEW_LINE) & (places[apart + 1] == behind_it + 1) & (piece[behind_it] == RETURN)).all():
        raise _Doubt
    outside = np.flatnonzero(~(is_quote | inside))  # to take by places costs a third of what taking by flags does
    second = np.flatnonzero(opens[1:] & closes[:-1]) + 1
    return _Cuts(places.take(outside), signs.take(outside) == NEW_LINE, places.take(second))


def _in_records(piece: Bytes, cuts: _Cuts, dialect: Dialect) -> tuple[Places, Places]:
    """Where the cells begin and end, a record a line of `width` cells."""
    places, is_end = cuts.places, cuts.is_end
    starts = np.empty_like(places)
    starts[0] = 0
    np.add(places[:-1], 1, out=starts[1:])
    ends = np.flatnonzero(is_end)
    last = places[ends]
    stops = places.copy()
    stops[ends] -= (last > starts[ends]) & (piece[last - 1] == RETURN)
    if dialect.quoted:
        has_quotes = (stops > starts) & (piece[np.minimum(starts, len(piece) - 1)] == QUOTE)
        starts += has_quotes
        stops -= has_quotes
        _take_out(piece, starts, stops, cuts.doubled)
    width, rows = dialect.width, len(ends)
    if len(places) != rows * width or not is_end[width - 1 :: width].all():
        starts, stops = _fitted(piece, starts, stops, ends, width=width)
    return starts.reshape(rows, width), stops.reshape(rows, width)


def _take_out(piece: Bytes, starts: Places, stops: Places, doubled: Places) -> None:
    """Write the cells anew without the bytes at some places, each where it stands; they stop sooner then."""
    if not len(doubled):
        return
    cells, counts = np.unique(np.searchsorted(stops, doubled), return_counts=True)
    sizes = stops[cells] - starts[cells]
    places = np.arange(sizes.sum()) + np.repeat(starts[cells] - np.cumsum(sizes) + sizes, sizes)
    goes = np.zeros(len(piece), np.bool_)
    goes[doubled] = True
    goes = goes[places]
    gone = np.cumsum(goes) - np.repeat(np.cumsum(counts) - counts, sizes)
    piece[(places - gone)[~goes]] = piece[places[~goes]]
    stops[cells] -= counts


def _fitted(piece: Bytes, starts: Places, stops: Places, ends: Places, *, width: int) -> tuple[Places, Places]:
    """The same for records of other widths: missing cells are empty, surplus ones must be blank."""
    widths = np.diff(ends, prepend=-1)
    row = np.repeat(np.arange(len(ends)), widths)
    place = np.arange(len(starts)) - np.repeat(ends + 1 - widths, widths)
    is_surplus = place >= width
    surplus = zip(starts[is_surplus].tolist(), stops[is_surplus].tolist(), strict=True)
    if any(piece[start:stop].tobytes().decode().strip() for start, stop in surplus if stop > start):
        raise _Doubt
    targets = (row * width + place)[~is_surplus]
    fitted = np.zeros((2, len(ends) * width), np.int64)
    fitted[0, targets], fitted[1, targets] = starts[~is_surplus], stops[~is_surplus]
    return fitted[0], fitted[1]


class _Rows:
    """ROWS while they are written behind their text, each column in one run."""

    def __init__(self, file: BinaryIO, data: Bytes, end: int, wanted: Sequence[int], most: int) -> None:
        """Leave room for `most` rows."""
        self._file, self._data, self._text = file, data, (0, end)
        self._blocks = np.ndarray((len(data) - VIEW_BYTES,), "V16", buffer=data, strides=(1,))
        self._numbers = behind(len(data))
        first, size = behind(self._numbers + most * NUMBER_BYTES), behind(most * VIEW_BYTES)
        self._wanted = list(wanted)
        self._columns = [first + number * size for number in range(len(wanted))]
        self._filled: list[Flags] = [np.zeros((len(wanted), 0), np.bool_)]
        self._count = 0
        self.end = first + len(wanted) * size

    def add(self, starts: Places, stops: Places, *, row: int) -> None:
        """Write some records, of which the first has the number `row`, without the blank ones."""
        numbers = np.arange(row, row + len(starts), dtype=np.uint32)
        if (blank := self._blank(starts, stops)).any():
            numbers, starts, stops = numbers[~blank], starts[~blank], stops[~blank]
        if not len(numbers):
            return
        put(self._file, numbers.data, at=self._numbers + self._count * NUMBER_BYTES)
        # Turned before there is more of it: a view is twice as long as a place.
        starts = np.ascontiguousarray(starts.T[self._wanted])
        sizes = np.ascontiguousarray(stops.T[self._wanted])
        sizes -= starts
        views = self._views(starts.ravel(), sizes.ravel())
        for cells, begins in enumerate(self._columns):
            own = views[2 * cells * len(numbers) : 2 * (cells + 1) * len(numbers)]
            put(self._file, own.data, at=begins + self._count * VIEW_BYTES)
        self._filled.append(sizes > 0)
        self._count += len(numbers)

    def _views(self, starts: Places, sizes: Places) -> NDArray[np.uint64]:
        """Two words a cell."""
        views = self._blocks[starts - SIZE_BYTES]
        words = views.view(np.uint64)
        words &= MASKS.take(sizes, mode="clip").view(np.uint64)
        parts = views.view(np.int32).reshape(-1, 4)
        parts[:, 0] = sizes
        far = np.flatnonzero(sizes > INLINE_BYTES)
        parts[far, 2], parts[far, 3] = 0, starts[far]
        return words

    def _blank(self, starts: Places, stops: Places) -> Flags:
        """Which records show nothing; only those in question are looked at further, which soon are few."""
        rows = np.arange(len(starts))
        for place in range(starts.shape[1]):
            if not len(rows):
                break
            first = self._data[starts[rows, place]]
            shows = (stops[rows, place] > starts[rows, place]) & (first >= FIRST_SIGN) & (first <= LAST_SIGN)
            rows = rows[~shows]
        blank = np.zeros(len(starts), np.bool_)
        blank[rows] = (stops[rows] <= starts[rows]).all(axis=1)
        for row in rows[~blank[rows]]:  # foreign letters first, or spaces only
            cells = (self._data[start:stop].tobytes() for start, stop in zip(starts[row], stops[row], strict=True))
            blank[row] = not any(cell.decode().strip() for cell in cells if cell)
        return blank

    def finish(self) -> None:
        """Say what was written."""
        count = self._count
        text_size = append(self._file, np.int64(self._text[1]).tobytes())
        columns = [Column(NUMBERS, count, 0, 0, [NO_BUFFER, (self._numbers, count * NUMBER_BYTES)])]
        for begins, filled in zip(self._columns, np.concatenate(self._filled, axis=1), strict=True):
            nulls = count - int(np.count_nonzero(filled))
            validity = append(self._file, np.packbits(filled, bitorder="little").tobytes()) if nulls else NO_BUFFER
            buffers = [validity, (begins, count * VIEW_BYTES), self._text, text_size]
            columns.append(Column(TEXTS, count, nulls, 0, buffers))
        finish(self._file, [ROW, *map(column, self._wanted)], [columns])
