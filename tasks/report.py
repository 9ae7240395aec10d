"""Report: the operator's own file with what became of each row, at any moment of a batch's life."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath

import polars as pl
from sqlmodel import Session

from domain.annotation import CHANNELS, Stage, annotate, bad_rows
from domain.errors import NotAllowed, NotFound
from domain.reconciliation import lines
from domain.states import Phase, Status
from files.reading import Layout
from files.results import Summary, write_bad_rows, write_result
from models import batches, processes, requests, visits
from models.recipients import answered, known_facts, messages
from models.reconciliation import reconcile
from models.tables import Batch
from tasks.surroundings import Surroundings, now

_REPORTED = frozenset({Phase.SETTLING, Phase.FINISHED})


def write_file(around: Surroundings, batch_id: int, path: Path) -> None:
    """Write the result file of a batch: all rows as uploaded, in order and format, with status columns added.

    Before anything is sent, the columns say what the check found. Where the file that is kept still says all that is
    known, it is given as it is.

    Raises:
        NotAllowed: the file could not be read, so there is nothing to add to.
    """
    with around.database.read() as session:
        batch = batches.by_id(session, batch_id)
        kept = batch.result_key
        is_new = kept is not None and kept == _key(around, session, batch)
    if kept is not None and is_new:
        # Another may be kept, and this one gone, while it is copied.
        with suppress(NotFound, FileNotFoundError), around.storage.local(kept) as file:
            shutil.copyfile(file, path)
            return
    _write(around, batch_id, path, phase=None)


def _write(around: Surroundings, batch_id: int, path: Path, *, phase: Phase | None) -> None:
    """Write the result file from the ledger, as of the phase in which the batch is, or of the one that comes next."""
    with around.database.read() as session:
        batch = _in_phase(session, batch_id, phase)
        keys = (batch.rows_key, batch.recipients_key, batch.problems_key)
        if batch.layout is None or None in keys:
            raise NotAllowed(
                f"Batch {batch_id} is {batch.phase}, so it has no result yet. {batch.reason or ''}".strip()
            )
        layout = Layout.from_json(batch.layout)
        planned = requests.has_plan(session, batch_id)
        silent_since = now() - timedelta(days=around.settings.delivery_days)
        sent = messages(session, batch_id, stopped=batch.phase == Phase.STOPPED, silent_since=silent_since)
        seen = visits.frame(session, batch_id)
        version = processes.version_by_id(session, batch.process_version_id)
        facts = _facts(batch, f"{version.name} (version {version.version})")
        channels = processes.definition_of(version).channels
        facts += tuple(lines(reconcile(session, batch, channels=channels), names=CHANNELS))
        stopped_before = batch.phase == Phase.STOPPED and not planned
    rows, recipients, problems = (_frame(around, key) for key in keys if key is not None)
    if stopped_before:
        sent = _never_sent(recipients)
    stage: Stage = "send" if planned or stopped_before else "check"
    statuses = annotate(recipients, problems, sent, stage=stage, visits=seen)
    write_result(rows, statuses, layout=layout, path=path, summary=Summary(facts=facts))


def write_problems(around: Surroundings, batch_id: int, path: Path) -> int:
    """Write the rows of a batch that must be corrected: as uploaded, in its format, with what is wrong in a last column.

    Returns:
        How many they are.

    Raises:
        NotAllowed: it was not checked, or has no such row.
    """
    with around.database.read() as session:
        batch = batches.by_id(session, batch_id)
        rows_key, problems_key, layout = batch.rows_key, batch.problems_key, batch.layout
        if rows_key is None or problems_key is None or layout is None:
            raise NotAllowed(
                f"Batch {batch_id} is {batch.phase}, so its rows were not judged. {batch.reason or ''}".strip()
            )
        if batch.invalid == 0:
            raise NotAllowed(f"Batch {batch_id} has no bad row, so there is nothing to correct.")
    sentences = bad_rows(_frame(around, problems_key))
    write_bad_rows(_frame(around, rows_key), sentences, layout=Layout.from_json(layout), path=path)
    return sentences.height


def keep_file(around: Surroundings, batch_id: int) -> Phase:
    """Write the result file into the storage, in place of an earlier one; gives the phase that it speaks of.

    One that says all that is known stays.
    """
    with around.database.read() as session:
        batch = batches.by_id(session, batch_id)
        phase, earlier = Phase(batch.phase), batch.result_key
        key = _key(around, session, batch)
    if earlier == key:
        return phase
    _keep(around, batch_id, key, phase=None)
    with around.database.write() as session:
        batches.note_result(session, batch_id, key, phase=phase)
        is_noted = batches.by_id(session, batch_id).result_key == key
    if earlier is not None and is_noted:
        with suppress(FileNotFoundError):
            around.storage.remove(earlier)
    return phase


def keep_coming_file(around: Surroundings, batch_id: int, phase: Phase) -> str:
    """Keep the result file of a phase that a batch is about to enter, so that it is there when people are told.

    Returns:
        Its key, for `is_of_now` in the transaction that lets the batch enter the phase.
    """
    with around.database.read() as session:
        key = _key(around, session, _in_phase(session, batch_id, phase))
    _keep(around, batch_id, key, phase=phase)
    return key


def is_of_now(around: Surroundings, session: Session, batch_id: int, key: str) -> bool:
    """Whether a kept file still says all that is known of a batch."""
    return _key(around, session, batches.by_id(session, batch_id)) == key


def _keep(around: Surroundings, batch_id: int, key: str, *, phase: Phase | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / PurePosixPath(key).name
        _write(around, batch_id, path, phase=phase)
        around.storage.put(key, path)


def _in_phase(session: Session, batch_id: int, phase: Phase | None) -> Batch:
    """The batch as it is, or as it will be in a phase; no longer the session's, so that nothing is written."""
    batch = batches.by_id(session, batch_id)
    session.expunge(batch)
    if phase is not None:
        batch.phase = phase.value
    return batch


