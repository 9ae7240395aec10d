"""The way in: which program calls, what its user may do, and how often; and nothing of a fault inside leaves."""

from __future__ import annotations

import logging
import math
import time
import traceback
from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPBearer
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console.api import problems
from console.api.problems import ROOT
from console.guards import BrokenOff
from console.who import Who, program
from deployments.surroundings import Surroundings
from domain.proofs import network_of
from domain.rights import WORDS, Right

_OPEN = (f"{ROOT}/openapi.json", f"{ROOT}/problems/")
_NO_KEY = "Send an API key as Authorization: Bearer bsk_…; an administrator makes one with: bulk-sender key add NAME --user EMAIL"
_MOST_KNOWN = 10_000
AT_ONCE, PER_SECOND = 200, 20
"""Calls of one key."""
WRONG_AT_ONCE = 100
"""Calls with a wrong key from one address, and then one a second."""
_logger = logging.getLogger(__name__)

bearer = HTTPBearer(auto_error=False, description="An API key, made with: `bulk-sender key add NAME --user EMAIL`")


class Allowance:
    """How often each caller may do something: so many at once, and then so many a second. Belongs to one event loop."""

    def __init__(self, *, at_once: int, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Nobody has done anything yet."""
        self._at_once = at_once
        self._per_second = per_second
        self._clock = clock
        self._used: dict[str, tuple[float, float]] = {}

    def take(self, caller: str) -> int:
        """Count one; gives how many seconds to wait if it was one too many, else 0."""
        now = self._clock()
        used, since = self._used.pop(caller, (0.0, now))
        used = max(0.0, used - (now - since) * self._per_second)
        too_many = used + 1 - self._at_once
        self._used[caller] = (used if too_many > 0 else used + 1, now)
        if len(self._used) > _MOST_KNOWN:
            del self._used[next(iter(self._used))]
        return math.ceil(too_many / self._per_second) if too_many > 0 else 0


class Door:
    """Lets programs in that show a right key, each so often; cookies count for nothing here."""

    def __init__(self, app: ASGIApp, *, around: Surroundings) -> None:
        """Wrap an app."""
        self._app = app
        self._find = program(around)
        self._calls = Allowance(at_once=AT_ONCE, per_second=PER_SECOND)
        self._wrong = Allowance(at_once=WRONG_AT_ONCE, per_second=1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer in its place, or let it pass with who calls."""
        if scope["type"] != "http":
            return
        began = False

        async def note(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            refusal = await self._refusal(Request(scope, receive))
            await (refusal or self._app)(scope, receive, note)
        except ClientDisconnect:
            return
        except BrokenOff:
            raise
        except Exception as fault:  # noqa: BLE001  the outermost edge
            where = "".join(traceback.format_tb(fault.__traceback__))
            # Without its text, which may quote somebody.
            _logger.error("%s failed (%s)\n%s", _route(scope), type(fault).__name__, where)  # noqa: TRY400  same
            if began:
                raise ConnectionAbortedError from None
            await problems.of_fault()(scope, receive, send)

    async def _refusal(self, request: Request) -> Response | None:
        if request.url.path.startswith(_OPEN):
            return None
        who = await run_in_threadpool(self._find, request)
        if who is not None:
            request.state.who = who
            wait = self._calls.take(who.via)
        else:
            wait = self._wrong.take(network_of(request.client.host) if request.client else "")
            if not wait:
                return problems.answer(problems.UNKNOWN_CALLER, _NO_KEY, headers=problems.CHALLENGE)
        if not wait:
            return None
        return problems.answer(
            problems.TOO_MANY,
            f"That was too often. Wait {wait} second{'s' if wait != 1 else ''}, then go on.",
            headers={"Retry-After": str(wait)},
        )


def _route(scope: Scope) -> str:
    """The address without what is personal in it."""
    return f"{scope['method']} {getattr(scope.get('route'), 'path', 'no route')}"


class _Needs:
    """A dependency: the caller, who must have a right. The document of the API says so of each operation."""

    def __init__(self, right: Right) -> None:
        self.right = right

    def __call__(self, request: Request) -> Who:
        who: Who = request.state.who
        who.require(self.right)
        return who


def needs(right: Right) -> _Needs:
    """A dependency that gives the caller, if they have a right."""
    return _Needs(right)


def this_caller(request: Request) -> Who:
    """Who calls."""
    who: Who = request.state.who
    return who


Caller = Annotated[Who, Depends(this_caller)]
"""A parameter of every route that is told who calls."""


def says(right: Right) -> str:
    """What the document says of an operation that needs a right."""
    return f"Needs the right `{right}`: {WORDS[right]}."
