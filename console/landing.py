"""Where personal links lead: the process's form filled in for one person, or on to the process's own platform.

Recipients see these pages and no others: nobody signs in here, and nothing of the operators' screen shows.
Whatever the reason is for which a link cannot be opened, the answer is the same to the byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from fastapi import APIRouter, BackgroundTasks, Depends, Request, Response
from fastapi.responses import RedirectResponse

from console.pages import Pages
from deployments import links
from deployments.links import Form, Mark, Sent, Standing, Tried, Visitor
from deployments.surroundings import Surroundings
from domain.link_life import FACTOR_GOOD_FOR
from domain.links import PATH

FIELD = "item."
"""Before a data item's name, which cannot have a point itself."""
FACTOR = "factor"
COOKIE = "bulk-sender-pass"
MOST_BYTES = 512 * 1024
_NOT_THERE, _TOO_LARGE, _TO_CORRECT, _WAIT = 404, 413, 422, 429
_WRONG = "That is not what we have. Check it and try again."
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "form-action 'self'{platform}; base-uri 'none'; frame-ancestors 'none'"
)


async def _entered(request: Request) -> Mapping[str, str] | None:
    """The fields of a form, of each the last; None where there is more than any form holds."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            return None
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=10_000))
    except ValueError:
        return {}


Entered: TypeAlias = Annotated[Mapping[str, str] | None, Depends(_entered)]


def routes(around: Surroundings, pages: Pages) -> APIRouter:
    """The pages behind personal links."""
    landing = _Landing(around, pages)
    router = APIRouter(prefix=PATH.rstrip("/"), include_in_schema=False)
    router.add_api_route("/{token}", landing.show, methods=["GET", "HEAD"], response_model=None)
    router.add_api_route("/{token}", landing.send, methods=["POST"], response_model=None)
    router.add_api_route("/{token}/factor", landing.back, methods=["GET", "HEAD"], response_model=None)
    router.add_api_route("/{token}/factor", landing.try_factor, methods=["POST"], response_model=None)
    router.add_api_route("/{token}/opened", landing.opened, methods=["POST"], response_model=None)
    router.add_api_route("/{token}/started", landing.started, methods=["POST"], response_model=None)
    router.add_api_route("/{rest:path}", landing.closed, methods=["GET", "HEAD", "POST"], response_model=None)
    return router


class _Landing:
    """The routes, over one ledger."""

    def __init__(self, around: Surroundings, pages: Pages) -> None:
        """Keep both."""
        self._around = around
        self._pages = pages

    def show(self, request: Request, token: str, later: BackgroundTasks) -> Response:
        """The form, the question for the second factor, or the way on; nothing is changed by looking."""
        visitor = self._visitor(request, token, later)
        if visitor.standing is not Standing.OPEN:
            return self._refused(request, visitor)
        if self._needs_factor(request, visitor):
            return self._ask_factor(request, token, visitor)
        if (address := links.hand_over_address(self._around, visitor)) is not None:
            return RedirectResponse(address, status_code=303)
        return self._show_form(request, token, links.form_for(self._around, visitor))

    def send(self, request: Request, token: str, entered: Entered, later: BackgroundTasks) -> Response:
        """Keep what somebody sent, once; a second time is thanked like the first."""
        visitor = self._visitor(request, token, later)
        has_own_platform = visitor.definition is not None and visitor.definition.start_url is not None
        if visitor.standing is Standing.CLOSED or has_own_platform:
            return self._refused(request, visitor)
        if self._needs_factor(request, visitor):
            is_open = visitor.standing is Standing.OPEN
            return self._ask_factor(request, token, visitor) if is_open else self.closed(request)
        return self._keep(request, token, visitor, entered)

    def _keep(self, request: Request, token: str, visitor: Visitor, entered: Mapping[str, str] | None) -> Response:
        if entered is None:
            return self._page(request, "link_too_long.html", status_code=_TOO_LARGE)
        values = {name.removeprefix(FIELD): text for name, text in entered.items() if name.startswith(FIELD)}
        sent, answers = links.submit(self._around, visitor, values)
        if sent is Sent.CLOSED:
            return self.closed(request)
        if answers is not None:
            form = links.again(visitor, values, answers)
            return self._show_form(request, token, form, status_code=_TO_CORRECT)
        return self._page(request, "link_thanks.html", **_speaking(visitor))

    def try_factor(self, request: Request, token: str, entered: Entered, later: BackgroundTasks) -> Response:
        """Let somebody on who knows the second factor, for a while and in this browser."""
        visitor = self._visitor(request, token, later)
        if visitor.standing is not Standing.OPEN:
            return self._refused(request, visitor)
        if not links.needs_factor(self._around, visitor, None):
            return _to(token)
        match links.try_factor(self._around, visitor, (entered or {}).get(FACTOR, "")):
            case Tried.RIGHT:
                response = _to(token)
                response.set_cookie(
                    COOKIE,
                    links.pass_for(self._around, visitor),
                    path=PATH + token,
                    max_age=int(FACTOR_GOOD_FOR.total_seconds()),
                    httponly=True,
                    samesite="lax",
                    secure=self._around.settings.is_https,
                )
                return response
            case Tried.WRONG:
                return self._ask_factor(request, token, visitor, problem=_WRONG, status_code=_TO_CORRECT)
            case Tried.LOCKED:
                return self._page(request, "link_locked.html", status_code=_WAIT, **_speaking(visitor))

    def back(self, token: str) -> Response:
        """Somebody loads the answer to their second factor again."""
        return _to(token)

    def opened(self, request: Request, token: str) -> Response:
        """A person is there; whoever asks learns nothing."""
        links.note(self._around, token, Mark.OPENED, user_agent=request.headers.get("user-agent"))
        return Response(status_code=204)

    def started(self, request: Request, token: str) -> Response:
        """They changed something."""
        links.note(self._around, token, Mark.STARTED, user_agent=request.headers.get("user-agent"))
        return Response(status_code=204)

    def closed(self, request: Request) -> Response:
        """What whoever cannot go on sees, whatever the reason is."""
        return self._page(request, "link_closed.html", status_code=_NOT_THERE)

    def _visitor(self, request: Request, token: str, later: BackgroundTasks) -> Visitor:
        visitor = links.look(self._around, token)
        if visitor.is_nobody:  # counted after the answer has left, so that it takes no longer than others
            later.add_task(links.note_wrong_token, self._around, _address(request))
        return visitor

    def _needs_factor(self, request: Request, visitor: Visitor) -> bool:
        return links.needs_factor(self._around, visitor, request.cookies.get(COOKIE))

    def _refused(self, request: Request, visitor: Visitor) -> Response:
        """Asked of all who are refused, so that it takes as long for each; whoever has a real link never waits."""
        waits = links.must_wait(self._around, _address(request))
        return (
            self._page(request, "link_wait.html", status_code=_WAIT)
            if waits and visitor.is_nobody
            else self.closed(request)
        )

    def _show_form(self, request: Request, token: str, form: Form, *, status_code: int = 200) -> Response:
        return self._page(
            request,
            "link_form.html",
            status_code=status_code,
            form=form,
            address=PATH + token,
            process=form.process,
            lang=form.lang,
            right_to_left=form.right_to_left,
        )

    def _ask_factor(
        self, request: Request, token: str, visitor: Visitor, *, problem: str | None = None, status_code: int = 200
    ) -> Response:
        if links.is_locked(visitor):
            return self._page(request, "link_locked.html", status_code=_WAIT, **_speaking(visitor))
        return self._page(
            request,
            "link_factor.html",
            status_code=status_code,
            field=links.factor_field(visitor, problem=problem),
            address=PATH + token,
            **_speaking(visitor),
        )

    def _page(self, request: Request, template: str, *, status_code: int = 200, **values: Any) -> Response:  # noqa: ANN401  whatever the template speaks of
        # A browser asks the policy of the page with the form about every address that it is sent on to.
        platform = values.pop("platform", None)
        policy = _POLICY.format(platform=f" {platform}" if platform else "")
        usual = {"process": None, "lang": None, "right_to_left": False, "address": None}
        return self._pages.show(
            request,
            template,
            status_code=status_code,
            headers={"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"},
            **{**usual, **values},
        )


def _speaking(visitor: Visitor) -> dict[str, Any]:
    """In what words and direction a page of the process speaks, and where its forms may lead."""
    definition = visitor.definition
    if definition is None:
        return {}
    start = urlsplit(definition.start_url or "")
    return {
        "process": definition.name,
        "lang": definition.lang,
        "right_to_left": definition.right_to_left,
        "platform": f"{start.scheme}://{start.netloc}" if start.netloc else None,
    }


def _to(token: str) -> RedirectResponse:
    return RedirectResponse(PATH + token, status_code=303)


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
