"""One batch: what was uploaded, what the check found, the decision; then how it is sent, what became of it, and who did what."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi import Path as InPath
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from sqlmodel import Session
from starlette.background import BackgroundTask

from console import charts
from console.pages import Pages, go
from console.receiving import NotTaken, Received, receive
from console.who import Signed, Who, reads_its_own_form, require_csrf, requires
from deployments import acts, audit, results
from deployments.standing import Paces, Standing, Standings, count
from deployments.surroundings import Surroundings
from deployments.views import doubts_view
from domain.annotation import CHANNELS, DELIVERIES
from domain.columns import notes, recognise
from domain.errors import BulkSenderError, FileProblem, Forbidden, NotAllowed, ServiceMissing
from domain.processes import ProcessDefinition
from domain.reconciliation import WORDS
from domain.rights import Right
from domain.rules import SUPPRESSED
from domain.states import AT_REST, REJECTABLE, Phase, RequestState, Status
from files.fetching import clean_name
from files.reading import Layout
from models import batches, history, processes, requests
from models.recipients import Counts
from models.tables import Batch, ProcessVersion

BatchId = Annotated[int, InPath(ge=1, le=2**31 - 1)]
Comment = Annotated[str, Form(max_length=2000)]
MOVING = frozenset({Phase.CHECKING, Phase.SENDING, Phase.SETTLING})
ACTS = {
    "create": "Created",
    "approve": "Approved",
    "reject": "Rejected",
    "archive": "Archived",
    "correct": "Corrected rows",
    "pause": "Paused",
    "resume": "Resumed",
    "settle": "Settled what was unresolved",
    "revoke links": "Revoked links",
    "expire links": "Changed when links expire",
    history.TRIED: "Sent a test message",
    history.LOOKED: "Looked at a recipient",
    history.DOWNLOADED: "Downloaded",
}
"""What the history says of an act."""
_PHASES = {
    Phase.CHECKING: ("Checking the file", "accent"),
    Phase.WAITING: ("Waiting for a decision", "warn"),
    Phase.SENDING: ("Sending", "accent"),
    Phase.PAUSED: ("Paused", "warn"),
    Phase.SETTLING: ("Looking up what is in doubt", "warn"),
    Phase.FINISHED: ("Finished", "good"),
    Phase.STOPPED: ("Stopped", "bad"),
    Phase.FAILED: ("The file cannot be used", "bad"),
}
_DELIVERY_LOOKS = {"delivered": "good", "waiting": "quiet", "silent": "quiet", "deferred": "warn"}
_CSRF_HEADER = "x-csrf-token"
_HISTORY = 200
_DOUBTS_SHOWN = 100
_ROWS_SHOWN = 12
_MOVING_SECONDS, _STANDING_SECONDS = 2, 5


@dataclass(frozen=True, slots=True)
class Head:
    """What stands above every page of a batch."""

    batch: Batch
    version: ProcessVersion
    saying: str
    tone: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the send has come; in the words of the page.

    Attributes:
        counts: of recipients.
        is_exact: whether they are of this moment.
        on_the_way: messages that had left when the batch was halted, and are not answered yet.
        parts: the same as a chart.
        moves: whether it moves by itself now.
        asks_every: seconds after which the page looks again; 0 where nothing can change any more.
        rate: recipients a second; None where that cannot be said yet.
        seconds_left: at that rate.
    """

    counts: Counts
    is_exact: bool
    on_the_way: int
    parts: list[charts.Part]
    moves: bool
    asks_every: int
    rate: float | None
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class May:
    """What this person may do with the batch now, and why not."""

    approve: bool
    why_not_approve: str | None
    reject: bool
    correct: bool
    why_not_correct: str | None
    pause: bool
    resume: bool
    archive: bool
    download: bool
    settle: bool
    revoke: bool


def head_of(session: Session, batch_id: int) -> Head:
    """What stands above every page of a batch.

    Raises:
        NotFound: there is none of that id.
    """
    batch = batches.by_id(session, batch_id)
    version = processes.version_by_id(session, batch.process_version_id)
    session.expunge(batch)  # a page is made of it after the transaction has ended
    session.expunge(version)
    saying, tone = _PHASES[Phase(batch.phase)]
    if is_about_to_go(batch):
        saying, tone = "About to be sent", "accent"
    return Head(batch, version, saying, tone)


