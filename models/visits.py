"""What people did with their links: seen, marked, answered, ended. Nothing here is ever taken back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import polars as pl
from sqlalchemy import Update, bindparam, case, delete, exists, insert, text, update
from sqlalchemy import select as select_all
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, func, or_, select

from domain.frames import VISITS
from domain.link_life import Facts, lock_after
from domain.links import Place
from domain.states import MessageState, Status
from models.bulk import changed_rows, read
from models.recipients import UTC_SECONDS
from models.tables import Batch, Message, ProcessVersion, Recipient, SpentCode, Submission, UtcDateTime, Visit


class Mark(StrEnum):
    """How far somebody has come with a link; a later mark implies the earlier ones."""

    OPENED = "opened_at"
    """A person had it open."""
    STARTED = "started_at"
    """They changed something, or sent something."""
    COMPLETED = "completed_at"
    """Their answers are here, or at the process's own platform."""


@dataclass(frozen=True, slots=True)
class Known:
    """One link as the ledger has it.

    Attributes:
        definition: of the process, as canonical JSON.
        version: of the process.
        recipients_key: where its row's values are kept.
        facts: what decides what it shows; without the process's `link_days`, which stands in the definition.
        marks: those that were made.
        locked_until: the second factor was wrong too often.
    """

    definition: str
    version: int
    recipients_key: str | None
    facts: Facts
    marks: frozenset[Mark]
    locked_until: datetime | None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many links of a batch came how far."""

    opened: int
    started: int
    completed: int
    revoked: int


def known(session: Session, place: Place) -> Known | None:
    """What is known of one link; None where no batch has that row. One query, whatever it finds."""
    may_have_left = exists().where(
        col(Message.batch_id) == Batch.id,
        col(Message.row) == place.row,
        col(Message.state).in_([MessageState.ACCEPTED, MessageState.IN_DOUBT, MessageState.UNRESOLVED]),
    )
    query = (
        select_all(Batch, ProcessVersion, Recipient, Visit, may_have_left)
        .join(ProcessVersion, col(ProcessVersion.id) == col(Batch.process_version_id))
        .join(Recipient, col(Recipient.batch_id) == col(Batch.id))
        .outerjoin(Visit, (col(Visit.batch_id) == col(Recipient.batch_id)) & (col(Visit.row) == col(Recipient.row)))
        .where(col(Batch.id) == place.batch_id, col(Recipient.row) == place.row)
    )
    found = session.execute(query).first()
    if found is None:
        return None
    batch, version, recipient, visit, left = found
    facts = Facts(
        is_valid=recipient.valid,
        was_sent=recipient.sent_at is not None or left,
        is_approved=batch.status == Status.APPROVED,
        sent_at=recipient.sent_at,
        batch_expires_at=batch.links_expire_at,
        is_revoked=batch.links_revoked_at is not None or (visit is not None and visit.revoked_at is not None),
        is_completed=visit is not None and visit.completed_at is not None,
    )
    marks = frozenset(mark for mark in Mark if visit is not None and getattr(visit, mark) is not None)
    locked = visit.locked_until if visit is not None else None
    return Known(version.definition, version.version, batch.recipients_key, facts, marks, locked)


def _ensure(session: Session, place: Place) -> None:
    """Make the line of a link, unless there is one."""
    session.execute(
        text(
            'INSERT INTO visit (batch_id, "row", tries) VALUES (:batch_id, :row, 0) ON CONFLICT (batch_id, "row") DO NOTHING'
        ),
        {"batch_id": place.batch_id, "row": place.row},
    )


def mark(session: Session, place: Place, reached: Mark, *, now: datetime) -> None:
    """Write down that a link was opened, started or completed; only the first time of each counts.

    Args:
        session: a writing transaction.
        place: a recipient that the ledger has.
        reached: how far; the marks before it are made as well.
        now: the time to record.
    """
    _ensure(session, place)
    marks = list(Mark)[: list(Mark).index(reached) + 1]
    values = {
        each.value: func.coalesce(getattr(Visit, each), bindparam(f"at_{each}", now, UtcDateTime())) for each in marks
    }
    session.execute(_of(place).values(values).execution_options(synchronize_session=False))
    session.expire_all()


def _of(place: Place) -> Update:
    return update(Visit).where(col(Visit.batch_id) == place.batch_id, col(Visit.row) == place.row)


def complete(session: Session, place: Place, answers: Mapping[str, str | None] | None, *, now: datetime) -> bool:
    """Keep the one submission of a recipient, and mark their link as completed.

    Args:
        session: a writing transaction.
        place: the recipient.
        answers: canonical value by data item; None where the process's own platform has them.
        now: the time to record.

    Returns:
        True for the one call that kept its answers, False for every other, which changes nothing.
    """
    kept = Submission(
        batch_id=place.batch_id, row=place.row, at=now, answers=None if answers is None else dict(answers)
    )
    try:
        with session.begin_nested():
            session.add(kept)
    except IntegrityError:
        return False
    mark(session, place, Mark.COMPLETED, now=now)
    return True


def reached_at(session: Session, place: Place, reached: Mark) -> datetime:
    """When a link first came to a mark that was made."""
    at = session.exec(
        select(getattr(Visit, reached)).where(Visit.batch_id == place.batch_id, Visit.row == place.row)
    ).one()
    if not isinstance(at, datetime):
        message = f"the mark {reached} was not made"
        raise TypeError(message)
    return at


def submission(session: Session, place: Place) -> Submission | None:
    """What a recipient sent."""
    return session.get(Submission, (place.batch_id, place.row))


def may_try(session: Session, place: Place, *, now: datetime) -> bool:
    """Count one more try of the second factor, before it is looked at; safe to race.

    Returns:
        False while it is locked, and nothing is counted then.
    """
    _ensure(session, place)
    tried = _of(place).where(or_(col(Visit.locked_until).is_(None), col(Visit.locked_until) <= now))
    if changed_rows(session, tried.values(tries=Visit.tries + 1)) == 0:
        return False
    tries = session.exec(select(Visit.tries).where(Visit.batch_id == place.batch_id, Visit.row == place.row)).one()
    lock = lock_after(tries)
    session.execute(_of(place).values(locked_until=None if lock is None else now + lock))
    session.expire_all()
    return True


def forget_tries(session: Session, place: Place) -> None:
    """The second factor was right."""
    session.execute(_of(place).values(tries=0, locked_until=None))
    session.expire_all()


def spend(session: Session, code_sha256: str, *, expires_at: datetime, now: datetime) -> bool:
    """Let a code be exchanged once.

    Returns:
        True for the first who comes with it, False for everybody else.
    """
    session.execute(delete(SpentCode).where(col(SpentCode.expires_at) < now))
    try:
        with session.begin_nested():
            session.execute(insert(SpentCode).values(code_sha256=code_sha256, expires_at=expires_at))
    except IntegrityError:
        return False
    return True


def sent_rows(session: Session, batch_id: int, rows: Collection[int]) -> set[int]:
    """Those of `rows` of whose messages one may have left."""
    may_have_left = [MessageState.ACCEPTED, MessageState.IN_DOUBT, MessageState.UNRESOLVED]
    found = select(Message.row).where(
        Message.batch_id == batch_id, col(Message.row).in_(list(rows)), col(Message.state).in_(may_have_left)
    )
    return set(session.exec(found))


def revoke(session: Session, batch_id: int, rows: Collection[int], *, now: datetime) -> int:
    """End the links of some recipients; says how many were not ended before."""
    ended = 0
    for row in sorted(set(rows)):
        place = Place(batch_id, row)
        _ensure(session, place)
        ended += changed_rows(session, _of(place).where(col(Visit.revoked_at).is_(None)).values(revoked_at=now))
    return ended


def revoke_all(session: Session, batch_id: int, *, now: datetime) -> bool:
    """End all links of a batch; says whether they were not ended before."""
    statement = update(Batch).where(col(Batch.id) == batch_id, col(Batch.links_revoked_at).is_(None))
    return changed_rows(session, statement.values(links_revoked_at=now)) == 1


def of_rows(session: Session, batch_id: int, rows: Collection[int]) -> dict[int, Visit]:
    """What is known of the links of some recipients, by row; most have nothing."""
    query = select(Visit).where(Visit.batch_id == batch_id, col(Visit.row).in_(list(rows)))
    return {visit.row: visit for visit in session.exec(query)}


def counts(session: Session, batch_id: int) -> Counts:
    """How many links of a batch came how far; reads its visits, which are at most its recipients."""
    made = (func.coalesce(func.sum(case((getattr(Visit, name).is_not(None), 1), else_=0)), 0) for name in _COUNTED)
    opened, started, completed, revoked = session.exec(select(*made).where(Visit.batch_id == batch_id)).one()
    return Counts(int(opened), int(started), int(completed), int(revoked))


_COUNTED = (*(each.value for each in Mark), "revoked_at")


def frame(session: Session, batch_id: int) -> pl.DataFrame:
    """VISITS of a batch, in no order."""
    time = UTC_SECONDS[session.connection().dialect.name]
    columns = ", ".join(time.format(each.value) for each in Mark)
    query = f'SELECT "row", {columns} FROM visit WHERE batch_id = :batch_id AND opened_at IS NOT NULL'  # noqa: S608  names of ours
    return read(session, text(query), {"batch_id": batch_id}, schema=pl.Schema(VISITS))
