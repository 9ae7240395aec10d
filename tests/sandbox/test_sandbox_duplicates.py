"""Who got it twice: the one question that every test of a sender ends with."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

Ask = Callable[..., httpx.Response]
Send = Callable[..., httpx.Response]
Mail = Callable[..., dict[str, Any]]

NONE = {"recipients": 0, "messages": 0, "examples": []}


def doubled(sandbox: httpx.Client, **query: str | int) -> dict[str, Any]:
    return dict(sandbox.get("/sandbox/duplicates", params=query).raise_for_status().json())


@pytest.fixture
def write(send_mail: Send, mail: Mail) -> Callable[..., str]:
    """Send one link to one person; the id of the request."""

    def send(address: str, link: str, *, batch: str = "b1", **more: object) -> str:
        block = {
            "to": [{"email": address}],
            "substitutions": {"-l-": f"https://go.example/{link}"},
            "custom_args": {"bs_batch": batch},
        }
        content = [{"type": "text/plain", "value": "Go to -l-. See https://acme.example/privacy"}]
        return str(send_mail(mail(personalizations=[block], content=content, **more)).headers["X-Message-Id"])

    return send


def test_one_message_each_is_no_duplicate(sandbox: httpx.Client, write: Callable[..., str], send_sms: Send) -> None:
    write("ana@m.example", "a")
    write("bob@m.example", "b")
    write("ana@m.example", "c", batch="b2")
    send_sms({"Body": "Go https://go.example/a"})
    send_sms({"Body": "Go https://go.example/c"})
    assert doubled(sandbox) == {"by_link": NONE, "by_batch": NONE}


def test_the_same_link_twice_is_one(sandbox: httpx.Client, write: Callable[..., str]) -> None:
    first, second = write("ana@m.example", "a"), write("ANA@m.example", "a")
    write("bob@m.example", "b")
    found = doubled(sandbox)
    assert found["by_link"] == {
        "recipients": 1,
        "messages": 1,
        "examples": [
            {
                "provider": "sendgrid",
                "to": "ana@m.example",
                "batch": "b1",
                "links": ["https://acme.example/privacy", "https://go.example/a"],
                "requests": [first, second],
            }
        ],
    }
    assert found["by_batch"]["recipients"] == 1


def test_two_links_in_one_batch_are_told_apart_from_one_link_twice(
    sandbox: httpx.Client, write: Callable[..., str]
) -> None:
    for link in "abc":
        write("ana@m.example", link)
    found = doubled(sandbox)
    assert found["by_link"] == NONE
    assert (found["by_batch"]["recipients"], found["by_batch"]["messages"]) == (1, 2)
    assert doubled(sandbox, batch="b2")["by_batch"] == NONE


def test_an_sms_is_doubled_by_its_link(sandbox: httpx.Client, send_sms: Send) -> None:
    for _ in range(3):
        send_sms()
    found = doubled(sandbox, limit=0)
    assert found["by_link"] == {"recipients": 1, "messages": 2, "examples": []}


def test_what_was_dropped_or_discarded_was_not_received_twice(
    sandbox: httpx.Client, ask: Ask, write: Callable[..., str], until: Callable[..., Any]
) -> None:
    """A canceled batch that is sent again under a new id is what a careful sender does."""

    def states() -> list[str]:
        found = sandbox.get("/sandbox/messages", params={"state": "all"}).json()["messages"]
        return [one["state"] for one in found]

    sandbox.put("/sandbox/settings", json={"time_scale": 36_000}).raise_for_status()
    batch = ask("POST", "/v3/mail/batch").json()["batch_id"]
    ask("POST", "/v3/user/scheduled_sends", json={"batch_id": batch, "status": "cancel"}).raise_for_status()
    write("ana@m.example", "a", batch_id=batch, send_at=int(time.time()) + 3600)
    write("ana@m.example", "a")
    until(lambda: states() == ["received", "canceled"])
    sandbox.put("/sandbox/suppressions", json={"sendgrid": ["ana@m.example"]}).raise_for_status()
    write("ana@m.example", "a")
    assert states() == ["dropped", "received", "canceled"]
    assert doubled(sandbox) == {"by_link": NONE, "by_batch": NONE}
