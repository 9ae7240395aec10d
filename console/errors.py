"""Every error as a page: what went wrong in one sentence, and what to do next."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

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

    @app.exception_handler(Exception)
    async def _broken(request: Request, fault: Exception) -> Response:
        route = getattr(request.scope.get("route"), "path", "no route")
        _logger.error("%s %s failed (%s)", request.method, route, type(fault).__name__)
        return pages.error(request, 500, message="Something broke here, and it is not your fault.")
