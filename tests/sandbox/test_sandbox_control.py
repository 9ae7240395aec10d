"""The sandbox's own JSON: what was received, searched and counted, and lists that are set."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

Send = Callable[..., httpx.Response]
Mail = Callable[..., dict[str, Any]]

NOTHING = {"requests": 0, "accepted": 0, "messages": 0, "dropped": 0}


def addresses(sandbox: httpx.Client, **query: str | int) -> list[str]:
    found = sandbox.get("/sandbox/messages", params=query)
    return [one["to"] for one in found.raise_for_status().json()["messages"]]


def test_health_says_that_it_is_not_the_real_thing(sandbox: httpx.Client, sandbox_url: str) -> None:
    assert sandbox.get("/sandbox/health").json() == {
        "status": "ok",
        "url": sandbox_url,
        "note": "nothing is really sent",
    }


def test_messages_are_found_by_what_one_knows_of_them(
    sandbox: httpx.Client, send_mail: Send, send_sms: Send, mail: Mail
) -> None:
    send_mail(mail("ana@mail.example", "bob_b@mail.example", custom_args={"bs_batch": "7"}))
    send_mail(mail("cyd@mail.example", custom_args={"batch": "8"}))
    send_sms()
    assert addresses(sandbox) == ["+447700900001", "cyd@mail.example", "bob_b@mail.example", "ana@mail.example"]
    assert addresses(sandbox, to="ANA@mail.example") == ["ana@mail.example"]
    assert addresses(sandbox, to="ana") == []
    assert addresses(sandbox, contains="_b@MAIL") == ["bob_b@mail.example"]
    assert addresses(sandbox, contains="%") == []
    assert addresses(sandbox, batch="7") == ["bob_b@mail.example", "ana@mail.example"]
    assert addresses(sandbox, batch="8") == ["cyd@mail.example"]
    assert addresses(sandbox, provider="twilio") == ["+447700900001"]
    assert addresses(sandbox, limit=1, offset=1) == ["cyd@mail.example"]
    assert addresses(sandbox, to="' OR 1=1 --") == []


def test_clearing_empties_messages_and_counts_only(
    sandbox: httpx.Client, send_mail: Send, send_sms: Send, mail: Mail
) -> None:
    sandbox.put("/sandbox/suppressions", json={"twilio": ["+447700900009"]}).raise_for_status()
    send_mail(mail())
    send_sms()
    assert sandbox.delete("/sandbox/messages").status_code == 204
    assert addresses(sandbox, state="all") == []
    assert sandbox.get("/sandbox/counts").json() == {"sendgrid": NOTHING, "twilio": NOTHING}
    assert sandbox.get("/sandbox/suppressions").json()["twilio"] == [{"address": "+447700900009", "reason": "STOP"}]


def test_suppressions_are_replaced_and_cleared(sandbox: httpx.Client) -> None:
    sandbox.put("/sandbox/suppressions", json={"sendgrid": ["A@b.example"]}).raise_for_status()
    shown = sandbox.put("/sandbox/suppressions", json={"twilio": ["+447700900009"]}).json()
    assert shown == {"sendgrid": [], "twilio": [{"address": "+447700900009", "reason": "STOP"}]}
    assert sandbox.delete("/sandbox/suppressions").status_code == 204
    assert sandbox.get("/sandbox/suppressions").json() == {"sendgrid": [], "twilio": []}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("faults", b"{"),
        ("suppressions", b"{"),
        ("suppressions", b"[]"),
        ("suppressions", b'{"sendgrid": "a@b.example"}'),
        ("suppressions", b'{"sendgrid": [1]}'),
        ("suppressions", b'{"sendgrid": [{"reason": "x"}]}'),
        ("suppressions", b'{"mailgun": []}'),
        ("settings", b"[]"),
        ("settings", b'{"colour": 1}'),
        ("settings", b'{"verified_senders": "x"}'),
        ("settings", b'{"delivery_seconds": -1}'),
        ("settings", b'{"delivery_seconds": true}'),
    ],
)
def test_what_is_not_understood_is_refused_with_a_reason(sandbox: httpx.Client, name: str, content: bytes) -> None:
    answer = sandbox.put(f"/sandbox/{name}", content=content)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_an_unknown_path_is_json(sandbox: httpx.Client) -> None:
    assert sandbox.get("/sandbox/nothing").json() == {"error": "Not Found"}
    assert sandbox.post("/sandbox/counts").json() == {"error": "Method Not Allowed"}