def _key(around: Surroundings, session: Session, batch: Batch) -> str:
    """Where a result file is kept that says what is known now: what changes the file changes this.

    It is read before the rest: a file that says more than its key is never taken for one of a later moment.
    """
    batch_id = batches.id_of(batch)
    silent_since = now() - timedelta(days=around.settings.delivery_days)
    facts = [
        *(batch.phase, batch.status, batch.rows_key, batch.recipients_key, batch.request_count, batch.sent),
        *(batch.links_expire_at, batch.links_revoked_at),
        _silent(answered(session, batch_id), since=silent_since),
        sorted(requests.by_state(session, batch_id).items()),
        known_facts(session, batch_id),
    ]
    mark = hashlib.sha256(repr(facts).encode()).hexdigest()[:32]
    return f"batches/{batch.uid}/result-{mark}{PurePosixPath(result_name(batch)).suffix}"


def _silent(answered: tuple[datetime | None, datetime | None], *, since: datetime) -> str:
    """For how many of a batch's messages the wait is over: none, all, or as many as there are at this moment."""
    first, last = answered
    if first is None or last is None or first >= since:
        return "none"
    return "all" if last < since else since.isoformat()


def unreported(around: Surroundings, changed: Collection[int] = ()) -> list[int]:
    """Batches that came to settling or to their end, and whose result file is missing or older than a change."""
    with around.database.read() as session:
        missing = batches.without_result(session, _REPORTED)
        older = [one for one in changed if batches.by_id(session, one).phase in _REPORTED]
    return sorted({*missing, *older})


def original_or_result(around: Surroundings, batch_id: int, folder: Path) -> tuple[Path, str]:
    """The uploaded file as it came; once the batch was approved, its result file. Gives where it is, and its name.

    Args:
        around: settings, database, storage.
        batch_id: the batch.
        folder: where to put it.
    """
    with around.database.read() as session:
        batch = batches.by_id(session, batch_id)
        is_decided = batch.status != Status.PENDING_APPROVAL and batch.layout is not None and batch.recipients_key
        name, upload_key = (result_name(batch) if is_decided else batch.file_name), batch.upload_key
    path = folder / f"download{PurePosixPath(name).suffix}"
    if is_decided:
        write_file(around, batch_id, path)
    else:
        with around.storage.local(upload_key) as kept:
            shutil.copyfile(kept, path)
    return path, name


def result_name(batch: Batch) -> str:
    """What the result file is called: the uploaded file's name, in the format that is written back."""
    uploaded = PurePosixPath(batch.file_name)
    suffix = ".csv" if batch.layout is not None and Layout.from_json(batch.layout).format == "csv" else ".xlsx"
    return f"{uploaded.stem}-result{suffix}"


def _never_sent(recipients: pl.DataFrame) -> pl.DataFrame:
    """MESSAGES for a batch that was rejected before any was laid out: one that stopped, for each valid row."""
    channel = pl.when(pl.col("email").is_not_null()).then(pl.lit("email")).otherwise(pl.lit("sms"))
    return recipients.filter("valid").select(
        "row",
        channel=channel,
        state=pl.lit("stopped"),
        detail=pl.lit(None, pl.String),
        **{name: pl.lit(None, pl.String) for name in ("sent_at", "delivery", "delivery_detail", "delivery_at")},
    )


def _frame(around: Surroundings, key: str) -> pl.DataFrame:
    with around.storage.local(key) as path:
        return pl.read_parquet(path)


def _facts(batch: Batch, process: str) -> tuple[tuple[str, str], ...]:
    status = f"{batch.status}, {batch.phase}" if batch.status == Status.APPROVED else batch.status
    return (
        ("Batch", batch.name),
        ("Process", process),
        ("Sender Email", batch.sender),
        ("Created", batch.created_at.isoformat(timespec="seconds")),
        ("Status", status),
        ("File", batch.file_name),
        ("SHA-256 of the file", batch.file_sha256),
    )
