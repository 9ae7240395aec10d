"""Users and the keys of their programs, for whoever manages them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import HTMLResponse

from console.pages import Pages, go
from console.who import Signed, Who, requires
from deployments import accounts
from deployments.surroundings import Surroundings
from domain.errors import NotAllowed
from domain.passwords import SHORTEST
from domain.proofs import is_same
from domain.rights import RIGHTS, WORDS, Right, Role, known_as
from models import accounts as kept

HERE = "/users"
_NOT_USABLE = 422
Text = Annotated[str, Form(max_length=2000)]
Chosen = Annotated[Role, Form(alias="role")]


def routes(around: Surroundings, pages: Pages) -> APIRouter:
    """The page, and what its forms do."""
    router = APIRouter(prefix=HERE, dependencies=[Depends(requires(around, Right.MANAGE_USERS))])
    _Users(around, pages).add_to(router)
    return router


class _Users:
    """One page with all forms; each refusal is said on it."""

    def __init__(self, around: Surroundings, pages: Pages) -> None:
        self._around, self._pages = around, pages

    def add_to(self, router: APIRouter) -> None:
        router.get("")(self.show)
        for path, act in (
            ("", self.add),
            ("/role", self.change_role),
            ("/password", self.change_password),
            ("/disable", self.disable),
            ("/enable", self.enable),
            ("/keys", self.add_key),
            ("/keys/revoke", self.revoke_key),
        ):
            router.post(path)(act)

    def show(self, request: Request, who: Signed) -> HTMLResponse:
        """Everybody, and the keys of their programs."""
        return self._page(request, who)

    def add(
        self, request: Request, who: Signed, role: Chosen, email: Text = "", password: Text = "", again: Text = ""
    ) -> Response:
        """Make a user."""

        def act() -> None:
            if not is_same(password, again):
                raise NotAllowed("The two passwords differ. Type the same one twice.")
            kept = password if self._around.settings.password_sign_in else None
            accounts.add_user(self._around, email, role, password=kept)

        say = f"{known_as(email)} may sign in now, as {role}."
        return self._done(request, who, act, say=say, email=email)

    def change_role(self, request: Request, who: Signed, role: Chosen, email: Text = "") -> Response:
        """It holds at once."""
        say = f"{email} is {role} now."
        return self._done(request, who, lambda: accounts.change_role(self._around, email, role), say=say)

    def change_password(self, request: Request, who: Signed, email: Text = "", password: Text = "") -> Response:
        """Give somebody another one."""
        say = f"{email} has another password and is signed out everywhere."
        return self._done(request, who, lambda: accounts.change_password(self._around, email, password), say=say)

    def disable(self, request: Request, who: Signed, email: Text = "") -> Response:
        """Shut somebody out."""
        say = f"{email} cannot sign in any more, and their keys hold no longer."
        return self._done(request, who, lambda: accounts.disable_user(self._around, email), say=say)

    def enable(self, request: Request, who: Signed, email: Text = "") -> Response:
        """Let somebody in again."""
        say = f"{email} may sign in again."
        return self._done(request, who, lambda: accounts.enable_user(self._around, email), say=say)

    def add_key(self, request: Request, who: Signed, name: Text = "", email: Text = "") -> Response:
        """Make a key and show it, once."""
        try:
            key = accounts.add_key(self._around, name, email=email)
        except NotAllowed as refusal:
            return self._page(request, who, refusal=str(refusal))
        return self._page(request, who, key=key)

    def revoke_key(self, request: Request, who: Signed, name: Text = "") -> Response:
        """Let a key hold no longer."""
        say = f"The key {name} holds no longer."
        return self._done(request, who, lambda: accounts.revoke_key(self._around, name), say=say)

    def _done(self, request: Request, who: Who, act: Callable[[], None], *, say: str, email: str = "") -> Response:
        try:
            act()
        except NotAllowed as refusal:
            return self._page(request, who, refusal=str(refusal), email=email)
        return go(HERE, say=say)

    def _page(
        self, request: Request, who: Who, *, refusal: str | None = None, key: str | None = None, email: str = ""
    ) -> HTMLResponse:
        with self._around.database.read() as session:
            users, keys = kept.listed(session), kept.keys(session)
            session.expunge_all()
        return self._pages.show(
            request,
            "users.html",
            who=who,
            status_code=_NOT_USABLE if refusal else 200,
            users=users,
            keys=keys,
            roles={role: ", ".join(WORDS[right] for right in Right if right in RIGHTS[role]) for role in Role},
            refusal=refusal,
            new_key=key,
            email=email,
            has_passwords=self._around.settings.password_sign_in,
            shortest=SHORTEST,
        )
