"""What becomes of messages: told by the address, set by hand, drawn by chance; the same again for the same seed."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from sandbox import fates
from sandbox.fates import FateRefused, Fates

Ask = Callable[..., httpx.Response]
Send = Callable[..., httpx.Response]
Mail = Callable[..., dict[str, Any]]
Until = Callable[[Callable[[], Any]], Any]

SID = "AC" + "0" * 32
AUTH = (SID, "sandbox")


@pytest.mark.parametrize(
    ("address", "fate"),
    [
        ("bounce@m.example", "bounce"),
        ("Bounce+7@m.example", "bounce"),
        ("bounce7@m.example", "bounce"),
        ("bounce.me@m.example", "bounce"),
        ("bouncer@m.example", ""),
        ("dropbox@m.example", ""),
        ("ana.bounce@m.example", ""),
        ("latebounce-1@m.example", "latebounce"),
        ("ana@bounce.example", ""),
    ],
)
def test_an_email_address_tells_its_fate_by_its_first_word(address: str, fate: str) -> None:
    assert Fates().of_email(address) == fate


@pytest.mark.parametrize(
    ("number", "fate"),
    [
        ("+15005553003", "30003"),
        ("+15005553500", "30500"),
        ("+15005559000", "silent"),
        ("+15005550006", ""),
        ("+447700930003", ""),
    ],
)
def test_a_number_of_the_magic_range_tells_its_code(number: str, fate: str) -> None:
    assert Fates().of_sms(number) == fate


def test_a_fate_set_by_hand_goes_before_the_rule() -> None:
    chosen = Fates(addresses={"bounce@m.example": "spam", "ana@m.example": "block", "+447700900001": "30005"})
    assert chosen.of_email("Bounce@m.example") == "spam"
    assert chosen.of_email("ana@m.example") == "block"
    assert chosen.of_sms("+447700900001") == "30005"


def test_chance_meets_about_its_share_and_the_same_people_again() -> None:
    people = [f"p{number}@m.example" for number in range(2000)]

    def drawn(seed: int) -> list[str]:
        chosen = Fates(seed=seed, fractions={"sendgrid": {"bounce": 0.1, "spam": 0.05}})
        return [chosen.of_email(one) for one in people]

    first = drawn(1)
    assert first == drawn(1) != drawn(2)
    assert 150 < first.count("bounce") < 250
    assert 60 < first.count("spam") < 140


def test_a_bounce_is_not_received_and_ends_on_the_list(
    sandbox: httpx.Client, ask: Ask, send_mail: Send, mail: Mail
) -> None:
    send_mail(mail("bounce@m.example", "block@m.example", "ana@m.example"))
    assert [one["to"] for one in sandbox.get("/sandbox/messages").json()["messages"]] == ["ana@m.example"]
    assert [one["email"] for one in ask("GET", "/v3/suppression/bounces").json()] == ["bounce@m.example"]
    assert [one["email"] for one in ask("GET", "/v3/suppression/blocks").json()] == ["block@m.example"]
    send_mail(mail("bounce@m.example", "block@m.example"))
    states = sandbox.get("/sandbox/messages", params={"state": "all", "limit": 2}).json()["messages"]
    assert [one["state"] for one in states] == ["blocked", "dropped"]


def test_an_sms_that_is_not_delivered_says_why(sandbox: httpx.Client, send_sms: Send, until: Until) -> None:
    sandbox.put("/sandbox/settings", json={"delivery_seconds": 0}).raise_for_status()
    path = send_sms({"To": "+15005553005"}).json()["uri"]
    found = until(lambda: sandbox.get(path, auth=AUTH).json())
    assert (found["status"], found["error_code"], found["error_message"]) == (
        "undelivered",
        30005,
        "Unknown destination handset",
    )
    assert sandbox.get("/sandbox/messages").json()["messages"] == []


def test_what_was_accepted_before_keeps_its_fate(sandbox: httpx.Client, ask: Ask, send_mail: Send, mail: Mail) -> None:
    sandbox.put("/sandbox/settings", json={"time_scale": 1_000_000}).raise_for_status()
    send_mail(mail("ana@m.example"))
    plan = {"seed": 3, "addresses": {"ana@m.example": "bounce"}, "sendgrid": {"spam": 0.5}, "twilio": {"30008": 1}}
    assert sandbox.put("/sandbox/fates", json=plan).json() == plan
    assert sandbox.get("/sandbox/fates").json() == plan
    send_mail(mail("ana@m.example"))
    statuses = [one["status"] for one in ask("POST", "/v3/logs", json={}).json()["messages"]]
    assert statuses == ["bounced", "delivered"]


@pytest.mark.parametrize(
    "value",
    [
        [],
        {"colour": 1},
        {"seed": "1"},
        {"addresses": []},
        {"addresses": {"a@b.example": "lost"}},
        {"addresses": {"a@b.example": 1}},
        {"sendgrid": []},
        {"sendgrid": {"30003": 0.1}},
        {"twilio": {"bounce": 0.1}},
        {"sendgrid": {"bounce": 2}},
        {"sendgrid": {"bounce": 0.6, "spam": 0.6}},
    ],
)
def test_a_fate_that_cannot_be_is_refused_with_a_reason(sandbox: httpx.Client, value: object) -> None:
    with pytest.raises(FateRefused):
        fates.from_json(value)
    answer = sandbox.put("/sandbox/fates", json=value)
    assert (answer.status_code, bool(answer.json()["error"])) == (400, True)
