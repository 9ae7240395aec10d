"""Batch ids and scheduled sends: what was canceled in time is never delivered, what was canceled too late is."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

Ask = Callable[..., httpx.Response]
Send = Callable[..., httpx.Response]
Mail = Callable[..., dict[str, Any]]
Until = Callable[[Callable[[], Any]], Any]

HELD = "/v3/user/scheduled_sends"
HOUR = 3600


def received(sandbox: httpx.Client) -> list[str]:
    return sorted(one["to"] for one in sandbox.get("/sandbox/messages").json()["messages"])


def in_state(sandbox: httpx.Client, state: str) -> list[str]:
    return [one["to"] for one in sandbox.get("/sandbox/messages", params={"state": state}).json()["messages"]]


def pace(sandbox: httpx.Client, time_scale: float) -> None:
    sandbox.put("/sandbox/settings", json={"time_scale": time_scale}).raise_for_status()


@pytest.fixture
def batch(ask: Ask) -> str:
    made = ask("POST", "/v3/mail/batch")
    assert made.status_code == 201
    return str(made.json()["batch_id"])


@pytest.fixture
def schedule(send_mail: Send, mail: Mail, batch: str) -> Callable[..., httpx.Response]:
    """Send to one address, so many seconds ahead, in the batch."""

    def send(address: str = "ana@mail.example", *, ahead: int = HOUR) -> httpx.Response:
        return send_mail(mail(address, send_at=int(time.time()) + ahead, batch_id=batch))

    return send


def test_a_batch_id_is_valid_once_it_was_made(ask: Ask, batch: str) -> None:
    found = ask("GET", f"/v3/mail/batch/{batch}")
    assert (found.status_code, found.json()) == (200, {"batch_id": batch})
    assert ask("GET", "/v3/mail/batch/other").status_code == 400


def test_a_mail_of_an_unknown_batch_is_refused(sandbox: httpx.Client, send_mail: Send, mail: Mail) -> None:
    refused = send_mail(mail(batch_id="other"))
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "batch_id")
    assert received(sandbox) == []


def test_a_scheduled_mail_is_received_at_its_time_only(
    sandbox: httpx.Client, schedule: Callable[..., httpx.Response], until: Until
) -> None:
    schedule()
    assert (received(sandbox), in_state(sandbox, "scheduled")) == ([], ["ana@mail.example"])
    assert sandbox.get("/sandbox/counts").json()["sendgrid"]["messages"] == 0
    pace(sandbox, 36_000)
    schedule("bob@mail.example")
    until(lambda: received(sandbox) == ["bob@mail.example"])
    assert in_state(sandbox, "scheduled") == ["ana@mail.example"]
    assert sandbox.get("/sandbox/counts").json()["sendgrid"]["messages"] == 1


def test_one_recipient_may_have_a_time_of_its_own(sandbox: httpx.Client, send_mail: Send, mail: Mail) -> None:
    later = {"to": [{"email": "bob@mail.example"}], "send_at": int(time.time()) + HOUR}
    send_mail(mail(personalizations=[{"to": [{"email": "ana@mail.example"}]}, later]))
    assert (received(sandbox), in_state(sandbox, "scheduled")) == (["ana@mail.example"], ["bob@mail.example"])


def test_what_is_canceled_in_time_is_never_delivered(
    sandbox: httpx.Client, ask: Ask, schedule: Callable[..., httpx.Response], batch: str, until: Until
) -> None:
    """This is how a lost answer is settled: whatever was accepted under the batch id goes nowhere."""
    pace(sandbox, 3600)
    schedule(ahead=2 * HOUR)
    canceled = ask("POST", HELD, json={"batch_id": batch, "status": "cancel"})
    assert (canceled.status_code, canceled.json()) == (201, {"batch_id": batch, "status": "cancel"})
    until(lambda: in_state(sandbox, "canceled"))
    assert received(sandbox) == []
    ask("DELETE", f"{HELD}/{batch}")
    assert received(sandbox) == []


def test_a_mail_that_is_accepted_after_its_batch_was_canceled_goes_nowhere_either(
    sandbox: httpx.Client, ask: Ask, schedule: Callable[..., httpx.Response], batch: str, until: Until
) -> None:
    pace(sandbox, 3600)
    ask("POST", HELD, json={"batch_id": batch, "status": "cancel"}).raise_for_status()
    assert schedule().status_code == 202
    until(lambda: in_state(sandbox, "canceled"))
    assert received(sandbox) == []


def test_what_is_canceled_later_than_ten_minutes_before_is_sent_all_the_same(
    sandbox: httpx.Client, ask: Ask, schedule: Callable[..., httpx.Response], batch: str, until: Until
) -> None:
    pace(sandbox, 600)
    schedule(ahead=540)
    assert ask("POST", HELD, json={"batch_id": batch, "status": "cancel"}).status_code == 201
    until(lambda: received(sandbox) == ["ana@mail.example"])


def test_what_is_paused_waits_until_it_is_let_go(
    sandbox: httpx.Client,
    ask: Ask,
    schedule: Callable[..., httpx.Response],
    send_mail: Send,
    mail: Mail,
    batch: str,
    until: Until,
) -> None:
    pace(sandbox, 36_000)
    ask("POST", HELD, json={"batch_id": batch, "status": "pause"}).raise_for_status()
    schedule()
    send_mail(mail("bob@mail.example", send_at=int(time.time()) + 2 * HOUR))
    until(lambda: received(sandbox) == ["bob@mail.example"])  # which was due later
    assert ask("DELETE", f"{HELD}/{batch}").status_code == 204
    until(lambda: received(sandbox) == ["ana@mail.example", "bob@mail.example"])


def test_what_is_paused_for_three_days_is_discarded(
    sandbox: httpx.Client, ask: Ask, schedule: Callable[..., httpx.Response], batch: str, until: Until
) -> None:
    pace(sandbox, 360_000)
    ask("POST", HELD, json={"batch_id": batch, "status": "pause"}).raise_for_status()
    schedule(ahead=10 * HOUR)
    until(lambda: in_state(sandbox, "canceled"))
    found = sandbox.get("/sandbox/messages", params={"state": "canceled"}).json()["messages"]
    assert [one["reason"] for one in found] == ["Expired"]


def test_only_ten_batches_can_be_held_at_a_time(ask: Ask) -> None:
    batches = [ask("POST", "/v3/mail/batch").json()["batch_id"] for _ in range(11)]
    answers = [ask("POST", HELD, json={"batch_id": one, "status": "cancel"}).status_code for one in batches]
    assert answers == [201] * 10 + [400]
    ask("DELETE", f"{HELD}/{batches[0]}").raise_for_status()
    assert ask("POST", HELD, json={"batch_id": batches[10], "status": "pause"}).status_code == 201
    assert len(ask("GET", HELD).json()) == 10


def test_a_hold_is_shown_changed_and_taken_away(ask: Ask, batch: str) -> None:
    one = f"{HELD}/{batch}"
    assert ask("GET", one).json() == []
    assert ask("PATCH", one, json={"status": "pause"}).status_code == 404
    ask("POST", HELD, json={"batch_id": batch, "status": "pause"})
    assert ask("POST", HELD, json={"batch_id": batch, "status": "cancel"}).status_code == 400
    assert ask("PATCH", one, json={"status": "cancel"}).status_code == 204
    assert ask("GET", one).json() == ask("GET", HELD).json() == [{"batch_id": batch, "status": "cancel"}]
    assert (ask("DELETE", one).status_code, ask("DELETE", one).status_code) == (204, 404)


@pytest.mark.parametrize("body", [{}, [], {"status": "cancel"}, {"batch_id": 1, "status": "cancel"}, {"batch_id": "x"}])
def test_a_hold_that_is_not_understood_is_refused(ask: Ask, body: object) -> None:
    assert ask("POST", HELD, json=body).status_code == 400


def test_a_fault_may_strike_a_cancellation(sandbox: httpx.Client, ask: Ask, batch: str) -> None:
    plan = {"sendgrid": [{"kind": "5xx_after", "on": "hold"}]}
    sandbox.put("/sandbox/faults", json=plan).raise_for_status()
    assert ask("POST", HELD, json={"batch_id": batch, "status": "cancel"}).status_code >= 500
    assert ask("GET", HELD).json() == [{"batch_id": batch, "status": "cancel"}]
