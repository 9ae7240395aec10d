"""The batches list: what is shown, in which order, and what may be done with each; its parts that move by themselves."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi import Path as InPath
from fastapi.responses import FileResponse, HTMLResponse
from sqlmodel import Session
from starlette.background import BackgroundTask

from console.pages import Pages
from console.who import Signed, Who, requires
from deployments import audit
from deployments.results import original_or_result
from deployments.surroundings import Surroundings
from domain.errors import Forbidden, NotAllowed
from domain.rights import Right
from domain.states import AT_REST, REJECTABLE, Phase, Status
from models import batches, requests
from models.batches import ARCHIVED, SORTS
from models.tables import Batch, ProcessVersion

ROWS_PER_PAGE = 50
USUAL = (Status.APPROVED.value, Status.PENDING_APPROVAL.value, Status.ADMIN_REJECTION.value)
EVERY = (*USUAL, ARCHIVED)
COLUMNS = {
    "name": "Batch Name",
    "process": "Process",
    "sender": "Sender Email",
    "created": "Created",
    "sent": "X/Y Sent",
    "status": "Status",
}
MOVING = frozenset({Phase.CHECKING, Phase.SENDING, Phase.SETTLING})
"""In these a batch moves by itself; so it does once it is approved and waits for its run."""
_MOST_PAGES = 1_000_000
BatchId = Annotated[int, InPath(ge=1, le=2**31 - 1)]


@dataclass(frozen=True, slots=True)
class View:
    """What somebody wants to see of the list; all of it stands in the address."""

    statuses: tuple[str, ...] = USUAL
    search: str = ""
    sort: str = "created"
    descending: bool = True
    page: int = 1

    def address(self, *, sort: str | None = None, page: int = 1) -> str:
        """The list with another order or page; what is usual is left out."""
        parts: list[tuple[str, str]] = []
        if set(self.statuses) != set(USUAL):
            parts += [("status", status) for status in self.statuses] or [("status", "")]
        if self.search:
            parts.append(("search", self.search))
        order, descending = self.sort, self.descending
        if sort is not None:
            descending = not self.descending if sort == self.sort else sort == "created"
            order = sort
        if (order, descending) != ("created", True):
            parts += [("sort", order), ("order", "desc" if descending else "asc")]
        if page > 1:
            parts.append(("page", str(page)))
        return "/?" + urlencode(parts) if parts else "/"

    @property
    def is_filtered(self) -> bool:
        """Whether less than usual may be shown."""
        return bool(self.search) or not set(USUAL) <= set(self.statuses)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list.

    Attributes:
        batch, version: what it is about.
        saying: how far it is in words, where its status does not say it.
        tone: how that looks.
        moves: whether it moves by itself now.
        approvable: whether this person may approve it now.
        why_not: why they may not, where they could otherwise expect to.
        rejectable, archivable, downloadable: what else they may do.
    """

    batch: Batch
    version: ProcessVersion
    saying: str | None
    tone: str
    moves: bool
    approvable: bool
    why_not: str | None
    rejectable: bool
    archivable: bool
    downloadable: bool

    @property
    def state(self) -> str:
        """Where it stands: what may be done with it changes only if this does."""
        return f"{self.batch.phase}-{self.batch.status.lower().replace(' ', '-')}"


