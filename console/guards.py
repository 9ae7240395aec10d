"""What holds for every answer and every body, whatever route it is for."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
_YEAR = "max-age=31536000"
_MEGABYTE = 1024 * 1024
MOST_SMALL_BYTES = 64 * 1024
_SMALL = ("/sign-", "/set-up/", "/account")
"""What anybody may post to before they have shown who they are, and the like: a few fields."""


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
    """Read no body further than its route can need, whatever it says of its length."""

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        """Wrap an app."""
        self._app = app
        self._most = (settings.upload_megabytes + 1) * _MEGABYTE

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse at once what says that it is too long, and break off what turns out to be."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = MOST_SMALL_BYTES if scope["path"].startswith(_SMALL) else self._most
        said = dict(scope["headers"]).get(b"content-length", b"0")
        if not said.isdigit() or int(said) > most:
            await _too_large(scope, receive, send)
            return
        read = 0
        began = False

        async def count() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                raise _TooLong
            return message

        async def note(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            await self._app(scope, count, note)
        except _TooLong:
            if began:
                raise
            await _too_large(scope, receive, send)


class _TooLong(Exception):
    """More came than was allowed."""


async def _too_large(scope: Scope, receive: Receive, send: Send) -> None:
    answer = PlainTextResponse(
        "That is too large. Send less at once.\n", status_code=413, headers={"Connection": "close"}
    )
    await answer(scope, receive, send)
