"""The running process: one socket, one ready line, and a clean stop."""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import uvicorn

from sandbox.app import create_app
from sandbox.records import Provider
from sandbox.state import Credentials, Sandbox
from sandbox.store import Store
from sandbox.wire import OpenHandedProtocol
from sandbox.worker import Worker

_KEEP_ALIVE_SECONDS = 120
_BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class Start:
    """What a start may change: the seed of the faults, the pace of time, where events are posted."""

    seed: int | None = None
    time_scale: float | None = None
    urls: Mapping[Provider, str] = field(default_factory=dict)


class Server(uvicorn.Server):
    """uvicorn that says when it is ready and leaves the signals to us, so that it ends with exit code 0."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve, then print the one line that starters wait for."""
        await super().startup(sockets)
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        sys.stdout.write(f"sandbox listening on http://{_in_url(host)}:{port} (nothing is really sent)\n")
        sys.stdout.flush()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Do nothing: `serve` has its own handlers."""
        yield


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 picks a free one. Raises OSError when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio switches Nagle's delay (40 ms an answer) off only then.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


def open_store(home: Path) -> Store:
    """The state in `home`, which is made if need be. Raises OSError or sqlite3.Error."""
    home.mkdir(parents=True, exist_ok=True)
    return Store(home / "sandbox.db")


async def serve(
    listener: socket.socket,
    store: Store,
    *,
    credentials: Credentials,
    public_url: str | None,
    start: Start,
) -> None:
    """Serve until SIGTERM or SIGINT; what is given changes what the store remembers."""
    host, port = listener.getsockname()[:2]
    url = (public_url or f"http://{_in_url(host)}:{port}").rstrip("/")
    sandbox = Sandbox(store, credentials, public_url=url, seed=start.seed)
    if start.time_scale is not None:
        sandbox.set_settings(replace(sandbox.settings, time_scale=start.time_scale))
    for provider, address in start.urls.items():
        hook = replace(sandbox.hooks.of(provider), url=address)
        sandbox.set_hooks(replace(sandbox.hooks, providers={**sandbox.hooks.providers, provider: hook}))
    config = uvicorn.Config(
        create_app(sandbox),
        http=OpenHandedProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        log_level="warning",
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=2,
    )
    server = Server(config)

    worker = Worker(sandbox)

    def stop() -> None:
        server.should_exit = True
        sandbox.stopping.set()
        sandbox.stir.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    background = asyncio.create_task(worker.run())
    await server.serve([listener])
    stop()
    await background
