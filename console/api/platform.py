"""Where a process's own platform takes people over: a code for the values behind a link, and a word when they are done.

The platform shows an API key whose user has the role `platform`. Codes come to it in the browser of the person, once each.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from console.api import problems
from console.api.door import needs, says
from console.api.strict import StrictRoute
from console.api.texts import Asked
from deployments import links
from deployments.links import Mark
from deployments.surroundings import Surroundings
from domain.rights import Right


class Code(Asked):
    """A code, as the person's browser brought it in the address."""

    code: Annotated[str, Field(min_length=1, max_length=200)]


class Known(Asked):
    """A recipient, as the exchange called them."""

    recipient: Annotated[str, Field(min_length=1, max_length=200)]


class HandedOver(BaseModel):
    """The values behind a link."""

    recipient: str = Field(description="What to call the recipient in reports; it opens nothing.")
    process: str = Field(description="Its key.", examples=["motor-renewal"])
    version: int = Field(description="Of the process; a batch is pinned to one.")
    expires_at: datetime | None = Field(description="When the link ends; null for never.")
    values: dict[str, str | None] = Field(
        description="By data item: days as YYYY-MM-DD, numbers with a point, `true` or `false`, phone numbers in E.164; null "
        "where there is none."
    )


class Noted(BaseModel):
    """What was noted."""

    at: datetime = Field(description="When it first came to that; the same however often it is reported.")


def routes(around: Surroundings) -> APIRouter:
    """`/links`."""
    router = APIRouter(
        prefix="/links",
        tags=["platforms"],
        dependencies=[Depends(needs(Right.TAKE_OVER))],
        responses=problems.errors(problems.NOT_FOUND),
        route_class=StrictRoute,
    )

    @router.post(
        "/exchange",
        summary="Exchange a code for the values behind a link",
        description=f"Once, and within 90 seconds. {says(Right.TAKE_OVER)}",
    )
    def exchange(body: Code) -> HandedOver:
        found = links.exchange(around, body.code)
        return HandedOver(
            recipient=found.recipient,
            process=found.process,
            version=found.version,
            expires_at=found.expires_at,
            values=dict(found.values),
        )

    @router.post(
        "/started",
        summary="Report that a person has begun",
        description=f"Scanners follow links too, so an exchange alone says nothing. {says(Right.TAKE_OVER)}",
    )
    def started(body: Known) -> Noted:
        return Noted(at=links.report(around, body.recipient, Mark.STARTED))

    @router.post(
        "/complete",
        summary="Report that a person is done",
        description=f"Their link opens nothing from then on. {says(Right.TAKE_OVER)}",
    )
    def complete(body: Known) -> Noted:
        return Noted(at=links.report(around, body.recipient, Mark.COMPLETED))

    return router
