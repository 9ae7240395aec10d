"""Look-ups of requests at the providers: what was read, when, and how far each list has come."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlmodel import Session, col, func, select

from domain.doubts import Reading, Sighting, Watermark
from domain.states import RequestState
from models.tables import Lookup, Message, Receipt, Request


def add(session: Session, request: Request, sighting: Sighting, *, at: datetime) -> None:
    """Write down what a provider answered about a request."""
    session.add(
        Lookup(
            batch_id=request.batch_id,
            request=request.number,
            source=sighting.source,
            at=at,
            found=sighting.found,
            provider_id=sighting.provider_id,
            detail=sighting.detail,
            asked_at=request.asked_at,
        )
    )


def readings(session: Session, batch_id: int, number: int) -> list[Reading]:
    """Every reading of a request, oldest first."""
    query = (
        select(Lookup.source, Lookup.at, Lookup.found)
        .where(Lookup.batch_id == batch_id, Lookup.request == number)
        .order_by(col(Lookup.id))
    )
    return [Reading(*found) for found in session.exec(query)]


def last_read(session: Session, batch_ids: Collection[int]) -> dict[tuple[int, int], datetime]:
    """When each request of some batches was last looked up, by (batch, request)."""
    query = (
        select(Lookup.batch_id, Lookup.request, func.max(Lookup.at))
        .where(col(Lookup.batch_id).in_(list(batch_ids)))
        .group_by(col(Lookup.batch_id), col(Lookup.request))
    )
    return {(batch, request): at for batch, request, at in session.exec(query)}


def watermarks(session: Session, *, since: datetime) -> list[Watermark]:
    """What the lists showed of requests that were made after `since`."""
    query = select(Lookup.source, Lookup.asked_at, Lookup.at).where(
        col(Lookup.found).is_(True), col(Lookup.asked_at) > since
    )
    return [Watermark(source, asked_at, at) for source, asked_at, at in session.exec(query) if asked_at is not None]


def newest_accepted(session: Session, channel: str, *, since: datetime) -> Request | None:
    """The latest request on a channel that was made after `since` and accepted, from whatever batch."""
    query = (
        select(Request)
        .where(
            Request.channel == channel,
            Request.state == RequestState.ACCEPTED,
            col(Request.asked_at) > since,
            col(Request.provider_id).is_not(None),
        )
        .order_by(col(Request.asked_at).desc())
        .limit(1)
    )
    return session.exec(query).first()


def receipt_of(session: Session, batch_id: int, number: int) -> str | None:
    """The provider's id of a request of which any receipt is at rest; a receipt may come before the doubt does."""
    query = (
        select(Receipt.provider_id)
        .join(
            Message,
            (col(Message.batch_id) == Receipt.batch_id)
            & (col(Message.row) == Receipt.row)
            & (col(Message.channel) == Receipt.channel),
        )
        .where(Message.batch_id == batch_id, Message.request == number, Receipt.request == number)
        .limit(1)
    )
    return session.exec(query).first()


def seen_as(session: Session, batch_id: int, number: int) -> str | None:
    """Under which id a list showed a request."""
    query = select(Lookup.provider_id).where(
        Lookup.batch_id == batch_id, Lookup.request == number, col(Lookup.found).is_(True)
    )
    return session.exec(query.limit(1)).first()
