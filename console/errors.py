"""Every error as a page: what went wrong in one sentence, and what to do next."""

from __future__ import annotations

import logging
import traceback

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console.api import problems
from console.guards import BrokenOff
from console.pages import Pages
from domain.errors import BulkSenderError, Forbidden, NotFound, ServiceMissing, TooManyTries

_STATUS: tuple[tuple[type[BulkSenderError], int], ...] = (
    (TooManyTries, 429),
    (Forbidden, 403),
    (NotFound, 404),
    (ServiceMissing, 503),
    (BulkSenderError, 409),
)
_SAYING = {
    404: "There is no such page.",
    405: "This page cannot be used like that.",
    413: "What was sent is too large.",
}
_LINKS = "/l/"
_logger = logging.getLogger(__name__)


def add_error_pages(app: FastAPI, pages: Pages) -> None:
    """Answer every error of a page; recipients, who came by a link, are told who can help them."""

    @app.exception_handler(BulkSenderError)
    async def _refused(request: Request, refusal: BulkSenderError) -> Response:
        status = next(status for kind, status in _STATUS if isinstance(refusal, kind))
        if request.url.path.startswith(_LINKS):
            return pages.show(request, "refused.html", status_code=status, message=str(refusal))
        return pages.error(request, status, message=str(refusal))

    @app.exception_handler(HTTPException)
    async def _plain(request: Request, fault: HTTPException) -> Response:
        if request.url.path.startswith(f"{problems.ROOT}/"):  # one with a line break does not reach the API
            return await problems.on_http(request, fault)
        said = _SAYING.get(fault.status_code, "That request cannot be answered.")
        answer = pages.error(request, fault.status_code, message=said)
        answer.headers.update(fault.headers or {})
        return answer

    @app.exception_handler(RequestValidationError)
    async def _misread(request: Request, _fault: RequestValidationError) -> Response:
        """An address or a form that no page of ours makes; what it held is not repeated."""
        status = 404 if request.method in {"GET", "HEAD"} else 422
        said = "There is no such page." if status == 404 else "The form was not filled in as it can be."  # noqa: PLR2004  as above
        return pages.error(request, status, message=said)

    @app.exception_handler(DataError)
    async def _unkept(request: Request, _fault: DataError) -> Response:
        """A text that the database cannot keep: PostgreSQL takes no zero byte, and no page of ours sends one."""
        status = 404 if request.method in {"GET", "HEAD"} else 422
        return pages.error(
            request, status, message="Something in that cannot be kept. Leave out what is no letter or sign."
        )


class Faults:
    """Answers a fault of ours with a page, inside of what guards all pages; the log has its place.

    Its text is in no log: it may quote somebody. The framework's own handler would let the server write it there.
    """

    def __init__(self, app: ASGIApp, *, pages: Pages) -> None:
        """Wrap an app."""
        self._app = app
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on, and catch what comes back in place of an answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = False

        async def note(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            await self._app(scope, receive, note)
        except BrokenOff:
            raise
        except ClientDisconnect:
            return
        except Exception as fault:  # noqa: BLE001  the outermost edge
            route = getattr(scope.get("route"), "path", "no route")
            where = "".join(traceback.format_tb(fault.__traceback__))
            _logger.error("%s %s failed (%s)\n%s", scope["method"], route, type(fault).__name__, where)  # noqa: TRY400  as above
            if began:
                raise ConnectionAbortedError from None
            page = self._pages.error(Request(scope), 500, message="Something broke here, and it is not your fault.")
            await page(scope, receive, send)
