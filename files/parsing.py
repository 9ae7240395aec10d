"""The process that parses hostile files, seen from the one that has files to read: `files.parse` is the other side.

Without Polars, so that the parser can be started before that is loaded here too.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

PROJECT = Path(__file__).resolve().parents[1]
PARSER: tuple[str, ...] = (sys.executable, "-P", "-m", "files.parse")
PARSER_THREADS = min(4, os.cpu_count() or 1)
ALLOCATORS = {
    "_RJEM_MALLOC_CONF": "thp:always",
    "GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=1048576:glibc.malloc.trim_threshold=16777216:glibc.malloc.arena_max=1",
}
"""For Polars memory in pages of 2 MiB, if the system has them: a copy begins with none and would spend a quarter of its
time on getting it 4 KiB at a time. Not for the reader of workbooks, whose lists grow: to move such pages costs it a fifth
of its time. What it frees goes back at once, else a million rows take 400 MiB more of the addresses that it may have."""
START_SECONDS = 60
LOOK_SECONDS = 0.5
STILL_LOOKS = 7
"""A copy that was asleep at each of so many looks, and did not wake for a nanosecond, waits for itself."""
TALK_BYTES = 65_536
MESSAGE_BYTES = 65_536
KEPT_ENVIRONMENT = ("PATH", "TMPDIR", "LANG", "LC_ALL", "SYSTEMROOT")
OUT_OF_MEMORY = re.compile(
    rb"MemoryError|memory allocation of|allocate memory|out of memory|failed to map segment|start new thread"
    rb"|Resource temporarily unavailable",
    re.IGNORECASE,
)


class Parser:
    """The process that makes a copy of itself for each file; started for the first one, and again should it die.

    It ends with the last process that holds the other end of `control`: this one and what it forks.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Have it load what it needs while this process does something else; else the first file waits for that."""
        with self._lock:
            if self._control is None:
                self._control = self._started()

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
            self.process = subprocess.Popen(
                PARSER,
                stdin=its.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env=kept
                | {
                    "PYTHONPATH": str(PROJECT),
                    "PYTHONUTF8": "1",
                    "POLARS_MAX_THREADS": str(PARSER_THREADS),
                    "OPENBLAS_NUM_THREADS": "1",  # numpy's; nothing here multiplies matrices
                    **ALLOCATORS,
                    "RUST_BACKTRACE": "0",
                },
            )
        return ours


parser = Parser()
"""One for this process."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a copy of the parser said, the rows it gave if it gave any, and how it ended: as a return code, or how long it may."""

    text: str
    rows: BinaryIO | None
    ending: int


def answer(order: bytes, talk: BinaryIO, *, seconds: int, open_files: ExitStack) -> Answer:
    """Have the order carried out; who closes the socket has the copy that works on it killed.

    Its time begins with the first byte that it sends, so that no file pays for the start of the parser.
    Where memory has ended the readers may hang instead of dying, some after saying so and some without a word, their
    threads all waiting for each other; so what they say, and whether they do anything at all, is looked at meanwhile.
    """
    until = time.monotonic() + START_SECONDS
    said = b""
    rows: BinaryIO | None = None
    asleep_at: list[int] = []
    ours, its = socket.socketpair()
    with ours:
        with its:
            parser.take(its, talk)
        ours.sendall(order + b"\n")
        while True:
            left = until - time.monotonic()
            if left <= 0:
                return Answer("", None, -signal.SIGXCPU)
            ours.settimeout(min(left, LOOK_SECONDS))
            try:
                message, descriptors, _, _ = socket.recv_fds(ours, MESSAGE_BYTES, 1)
            except TimeoutError:
                asleep_at.append(_asleep_at(said))
                if OUT_OF_MEMORY.search(last_words(talk)) or _is_still(asleep_at):
                    return Answer("", None, -signal.SIGKILL)
                continue
            for descriptor in descriptors:
                rows = open_files.enter_context(os.fdopen(descriptor, "rb"))
            if not message:
                break
            if not said:
                until = time.monotonic() + seconds
            said += message
    told, _, ending = said.decode().rpartition("\n")
    _, _, text = told.partition(" ")
    return Answer(text, rows, int(ending) if ending else -signal.SIGKILL)


def _asleep_at(said: bytes) -> int:
    """The nanoseconds of CPU time that a copy, which says its number first, has used so far, if all its threads sleep.

    Else 0, also where the system does not tell: a thread that waits for its turn or for a disk will go on.
    """
    number, is_told, _ = said.partition(b" ")
    if not is_told or sys.platform != "linux":
        return 0
    try:
        threads = [path.read_text() for path in Path(f"/proc/{int(number)}/task").glob("*/stat")]
        used = time.clock_gettime_ns(~int(number) << 3 | 2)  # as clock_getcpuclockid(3) makes it
    except OSError:
        return 0
    return used if all(thread.rpartition(") ")[2].startswith("S") for thread in threads) else 0


def _is_still(asleep_at: list[int]) -> bool:
    latest = asleep_at[-STILL_LOOKS:]
    return len(latest) == STILL_LOOKS and len(set(latest)) == 1 and latest[0] > 0


def last_words(talk: BinaryIO) -> bytes:
    """The end of what the readers said, on whatever their standard error is."""
    size = os.fstat(talk.fileno()).st_size
    return os.pread(talk.fileno(), TALK_BYTES, max(0, size - TALK_BYTES))
