"""The web app on a real socket, and people who are signed in to it; plain functions for every test of the screen."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import uvicorn

from console.app import make_app
from console.who import cookie_name
from deployments import accounts
from domain.rights import Role
from models import accounts as accounts_of
from tasks.surroundings import Surroundings

PASSWORD = "quite a long password"
TLS = ssl.create_default_context()
"""Made once: a client that makes one of its own takes longer for it than for its calls, of which none is encrypted."""


@contextmanager
def serving(around: Surroundings) -> Iterator[str]:
    """The app over `around`; gives its address."""
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


def client(address: str) -> httpx.Client:
    """A browser without script, in which nobody is signed in yet; it follows no redirect by itself."""
    return httpx.Client(base_url=address, trust_env=False, verify=TLS)


def email_of(role: Role | str) -> str:
    """The email of the user that `user` makes."""
    return f"{role}@acme.example"


def user(around: Surroundings, role: Role | str, *, email: str | None = None) -> str:
    """Make a user of that role, unless there is one; gives their email. Their password is `PASSWORD`."""
    email = email or email_of(role)
    with around.database.read() as session:
        is_known = accounts_of.find(session, email) is not None
    if not is_known:
        accounts.add_user(around, email, Role(role), password=PASSWORD)
    return email


def token(around: Surroundings, role: Role | str, *, email: str | None = None) -> str:
    """A sign-in of such a user."""
    return accounts.sign_in_as(around, user(around, role, email=email))


def cookie(around: Surroundings, role: Role | str, *, email: str | None = None) -> tuple[str, str]:
    """Name and value of the cookie that signs such a user in, also in a real browser."""
    return cookie_name(around.settings), token(around, role, email=email)


def signed_in(around: Surroundings, address: str, role: Role | str, *, email: str | None = None) -> httpx.Client:
    """A browser without script in which such a user is signed in."""
    browser = client(address)
    browser.cookies.set(*cookie(around, role, email=email))
    return browser


def csrf(browser: httpx.Client, path: str = "/account") -> str:
    """The token of the forms on a page."""
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', browser.get(path).text)
    assert found is not None
    return found[1]
