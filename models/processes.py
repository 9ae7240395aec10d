"""Process versions: immutable once written, draft until they are deployed to production."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime

from sqlmodel import Session, col, select

from domain.errors import NotAllowed, NotFound
from domain.processes import ProcessDefinition
from models.tables import ProcessVersion


def deploy(session: Session, definition: ProcessDefinition, *, draft: bool, now: datetime) -> ProcessVersion:
    """Write a definition as a new version, unless the newest version already holds the same.

    Deploying the same content again changes nothing, but that a draft deployed without
    `draft` goes to production.
    """
    content = canonical(definition)
    digest = hashlib.sha256(content.encode()).hexdigest()
    newest = session.exec(
        select(ProcessVersion).where(ProcessVersion.key == definition.key).order_by(col(ProcessVersion.version).desc())
    ).first()
    if newest is None or newest.sha256 != digest:
        newest = ProcessVersion(
            key=definition.key,
            version=1 if newest is None else newest.version + 1,
            name=definition.name,
            definition=content,
            sha256=digest,
            created_at=now,
        )
    if not draft and newest.deployed_at is None:
        newest.deployed_at = now
    session.add(newest)
    session.flush()
    return newest


def canonical(definition: ProcessDefinition) -> str:
    """The definition as JSON that is the same for the same content."""
    content = definition.model_dump(mode="json", by_alias=True, exclude_none=True)
    return json.dumps(content, ensure_ascii=False, sort_keys=True)


def newest_versions(session: Session) -> list[ProcessVersion]:
    """The newest version of each process that is live or has no live one, by key; live ones win."""
    found: dict[str, ProcessVersion] = {}
    for version in session.exec(select(ProcessVersion).order_by(col(ProcessVersion.key), col(ProcessVersion.version))):
        known = found.get(version.key)
        if known is None or version.deployed_at is not None or known.deployed_at is None:
            found[version.key] = version
    return list(found.values())


def live(session: Session, key: str) -> ProcessVersion:
    """The newest version of a process that is in production.

    Raises:
        NotFound: no such process.
        NotAllowed: it has drafts only.
    """
    versions = session.exec(
        select(ProcessVersion).where(ProcessVersion.key == key).order_by(col(ProcessVersion.version).desc())
    ).all()
    if not versions:
        known = session.exec(select(ProcessVersion.key).distinct().order_by(ProcessVersion.key)).all()
        hint = f"Known are: {', '.join(known)}." if known else "None is deployed yet: bulk-sender process deploy FILE"
        raise NotFound(f"There is no process {key!r}. {hint}")
    for version in versions:
        if version.deployed_at is not None:
            return version
    raise NotAllowed(
        f"The process {key!r} is a draft and was not deployed to production yet. Deploy it: bulk-sender process deploy FILE"
    )


def others_live(session: Session, key: str) -> list[ProcessDefinition]:
    """The definitions of all live processes but one."""
    return [
        definition_of(version)
        for version in newest_versions(session)
        if version.key != key and version.deployed_at is not None
    ]


def version_by_id(session: Session, version_id: int) -> ProcessVersion:
    """The version that a batch is pinned to."""
    version = session.get(ProcessVersion, version_id)
    if version is None:
        raise NotFound(f"Process version {version_id} is not in the database.")
    return version


def definition_of(version: ProcessVersion) -> ProcessDefinition:
    """The version's content."""
    return ProcessDefinition.model_validate_json(version.definition)
