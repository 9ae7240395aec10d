"""Batches: creating, finding, deciding, and the only place that moves one between phases."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, update
from sqlmodel import Session, col, func, or_, select

from domain.errors import NotAllowed, NotFound
from domain.milestones import OF_ACT, OF_PHASE, Milestone
from domain.rights import known_as
from domain.states import AT_REST, REJECTABLE, Phase, Status, before_phase
from models import milestones, processes
from models.bulk import changed_rows
from models.tables import Batch, Decision, ProcessVersion

ARCHIVED = "Archived"
_EARLIER = 3
SORTS = {
    "name": func.lower(Batch.name),
    "created": col(Batch.created_at),
    "process": func.lower(ProcessVersion.name),
    "sender": func.lower(Batch.sender),
    "sent": col(Batch.sent),
    "status": col(Batch.status),
}


@dataclass(frozen=True, slots=True)
class Act:
    """Who does something to a batch, where, when, and what they say about it."""

    by: str
    via: str
    now: datetime
    comment: str = ""


def add(session: Session, batch: Batch) -> Batch:
    """Write a new batch and give it its id."""
    session.add(batch)
    session.flush()
    milestones.note(session, id_of(batch), Milestone.CREATED, now=batch.created_at)
    return batch


def by_id(session: Session, batch_id: int) -> Batch:
    """The batch.

    Raises:
        NotFound: no batch has that id.
    """
    batch = session.get(Batch, batch_id)
    if batch is None:
        raise NotFound(f"There is no batch {batch_id}. See which there are: bulk-sender batch list")
    return batch


def by_uid(session: Session, uid: str) -> Batch | None:
    """The batch of that uid, if there is one."""
    return session.exec(select(Batch).where(Batch.uid == uid)).first()


def uids(session: Session) -> set[str]:
    """The uids of all batches."""
    return set(session.exec(select(Batch.uid)))


def id_of(batch: Batch) -> int:
    """The id of a batch that was written."""
    if batch.id is None:
        message = "the batch was not written yet"
        raise ValueError(message)
    return batch.id


def matching(
    session: Session,
    *,
    statuses: Collection[str],
    search: str = "",
    sort: str = "created",
    descending: bool | None = None,
    limit: int | None = None,
    offset: int = 0,
    past: Past | None = None,
) -> list[tuple[Batch, ProcessVersion]]:
    """Batches with one of `statuses` (`ARCHIVED` among them or not) whose name holds `search`, in any case.

    An archived batch is found by `ARCHIVED` alone, whatever was decided about it.

    Args:
        session: a transaction.
        statuses: of the batches.
        search: a part of their name.
        sort: one of `SORTS`.
        descending: from the end; None for what is usual: the newest first, names from A.
        limit: how many at most.
        offset: how many to pass over.
        past: only what stands behind this place, in the same order.
    """
    from_end = sort == "created" if descending is None else descending
    order = (SORTS[sort].desc() if from_end else SORTS[sort].asc(), col(Batch.id).desc())
    # Only the ids are sorted: a whole row holds what its check found, and 10,000 of them are slow to carry.
    page = select(Batch.id).join(ProcessVersion).where(_shown(statuses, search)).order_by(*order)
    page = page.limit(limit).offset(offset)
    if past is not None:
        page = page.where(_behind(past, sort, from_end=from_end))
    found = select(Batch, ProcessVersion).join(ProcessVersion).where(col(Batch.id).in_(page)).order_by(*order)
    return list(session.exec(found).all())


@dataclass(frozen=True, slots=True)
class Past:
    """A place in a sorted list of batches: what it is sorted by, and the batch among those that are equal in that."""

    value: str | int
    batch_id: int


def place_of(session: Session, batch_id: int, *, sort: str) -> Past:
    """The place of a batch in a list."""
    value = session.exec(select(SORTS[sort]).select_from(Batch).join(ProcessVersion).where(Batch.id == batch_id)).one()
    return Past(value.isoformat() if isinstance(value, datetime) else value, batch_id)


def _behind(past: Past, sort: str, *, from_end: bool) -> ColumnElement[bool]:
    value = datetime.fromisoformat(str(past.value)) if sort == "created" else past.value
    later = SORTS[sort] < value if from_end else SORTS[sort] > value
    return later | ((SORTS[sort] == value) & (col(Batch.id) < past.batch_id))


def how_many(session: Session, *, statuses: Collection[str], search: str = "") -> int:
    """How many batches `matching` finds in all."""
    return session.exec(select(func.count()).select_from(Batch).where(_shown(statuses, search))).one()


def _shown(statuses: Collection[str], search: str) -> ColumnElement[bool]:
    wanted = (col(Batch.status).in_(list(statuses)) & col(Batch.archived_at).is_(None)) | (
        col(Batch.archived_at).is_not(None) & (ARCHIVED in statuses)
    )
    if not search:
        return wanted
    escaped = search.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return wanted & func.lower(Batch.name).like(f"%{escaped}%", escape="\\")


def some(session: Session, ids: Collection[int]) -> list[tuple[Batch, ProcessVersion]]:
    """The batches of these ids that there are."""
    return list(session.exec(select(Batch, ProcessVersion).join(ProcessVersion).where(col(Batch.id).in_(ids))).all())


def in_phases(session: Session, phases: Collection[Phase]) -> list[Batch]:
    """Batches that stand in one of `phases`, oldest first."""
    return list(session.exec(select(Batch).where(col(Batch.phase).in_(list(phases))).order_by(col(Batch.id))).all())


def advance(
    session: Session,
    batch_id: int,
    to: Phase,
    *,
    now: datetime,
    only_from: Collection[Phase] | None = None,
    seen_revision: int | None = None,
    **changes: Any,  # noqa: ANN401  columns of any type
) -> bool:
    """Move a batch to `to` if the table of phases allows it from where it stands; one statement, safe to race.

    Args:
        session: a writing transaction.
        batch_id: the batch.
        to: the phase to enter.
        now: the time to record.
        only_from: the phases to come from, where not every allowed one is meant.
        seen_revision: the revision that this is about; a batch that was corrected since is left alone.
        changes: columns to write in the same statement.

    Returns:
        True for the one caller that moved it, False for everyone else.
    """
    statement = update(Batch).where(
        col(Batch.id) == batch_id, col(Batch.phase).in_(before_phase(to) & set(only_from or Phase))
    )
    if seen_revision is not None:
        statement = statement.where(col(Batch.revision) == seen_revision)
    moved = changed_rows(session, statement.values(phase=to.value, phase_at=now, **changes)) == 1
    if moved:
        milestones.note(session, batch_id, OF_PHASE.get(to), now=now)
    return moved


def note(session: Session, batch_id: int, **changes: Any) -> None:  # noqa: ANN401  columns of any type
    """Write facts about a batch that are no state."""
    session.execute(update(Batch).where(col(Batch.id) == batch_id).values(**changes))
    session.expire_all()


def note_result(session: Session, batch_id: int, key: str, *, phase: Phase) -> None:
    """Write down where the result file is, unless the batch has left the phase that it speaks of."""
    session.execute(
        update(Batch).where(col(Batch.id) == batch_id, col(Batch.phase) == phase.value).values(result_key=key)
    )
    session.expire_all()


def without_result(session: Session, phases: Collection[Phase]) -> list[int]:
    """Batches in one of `phases` that have no result file of that phase."""
    query = select(Batch.id).where(col(Batch.phase).in_(list(phases)), col(Batch.result_key).is_(None))
    return sorted(found for found in session.exec(query) if found is not None)


def approve(
    session: Session,
    batch_id: int,
    act: Act,
    *,
    link_print: str,
    seen_revision: int | None = None,
    four_eyes: bool = True,
) -> None:
    """Decide that a checked batch may be sent; doing it again changes nothing.

    Args:
        session: a writing transaction.
        batch_id: the batch.
        act: who approves it.
        link_print: what the batch remembers of how its links are made.
        seen_revision: the revision that they were shown; the present one if None.
        four_eyes: whether it must be somebody who neither created the batch nor corrected its rows.

    Raises:
        NotAllowed: it was rejected, is still being checked, could not be used, has nobody to write to, is
            archived, is not what they were shown, or they made it themselves.
    """
    batch = by_id(session, batch_id)
    _require_seen(batch, seen_revision)
    if batch.status == Status.APPROVED:
        return
    require_approvable(session, batch, by=act.by, four_eyes=four_eyes)
    _decide(session, batch, Status.APPROVED, values={"link_print": link_print}, phases={Phase.WAITING})
    _record(session, batch, act, name="approve")


def require_approvable(session: Session, batch: Batch, *, by: str, four_eyes: bool) -> None:
    """Make sure that somebody may approve a batch as it stands.

    Args:
        session: a transaction.
        batch: not approved yet.
        by: who wants to.
        four_eyes: whether it must be somebody who neither created the batch nor corrected its rows.

    Raises:
        NotAllowed: with the reason.
    """
    if batch.status == Status.ADMIN_REJECTION:
        raise NotAllowed(f"Batch {batch.id} was rejected; a rejection is final. Create the batch again to send it.")
    if batch.phase == Phase.FAILED:
        raise NotAllowed(f"Batch {batch.id} cannot be approved: {batch.reason}")
    if batch.phase == Phase.CHECKING:
        raise NotAllowed(
            f"Batch {batch.id} is still being checked. Wait for it: bulk-sender batch wait {batch.id} --until waiting"
        )
    definition = processes.definition_of(processes.version_by_id(session, batch.process_version_id))
    if definition.start.email is None and definition.start.sms is None:
        raise NotAllowed(
            f"The workflow of {definition.name} has no email or SMS output on its start phase, so no link can be sent. "
            "Add one, deploy the process and create the batch again."
        )
    if batch.valid == 0:
        raise NotAllowed(f"Batch {batch.id} has no row that can be sent. Correct the file and create the batch again.")
    if batch.archived_at is not None:
        raise NotAllowed(f"Batch {batch.id} is archived, so it is not sent. Create the batch again to send it.")
    if four_eyes:
        _require_other_eyes(session, batch, by)


def reject(session: Session, batch_id: int, act: Act, *, seen_revision: int | None = None) -> None:
    """Stop what has not left yet, before or during the send; doing it again changes nothing.

    Args:
        session: a writing transaction.
        batch_id: the batch.
        act: who rejects it.
        seen_revision: the revision that they were shown; the present one if None.

    Raises:
        NotAllowed: nothing is left to stop, or it is not what they were shown.
    """
    batch = by_id(session, batch_id)
    _require_seen(batch, seen_revision)
    if batch.status == Status.ADMIN_REJECTION:
        return
    if batch.phase == Phase.CHECKING:
        raise NotAllowed(
            f"Batch {batch_id} is still being checked. Wait for it: bulk-sender batch wait {batch_id} --until waiting"
        )
    if batch.phase not in REJECTABLE:
        raise NotAllowed(f"Batch {batch_id} is {batch.phase}; nothing is left to stop.")
    _decide(
        session,
        batch,
        Status.ADMIN_REJECTION,
        values={"phase": Phase.STOPPED.value, "phase_at": act.now, "reason": None},
        phases=REJECTABLE,
    )
    milestones.note(session, batch_id, Milestone.STOPPED, now=act.now)
    _record(session, batch, act, name="reject")


def makers(session: Session, batch: Batch) -> set[str]:
    """Who created a batch or corrected its rows, as people are told apart by their emails."""
    acts = select(Decision.by).where(Decision.batch_id == batch.id, col(Decision.act).in_(["create", "correct"]))
    return {known_as(email) for email in (batch.sender, *session.exec(acts))}


def _require_other_eyes(session: Session, batch: Batch, email: str) -> None:
    if known_as(email) in makers(session, batch):
        did = "created" if known_as(email) == known_as(batch.sender) else "created or corrected"
        raise NotAllowed(
            f"{email} {did} batch {batch.id}, and somebody else must approve it. Ask an approver who had no part in it."
        )


def _require_seen(batch: Batch, revision: int | None) -> None:
    if revision not in (None, batch.revision):
        raise NotAllowed(f"Batch {batch.id} was corrected after you were shown it. Look at its check and decide again.")


def _decide(
    session: Session, batch: Batch, status: Status, *, values: dict[str, Any], phases: Collection[Phase]
) -> None:
    decided = changed_rows(
        session,
        update(Batch)
        .where(col(Batch.id) == batch.id, col(Batch.status) == batch.status, col(Batch.phase).in_(phases))
        .where(col(Batch.revision) == batch.revision)
        .values(status=status.value, **values),
    )
    if decided != 1:
        raise NotAllowed(
            f"Batch {batch.id} changed in this moment. Look at it and decide again: bulk-sender batch show {batch.id}"
        )


def archive(session: Session, batch_id: int, act: Act) -> None:
    """Hide a batch from the list; one that waits for a decision is rejected. Doing it again changes nothing.

    Raises:
        NotAllowed: it is being checked or sent.
    """
    batch = by_id(session, batch_id)
    if batch.archived_at is not None:
        return
    if batch.phase == Phase.WAITING and batch.status == Status.PENDING_APPROVAL:
        reject(session, batch_id, act)
    hidden = changed_rows(
        session,
        update(Batch)
        .where(col(Batch.id) == batch_id, col(Batch.archived_at).is_(None), col(Batch.phase).in_(AT_REST))
        .where(or_(col(Batch.phase) != Phase.WAITING, col(Batch.status) != Status.APPROVED))
        .values(archived_at=act.now),
    )
    if hidden != 1:
        phase = by_id(session, batch_id).phase
        doing = Phase.SENDING if phase == Phase.WAITING else phase
        raise NotAllowed(f"Batch {batch_id} is {doing}; archive it when it is done, or reject it first.")
    _record(session, batch, act, name="archive")


def pause(session: Session, batch_id: int, act: Act) -> None:
    """Halt a batch in mid-send: no request leaves from here on until it is resumed; doing it again changes nothing.

    Raises:
        NotAllowed: it is not being sent.
    """
    batch = by_id(session, batch_id)
    if batch.phase == Phase.PAUSED:
        return
    if not advance(session, batch_id, Phase.PAUSED, now=act.now, reason="Paused by a person."):
        phase = by_id(session, batch_id).phase
        raise NotAllowed(f"Batch {batch_id} is {phase}, not sending; there is nothing to pause.")
    _record(session, batch, act, name="pause")


def resume(session: Session, batch_id: int, act: Act) -> None:
    """Let a halted batch go on with what is pending.

    Raises:
        NotAllowed: it is not halted.
    """
    batch = by_id(session, batch_id)
    paused = changed_rows(
        session,
        update(Batch)
        .where(col(Batch.id) == batch_id, col(Batch.phase) == Phase.PAUSED)
        .values(phase=Phase.SENDING.value, phase_at=act.now, reason=None),
    )
    if paused != 1:
        raise NotAllowed(
            f"Batch {batch_id} is {by_id(session, batch_id).phase}, not paused; there is nothing to resume."
        )
    _record(session, batch, act, name="resume")


def require_correctable(batch: Batch) -> None:
    """Make sure that rows of a batch may still be replaced.

    Raises:
        NotAllowed: it does not wait for approval.
    """
    again = "Create a batch of the corrected rows instead."
    if batch.archived_at is not None:
        raise NotAllowed(f"Batch {batch.id} is archived, so it cannot be corrected. {again}")
    match Phase(batch.phase):
        case Phase.WAITING:
            return
        case Phase.CHECKING:
            raise NotAllowed(
                f"Batch {batch.id} is still being checked. Wait for it: bulk-sender batch wait {batch.id} --until waiting"
            )
        case Phase.FAILED:
            raise NotAllowed(f"Batch {batch.id} has no rows to correct: {batch.reason}")
        case Phase.STOPPED:
            raise NotAllowed(f"Batch {batch.id} was rejected, so it cannot be corrected. {again}")
        case phase:
            raise NotAllowed(
                f"Batch {batch.id} is {phase}; rows can be corrected only while a batch waits for approval. {again}"
            )


def correct(session: Session, batch_id: int, act: Act, *, seen_revision: int, rows_key: str, file_sha256: str) -> None:
    """Put other rows in place of those of a batch that waits, and let it be checked and decided again.

    An approval that has not begun to send is void.

    Args:
        session: a writing transaction.
        batch_id: the batch.
        act: who corrects it.
        seen_revision: the revision that the new rows were made of.
        rows_key: where the new rows are kept.
        file_sha256: of the file of corrected rows.

    Raises:
        NotAllowed: it does not wait, or somebody else corrected it since.
    """
    require_correctable(by_id(session, batch_id))
    corrected = advance(
        session,
        batch_id,
        Phase.CHECKING,
        now=act.now,
        seen_revision=seen_revision,
        status=Status.PENDING_APPROVAL.value,
        revision=seen_revision + 1,
        rows_key=rows_key,
        link_print=None,
        # Of the check that is void:
        recipients_key=None,
        problems_key=None,
        content_sha256=None,
        problems=None,
        valid=0,
        invalid=0,
        warnings=0,
    )
    if not corrected:
        raise NotAllowed(
            f"Batch {batch_id} changed in this moment. Get its problems again: bulk-sender batch problems {batch_id} --output FILE"
        )
    _record(session, by_id(session, batch_id), act, name="correct", file_sha256=file_sha256)


def same_file(session: Session, process_key: str, file_sha256: str) -> list[Batch]:
    """The newest batches of any version of a process that came in the same file, newest first; a few at most."""
    query = (
        select(Batch).join(ProcessVersion).where(Batch.file_sha256 == file_sha256, ProcessVersion.key == process_key)
    )
    return list(session.exec(query.order_by(col(Batch.id).desc()).limit(_EARLIER)).all())


def same_content(
    session: Session, process_key: str, content_sha256: str, *, apart_from: int | None = None
) -> list[Batch]:
    """Other batches of any version of a process that hold the same list, newest first."""
    query = (
        select(Batch)
        .join(ProcessVersion)
        .where(Batch.content_sha256 == content_sha256, ProcessVersion.key == process_key, Batch.phase != Phase.FAILED)
        .order_by(col(Batch.id).desc())
    )
    return [batch for batch in session.exec(query) if batch.id != apart_from]


def note_act(session: Session, batch_id: int, act: Act, *, name: str) -> None:
    """Write down an act that moves no phase by itself."""
    _record(session, by_id(session, batch_id), act, name=name)


def decisions(session: Session, batch_id: int) -> list[Decision]:
    """What people decided about a batch, in order."""
    return list(session.exec(select(Decision).where(Decision.batch_id == batch_id).order_by(col(Decision.id))).all())


def _record(session: Session, batch: Batch, act: Act, *, name: str, file_sha256: str | None = None) -> None:
    session.add(
        Decision(
            batch_id=id_of(batch),
            act=name,
            by=act.by,
            comment=act.comment,
            via=act.via,
            at=act.now,
            file_sha256=file_sha256 or batch.file_sha256,
            process_version_id=batch.process_version_id,
            revision=batch.revision,
        )
    )
    milestones.note(session, id_of(batch), OF_ACT.get(name), now=act.now)
    session.flush()
