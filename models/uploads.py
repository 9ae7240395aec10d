"""Uploads: files on their way to becoming a batch, and who works on each."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import update
from sqlmodel import Session, col, delete, or_, select

from domain.errors import NotFound
from models.bulk import changed_rows
from models.tables import Batch, Upload


def add(session: Session, upload: Upload) -> None:
    """Write a new one."""
    session.add(upload)
    session.flush()


def find(session: Session, uid: str) -> Upload | None:
    """The upload, if it is not forgotten."""
    return session.get(Upload, uid)


def of(session: Session, uid: str, *, owner: str) -> Upload:
    """The upload of somebody.

    Raises:
        NotFound: they have none of that uid.
    """
    upload = session.get(Upload, uid)
    if upload is None or upload.owner != owner:
        raise NotFound("That upload is not here any more. Upload the file again.")
    return upload


def same(session: Session, *, owner: str, process_key: str, file_sha256: str, file_name: str) -> Upload | None:
    """The newest upload of the same file by the same person for the same process that is no batch."""
    query = (
        select(Upload)
        .where(Upload.owner == owner, Upload.file_sha256 == file_sha256)
        .where(Upload.process_key == process_key, Upload.file_name == file_name)
        .where(col(Upload.uid).not_in(select(Batch.uid)))
        .order_by(col(Upload.created_at).desc())
    )
    return session.exec(query).first()


def hold(session: Session, uid: str, *, by: str, now: datetime, until: datetime) -> bool:
    """Take an upload in hand, or keep it there; False while somebody else holds it."""
    free = or_(col(Upload.held_by).is_(None), col(Upload.held_by) == by, col(Upload.held_until) < now)
    held = update(Upload).where(col(Upload.uid) == uid, free).values(held_by=by, held_until=until)
    return changed_rows(session, held) == 1


def let_go(session: Session, uid: str, *, by: str, **changes: datetime | str | None) -> None:
    """Write what came of it, and let others have it; nothing if somebody else holds it by now."""
    mine = update(Upload).where(col(Upload.uid) == uid, col(Upload.held_by) == by)
    session.execute(mine.values(held_by=None, held_until=None, **changes))


def want(session: Session, uid: str, *, name: str) -> None:
    """Let a batch be made of a checked upload; the first name counts, until making it was refused."""
    first = or_(col(Upload.name).is_(None), col(Upload.refusal).is_not(None))
    wanted = update(Upload).where(col(Upload.uid) == uid, col(Upload.checked_at).is_not(None), first)
    session.execute(wanted.values(name=name, refusal=None))


def older(session: Session, than: datetime) -> list[str]:
    """The uploads that came before a moment."""
    return list(session.exec(select(Upload.uid).where(col(Upload.created_at) < than)).all())


def forget(session: Session, uid: str) -> None:
    """Remove one."""
    session.execute(delete(Upload).where(col(Upload.uid) == uid))
