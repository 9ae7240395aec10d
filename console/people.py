"""Finding one person in all batches, by an email address or a phone number."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse

from console.pages import Pages
from console.recipients import TONES
from console.who import Signed, requires
from deployments import audit
from deployments.recipient_views import MOST_FOUND, find_people
from deployments.surroundings import Surroundings
from domain.annotation import CHANNELS
from domain.rights import Right


def routes(around: Surroundings, pages: Pages) -> APIRouter:
    """`/people`."""
    router = APIRouter(dependencies=[Depends(requires(around, Right.READ))])

    @router.get("/people")
    def _people(request: Request, who: Signed, q: Annotated[str, Query(max_length=320)] = "") -> HTMLResponse:
        found = find_people(around, q) if q.strip() else None
        for hit in found.hits if found else []:
            audit.note(around, hit.batch_id, who.person(), what=f"row {hit.line.row}", act=audit.LOOKED)
        return pages.show(
            request, "people.html", who=who, q=q, found=found, tones=TONES, channels=CHANNELS, most=MOST_FOUND
        )

    return router