def is_about_to_go(batch: Batch) -> bool:
    """Whether it is approved and its run was not woken yet."""
    return batch.phase == Phase.WAITING and batch.status == Status.APPROVED


def seen(batch: Batch) -> str:
    """All that decides what a page offers: a page that shows another one must be loaded again."""
    return f"{batch.phase}.{batch.status.lower().replace(' ', '-')}.{batch.revision}"


def routes(around: Surroundings, pages: Pages) -> APIRouter:
    """`/batches/{id}` and what belongs to it, but for its recipients and the decision itself."""
    router = APIRouter(prefix="/batches/{batch_id}", dependencies=[Depends(requires(around, Right.READ))])
    _add_pages(router, around, pages)
    _add_acts(router, around)
    _add_files(router, around)
    return router


def _add_pages(router: APIRouter, around: Surroundings, pages: Pages) -> None:
    standings, paces = Standings(around), Paces()

    @router.get("")
    def _overview(request: Request, batch_id: BatchId, who: Signed) -> HTMLResponse:
        with around.database.read() as session:
            head = head_of(session, batch_id)
            values = _check(head)
            progress = _progress(session, head, standings, paces)
            may = _may(session, around, who, head.batch)
            decided = history.newest(session, batch_id, limit=5, without=history.NO_DECISIONS)
            unresolved = progress.counts.unresolved
            session.expunge_all()
        is_sent = _is_sent(head.batch)
        standing = standings.of(batch_id, recipients=head.batch.valid) if is_sent else None
        return pages.show(
            request,
            "batch.html",
            who=who,
            head=head,
            tab="overview",
            progress=progress,
            may=may,
            acts=ACTS,
            decided=decided,
            unresolved=unresolved,
            seen=seen(head.batch),
            is_sent=is_sent,
            **values,
            **_standing(standing),
        )

    @router.get("/progress")
    def _moving(
        request: Request, batch_id: BatchId, who: Signed, was: Annotated[str, Query(max_length=100)] = ""
    ) -> Response:
        """The part that moves by itself; where the batch has come into another phase, the page is loaded again."""
        with around.database.read() as session:
            head = head_of(session, batch_id)
            if was != seen(head.batch):
                return Response(status_code=204, headers={"HX-Refresh": "true"})
            if not _is_sent(head.batch):
                return Response(status_code=204)
            progress = _progress(session, head, standings, paces)
        return pages.show(request, "_progress.html", who=who, head=head, progress=progress, seen=was)

    @router.get("/standing")
    def _stand(request: Request, batch_id: BatchId, who: Signed) -> Response:
        """The charts that are counted beside the pages."""
        with around.database.read() as session:
            head = head_of(session, batch_id)
        standing = standings.of(batch_id, recipients=head.batch.valid)
        return pages.show(request, "_standing.html", who=who, head=head, **_standing(standing))

    @router.get("/reconciliation")
    def _books(request: Request, batch_id: BatchId, who: Signed) -> HTMLResponse:
        with around.database.read() as session:
            head = head_of(session, batch_id)
        standing = standings.of(batch_id, recipients=head.batch.valid)
        return pages.show(
            request,
            "reconciliation.html",
            who=who,
            head=head,
            tab="reconciliation",
            words=WORDS,
            channels=CHANNELS,
            **_standing(standing),
        )

    @router.get("/history")
    def _history(request: Request, batch_id: BatchId, who: Signed) -> HTMLResponse:
        with around.database.read() as session:
            head = head_of(session, batch_id)
            decided = history.newest(session, batch_id, limit=_HISTORY, without=history.NO_DECISIONS)
            looked = history.newest(session, batch_id, limit=_HISTORY, only=history.NO_DECISIONS)
            return pages.show(
                request,
                "history.html",
                who=who,
                head=head,
                tab="history",
                decided=decided,
                looked=looked,
                acts=ACTS,
                most=_HISTORY,
            )

    @router.get("/unresolved")
    def _unresolved(request: Request, batch_id: BatchId, who: Signed) -> HTMLResponse:
        with around.database.read() as session:
            head = head_of(session, batch_id)
            number = {
                state: requests.how_many(session, batch_id, state)
                for state in (RequestState.UNRESOLVED, RequestState.IN_DOUBT)
            }
            doubts = [_read(one) for one in doubts_view(session, batch_id, most=_DOUBTS_SHOWN, rows_each=_ROWS_SHOWN)]
            may_settle = who.may(Right.DECIDE) and number[RequestState.UNRESOLVED] > 0
        return pages.show(
            request,
            "unresolved.html",
            who=who,
            head=head,
            tab="unresolved",
            doubts=doubts,
            unresolved=number[RequestState.UNRESOLVED],
            in_doubt=number[RequestState.IN_DOUBT],
            rows_shown=_ROWS_SHOWN,
            may_settle=may_settle,
            channels=CHANNELS,
        )


