"""Create New Batch: choose a process, get its example file, upload a list, see what the check says of it, create."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi import Path as InPath
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, HTMLResponse
from starlette.background import BackgroundTask

from console.pages import Pages, go, leave_notice
from console.receiving import NotTaken, Received, receive
from console.who import Signed, Who, reads_its_own_form, require_csrf, requires
from deployments.surroundings import Surroundings
from deployments.uploads import Found, Uploads, incoming
from domain.errors import NotAllowed, NotFound
from domain.rights import Right
from files.examples import write_example_csv, write_example_xlsx
from models import batches, processes, uploads
from models.tables import Batch, ProcessVersion, Upload

CHECKED_AT_ONCE = 2
"""Files that a web process parses and judges at the same time; each may take 2 GiB."""
Uid = Annotated[str, InPath(pattern=r"^[0-9a-f]{32}$")]
Key = Annotated[str, Query(max_length=200)]
_CSRF_HEADER = "x-csrf-token"


@dataclass(frozen=True, slots=True)
class Choice:
    """What a batch can be made for, and what it cannot be made for yet."""

    live: tuple[ProcessVersion, ...]
    drafts: tuple[ProcessVersion, ...]
    chosen: ProcessVersion | None


def routes(around: Surroundings, pages: Pages) -> APIRouter:
    """`/batches/new` and what belongs to it."""
    router = APIRouter(prefix="/batches/new", dependencies=[Depends(requires(around, Right.CREATE))])
    room = _NewBatch(around, pages)
    router.get("")(room.choose)
    router.get("/example")(room.example)
    router.post("")(room.upload)
    router.get("/{uid}")(room.check)
    router.post("/{uid}")(room.create)
    router.get("/{uid}/bad-rows")(room.bad_rows)
    return router


class _NewBatch:
    """The steps, over one ledger."""

    def __init__(self, around: Surroundings, pages: Pages) -> None:
        self._around, self._pages = around, pages
        self._kept = Uploads(around, at_once=CHECKED_AT_ONCE)
        self._most_bytes = around.settings.upload_megabytes * 1024 * 1024

    def choose(self, request: Request, who: Signed, process: Key = "") -> HTMLResponse:
        """The first step: process and file."""
        return self._first_step(request, who, process)

    def _first_step(
        self, request: Request, who: Who, process: str, *, problem: str | None = None, status_code: int = 200
    ) -> HTMLResponse:
        return self._pages.show(
            request,
            "new_batch.html",
            who=who,
            status_code=status_code,
            choice=_choice(self._around, process),
            problem=problem,
            most_bytes=self._most_bytes,
        )

    def example(self, process: Key, format: Annotated[str, Query(pattern="^(xlsx|csv)$")] = "xlsx") -> FileResponse:  # noqa: A002  as the address calls it
        """The example file of a process."""
        with self._around.database.read() as session:
            version = processes.live(session, process)
            definition, number = processes.definition_of(version), version.version
        folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        path = Path(folder.name) / f"example.{format}"
        if format == "csv":
            write_example_csv(definition, path)
        else:
            write_example_xlsx(definition, number, path)
        return FileResponse(path, filename=f"{process}.{format}", background=BackgroundTask(folder.cleanup))

    @reads_its_own_form
    async def upload(self, request: Request, who: Signed) -> Response:
        """Take a file in; htmx is told where to go on, and shows in its place why a file was not taken."""

        def may_come(fields: Mapping[str, str]) -> None:
            if _CSRF_HEADER not in request.headers:  # else it was checked before
                require_csrf(who, fields.get("csrf"))

        is_part = "hx-request" in request.headers
        folder = await run_in_threadpool(_new_folder, self._around)
        received = Received()
        try:
            await receive(request, folder / "file", into=received, most_bytes=self._most_bytes, may_come=may_come)
            uid = await run_in_threadpool(self._keep, folder / "file", received, owner=who.email)
        except (NotTaken, NotFound, NotAllowed) as refusal:
            status = refusal.status if isinstance(refusal, NotTaken) else 409
            process = received.fields.get("process", "")
            return await run_in_threadpool(
                self._first_step, request, who, process, problem=str(refusal), status_code=200 if is_part else status
            )
        finally:
            await run_in_threadpool(shutil.rmtree, folder, ignore_errors=True)
        if is_part:
            return Response(status_code=204, headers={"HX-Redirect": f"/batches/new/{uid}"})
        return go(f"/batches/new/{uid}")

    def _keep(self, path: Path, received: Received, *, owner: str) -> str:
        return self._kept.keep(
            path,
            owner=owner,
            process_key=received.fields.get("process", ""),
            file_name=_called(received.fields.get("file_name", ""), received.file_name),
        )

    def check(self, request: Request, who: Signed, uid: Uid) -> Response:
        """The second step: what the check says, and the batch's name; or that either is still under way."""
        is_part = "hx-request" in request.headers
        at = self._stand(uid, owner=who.email)
        if isinstance(at, Batch):
            return _made(at, is_part=is_part)
        if at.is_under_way:
            self._kept.see_to(uid)
        return self._pages.show(
            request,
            "_checked.html" if is_part else "checked.html",
            who=who,
            at=at,
            choice=_choice(self._around, at.upload.process_key),
            problem=None,
            most_bytes=self._most_bytes,
        )

    def create(
        self,
        who: Signed,
        uid: Uid,
        name: Annotated[str, Form(max_length=200)] = "",
        again: Annotated[str, Form(max_length=10)] = "",
    ) -> Response:
        """Let the batch be made; once, however often this is posted."""
        at = self._stand(uid, owner=who.email)
        if isinstance(at, Batch):
            return _made(at, is_part=False)
        if at.can_be_made:
            if at.was_there_before and not again:
                say = "Nothing was created: the same list was uploaded before. Tick that you want it once more."
                return go(f"/batches/new/{uid}", say=say, tone="warn")
            self._kept.want_batch(uid, owner=who.email, name=name)
        return go(f"/batches/new/{uid}")

    def bad_rows(self, who: Signed, uid: Uid) -> FileResponse:
        """All rows that cannot be sent, as the file has them, with what is wrong."""
        at = self._stand(uid, owner=who.email)
        if isinstance(at, Batch) or at.found is None or at.found.bad_key is None:
            raise NotFound("That file has no bad rows to download. Go back to its check.")
        suffix = PurePosixPath(at.found.bad_key).suffix
        folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        path = Path(folder.name) / f"bad-rows{suffix}"
        with self._around.storage.local(at.found.bad_key) as kept:
            shutil.copyfile(kept, path)
        return FileResponse(path, filename=f"{at.stem}-problems{suffix}", background=BackgroundTask(folder.cleanup))

    def _stand(self, uid: str, *, owner: str) -> Batch | Stand:
        """How far an upload has come; the batch where one was made of it."""
        with self._around.database.read() as session:
            made = batches.by_uid(session, uid)
            if made is not None and made.sender == owner:
                session.expunge(made)
                return made
            upload = uploads.of(session, uid, owner=owner)
            earlier = batches.same_file(session, upload.process_key, upload.file_sha256)
            session.expunge_all()
        return Stand(upload, self._kept.found(upload), tuple(earlier))


