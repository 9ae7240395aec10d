"""Reading an operator's file: one call, which parses in a process of its own: real files abort, panic and explode."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from domain.errors import FileErrorCode, FileProblem
from files.layouts import Layout, Limits, MadeFor
from files.parse import LAYOUT, PROBLEM, ROWS

__all__ = ["Layout", "Limits", "MadeFor", "Table", "read"]

PROJECT = Path(__file__).resolve().parents[1]
PARSER = (sys.executable, "-P", "-m", "files.parse")
PARSER_THREADS = "1"
"""When memory ends in two of its threads at once, the reader hangs (1 time in 30) instead of dying; one thread is as fast."""
FOLDER = "bulk-sender-reading-"
LONGEST_READING_SECONDS = 3_600
TALK_BYTES = 65_536
KEPT_ENVIRONMENT = ("PATH", "TMPDIR", "LANG", "LC_ALL", "SYSTEMROOT")
OUT_OF_MEMORY = re.compile(
    rb"MemoryError|memory allocation of|allocate memory|out of memory|failed to map segment|start new thread",
    re.IGNORECASE,
)
DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Table:
    """An uploaded file: how it was laid out, and ROWS without its blank rows."""

    layout: Layout
    rows: pl.DataFrame


def read(path: Path, *, file_name: str, limits: Limits = DEFAULT_LIMITS, titles: Sequence[str] = ()) -> Table:
    """Read a CSV or a workbook; what it is, its content says.

    Args:
        path: where the bytes are.
        file_name: what the operator calls the file, for messages.
        limits: what reading may cost.
        titles: what the columns may be called, to tell the header from what stands above it, and the sheet
            with the list from the others; the first row of the first sheet without them.

    Raises:
        FileProblem: with what is wrong and the next step. Nothing stays behind on disk.
    """
    _refuse_size(path, file_name=file_name, limits=limits)
    _remove_what_was_left()
    with tempfile.TemporaryDirectory(prefix=FOLDER) as folder:
        return _parsed(path, Path(folder), file_name=file_name, limits=limits, titles=titles)


def _remove_what_was_left() -> None:
    """The folders of readings whose process was killed together with its parser."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER}*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > LONGEST_READING_SECONDS:
                shutil.rmtree(folder)


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


def _parsed(path: Path, folder: Path, *, file_name: str, limits: Limits, titles: Sequence[str]) -> Table:
    order = {
        "parent": os.getpid(),
        "path": str(path.resolve()),
        "folder": str(folder),
        "file_name": file_name,
        "limits": asdict(limits),
        "titles": list(titles),
    }
    last_words = folder / "stderr"
    try:
        died_of = _run(order, folder, last_words=last_words, seconds=limits.seconds)
    except subprocess.TimeoutExpired as fault:
        raise _too_slow(file_name, limits) from fault
    if (folder / PROBLEM).exists():
        problem = json.loads((folder / PROBLEM).read_text(encoding="utf-8"))
        raise FileProblem(FileErrorCode(problem["code"]), problem["message"])
    if died_of != 0:
        raise _death(died_of, _end_of(last_words), file_name=file_name, limits=limits)
    layout = Layout.from_json((folder / LAYOUT).read_text(encoding="utf-8"))
    return Table(layout, pl.read_ipc(folder / ROWS))


def _run(order: Mapping[str, object], folder: Path, *, last_words: Path, seconds: int) -> int:
    """Start the parser and wait; its output goes to disk, because a hostile file may make it talk without end."""
    with last_words.open("wb") as talk:
        done = subprocess.run(
            PARSER,
            input=json.dumps(order).encode(),
            stdout=subprocess.DEVNULL,
            stderr=talk,
            cwd=folder,
            env=_environment(folder),
            timeout=seconds,
            check=False,
        )
    return done.returncode


def _end_of(last_words: Path) -> bytes:
    with last_words.open("rb") as talk:
        talk.seek(max(0, last_words.stat().st_size - TALK_BYTES))
        return talk.read()


def _environment(folder: Path) -> dict[str, str]:
    """What the parser needs and no secret: it must not be able to tell what it never had."""
    kept = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
    return kept | {
        "PYTHONPATH": str(PROJECT),
        "PYTHONUTF8": "1",
        "POLARS_MAX_THREADS": PARSER_THREADS,
        "RUST_BACKTRACE": "0",
        "POLARS_TEMP_DIR": str(folder),
    }


def _death(code: int, last_words: bytes, *, file_name: str, limits: Limits) -> FileProblem:
    """What it means for the operator that the parser died: too big, too slow, or something the reader cannot bear."""
    if code == -signal.SIGXCPU:
        return _too_slow(file_name, limits)
    if code == -signal.SIGKILL or OUT_OF_MEMORY.search(last_words):
        return FileProblem(
            FileErrorCode.TOO_LARGE,
            f"{file_name} needs more than {limits.memory_bytes // 2**20:,} MB of memory to read. "
            "Split the list, or copy it alone into a new workbook.",
        )
    return FileProblem(
        FileErrorCode.UNREADABLE,
        f"{file_name} is damaged and cannot be read. Open it in Excel, save it as a new .xlsx file and upload that.",
    )


def _too_slow(file_name: str, limits: Limits) -> FileProblem:
    return FileProblem(
        FileErrorCode.TOO_LARGE,
        f"{file_name} takes longer than {limits.seconds} seconds to read. "
        "Split the list, or save it as CSV UTF-8, which is read much faster.",
    )
