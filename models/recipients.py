# ruff: noqa: S608  the queries are put together of constants of ours
"""Recipients and their messages: who is in a batch and what became of each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl
from sqlalchemy import bindparam, delete, text
from sqlmodel import Session, col, func, select

from domain.deliveries import SILENT, WAITING, Delivery
from domain.finding import buckets
from domain.frames import MESSAGES, ROW
from domain.states import MessageState
from models.bulk import insert, read
from models.tables import EXCEPTIONAL, AddressRows, Batch, Recipient, Request, UtcDateTime

HELD = "suppressed"
"""The code of a request that holds the people who were left out of a send."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How the recipients of a batch stand; valid = sent + failed + pending + in_doubt + unresolved."""

    rows: int
    valid: int
    invalid: int
    sent: int
    failed: int
    pending: int
    in_doubt: int
    unresolved: int


def replace_all(session: Session, batch_id: int, recipients: pl.DataFrame) -> None:
    """Write the judged recipients of a batch in place of any that an earlier try wrote.

    Args:
        session: a writing transaction.
        batch_id: the batch.
        recipients: RECIPIENTS frame.
    """
    for table in (Recipient, AddressRows):
        session.execute(delete(table).where(col(table.batch_id) == batch_id))
    rows = recipients.select(
        pl.lit(batch_id).alias("batch_id"), pl.col("row").cast(pl.Int64), "valid", "email", "phone"
    )
    insert(session, "recipient", rows)
    found = buckets(recipients).select(pl.lit(batch_id).alias("batch_id"), "bucket", "rows")
    insert(session, "address_rows", found)


# A recipient with one accepted message is sent, whatever became of the other channel; else the
# worst thing that a person may have to look at names it. Few messages are exceptions, and their
# partial index holds just those, so this costs the same for a thousand and for a million rows.
_EXCEPTIONS = text(
    f"""
    SELECT worst, count(*) FROM (
        SELECT m.row, max(CASE m.state WHEN 'in_doubt' THEN 3 WHEN 'unresolved' THEN 2 ELSE 1 END) AS worst
        FROM message m JOIN recipient r ON r.batch_id = m.batch_id AND r.row = m.row
        WHERE m.batch_id = :batch_id AND {EXCEPTIONAL} AND r.sent_at IS NULL
          AND NOT EXISTS (
            SELECT 1 FROM message o WHERE o.batch_id = m.batch_id AND o.row = m.row AND o.state = 'pending'
              AND m.state = 'failed')
        GROUP BY m.row) AS exceptions
    GROUP BY worst
    """
)


_OF_ONE_CHANNEL = text(
    f"""
    SELECT CASE state WHEN 'in_doubt' THEN 3 WHEN 'unresolved' THEN 2 ELSE 1 END AS worst, count(*) FROM message
    WHERE batch_id = :batch_id AND {EXCEPTIONAL} GROUP BY worst
    """
)
_SOME_EXCEPTIONS = text(
    f"""
    SELECT count(*) FROM (SELECT 1 FROM message
        WHERE batch_id = :batch_id AND {EXCEPTIONAL} LIMIT :most) AS few
    """
)


def counts(session: Session, batch: Batch, *, channels: int = 2) -> Counts:
    """How the recipients stand at this moment.

    Args:
        session: a transaction.
        batch: the batch.
        channels: on how many its process sends; on one, each recipient has one message, and the index says it all.
    """
    query = _EXCEPTIONS if channels > 1 else _OF_ONE_CHANNEL
    found = {int(worst): int(number) for worst, number in session.execute(query, {"batch_id": batch.id})}
    in_doubt, unresolved, failed = found.get(3, 0), found.get(2, 0), found.get(1, 0)
    return Counts(
        rows=batch.row_count,
        valid=batch.valid,
        invalid=batch.invalid,
        sent=batch.sent,
        failed=failed,
        pending=batch.valid - batch.sent - failed - in_doubt - unresolved,
        in_doubt=in_doubt,
        unresolved=unresolved,
    )


def has_more_exceptions(session: Session, batch_id: int, *, than: int) -> bool:
    """Whether so many messages failed or are in doubt or unresolved that counting their recipients takes time."""
    found: int = session.execute(_SOME_EXCEPTIONS, {"batch_id": batch_id, "most": than + 1}).scalar_one()
    return found > than


UTC_SECONDS = {
    "sqlite": "substr({0}, 1, 10) || 'T' || substr({0}, 12, 8) || 'Z'",
    "postgresql": """to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')""",
}
"""How each database writes a time as ISO 8601 in UTC, to the second."""
DELIVERY = """CASE WHEN state = 'accepted' AND sent_at < :since
    AND (delivery IS NULL OR delivery IN ('accepted', 'deferred')) THEN 'silent' ELSE delivery END"""
SINCE = bindparam("since", type_=UtcDateTime())
"""Of `DELIVERY`: a message that was accepted before then is waited for no longer."""


_PLAIN = "state = 'accepted' AND delivery IS NULL"


