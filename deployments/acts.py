"""What people do with a batch, the same from every place: create, correct, approve, reject, archive, resume."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from pathlib import Path

from deployments.accounts import require_right
from deployments.prefect_api import PrefectApi
from domain.errors import BulkSenderError, NotAllowed, NotFound, ServiceMissing
from domain.links import fingerprint
from domain.rights import Right
from domain.states import Phase, RequestState, Status
from models import batches, processes, requests, visits
from models.batches import Act
from models.requests import Answer
from models.tables import Batch
from tasks.correct import keep_correction, read_correction
from tasks.create import create as make_batch
from tasks.create import tags
from tasks.milestones import tell
from tasks.surroundings import Surroundings, now

_RESUME_SECONDS = 60.0
Later = Callable[[Callable[[], None]], None]
"""Does what follows on a decision that holds already: telling Prefect, and waking the run, which may take a minute."""


def at_once(following: Callable[[], None]) -> None:
    """Whoever decides waits for what follows, and is told if it does not succeed."""
    following()


SCREEN = "web screen"
"""How the history calls it."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who acts, from where, and what they say about it."""

    email: str
    via: str
    comment: str = ""

    def act(self) -> Act:
        """What they do, now."""
        return Act(by=self.email, via=self.via, comment=self.comment, now=now())


def create(
    around: Surroundings,
    path: Path,
    *,
    process_key: str,
    sender: str,
    name: str | None,
    file_name: str | None = None,
    uid: str | None = None,
    who: Person | None = None,
) -> int:
    """Make a batch of a file and start its run; nothing is left behind if any of it fails.

    Args:
        around: settings, database, storage.
        path: the recipient file.
        process_key: a live process.
        sender: the Sender Email.
        name: what to call the batch; the file's name without its ending if None.
        file_name: what people call the file, if not as `path` is called.
        uid: see `tasks.create.create`.
        who: who creates it, for its history; may not approve it, nor may the sender.

    Returns:
        The batch's id.
    """
    api = PrefectApi(around.settings.prefect_url)
    with around.database.read() as session:
        processes.live(session, process_key)
    if not path.is_file():
        raise NotFound(f"There is no file {path}. Check the path.")
    api.require()
    batch_id = make_batch(
        around,
        path,
        process_key=process_key,
        sender=sender,
        name=name,
        start=lambda batch_id, called, marks: api.start(batch_id=batch_id, name=called, tags=marks),
        file_name=file_name,
        uid=uid,
        act=who.act() if who else None,
    )
    tell(around)
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
        run_id = api.start(batch_id=batch_id, name=name, tags=tags(batch_id, process_key))
        batches.note(session, batch_id, flow_run_id=run_id)
    if old_run_id is not None:
        with suppress(ServiceMissing):  # what is answered there holds no longer; see flows.send_batch.await_approval
            api.cancel(old_run_id)
    tell(around)
    return correction.changed


def approve(
    around: Surroundings, batch_id: int, *, who: Person, seen_revision: int | None = None, later: Later = at_once
) -> None:
    """Decide that a batch is sent, and let its run go on.

    Args:
        around: settings, database.
        batch_id: the batch.
        who: who approves it.
        seen_revision: the revision that they were shown; the present one if None.
        later: how its run is woken.
    """
    api = PrefectApi(around.settings.prefect_url)
    print_of_links = fingerprint(around.settings.secret, public_url=around.settings.links_base)
    with around.database.read() as session:
        batches.by_id(session, batch_id)
    api.require()
    with around.database.write() as session:
        batches.approve(
            session,
            batch_id,
            who.act(),
            link_print=print_of_links,
            seen_revision=seen_revision,
            four_eyes=around.settings.four_eyes,
        )

    def follow() -> None:
        tell(around)
        let_go_on(around, api, batch_id, who=who)

    later(follow)


def reject(
    around: Surroundings, batch_id: int, *, who: Person, seen_revision: int | None = None, later: Later = at_once
) -> None:
    """Stop what has not left. It holds from the moment the ledger has it, whether Prefect answers or not."""
    with around.database.write() as session:
        waiting = batches.by_id(session, batch_id).phase == Phase.WAITING
        batches.reject(session, batch_id, who.act(), seen_revision=seen_revision)
    later(lambda: _end_run(around, batch_id, who=who, has_one=waiting))


def _end_run(around: Surroundings, batch_id: int, *, who: Person, has_one: bool) -> None:
    """Let the run of a rejected batch end; where Prefect does not answer it stays, and nothing of it can be sent."""
    tell(around)
    if has_one:
        with suppress(BulkSenderError):
            let_go_on(around, PrefectApi(around.settings.prefect_url), batch_id, who=who)


def archive(around: Surroundings, batch_id: int, *, who: Person, later: Later = at_once) -> None:
    """Hide a batch from the list; one that waits is rejected, and its run ends."""
    with around.database.write() as session:
        waiting = batches.by_id(session, batch_id).phase == Phase.WAITING
        batches.archive(session, batch_id, who.act())
    later(lambda: _end_run(around, batch_id, who=who, has_one=waiting))


