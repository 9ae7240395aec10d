"""Signing in and out, the page that makes the first user, and one's own account."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote, unquote

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi import Path as InPath
from fastapi.responses import HTMLResponse, RedirectResponse

from console.oidc import ANSWER, Provider
from console.pages import Pages, go
from console.who import (
    Signed,
    Who,
    cookie_name,
    csrf_of,
    drop_token,
    keep_token,
    require_same_site,
    requires,
    safe_next,
    token_of,
)
from deployments import accounts
from deployments.surroundings import Surroundings
from domain.errors import Forbidden, NotAllowed, NotFound, TooManyTries
from domain.passwords import SHORTEST
from domain.proofs import is_same, new_token
from domain.rights import WORDS, Right
from settings import Settings

_SEED_SECONDS = 600
_REFUSED, _NOT_USABLE, _TOO_MANY = 403, 422, 429
_OTHERWISE = "The two passwords differ. Type the same one twice."

Text = Annotated[str, Form(max_length=2000)]
Code = Annotated[str, InPath(max_length=64)]
BatchId = Annotated[int, InPath(ge=1, le=2**31 - 1)]


def routes(around: Surroundings, pages: Pages) -> APIRouter:
    """What is open to whoever is not signed in."""
    router = APIRouter()
    provider = Provider(around.settings) if around.settings.oidc_issuer else None
    _Door(around, pages, provider).add_to(router)
    _FirstUser(around, pages).add_to(router)
    if provider is not None:
        _SingleSignOn(around, provider).add_to(router)
    return router


class _Door:
    """Signing in by password, and out."""

    def __init__(self, around: Surroundings, pages: Pages, provider: Provider | None) -> None:
        self._around, self._pages, self._settings = around, pages, around.settings
        self._has_provider = provider is not None

    def add_to(self, router: APIRouter) -> None:
        router.get("/sign-in")(self.show)
        router.post("/sign-in")(self.sign_in)
        router.post("/sign-out")(self.sign_out)

    def show(self, request: Request, next: str = "/") -> Response:  # noqa: A002  it is called so in the address
        """The form; how to begin where there is nobody yet; on to the screen for who is signed in."""
        if not accounts.any_user(self._around):
            return self._pages.show(request, "begin.html")
        token = token_of(request, self._settings)
        if token and accounts.signed_in(self._around, token):
            return RedirectResponse(safe_next(next), status_code=303)
        return self._form(request, wanted=next)

    def sign_in(self, request: Request, email: Text = "", password: Text = "", next: Text = "/") -> Response:  # noqa: A002  same
        """Let somebody in, in a sign-in of its own whatever this browser held before."""
        require_same_site(request, self._settings)
        try:
            token = accounts.sign_in(self._around, email, password, address=_address(request))
        except Forbidden as refusal:
            status_code = _TOO_MANY if isinstance(refusal, TooManyTries) else _REFUSED
            return self._form(request, wanted=next, email=email, refusal=str(refusal), status_code=status_code)
        if before := token_of(request, self._settings):
            accounts.sign_out(self._around, before)
        return _let_in(token, next, self._settings)

    def sign_out(self, request: Request, csrf: Text = "") -> Response:
        """End this browser's sign-in."""
        token = token_of(request, self._settings)
        answer = RedirectResponse("/sign-in", status_code=303)
        if token is not None and accounts.signed_in(self._around, token):
            require_same_site(request, self._settings)
            if not is_same(csrf, csrf_of(self._settings, token)):
                raise Forbidden("This page is not up to date. Load it again, then sign out.")
            accounts.sign_out(self._around, token)
        drop_token(answer, self._settings)
        return answer

    def _form(
        self, request: Request, *, wanted: str, email: str = "", refusal: str | None = None, status_code: int = 200
    ) -> HTMLResponse:
        return self._pages.show(
            request,
            "sign_in.html",
            status_code=status_code,
            wanted=safe_next(wanted),
            email=email,
            refusal=refusal,
            has_passwords=self._settings.password_sign_in,
            provider=self._settings.oidc_name if self._has_provider else None,
        )


class _FirstUser:
    """The page that makes the first user, whose address `up` prints."""

    def __init__(self, around: Surroundings, pages: Pages) -> None:
        self._around, self._pages = around, pages

    def add_to(self, router: APIRouter) -> None:
        router.get("/set-up/{code}")(self.show)
        router.post("/set-up/{code}")(self.make)

    def show(self, request: Request, code: Code) -> HTMLResponse:
        """The form, for whoever has the address and only while there is no user."""
        self._require(code)
        return self._form(request)

    def make(self, request: Request, code: Code, email: Text = "", password: Text = "", again: Text = "") -> Response:
        """Make the user and let them in."""
        require_same_site(request, self._around.settings)
        self._require(code)
        try:
            _require_equal(password, again)
            token = accounts.make_first_user(self._around, code, email=email, password=password)
        except NotAllowed as refusal:
            return self._form(request, email=email, refusal=str(refusal), status_code=_NOT_USABLE)
        return _let_in(token, "/", self._around.settings)

    def _form(
        self, request: Request, *, email: str = "", refusal: str | None = None, status_code: int = 200
    ) -> HTMLResponse:
        return self._pages.show(
            request, "set_up.html", status_code=status_code, email=email, refusal=refusal, shortest=SHORTEST
        )

    def _require(self, code: str) -> None:
        if not accounts.is_set_up_code(self._around, code):
            raise NotFound("This address makes the first user, once. There is one, or the address is not right.")


