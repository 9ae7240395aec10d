"""What is done with a batch: approve, reject, pause, resume, archive, correct, settle; its links revoked or ended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

from console.api import problems
from console.api.bodies import CorrectionForm, Upload, documented, uploaded
from console.api.door import Caller, needs, says
from console.api.once import Key, Made, once
from console.api.shapes import Batch, Decision, batch_of
from console.api.strict import StrictRoute
from console.api.texts import BatchId, Said
from console.who import Who
from deployments import acts
from deployments.background import Background
from deployments.surroundings import Surroundings
from domain.errors import NotAllowed
from domain.rights import Right
from models import batches

_WAKERS = 4
_MOST_ROWS = 10_000
RowNumber = Annotated[int, Field(ge=1, le=2**31 - 1)]
_REFUSES = problems.errors(problems.NOT_FOUND, problems.NOT_ALLOWED)
_NEEDS_PREFECT = problems.errors(problems.NOT_FOUND, problems.NOT_ALLOWED, problems.NOT_NOW)


class Settling(Said):
    """A decision about what is unresolved."""

    settled: Annotated[
        acts.Settled,
        Field(alias="as", description="sent: count it as sent. resend: send it once more; some may get it twice."),
    ]
    requests: list[Annotated[int, Field(ge=0, le=2**31 - 1)]] = Field(
        default_factory=list,
        max_length=_MOST_ROWS,
        description="Their numbers; all that are unresolved if none are given.",
    )


class NumberSettled(BaseModel):
    """What was decided."""

    settled: int = Field(description="How many requests.")


class Corrected(BaseModel):
    """What came of a correction."""

    changed: int = Field(description="How many rows are different now; 0 where nothing was changed.")
    batch: Batch


class Revocation(Said):
    """Links that shall end."""

    rows: Annotated[
        list[RowNumber] | None,
        Field(max_length=_MOST_ROWS, description="Of these recipients; null or left out for all of the batch."),
    ] = None


class Revoked(BaseModel):
    """What came of it."""

    revoked: int = Field(description="How many links ended that had not been revoked before.")


class Ending(Said):
    """When links shall end."""

    last_day: date = Field(description="The last day on which they can be opened, in UTC.", examples=["2030-01-31"])


class Ended(BaseModel):
    """When links end."""

    expires_at: datetime


def routes(around: Surroundings) -> APIRouter:
    """The acts on `/batches/{batch_id}`."""
    router = APIRouter(prefix="/batches/{batch_id}", tags=["acts"], route_class=StrictRoute)
    later = Background(threads=_WAKERS)
    _add_decisions(router, around, later)
    _add_halts(router, around, later)
    _add_corrections(router, around)
    _add_settling(router, around)
    _add_links(router, around)
    return router


def _do(
    around: Surroundings, request: Request, who: Who, key: str | None, told: BaseModel, act: Callable[[], Any]
) -> Response:
    """Do something with a batch once, and show it then."""
    batch_id = int(request.path_params["batch_id"])

    def run(_seed: str) -> Made:
        act()
        return Made(batch_of(around, batch_id))

    return once(around, request, who, key, told=told.model_dump(mode="json"), act=run)


def _add_decisions(router: APIRouter, around: Surroundings, later: Background) -> None:
    @router.post(
        "/approve",
        summary="Approve a batch",
        description="It is sent from then on. You cannot approve what you created or corrected yourself. "
        f"{says(Right.DECIDE)}",
        dependencies=[Depends(needs(Right.DECIDE))],
        response_model=Batch,
        responses=_NEEDS_PREFECT,
    )
    def approve(request: Request, batch_id: BatchId, said: Decision, who: Caller, key: Key = None) -> Response:
        person = who.person(said.comment)
        act = partial(acts.approve, around, batch_id, who=person, seen_revision=said.revision, later=later)
        return _do(around, request, who, key, said, act)

    @router.post(
        "/reject",
        summary="Reject a batch",
        description=f"What has not left will not, also in the middle of the send; a rejection is final. {says(Right.DECIDE)}",
        dependencies=[Depends(needs(Right.DECIDE))],
        response_model=Batch,
        responses=_REFUSES,
    )
    def reject(request: Request, batch_id: BatchId, said: Decision, who: Caller, key: Key = None) -> Response:
        person = who.person(said.comment)
        act = partial(acts.reject, around, batch_id, who=person, seen_revision=said.revision, later=later)
        return _do(around, request, who, key, said, act)


def _add_halts(router: APIRouter, around: Surroundings, later: Background) -> None:
    @router.post(
        "/pause",
        summary="Pause the send",
        description=f"Nothing leaves until it is resumed. {says(Right.PAUSE)}",
        dependencies=[Depends(needs(Right.PAUSE))],
        response_model=Batch,
        responses=_REFUSES,
    )
    def pause(request: Request, batch_id: BatchId, who: Caller, said: Said = Said(), key: Key = None) -> Response:  # noqa: B008  it is frozen by never being changed
        return _do(around, request, who, key, said, partial(acts.pause, around, batch_id, who=who.person(said.comment)))

    @router.post(
        "/resume",
        summary="Resume the send",
        description=says(Right.PAUSE),
        dependencies=[Depends(needs(Right.PAUSE))],
        response_model=Batch,
        responses=_NEEDS_PREFECT,
    )
    def resume(request: Request, batch_id: BatchId, who: Caller, said: Said = Said(), key: Key = None) -> Response:  # noqa: B008  same
        return _do(
            around, request, who, key, said, partial(acts.resume, around, batch_id, who=who.person(said.comment))
        )

    @router.post(
        "/archive",
        summary="Archive a batch",
        description=f"It is hidden from the list; one that waits for a decision is thereby rejected. {says(Right.ARCHIVE)}",
        dependencies=[Depends(needs(Right.ARCHIVE))],
        response_model=Batch,
        responses=_REFUSES,
    )
    def archive(request: Request, batch_id: BatchId, who: Caller, said: Said = Said(), key: Key = None) -> Response:  # noqa: B008  same
        act = partial(acts.archive, around, batch_id, who=who.person(said.comment), later=later)
        return _do(around, request, who, key, said, act)


def _add_corrections(router: APIRouter, around: Surroundings) -> None:
    @router.post(
        "/corrections",
        summary="Correct rows",
        description="Upload the file of bad rows with corrected cells, while the batch waits for approval: it is checked again and "
        f"waits again. {says(Right.CREATE)}",
        dependencies=[Depends(needs(Right.CREATE))],
        response_model=Corrected,
        responses=_NEEDS_PREFECT,
        openapi_extra=documented(CorrectionForm),
    )
    async def correct(request: Request, batch_id: BatchId, who: Caller, key: Key = None) -> Response:
        async with uploaded(request, around, CorrectionForm) as upload:
            return await run_in_threadpool(_correct, around, request, batch_id, who, key, upload)


def _correct(
    around: Surroundings, request: Request, batch_id: int, who: Who, key: str | None, upload: Upload
) -> Response:
    def act(_seed: str) -> Made:
        changed = acts.correct(around, batch_id, upload.path, who=who.person(upload.fields["comment"]))
        return Made(Corrected(changed=changed, batch=batch_of(around, batch_id)))

    return once(around, request, who, key, told=upload.told, act=act)


def _add_settling(router: APIRouter, around: Surroundings) -> None:
    @router.post(
        "/settle",
        summary="Decide about what is unresolved",
        description=says(Right.DECIDE),
        dependencies=[Depends(needs(Right.DECIDE))],
        response_model=NumberSettled,
        responses=_NEEDS_PREFECT,
    )
    def settle(request: Request, batch_id: BatchId, said: Settling, who: Caller, key: Key = None) -> Response:
        def act(_seed: str) -> Made:
            number = acts.settle(around, batch_id, said.settled, numbers=said.requests, who=who.person(said.comment))
            return Made(NumberSettled(settled=number))

        return once(around, request, who, key, told=said.model_dump(mode="json"), act=act)


def _add_links(router: APIRouter, around: Surroundings) -> None:
    @router.post(
        "/links/revoke",
        summary="Revoke links",
        description=f"They open nothing from then on, and there is no way back. {says(Right.REVOKE)}",
        dependencies=[Depends(needs(Right.REVOKE))],
        response_model=Revoked,
        responses=_REFUSES,
    )
    def revoke(request: Request, batch_id: BatchId, said: Revocation, who: Caller, key: Key = None) -> Response:
        def act(_seed: str) -> Made:
            with around.database.read() as session:
                batches.by_id(session, batch_id)
            if said.rows is not None and not said.rows:
                raise NotAllowed("No row is named. Name some, or leave `rows` out to revoke all links of the batch.")
            ended = acts.revoke_links(around, batch_id, said.rows, who=who.person(said.comment))
            return Made(Revoked(revoked=ended))

        return once(around, request, who, key, told=said.model_dump(mode="json"), act=act)

    @router.post(
        "/links/expire",
        summary="Say when links end",
        description=f"In place of what the process says. {says(Right.REVOKE)}",
        dependencies=[Depends(needs(Right.REVOKE))],
        response_model=Ended,
        responses=_REFUSES,
    )
    def expire(request: Request, batch_id: BatchId, said: Ending, who: Caller, key: Key = None) -> Response:
        def act(_seed: str) -> Made:
            ends = acts.expire_links(around, batch_id, said.last_day, who=who.person(said.comment))
            return Made(Ended(expires_at=ends))

        return once(around, request, who, key, told=said.model_dump(mode="json"), act=act)
