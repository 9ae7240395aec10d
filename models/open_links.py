"""Whose personal links are open: the one place that says so."""

from __future__ import annotations

import polars as pl
from sqlalchemy import String, cast
from sqlmodel import Session, col, func, select

from domain.frames import ROW
from models import batches
from models.tables import Batch, ProcessVersion, Recipient


def batches_with_some(session: Session, process_key: str, *, apart_from: int | None = None) -> list[tuple[int, str]]:
    """Batches of any version of a process of which a link may be open, newest first.

    Args:
        session: a transaction.
        process_key: the process.
        apart_from: a batch to leave out.

    Returns:
        Each batch's id and where its recipients are kept.
    """
    query = (
        select(Batch)
        .join(ProcessVersion)
        .where(ProcessVersion.key == process_key, Batch.sent > 0)
        .order_by(col(Batch.id).desc())
    )
    return [
        (batches.id_of(batch), batch.recipients_key)
        for batch in session.exec(query)
        if batch.recipients_key is not None and batch.id != apart_from
    ]


def open_rows(session: Session, batch_id: int) -> pl.Series | None:
    """The rows of a batch whose links are open, which are those with an accepted link.

    Returns:
        `row`, in any order; None where the links of all its valid rows are, as after nearly every send.
    """
    batch = batches.by_id(session, batch_id)
    if batch.sent == batch.valid:
        return None
    # As one text: a million numbers, each fetched by itself, take two seconds.
    numbers = func.aggregate_strings(cast(col(Recipient.row), String), ",")
    query = select(numbers).where(Recipient.batch_id == batch_id, col(Recipient.sent_at).is_not(None))
    return pl.Series(ROW, (session.exec(query).one() or "").split(","), pl.String).cast(pl.UInt32, strict=False)
