"""A provider that accepts whatever it is sent, at once or so many seconds later, and counts it: `python -m benchmarks.instant PORT [SECONDS]`."""

from __future__ import annotations

import asyncio
import itertools
import re
import sys

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_TO = b'"to":['
_NUMBERS = itertools.count(1)
_TAKEN = {"emails": 0, "sms": 0}
_LATENCY = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0  # noqa: PLR2004  the second argument


class _Connection(asyncio.Protocol):
    """One connection: a request's head, its body, an answer, and again."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size, self._needed = 0, 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # TCP gives this kind
        """Keep the way back."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Collect until a request is whole."""
        self._parts.append(data)
        self._size += len(data)
        if not self._needed:
            head, found, _ = b"".join(self._parts).partition(b"\r\n\r\n")
            if not found:
                return
            length = _LENGTH.search(head)
            self._needed = len(head) + 4 + (int(length[1]) if length else 0)
        if self._size >= self._needed:
            self._answer(b"".join(self._parts))
            self._parts, self._size, self._needed = [], 0, 0

    def _answer(self, request: bytes) -> None:
        path = request[: request.index(b"\r\n")].split()[1]
        number = next(_NUMBERS)
        if path.startswith(b"/v3/mail/send"):
            _TAKEN["emails"] += request.count(_TO)
            self._write(202, f"X-Message-Id: instant-{number}\r\n", "")
        elif path.endswith(b"/Messages.json"):
            _TAKEN["sms"] += 1
            self._write(201, "", f'{{"sid": "SM{number:032x}", "status": "queued"}}')
        else:
            self._write(200, "", f'{{"emails": {_TAKEN["emails"]}, "sms": {_TAKEN["sms"]}}}')

    def _write(self, status: int, headers: str, body: str) -> None:
        head = f"HTTP/1.1 {status} OK\r\n{headers}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        asyncio.get_running_loop().call_later(_LATENCY, self._transport.write, (head + body).encode())


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
