"""How pages are made: the templates, the words and numbers in them, static files that browsers keep, and notices."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.types import Scope

from settings import Settings

if TYPE_CHECKING:
    from console.who import Who  # it may use these pages itself

_HERE = Path(__file__).parent
_STATIC = _HERE / "static"
_NOTICE = "bulk-sender-notice"
_NOTICE_SECONDS = 60
_SIZES = ("bytes", "kB", "MB", "GB", "TB")
_SECONDS_SAID = 60
"""From here on minutes are said instead."""
_HOURS_SAID = 48
"""From here on days."""
_COMMAND = re.compile(r": bulk-sender [^;.]*(?=;|\.?$)")
_FOR_GOOD = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"


class Pages:
    """The templates of one installation."""

    def __init__(self, settings: Settings) -> None:
        """Read what every page says of the settings."""
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(
            number=number,
            size=size,
            time=time,
            count=count,
            duration=duration,
            first_rows=first_rows,
            on_page=on_page,
        )
        self._templates.globals.update(
            static=static,
            sandbox=settings.sandbox_url if settings.needs_sandbox else None,
            email_is_real=settings.email_is_real,
            sms_is_real=settings.sms_is_real,
            four_eyes=settings.four_eyes,
            prefect=settings.prefect_url.removesuffix("/api"),
        )

    def show(
        self,
        request: Request,
        template: str,
        *,
        who: Who | None = None,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        **values: Any,  # noqa: ANN401  whatever the template speaks of
    ) -> HTMLResponse:
        """One page; or a part of one, for a template whose name begins with `_`.

        A notice that waits for this reader is shown on the next whole page, once.

        Args:
            request: what is answered.
            template: its file name.
            who: who is signed in; None where nobody needs to be.
            status_code: of the answer.
            headers: further ones.
            values: what the template speaks of.
        """
        is_whole = not template.startswith("_")
        notice = _read_notice(request) if is_whole else None
        text = self._templates.get_template(template).render(
            {"request": request, "who": who, "notice": notice, **values}
        )
        response = HTMLResponse(text, status_code=status_code, headers=dict(headers or {}))
        if is_whole and _NOTICE in request.cookies:
            response.delete_cookie(_NOTICE)
        return response

    def error(
        self,
        request: Request,
        status_code: int,
        *,
        message: str,
        next_step: str | None = None,
        title: str | None = None,
    ) -> HTMLResponse:
        """What went wrong in one sentence, and what to do about it."""
        usual_title, usual_step = _ERRORS.get(status_code, _ERRORS[409])
        return self.show(
            request,
            "error.html",
            who=getattr(request.state, "who", None),
            status_code=status_code,
            title=title or usual_title,
            message=message,
            next_step=next_step or usual_step,
        )


_ERRORS = {
    403: ("Not yours to do", "Ask an administrator for the right, or go back to the batches."),
    404: ("Nothing is here", "Check the address, or look for it in the list of batches."),
    409: ("That did not work", "Look at it as it is now, then try again."),
    413: ("Too large", "Send less at once, or ask an administrator to raise the limit."),
    500: (
        "Something broke",
        "Try again in a moment. If it stays, tell an administrator the time at which it happened.",
    ),
    503: ("Not at the moment", "Wait a moment, then try again."),
}


def on_page(sentence: str) -> str:
    """A sentence of ours without the commands in it, for somebody who has the buttons in front of them."""
    rest = _COMMAND.sub("", sentence)
    return rest if rest == sentence or rest.endswith(".") else f"{rest}."


def go(address: str, *, say: str | None = None, tone: str = "good") -> RedirectResponse:
    """Send a browser on after a post, with a notice for the next page.

    Args:
        address: a path of this screen.
        say: the sentence.
        tone: how it looks: good, bad or warn.
    """
    response = RedirectResponse(address, status_code=303)
    if say is not None:
        leave_notice(response, say, tone=tone)
    return response


def leave_notice(response: Response, say: str, *, tone: str = "good") -> None:
    """Let the next whole page that this browser shows say something, once."""
    value = urlsafe_b64encode(json.dumps([tone, say[:1000]]).encode()).decode()
    response.set_cookie(_NOTICE, value, max_age=_NOTICE_SECONDS, httponly=True, samesite="lax")


def _read_notice(request: Request) -> tuple[str, str] | None:
    """Tone and sentence; whatever is no notice of ours is none."""
    try:
        tone, said = json.loads(urlsafe_b64decode(request.cookies[_NOTICE]))
    except (KeyError, ValueError, TypeError):
        return None
    return (tone, str(said)) if tone in {"good", "bad", "warn"} else None


class Static(StaticFiles):
    """The static files: an address with the hash of its content is kept by browsers for good."""

    def __init__(self) -> None:
        """Serve the folder beside this file."""
        super().__init__(directory=_STATIC)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file; asked for again each time where the address does not name its content."""
        response = await super().get_response(path, scope)
        asked = parse_qs(scope["query_string"].decode("latin-1")).get("v")
        is_this = response.status_code in {200, 304} and asked == [_hash(path)]
        response.headers["Cache-Control"] = _FOR_GOOD if is_this else _ASK_AGAIN
        return response


def static(name: str) -> str:
    """The address of a static file, which changes with its content."""
    return f"/static/{name}?v={_hash(name)}"


@lru_cache(maxsize=64)
def _hash(name: str) -> str:
    return hashlib.sha256((_STATIC / name).read_bytes()).hexdigest()[:16]


def number(value: float) -> str:
    """With separators between thousands."""
    return f"{value:,}"


def count(value: int, one: str, many: str | None = None) -> str:
    """A number and its word: `1 row`, `1,200 rows`."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def first_rows(rows: Sequence[int], count: int) -> str:
    """Where to look: `Row 7.`, `Rows 2, 5 and 9.`, `Rows 2, 5, 9, …`; nothing for none."""
    if not rows:
        return ""
    shown = [f"{row:,}" for row in rows]
    if count > len(rows):
        return f"Rows {', '.join(shown)}, …"
    return f"Row {shown[0]}." if len(shown) == 1 else f"Rows {', '.join(shown[:-1])} and {shown[-1]}."


def size(value: int) -> str:
    """Bytes as people read them: `14 bytes`, `3.2 MB`."""
    shown, unit = float(value), 0
    while shown >= 999.5 and unit < len(_SIZES) - 1:  # noqa: PLR2004  it would be written as 1000
        shown, unit = shown / 1000, unit + 1
    return f"{value} {_SIZES[0]}" if unit == 0 else f"{shown:.3g} {_SIZES[unit]}"


def duration(seconds: float) -> str:
    """A stretch of time as people say it: `45 seconds`, `2 hours 5 minutes`."""
    whole = max(1, round(seconds))
    if whole < _SECONDS_SAID:
        return count(whole, "second")
    minutes = -(-whole // 60)
    hours, rest = divmod(minutes, 60)
    if hours >= _HOURS_SAID:
        return count(-(-hours // 24), "day")
    return " ".join(filter(None, [hours and count(hours, "hour"), rest and count(rest, "minute")]))  # type: ignore[list-item]  # what is 0 is left out


def time(value: datetime | None) -> str:
    """A moment in this machine's zone, which the browser turns into its reader's; a dash for none."""
    if value is None:
        return "–"  # noqa: RUF001  a dash is meant
    here = value.astimezone()
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        value.isoformat(timespec="seconds"),
        f"{here:%A} {here.day} {here:%B %Y, %H:%M:%S} {here:%Z} (UTC{here:%z})",
        f"{here.day} {here:%b %Y, %H:%M}",
    )
