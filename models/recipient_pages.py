# ruff: noqa: S608  the queries are put together of constants of ours
"""A few recipients at a time: those that a filter lets through, and all that is known of some of them.

However large the batch, a page reads what it shows. Where a filter has no index, a stretch of rows is read.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum

import polars as pl
from sqlalchemy import bindparam, text
from sqlmodel import Session, col, func, select

from domain.frames import MESSAGES, ROW
from models.bulk import read
from models.recipients import DELIVERY, HELD, SINCE, UTC_SECONDS
from models.tables import EXCEPTIONAL, RETURNED, Receipt, Recipient


class Filter(StrEnum):
    """Which recipients of a batch are shown."""

    ALL = "all"
    SENT = "sent"
    """At least one link was accepted by a provider."""
    WAITING = "waiting"
    """Still to be sent; or stopped before, in a batch that was rejected."""
    NOT_SENT = "failed"
    """Refused for good, or held back."""
    IN_DOUBT = "in_doubt"
    UNRESOLVED = "unresolved"
    RETURNED = "returned"
    """Sent, and then reported as not delivered."""
    BAD = "bad"
    """Rows that cannot be used."""


_PENDING_TOO = """EXISTS (SELECT 1 FROM message o WHERE o.batch_id = m.batch_id AND o.row = m.row
    AND o.state IN ('pending', 'in_doubt', 'unresolved') AND o.state <> m.state)"""
_OF_MESSAGES = f"""SELECT DISTINCT m.row FROM message m JOIN recipient r ON r.batch_id = m.batch_id AND r.row = m.row
    WHERE m.batch_id = :batch_id AND m.row > :after AND m.row <= :to AND {EXCEPTIONAL} AND m.state = '{{state}}'
    AND r.sent_at IS NULL {{but}} ORDER BY m.row LIMIT :limit"""
_OF_RECIPIENTS = """SELECT r.row FROM recipient r WHERE r.batch_id = :batch_id AND r.row > :after AND r.row <= :to {where}
    ORDER BY r.row LIMIT :limit"""
_QUERIES = {
    Filter.ALL: _OF_RECIPIENTS.format(where=""),
    Filter.SENT: _OF_RECIPIENTS.format(where="AND r.sent_at IS NOT NULL"),
    Filter.BAD: _OF_RECIPIENTS.format(where="AND NOT r.valid"),
    Filter.WAITING: _OF_RECIPIENTS.format(
        where=f"""AND r.valid AND r.sent_at IS NULL AND NOT EXISTS (SELECT 1 FROM message m
        WHERE m.batch_id = r.batch_id AND m.row = r.row AND {EXCEPTIONAL} AND NOT (m.state = 'failed' AND {_PENDING_TOO}))"""
    ),
    Filter.NOT_SENT: _OF_MESSAGES.format(state="failed", but=f"AND NOT {_PENDING_TOO}"),
    # Of two doubts the one that is still being looked into speaks for the row, as it does in the counts.
    Filter.IN_DOUBT: _OF_MESSAGES.format(state="in_doubt", but=""),
    Filter.UNRESOLVED: _OF_MESSAGES.format(
        state="unresolved",
        but="""AND NOT EXISTS (SELECT 1 FROM message o WHERE o.batch_id = m.batch_id AND o.row = m.row
        AND o.state = 'in_doubt')""",
    ),
    Filter.RETURNED: f"""SELECT DISTINCT m.row FROM message m WHERE m.batch_id = :batch_id AND m.row > :after AND m.row <= :to
        AND m.{RETURNED} ORDER BY m.row LIMIT :limit""",
}


UNINDEXED = frozenset({Filter.SENT, Filter.WAITING, Filter.BAD})
"""Of these every row between is read."""


def rows(session: Session, batch_id: int, shown: Filter, *, after: int, to: int, limit: int) -> list[int]:
    """The first rows past `after` and up to `to` that a filter lets through, in order."""
    values = {"batch_id": batch_id, "after": after, "to": to, "limit": limit}
    return list(session.execute(text(_QUERIES[shown]), values).scalars())


def last_row(session: Session, batch_id: int) -> int:
    """The number of the last row; 0 while there is none."""
    return session.exec(select(func.max(Recipient.row)).where(Recipient.batch_id == batch_id)).one() or 0


def recipients(session: Session, batch_id: int, numbers: Collection[int]) -> list[Recipient]:
    """Some recipients of a batch, by row."""
    query = select(Recipient).where(Recipient.batch_id == batch_id, col(Recipient.row).in_(list(numbers)))
    return list(session.exec(query.order_by(col(Recipient.row))).all())


def messages(
    session: Session, batch_id: int, numbers: Collection[int], *, stopped: bool, silent_since: datetime
) -> pl.DataFrame:
    """MESSAGES of some recipients, as `models.recipients.messages` gives those of all."""
    time = UTC_SECONDS[session.connection().dialect.name]
    # Joined with itself: SQLite would read the whole batch where the index of rows does not hold all that is asked for.
    own = """(SELECT m.* FROM message i
        JOIN message m ON m.batch_id = i.batch_id AND m.request = i.request AND m.position = i.position
        WHERE i.batch_id = :batch_id AND i.row IN :numbers) AS own"""
    held = f"EXISTS (SELECT 1 FROM request q WHERE q.batch_id = :batch_id AND q.number = own.request AND q.code = '{HELD}')"
    query = f"""SELECT row, channel,
        CASE WHEN state = 'failed' AND {held} THEN 'held' WHEN state = 'pending' AND :stopped THEN 'stopped' ELSE state END,
        detail, {time.format("sent_at")}, {DELIVERY}, delivery_detail, {time.format("delivery_at")} FROM {own}"""
    statement = text(query).bindparams(SINCE, bindparam("numbers", expanding=True))
    values = {"batch_id": batch_id, "since": silent_since, "stopped": stopped, "numbers": list(numbers)}
    return read(session, statement, values, schema=pl.Schema(MESSAGES)).sort(ROW, "channel")


def receipts(session: Session, batch_id: int, row: int) -> list[Receipt]:
    """What providers said of one recipient's messages, in the order in which it happened."""
    query = select(Receipt).where(Receipt.batch_id == batch_id, Receipt.row == row)
    return list(session.exec(query.order_by(col(Receipt.at), col(Receipt.received_at))).all())
