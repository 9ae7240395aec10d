"""SendGrid's lists of addresses that must not be written to, and what else a client asks of the account."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

Ask = Callable[..., httpx.Response]
Send = Callable[..., httpx.Response]
Mail = Callable[..., dict[str, Any]]

REASONS = {
    "bounces": ("Bounced Address", {"created", "email", "reason", "status"}),
    "blocks": ("Blocked", {"created", "email", "reason", "status"}),
    "invalid_emails": ("Invalid", {"created", "email", "reason"}),
    "spam_reports": ("Spam Reporting Address", {"created", "email", "ip"}),
    "unsubscribes": ("Unsubscribed Address", {"created", "email"}),
}


def emails(answer: httpx.Response) -> list[str]:
    return [one["email"] for one in answer.raise_for_status().json()]


@pytest.fixture
def suppressed(sandbox: httpx.Client) -> list[str]:
    """Three addresses on each list; the first of each."""
    entries = [
        {"address": f"{name}{number}@m.example", "reason": reason}
        for name, (reason, _) in REASONS.items()
        for number in range(3)
    ]
    sandbox.put("/sandbox/suppressions", json={"sendgrid": entries}).raise_for_status()
    return [f"{name}0@m.example" for name in REASONS]


@pytest.mark.parametrize("name", REASONS)
def test_a_list_holds_its_own_reason_and_fields(ask: Ask, suppressed: list[str], name: str) -> None:
    assert f"{name}0@m.example" in suppressed
    found = ask("GET", f"/v3/suppression/{name}").json()
    assert [one["email"] for one in found] == [f"{name}{number}@m.example" for number in range(3)]
    assert set(found[0]) == REASONS[name][1]


@pytest.mark.usefixtures("suppressed")
def test_a_list_comes_in_pages_and_by_time_and_by_beginning(ask: Ask) -> None:
    path = "/v3/suppression/bounces"
    now = int(time.time())
    assert emails(ask("GET", path, params={"limit": 2})) == ["bounces0@m.example", "bounces1@m.example"]
    assert emails(ask("GET", path, params={"limit": 2, "offset": 2})) == ["bounces2@m.example"]
    assert emails(ask("GET", path, params={"start_time": now + 100})) == []
    assert len(emails(ask("GET", path, params={"start_time": now - 100, "end_time": now + 100}))) == 3
    assert emails(ask("GET", path, params={"end_time": now - 100})) == []
    assert emails(ask("GET", path, params={"email": "bounces1"})) == ["bounces1@m.example"]
    assert len(emails(ask("GET", path, params={"email": "%ces"}))) == 3
    for wrong in ({"limit": 501}, {"limit": 0}, {"offset": "x"}):
        assert ask("GET", path, params=wrong).status_code == 400


@pytest.mark.usefixtures("suppressed")
def test_addresses_are_found_and_taken_off(ask: Ask, send_mail: Send, mail: Mail, sandbox: httpx.Client) -> None:
    path = "/v3/suppression/bounces"
    assert emails(ask("GET", f"{path}/bounces0@m.example")) == ["bounces0@m.example"]
    assert ask("DELETE", f"{path}/bounces0@m.example").status_code == 204
    assert ask("DELETE", f"{path}/blocks0@m.example").status_code == 204
    assert emails(ask("GET", f"{path}/bounces0@m.example")) == []
    assert len(emails(ask("GET", "/v3/suppression/blocks"))) == 3
    send_mail(mail("bounces0@m.example"))
    assert [one["to"] for one in sandbox.get("/sandbox/messages").json()["messages"]] == ["bounces0@m.example"]
    assert ask("DELETE", path, json={"emails": ["bounces1@m.example"]}).status_code == 204
    assert emails(ask("GET", path)) == ["bounces2@m.example"]
    assert ask("DELETE", path, json={"delete_all": True}).status_code == 204
    assert emails(ask("GET", path)) == []


def test_the_global_list_has_another_name_too(ask: Ask, send_mail: Send, mail: Mail, sandbox: httpx.Client) -> None:
    one = "/v3/asm/suppressions/global/ana@m.example"
    assert ask("GET", one).json() == {}
    added = ask("POST", "/v3/asm/suppressions/global", json={"recipient_emails": ["Ana@m.example"]})
    assert (added.status_code, added.json()) == (201, {"recipient_emails": ["ana@m.example"]})
    assert ask("GET", one).json() == {"recipient_email": "ana@m.example"}
    assert emails(ask("GET", "/v3/suppression/unsubscribes")) == ["ana@m.example"]
    send_mail(mail("ana@m.example"))
    assert sandbox.get("/sandbox/counts").json()["sendgrid"]["dropped"] == 1
    assert ask("DELETE", one).status_code == 204
    assert ask("GET", one).json() == {}
    assert ask("POST", "/v3/asm/suppressions/global", json={"recipient_emails": ["ana"]}).status_code == 400


def test_a_key_says_what_it_may_do(ask: Ask) -> None:
    scopes = ask("GET", "/v3/scopes").json()["scopes"]
    assert {"mail.send", "mail.batch.create", "user.scheduled_sends.create", "messages.read"} <= set(scopes)


def test_tracking_settings_are_read_and_changed(ask: Ask) -> None:
    """Clicks are tracked in a new account: this would rewrite personal links."""
    click = "/v3/tracking_settings/click"
    assert ask("GET", click).json() == {"enable_text": False, "enabled": True}
    assert ask("PATCH", click, json={"enabled": False}).json() == {"enable_text": False, "enabled": False}
    shown = {one["name"]: one["enabled"] for one in ask("GET", "/v3/tracking_settings").json()["result"]}
    assert shown == {"click": False, "open": True, "google_analytics": False, "subscription": False}
    assert ask("PATCH", click, json={"enabled": "no"}).status_code == 400
    assert ask("PATCH", click, json={"enabled": True}).json()["enabled"] is True
    assert set(ask("GET", "/v3/tracking_settings/subscription").json()) == {
        "enabled",
        "html_content",
        "landing",
        "plain_content",
        "replace",
        "url",
    }
