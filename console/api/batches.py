"""Batches: made, listed, looked at, downloaded."""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from console.api import problems
from console.api.bodies import BatchForm, BatchRows, Upload, documented, uploaded
from console.api.door import Caller, needs, says
from console.api.files import DOWNLOAD, download
from console.api.once import Key, Made, once
from console.api.problems import ROOT
from console.api.shapes import Batch, Page, as_batch, batch_of
from console.api.strict import StrictRoute
from console.api.texts import BatchId, Cursor, Cursors, Limit, Search
from console.who import Who
from deployments import acts, audit, results
from deployments.surroundings import Surroundings
from deployments.views import batch_view, doubts_view
from domain.proofs import digest
from domain.rights import Right
from domain.states import Status
from models import batches, processes
from models.batches import ARCHIVED
from models.reconciliation import reconcile

LONGEST_WAIT_SECONDS = 25
_LOOK_SECONDS = 1.0
_NOT_MODIFIED = 304
_DOUBTS_EACH = 1000
_UID_LENGTH = 32


class Sort(StrEnum):
    """What a list is in the order of."""

    CREATED = "created"
    NAME = "name"
    PROCESS = "process"
    SENDER = "sender"
    SENT = "sent"
    STATUS = "status"


class Shown(StrEnum):
    """Which batches are listed; an archived one by `Archived` alone."""

    PENDING_APPROVAL = Status.PENDING_APPROVAL.value
    APPROVED = Status.APPROVED.value
    ADMIN_REJECTION = Status.ADMIN_REJECTION.value
    ARCHIVED = ARCHIVED


class Batches(Page):
    """Some batches."""

    items: list[Batch]


class PastAct(BaseModel):
    """What somebody did."""

    act: str = Field(examples=["approve"])
    by: str
    via: str = Field(examples=["web screen"])
    at: datetime
    comment: str
    file_sha256: str = Field(description="What it was about: the file …")
    revision: int = Field(description="… and the corrections as they were.")


class History(BaseModel):
    """All that was done with a batch, in order."""

    items: list[PastAct]


class Account(BaseModel):
    """What became of the rows on one channel; each row stands in exactly one of these."""

    sent: int
    failed: int
    held: int = Field(description="Left out: the address must not be written to.")
    stopped: int
    unresolved: int
    in_doubt: int
    pending: int
    no_address: int
    rejected: int = Field(description="Rows that could not be used.")


class Books(BaseModel):
    """Every row of the file accounted for, channel by channel."""

    rows: int
    balances: bool
    closed: bool = Field(description="Whether nothing is open any more.")
    channels: dict[str, Account]


class Lookup(BaseModel):
    """A question to the provider."""

    source: str
    at: datetime
    found: bool | None = Field(description="null where it did not answer.")


class Doubt(BaseModel):
    """A request to a provider of which it is not known whether it was accepted."""

    request: int = Field(description="Its number, with which to settle it.")
    state: Literal["unresolved", "in_doubt"] = Field(description="What is in doubt is still being looked up.")
    channel: Literal["email", "sms"]
    size: int = Field(description="How many recipients it is for.")
    rows: list[int] = Field(description=f"Whom it is for; the first {_DOUBTS_EACH:,}.")
    asked_at: datetime | None
    code: str | None
    detail: str | None
    lookups: list[Lookup]


class Doubts(BaseModel):
    """What may or may not have been sent."""

    items: list[Doubt]


def routes(around: Surroundings) -> APIRouter:
    """`/batches`, but for what changes one."""
    router = APIRouter(prefix="/batches", tags=["batches"], route_class=StrictRoute)
    _add_lists(router, around)
    _add_one(router, around)
    _add_downloads(router, around)
    return router


