"""How rows come from the process that parsed them: through memory that has no name, which both map and neither copies.

Its content is Arrow's columnar format (https://arrow.apache.org/docs/format/Columnar.html): buffers, and behind them
what they are, as JSON. A text is a view, 16 bytes: its length and, up to 12 bytes of it, itself; else its first four
and where it stands. So a column may be made of views of one text that all columns share, as `files.cutting` does.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import nanoarrow
import polars as pl
from nanoarrow.c_array import CArray

ALIGNED = 64
"""Bytes; what Arrow asks of where a buffer begins."""
SIZE_BYTES = 8

TEXTS, NUMBERS = "vu", "I"
"""As Arrow names the two kinds of columns that ROWS has."""

Span = tuple[int, int]
"""Where a buffer begins in the file, and its bytes."""
NO_BUFFER: Span = (0, 0)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of some rows.

    Attributes:
        format: TEXTS or NUMBERS.
        length: how many values.
        nulls: how many of them are null.
        offset: values to leave out at the beginning of the buffers.
        buffers: validity and values; of texts then those that the views look into, and the sizes of these.
    """

    format: str
    length: int
    nulls: int
    offset: int
    buffers: Sequence[Span]


def nameless_file() -> BinaryIO:
    """A file that is gone with the last process that has it open, however that ends; in memory where the system can."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("rows"), "w+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)


def written(rows: pl.DataFrame) -> BinaryIO:
    """The buffers of some rows in a nameless file."""
    file = nameless_file()
    pieces: list[list[Column]] = []
    for batch in nanoarrow.c_array_stream(rows):
        pieces.append([])
        for array in batch.children:
            spans = [append(file, memoryview(buffer)) for buffer in array.view().buffers]
            pieces[-1].append(Column(array.schema.format, array.length, array.null_count, array.offset, spans))
    finish(file, rows.columns, pieces)
    return file


def append(file: BinaryIO, content: bytes | memoryview) -> Span:
    """Write a buffer behind all others."""
    begins = behind(file.seek(0, os.SEEK_END))
    put(file, content, at=begins)
    return begins, memoryview(content).nbytes


def behind(end: int) -> int:
    """The first place from `end` on where a buffer may begin."""
    return -(-end // ALIGNED) * ALIGNED


def put(file: BinaryIO, content: bytes | memoryview, *, at: int) -> None:
    """Write all of it at that place; the file's own position stays."""
    rest = memoryview(content).cast("B")
    while rest:
        done = os.pwrite(file.fileno(), rest, at)
        rest, at = rest[done:], at + done


def finish(file: BinaryIO, names: Sequence[str], pieces: Sequence[Sequence[Column]]) -> None:
    """Say what the buffers are; nothing may be written then any more.

    Args:
        file: has the buffers.
        names: of the columns.
        pieces: the rows in pieces, one or more, each with a column a name.
    """
    columns = [
        [(each.format, each.length, each.nulls, each.offset, each.buffers) for each in piece] for piece in pieces
    ]
    told = json.dumps({"names": names, "pieces": columns}).encode()
    append(file, told + len(told).to_bytes(SIZE_BYTES))


def mapped(file: BinaryIO) -> pl.DataFrame:
    """The rows of such a file as they lie there; it may be closed, and must not be written to any more."""
    memory = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    told = _told(memory)
    frames = [
        pl.DataFrame({name: _series(memory, Column(*each)) for name, each in zip(told["names"], piece, strict=True)})
        for piece in told["pieces"]
    ]
    return pl.concat(frames, rechunk=False)


def holds_rows(file: BinaryIO) -> bool:
    """Whether `mapped` would give any."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
        return any(piece[0][1] for piece in _told(memory)["pieces"])


def _told(memory: memoryview | mmap.mmap) -> dict[str, Any]:
    """What `finish` said."""
    size = int.from_bytes(memory[-SIZE_BYTES:])
    told: dict[str, Any] = json.loads(bytes(memory[-SIZE_BYTES - size : -SIZE_BYTES]))
    return told


def _series(memory: memoryview, column: Column) -> pl.Series:
    if column.length == 0:
        return pl.Series(dtype=pl.String if column.format == TEXTS else pl.UInt32)
    return pl.Series(_Texts(memory, column) if column.format == TEXTS else _array(memory, column))


def _array(memory: memoryview, column: Column, *more: object) -> CArray:
    """The column with its first two buffers."""
    buffers = [memory[begins : begins + size] if size else None for begins, size in column.buffers[:2]]
    return nanoarrow.c_array_from_buffers(
        nanoarrow.large_binary() if column.format == TEXTS else nanoarrow.uint32(),
        column.length,
        [*buffers, *more],
        null_count=column.nulls,
        offset=column.offset,
        validation_level="none",
    )


class _ArrowArray(ctypes.Structure):
    """How the C data interface's ArrowArray begins (https://arrow.apache.org/docs/format/CDataInterface.html)."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("length", "null_count", "offset", "n_buffers", "n_children")),
        ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    )


@dataclass(frozen=True, slots=True)
class _Texts:
    """A column of texts for whoever takes Arrow's PyCapsules.

    nanoarrow cannot be given the buffers that views look into. So it gets the others, as if they were another type's,
    and a table of where all are, which thereby lives as long as they; then what it gives out is told of that table.
    """

    memory: memoryview
    column: Column

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        spans = self.column.buffers
        table = (ctypes.c_uint64 * len(spans))()
        _, capsule = _array(self.memory, self.column, table).__arrow_c_array__()
        array = _ArrowArray.from_address(_pointer_in(capsule, b"arrow_array"))
        validity, views = array.buffers[:2]
        if views is not None:
            origin = views - spans[1][0]
            table[:] = [validity or 0, *(origin + begins if size else 0 for begins, size in spans[1:])]
        array.n_buffers, array.buffers = len(spans), ctypes.cast(table, ctypes.POINTER(ctypes.c_void_p))
        return nanoarrow.c_schema(nanoarrow.string_view()).__arrow_c_schema__(), capsule


_pointer_in = ctypes.pythonapi.PyCapsule_GetPointer
_pointer_in.restype = ctypes.c_void_p
_pointer_in.argtypes = (ctypes.py_object, ctypes.c_char_p)
