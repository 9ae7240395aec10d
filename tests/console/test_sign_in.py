"""Signing in and out, the first user, and what a browser is kept from doing without its owner."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from argon2 import PasswordHasher

from deployments import accounts
from domain import passwords
from domain.rights import Role
from domain.states import Phase
from models import accounts as kept
from models.database import Database
from settings import load
from tasks.surroundings import Surroundings
from tests.console.web import PASSWORD, client, csrf, email_of, serving, signed_in, token, user
from tests.factories import add_batch

OPERATOR = email_of(Role.OPERATOR)


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    """One kind is enough here: what is asked of the database is tested on both in tests/models/test_accounts.py."""
    opened = Database(sqlite_url)
    yield opened
    opened.close()


@pytest.fixture
def address(around: Surroundings) -> Iterator[str]:
    """Where the app answers."""
    with serving(around) as found:
        yield found


@pytest.fixture
def browser(address: str) -> Iterator[httpx.Client]:
    """A browser in which nobody is signed in."""
    with client(address) as found:
        yield found


def enter(
    browser: httpx.Client, *, email: str = OPERATOR, password: str = PASSWORD, wanted: str = "/"
) -> httpx.Response:
    return browser.post("/sign-in", data={"email": email, "password": password, "next": wanted})


def later(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    """Let the clock of signing in go on."""
    real = vars(accounts)["now"]
    monkeypatch.setattr(accounts, "now", lambda: real() + by)


# In and out


def test_whoever_is_not_signed_in_is_sent_to_the_page_and_back_to_what_they_wanted(
    around: Surroundings, browser: httpx.Client
) -> None:
    user(around, Role.OPERATOR)

    sent = browser.get("/account?from=a b")
    entered = enter(browser, wanted="/account?from=a b")

    assert (sent.status_code, urlsplit(sent.headers["location"]).path) == (303, "/sign-in")
    assert (entered.status_code, entered.headers["location"]) == (303, "/account?from=a%20b")
    assert OPERATOR in browser.get("/account").text


def test_the_page_keeps_what_was_wanted_in_its_form(around: Surroundings, browser: httpx.Client) -> None:
    user(around, Role.OPERATOR)

    page = browser.get(browser.get("/account?x=1").headers["location"])

    assert 'name="next" value="/account?x=1"' in page.text


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\nb", ""]
)
def test_nobody_is_sent_elsewhere_after_signing_in(around: Surroundings, browser: httpx.Client, elsewhere: str) -> None:
    user(around, Role.OPERATOR)

    assert enter(browser, wanted=elsewhere).headers["location"] == "/"


def test_a_wrong_password_and_an_unknown_email_are_refused_alike(around: Surroundings, browser: httpx.Client) -> None:
    user(around, Role.OPERATOR)

    pages = [enter(browser, password="wrong wrong wrong"), enter(browser, email="nobody@acme.example")]

    assert [page.status_code for page in pages] == [403, 403]
    assert "do not belong together" in pages[0].text
    assert pages[0].text.replace(OPERATOR, "") == pages[1].text.replace("nobody@acme.example", "")
    assert "bulk-sender" not in browser.cookies


def test_the_token_is_out_of_reach_of_scripts_and_only_its_hash_is_kept(
    around: Surroundings, browser: httpx.Client
) -> None:
    user(around, Role.OPERATOR)

    header = enter(browser).headers["set-cookie"]

    assert "HttpOnly" in header
    assert "SameSite=lax" in header
    assert "Secure" not in header  # this one is served by plain http
    held = browser.cookies["bulk-sender"]
    with around.database.read() as session:
        found = session.connection().exec_driver_sql("SELECT * FROM sign_in").all()
    assert len(found) == 1
    assert held not in str(found)


def test_with_https_browsers_insist_on_it(tmp_path: Path, sqlite_url: str) -> None:
    settings = load(home=tmp_path / "home", database_url=sqlite_url, public_url="https://send.acme.example")
    around = Surroundings(settings, Database(sqlite_url), None)  # type: ignore[arg-type]  # no file is needed here
    user(around, Role.OPERATOR)

    with serving(around) as address, client(address) as browser:
        entered = enter(browser)

    assert entered.headers["set-cookie"].startswith("__Host-bulk-sender=")
    assert "Secure" in entered.headers["set-cookie"]
    assert "Path=/" in entered.headers["set-cookie"]
    assert "Domain" not in entered.headers["set-cookie"]
    assert entered.headers["strict-transport-security"] == "max-age=31536000"
    around.database.close()


def test_signing_in_again_makes_another_sign_in_and_ends_the_first(around: Surroundings, browser: httpx.Client) -> None:
    """Else whoever planted a token in a browser would be signed in with it."""
    user(around, Role.OPERATOR)
    enter(browser)
    first = browser.cookies["bulk-sender"]

    enter(browser)

    assert browser.cookies["bulk-sender"] != first
    assert accounts.signed_in(around, first) is None


def test_signing_out_ends_the_sign_in_itself(around: Surroundings, address: str) -> None:
    with signed_in(around, address, Role.OPERATOR) as browser:
        held = browser.cookies["bulk-sender"]
        ended = browser.post("/sign-out", data={"csrf": csrf(browser)})

    assert ended.status_code == 303
    assert accounts.signed_in(around, held) is None


def test_nobody_is_signed_out_by_another_site(around: Surroundings, address: str) -> None:
    with signed_in(around, address, Role.OPERATOR) as browser:
        assert browser.post("/sign-out").status_code == 403
        assert browser.get("/account").status_code == 200


def test_a_sign_in_ends_when_it_is_left_alone(
    around: Surroundings, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with signed_in(around, address, Role.OPERATOR) as browser:
        later(monkeypatch, accounts.IDLE - timedelta(minutes=1))
        assert browser.get("/account").status_code == 200
        later(monkeypatch, accounts.IDLE - timedelta(minutes=1))  # it was used in between
        assert browser.get("/account").status_code == 200
        later(monkeypatch, accounts.IDLE + timedelta(minutes=1))
        assert browser.get("/account").status_code == 303


def test_a_sign_in_ends_after_a_day_s_work_however_it_is_used(
    around: Surroundings, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with signed_in(around, address, Role.OPERATOR) as browser:
        for _ in range(accounts.LASTS // timedelta(hours=1) - 1):
            later(monkeypatch, timedelta(hours=1))
            assert browser.get("/account").status_code == 200
        later(monkeypatch, timedelta(hours=1, minutes=1))
        assert browser.get("/account").status_code == 303


def test_disabling_somebody_or_another_password_ends_every_sign_in(around: Surroundings) -> None:
    user(around, Role.ADMIN)
    held = [token(around, Role.OPERATOR), token(around, Role.OPERATOR)]
    accounts.change_password(around, OPERATOR, "another long password")
    assert [accounts.signed_in(around, one) for one in held] == [None, None]

    held = [token(around, Role.OPERATOR)]
    accounts.disable_user(around, OPERATOR)
    assert [accounts.signed_in(around, one) for one in held] == [None]


def test_another_role_holds_at_once(around: Surroundings, address: str) -> None:
    user(around, Role.ADMIN)
    batch_id = add_batch(around.database, phase=Phase.WAITING.value)
    with signed_in(around, address, Role.APPROVER) as browser:
        form = {"csrf": csrf(browser)}
        assert browser.post(f"/batches/{batch_id}/code", data=form).status_code == 200
        accounts.change_role(around, email_of(Role.APPROVER), Role.ANALYST)
        refused = browser.post(f"/batches/{batch_id}/code", data=form)

    assert refused.status_code == 403
    assert "is an analyst and may not approve" in refused.text


def test_a_platform_has_nothing_to_do_on_the_screen(around: Surroundings, address: str) -> None:
    with signed_in(around, address, Role.PLATFORM) as browser:
        assert browser.get("/account").status_code == 403


def test_a_password_is_hashed_anew_when_the_parameters_change(
    around: Surroundings, browser: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    user(around, Role.OPERATOR)

    def hash_kept() -> str:
        with around.database.read() as session:
            return kept.by_email(session, OPERATOR).password_hash or ""

    before = hash_kept()
    enter(browser)
    assert hash_kept() == before
    monkeypatch.setattr(passwords, "HASHER", PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    enter(browser)

    assert "m=16,t=2" in hash_kept()
    assert enter(browser).status_code == 303


# Guessing


def test_guessing_one_account_s_password_is_stopped_and_the_right_one_waits_too(
    around: Surroundings, browser: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    user(around, Role.OPERATOR)
    user(around, Role.APPROVER)
    tried = [enter(browser, password=f"wrong wrong {number}").status_code for number in range(11)]

    refused = enter(browser)

    assert tried == [403] * 10 + [429]
    assert refused.status_code == 429
    assert re.search(r"Try again in 1[45] minutes", refused.text)
    assert enter(browser, email=email_of(Role.APPROVER)).status_code == 303
    later(monkeypatch, timedelta(minutes=15))
    assert enter(browser).status_code == 303


def test_an_account_that_is_not_there_is_stopped_alike(around: Surroundings, browser: httpx.Client) -> None:
    """Else the limit tells who has an account."""
    user(around, Role.OPERATOR)

    assert [enter(browser, email="no@acme.example").status_code for _ in range(12)] == [403] * 10 + [429] * 2


def test_guessing_many_accounts_from_one_address_is_stopped(
    around: Surroundings, browser: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "_BY_ADDRESS", kept.Stretch(most=5, lasts=timedelta(minutes=15)))
    user(around, Role.OPERATOR)

    assert [enter(browser).status_code for _ in range(7)] == [303] * 7  # those that succeed do not count
    assert [enter(browser, email=f"{n}@acme.example").status_code for n in range(7)] == [403] * 5 + [429] * 2


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::1", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
    ],
)
def test_a_home_has_many_addresses_of_ipv6(around: Surroundings, one: str, other: str, same: bool) -> None:
    assert (accounts._address_try(around, one) == accounts._address_try(around, other)) is same  # noqa: SLF001  what is counted together


def test_a_success_forgets_the_mistakes_before_it(around: Surroundings, browser: httpx.Client) -> None:
    user(around, Role.OPERATOR)
    for _ in range(3):
        assert [enter(browser, password="wrong wrong wrong").status_code for _ in range(8)] == [403] * 8
        assert enter(browser).status_code == 303


# Forms


@pytest.mark.parametrize("given", [{}, {"csrf": ""}, {"csrf": "0" * 64}])
def test_a_form_without_the_token_of_its_sign_in_does_nothing(
    around: Surroundings, address: str, given: dict[str, str]
) -> None:
    with signed_in(around, address, Role.OPERATOR) as browser:
        refused = browser.post("/account/sign-out-everywhere", data=given)

        assert refused.status_code == 403
        assert "not up to date" in refused.text
        assert browser.get("/account").status_code == 200


def test_the_token_of_another_sign_in_does_nothing(around: Surroundings, address: str) -> None:
    with (
        signed_in(around, address, Role.OPERATOR) as one,
        signed_in(around, address, Role.APPROVER) as other,
    ):
        assert one.post("/account/sign-out-everywhere", data={"csrf": csrf(other)}).status_code == 403


def test_the_token_may_come_in_a_header(around: Surroundings, address: str) -> None:
    with signed_in(around, address, Role.OPERATOR) as browser:
        headers = {"X-CSRF-Token": csrf(browser)}

        assert browser.post("/account/sign-out-everywhere", headers=headers).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_what_another_site_sends_is_refused_even_with_the_token(
    around: Surroundings, address: str, headers: dict[str, str]
) -> None:
    with signed_in(around, address, Role.OPERATOR) as browser:
        sent = browser.post("/account/sign-out-everywhere", data={"csrf": csrf(browser)}, headers=headers)

        assert sent.status_code == 403
        assert "another site" in sent.text
    with client(address) as browser:
        refused = browser.post("/sign-in", data={"email": OPERATOR, "password": PASSWORD}, headers=headers)
        assert refused.status_code == 403


def test_a_browser_s_own_form_is_taken(around: Surroundings, address: str) -> None:
    with signed_in(around, address, Role.OPERATOR) as browser:
        headers = {"Origin": address, "Sec-Fetch-Site": "same-origin"}

        sent = browser.post("/account/sign-out-everywhere", data={"csrf": csrf(browser)}, headers=headers)

        assert sent.status_code == 303


def test_a_part_of_a_page_sends_the_whole_window_to_sign_in(around: Surroundings, browser: httpx.Client) -> None:
    """Else the sign-in page would appear inside the list of batches."""
    user(around, Role.OPERATOR)

    sent = browser.get(
        "/account", headers={"HX-Request": "true", "HX-Current-URL": "https://x.example/?status=Approved"}
    )

    assert sent.status_code == 204
    assert sent.headers["hx-redirect"] == "/sign-in?next=/%3Fstatus%3DApproved"


def test_a_post_after_the_sign_in_ended_leads_back_to_its_page(around: Surroundings, browser: httpx.Client) -> None:
    user(around, Role.OPERATOR)

    sent = browser.post("/account/password", headers={"Referer": "http://127.0.0.1/account"})

    assert sent.headers["location"] == "/sign-in?next=/account"


def test_pages_may_run_only_our_scripts_and_not_be_framed(around: Surroundings, browser: httpx.Client) -> None:
    user(around, Role.OPERATOR)

    headers = browser.get("/sign-in").headers

    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["referrer-policy"] == "same-origin"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in headers


def test_a_large_body_is_refused_before_it_is_read(address: str) -> None:
    place = urlsplit(address)
    with socket.create_connection((place.hostname or "", place.port or 0), timeout=10) as caller:
        caller.sendall(b"POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n")

        assert caller.recv(100).startswith(b"HTTP/1.1 413")


def test_a_body_that_never_ends_is_broken_off(browser: httpx.Client) -> None:
    began = time.monotonic()

    def body() -> Iterator[bytes]:
        while time.monotonic() - began < 20:
            yield b"x" * 60_000

    try:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        status = browser.post("/sign-in", content=body(), headers=form).status_code
    except httpx.TransportError:
        status = 413  # it was cut off while it still sent

    assert status in {400, 413}
    assert time.monotonic() - began < 15


# The first user


def test_while_there_is_no_user_the_screen_says_how_to_begin(browser: httpx.Client) -> None:
    page = browser.get(browser.get("/").headers["location"])

    assert "Make the first user" in page.text
    assert "<form" not in page.text


def test_the_first_user_is_made_once_and_is_an_admin(around: Surroundings, browser: httpx.Client) -> None:
    path = urlsplit(accounts.set_up_address(around) or "").path
    form = {"email": "First@Acme.example", "password": PASSWORD, "again": PASSWORD}

    assert browser.get(path).status_code == 200
    made = browser.post(path, data=form)

    assert made.status_code == 303
    page = browser.get("/account").text
    assert "first@acme.example" in page
    assert "admin" in page
    assert browser.get(path).status_code == 404
    assert browser.post(path, data={**form, "email": "second@acme.example"}).status_code == 404
    assert accounts.set_up_address(around) is None


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"password": "short", "again": "short"}, "fewer than 12"),
        ({"again": "something else here"}, "The two passwords differ"),
        ({"email": "nobody"}, "is not an email address"),
    ],
)
def test_what_cannot_be_used_is_said_in_the_page_and_nothing_is_made(
    around: Surroundings, browser: httpx.Client, changed: dict[str, str], why: str
) -> None:
    path = urlsplit(accounts.set_up_address(around) or "").path
    form = {"email": "first@acme.example", "password": PASSWORD, "again": PASSWORD, **changed}

    refused = browser.post(path, data=form)

    assert refused.status_code == 422
    assert why in refused.text
    assert PASSWORD not in refused.text
    assert not accounts.any_user(around)
    assert browser.get(path).status_code == 200


def test_another_code_makes_nobody(around: Surroundings, browser: httpx.Client) -> None:
    accounts.set_up_address(around)
    form = {"email": "first@acme.example", "password": PASSWORD, "again": PASSWORD}

    assert browser.post("/set-up/" + "0" * 32, data=form).status_code == 404
    assert not accounts.any_user(around)


def test_a_user_made_in_a_shell_ends_the_set_up_address(around: Surroundings, browser: httpx.Client) -> None:
    path = urlsplit(accounts.set_up_address(around) or "").path

    user(around, Role.OPERATOR)

    assert browser.get(path).status_code == 404


# One's own account


def test_a_changed_password_ends_the_other_sign_ins_and_keeps_this_one(around: Surroundings, address: str) -> None:
    elsewhere = token(around, Role.OPERATOR)
    with signed_in(around, address, Role.OPERATOR) as browser:
        form = {
            "csrf": csrf(browser),
            "present": PASSWORD,
            "password": "a new long password",
            "again": "a new long password",
        }
        assert browser.post("/account/password", data={**form, "present": "wrong wrong wrong"}).status_code == 422
        assert accounts.signed_in(around, elsewhere) is not None

        assert browser.post("/account/password", data=form).status_code == 303

        assert accounts.signed_in(around, elsewhere) is None
        assert browser.get("/account").status_code == 200
    with client(address) as fresh:
        assert enter(fresh).status_code == 403
        assert enter(fresh, password="a new long password").status_code == 303


def test_signing_out_everywhere_ends_them_all(around: Surroundings, address: str) -> None:
    elsewhere = token(around, Role.OPERATOR)
    with signed_in(around, address, Role.OPERATOR) as browser:
        browser.post("/account/sign-out-everywhere", data={"csrf": csrf(browser)})

        assert accounts.signed_in(around, elsewhere) is None
        assert browser.get("/account").status_code == 303


# The code for the Prefect UI


def test_an_approver_gets_a_code_once_and_only_its_hash_is_kept(around: Surroundings, address: str) -> None:
    batch_id = add_batch(around.database, phase=Phase.WAITING.value)
    with signed_in(around, address, Role.APPROVER) as browser:
        form = {"csrf": csrf(browser)}
        page = browser.post(f"/batches/{batch_id}/code", data=form)
        part = browser.post(f"/batches/{batch_id}/code", data=form, headers={"HX-Request": "true"})

    codes = [re.search(r"[2-9A-Z]{4}-[2-9A-Z]{4}", found.text) for found in (page, part)]
    assert codes[0] is not None
    assert codes[1] is not None
    assert codes[0][0] != codes[1][0]
    assert "<html" in page.text
    assert "<html" not in part.text
    with around.database.read() as session:
        found = session.connection().exec_driver_sql("SELECT * FROM approval_code").all()
    assert codes[0][0].replace("-", "") not in str(found).replace("-", "")


def test_who_may_not_decide_gets_no_code(around: Surroundings, address: str) -> None:
    batch_id = add_batch(around.database, phase=Phase.WAITING.value)
    for role in (Role.OPERATOR, Role.ANALYST):
        with signed_in(around, address, role) as browser:
            assert browser.post(f"/batches/{batch_id}/code", data={"csrf": csrf(browser)}).status_code == 403


def test_a_batch_that_is_being_checked_has_nothing_to_decide(around: Surroundings, address: str) -> None:
    batch_id = add_batch(around.database)
    with signed_in(around, address, Role.APPROVER) as browser:
        assert browser.post(f"/batches/{batch_id}/code", data={"csrf": csrf(browser)}).status_code == 409
        assert browser.post("/batches/999/code", data={"csrf": csrf(browser)}).status_code == 404


def test_who_may_create_gets_a_code_for_that(around: Surroundings, address: str) -> None:
    with signed_in(around, address, Role.OPERATOR) as browser:
        page = browser.post("/account/code", data={"csrf": csrf(browser)})
    with signed_in(around, address, Role.APPROVER) as browser:
        refused = browser.post("/account/code", data={"csrf": csrf(browser)})

    assert re.search(r"[2-9A-Z]{4}-[2-9A-Z]{4}", page.text)
    assert "create one batch" in page.text
    assert refused.status_code == 403