def _add_acts(router: APIRouter, around: Surroundings) -> None:  # noqa: C901  a list of routes
    @router.post("/settle", dependencies=[Depends(requires(around, Right.DECIDE))])
    def _settle(
        batch_id: BatchId,
        who: Signed,
        settled: Annotated[acts.Settled, Form(alias="as")],
        request_number: Annotated[list[int] | None, Form(alias="request")] = None,
        every: Annotated[bool, Form()] = False,
        comment: Comment = "",
    ) -> Response:
        if not request_number and not every:
            return go(
                f"/batches/{batch_id}/unresolved",
                say="Nothing was chosen. Tick the requests to decide about.",
                tone="bad",
            )

        def settle() -> str:
            number = acts.settle(
                around,
                batch_id,
                settled,
                numbers=[] if every else request_number or [],
                who=who.person(comment.strip()),
            )
            how = "counted as sent" if settled is acts.Settled.SENT else "sent once more"
            return f"{number:,} {'request is' if number == 1 else 'requests are'} {how}."

        return _acted(settle, then=f"/batches/{batch_id}/unresolved")

    @router.post("/pause", dependencies=[Depends(requires(around, Right.PAUSE))])
    def _pause(batch_id: BatchId, who: Signed, comment: Comment = "") -> Response:
        def pause() -> str:
            acts.pause(around, batch_id, who=who.person(comment.strip()))
            return f"Paused. {acts.how_far(around, batch_id)}."

        return _acted(pause, then=f"/batches/{batch_id}")

    @router.post("/resume", dependencies=[Depends(requires(around, Right.PAUSE))])
    def _resume(batch_id: BatchId, who: Signed, comment: Comment = "") -> Response:
        def resume() -> str:
            acts.resume(around, batch_id, who=who.person(comment.strip()))
            return "It goes on from where it was paused."

        return _acted(resume, then=f"/batches/{batch_id}")

    @router.post("/correct", dependencies=[Depends(requires(around, Right.CREATE))])
    @reads_its_own_form
    async def _correct(request: Request, batch_id: BatchId, who: Signed) -> Response:
        """Take in a file of corrected rows; what is wrong with it is said on the page."""
        then = f"/batches/{batch_id}"

        def may_come(fields: Mapping[str, str]) -> None:
            if _CSRF_HEADER not in request.headers:  # else it was checked before
                require_csrf(who, fields.get("csrf"))

        folder = Path(await run_in_threadpool(tempfile.mkdtemp, prefix="bulk-sender-correction-"))
        received = Received()
        most = around.settings.upload_megabytes * 1024 * 1024
        try:
            await receive(request, folder / "file", into=received, most_bytes=most, may_come=may_come)
            path = folder / clean_name(received.file_name)
            if path != folder / "file":
                (folder / "file").replace(path)
            changed = await run_in_threadpool(acts.correct, around, batch_id, path, who=who.person())
        except (NotTaken, FileProblem, NotAllowed, ServiceMissing) as refusal:
            return go(then, say=str(refusal), tone="bad")
        finally:
            await run_in_threadpool(shutil.rmtree, folder, ignore_errors=True)
        if not changed:
            return go(then, say="The batch has these rows already; nothing was changed.", tone="warn")
        rows = "1 row is" if changed == 1 else f"{changed:,} rows are"
        return go(then, say=f"{rows} corrected. The batch is checked again and then waits for approval again.")

    @router.post("/revoke-links", dependencies=[Depends(requires(around, Right.REVOKE))])
    def _revoke(batch_id: BatchId, who: Signed, comment: Comment = "") -> Response:
        def revoke() -> str:
            ended = acts.revoke_links(around, batch_id, None, who=who.person(comment.strip()))
            return "All links of this batch have ended." if ended else "They had ended before; nothing was changed."

        return _acted(revoke, then=f"/batches/{batch_id}")

    @router.post("/expire-links", dependencies=[Depends(requires(around, Right.REVOKE))])
    def _expire(batch_id: BatchId, who: Signed, last_day: Annotated[date, Form()]) -> Response:
        def expire() -> str:
            acts.expire_links(around, batch_id, last_day, who=who.person())
            return f"The links can be opened until the end of {last_day}, UTC."

        return _acted(expire, then=f"/batches/{batch_id}")


