"""Signing in at an OpenID Connect provider that runs beside the tests: who gets in, and who does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from deployments import accounts
from domain.errors import SettingsProblem
from domain.rights import Role
from files.storage import Storage
from models.database import Database
from settings import load
from tasks.surroundings import Surroundings
from tests.console import oidc_provider
from tests.console.oidc_provider import CLIENT_ID, CLIENT_SECRET, Provider
from tests.console.web import PASSWORD, TLS, client, email_of, serving, user

APPROVER = email_of(Role.APPROVER)


@pytest.fixture
def provider() -> Iterator[Provider]:
    """A provider that everybody trusts."""
    with oidc_provider.serving() as found:
        yield found


def trusting(provider: Provider, database: Database, tmp_path: Path, **more: object) -> Surroundings:
    settings = load(
        home=tmp_path / "home",
        database_url=database.url,
        oidc_issuer=provider.url,
        oidc_client_id=CLIENT_ID,
        oidc_client_secret=CLIENT_SECRET,
        oidc_name="Acme",
        **more,
    )
    return Surroundings(settings, database, Storage(settings.storage))


@pytest.fixture
def around(provider: Provider, database: Database, tmp_path: Path) -> Surroundings:
    found = trusting(provider, database, tmp_path)
    user(found, Role.APPROVER)
    user(found, Role.ADMIN)
    return found


@pytest.fixture
def browser(around: Surroundings) -> Iterator[httpx.Client]:
    with serving(around) as address, client(address) as found:
        yield found


def go_there(browser: httpx.Client, wanted: str = "/account") -> httpx.Response:
    """Begin, sign in there, and be sent back; gives the address of the answer, not opened yet."""
    begun = browser.get("/sign-in/begin", params={"next": wanted})
    with httpx.Client(trust_env=False, verify=TLS) as other:
        return other.get(begun.headers["location"])


def come_back(browser: httpx.Client, sent: httpx.Response) -> httpx.Response:
    """Open the answer; its address names the installation, which here is another port."""
    parts = urlsplit(sent.headers["location"])
    return browser.get(f"{parts.path}?{parts.query}")


def enter(browser: httpx.Client, wanted: str = "/account") -> httpx.Response:
    return come_back(browser, go_there(browser, wanted))


def test_whoever_the_provider_vouches_for_is_signed_in_with_our_rights(browser: httpx.Client) -> None:
    assert "Sign in with Acme" in browser.get("/sign-in").text

    entered = enter(browser)

    assert (entered.status_code, entered.headers["location"]) == (303, "/account")
    page = browser.get("/account").text
    assert APPROVER in page
    assert "approve or reject batches" in page


def test_the_flow_asks_for_a_code_with_a_proof_and_once_only(provider: Provider, browser: httpx.Client) -> None:
    enter(browser)
    enter(browser)

    first, second = provider.requests
    assert first["response_type"] == "code"
    assert first["scope"] == "openid email"
    assert first["code_challenge_method"] == "S256"
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name]) >= 43
        assert first[name] != second[name]
    assert "code_verifier" not in first


def test_the_email_may_be_spelled_otherwise_there(provider: Provider, browser: httpx.Client) -> None:
    provider.email = "Approver@ACME.example"

    assert enter(browser).status_code == 303


@pytest.mark.parametrize("verified", [False, None, "true", 1])
def test_an_email_that_is_not_verified_lets_nobody_in(
    provider: Provider, browser: httpx.Client, verified: object
) -> None:
    """Else whoever writes a colleague's address in their profile is that colleague."""
    provider.verified = verified

    refused = enter(browser)

    assert refused.status_code == 403
    assert "does not vouch for your email" in refused.text
    assert browser.get("/account").status_code == 303


def test_whoever_is_no_user_here_is_refused_and_not_made_one(
    around: Surroundings, provider: Provider, browser: httpx.Client
) -> None:
    provider.email = "stranger@acme.example"
    refused = enter(browser)
    provider.email = APPROVER
    accounts.disable_user(around, APPROVER)
    disabled = enter(browser)

    assert [refused.status_code, disabled.status_code] == [403, 403]
    assert "is not a user here" in refused.text


@pytest.mark.parametrize(
    "lies",
    [
        {"iss": "https://other.example"},
        {"aud": "another-client"},
        {"aud": [CLIENT_ID, "another-client"], "azp": "another-client"},
        {"exp": 1_000_000_000},
        {"nonce": "of another sign-in"},
        {"nonce": None},
        {"exp": None},
        {"sub": None},
    ],
    ids=str,
)
def test_a_token_that_is_not_for_this_sign_in_lets_nobody_in(
    provider: Provider, browser: httpx.Client, lies: dict[str, object]
) -> None:
    provider.lies = lies

    refused = enter(browser)

    assert refused.status_code == 403
    assert "could not be verified" in refused.text
    assert browser.get("/account").status_code == 303


