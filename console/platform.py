"""Where a process's own platform takes people over: a code for the values behind a link, and a word when they are done.

The platform shows an API key whose user has the role `platform`. Codes come to it in the browser of the person, once each.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from console.who import Who, program
from deployments import links
from deployments.links import Mark
from deployments.surroundings import Surroundings
from domain.errors import NotFound
from domain.rights import Right, without_right

PREFIX = "/api/v1/links"
_NO_KEY = "This needs an API key whose user takes over links. Send it as Authorization: Bearer bsk_…"
_PROBLEMS = {401: "No valid API key", 403: "The key's user has not the right", 404: "Not known"}


class _Body(BaseModel):
    """Refuses what it does not know."""

    model_config = ConfigDict(extra="forbid")


class Code(_Body):
    """A code, as the person's browser brought it in the address."""

    code: Annotated[str, Field(min_length=1, max_length=200)]


class Recipient(_Body):
    """A recipient, as the exchange called them."""

    recipient: Annotated[str, Field(min_length=1, max_length=200)]


class HandedOver(BaseModel):
    """The values behind a link."""

    recipient: str
    """What to call the recipient in reports; it opens nothing."""
    process: str
    """Key of the process."""
    version: int
    """The version of it that the batch is pinned to."""
    expires_at: datetime | None
    """When the link ends; null for never."""
    values: dict[str, str | None]
    """By data item: days as YYYY-MM-DD, numbers with a point, `true` or `false`, phone numbers in E.164; null where there is none."""


class Noted(BaseModel):
    """When it first came to that; the same however often it is reported."""

    at: datetime


def routes(around: Surroundings) -> APIRouter:
    """The platform's part of the API."""
    problems: dict[int | str, dict[str, Any]] = {status: {"description": title} for status, title in _PROBLEMS.items()}
    router = APIRouter(prefix=PREFIX, tags=["links"], responses=problems)
    holder = program(around)

    @router.post("/exchange", response_model=HandedOver)
    def exchange(request: Request, body: Code) -> HandedOver | Response:
        """Get the values behind a link for its code: once, and within 90 seconds."""
        if (refused := _refused(holder(request))) is not None:
            return refused
        try:
            found = links.exchange(around, body.code)
        except NotFound as fault:
            return _problem(404, str(fault))
        return HandedOver(
            recipient=found.recipient,
            process=found.process,
            version=found.version,
            expires_at=found.expires_at,
            values=dict(found.values),
        )

    @router.post("/started", response_model=Noted)
    def started(request: Request, body: Recipient) -> Noted | Response:
        """Report that the person has begun; scanners follow links too, so an exchange alone says nothing."""
        return _report(around, body.recipient, Mark.STARTED, who=holder(request))

    @router.post("/complete", response_model=Noted)
    def complete(request: Request, body: Recipient) -> Noted | Response:
        """Report that the person is done; their link opens nothing from here on."""
        return _report(around, body.recipient, Mark.COMPLETED, who=holder(request))

    return router


def _report(around: Surroundings, recipient: str, reached: Mark, *, who: Who | None) -> Noted | Response:
    if (refused := _refused(who)) is not None:
        return refused
    try:
        return Noted(at=links.report(around, recipient, reached))
    except NotFound as fault:
        return _problem(404, str(fault))


def _refused(who: Who | None) -> Response | None:
    if who is None:
        return _problem(401, _NO_KEY, headers={"WWW-Authenticate": "Bearer"})
    if not who.may(Right.TAKE_OVER):
        return _problem(403, without_right(who.email, who.role, Right.TAKE_OVER))
    return None


def _problem(status: int, detail: str, *, headers: dict[str, str] | None = None) -> Response:
    content = {"type": "about:blank", "title": _PROBLEMS[status], "status": status, "detail": detail}
    return JSONResponse(content, status_code=status, headers=headers, media_type="application/problem+json")