def resume(around: Surroundings, batch_id: int, *, who: Person) -> None:
    """Let a halted batch go on, in a new run."""
    api = PrefectApi(around.settings.prefect_url)
    with around.database.read() as session:
        batches.by_id(session, batch_id)
    api.require()
    with around.database.write() as session:
        batches.resume(session, batch_id, who.act())
    tell(around)
    start_again(around, api, batch_id)


def pause(around: Surroundings, batch_id: int, *, who: Person) -> None:
    """Halt a batch in mid-send. It holds from the moment the ledger has it, whether Prefect answers or not."""
    with around.database.write() as session:
        batches.pause(session, batch_id, who.act())
    tell(around)


def how_far(around: Surroundings, batch_id: int) -> str:
    """What had left of a batch that was halted, without a full stop."""
    with around.database.read() as session:
        batch = batches.by_id(session, batch_id)
        said, on_the_way = (
            f"{batch.sent:,} of {batch.row_count:,} had been sent",
            requests.on_the_way(session, batch_id),
        )
    if not on_the_way:
        return said
    return f"{said}, and {'1 message was on its' if on_the_way == 1 else f'{on_the_way:,} messages were on their'} way"


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
    tell(around)
    if settled is Settled.RESEND:
        start_again(around, api, batch_id)
    return len(chosen)


def revoke_links(around: Surroundings, batch_id: int, rows: Collection[int] | None, *, who: Person) -> int:
    """End links that were sent, from this moment on; again changes nothing, and there is no way back.

    Args:
        around: the ledger.
        batch_id: the batch.
        rows: its recipients; all of them if None.
        who: who ends them.

    Returns:
        How many links ended that had not ended in this way before.

    Raises:
        NotAllowed: the batch is not done with sending, or nothing was sent to one of the rows.
    """
    with around.database.write() as session:
        batch = batches.by_id(session, batch_id)
        if rows is None:
            _require_sent(batch)
            ended = batch.sent if visits.revoke_all(session, batch_id, now=now()) else 0
            which = "all links"
        else:
            if not_sent := sorted(set(rows) - visits.sent_rows(session, batch_id, rows)):
                raise NotAllowed(
                    f"Nothing was sent to row {not_sent[0]} of batch {batch_id}, so it has no link to revoke."
                )
            ended = visits.revoke(session, batch_id, rows, now=now())
            which = f"rows {', '.join(map(str, sorted(set(rows))))}"
        if ended:
            act = replace(who, comment=f"{who.comment} ({which})".strip()).act()
            batches.note_act(session, batch_id, act, name="revoke links")
    return ended


def _require_sent(batch: Batch) -> None:
    if batch.phase in {Phase.SENDING, Phase.PAUSED} or (
        batch.phase == Phase.WAITING and batch.status == Status.APPROVED
    ):
        raise NotAllowed(
            f"Batch {batch.id} is still being sent. Reject it first, then revoke the links that have left."
        )
    if batch.phase not in {Phase.SETTLING, Phase.FINISHED, Phase.STOPPED} or batch.sent == 0:
        raise NotAllowed(f"Nothing of batch {batch.id} was sent, so it has no link to revoke.")


def expire_links(around: Surroundings, batch_id: int, last_day: date, *, who: Person) -> datetime:
    """Let the links of a batch end with a day, in UTC, in place of what its process says; the same again changes nothing.

    Returns:
        The moment from which they cannot be opened.

    Raises:
        NotAllowed: the day is over.
    """
    ends = datetime.combine(last_day + timedelta(days=1), time(), UTC)
    if ends <= now():
        raise NotAllowed(f"{last_day} is over. Give a later day, or revoke the links to end them now.")
    with around.database.write() as session:
        if batches.by_id(session, batch_id).links_expire_at != ends:
            batches.note(session, batch_id, links_expire_at=ends)
            act = replace(who, comment=f"{who.comment} (after {last_day})".strip()).act()
            batches.note_act(session, batch_id, act, name="expire links")
    return ends


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
    run_id = api.start(batch_id=batch_id, name=name, tags=tags(batch_id, key))
    with around.database.write() as session:
        batches.note(session, batch_id, flow_run_id=run_id)


def acting(around: Surroundings, email: str, right: Right, *, what: str, via: str, comment: str = "") -> Person:
    """Somebody for whom a shell speaks; once there are users, one of them who has the right.

    Raises:
        NotAllowed: that is no email address.
        Forbidden: they are no active user, or have not the right.
    """
    require_right(around, email_of(email, what), right)
    return Person(email, via, comment)


def email_of(value: str, what: str) -> str:
    """`value` if it can be an email address.

    Raises:
        NotAllowed: it cannot.
    """
    if "@" not in value.strip("@") or any(sign.isspace() for sign in value):
        raise NotAllowed(f"{what} {value!r} is not an email address. Give one such as name@company.example.")
    return value
