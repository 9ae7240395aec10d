"""The web app on a real socket, and people who are signed in to it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import uvicorn

from console.app import make_app
from console.who import cookie_name, csrf_of
from deployments import accounts
from domain.errors import NotAllowed
from domain.rights import Role
from tasks.surroundings import Surroundings


@contextmanager
def serving(around: Surroundings) -> Iterator[str]:
    """The app for as long as the block lasts; gives its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # from here on a request waits for the server instead of failing
        server = uvicorn.Server(uvicorn.Config(make_app(around), log_level="error", access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


def token_for(around: Surroundings, email: str, role: Role) -> str:
    """Somebody's sign-in; they are made a user if they are none."""
    with suppress(NotAllowed):  # they are one already
        accounts.add_user(around, email, role, password=None)
    return accounts.sign_in_as(around, email)


class Somebody:
    """A browser without a screen, in which somebody is signed in."""

    def __init__(self, around: Surroundings, address: str, *, email: str, role: Role) -> None:
        token = token_for(around, email, role)
        self.email = email
        self.csrf = csrf_of(around.settings, token)
        self.http = httpx.Client(
            base_url=address, cookies={cookie_name(around.settings): token}, trust_env=False, timeout=30
        )

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.http.get(path, headers=headers)

    def post(self, path: str, **fields: str) -> httpx.Response:
        return self.http.post(path, data={"csrf": self.csrf, **fields})