def _plain(session: Session, batch_id: int, *, silent_since: datetime) -> pl.DataFrame:
    """MESSAGES that were accepted and of which nothing was heard since: all of them but a few, so they are read lean."""
    time = UTC_SECONDS[session.connection().dialect.name]
    members = f"SELECT request, row FROM message WHERE batch_id = :batch_id AND {_PLAIN} ORDER BY request, position"
    found = read(
        session, text(members), {"batch_id": batch_id}, schema=pl.Schema({"request": pl.Int64, ROW: pl.UInt32})
    )
    # What is the same for all members of a request is read once a request.
    of_request = f"""SELECT request, min(channel), {time.format("max(sent_at)")},
        CASE WHEN max(sent_at) < :since THEN 'silent' END
        FROM message WHERE batch_id = :batch_id AND {_PLAIN} GROUP BY request"""
    shared = read(
        session,
        text(of_request).bindparams(SINCE),
        {"batch_id": batch_id, "since": silent_since},
        schema=pl.Schema({"request": pl.Int64, "channel": pl.String, "sent_at": pl.String, "delivery": pl.String}),
    )
    told = found.join(shared, on="request", how="left", maintain_order="left")
    nothing = pl.lit(None, pl.String)
    return told.select(
        ROW,
        "channel",
        state=pl.lit(MessageState.ACCEPTED.value),
        detail=nothing,
        sent_at="sent_at",
        delivery="delivery",
        delivery_detail=nothing,
        delivery_at=nothing,
    )


def messages(session: Session, batch_id: int, *, stopped: bool, silent_since: datetime) -> pl.DataFrame:
    """Every message of a batch as the result file needs it.

    Args:
        session: a transaction.
        batch_id: the batch.
        stopped: whether what is still pending will never be sent.
        silent_since: a message that was accepted before then is waited for no longer.

    Returns:
        MESSAGES in no order; who was left out as suppressed is `held`.
    """
    time = UTC_SECONDS[session.connection().dialect.name]
    held = f"(SELECT number FROM request WHERE batch_id = :batch_id AND code = '{HELD}')"
    query = f"""SELECT row, channel, CASE WHEN state = 'failed' AND request IN {held} THEN 'held' ELSE state END, detail,
        {time.format("sent_at")}, {DELIVERY}, delivery_detail, {time.format("delivery_at")} FROM message
        WHERE batch_id = :batch_id AND NOT ({_PLAIN}) ORDER BY request, position"""
    parameters = {"batch_id": batch_id, "since": silent_since}
    odd = read(session, text(query).bindparams(SINCE), parameters, schema=pl.Schema(MESSAGES))
    frame = pl.concat([_plain(session, batch_id, silent_since=silent_since), odd])
    if not stopped:
        return frame
    pending = pl.col("state") == MessageState.PENDING.value
    return frame.with_columns(state=pl.when(pending).then(pl.lit("stopped")).otherwise("state"))


_KNOWN = text(
    """
    SELECT (SELECT count(*) FROM receipt WHERE batch_id = :batch_id),
        count(*), count(opened_at), count(started_at), count(completed_at), count(revoked_at)
    FROM visit WHERE batch_id = :batch_id
    """
)


def answered(session: Session, batch_id: int) -> tuple[datetime | None, datetime | None]:
    """When the first and the last of a batch's requests was answered."""
    query = select(func.min(Request.answered_at), func.max(Request.answered_at)).where(Request.batch_id == batch_id)
    return session.exec(query).one()


def known_facts(session: Session, batch_id: int) -> tuple[int, ...]:
    """How much was heard of a batch's recipients from providers and from themselves; it only ever grows."""
    return tuple(session.execute(_KNOWN, {"batch_id": batch_id}).one())


def deliveries(session: Session, batch_id: int, *, silent_since: datetime) -> dict[str, dict[str, int]]:
    """How many accepted messages of each channel have come how far.

    Reads every message of the batch: a second for a million.

    Args:
        session: a transaction.
        batch_id: the batch.
        silent_since: a message that was accepted before then is waited for no longer.

    Returns:
        For each channel that was used, a count for every `Delivery`, and for those of which nothing final is known:
        `waiting`, and `silent` where the wait is over.
    """
    query = f"""SELECT channel, delivery, count(*) FROM (SELECT channel, {DELIVERY} AS delivery FROM message
        WHERE batch_id = :batch_id AND (state = 'accepted' OR delivery IS NOT NULL)) AS known
        GROUP BY channel, delivery"""
    found: dict[str, dict[str, int]] = {}
    for channel, delivery, number in session.execute(
        text(query).bindparams(SINCE), {"batch_id": batch_id, "since": silent_since}
    ):
        own = found.setdefault(channel, dict.fromkeys(_COUNTED, 0))
        own[delivery if delivery in _COUNTED else WAITING] += number
    return dict(sorted(found.items()))


_COUNTED = (WAITING, SILENT, *(each.value for each in Delivery if each is not Delivery.ACCEPTED))