def _add_files(router: APIRouter, around: Surroundings) -> None:
    may_download = [Depends(requires(around, Right.DOWNLOAD))]

    @router.get("/reconciliation.json", dependencies=may_download)
    def _books_for_programs(batch_id: BatchId, who: Signed) -> JSONResponse:
        """Counted now, however long that takes."""
        books = count(around, batch_id).books
        audit.note(around, batch_id, who.person(), what="reconciliation", act=audit.DOWNLOADED)
        accounts = {channel: asdict(account) for channel, account in books.channels.items()}
        return JSONResponse(
            {"rows": books.rows, "balances": books.balances, "closed": books.is_closed, "channels": accounts},
            headers={"Content-Disposition": f'attachment; filename="batch-{batch_id}-reconciliation.json"'},
        )

    def download(batch_id: int, who: Who, what: str, write: Callable[[Path], tuple[Path, str]]) -> FileResponse:
        audit.note(around, batch_id, who.person(), what=what, act=audit.DOWNLOADED)
        folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        try:
            path, name = write(Path(folder.name))
        except BaseException:
            folder.cleanup()
            raise
        return FileResponse(
            path, filename=name, media_type="application/octet-stream", background=BackgroundTask(folder.cleanup)
        )

    @router.get("/original", dependencies=may_download)
    def _original(batch_id: BatchId, who: Signed) -> FileResponse:
        return download(batch_id, who, "uploaded file", lambda folder: results.original(around, batch_id, folder))

    @router.get("/result", dependencies=may_download)
    def _result(batch_id: BatchId, who: Signed) -> FileResponse:
        return download(batch_id, who, "result file", lambda folder: results.result(around, batch_id, folder))

    @router.get("/problems", dependencies=may_download)
    def _problems(batch_id: BatchId, who: Signed) -> FileResponse:
        return download(
            batch_id, who, "rows that cannot be sent", lambda folder: results.problems(around, batch_id, folder)
        )


def _acted(act: Callable[[], str], *, then: str) -> Response:
    """Do it, go back to the page, and say there what came of it."""
    try:
        said = act()
    except BulkSenderError as refusal:
        return go(then, say=str(refusal), tone="bad")
    return go(then, say=said)


def _is_sent(batch: Batch) -> bool:
    return batch.phase in {Phase.SENDING, Phase.PAUSED, Phase.SETTLING, Phase.FINISHED} or (
        batch.phase == Phase.STOPPED and batch.sent > 0
    )


def _progress(session: Session, head: Head, standings: Standings, paces: Paces) -> Progress:
    batch = head.batch
    channels = len(processes.definition_of(head.version).channels)
    found, is_exact = standings.counts_of(session, batch, channels=channels)
    is_halted = batch.phase in {Phase.PAUSED, Phase.STOPPED}
    on_the_way = requests.on_the_way(session, batches.id_of(batch)) if is_halted else 0
    moves = batch.phase in MOVING or is_about_to_go(batch) or on_the_way > 0
    done = found.valid - found.pending
    rate = paces.of(batches.id_of(batch), done=done) if batch.phase == Phase.SENDING else None
    waiting = "Stopped" if batch.phase == Phase.STOPPED else "Waiting"
    parts = charts.stacked(
        [
            ("Sent", found.sent, "good"),
            ("Not sent", found.failed, "bad"),
            ("In doubt", found.in_doubt, "warn"),
            ("Unresolved", found.unresolved, "accent"),
            (waiting, found.pending, "quiet"),
            ("Row not usable", found.invalid, "rest"),
        ]
    )
    others_act = batch.phase in {Phase.WAITING, Phase.PAUSED}
    asks_every = _MOVING_SECONDS if moves else _STANDING_SECONDS if others_act else 0
    return Progress(found, is_exact, on_the_way, parts, moves, asks_every, rate, found.pending / rate if rate else None)


