"""The processes that send chunks, as a batch's run tells them: `tasks.senders` is the other side.

Without Prefect, which takes seconds to load; permits are asked of the run. Each ends with the run, however that
ends: then nobody holds the other end of its socket. What it leaves half done is what a killed run leaves.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import threading
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any, NoReturn

from tasks.accounts import Accounts
from tasks.send import Permit, send_chunk
from tasks.surroundings import here


class _Run:
    """The run that this process works for, at the other end of a socket."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._heard: SimpleQueue[dict[str, Any]] = SimpleQueue()

    def listen(self) -> None:
        """From now on, end this process as soon as the run is gone."""
        threading.Thread(target=self._listen, daemon=True).start()

    def hear(self) -> dict[str, Any]:
        """The next thing that it says."""
        return self._heard.get()

    def tell(self, **what: object) -> None:
        """Say something to it."""
        self._line.sendall(json.dumps(what).encode() + b"\n")

    def permits(self, channel: str) -> Permit:
        """Permits that the run asks for."""

        async def permit(number: int) -> int:
            self.tell(permits=number, channel=channel)
            permitted: int = (await asyncio.to_thread(self.hear))["permits"]
            return permitted

        return permit

    def _listen(self) -> None:
        with suppress(OSError), self._line.makefile("rb") as said:
            for line in said:
                self._heard.put(json.loads(line))
        os._exit(0)


def main() -> None:
    """Become so many processes as sockets are named, each of which talks over one, and wait for their end.

    Loading takes a second, and is done once. Nothing here may have begun a thread before the copies are made.
    """
    lines = [socket.socket(fileno=int(number)) for number in sys.argv[1:]]
    for own in lines:
        if os.fork() == 0:
            for line in lines:
                if line is not own:
                    line.close()
            _send(own)
    for line in lines:
        line.close()
    for _ in lines:
        os.wait()


def _send(line: socket.socket) -> NoReturn:
    """Send one chunk after the other, until the run ends."""
    run = _Run(line)
    run.listen()
    accounts = Accounts(**run.hear())
    around = here()
    providers = partial(accounts.open, around.settings)
    while True:
        order = run.hear()
        ended = send_chunk(around, order["batch_id"], order["chunk"], providers=providers, permits=run.permits)
        run.tell(ended=ended)


if __name__ == "__main__":
    main()
