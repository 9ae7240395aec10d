"""Inbox: each file that is dropped in a process's folder becomes a batch, once.

Killed between any two steps, the next sweep goes on where it ended: a file that was taken is known again by its
name, its time and its content, and these make the batch's uid.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from domain.errors import FileErrorCode, FileProblem, NotAllowed, NotFound
from files.drop_folders import DONE, FAILED, DropFolders, Dropped
from models import processes
from models.batches import Act
from tasks.create import Start, create, scratch, uid_of
from tasks.ingest import limits
from tasks.surroundings import Surroundings, now

AT_REST = timedelta(seconds=30)
"""So long nobody may have written to a file before it is taken."""
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Swept:
    """How many files became batches, could not be used, and could not be dealt with now."""

    made: int = 0
    failed: int = 0
    left: int = 0


def sweep(around: Surroundings, *, start: Start) -> Swept:
    """Make a batch of each file that lies ready in a folder; does nothing where no inbox is set."""
    if around.settings.inbox_url is None:
        return Swept()
    folders = DropFolders(around.settings.inbox_url)
    with around.database.read() as session:
        keys = [version.key for version in processes.newest_versions(session)]
    folders.prepare(keys)
    found = [one for key in keys for one in folders.look(key, unchanged_since=now() - AT_REST)]
    ends = [_bring(around, folders, one, start=start) for one in found]
    swept = Swept(ends.count(DONE), ends.count(FAILED), ends.count("left"))
    if found:
        _logger.info("inbox swept, made=%d failed=%d left=%d", swept.made, swept.failed, swept.left)
    return swept


def _bring(around: Surroundings, folders: DropFolders, dropped: Dropped, *, start: Start) -> str | None:
    """Deal with one file; gives where it is then, None where somebody else has it or it is still being written."""
    try:
        taken = folders.take(dropped)
        if taken is None:
            return None
        try:
            made = _make(around, folders, taken, start=start)
        except (FileProblem, NotAllowed, NotFound) as refusal:
            folders.finish(taken, FAILED, reason=str(refusal))
            return FAILED
        if made is None:
            return None
        folders.finish(taken, DONE)
    except Exception as fault:  # noqa: BLE001  one file must not keep the others from their turn
        _logger.warning(
            "a file of the inbox could not be dealt with now (%s); the next sweep tries again", type(fault).__name__
        )
        return "left"
    return DONE


def _make(around: Surroundings, folders: DropFolders, taken: Dropped, *, start: Start) -> int | None:
    """The batch of a file that was taken, the same one again for the same file; None if somebody else is done with it."""
    limit = limits(around).bytes
    if taken.is_link:
        raise NotAllowed("This is a link to another place. Drop the file itself.")
    if taken.size > limit:
        raise FileProblem(
            FileErrorCode.TOO_LARGE,
            f"The file is larger than {limit // 1024**2} MB. Split it, or raise BULK_SENDER_UPLOAD_MEGABYTES.",
        )
    with scratch(around) as folder:
        copy = Path(folder) / f"dropped{Path(taken.name).suffix.lower()[:10]}"
        if not folders.copy(taken, copy):
            return None
        with copy.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        sender = around.settings.inbox_sender or ""
        return create(
            around,
            copy,
            process_key=taken.key,
            sender=sender,
            name=None,
            start=start,
            file_name=taken.name,
            uid=uid_of(around, "inbox", taken.key, taken.name, taken.changed, digest),
            act=Act(by=sender, via="inbox", now=now()),
        )
