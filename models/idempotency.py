"""Calls of programs that may be repeated: the first answer is kept, so that a repeated call changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import bindparam, delete, text, update
from sqlmodel import Session, col, or_

from models.bulk import changed_rows
from models.tables import IdempotentCall, UtcDateTime

KEPT = timedelta(hours=24)
LEASE = timedelta(minutes=10)
"""Longer than any call takes; who holds it longer died over it."""

_FIRST = text(
    """
    INSERT INTO idempotent_call (holder, key_sha256, fingerprint, seed, begun_at)
    VALUES (:holder, :key_sha256, :fingerprint, :seed, :now)
    ON CONFLICT (holder, key_sha256) DO NOTHING
    """
).bindparams(bindparam("now", type_=UtcDateTime()))


class Turn(StrEnum):
    """What is to be done with a call."""

    GO_ON = "go on"
    """It is the first, or the one before it came to nothing."""
    ANSWERED = "answered"
    """Give the kept answer again."""
    UNDER_WAY = "under way"
    """The same call is not done yet."""
    ANOTHER = "another"
    """The key belongs to another call."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call by its key.

    Attributes:
        holder: whose key it is.
        key_sha256: of the key.
        fingerprint: of what is asked.
    """

    holder: str
    key_sha256: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Begun:
    """How a call stands.

    Attributes:
        turn: what is to be done.
        seed: the same in all tries of the call, and one that nobody guesses.
        status: of the kept answer, if there is one.
        body: of the same.
        location: of the same.
    """

    turn: Turn
    seed: str
    status: int | None
    body: str | None
    location: str | None


def begin(session: Session, call: Call, *, seed: str, now: datetime) -> Begun:
    """Take a call in hand, unless somebody has; safe to race.

    Args:
        session: a writing transaction.
        call: what is asked.
        seed: random; kept with the first of its tries.
        now: the time.
    """
    session.execute(delete(IdempotentCall).where(*_is(call), col(IdempotentCall.begun_at) <= now - KEPT))
    values = {"holder": call.holder, "key_sha256": call.key_sha256, "fingerprint": call.fingerprint}
    session.execute(_FIRST, {**values, "seed": seed, "now": now})
    kept = session.get_one(IdempotentCall, (call.holder, call.key_sha256), populate_existing=True)
    found = (kept.seed, kept.status, kept.body, kept.location)
    if kept.fingerprint != call.fingerprint:
        return Begun(Turn.ANOTHER, *found)
    if kept.status is not None:
        return Begun(Turn.ANSWERED, *found)
    is_free = or_(col(IdempotentCall.held_since).is_(None), col(IdempotentCall.held_since) <= now - LEASE)
    taken = changed_rows(session, update(IdempotentCall).where(*_is(call), is_free).values(held_since=now))
    return Begun(Turn.GO_ON if taken else Turn.UNDER_WAY, *found)


def finish(session: Session, call: Call, *, status: int, body: str, location: str | None) -> None:
    """Keep the answer."""
    answered = {"status": status, "body": body, "location": location, "held_since": None}
    session.execute(update(IdempotentCall).where(*_is(call)).values(answered))


def let_go(session: Session, call: Call) -> None:
    """It came to nothing; the next try may go on at once."""
    session.execute(update(IdempotentCall).where(*_is(call)).values(held_since=None))


def purge(session: Session, *, now: datetime) -> int:
    """Forget calls whose answers are kept no longer; gives how many."""
    return changed_rows(session, delete(IdempotentCall).where(col(IdempotentCall.begun_at) <= now - KEPT))


def _is(call: Call):  # type: ignore[no-untyped-def]  # noqa: ANN202  SQLAlchemy's own generics
    return col(IdempotentCall.holder) == call.holder, col(IdempotentCall.key_sha256) == call.key_sha256
