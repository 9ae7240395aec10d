"""What people do with a batch, the same from every place: create, correct, approve, reject, archive, resume."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from deployments.prefect_api import PrefectApi
from domain.errors import BulkSenderError, NotAllowed, NotFound, ServiceMissing
from domain.links import fingerprint
from domain.states import Phase, RequestState, Status
from models import batches, processes, requests
from models.batches import Act
from models.requests import Answer
from models.tables import Batch
from tasks.correct import keep_correction, read_correction
from tasks.ingest import keep_rows, limits, read_for
from tasks.surroundings import Surroundings, now

_RESUME_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Person:
    """Who acts, from where, and what they say about it."""

    email: str
    via: str
    comment: str = ""

    def act(self) -> Act:
        """What they do, now."""
        return Act(by=self.email, via=self.via, comment=self.comment, now=now())


def create(around: Surroundings, path: Path, *, process_key: str, sender: str, name: str | None) -> int:
    """Make a batch of a file and start its run; nothing is left behind if any of it fails.

    Args:
        around: settings, database, storage.
        path: the recipient file.
        process_key: a live process.
        sender: the Sender Email.
        name: what to call the batch; the file's name without its ending if None.

    Returns:
        The batch's id.
    """
    api = PrefectApi(around.settings.prefect_url)
    with around.database.read() as session:
        version = processes.live(session, process_key)
        version_id, definition = version.id, processes.definition_of(version)
        others = processes.others_live(session, process_key)
    if not path.is_file():
        raise NotFound(f"There is no file {path}. Check the path.")
    api.require()
    table = read_for(definition, path, file_name=path.name, limits=limits(around), others=others)
    uid = uuid.uuid4().hex
    try:
        upload_key = around.storage.put(f"batches/{uid}/upload{path.suffix.lower()[:10]}", path)
        rows_key = keep_rows(around, uid, table)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        batch = Batch(
            uid=uid,
            process_version_id=version_id or 0,
            name=(name or path.stem).strip()[:200] or path.stem,
            sender=sender,
            created_at=now(),
            phase_at=now(),
            file_name=path.name,
            file_sha256=digest,
            file_bytes=path.stat().st_size,
            upload_key=upload_key,
            rows_key=rows_key,
            layout=table.layout.to_json(),
            row_count=table.rows.height,
        )
        with around.database.write() as session:
            batch_id = batches.id_of(batches.add(session, batch))
            # Inside the transaction: a run that cannot be started leaves no batch.
            run_id = api.start(batch_id=batch_id, name=batch.name, tags=_tags(batch_id, process_key))
            batches.note(session, batch_id, flow_run_id=run_id)
    except BaseException:
        around.storage.remove(f"batches/{uid}")
        raise
    return batch_id


def correct(around: Surroundings, batch_id: int, path: Path, *, who: Person) -> int:
    """Put the rows of a file in place of the same rows of a batch that waits, and let it be checked and decided again.

    The run that waits is cancelled and a new one started. Where Prefect does not answer, nothing changes.

    Args:
        around: settings, database, storage.
        batch_id: the batch.
        path: the file of its bad rows, corrected.
        who: who corrects it.

    Returns:
        How many rows are different now; 0 where nothing was changed.

    Raises:
        NotAllowed: the batch does not wait for approval.
        FileProblem: the file cannot be used.
    """
    api = PrefectApi(around.settings.prefect_url)
    with around.database.read() as session:
        batch = batches.by_id(session, batch_id)
        batches.require_correctable(batch)
        name, old_run_id = batch.name, batch.flow_run_id
        process_key = processes.version_by_id(session, batch.process_version_id).key
    if not path.is_file():
        raise NotFound(f"There is no file {path}. Check the path.")
    api.require()
    correction = read_correction(around, batch_id, path)
    if not correction.changed:
        return 0
    rows_key = keep_correction(around, correction, path)
    with around.database.write() as session:
        batches.correct(
            session,
            batch_id,
            who.act(),
            seen_revision=correction.revision,
            rows_key=rows_key,
            file_sha256=correction.file_sha256,
        )
        # Inside the transaction: where no run can be started, nothing is corrected.
        run_id = api.start(batch_id=batch_id, name=name, tags=_tags(batch_id, process_key))
        batches.note(session, batch_id, flow_run_id=run_id)
    if old_run_id is not None:
        with suppress(ServiceMissing):  # what is answered there holds no longer; see flows.send_batch.await_approval
            api.cancel(old_run_id)
    return correction.changed


def _tags(batch_id: int, process_key: str) -> list[str]:
    return ["bulk-sender", f"batch:{batch_id}", f"process:{process_key}", f"status:{Status.PENDING_APPROVAL}"]


def approve(around: Surroundings, batch_id: int, *, who: Person) -> None:
    """Decide that a batch is sent, and let its run go on."""
    api = PrefectApi(around.settings.prefect_url)
    print_of_links = fingerprint(around.settings.secret, public_url=around.settings.links_base)
    with around.database.read() as session:
        batches.by_id(session, batch_id)
    api.require()
    with around.database.write() as session:
        batches.approve(session, batch_id, who.act(), link_print=print_of_links)
    let_go_on(around, api, batch_id, who=who)


def reject(around: Surroundings, batch_id: int, *, who: Person) -> None:
    """Stop what has not left. It holds from the moment the ledger has it, whether Prefect answers or not."""
    with around.database.write() as session:
        waiting = batches.by_id(session, batch_id).phase == Phase.WAITING
        batches.reject(session, batch_id, who.act())
    if waiting:
        _end_run(around, batch_id, who=who)


def _end_run(around: Surroundings, batch_id: int, *, who: Person) -> None:
    """Let the run of a rejected batch end; where Prefect does not answer it stays, and nothing of it can be sent."""
    with suppress(BulkSenderError):
        let_go_on(around, PrefectApi(around.settings.prefect_url), batch_id, who=who)


def archive(around: Surroundings, batch_id: int, *, who: Person) -> None:
    """Hide a batch from the list; one that waits is rejected, and its run ends."""
    with around.database.write() as session:
        waiting = batches.by_id(session, batch_id).phase == Phase.WAITING
        batches.archive(session, batch_id, who.act())
    if waiting:
        _end_run(around, batch_id, who=who)


def resume(around: Surroundings, batch_id: int, *, who: Person) -> None:
    """Let a halted batch go on, in a new run."""
    api = PrefectApi(around.settings.prefect_url)
    with around.database.read() as session:
        batches.by_id(session, batch_id)
    api.require()
    with around.database.write() as session:
        batches.resume(session, batch_id, who.act())
    start_again(around, api, batch_id)


def pause(around: Surroundings, batch_id: int, *, who: Person) -> None:
    """Halt a batch in mid-send. It holds from the moment the ledger has it, whether Prefect answers or not."""
    with around.database.write() as session:
        batches.pause(session, batch_id, who.act())


class Settled(StrEnum):
    """What a person can say of unresolved messages."""

    SENT = "sent"
    """They count as sent."""
    RESEND = "resend"
    """They are sent once more, and some may get theirs twice."""


def settle(around: Surroundings, batch_id: int, settled: Settled, *, numbers: Collection[int], who: Person) -> int:
    """Decide about unresolved requests of a batch; what is to be sent again is sent by a new run.

    Args:
        around: settings, database.
        batch_id: the batch.
        settled: what is decided.
        numbers: the requests; all that are unresolved if none are given.
        who: who decides.

    Returns:
        How many requests were decided about.

    Raises:
        NotAllowed: none is unresolved, or one that was named is not.
    """
    api = PrefectApi(around.settings.prefect_url)
    if settled is Settled.RESEND:
        api.require()
    with around.database.write() as session:
        batches.by_id(session, batch_id)
        unresolved = {one.number for one in requests.doubtful(session, RequestState.UNRESOLVED, batch_id)}
        chosen = sorted(set(numbers) or unresolved)
        if other := [number for number in chosen if number not in unresolved]:
            raise NotAllowed(
                f"Request {other[0]} of batch {batch_id} is not unresolved. See which are: bulk-sender batch unresolved {batch_id}"
            )
        if not chosen:
            raise NotAllowed(f"Batch {batch_id} has nothing unresolved, so there is nothing to decide.")
        for number in chosen:
            if settled is Settled.SENT:
                answer = Answer(number, RequestState.ACCEPTED, code="decided", detail="Counted as sent by a person.")
                requests.settle(session, batch_id, [answer], now=now())
            else:
                requests.send_again(session, batch_id, number, why="A person wants it sent again.", now=now())
        which = f"as {settled}: requests {', '.join(map(str, chosen))}"
        batches.note_act(
            session, batch_id, replace(who, comment=f"{who.comment} ({which})".strip()).act(), name="settle"
        )
    if settled is Settled.RESEND:
        start_again(around, api, batch_id)
    return len(chosen)


def let_go_on(around: Surroundings, api: PrefectApi, batch_id: int, *, who: Person) -> None:
    """Wake the run of a batch that was decided; a run that is gone is replaced by a new one."""
    with around.database.read() as session:
        batch = batches.by_id(session, batch_id)
        run_id, decision = batch.flow_run_id, "Approve" if batch.status == Status.APPROVED else "Reject"
    answers = {"decision": decision, "email": who.email, "comment": who.comment}
    try:
        _wake(around, api, batch_id, run_id, answers)
    except ServiceMissing as fault:
        raise ServiceMissing(
            f"The decision on batch {batch_id} is recorded, but its run could not be woken. {fault} It goes on from there."
        ) from fault


def _wake(around: Surroundings, api: PrefectApi, batch_id: int, run_id: str | None, answers: dict[str, str]) -> None:
    if run_id is not None and api.resume(run_id, answers, wait_seconds=_RESUME_SECONDS):
        return
    with around.database.read() as session:
        batch = batches.by_id(session, batch_id)
        still_waits = batch.phase == Phase.WAITING and batch.status != Status.PENDING_APPROVAL
    if still_waits:
        start_again(around, api, batch_id)


def start_again(around: Surroundings, api: PrefectApi, batch_id: int) -> None:
    """Start a new run for a batch that is not done; the ledger keeps it from doing anything twice."""
    with around.database.read() as session:
        batch = batches.by_id(session, batch_id)
        version = processes.version_by_id(session, batch.process_version_id)
        name, key = batch.name, version.key
    run_id = api.start(batch_id=batch_id, name=name, tags=_tags(batch_id, key))
    with around.database.write() as session:
        batches.note(session, batch_id, flow_run_id=run_id)


def email_of(value: str, what: str) -> str:
    """`value` if it can be an email address.

    Raises:
        NotAllowed: it cannot.
    """
    if "@" not in value.strip("@") or any(sign.isspace() for sign in value):
        raise NotAllowed(f"{what} {value!r} is not an email address. Give one such as name@company.example.")
    return value
