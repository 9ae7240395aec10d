"""Reading an operator's file: one call, which parses in a process of its own: real files abort, panic and explode."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import polars as pl

from domain.errors import FileErrorCode, FileProblem
from files.handover import mapped, nameless_file
from files.layouts import Layout, Limits, MadeFor

__all__ = ["Layout", "Limits", "MadeFor", "Table", "read"]

PROJECT = Path(__file__).resolve().parents[1]
PARSER = (sys.executable, "-P", "-m", "files.parse")
PARSER_THREADS = min(4, os.cpu_count() or 1)
ALLOCATION = "thp:always,dirty_decay_ms:-1,muzzy_decay_ms:-1"
"""Of the memory that Polars takes: in large pages, and kept; a quarter less CPU time for a process that lives so shortly."""
START_SECONDS = 60
LOOK_SECONDS = 0.5
TALK_BYTES = 65_536
MESSAGE_BYTES = 65_536
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
        FileProblem: with what is wrong and the next step. Nothing is ever on disk.
    """
    _refuse_size(path, file_name=file_name, limits=limits)
    order = {
        "path": str(path.resolve()),
        "file_name": file_name,
        "limits": asdict(limits),
        "titles": list(titles),
    }
    with ExitStack() as open_files, nameless_file() as talk:
        answer = _answer(json.dumps(order).encode(), talk, seconds=limits.seconds, open_files=open_files)
        if answer.ending != 0:
            raise _death(answer.ending, _end_of(talk), file_name=file_name, limits=limits)
        if answer.rows is None:
            problem = json.loads(answer.text)
            raise FileProblem(FileErrorCode(problem["code"]), problem["message"])
        return Table(Layout.from_json(answer.text), mapped(answer.rows))


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


class _Parser:
    """The process that makes a copy of itself for each file; started for the first one, and again should it die.

    It ends with the last process that holds the other end of `control`: this one and what it forks.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def take(self, reply: socket.socket, talk: BinaryIO) -> None:
        """Have a copy made that answers to `reply`."""
        with self._lock:
            for is_last in (False, True):
                if self._control is None:
                    self._control = self._started()
                try:
                    socket.send_fds(self._control, [b"1"], [reply.fileno(), talk.fileno()])
                except OSError:
                    self._control.close()
                    self._control = None
                    if is_last:
                        raise
                else:
                    return

    def _started(self) -> socket.socket:
        """Its environment has what it needs and no secret: it must not be able to tell what it never had."""
        kept = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
        ours, its = socket.socketpair()
        with its:
            self._process = subprocess.Popen(
                PARSER,
                stdin=its,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env=kept
                | {
                    "PYTHONPATH": str(PROJECT),
                    "PYTHONUTF8": "1",
                    "POLARS_MAX_THREADS": str(PARSER_THREADS),
                    "RUST_BACKTRACE": "0",
                    "_RJEM_MALLOC_CONF": ALLOCATION,
                },
            )
        return ours


_parser = _Parser()


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a copy of the parser said, the rows it gave if it gave any, and how it ended: as a return code, or how long it may."""

    text: str
    rows: BinaryIO | None
    ending: int


def _answer(order: bytes, talk: BinaryIO, *, seconds: int, open_files: ExitStack) -> _Answer:
    """Have the order carried out; who closes the socket has the copy that works on it killed.

    Its time begins with the first byte that it sends, so that no file pays for the start of the parser.
    The readers say that memory has ended and may then hang instead of dying, so what they say is looked at meanwhile.
    """
    until = time.monotonic() + START_SECONDS
    said = b""
    rows: BinaryIO | None = None
    ours, its = socket.socketpair()
    with ours:
        with its:
            _parser.take(its, talk)
        ours.sendall(order + b"\n")
        while True:
            left = until - time.monotonic()
            if left <= 0:
                return _Answer("", None, -signal.SIGXCPU)
            ours.settimeout(min(left, LOOK_SECONDS))
            try:
                message, descriptors, _, _ = socket.recv_fds(ours, MESSAGE_BYTES, 1)
            except TimeoutError:
                if OUT_OF_MEMORY.search(_end_of(talk)):
                    return _Answer("", None, -signal.SIGKILL)
                continue
            for descriptor in descriptors:
                rows = open_files.enter_context(os.fdopen(descriptor, "rb"))
            if not message:
                break
            if not said:
                until = time.monotonic() + seconds
            said += message
    text, _, ending = said.decode().rpartition("\n")
    return _Answer(text, rows, int(ending) if ending else -signal.SIGKILL)


def _end_of(talk: BinaryIO) -> bytes:
    size = os.fstat(talk.fileno()).st_size
    return os.pread(talk.fileno(), TALK_BYTES, max(0, size - TALK_BYTES))


def _death(code: int, last_words: bytes, *, file_name: str, limits: Limits) -> FileProblem:
    """What it means for the operator that the parser died: too big, too slow, or something the reader cannot bear."""
    if code in {-signal.SIGXCPU, -signal.SIGALRM}:
        return FileProblem(
            FileErrorCode.TOO_LARGE,
            f"{file_name} takes longer than {limits.seconds} seconds to read. "
            "Split the list, or save it as CSV UTF-8, which is read much faster.",
        )
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
