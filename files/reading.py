"""Reading an operator's file: one call, which parses in a process of its own: real files abort, panic and explode."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from domain.errors import FileErrorCode, FileProblem
from files.handover import mapped, nameless_file
from files.layouts import Layout, Limits, MadeFor
from files.parsing import OUT_OF_MEMORY, answer, last_words

__all__ = ["Layout", "Limits", "MadeFor", "Table", "read"]

DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Table:
    """An uploaded file: how it was laid out, and ROWS without its blank rows, of all columns or of those asked for."""

    layout: Layout
    rows: pl.DataFrame


def read(
    path: Path,
    *,
    file_name: str,
    limits: Limits = DEFAULT_LIMITS,
    titles: Sequence[str] = (),
    with_others: bool = True,
) -> Table:
    """Read a CSV or a workbook; what it is, its content says.

    Args:
        path: where the bytes are.
        file_name: what the operator calls the file, for messages.
        limits: what reading may cost.
        titles: what the columns may be called, to tell the header from what stands above it, and the sheet
            with the list from the others; the first row of the first sheet without them.
        with_others: whether columns with other titles are read too. Where nobody looks at them it costs less without;
            a row that holds something in them alone is still a row.

    Raises:
        FileProblem: with what is wrong and the next step. Nothing is ever on disk.
    """
    _refuse_size(path, file_name=file_name, limits=limits)
    order = {
        "path": str(path.resolve()),
        "file_name": file_name,
        "limits": asdict(limits),
        "titles": list(titles),
        "with_others": with_others,
    }
    with ExitStack() as open_files, nameless_file() as talk:
        found = answer(json.dumps(order).encode(), talk, seconds=limits.seconds, open_files=open_files)
        if found.ending != 0:
            raise _death(found.ending, last_words(talk), file_name=file_name, limits=limits)
        if found.rows is None:
            problem = json.loads(found.text)
            raise FileProblem(FileErrorCode(problem["code"]), problem["message"])
        return Table(Layout.from_json(found.text), mapped(found.rows))


def _refuse_size(path: Path, *, file_name: str, limits: Limits) -> None:
    size = path.stat().st_size
    if size == 0:
        raise FileProblem(
            FileErrorCode.EMPTY, f"{file_name} is empty: it has no bytes at all. Save the list again and upload it."
        )
    if size > limits.bytes:
        raise FileProblem(
            FileErrorCode.TOO_LARGE,
            f"{file_name} has {size / 1e6:,.1f} MB; at most {limits.bytes / 1e6:,.0f} MB can be uploaded. "
            "Split the list, or delete columns that are not needed.",
        )


def _death(code: int, said: bytes, *, file_name: str, limits: Limits) -> FileProblem:
    """What it means for the operator that the parser died: too big, too slow, or something the reader cannot bear."""
    if code in {-signal.SIGXCPU, -signal.SIGALRM}:
        return FileProblem(
            FileErrorCode.TOO_LARGE,
            f"{file_name} takes longer than {limits.seconds} seconds to read. "
            "Split the list, or save it as CSV UTF-8, which is read much faster.",
        )
    if code == -signal.SIGKILL or OUT_OF_MEMORY.search(said):
        return FileProblem(
            FileErrorCode.TOO_LARGE,
            f"{file_name} needs more than {limits.memory_bytes // 2**20:,} MB of memory to read. "
            "Split the list, or copy it alone into a new workbook.",
        )
    return FileProblem(
        FileErrorCode.UNREADABLE,
        f"{file_name} is damaged and cannot be read. Open it in Excel, save it as a new .xlsx file and upload that.",
    )
