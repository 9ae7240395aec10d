"""Sending a large batch by several processes: one alone cannot use more than one core. `tasks.sender` is the other side."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from functools import partial
from queue import LifoQueue
from typing import Any

from tasks.accounts import Accounts
from tasks.send import Permits, send_chunk
from tasks.surroundings import Surroundings

_SENDER = (sys.executable, "-P", "-m", "tasks.sender")
_LIVES = 3
_END_SECONDS = 5.0
_GONE = "a process that sends is gone"


class SenderDied(RuntimeError):
    """A process that sent a chunk is gone; what was under way is in doubt once its lease ends."""


class Senders:
    """So many chunks at once: each in a process of its own, or in the process that asks."""

    def __init__(self, number: int) -> None:
        """Start nothing yet."""
        self._number = number
        self._processes: _Processes | None = None
        self._accounts: Accounts | None = None

    @contextmanager
    def started(self, accounts: Accounts, *, apart: bool) -> Iterator[None]:
        """Chunks can be sent inside the block.

        Args:
            accounts: what to send with.
            apart: whether the batch is so large that processes are worth their start, which is beside what follows.
        """
        self._accounts = accounts
        self._processes = _Processes(accounts, self._number) if apart else None
        try:
            yield
        finally:
            if self._processes is not None:
                self._processes.end()

    def send_chunk(self, around: Surroundings, batch_id: int, chunk: int, *, permits: Permits) -> dict[str, int]:
        """As `tasks.send.send_chunk`; a process that dies over it is replaced, and the chunk goes on where it was.

        Raises:
            SenderDied: one after the other did.
        """
        if self._accounts is None:
            message = "chunks are sent while senders are started"
            raise RuntimeError(message)
        if self._processes is None:
            providers = partial(self._accounts.open, around.settings)
            return send_chunk(around, batch_id, chunk, providers=providers, permits=permits)
        return self._processes.send_chunk(batch_id, chunk, permits)


class _Processes:
    """Places for processes; one whose process died is empty until somebody needs it."""

    def __init__(self, accounts: Accounts, number: int) -> None:
        self._accounts = accounts
        self._is_over = False
        self._started = _start(number, accounts)
        self._places: LifoQueue[_Sender | None] = LifoQueue()
        for sender in self._started:
            self._places.put(sender)

    def send_chunk(self, batch_id: int, chunk: int, permits: Permits) -> dict[str, int]:
        sender = self._places.get()
        try:
            for _ in range(_LIVES):
                if sender is None:
                    sender = self._another()
                try:
                    return sender.send(batch_id, chunk, permits)
                except SenderDied:
                    sender.end()
                    sender = None
                except BaseException:  # it goes on with a chunk that nobody waits for
                    sender.end()
                    sender = None
                    raise
        finally:
            self._places.put(sender)
        message = f"chunk {chunk} of batch {batch_id} ended every process that sent it; the log of the worker says why"
        raise SenderDied(message)

    def end(self) -> None:
        """End all of them, whatever they do."""
        self._is_over = True
        for sender in self._started:
            sender.end()
        for sender in self._started:
            sender.wait()

    def _another(self) -> _Sender:
        if self._is_over:
            message = "the run ends"
            raise SenderDied(message)
        [sender] = _start(1, self._accounts)
        self._started.append(sender)
        return sender


def _start(number: int, accounts: Accounts) -> list[_Sender]:
    """So many of them, which load together what they need."""
    with ExitStack() as theirs:
        lines = [socket.socketpair() for _ in range(number)]
        numbers = [theirs.enter_context(its).fileno() for _, its in lines]
        process = subprocess.Popen([*_SENDER, *map(str, numbers)], pass_fds=numbers, stdin=subprocess.DEVNULL)
    return [_Sender(process, ours, accounts) for ours, _ in lines]


class _Sender:
    """One process, and what it says."""

    def __init__(self, parent: subprocess.Popen[bytes], line: socket.socket, accounts: Accounts) -> None:
        self._parent, self._line, self._said = parent, line, line.makefile("rb")
        with suppress(SenderDied):  # then it is found dead at its first chunk
            self._tell(asdict(accounts))

    def send(self, batch_id: int, chunk: int, permits: Permits) -> dict[str, int]:
        self._tell({"batch_id": batch_id, "chunk": chunk})
        permit = None
        with asyncio.Runner() as runner:
            while "ended" not in (said := self._hear()):
                permit = permit or permits(said["channel"])
                self._tell({"permits": runner.run(_waited(permit(said["permits"])))})
        ended: dict[str, int] = said["ended"]
        return ended

    def end(self) -> None:
        """It ends by itself when it hears no more."""
        with suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)

    def wait(self) -> None:
        """Wait for its end, and for that of all that were started with it."""
        with suppress(subprocess.TimeoutExpired):
            self._parent.wait(_END_SECONDS)

    def _tell(self, what: Mapping[str, object]) -> None:
        try:
            self._line.sendall(json.dumps(what).encode() + b"\n")
        except OSError as fault:
            raise SenderDied(_GONE) from fault

    def _hear(self) -> dict[str, Any]:
        try:
            line = self._said.readline()
        except OSError as fault:
            raise SenderDied(_GONE) from fault
        if not line.endswith(b"\n"):
            raise SenderDied(_GONE)
        said: dict[str, Any] = json.loads(line)
        return said


async def _waited(permit: Awaitable[int]) -> int:
    return await permit
