"""Forgetting the uploads that nobody made a batch of."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

from models import uploads
from tasks.surroundings import Surroundings


def folder_of(uid: str) -> str:
    """Where an upload, and what was found in it, is kept in the storage."""
    return f"uploads/{uid}"


def incoming(around: Surroundings) -> Path:
    """Where bytes that are still coming in are kept on this machine."""
    return around.settings.home / "incoming"


def sweep(around: Surroundings, older_than: datetime) -> int:
    """Remove what was uploaded before a moment, whatever became of it; a batch has a copy of its own.

    Returns:
        How many uploads were removed.
    """
    with around.database.read() as session:
        found = uploads.older(session, older_than)
    for uid in found:
        around.storage.remove(folder_of(uid))
        with around.database.write() as session:
            uploads.forget(session, uid)
    broken_off = incoming(around)
    for path in broken_off.iterdir() if broken_off.is_dir() else ():
        if path.stat().st_mtime < older_than.timestamp():
            shutil.rmtree(path, ignore_errors=True)
    return len(found)
