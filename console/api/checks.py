"""Checks: what a batch of a file would look like, without making one."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

from console.api import problems
from console.api.bodies import FileForm, Rows, documented, uploaded
from console.api.door import needs, says
from console.api.shapes import ProblemKind
from console.api.strict import StrictRoute
from deployments.checking import check_file
from deployments.surroundings import Surroundings
from domain.rights import Right
from models import processes

MOST_ROWS = 10_000


class CheckCounts(BaseModel):
    """How many rows there are of each sort; `warnings` are valid rows with at least one warning."""

    rows: int
    valid: int
    invalid: int
    warnings: int


class RowProblem(BaseModel):
    """One problem of one row."""

    item: str | None
    code: str
    message: str
    severity: Literal["error", "warning"]


class CheckedRow(BaseModel):
    """One row as it would be sent."""

    row: int = Field(description="As a spreadsheet numbers it.")
    valid: bool
    email: str | None = Field(description="Normalised; null where nothing would be sent.")
    phone: str | None = Field(description="In E.164; null where nothing would be sent.")
    values: dict[str, str | None] = Field(description="By data item, in one spelling: days as YYYY-MM-DD.")
    problems: list[RowProblem]


class Check(BaseModel):
    """What was found in a file."""

    counts: CheckCounts
    problems: list[ProblemKind]
    notes: list[str] = Field(description="Sentences on the file as a whole.")
    rows: list[CheckedRow] | None = Field(description="The rows that were asked for; null for none.")
    more_rows: bool = Field(description="Whether there are more of them.")


def routes(around: Surroundings) -> APIRouter:
    """`/checks`."""
    router = APIRouter(prefix="/checks", tags=["checks"], route_class=StrictRoute)

    @router.post(
        "",
        summary="Check recipients",
        description=f"Judge a file, or rows, as a batch of it would be judged; nothing is kept. {says(Right.CREATE)}",
        dependencies=[Depends(needs(Right.CREATE))],
        responses=problems.errors(problems.NOT_FOUND, problems.NOT_ALLOWED),
        openapi_extra=documented(FileForm, Rows),
    )
    async def check(
        request: Request,
        rows: Annotated[
            Literal["none", "bad", "all"],
            Query(description="Which rows to show: none, those that cannot be sent, all."),
        ] = "none",
        limit: Annotated[int, Query(ge=1, le=MOST_ROWS, description="How many rows at most.")] = 1000,
    ) -> Check:
        async with uploaded(request, around, FileForm, Rows) as upload:
            return await run_in_threadpool(
                _check, around, upload.path, upload.fields["process"], wanted=rows, limit=limit
            )

    return router


def _check(around: Surroundings, path: Path, process: str, *, wanted: str, limit: int) -> Check:
    with around.database.read() as session:
        definition = processes.definition_of(processes.live(session, process))
    rows_to = None if wanted == "none" else path.with_name("rows.jsonl")
    found = check_file(around, path, definition, rows_to=rows_to)
    shown: list[CheckedRow] | None = None
    if rows_to is not None:
        with rows_to.open("rb") as file:
            chosen = (row for row in map(orjson.loads, file) if wanted == "all" or not row["valid"])
            shown = [CheckedRow.model_validate(row) for row in islice(chosen, limit + 1)]
    return Check(
        counts=CheckCounts.model_validate(found["counts"]),
        problems=[ProblemKind.model_validate(kind) for kind in found["problems"]],
        notes=found["notes"],
        rows=None if shown is None else shown[:limit],
        more_rows=shown is not None and len(shown) > limit,
    )
