"""The page on which users and keys are made: who may, and what holds from then on."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from domain.rights import Role
from models.database import Database
from tasks.surroundings import Surroundings
from tests.console.web import PASSWORD, client, csrf, email_of, serving, signed_in, user

NEW = "New.Person@acme.example"


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    """One kind is enough: what is asked of the database is tested on both in tests/models/test_accounts.py."""
    opened = Database(sqlite_url)
    yield opened
    opened.close()


@pytest.fixture
def address(around: Surroundings) -> Iterator[str]:
    with serving(around) as found:
        yield found


@pytest.fixture
def admin(around: Surroundings, address: str) -> Iterator[httpx.Client]:
    with signed_in(around, address, Role.ADMIN) as browser:
        yield browser


def post(browser: httpx.Client, path: str = "/users", **fields: str) -> httpx.Response:
    return browser.post(path, data={"csrf": csrf(browser), **fields})


def add(browser: httpx.Client, *, role: str = "operator", again: str = PASSWORD) -> httpx.Response:
    return post(browser, email=NEW, role=role, password=PASSWORD, again=again)


def enters(address: str, *, password: str = PASSWORD) -> bool:
    with client(address) as browser:
        return browser.post("/sign-in", data={"email": NEW, "password": password}).status_code == 303


def test_whom_an_admin_adds_may_sign_in(admin: httpx.Client, address: str) -> None:
    added = add(admin)

    assert (added.status_code, added.headers["location"]) == (303, "/users")
    assert "new.person@acme.example may sign in now, as operator" in admin.get("/users").text
    assert enters(address)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMIN])
def test_only_an_admin_sees_the_page_or_adds_anybody(around: Surroundings, address: str, role: Role) -> None:
    with signed_in(around, address, role) as browser:
        shown = browser.get("/users")
        added = browser.post("/users", data={"email": NEW, "role": "admin", "password": PASSWORD, "again": PASSWORD})

    assert (shown.status_code, added.status_code) == (403, 403)
    assert not enters(address)


def test_a_refused_user_is_named_with_the_reason_and_nothing_is_made(admin: httpx.Client, address: str) -> None:
    refused = add(admin, again="something else entirely")

    assert refused.status_code == 422
    assert "The two passwords differ" in refused.text
    assert f'value="{NEW}"' in refused.text
    assert not enters(address)


def test_a_role_that_does_not_exist_is_refused(admin: httpx.Client, address: str) -> None:
    assert add(admin, role="emperor").status_code in {400, 409, 422}
    assert not enters(address)


def test_a_disabled_user_stays_out_until_enabled(admin: httpx.Client, address: str) -> None:
    add(admin)

    post(admin, "/users/disable", email=NEW)
    while_disabled = enters(address)
    post(admin, "/users/enable", email=NEW)

    assert (while_disabled, enters(address)) == (False, True)


def test_a_new_password_takes_the_place_of_the_old_one(admin: httpx.Client, address: str) -> None:
    add(admin)

    post(admin, "/users/password", email=NEW, password="another long password")

    assert (enters(address), enters(address, password="another long password")) == (False, True)


def test_a_new_role_holds_at_once(around: Surroundings, admin: httpx.Client, address: str) -> None:
    with signed_in(around, address, Role.ANALYST) as analyst:
        before = analyst.get("/batches/new").status_code
        post(admin, "/users/role", email=email_of(Role.ANALYST), role="operator")
        after = analyst.get("/batches/new").status_code

    assert (before, after) == (403, 200)


def test_the_last_admin_cannot_be_removed(admin: httpx.Client) -> None:
    refused = post(admin, "/users/disable", email=email_of(Role.ADMIN))

    assert refused.status_code == 422
    assert admin.get("/users").status_code == 200


def test_a_key_is_shown_once_and_holds_until_it_is_revoked(
    around: Surroundings, admin: httpx.Client, address: str
) -> None:
    user(around, Role.ANALYST)
    shown = post(admin, "/users/keys", name="nightly", email=email_of(Role.ANALYST))
    found = re.search(r"bsk_[\w-]+", shown.text)
    assert found is not None

    def ask() -> int:
        with client(address) as program:
            return program.get("/api/v1/batches", headers={"Authorization": f"Bearer {found[0]}"}).status_code

    before = ask()
    assert found[0] not in admin.get("/users").text
    post(admin, "/users/keys/revoke", name="nightly")

    assert (before, ask()) == (200, 401)
