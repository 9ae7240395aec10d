"""A file on its way to becoming a batch: kept, checked in the background, and made a batch of once.

Nobody waits for a check: a web process does it in a thread, and whichever process is asked next finds what
came of it. A process that died leaves its work to the next that is asked.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path, PurePosixPath

import polars as pl
from pydantic import BaseModel

from deployments import acts
from deployments.background import Background
from deployments.checking import Checked, check, write_bad
from deployments.surroundings import Surroundings
from domain.bad_cells import BadRows, first_bad_rows
from domain.costs import Costs, costs
from domain.errors import BulkSenderError, FileProblem
from domain.findings import FIRST_ROWS, Judged, summarise
from domain.processes import ProcessDefinition
from domain.rules import SUPPRESSED, Severity
from files.fetching import clean_name
from models import batches, processes, uploads
from models.tables import Upload
from tasks.surroundings import now
from tasks.uploads import folder_of, incoming, sweep

__all__ = ["Found", "Uploads", "incoming", "sweep"]

ROWS_SHOWN = 10
_HELD = timedelta(seconds=30)
_SAY_AGAIN_SECONDS = 10.0
_BROKEN = (
    "The check broke off here, and it is not the fault of the file. Upload it again; if that does not help, "
    "tell an administrator the time."
)
_logger = logging.getLogger(__name__)


class Refusal(BaseModel, frozen=True):
    """Why a file cannot be used as a whole."""

    code: str
    message: str


class Counted(BaseModel, frozen=True):
    """`domain.findings.Counts`, as it is kept."""

    rows: int = 0
    valid: int = 0
    invalid: int = 0
    warnings: int = 0


class OfKind(BaseModel, frozen=True):
    """`domain.findings.Kind`, as it is kept."""

    code: str
    message: str
    count: int
    rows: list[int]


class Found(BaseModel, frozen=True):
    """What a check found, as its page shows it.

    Attributes:
        refusal: why the file cannot be used; then there is nothing else.
        counts: rows, valid, invalid, warnings.
        errors, warnings: problems by kind, of rows that are not sent and of rows that are.
        same: that the list was uploaded before; None if not.
        suppressed, suppressed_rows: how many rows hold an address that must not be written to, and the first of them.
        notes: on the file as a whole.
        bad: the first rows that cannot be sent.
        bad_key: where the file of all of them is kept.
        costs: what would be sent.
    """

    refusal: Refusal | None = None
    counts: Counted = Counted()
    errors: list[OfKind] = []
    warnings: list[OfKind] = []
    same: str | None = None
    suppressed: int = 0
    suppressed_rows: list[int] = []
    notes: list[str] = []
    bad: BadRows | None = None
    bad_key: str | None = None
    costs: Costs | None = None


class Uploads:
    """The uploads of one web process; what they are is in the database, for all."""

    def __init__(self, around: Surroundings, *, at_once: int) -> None:
        """Work on nothing yet."""
        self._around = around
        self._later = Background(threads=at_once)
        self._name = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._taken: set[str] = set()

    def keep(self, path: Path, *, owner: str, process_key: str, file_name: str) -> str:
        """Keep a file for somebody; the same file again, before a batch was made of it, is the same upload.

        Returns:
            Its uid.

        Raises:
            NotFound, NotAllowed: no such process is live.
        """
        name = clean_name(file_name)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        with self._around.database.read() as session:
            processes.live(session, process_key)
            known = uploads.same(session, owner=owner, process_key=process_key, file_sha256=digest, file_name=name)
            if known is not None:
                return known.uid
        uid = uuid.uuid4().hex
        key = self._around.storage.put(f"{folder_of(uid)}/file{PurePosixPath(name).suffix.lower()[:10]}", path)
        upload = Upload(
            uid=uid,
            owner=owner,
            process_key=process_key,
            file_name=name,
            file_sha256=digest,
            file_bytes=path.stat().st_size,
            upload_key=key,
            created_at=now(),
        )
        with self._around.database.write() as session:
            uploads.add(session, upload)
        self.see_to(uid)
        return uid

    def want_batch(self, uid: str, *, owner: str, name: str) -> None:
        """Let a batch be made of a checked upload; wanting it again changes nothing."""
        with self._around.database.write() as session:
            upload = uploads.of(session, uid, owner=owner)
            uploads.want(session, uid, name=name.strip() or PurePosixPath(upload.file_name).stem)
        self.see_to(uid)

    def found(self, upload: Upload) -> Found | None:
        """What the check found; None while it is not done."""
        if upload.checked_at is None:
            return None
        with self._around.storage.local(_found_key(upload.uid)) as path:
            return Found.model_validate_json(path.read_bytes())

    def see_to(self, uid: str) -> None:
        """Make sure that somebody works on an upload that has work left; comes back at once."""
        with self._lock:
            if uid in self._taken:
                return
            self._taken.add(uid)
        self._later(partial(self._work, uid))

    def _work(self, uid: str) -> None:
        try:
            with self._holding(uid) as is_ours:
                if is_ours:
                    self._go_on(uid)
        finally:
            with self._lock:
                self._taken.discard(uid)

    def _go_on(self, uid: str) -> None:
        with self._around.database.read() as session:
            upload = uploads.find(session, uid)
            if upload is None:
                return
            session.expunge(upload)
            is_made = batches.by_uid(session, uid) is not None
        if upload.checked_at is None:
            self._check(upload)
        elif upload.name is not None and upload.refusal is None and not is_made:
            self._make(upload, upload.name)

    def _check(self, upload: Upload) -> None:
        try:
            found = self._judge(upload)
        except FileProblem as problem:
            found = Found(refusal=Refusal(code=problem.code, message=str(problem)))
        except BulkSenderError as refusal:
            found = Found(refusal=Refusal(code="refused", message=str(refusal)))
        except Exception as fault:  # noqa: BLE001  else it would be tried again and again
            _logger.error("the check of an upload failed (%s)", type(fault).__name__)  # noqa: TRY400  its text may quote a row
            found = Found(refusal=Refusal(code="broken", message=_BROKEN))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "found.json"
            path.write_bytes(found.model_dump_json().encode())
            self._around.storage.put(_found_key(upload.uid), path)
        with self._around.database.write() as session:
            uploads.let_go(session, upload.uid, by=self._name, checked_at=now())

    def _judge(self, upload: Upload) -> Found:
        with self._around.database.read() as session:
            definition = processes.definition_of(processes.live(session, upload.process_key))
        with self._around.storage.local(upload.upload_key) as path:
            checked = check(self._around, path, definition, file_name=upload.file_name)
        return _told(self._around, checked, definition, bad_key=self._keep_bad(upload, checked))

    def _keep_bad(self, upload: Upload, checked: Checked) -> str | None:
        if checked.found["counts"]["invalid"] == 0:
            return None
        suffix = "." + checked.table.layout.format
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"bad-rows{suffix}"
            write_bad(checked, path)
            return self._around.storage.put(f"{folder_of(upload.uid)}/bad-rows{suffix}", path)

    def _make(self, upload: Upload, name: str) -> None:
        refusal = None
        try:
            with self._around.storage.local(upload.upload_key) as path:
                acts.create(
                    self._around,
                    path,
                    process_key=upload.process_key,
                    sender=upload.owner,
                    name=name,
                    file_name=upload.file_name,
                    uid=upload.uid,
                    who=acts.Person(upload.owner, acts.SCREEN),
                )
        except BulkSenderError as fault:
            refusal = str(fault)
        with self._around.database.write() as session:
            uploads.let_go(session, upload.uid, by=self._name, refusal=refusal)
        if refusal is None:
            self._around.storage.remove(folder_of(upload.uid))

    @contextmanager
    def _holding(self, uid: str) -> Iterator[bool]:
        """Hold an upload against other processes, and say so again and again; false if another holds it."""
        done = threading.Event()

        def hold() -> bool:
            moment = now()
            with self._around.database.write() as session:
                return uploads.hold(session, uid, by=self._name, now=moment, until=moment + _HELD)

        def keep_hold() -> None:
            while not done.wait(_SAY_AGAIN_SECONDS):
                hold()

        if not hold():
            yield False
            return
        keeper = threading.Thread(target=keep_hold, daemon=True)
        keeper.start()
        try:
            yield True
        finally:
            done.set()
            keeper.join()
            with self._around.database.write() as session:
                uploads.let_go(session, uid, by=self._name)


def _found_key(uid: str) -> str:
    return f"{folder_of(uid)}/found.json"


def _told(around: Surroundings, checked: Checked, definition: ProcessDefinition, *, bad_key: str | None) -> Found:
    """The check as its page shows it."""
    recipients, problems = checked.judged.recipients, checked.judged.problems
    kept_out = pl.col("code") == SUPPRESSED.code
    by_severity = {
        severity: [
            OfKind(**kind)
            for kind in summarise(Judged(recipients, problems.filter(~kept_out, severity=severity.value)))["problems"]
        ]
        for severity in Severity
    }
    suppressed = problems.filter(kept_out)["row"].unique().sort()
    return Found(
        counts=Counted(**checked.found["counts"]),
        errors=by_severity[Severity.ERROR],
        warnings=by_severity[Severity.WARNING],
        same=next((kind["message"] for kind in checked.found["problems"] if kind["code"] == "same_content"), None),
        suppressed=suppressed.len(),
        suppressed_rows=suppressed.head(FIRST_ROWS).to_list(),
        notes=checked.found["notes"],
        bad=first_bad_rows(
            checked.table.rows, checked.judged, checked.columns, header=checked.table.layout.header, most=ROWS_SHOWN
        ),
        bad_key=bad_key,
        costs=costs(recipients, definition, link_length=around.links.length),
    )
