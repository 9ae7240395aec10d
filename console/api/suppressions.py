"""Suppressions: addresses that must not be written to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from console.api import problems
from console.api.door import Caller, needs, says
from console.api.once import Key, Made, once
from console.api.problems import Refused, Wrong
from console.api.shapes import Page
from console.api.strict import StrictRoute
from console.api.texts import NO_ZERO, Asked, Cursor, Cursors, Limit
from deployments.surroundings import Surroundings
from domain.email_addresses import normalised_email
from domain.errors import NotFound
from domain.phone_numbers import normalised_phone
from domain.rights import Right
from domain.suppressions import Mark, SuppressionKind
from models import suppressions

Channel = Literal["email", "sms"]


class Address(Asked):
    """Somewhere to write to."""

    channel: Channel
    address: Annotated[
        str,
        Field(
            min_length=1,
            max_length=254,
            pattern=NO_ZERO,
            description="Email address, or phone number with its country code.",
            examples=["ann@mail.example"],
        ),
    ]


class Suppression(BaseModel):
    """Why an address is not written to."""

    channel: Channel
    address: str
    kind: SuppressionKind
    at: datetime | None
    batch_id: int | None = Field(description="Whose message brought it about …")
    row: int | None = Field(description="… and to whom it was.")
    by: str | None = Field(description="Who entered it.")


class Suppressions(Page):
    """Some suppressions, by channel and address."""

    items: list[Suppression]


class Changed(BaseModel):
    """An address as it is kept."""

    channel: Channel
    address: str


def routes(around: Surroundings) -> APIRouter:
    """`/suppressions`."""
    router = APIRouter(prefix="/suppressions", tags=["suppressions"], route_class=StrictRoute)
    changes = [Depends(needs(Right.SUPPRESS))]

    @router.get(
        "", summary="List suppressed addresses", description=says(Right.READ), dependencies=[Depends(needs(Right.READ))]
    )
    def list_suppressions(
        channel: Annotated[Channel | None, Query(description="Only these.")] = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Suppressions:
        cursors = Cursors(around.settings.secret, f"suppressions {channel}")
        past = cursors.place(cursor)
        with around.database.read() as session:
            found = suppressions.page(session, channel=channel, past=tuple(past) if past else None, limit=limit + 1)
            items = [Suppression.model_validate(one, from_attributes=True) for one in found[:limit]]
        last = items[-1] if len(found) > limit else None
        following = None if last is None else cursors.to(last.channel, last.address, last.kind.value)
        return Suppressions(items=items, next=following)

    @router.post(
        "",
        summary="Suppress an address",
        description=f"It is written to in no batch that is checked or sent from then on. {says(Right.SUPPRESS)}",
        dependencies=changes,
        response_model=Changed,
    )
    def add(request: Request, asked: Address, who: Caller, key: Key = None) -> Response:
        address = _normalised(asked)

        def act(_seed: str) -> Made:
            with around.database.write() as session:
                entered = Mark(asked.channel, address, SuppressionKind.ENTERED, datetime.now(UTC), by=who.email)
                suppressions.mark(session, [entered])
            return Made(Changed(channel=asked.channel, address=address))

        return once(around, request, who, key, told=asked.model_dump(), act=act)

    @router.post(
        "/remove",
        summary="Take an address off the list",
        description=f"Whatever put it there; the provider may still refuse it. {says(Right.SUPPRESS)}",
        dependencies=changes,
        response_model=Changed,
        responses=problems.errors(problems.NOT_FOUND),
    )
    def remove(request: Request, asked: Address, who: Caller, key: Key = None) -> Response:
        address = _normalised(asked)

        def act(_seed: str) -> Made:
            with around.database.write() as session:
                if not suppressions.remove(session, asked.channel, address, by=who.email, now=datetime.now(UTC)):
                    raise NotFound("That address is not suppressed. See which are: GET /suppressions")
            return Made(Changed(channel=asked.channel, address=address))

        return once(around, request, who, key, told=asked.model_dump(), act=act)

    return router


def _normalised(asked: Address) -> str:
    is_email = asked.channel == "email"
    found = normalised_email(asked.address) if is_email else normalised_phone(asked.address, region="ZZ")
    if found is None:
        what = "an email address" if is_email else "a phone number with its country code"
        raise Refused(
            problems.INVALID,
            f"The address is not {what}. Give one as it would be written to.",
            errors=[Wrong(where="body/address", detail=f"It is not {what}.")],
        )
    return found
