"""Suppressions: which addresses must not be written to, and the marks that bring that about and end it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter

import polars as pl
from sqlalchemy import ColumnElement, bindparam, text, tuple_
from sqlmodel import Session, col, or_, select

from domain.frames import ROW, SUPPRESSIONS
from domain.splitting import EMAIL, SMS
from domain.states import MessageState, RequestState
from domain.suppressions import Mark, SuppressionKind
from models import batches
from models.bulk import insert
from models.recipients import HELD
from models.tables import Message, Recipient, Request, Suppression, UtcDateTime

_GRAVITY = {kind.value: place for place, kind in enumerate(SuppressionKind)}

# The later time wins, and at the same time the higher recipient: marks may come in any order, and again.
_BEGIN = text(
    """
    INSERT INTO suppression (channel, address, kind, at, batch_id, "row", "by")
    VALUES (:channel, :address, :kind, :at, :batch_id, :row, :by)
    ON CONFLICT (channel, address, kind) DO UPDATE
    SET at = excluded.at, batch_id = excluded.batch_id, "row" = excluded."row", "by" = excluded."by"
    WHERE suppression.at IS NULL OR suppression.at < excluded.at OR (suppression.at = excluded.at
        AND (coalesce(suppression.batch_id, 0) < coalesce(excluded.batch_id, 0)
            OR (coalesce(suppression.batch_id, 0) = coalesce(excluded.batch_id, 0)
                AND coalesce(suppression."row", 0) < coalesce(excluded."row", 0))))
    """
).bindparams(bindparam("at", type_=UtcDateTime()))
_END = text(
    """
    INSERT INTO suppression (channel, address, kind, ended_at, ended_by)
    VALUES (:channel, :address, :kind, :at, :by)
    ON CONFLICT (channel, address, kind) DO UPDATE
    SET ended_at = excluded.ended_at, ended_by = excluded.ended_by
    WHERE suppression.ended_at IS NULL OR suppression.ended_at < excluded.ended_at
    """
).bindparams(bindparam("at", type_=UtcDateTime()))


def mark(session: Session, marks: Iterable[Mark]) -> None:
    """Write what suppresses addresses and what ends it; the order does not matter, nor does repeating it.

    Args:
        session: a writing transaction.
        marks: addresses in any case.
    """
    # In one order: else PostgreSQL finds deadlocks between two who write of the same people.
    ordered = sorted(marks, key=lambda one: (one.channel, one.address.lower(), one.kind, one.ends))
    for ends, run in groupby(ordered, key=attrgetter("ends")):
        session.execute(_END if ends else _BEGIN, [_values(one) for one in run])
    session.expire_all()


def _values(one: Mark) -> dict[str, object]:
    origin = {} if one.ends else {"batch_id": one.batch_id, "row": one.row}
    address, kind = one.address.lower(), one.kind.value
    return {"channel": one.channel, "address": address, "kind": kind, "at": one.at, "by": one.by, **origin}


def mark_opted_out(session: Session, batch_id: int, numbers: Collection[int], *, now: datetime) -> None:
    """Suppress the people of some SMS requests that the provider refused because they had opted out."""
    members = select(Message.row).where(
        Message.batch_id == batch_id, col(Message.request).in_(list(numbers)), Message.channel == SMS
    )
    query = select(Recipient.row, Recipient.phone).where(
        Recipient.batch_id == batch_id, col(Recipient.row).in_(members), col(Recipient.phone).is_not(None)
    )
    kind = SuppressionKind.OPTED_OUT
    mark(session, [Mark(SMS, to, kind, now, batch_id=batch_id, row=row) for row, to in session.exec(query) if to])


def remove(session: Session, channel: str, address: str, *, by: str, now: datetime) -> bool:
    """Take an address off the list, whatever put it there; says whether it was on it."""
    found = listed(session, channel=channel, address=address)
    # A provider's clock may be ahead of ours.
    ends = {one.kind: max(now, one.at + timedelta(microseconds=1)) for one in found if one.at is not None}
    mark(session, [Mark(channel, address, SuppressionKind(kind), at, ends=True, by=by) for kind, at in ends.items()])
    return bool(ends)


def _holds() -> ColumnElement[bool]:
    ended = col(Suppression.ended_at)
    return col(Suppression.at).is_not(None) & or_(ended.is_(None), ended <= col(Suppression.at))


def listed(session: Session, *, channel: str | None = None, address: str | None = None) -> list[Suppression]:
    """The suppressions that hold, newest first."""
    query = select(Suppression).where(_holds())
    if channel is not None:
        query = query.where(Suppression.channel == channel)
    if address is not None:
        query = query.where(Suppression.address == address.lower())
    return list(session.exec(query.order_by(col(Suppression.at).desc(), col(Suppression.address))).all())


def page(session: Session, *, channel: str | None, past: tuple[str, str, str] | None, limit: int) -> list[Suppression]:
    """Some suppressions that hold, by channel, address and kind, past those of an earlier page."""
    place = tuple_(col(Suppression.channel), col(Suppression.address), col(Suppression.kind))
    query = select(Suppression).where(_holds())
    if channel is not None:
        query = query.where(Suppression.channel == channel)
    if past is not None:
        query = query.where(place > past)
    return list(session.exec(query.order_by(*place).limit(limit)).all())


def suppressed(session: Session, addresses: pl.DataFrame) -> pl.DataFrame:
    """Which of some addresses must not be written to.

    Reads all suppressions of the channels: there are fewer of them than there are recipients.

    Args:
        session: a transaction.
        addresses: RECIPIENTS, or its columns `email` and `phone`.

    Returns:
        SUPPRESSIONS, with the gravest kind of each address.
    """
    query = select(Suppression.channel, Suppression.address, Suppression.kind, Suppression.at).where(_holds())
    found = [
        (channel, address, kind, at.date()) for channel, address, kind, at in session.exec(query) if at is not None
    ]
    known = pl.DataFrame(found, schema=SUPPRESSIONS, orient="row")
    asked = pl.concat(
        addresses.select(pl.lit(channel).alias("channel"), pl.col(name).str.to_lowercase().alias("address"))
        for channel, name in ((EMAIL, "email"), (SMS, "phone"))
    )
    gravity = pl.col("kind").replace_strict(_GRAVITY, return_dtype=pl.Int64)
    gravest = known.sort(gravity, descending=True).unique(["channel", "address"], keep="first", maintain_order=True)
    return gravest.join(asked, on=["channel", "address"], how="semi")


def hold(session: Session, batch_id: int, held: pl.DataFrame, *, now: datetime) -> None:
    """Write down who is left out of a send, so that every recipient is accounted for: a request that is never made.

    Args:
        session: the transaction in which the batch's plan was written.
        batch_id: the batch.
        held: `channel, row, why`.
        now: the time to record.
    """
    first = batches.by_id(session, batch_id).request_count
    channels = held["channel"].unique().sort().to_list()
    for number, channel in enumerate(channels, start=first):
        own = held.filter(channel=channel).sort(ROW)
        session.add(
            Request(
                batch_id=batch_id,
                number=number,
                chunk=0,
                channel=channel,
                size=own.height,
                state=RequestState.REJECTED.value,
                answered_at=now,
                code=HELD,
                detail="These people must not be written to.",
            )
        )
        session.flush()
        insert(
            session,
            "message",
            own.select(
                pl.lit(batch_id).alias("batch_id"),
                pl.lit(number).alias("request"),
                pl.int_range(pl.len()).alias("position"),
                pl.col(ROW).cast(pl.Int64),
                pl.lit(channel).alias("channel"),
                pl.lit(MessageState.FAILED.value).alias("state"),
                pl.format("Not written to: {}.", "why").alias("detail"),
            ),
        )
    batches.note(session, batch_id, request_count=first + len(channels))