def test_a_token_of_another_key_lets_nobody_in(provider: Provider, browser: httpx.Client) -> None:
    provider.published = oidc_provider.new_key("one", 2)

    assert enter(browser).status_code == 403


def test_a_token_signed_with_the_shared_secret_lets_nobody_in(provider: Provider, browser: httpx.Client) -> None:
    """Whoever learns our secret must not be able to be anybody."""
    provider.signs_with_our_secret = True

    assert enter(browser).status_code == 403


def test_new_keys_of_the_provider_are_read_when_they_are_met(provider: Provider, browser: httpx.Client) -> None:
    assert enter(browser).status_code == 303

    provider.key = oidc_provider.new_key("two")

    assert enter(browser).status_code == 303


def test_the_secret_goes_where_the_provider_wants_it(provider: Provider, browser: httpx.Client) -> None:
    provider.secret_in_body = True

    assert enter(browser).status_code == 303


def test_an_answer_counts_in_the_browser_that_asked_and_once(around: Surroundings, browser: httpx.Client) -> None:
    """Else somebody could be signed in as the attacker, and work in their account."""
    sent = go_there(browser)
    with serving(around) as address, client(address) as other:
        assert come_back(other, sent).status_code == 403
        other.get("/sign-in/begin")
        assert come_back(other, sent).status_code == 403
        assert other.get("/account").status_code == 303

    assert come_back(browser, sent).status_code == 303
    assert come_back(browser, sent).status_code == 403


def test_a_refusal_of_the_provider_is_said(browser: httpx.Client) -> None:
    state = parse_qs(urlsplit(browser.get("/sign-in/begin").headers["location"]).query)["state"][0]

    refused = browser.get("/sign-in/answer", params={"state": state, "error": "access_denied"})

    assert refused.status_code == 403
    assert "did not sign you in" in refused.text


@pytest.mark.parametrize("elsewhere", ["https://evil.example", "//evil.example"])
def test_nobody_is_sent_elsewhere_afterwards(browser: httpx.Client, elsewhere: str) -> None:
    assert enter(browser, elsewhere).headers["location"] == "/"


def test_a_provider_that_is_away_is_named(provider: Provider, database: Database, tmp_path: Path) -> None:
    provider_url, provider.url = provider.url, "http://127.0.0.1:9"
    around = trusting(provider, database, tmp_path)
    provider.url = provider_url
    with serving(around) as address, client(address) as browser:
        away = browser.get("/sign-in/begin")

    assert away.status_code == 503
    assert "http://127.0.0.1:9 does not answer" in away.text


def test_a_provider_that_calls_itself_otherwise_is_not_trusted(provider: Provider, browser: httpx.Client) -> None:
    provider.name = "https://other.example"

    assert browser.get("/sign-in/begin").status_code == 503


def test_passwords_can_be_switched_off(provider: Provider, database: Database, tmp_path: Path) -> None:
    around = trusting(provider, database, tmp_path, password_sign_in=False)
    user(around, Role.APPROVER)
    with serving(around) as address, client(address) as browser:
        page = browser.get("/sign-in").text
        refused = browser.post("/sign-in", data={"email": APPROVER, "password": PASSWORD})
        entered = enter(browser)

    assert 'type="password"' not in page
    assert refused.status_code == 403
    assert "Passwords are switched off" in refused.text
    assert entered.status_code == 303


SET = {"oidc_issuer": "https://login.example", "oidc_client_id": "us", "oidc_client_secret": "s"}


@pytest.mark.parametrize("missing", list(SET))
def test_half_a_set_refuses_to_start_and_names_what_is_missing(missing: str) -> None:
    with pytest.raises(SettingsProblem, match=f"{missing.upper()} is missing"):
        load(**{name: value for name, value in SET.items() if name != missing})


def test_settings_that_let_nobody_in_or_the_wrong_people_refuse_to_start() -> None:
    with pytest.raises(SettingsProblem, match="nobody could sign in"):
        load(password_sign_in=False)
    with pytest.raises(SettingsProblem, match="must begin with https"):
        load(**{**SET, "oidc_issuer": "http://login.example"})
    load(**SET, password_sign_in=False)
