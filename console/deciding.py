"""Approve, reject and archive: from the list and from the batch's page, each by a post; two of them ask first."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi import Path as InPath
from fastapi.responses import HTMLResponse

from console.pages import Pages, go
from console.who import Signed, requires, safe_next
from deployments import acts
from deployments.background import Background
from deployments.surroundings import Surroundings
from domain.errors import BulkSenderError
from domain.rights import Right
from models import batches, processes

BatchId = Annotated[int, InPath(ge=1, le=2**31 - 1)]
Comment = Annotated[str, Form(max_length=2000)]
Next = Annotated[str, Form(max_length=2000)]
Revision = Annotated[int | None, Form(ge=0)]
_WAKERS = 4


def routes(around: Surroundings, pages: Pages) -> APIRouter:
    """`/batches/{id}/approve`, `/reject`, `/archive`; a form may say in `next` where to go afterwards."""
    router = APIRouter()
    later = Background(threads=_WAKERS)
    may_decide = [Depends(requires(around, Right.DECIDE))]
    may_archive = [Depends(requires(around, Right.ARCHIVE))]

    def decide(batch_id: int, act: Callable[[], None], *, done: Callable[[], str], then: str) -> Response:
        try:
            act()
        except BulkSenderError as refusal:
            return go(safe_next(then), say=str(refusal), tone="bad")
        with around.database.read() as session:
            name = batches.by_id(session, batch_id).name
        return go(safe_next(then), say=f"{name} {done()}")

    def ask(request: Request, batch_id: int, who: Signed, *, act: str, then: str) -> HTMLResponse:
        with around.database.read() as session:
            batch = batches.by_id(session, batch_id)
            version = processes.version_by_id(session, batch.process_version_id)
            return pages.show(
                request, "confirm.html", who=who, batch=batch, version=version, act=act, next=safe_next(then)
            )

    @router.post("/batches/{batch_id}/approve", dependencies=may_decide)
    def _approve(
        batch_id: BatchId,
        who: Signed,
        comment: Comment = "",
        revision: Revision = None,
        next: Next = "/",  # noqa: A002  as the form calls it
    ) -> Response:
        act = partial(
            acts.approve, around, batch_id, who=who.person(comment.strip()), seen_revision=revision, later=later
        )
        return decide(batch_id, act, done=lambda: "is approved. It is sent from now on.", then=next)

    @router.get("/batches/{batch_id}/reject", dependencies=may_decide)
    def _ask_reject(request: Request, batch_id: BatchId, who: Signed, next: str = "/") -> HTMLResponse:  # noqa: A002  as the form calls it
        return ask(request, batch_id, who, act="reject", then=next)

    @router.post("/batches/{batch_id}/reject", dependencies=may_decide)
    def _reject(
        batch_id: BatchId,
        who: Signed,
        comment: Comment = "",
        revision: Revision = None,
        next: Next = "/",  # noqa: A002  as the form calls it
    ) -> Response:
        act = partial(
            acts.reject, around, batch_id, who=who.person(comment.strip()), seen_revision=revision, later=later
        )
        return decide(
            batch_id,
            act,
            done=lambda: f"is rejected; {acts.how_far(around, batch_id)}. Nothing more leaves.",
            then=next,
        )

    @router.get("/batches/{batch_id}/archive", dependencies=may_archive)
    def _ask_archive(request: Request, batch_id: BatchId, who: Signed, next: str = "/") -> HTMLResponse:  # noqa: A002  as the form calls it
        return ask(request, batch_id, who, act="archive", then=next)

    @router.post("/batches/{batch_id}/archive", dependencies=may_archive)
    def _archive(batch_id: BatchId, who: Signed, comment: Comment = "", next: Next = "/") -> Response:  # noqa: A002  as the form calls it
        act = partial(acts.archive, around, batch_id, who=who.person(comment.strip()), later=later)
        return decide(batch_id, act, done=lambda: "is archived. Tick Archived above the list to see it.", then=next)

    return router
