"""Answers as a network can spoil them: reset, never given, or cut in the middle."""

import asyncio
import socket
import struct
from http import HTTPStatus
from typing import cast

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from sandbox.records import Answer

_TRANSPORT = "sandbox.transport"
_LINGER_OFF = struct.pack("ii", 1, 0)
_MISSING_BYTES = 20


class OpenHandedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, with the connection handed to the application so that it can break it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Put the transport into the scope of every request of this connection."""
        super().connection_made(transport)
        app = self.app

        async def app_with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            scope[_TRANSPORT] = transport
            await app(scope, receive, send)

        self.app = app_with_transport


def _transport(scope: Scope) -> asyncio.Transport:
    return cast("asyncio.Transport", scope[_TRANSPORT])


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class Reset(Response):
    """No answer: the connection is reset."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the ASGI signature
        """Abort the connection with a TCP reset instead of an orderly end."""
        transport = _transport(scope)
        peer: socket.socket | None = transport.get_extra_info("socket")
        if peer is not None:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_OFF)
        transport.abort()
        await _until_gone(receive)


class Hang(Response):
    """No answer for some seconds, then a reset; ends early when the client leaves or the sandbox stops."""

    def __init__(self, seconds: float, *, stopping: asyncio.Event) -> None:
        """Hold the connection for `seconds`."""
        super().__init__()
        self._seconds = seconds
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait, and reset whoever is still there."""
        waits = [asyncio.create_task(_until_gone(receive)), asyncio.create_task(self._stopping.wait())]
        _done, pending = await asyncio.wait(waits, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in pending:
            wait.cancel()
        if waits[0] in pending:
            await Reset()(scope, receive, send)


class Half(Response):
    """The status, the headers and the first half of the body; an empty body is announced but never comes."""

    def __init__(self, answer: Answer) -> None:
        """Cut this answer."""
        super().__init__()
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the ASGI signature
        """Write half of the answer and close."""
        transport = _transport(scope)
        transport.write(_half(self._answer))
        transport.close()
        await _until_gone(receive)


def _half(answer: Answer) -> bytes:
    headers = {
        "content-type": answer.media_type,
        "content-length": str(len(answer.body) or _MISSING_BYTES),
        **answer.headers,
    }
    lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + answer.body[: len(answer.body) // 2]


def whole(answer: Answer) -> Response:
    """The answer as it is meant."""
    return Response(answer.body, answer.status, dict(answer.headers), answer.media_type if answer.body else None)
