"""Milestones that nobody was told of yet: written in the transaction that brings one about, gone once it was told."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlmodel import Session, col, delete, select

from domain.milestones import Milestone
from models.tables import Batch, ProcessVersion, Untold


def note(session: Session, batch_id: int, milestone: Milestone | None, *, now: datetime) -> None:
    """Write down that a batch reached a milestone, if that is one."""
    if milestone is not None:
        session.add(Untold(batch_id=batch_id, milestone=milestone.value, at=now))


def untold(session: Session, *, at_most: int) -> list[tuple[Untold, Batch, ProcessVersion]]:
    """What is still to be told, oldest first, with the batch as it stands and its process."""
    query = select(Untold, Batch, ProcessVersion).join(Batch, col(Untold.batch_id) == col(Batch.id))
    query = query.join(ProcessVersion, col(Batch.process_version_id) == col(ProcessVersion.id))
    return list(session.exec(query.order_by(col(Untold.id)).limit(at_most)))


def forget(session: Session, ids: Collection[int]) -> None:
    """These were told."""
    session.execute(delete(Untold).where(col(Untold.id).in_(ids)))
