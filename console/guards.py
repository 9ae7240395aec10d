"""What holds for every answer and every body, whatever route it is for."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import suppress
from dataclasses import dataclass

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console.pages import Pages
from settings import Settings

_SCREEN = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_LANDING = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_ALWAYS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}
_LINKS = "/l/"
_API = "/api/v1/"
_TAKES_FILES = re.compile(_API + r"(checks|batches|batches/\d{1,10}/corrections)")
_YEAR = "max-age=31536000"
_MEGABYTE = 1024 * 1024
MOST_SMALL_BYTES = 64 * 1024
_SMALL = ("/sign-", "/set-up/", "/account")
"""What anybody may post to before they have shown who they are, and the like: a few fields."""
LONGEST_PAUSE_SECONDS = 30.0
"""In the middle of a body."""
GRACE_SECONDS = 30.0
LEAST_BYTES_PER_SECOND = 4096
"""What a body must come to on the whole, once the grace is over."""
_LINGER_SECONDS, _LINGER_BYTES = 1.0, 4 * _MEGABYTE


class Headers:
    """Give every answer the headers that browsers need to be strict, unless its route set its own."""

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        """Wrap an app."""
        self._app = app
        self._is_https = settings.is_https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on, and add to what comes back."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_link = scope["path"].startswith(_LINKS)

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _ALWAYS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Content-Security-Policy", _LANDING if is_link else _SCREEN)
                # Without a referrer a browser sends no origin either, by which the screen's own forms are known.
                headers.setdefault("Referrer-Policy", "no-referrer" if is_link else "same-origin")
                if self._is_https:
                    headers.setdefault("Strict-Transport-Security", _YEAR)
            await send(message)

        await self._app(scope, receive, add)


class Bodies:
    """Read no body further than its route can need, whatever it says of its length, and wait for none that does not come."""

    def __init__(self, app: ASGIApp, *, settings: Settings, pages: Pages) -> None:
        """Wrap an app."""
        self._app, self._pages = app, pages
        self._most = (settings.upload_megabytes + 1) * _MEGABYTE

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse at once what says that it is too long; break off what turns out to be, or comes too slowly."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = MOST_SMALL_BYTES if _is_small(scope) else self._most
        said = dict(scope["headers"]).get(b"content-length", b"0")
        if not said.isdigit() or int(said) > most:
            await self._break_off(_TOO_LARGE, scope, receive, send)
            return
        read, is_whole, began = 0, False, False
        broken: _Broken | None = None
        start = time.monotonic()

        async def count() -> Message:
            nonlocal read, is_whole, broken
            if is_whole:  # whoever asks now waits for the end of the connection
                return await receive()
            patience = min(
                LONGEST_PAUSE_SECONDS, start + GRACE_SECONDS + read / LEAST_BYTES_PER_SECOND - time.monotonic()
            )
            try:
                async with asyncio.timeout(max(patience, 0)):
                    message = await receive()
            except TimeoutError:
                broken = _TOO_SLOW
                raise BrokenOff from None
            read += len(message.get("body", b""))
            is_whole = not message.get("more_body", False)
            if read > most:
                broken = _TOO_LARGE
                raise BrokenOff
            return message

        async def note(message: Message) -> None:
            nonlocal began
            if broken is not None and not began:
                return  # what the route makes of half a body is nobody's answer
            began = True
            await send(message)

        with suppress(BrokenOff):
            await self._app(scope, count, note)
        if broken is not None and not began:
            await self._break_off(broken, scope, receive, send)

    async def _break_off(self, broken: _Broken, scope: Scope, receive: Receive, send: Send) -> None:
        if broken is _TOO_LARGE and not _waits_to_be_asked(scope):
            await _read_on(receive)
        if scope["path"].startswith(_API):
            told = {"type": f"{_API}problems/{broken.kind}", "title": broken.title}
            told |= {"status": broken.status, "detail": broken.detail}  # type: ignore[dict-item]  # numbers and texts
            answer: Response = JSONResponse(told, status_code=broken.status, media_type="application/problem+json")
        else:
            answer = self._pages.error(Request(scope), broken.status, title=broken.title, message=broken.detail)
        answer.headers["Connection"] = "close"
        await answer(scope, receive, send)


@dataclass(frozen=True, slots=True)
class _Broken:
    """Why a body is not read to its end."""

    status: int
    kind: str
    title: str
    detail: str


_TOO_LARGE = _Broken(413, "too-large", "Too large", "That is too large. Send less at once.")
_TOO_SLOW = _Broken(
    408, "too-slow", "The request came too slowly", "That came too slowly. Send it again from a faster connection."
)


class BrokenOff(Exception):
    """The rest of a body is not read."""


async def _read_on(receive: Receive) -> None:
    """Throw away a little more: a connection that is closed upon its sender is reset, and the answer lost with it."""
    read = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_SECONDS):
            while read < _LINGER_BYTES:
                message = await receive()
                read += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return


def _waits_to_be_asked(scope: Scope) -> bool:
    return bytes(dict(scope["headers"]).get(b"expect", b"")).lower() == b"100-continue"


def _is_small(scope: Scope) -> bool:
    path = scope["path"]
    return path.startswith(_SMALL) or (path.startswith(_API) and not _TAKES_FILES.fullmatch(path))
