"""The recipients of a batch: a table of all, one of them whole, what they read, and a test of it to oneself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi import Path as InPath
from fastapi.responses import HTMLResponse

from console.batch import BatchId, head_of
from console.pages import Pages, go
from console.who import Signed, Who, requires
from deployments import acts, audit, links, recipient_views, trying
from deployments.previews import previews
from deployments.surroundings import Surroundings
from domain.annotation import CHANNELS
from domain.errors import BulkSenderError, NotFound
from domain.rights import Right
from domain.splitting import EMAIL, SMS
from models import batches
from models.recipient_pages import Filter

Row = Annotated[int, InPath(ge=1, le=2**31 - 1)]
Search = Annotated[str, Query(max_length=200)]
FILTERS = {
    Filter.ALL: "All",
    Filter.SENT: "Sent",
    Filter.WAITING: "Waiting",
    Filter.NOT_SENT: "Not sent",
    Filter.IN_DOUBT: "In doubt",
    Filter.UNRESOLVED: "Unresolved",
    Filter.RETURNED: "Sent, not delivered",
    Filter.BAD: "Row not usable",
}
TONES: Mapping[str, str] = {
    "Sent": "good",
    "Ready": "good",
    "Not sent": "bad",
    "Problem": "bad",
    "Held": "warn",
    "In doubt": "warn",
    "Unresolved": "bad",
    "Waiting": "accent",
    "Stopped": "warn",
    "Delivered": "good",
    "Bounced": "bad",
    "Undelivered": "bad",
    "Dropped": "bad",
    "Failed": "bad",
    "Opted out": "warn",
    "Delayed": "warn",
}
"""How a status or a delivery looks."""
_WITH_FRAME = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_IN_FRAME = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
"""A template of a process and the values of a stranger's file: nothing in it runs, and nothing is fetched for it."""
_FORM_ONLY = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"


def routes(around: Surroundings, pages: Pages) -> APIRouter:  # noqa: C901  a list of routes
    """`/batches/{id}/recipients` and each of them, `/batches/{id}/messages`."""
    router = APIRouter(prefix="/batches/{batch_id}", dependencies=[Depends(requires(around, Right.READ))])

    @router.get("/recipients")
    def _table(
        request: Request,
        batch_id: BatchId,
        who: Signed,
        status: Filter = Filter.ALL,
        q: Search = "",
        after: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    ) -> HTMLResponse:
        with around.database.read() as session:
            head = head_of(session, batch_id)
        found = recipient_views.page(around, batch_id, status, after=after, search=q)
        usual = {"status": status.value} if status is not Filter.ALL and not q else {}
        usual |= {"q": q} if q else {}
        further = None if found.next_after is None else "?" + urlencode({**usual, "after": found.next_after})
        return pages.show(
            request,
            "recipients.html",
            who=who,
            head=head,
            tab="recipients",
            page=found,
            further=further,
            first="?" + urlencode(usual) if usual else "",
            filters={one.value: label for one, label in FILTERS.items()},
            status=status.value,
            q=q,
            after=after,
            tones=TONES,
        )

    def look(batch_id: int, row: int, who: Who) -> None:
        audit.note(around, batch_id, who.person(), what=f"row {row}", act=audit.LOOKED)

    @router.get("/recipients/{row}")
    def _one(request: Request, batch_id: BatchId, row: Row, who: Signed) -> HTMLResponse:
        with around.database.read() as session:
            head = head_of(session, batch_id)
        found = recipient_views.whole(around, batch_id, row)
        look(batch_id, row, who)
        return pages.show(
            request,
            "recipient.html",
            who=who,
            head=head,
            tab="recipients",
            one=found,
            previews=previews(around, batch_id, row),
            tones=TONES,
            channels=CHANNELS,
            may_try=who.may(Right.CREATE),
            may_revoke=who.may(Right.REVOKE),
            headers={"Content-Security-Policy": _WITH_FRAME},
        )

    @router.get("/messages")
    def _messages(request: Request, batch_id: BatchId, who: Signed, q: Search = "") -> Response:
        """The messages of whoever is looked for; of the first recipient where nobody is."""
        row = _wanted(around, batch_id, q)
        if request.headers.get("hx-request") != "true":
            if row is None:
                return go(f"/batches/{batch_id}", say=_NOBODY, tone="bad")
            return go(f"/batches/{batch_id}/recipients/{row}")
        if row is None:
            return pages.show(request, "_nobody.html", who=who, message=_NOBODY)
        look(batch_id, row, who)
        with around.database.read() as session:
            head = head_of(session, batch_id)
        return pages.show(
            request,
            "_messages.html",
            who=who,
            head=head,
            previews=previews(around, batch_id, row),
            may_try=who.may(Right.CREATE),
            in_part=True,
        )

    @router.get("/recipients/{row}/email")
    def _html(batch_id: BatchId, row: Row, who: Signed) -> HTMLResponse:
        """The HTML part alone, for a frame in which nothing can run."""
        email = previews(around, batch_id, row).email
        if email is None or email.html is None:
            raise NotFound(f"Row {row} of batch {batch_id} gets no email with an HTML part.")
        look(batch_id, row, who)
        return HTMLResponse(email.html, headers={"Content-Security-Policy": _IN_FRAME, "X-Frame-Options": "SAMEORIGIN"})

    @router.get("/recipients/{row}/form")
    def _form(request: Request, batch_id: BatchId, row: Row, who: Signed) -> HTMLResponse:
        """What the link shows, read only; it counts as nothing."""
        form = links.form_of(around, batch_id, row)
        look(batch_id, row, who)
        return pages.show(
            request,
            "form_preview.html",
            who=who,
            form=form,
            batch_id=batch_id,
            row=row,
            process=form.process,
            lang=form.lang,
            right_to_left=form.right_to_left,
            address=None,
            headers={"Content-Security-Policy": _FORM_ONLY},
        )

    @router.post("/recipients/{row}/revoke", dependencies=[Depends(requires(around, Right.REVOKE))])
    def _revoke(batch_id: BatchId, row: Row, who: Signed) -> Response:
        then = f"/batches/{batch_id}/recipients/{row}"
        try:
            ended = acts.revoke_links(around, batch_id, [row], who=who.person())
        except BulkSenderError as refusal:
            return go(then, say=str(refusal), tone="bad")
        return go(then, say="The link has ended." if ended else "The link had ended before; nothing was changed.")

    @router.post("/recipients/{row}/test", dependencies=[Depends(requires(around, Right.CREATE))])
    def _test(
        batch_id: BatchId,
        row: Row,
        who: Signed,
        channel: Annotated[str, Form(pattern=f"^({EMAIL}|{SMS})$")],
        phone: Annotated[str, Form(max_length=60)] = "",
    ) -> Response:
        then = f"/batches/{batch_id}/recipients/{row}"
        try:
            address = who.email if channel == EMAIL else trying.phone_for(around, batch_id, phone)
            said = trying.send_test(around, batch_id, row, channel=channel, address=address, who=who.person())
        except BulkSenderError as refusal:
            return go(then, say=str(refusal), tone="bad")
        return go(then, say=said)

    return router


_NOBODY = "No recipient was found. Give the number of a row, or a part of an email address or phone number."


def _wanted(around: Surroundings, batch_id: int, search: str) -> int | None:
    """The row that somebody looks for; the first that can be sent where they look for none."""
    if not search.strip():
        return recipient_views.first_valid_row(around, batch_id)
    with around.database.read() as session:
        batch = batches.by_id(session, batch_id)
        return next(iter(recipient_views.found_rows(around, session, batch, search, limit=1)), None)
