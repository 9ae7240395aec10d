"""Recipients: who is in a batch, what became of each, and one person in all batches."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from console.api import problems
from console.api.door import Caller, needs, says
from console.api.shapes import Page
from console.api.strict import StrictRoute
from console.api.texts import NO_ZERO, Asked, BatchId, Cursor, Cursors, Limit, Row
from deployments import audit, recipient_views
from deployments.previews import previews
from deployments.surroundings import Surroundings
from domain.rights import Right
from models.recipient_pages import Filter


class Recipient(BaseModel):
    """One row of the file, in the words of the result file."""

    row: int
    email: str | None = Field(description="Normalised; null where nothing is sent there.")
    phone: str | None = Field(description="In E.164; null where nothing is sent there.")
    valid: bool
    status: str = Field(examples=["Sent"])
    detail: str | None
    channel: str | None
    sent_at: datetime | None
    delivery: str | None
    delivery_detail: str | None
    delivery_at: datetime | None
    opened_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None


class Recipients(Page):
    """Some recipients, by row."""

    items: list[Recipient]


class Value(BaseModel):
    """One data item, as people read it."""

    title: str
    text: str
    problem: str | None
    is_wrong: bool = Field(description="Whether the row cannot be sent for it.")


class Receipt(BaseModel):
    """What a provider said."""

    at: datetime
    channel: str
    kind: str
    why: str | None


class EmailMessage(BaseModel):
    """An email as this recipient gets it, with a link that counts as nothing."""

    address: str
    sender: str
    subject: str
    text: str
    html: str | None


class SmsMessage(BaseModel):
    """An SMS as this recipient gets it, with a link that counts as nothing."""

    address: str
    sender: str
    text: str


class WholeRecipient(Recipient):
    """All that is known of one recipient."""

    values: list[Value]
    problems: list[str] = Field(description="Of the row as a whole.")
    receipts: list[Receipt]
    link_revoked_at: datetime | None
    email_message: EmailMessage | None
    sms_message: SmsMessage | None


class Sought(Asked):
    """A person."""

    address: Annotated[
        str,
        Field(
            min_length=3,
            max_length=254,
            pattern=NO_ZERO,
            description="A whole email address in any case, or a phone number.",
            examples=["ann@mail.example"],
        ),
    ]


class Place(BaseModel):
    """One person in one batch."""

    batch_id: int
    batch: str
    process: str
    created_at: datetime
    status: str
    recipient: Recipient


class Suppressed(BaseModel):
    """Why an address is not written to."""

    channel: Literal["email", "sms"]
    kind: str
    at: datetime | None


class Person(BaseModel):
    """What came of looking for somebody."""

    items: list[Place] = Field(description="The newest batch first.")
    suppressions: list[Suppressed]
    more: bool = Field(description="Whether there are more.")


def routes(around: Surroundings) -> APIRouter:
    """`/batches/{batch_id}/recipients` and `/people/search`."""
    router = APIRouter(tags=["recipients"], route_class=StrictRoute)
    reads = [Depends(needs(Right.READ))]

    @router.get(
        "/batches/{batch_id}/recipients",
        summary="List recipients",
        description=f"By row. {says(Right.READ)}",
        dependencies=reads,
    )
    def list_recipients(
        batch_id: BatchId,
        show: Annotated[Filter, Query(description="Which ones.")] = Filter.ALL,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Recipients:
        cursors = Cursors(around.settings.secret, f"recipients of {batch_id} {show}")
        past = cursors.place(cursor)
        found = recipient_views.page(around, batch_id, show, after=past[0] if past else 0, size=limit)
        following = None if found.next_after is None else cursors.to(found.next_after)
        return Recipients(items=[_recipient(line) for line in found.lines], next=following)

    @router.get(
        "/batches/{batch_id}/recipients/{row}",
        summary="Show a recipient",
        description=f"With their values, their messages and all receipts; the history says who looked. {says(Right.READ)}",
        dependencies=reads,
    )
    def show_recipient(batch_id: BatchId, row: Row, who: Caller) -> WholeRecipient:
        whole = recipient_views.whole(around, batch_id, row)
        audit.note(around, batch_id, who.person(), what=f"row {row}", act=audit.LOOKED)
        messages = previews(around, batch_id, row)
        return WholeRecipient(
            **_recipient(whole.line).model_dump(),
            values=[Value.model_validate(asdict(value)) for value in whole.values],
            problems=whole.problems,
            receipts=[Receipt.model_validate(asdict(one)) for one in whole.said],
            link_revoked_at=whole.visit.revoked_at if whole.visit else None,
            email_message=None if messages.email is None else EmailMessage.model_validate(asdict(messages.email)),
            sms_message=None if messages.sms is None else SmsMessage.model_validate(asdict(messages.sms)),
        )

    @router.post(
        "/people/search",
        summary="Find a person in all batches",
        description=f"By a post, because addresses in addresses end up in logs. {says(Right.READ)}",
        dependencies=reads,
        responses=problems.errors(problems.NOT_FOUND),
    )
    def find_person(sought: Sought) -> Person:
        found = recipient_views.find_people(around, sought.address)
        return Person(
            items=[
                Place(
                    batch_id=hit.batch_id,
                    batch=hit.batch,
                    process=hit.process,
                    created_at=hit.created_at,
                    status=hit.status,
                    recipient=_recipient(hit.line),
                )
                for hit in found.hits
            ],
            suppressions=[Suppressed.model_validate(one, from_attributes=True) for one in found.suppressions],
            more=found.is_cut,
        )

    return router


def _recipient(line: recipient_views.Line) -> Recipient:
    return Recipient.model_validate(asdict(line))
