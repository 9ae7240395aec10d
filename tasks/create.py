"""Create: from a recipient file to a batch and its run; the one way in, whoever brings the file.

Knows no Prefect: how a run is started is an argument.
"""

from __future__ import annotations

import hashlib
import hmac
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path

from sqlalchemy.exc import IntegrityError

from domain.states import Status
from models import batches, processes
from models.batches import Act
from models.tables import Batch
from tasks.ingest import keep_rows, limits, read_for
from tasks.surroundings import Surroundings, now

Start = Callable[[int, str, list[str]], str]
"""Starts the run of a batch, given its id, its name and the run's tags; gives the run's id."""
_NAME_LENGTH = 200


def create(  # noqa: PLR0913  each is a fact of the batch
    around: Surroundings,
    path: Path,
    *,
    process_key: str,
    sender: str,
    name: str | None,
    start: Start,
    file_name: str | None = None,
    uid: str | None = None,
    act: Act | None = None,
) -> int:
    """Make a batch of a file and start its run; nothing is left behind if any of it fails.

    Args:
        around: settings, database, storage.
        path: the recipient file.
        process_key: a live process.
        sender: the Sender Email.
        name: what to call the batch; the file's name without its ending if None or empty.
        start: starts its run.
        file_name: what people call the file, if not as `path` is called.
        uid: of what the batch is made, from `uid_of`; a second batch of the same is never made, however
            many try at once.
        act: who creates it and where, for its history; the sender may be somebody else.

    Returns:
        The batch's id; that of the first batch where there is one of this uid already.
    """
    uid, file_name = uid or uuid.uuid4().hex, file_name or path.name
    with around.database.read() as session:
        if (known := batches.by_uid(session, uid)) is not None:
            return batches.id_of(known)
        version = processes.live(session, process_key)
        version_id, definition = version.id, processes.definition_of(version)
        others = processes.others_live(session, process_key)
    table = read_for(definition, path, file_name=file_name, limits=limits(around), others=others)
    # Whoever makes the same batch at the same time has a folder of their own, so that each can clear up.
    folder = f"{uid}/{uuid.uuid4().hex[:12]}"
    try:
        upload_key = around.storage.put(f"batches/{folder}/upload{path.suffix.lower()[:10]}", path)
        rows_key = keep_rows(around, folder, table)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        stem = Path(file_name).stem
        batch = Batch(
            uid=uid,
            process_version_id=version_id or 0,
            name=(name or "").strip()[:_NAME_LENGTH] or stem[:_NAME_LENGTH],
            sender=sender,
            created_at=now(),
            phase_at=now(),
            file_name=file_name,
            file_sha256=digest,
            file_bytes=path.stat().st_size,
            upload_key=upload_key,
            rows_key=rows_key,
            layout=table.layout.to_json(),
            row_count=table.rows.height,
        )
        batch_id, is_new = _add(around, batch, process_key, start, act)
    except BaseException:
        around.storage.remove(f"batches/{folder}")
        raise
    if not is_new:
        around.storage.remove(f"batches/{folder}")
    return batch_id


def _add(around: Surroundings, batch: Batch, process_key: str, start: Start, act: Act | None) -> tuple[int, bool]:
    """Write the batch unless there is one of its uid; gives the id, and whether it is this one's."""
    uid, name = batch.uid, batch.name
    try:
        with around.database.write() as session:
            if (known := batches.by_uid(session, uid)) is not None:
                return batches.id_of(known), False
            batch_id = batches.id_of(batches.add(session, batch))
            if act is not None:
                batches.note_act(session, batch_id, act, name="create")
            # Inside the transaction: a run that cannot be started leaves no batch.
            batches.note(session, batch_id, flow_run_id=start(batch_id, name, tags(batch_id, process_key)))
            return batch_id, True
    except IntegrityError:  # PostgreSQL lets two write at once, and one of them commit
        with around.database.read() as session:
            known = batches.by_uid(session, uid)
            if known is None:
                raise
            return batches.id_of(known), False


def uid_of(around: Surroundings, *facts: str | int) -> str:
    """The same uid for the same facts, and one that nobody guesses, as every uid."""
    told = "\0".join(str(fact) for fact in facts).encode("utf-8", "surrogateescape")
    return hmac.new(around.settings.secret, b"batch\0" + told, hashlib.sha256).hexdigest()[:32]


def tags(batch_id: int, process_key: str, status: str = Status.PENDING_APPROVAL) -> list[str]:
    """The tags of a batch's runs in Prefect."""
    return ["bulk-sender", f"batch:{batch_id}", f"process:{process_key}", f"status:{status}"]


def scratch(around: Surroundings) -> tempfile.TemporaryDirectory[str]:
    """A folder for copies of people's files; what a killed process leaves there, housekeeping removes."""
    place = around.settings.home / "scratch"
    place.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(dir=place)