@dataclass(frozen=True, slots=True)
class Stand:
    """How far an upload has come.

    Attributes:
        upload: what it is.
        found: what its check found; None while that is not done.
        earlier: batches of the same file.
    """

    upload: Upload
    found: Found | None
    earlier: tuple[Batch, ...]

    @property
    def is_being_made(self) -> bool:
        """Whether somebody wants the batch, and nothing stood against it so far."""
        return self.upload.name is not None and self.upload.refusal is None

    @property
    def is_under_way(self) -> bool:
        """Whether there is something to wait for."""
        return self.found is None or self.is_being_made

    @property
    def can_be_made(self) -> bool:
        """Whether the file can be used."""
        return self.found is not None and self.found.refusal is None

    @property
    def was_there_before(self) -> bool:
        """Whether the same list was uploaded before."""
        return bool(self.earlier) or (self.found is not None and self.found.same is not None)

    @property
    def stem(self) -> str:
        """The file's name without its ending."""
        return PurePosixPath(self.upload.file_name).stem


def _made(batch: Batch, *, is_part: bool) -> Response:
    """On to what was made: from the page that waits for it to the list, from anywhere else to its own page."""
    if not is_part:
        return go(f"/batches/{batch.id}", say=f"{batch.name} was created from this upload.")
    answer = Response(status_code=204, headers={"HX-Redirect": "/"})
    leave_notice(answer, f"{batch.name} was created. It is checked once more, then it waits for approval.")
    return answer


def _choice(around: Surroundings, key: str) -> Choice:
    with around.database.read() as session:
        found = sorted(processes.newest_versions(session), key=lambda version: version.name.casefold())
        session.expunge_all()
    live = tuple(version for version in found if version.deployed_at is not None)
    drafts = tuple(version for version in found if version.deployed_at is None)
    chosen = next((version for version in live if version.key == key), live[0] if len(live) == 1 else None)
    return Choice(live, drafts, chosen)


def _called(wanted: str, file_name: str) -> str:
    """What somebody calls their file; with the ending that it came with."""
    wanted, suffix = wanted.strip(), PurePosixPath(file_name).suffix
    if not wanted:
        return file_name
    return wanted if PurePosixPath(wanted).suffix.lower() == suffix.lower() else wanted + suffix


def _new_folder(around: Surroundings) -> Path:
    parent = incoming(around)
    parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=parent))