def _add_lists(router: APIRouter, around: Surroundings) -> None:
    @router.post(
        "",
        status_code=201,
        summary="Create a batch",
        description="Of a file, or of rows, which become a CSV file; your email is its Sender Email. It is checked, and then waits for "
        f"approval by somebody else. {says(Right.CREATE)}",
        dependencies=[Depends(needs(Right.CREATE))],
        response_model=Batch,
        responses=problems.errors(problems.NOT_FOUND, problems.NOT_ALLOWED, problems.NOT_NOW),
        openapi_extra=documented(BatchForm, BatchRows),
    )
    async def create(request: Request, who: Caller, key: Key = None) -> Response:
        async with uploaded(request, around, BatchForm, BatchRows) as upload:
            return await run_in_threadpool(_create, around, request, who, key, upload)

    @router.get(
        "",
        summary="List batches",
        description=f"All but the archived ones, unless `status` says otherwise. {says(Right.READ)}",
        dependencies=[Depends(needs(Right.READ))],
    )
    def list_batches(
        status: Annotated[list[Shown] | None, Query(max_length=10, description="May be given again.")] = None,
        search: Annotated[Search, Query(description="Part of the name, in any case.")] = "",
        sort: Sort = Sort.CREATED,
        order: Annotated[
            Literal["asc", "desc"] | None, Query(description="Usually the newest first, else from A.")
        ] = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Batches:
        return _listed(
            around, status or [each for each in Shown if each is not Shown.ARCHIVED], search, sort, order, limit, cursor
        )


def _create(around: Surroundings, request: Request, who: Who, key: str | None, upload: Upload) -> Response:
    def act(seed: str) -> Made:
        batch_id = acts.create(
            around,
            upload.path,
            process_key=upload.fields["process"],
            sender=who.email,
            name=upload.fields["name"],
            file_name=upload.file_name,
            uid=digest(seed)[:_UID_LENGTH],
            who=who.person(),
        )
        return Made(batch_of(around, batch_id), status=201, location=f"{ROOT}/batches/{batch_id}")

    return once(around, request, who, key, told=upload.told, act=act)


def _listed(
    around: Surroundings,
    statuses: list[Shown],
    search: str,
    sort: Sort,
    order: str | None,
    limit: int,
    given: str | None,
) -> Batches:
    cursors = Cursors(around.settings.secret, f"batches by {sort} {order}")
    past = cursors.place(given)
    with around.database.read() as session:
        found = batches.matching(
            session,
            statuses=statuses,
            search=search,
            sort=sort,
            descending=None if order is None else order == "desc",
            limit=limit + 1,
            past=None if past is None else batches.Past(*past),
        )
        page = found[:limit]
        following = None
        if len(found) > limit:
            last = batches.place_of(session, batches.id_of(page[-1][0]), sort=sort)
            following = cursors.to(last.value, last.batch_id)
        return Batches(items=[as_batch(batch_view(session, *one)) for one in page], next=following)


def _add_one(router: APIRouter, around: Surroundings) -> None:
    reads = [Depends(needs(Right.READ))]

    @router.get(
        "/{batch_id}",
        summary="Show a batch",
        description="Its ETag changes whenever it does. To watch it, send the ETag back in If-None-Match with `wait`: the answer "
        f"comes when the batch has changed, or 304 when the time is over. {says(Right.READ)}",
        dependencies=reads,
        response_model=Batch,
        responses={
            200: {"headers": {"ETag": {"schema": {"type": "string"}}}},
            _NOT_MODIFIED: {"description": "It is as If-None-Match says."},
        },
    )
    async def show(
        request: Request,
        batch_id: BatchId,
        if_none_match: Annotated[str | None, Header(max_length=1000, description="ETags that you know.")] = None,
        wait: Annotated[int, Query(ge=0, le=LONGEST_WAIT_SECONDS, description="Seconds, for a change.")] = 0,
    ) -> Response:
        until = time.monotonic() + wait
        while True:
            found = await run_in_threadpool(batch_of, around, batch_id)
            body = found.model_dump_json().encode()
            tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
            if tag not in _tags(if_none_match):
                return Response(body, media_type="application/json", headers={"ETag": tag})
            if time.monotonic() >= until or await request.is_disconnected():
                return Response(status_code=_NOT_MODIFIED, headers={"ETag": tag})
            await asyncio.sleep(min(_LOOK_SECONDS, max(0.0, until - time.monotonic())))

    @router.get("/{batch_id}/history", summary="Show who did what", description=says(Right.READ), dependencies=reads)
    def history(batch_id: BatchId) -> History:
        with around.database.read() as session:
            batches.by_id(session, batch_id)
            return History(
                items=[
                    PastAct.model_validate(one, from_attributes=True) for one in batches.decisions(session, batch_id)
                ]
            )

    @router.get(
        "/{batch_id}/reconciliation",
        summary="Account for every row",
        description=f"Reads every message: a second for a million. {says(Right.READ)}",
        dependencies=reads,
    )
    def reconciliation(batch_id: BatchId) -> Books:
        with around.database.read() as session:
            batch = batches.by_id(session, batch_id)
            definition = processes.definition_of(processes.version_by_id(session, batch.process_version_id))
            books = reconcile(session, batch, channels=definition.channels)
        channels = {channel: Account.model_validate(asdict(account)) for channel, account in books.channels.items()}
        return Books(rows=books.rows, balances=books.balances, closed=books.is_closed, channels=channels)

    @router.get(
        "/{batch_id}/unresolved",
        summary="List what may or may not have been sent",
        description=says(Right.READ),
        dependencies=reads,
    )
    def unresolved(batch_id: BatchId) -> Doubts:
        with around.database.read() as session:
            batches.by_id(session, batch_id)
            found = doubts_view(session, batch_id, rows_each=_DOUBTS_EACH)
        return Doubts(items=[Doubt.model_validate(one) for one in found])


def _tags(given: str | None) -> set[str]:
    """ETags of a header; weak ones are compared like the others, as RFC 9110 has it for a GET."""
    return {tag.strip().removeprefix("W/") for tag in (given or "").split(",")}


def _add_downloads(router: APIRouter, around: Surroundings) -> None:
    loads = [Depends(needs(Right.DOWNLOAD))]

    @router.get(
        "/{batch_id}/result",
        summary="Download the result file",
        description=f"The uploaded rows with what became of each, as it stands now. {says(Right.DOWNLOAD)}",
        dependencies=loads,
        response_class=FileResponse,
        responses=DOWNLOAD | problems.errors(problems.NOT_ALLOWED),
    )
    def result(batch_id: BatchId, who: Caller) -> FileResponse:
        audit.note(around, batch_id, who.person(), what="result file", act=audit.DOWNLOADED)
        return download(partial(results.result, around, batch_id))

    @router.get(
        "/{batch_id}/original",
        summary="Download the uploaded file",
        description=f"Byte for byte. {says(Right.DOWNLOAD)}",
        dependencies=loads,
        response_class=FileResponse,
        responses=DOWNLOAD,
    )
    def original(batch_id: BatchId, who: Caller) -> FileResponse:
        audit.note(around, batch_id, who.person(), what="uploaded file", act=audit.DOWNLOADED)
        return download(partial(results.original, around, batch_id))

    @router.get(
        "/{batch_id}/bad-rows",
        summary="Download the rows that cannot be sent",
        description="In the uploaded file's format with what is wrong in a last column; corrected there, they are uploaded to "
        f"`/batches/{{batch_id}}/corrections`. {says(Right.DOWNLOAD)}",
        dependencies=loads,
        response_class=FileResponse,
        responses=DOWNLOAD | problems.errors(problems.NOT_ALLOWED),
    )
    def bad_rows(batch_id: BatchId, who: Caller) -> FileResponse:
        audit.note(around, batch_id, who.person(), what="rows that cannot be sent", act=audit.DOWNLOADED)
        return download(partial(results.problems, around, batch_id))
