"""Whose personal links are open: the one place that says so for whole batches; of one link `domain.link_life` does."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
from sqlalchemy import ColumnElement, String, cast
from sqlmodel import Session, col, func, or_, select

from domain.frames import ROW
from models import batches, processes
from models.tables import Batch, ProcessVersion, Recipient, Visit


def batches_with_some(
    session: Session, process_key: str, *, now: datetime, apart_from: int | None = None
) -> list[tuple[int, str]]:
    """Batches of any version of a process of which a link may be open, newest first.

    Args:
        session: a transaction.
        process_key: the process.
        now: the present moment; links end.
        apart_from: a batch to leave out.

    Returns:
        Each batch's id and where its recipients are kept.
    """
    ends = col(Batch.links_expire_at)
    query = (
        select(Batch)
        .join(ProcessVersion)
        .where(ProcessVersion.key == process_key, Batch.sent > 0)
        .where(col(Batch.links_revoked_at).is_(None), or_(ends.is_(None), ends > now))
        .order_by(col(Batch.id).desc())
    )
    return [
        (batches.id_of(batch), batch.recipients_key)
        for batch in session.exec(query)
        if batch.recipients_key is not None and batch.id != apart_from
    ]


def open_rows(session: Session, batch_id: int, *, now: datetime) -> pl.Series | None:
    """The rows of a batch with an accepted link that has not come to its end by time; `closed_rows` are not taken out.

    Returns:
        `row`, in any order; None where the links of all its valid rows are, as after nearly every send.
    """
    batch = batches.by_id(session, batch_id)
    since = _sent_since(session, batch, now=now)
    if batch.sent == batch.valid and since is None:
        return None
    is_open = col(Recipient.sent_at).is_not(None) if since is None else col(Recipient.sent_at) > since
    return _numbers(session, Recipient, is_open, batch_id)


def closed_rows(session: Session, batch_id: int) -> pl.Series:
    """The rows of a batch whose links were used or revoked, in any order."""
    is_closed = or_(col(Visit.completed_at).is_not(None), col(Visit.revoked_at).is_not(None))
    return _numbers(session, Visit, is_closed, batch_id)


def _sent_since(session: Session, batch: Batch, *, now: datetime) -> datetime | None:
    """What was sent before then has come to its end; None where nothing ends in that way."""
    definition = processes.definition_of(processes.version_by_id(session, batch.process_version_id))
    if definition.link_days is None or batch.links_expire_at is not None:
        return None
    return now - timedelta(days=definition.link_days)


def _numbers(
    session: Session, table: type[Recipient | Visit], condition: ColumnElement[bool], batch_id: int
) -> pl.Series:
    # As one text: a million numbers, each fetched by itself, take two seconds.
    numbers = func.aggregate_strings(cast(col(table.row), String), ",")
    query = select(numbers).where(table.batch_id == batch_id, condition)
    return (
        pl.Series(ROW, (session.exec(query).one() or "").split(","), pl.String)
        .cast(pl.UInt32, strict=False)
        .drop_nulls()
    )