def routes(around: Surroundings, pages: Pages) -> APIRouter:
    """`/`, the polled part of it, and `/batches/{id}/download`."""
    router = APIRouter(dependencies=[Depends(requires(around, Right.READ))])

    @router.get("/")
    def _list(
        request: Request,
        who: Signed,
        status: Annotated[list[str] | None, Query()] = None,
        search: Annotated[str, Query(max_length=200)] = "",
        sort: str = "created",
        order: str | None = None,
        page: Annotated[int, Query(ge=1, le=_MOST_PAGES)] = 1,
    ) -> HTMLResponse:
        view = _view(status, search, sort, order, page)
        with around.database.read() as session:
            number = batches.how_many(session, statuses=view.statuses, search=view.search)
            last = max(1, -(-number // ROWS_PER_PAGE))
            if view.page > last:
                view = _view(status, search, sort, order, last)
            found = batches.matching(
                session,
                statuses=view.statuses,
                search=view.search,
                sort=view.sort,
                descending=view.descending,
                limit=ROWS_PER_PAGE,
                offset=(view.page - 1) * ROWS_PER_PAGE,
            )
            rows = _rows(
                session, around, who, found, requests.with_unresolved(session, [batches.id_of(one) for one, _ in found])
            )
            here = view.address(page=view.page)
            has_any = bool(number) or batches.how_many(session, statuses=EVERY) > 0
            return pages.show(
                request,
                "batches.html",
                who=who,
                view=view,
                rows=rows,
                number=number,
                last_page=last,
                first=(view.page - 1) * ROWS_PER_PAGE + 1,
                has_any=has_any,
                columns=COLUMNS,
                every=EVERY,
                here=here,
                headers={"HX-Push-Url": here},
            )

    @router.get("/batches/moving")
    def _moving(
        request: Request,
        who: Signed,
        seen: Annotated[str, Query(pattern=r"^(\d{1,9}\.[a-z-]{1,40})?(,\d{1,9}\.[a-z-]{1,40}){0,100}$")] = "",
        here: Annotated[str, Query(max_length=2000)] = "/",
    ) -> Response:
        """The cells of what moves; those of the acts only where the batch has come into another phase."""
        known = dict(one.split(".", 1) for one in seen.split(",") if one)
        with around.database.read() as session:
            found = batches.some(session, [int(batch_id) for batch_id in known])
            rows = _rows(
                session, around, who, found, requests.with_unresolved(session, [int(batch_id) for batch_id in known])
            )
            return pages.show(request, "_moving.html", who=who, rows=rows, known=known, here=here)

    @router.get("/batches/{batch_id}/download", dependencies=[Depends(requires(around, Right.DOWNLOAD))])
    def _download(batch_id: BatchId, who: Signed) -> FileResponse:
        """The uploaded file; from the approval on, the same with what became of each row."""
        audit.note(around, batch_id, who.person(), what="file, from the list", act=audit.DOWNLOADED)
        folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        try:
            path, name = original_or_result(around, batch_id, Path(folder.name))
        except BaseException:
            folder.cleanup()
            raise
        return FileResponse(
            path, filename=name, media_type="application/octet-stream", background=BackgroundTask(folder.cleanup)
        )

    return router


def _view(status: Sequence[str] | None, search: str, sort: str, order: str | None, page: int) -> View:
    """What the address asks for; what it says wrongly is as usual."""
    statuses = USUAL if status is None else tuple(one for one in EVERY if one in status)
    known = sort if sort in SORTS else "created"
    descending = order == "desc" if order in {"asc", "desc"} else known == "created"
    return View(statuses, search.strip(), known, descending, page)


def _rows(
    session: Session,
    around: Surroundings,
    who: Who,
    found: Sequence[tuple[Batch, ProcessVersion]],
    unresolved: Mapping[int, int],
) -> list[Row]:
    return [
        _row(session, around, who, batch, version, unresolved.get(batches.id_of(batch), 0)) for batch, version in found
    ]


def _row(
    session: Session, around: Surroundings, who: Who, batch: Batch, version: ProcessVersion, unresolved: int
) -> Row:
    phase, status = Phase(batch.phase), Status(batch.status)
    about_to_go = phase is Phase.WAITING and status is Status.APPROVED
    saying, tone = _saying(batch, unresolved)
    approvable, why_not = False, None
    is_open = batch.archived_at is None
    if is_open and status is Status.PENDING_APPROVAL and phase is Phase.WAITING:
        try:
            who.require(Right.DECIDE)
            batches.require_approvable(session, batch, by=who.email, four_eyes=around.settings.four_eyes)
            approvable = True
        except (Forbidden, NotAllowed) as refusal:
            why_not = str(refusal)
    return Row(
        batch,
        version,
        saying=saying,
        tone=tone,
        moves=is_open and (phase in MOVING or about_to_go),
        approvable=approvable,
        why_not=why_not,
        rejectable=is_open and who.may(Right.DECIDE) and phase in REJECTABLE and status is not Status.ADMIN_REJECTION,
        archivable=is_open and who.may(Right.ARCHIVE) and phase in AT_REST and not about_to_go,
        downloadable=who.may(Right.DOWNLOAD),
    )


_SAYING = {
    Phase.CHECKING: ("Checking the file", "accent"),
    Phase.SENDING: ("Sending", "accent"),
    Phase.PAUSED: ("Paused", "warn"),
    Phase.SETTLING: ("Some in doubt", "warn"),
    Phase.FINISHED: ("Done", "good"),
    Phase.FAILED: ("The file cannot be used", "bad"),
}


def _saying(batch: Batch, unresolved: int) -> tuple[str | None, str]:
    """How far a batch is, in words and how they look."""
    match Phase(batch.phase):
        case Phase.WAITING:
            return _waiting(batch)
        case Phase.STOPPED:
            return (f"Stopped after {batch.sent:,}" if batch.sent else None), "quiet"
        case Phase.FINISHED if unresolved:
            return "Some unresolved", "bad"
        case phase:
            return _SAYING[phase]


def _waiting(batch: Batch) -> tuple[str | None, str]:
    if batch.status == Status.APPROVED:
        return "About to be sent", "accent"
    if batch.valid == 0:
        return "No row can be sent", "bad"
    return (f"{batch.invalid:,} of {batch.row_count:,} rows cannot be sent" if batch.invalid else None), "quiet"