def _may(session: Session, around: Surroundings, who: Who, batch: Batch) -> May:
    phase, status = Phase(batch.phase), Status(batch.status)
    is_open = batch.archived_at is None
    waits = is_open and phase is Phase.WAITING and status is Status.PENDING_APPROVAL

    def approvable() -> None:
        who.require(Right.DECIDE)
        batches.require_approvable(session, batch, by=who.email, four_eyes=around.settings.four_eyes)

    def correctable() -> None:
        who.require(Right.CREATE)
        batches.require_correctable(batch)

    approve, why_not_approve = _allowed(approvable)
    correct, why_not_correct = _allowed(correctable)
    return May(
        approve=waits and approve,
        why_not_approve=why_not_approve if waits else None,
        reject=is_open and who.may(Right.DECIDE) and phase in REJECTABLE and status is not Status.ADMIN_REJECTION,
        correct=waits and batch.invalid > 0 and correct,
        why_not_correct=why_not_correct if waits and batch.invalid > 0 else None,
        pause=who.may(Right.PAUSE) and phase is Phase.SENDING,
        resume=who.may(Right.PAUSE) and phase is Phase.PAUSED,
        archive=is_open and who.may(Right.ARCHIVE) and phase in AT_REST and not is_about_to_go(batch),
        download=who.may(Right.DOWNLOAD),
        settle=who.may(Right.DECIDE),
        revoke=who.may(Right.REVOKE) and phase in {Phase.SETTLING, Phase.FINISHED, Phase.STOPPED} and batch.sent > 0,
    )


def _allowed(ask: Callable[[], None]) -> tuple[bool, str | None]:
    try:
        ask()
    except (Forbidden, NotAllowed) as refusal:
        return False, str(refusal)
    return True, None


def _check(head: Head) -> dict[str, Any]:
    """What the check found, for the page: kinds of problems, those of suppressed people apart, and notes on the file."""
    kinds = head.batch.problems or []
    definition = processes.definition_of(head.version)
    layout = None if head.batch.layout is None else Layout.from_json(head.batch.layout)
    return {
        "kinds": [kind for kind in kinds if kind["code"] != SUPPRESSED.code],
        "suppressed": [kind for kind in kinds if kind["code"] == SUPPRESSED.code],
        "notes": [] if layout is None else _notes(layout, definition, head.batch.file_name),
        "layout": layout,
        "has_output": bool(definition.channels),
        "channels": CHANNELS,
    }


def _notes(layout: Layout, definition: ProcessDefinition, file_name: str) -> list[str]:
    try:
        columns = recognise(layout.header, definition, file_name=file_name)
    except FileProblem:  # it never became a batch that waits
        return []
    return notes(
        columns,
        header_row=layout.header_row,
        sheet=layout.sheet,
        other_sheets=layout.other_sheets,
        encoding=layout.older_encoding,
    )


def _standing(standing: Standing | None) -> dict[str, Any]:
    """The charts of what was counted, and when that was."""
    if standing is None:
        return {"standing": None, "deliveries": {}, "sends": None, "area": None}
    deliveries = {
        channel: charts.stacked(
            [
                (_DELIVERY_WORDS.get(name, name), number, _DELIVERY_LOOKS.get(name, "bad"))
                for name, number in sorted(found.items(), key=lambda one: _ORDER.get(one[0], 99))
            ]
        )
        for channel, found in standing.deliveries.items()
    }
    sends = standing.sends
    return {
        "standing": standing,
        "deliveries": {CHANNELS.get(channel, channel): parts for channel, parts in deliveries.items()},
        "sends": sends,
        "area": None if sends is None else charts.area(sends.numbers),
    }


_DELIVERY_WORDS = {**DELIVERIES, "waiting": "Waiting for a report"}
_ORDER = {
    name: place for place, name in enumerate(("delivered", "waiting", "deferred", "silent", "bounced", "undelivered"))
}


def _read(one: dict[str, Any]) -> dict[str, Any]:
    """A doubt with its times as times."""
    lookups = [{**read, "at": datetime.fromisoformat(read["at"])} for read in one["lookups"]]
    return {**one, "asked_at": datetime.fromisoformat(one["asked_at"]) if one["asked_at"] else None, "lookups": lookups}
