"""What the API says of batches and files: the same facts as the command line's JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from console.api.texts import NO_ZERO, Said
from deployments.surroundings import Surroundings
from deployments.views import batch_view
from domain.states import Phase, Status
from models import batches, processes


class ProblemKind(BaseModel):
    """One kind of problem in a file."""

    code: str = Field(examples=["email-invalid"])
    message: str = Field(examples=["email is not an email address"])
    count: int = Field(description="How many rows have it.")
    rows: list[int] = Field(description="The first few of them, as a spreadsheet numbers rows.")


class BatchCounts(BaseModel):
    """How the recipients of a batch stand; `valid` is the sum of all that follow `invalid`."""

    rows: int
    valid: int
    invalid: int
    sent: int = Field(description="With at least one link accepted by a provider.")
    failed: int
    pending: int
    in_doubt: int
    unresolved: int


class Batch(BaseModel):
    """One file for one process, and how far it has come."""

    id: int = Field(examples=[7])
    name: str = Field(examples=["March renewals"])
    process: str = Field(description="Its key.", examples=["motor-renewal"])
    process_name: str
    version: int = Field(description="Of the process; a batch is pinned to one.")
    sender: str = Field(description="The Sender Email: who created it.")
    created_at: datetime
    status: Status = Field(description="What people decided.")
    archived: bool
    phase: Phase = Field(description="How far the machine has come.")
    reason: str | None = Field(description="Why it is paused or failed.")
    revision: int = Field(description="How often rows were corrected; a decision names the one that it is about.")
    counts: BatchCounts
    duplicates: int = Field(description="Recipients of whom a provider reported two messages for one of ours.")
    problems: list[ProblemKind]
    file: str
    file_sha256: str
    flow_run_id: str | None


class Decision(Said):
    """A decision, about what was seen."""

    revision: Annotated[int, Field(ge=0, le=2**31 - 1, description="`revision` of the batch as you saw it.")]


class Page(BaseModel):
    """Part of a list."""

    next: str | None = Field(description="The cursor of the next page; null where this is the last.")


def as_batch(view: dict[str, Any]) -> Batch:
    """A batch of its view."""
    return Batch.model_validate(view)


def batch_of(around: Surroundings, batch_id: int) -> Batch:
    """A batch as it stands now.

    Raises:
        NotFound: there is none.
    """
    with around.database.read() as session:
        found = batches.by_id(session, batch_id)
        return as_batch(batch_view(session, found, processes.version_by_id(session, found.process_version_id)))


Name = Annotated[str, Field(max_length=200, pattern=NO_ZERO, description="Batch Name; the file's name if empty.")]
