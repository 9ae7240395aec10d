"""How rows come from the process that parsed them: through memory that has no name, which both map and neither copies."""

from __future__ import annotations

import mmap
import os
import tempfile
from typing import BinaryIO

import polars as pl
import pyarrow as pa

ALONE = pa.ipc.IpcReadOptions(use_threads=False)
"""Nothing is computed, and threads would have to be started."""


def nameless_file() -> BinaryIO:
    """A file that is gone with the last process that has it open, however that ends; in memory where the system can."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("rows"), "w+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)


def written(rows: pl.LazyFrame) -> BinaryIO:
    """Compute rows straight into a nameless file, without ever having all of them in memory of this process."""
    file = nameless_file()
    rows.sink_ipc(file, compression="uncompressed")
    return file


def mapped(file: BinaryIO) -> pl.DataFrame:
    """The rows of such a file as they lie there; it may be closed, and must not be written to any more."""
    memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    table = pa.ipc.open_file(pa.py_buffer(memory), options=ALONE).read_all()
    rows = pl.from_arrow(table, rechunk=False)
    assert isinstance(rows, pl.DataFrame)  # noqa: S101 - of a table it is never a series
    return rows
