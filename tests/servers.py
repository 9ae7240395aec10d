"""A tiny HTTP server that answers as it is told and counts what it was asked; it plays a provider for its clients."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Answer:
    """What the server does with a request.

    Attributes:
        status: of the answer.
        headers: of the answer.
        body: of the answer.
        claims: the length that the answer says it has, where that is not so.
        hangs: it reads the request and then says nothing until the test is over.
        resets: it reads the request and then breaks the connection.
    """

    status: int = 202
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    claims: int | None = None
    hangs: bool = False
    resets: bool = False


@dataclass
class Asked:
    """One request as it reached the server."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Server:
    """Where the server is, and what it was asked."""

    url: str
    asked: list[Asked] = field(default_factory=list)


@contextmanager
def serving(script: Answer | Callable[[Asked], Answer]) -> Iterator[Server]:
    """A server on a free port for as long as the block lasts; it answers always the same, or as its script says."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = Asked(self.path, dict(self.headers), body)
            server.asked.append(asked)
            answer = script if isinstance(script, Answer) else script(asked)
            if answer.hangs:
                over.wait(20)
            if answer.resets:
                # Closing with a linger time of zero sends a reset in place of an orderly end.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if answer.hangs or answer.resets:
                self.connection.close()
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body) if answer.claims is None else answer.claims))
            self.end_headers()
            self.wfile.write(answer.body)
            self.close_connection = True

        do_GET = do_PATCH = do_POST  # noqa: N815  as http.server calls them

        def finish(self) -> None:
            with suppress(OSError, ValueError):  # the connection was broken on purpose
                super().finish()

        def log_message(self, *_words: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    http.block_on_close = False
    server = Server(f"http://127.0.0.1:{http.server_port}")
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        over.set()
        http.shutdown()
        thread.join()
        http.server_close()


def nowhere() -> str:
    """An address at which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"
