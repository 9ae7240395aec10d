"""Who is signed in, what they may do, and that a form really comes from a page of ours: asked once for each request.

    app.include_router(routes(around, pages), dependencies=behind_the_door(around))

lets a router's routes answer signed-in people only, and refuses every post without the right token. A route takes
`who: Signed`, and asks for a right by `dependencies=[Depends(requires(around, Right.CREATE))]`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, cast
from urllib.parse import quote, urlsplit

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import RedirectResponse

from deployments import accounts
from deployments.acts import SCREEN, Person
from deployments.surroundings import Surroundings
from domain.errors import Forbidden
from domain.proofs import is_same, keyed
from domain.rights import Right, Role, may, without_right
from settings import Settings

_FIELD, _HEADER = "csrf", "x-csrf-token"
_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})
_BEARER = "bearer "
_HERE = frozenset({"same-origin", "none"})
_STALE = "This page is not up to date: somebody signed in or out since. Load it again, then repeat what you did."
_ELSEWHERE = "That came from another site, so nothing was done. Open the page here and repeat it."
Route = TypeVar("Route", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody who showed who they are, for the length of one request."""

    email: str
    role: Role
    via: str
    """For the history: web screen, or API and the key's name."""
    csrf: str
    """What every form of theirs carries; empty for a program."""

    def may(self, right: Right | str) -> bool:
        """Whether their role includes a right; a template may name it by its word, such as `create`."""
        return may(self.role, right)

    def require(self, right: Right) -> None:
        """Refuse what their role does not include.

        Raises:
            Forbidden: it does not.
        """
        if not self.may(right):
            raise Forbidden(without_right(self.email, self.role, right))

    def person(self, comment: str = "") -> Person:
        """Them, as somebody who acts on a batch."""
        return Person(self.email, self.via, comment)


class SignInFirst(Exception):
    """Nobody is signed in here."""


def signed_in(around: Surroundings) -> Callable[[Request], Who]:
    """A dependency: who is signed in and may see batches; a browser in which nobody is, is sent to the sign-in page."""

    def find(request: Request) -> Who:
        if (known := _known(request)) is not None:
            return known
        token = token_of(request, around.settings)
        found = accounts.signed_in(around, token) if token else None
        if found is None or token is None:
            raise SignInFirst
        who = Who(found.email, found.role, SCREEN, csrf_of(around.settings, token))
        who.require(Right.READ)
        request.state.who = who
        return who

    return find


def requires(around: Surroundings, right: Right) -> Callable[[Request], Who]:
    """A dependency: who is signed in, with this right; else a page that says who has it."""
    find = signed_in(around)

    def require(request: Request) -> Who:
        who = find(request)
        who.require(right)
        return who

    return require


def this_one(request: Request) -> Who:
    """Who is signed in, behind the door."""
    if (known := _known(request)) is None:
        raise SignInFirst
    return known


Signed = Annotated[Who, Depends(this_one)]
"""A parameter of a route behind the door."""


def behind_the_door(around: Surroundings) -> list[Any]:
    """Dependencies for a router: somebody is signed in, and what changes anything comes from a page of theirs."""
    return [Depends(signed_in(around)), Depends(_from_our_page(around))]


def program(around: Surroundings) -> Callable[[Request], Who | None]:
    """A dependency: the user for whom the API key in `Authorization: Bearer …` acts; None without a right one."""

    def find(request: Request) -> Who | None:
        given = request.headers.get("authorization", "")
        if given[: len(_BEARER)].lower() != _BEARER:
            return None
        found = accounts.key_holder(around, given[len(_BEARER) :].strip())
        return None if found is None else Who(found.email, found.role, f"API {found.key}", csrf="")

    return find


def reads_its_own_form(route: Route) -> Route:
    """Mark a route that reads its body as it comes, such as a large upload: it calls `require_csrf` itself, first of all."""
    cast("Any", route).reads_its_own_form = True
    return route


def require_csrf(who: Who, given: str | None) -> None:
    """Make sure that a form comes from a page that this person was shown.

    Raises:
        Forbidden: it does not carry their token.
    """
    if not given or not is_same(given, who.csrf):
        raise Forbidden(_STALE)


def require_same_site(request: Request, settings: Settings) -> None:
    """Refuse what a browser says another site made it send; where it says nothing, it is no browser of these years.

    Raises:
        Forbidden: it comes from elsewhere.
    """
    said = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    hosts = {request.headers.get("host", ""), urlsplit(settings.links_base).netloc}
    if (said is not None and said not in _HERE) or (origin is not None and urlsplit(origin).netloc not in hosts):
        raise Forbidden(_ELSEWHERE)


def _from_our_page(around: Surroundings) -> Callable[[Request], Awaitable[None]]:
    async def check(request: Request) -> None:
        if request.method in _HARMLESS:
            return
        require_same_site(request, around.settings)
        who = this_one(request)
        header = request.headers.get(_HEADER)
        if header is None and getattr(request.scope.get("endpoint"), "reads_its_own_form", False):
            return
        field = None if header is not None else (await request.form()).get(_FIELD)
        require_csrf(who, header if header is not None else field if isinstance(field, str) else None)

    return check


def csrf_of(settings: Settings, token: str) -> str:
    """The token of the forms that belong to a sign-in."""
    return keyed(settings.secret, "csrf", token)


def cookie_name(settings: Settings) -> str:
    """With https, a name that browsers keep other hosts and plain http from setting."""
    return "__Host-bulk-sender" if settings.is_https else "bulk-sender"


def token_of(request: Request, settings: Settings) -> str | None:
    """What this browser holds."""
    return request.cookies.get(cookie_name(settings))


def keep_token(response: Response, token: str, settings: Settings) -> None:
    """Let the browser hold a token until it is closed, out of reach of scripts."""
    response.set_cookie(cookie_name(settings), token, httponly=True, samesite="lax", secure=settings.is_https, path="/")


def drop_token(response: Response, settings: Settings) -> None:
    """Take the token away again."""
    response.delete_cookie(cookie_name(settings), httponly=True, samesite="lax", secure=settings.is_https, path="/")


def safe_next(address: str | None) -> str:
    """Where to go after signing in: a path of this screen, whatever was asked for."""
    if not address or not address.startswith("/") or address.startswith(("//", "/\\", "/sign-", "/set-up")):
        return "/"
    return address if address.isprintable() and "\\" not in address and len(address) < 2000 else "/"  # noqa: PLR2004  longer ones are no address of ours


def _known(request: Request) -> Who | None:
    known = getattr(request.state, "who", None)
    return known if isinstance(known, Who) else None


def sends_to_sign_in(app: FastAPI) -> None:
    """Answer `SignInFirst`: pages by a redirect, parts of a page by telling htmx to go there with the whole window."""

    @app.exception_handler(SignInFirst)
    async def _sign_in(request: Request, _first: SignInFirst) -> Response:
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        is_part = request.headers.get("hx-request") == "true"
        if is_part or request.method not in _HARMLESS:
            page = urlsplit(request.headers.get("hx-current-url") or request.headers.get("referer") or "/")
            wanted = page.path + (f"?{page.query}" if page.query else "")
        address = "/sign-in" if safe_next(wanted) == "/" else f"/sign-in?next={quote(safe_next(wanted))}"
        if is_part:
            return Response(status_code=204, headers={"HX-Redirect": address})
        return RedirectResponse(address, status_code=303)
