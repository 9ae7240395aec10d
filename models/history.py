"""What people did with a batch beside deciding about it: looking, downloading, trying; written down without flooding."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from sqlmodel import Session, col, func, select

from models import batches
from models.batches import Act
from models.tables import Decision

LOOKED, DOWNLOADED, TRIED = "look", "download", "test"
NO_DECISIONS = (LOOKED, DOWNLOADED)
_ONCE_IN = timedelta(hours=1)


def is_known(session: Session, batch_id: int, act: Act, *, name: str) -> bool:
    """Whether the same person did the same within the last hour, and it was written down."""
    query = select(Decision.id).where(
        Decision.batch_id == batch_id,
        Decision.by == act.by,
        Decision.act == name,
        Decision.comment == act.comment,
        col(Decision.at) > act.now - _ONCE_IN,
    )
    return session.exec(query.limit(1)).first() is not None


def note_once(session: Session, batch_id: int, act: Act, *, name: str) -> None:
    """Write down what somebody did, unless they did the same within the last hour."""
    if not is_known(session, batch_id, act, name=name):
        batches.note_act(session, batch_id, act, name=name)


def how_often(session: Session, act: Act, *, name: str, within: timedelta) -> int:
    """How often somebody did something of late, with whatever batch."""
    query = select(func.count()).where(Decision.by == act.by, Decision.act == name, col(Decision.at) > act.now - within)
    return session.exec(query).one()


def newest(
    session: Session, batch_id: int, *, limit: int, only: Collection[str] = (), without: Collection[str] = ()
) -> list[Decision]:
    """The last acts on a batch, newest first.

    Args:
        session: a transaction.
        batch_id: the batch.
        limit: how many at most.
        only: these acts; all if none are given.
        without: but not these.
    """
    query = select(Decision).where(Decision.batch_id == batch_id, col(Decision.act).not_in(list(without)))
    if only:
        query = query.where(col(Decision.act).in_(list(only)))
    return list(session.exec(query.order_by(col(Decision.id).desc()).limit(limit)).all())