class _SingleSignOn:
    """Signing in at the provider."""

    def __init__(self, around: Surroundings, provider: Provider) -> None:
        self._around, self._settings, self._provider = around, around.settings, provider
        self._cookie = cookie_name(around.settings) + "-seed"

    def add_to(self, router: APIRouter) -> None:
        router.get("/sign-in/begin")(self.begin)
        router.get(ANSWER)(self.answer)

    def begin(self, next: str = "/") -> Response:  # noqa: A002  it is called so in the address
        """Send the browser there; it alone holds what the answer must fit."""
        seed = new_token()
        answer = RedirectResponse(self._provider.begin(seed), status_code=303)
        kept = quote(f"{seed} {safe_next(next)}")
        secure = self._settings.is_https
        answer.set_cookie(self._cookie, kept, max_age=_SEED_SECONDS, httponly=True, samesite="lax", secure=secure)
        return answer

    def answer(self, request: Request) -> Response:
        """Let in whom the provider vouches for."""
        seed, _, wanted = unquote(request.cookies.get(self._cookie, "")).partition(" ")
        if not seed:
            raise Forbidden("That sign-in took too long or began in another browser. Begin again.")
        email = self._provider.email(seed, dict(request.query_params))
        if before := token_of(request, self._settings):
            accounts.sign_out(self._around, before)
        answer = _let_in(accounts.sign_in_as(self._around, email), wanted, self._settings)
        answer.delete_cookie(self._cookie, httponly=True, samesite="lax", secure=self._settings.is_https)
        return answer


def _let_in(token: str, wanted: str, settings: Settings) -> RedirectResponse:
    answer = RedirectResponse(safe_next(wanted), status_code=303)
    keep_token(answer, token, settings)
    return answer


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def account_routes(around: Surroundings, pages: Pages) -> APIRouter:
    """One's own account, for whoever is signed in."""
    router = APIRouter()
    settings = around.settings

    def page(request: Request, who: Who, *, refusal: str | None = None, status_code: int = 200) -> HTMLResponse:
        return pages.show(
            request,
            "account.html",
            who=who,
            status_code=status_code,
            refusal=refusal,
            rights=[WORDS[right] for right in Right if who.may(right)],
            has_passwords=settings.password_sign_in,
            shortest=SHORTEST,
        )

    @router.get("/account")
    def _account(request: Request, who: Signed) -> HTMLResponse:
        return page(request, who)

    @router.post("/account/password")
    def _password(request: Request, who: Signed, present: Text = "", password: Text = "", again: Text = "") -> Response:
        try:
            _require_equal(password, again)
            token = accounts.change_own_password(around, who.email, present, password, address=_address(request))
        except (Forbidden, NotAllowed) as refusal:
            return page(request, who, refusal=str(refusal), status_code=_NOT_USABLE)
        answer = go("/account", say="Your password is changed, and you are signed out everywhere else.")
        keep_token(answer, token, settings)
        return answer

    @router.post("/account/sign-out-everywhere")
    def _everywhere(who: Signed) -> Response:
        accounts.sign_out_everywhere(around, who.email)
        answer = RedirectResponse("/sign-in", status_code=303)
        drop_token(answer, settings)
        return answer

    return router


def code_routes(around: Surroundings, pages: Pages) -> APIRouter:
    """The codes by which the Prefect UI learns who decides or creates a batch, for whoever may."""
    router = APIRouter()

    @router.post("/batches/{batch_id}/code", dependencies=[Depends(requires(around, Right.DECIDE))])
    def _code(request: Request, who: Signed, batch_id: BatchId) -> HTMLResponse:
        is_part = request.headers.get("hx-request") == "true"
        return pages.show(
            request,
            "_code.html" if is_part else "code.html",
            who=who,
            batch_id=batch_id,
            code=accounts.make_code(around, batch_id, email=who.email),
            run=accounts.run_address(around, batch_id),
        )

    @router.post("/account/code", dependencies=[Depends(requires(around, Right.CREATE))])
    def _creation_code(request: Request, who: Signed) -> HTMLResponse:
        code = accounts.make_creation_code(around, email=who.email)
        return pages.show(request, "code.html", who=who, batch_id=None, code=code, run=None)

    return router


def _require_equal(password: str, again: str) -> None:
    if not is_same(password, again):
        raise NotAllowed(_OTHERWISE)
