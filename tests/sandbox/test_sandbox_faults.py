"""Faults: each does what it says, to the requests it says, and the same again for the same seed."""

import errno
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import sendgrid
import twilio.rest
from twilio.base.exceptions import TwilioRestException

from sandbox import faults
from sandbox.faults import Fault, FaultRefused, Plan

Send = Callable[..., httpx.Response]
Mail = Callable[..., dict[str, Any]]

SID = "AC" + "0" * 32
AUTH = (SID, "sandbox")
MESSAGES = f"/2010-04-01/Accounts/{SID}/Messages.json"


@pytest.fixture
def switch(sandbox: httpx.Client) -> Callable[..., None]:
    """Set the faults of both providers to one fault, or to none."""

    def set_fault(**fault: object) -> None:
        sandbox.put("/sandbox/faults", json={"sendgrid": [fault], "twilio": [fault]}).raise_for_status()

    return set_fault


@pytest.fixture(params=["sendgrid", "twilio"])
def attempt(request: pytest.FixtureRequest, send_mail: Send, send_sms: Send, mail: Mail) -> Send:
    """Send one message by either provider."""
    return send_sms if request.param == "twilio" else lambda **options: send_mail(mail(), **options)


def received(sandbox: httpx.Client) -> int:
    return len(sandbox.get("/sandbox/messages").json()["messages"])


def requests(sandbox: httpx.Client) -> int:
    return sum(one["requests"] for one in sandbox.get("/sandbox/counts").json().values())


@pytest.mark.parametrize(
    ("fault", "status", "messages"),
    [
        ({"kind": "429"}, 429, 0),
        ({"kind": "401"}, 401, 0),
        ({"kind": "bad_credentials"}, 401, 0),
        ({"kind": "5xx_before", "status": 502}, 502, 0),
        ({"kind": "5xx_after", "status": 503}, 503, 1),
        ({"kind": "5xx_after", "status": 599}, 599, 1),
    ],
)
def test_an_answer_instead_of_the_right_one(
    sandbox: httpx.Client,
    switch: Callable[..., None],
    attempt: Send,
    fault: dict[str, object],
    status: int,
    messages: int,
) -> None:
    switch(**fault)
    answer = attempt()
    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith("text/html" if status >= 500 else "application/json")
    assert (received(sandbox), requests(sandbox)) == (messages, 1)


@pytest.mark.parametrize(("kind", "messages"), [("reset_before", 0), ("reset_after", 1)])
def test_the_connection_is_reset(
    sandbox: httpx.Client, switch: Callable[..., None], attempt: Send, kind: str, messages: int
) -> None:
    switch(kind=kind)
    with pytest.raises(httpx.ReadError) as broken:
        attempt()
    assert _number_of(broken.value) == errno.ECONNRESET
    assert (received(sandbox), requests(sandbox)) == (messages, 1)


def _number_of(error: BaseException | None) -> int | None:
    while error is not None:
        if isinstance(error, OSError):
            return error.errno
        error = error.__cause__ or error.__context__
    return None


@pytest.mark.parametrize(("kind", "messages"), [("hang_before", 0), ("hang_after", 1)])
def test_no_answer_comes(
    sandbox: httpx.Client, switch: Callable[..., None], attempt: Send, kind: str, messages: int
) -> None:
    switch(kind=kind, seconds=30)
    with pytest.raises(httpx.ReadTimeout):
        attempt(timeout=0.1)
    assert (received(sandbox), requests(sandbox)) == (messages, 1)


def test_a_hang_ends_with_a_dropped_connection(switch: Callable[..., None], attempt: Send) -> None:
    switch(kind="hang_after", seconds=0.05)
    with pytest.raises(httpx.ReadError):
        attempt()


def test_half_an_answer_is_cut_in_the_body(sandbox: httpx.Client, switch: Callable[..., None], attempt: Send) -> None:
    switch(kind="half_answer")
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        attempt()
    assert (received(sandbox), requests(sandbox)) == (1, 1)


def test_half_an_answer_to_a_refused_request_is_half_a_refusal(
    sandbox: httpx.Client, switch: Callable[..., None], send_sms: Send
) -> None:
    switch(kind="half_answer")
    with pytest.raises(httpx.RemoteProtocolError):
        send_sms({"To": "nobody"})
    assert (received(sandbox), requests(sandbox)) == (0, 1)


def test_a_slow_answer_is_recorded_at_once(sandbox: httpx.Client, switch: Callable[..., None], attempt: Send) -> None:
    switch(kind="slow", latency_ms=30_000)
    with pytest.raises(httpx.ReadTimeout):
        attempt(timeout=0.1)
    assert received(sandbox) == 1


def test_a_slow_answer_is_a_right_answer(switch: Callable[..., None], attempt: Send) -> None:
    switch(kind="slow", latency_ms=60)
    started = time.monotonic()
    assert attempt().status_code in {201, 202}
    assert time.monotonic() - started >= 0.06


def test_a_slow_accept_comes_after_the_client_gave_up(
    sandbox: httpx.Client, switch: Callable[..., None], attempt: Send, until: Callable[..., Any]
) -> None:
    """Silence at first proves nothing: the message is taken into custody later."""
    switch(kind="slow_accept", seconds=0.5)
    with pytest.raises(httpx.ReadTimeout):
        attempt(timeout=0.1)
    assert received(sandbox) == 0
    until(lambda: received(sandbox) == 1)


def test_an_outage_stops_every_kind_of_call(
    sandbox: httpx.Client, switch: Callable[..., None], attempt: Send, until: Callable[..., Any]
) -> None:
    switch(kind="outage", lasts=1.5)
    assert attempt().status_code == 503
    assert sandbox.get("/v3/scopes", headers={"Authorization": "Bearer SG.sandbox"}).status_code == 503
    assert sandbox.get(MESSAGES, auth=AUTH).status_code == 503
    assert received(sandbox) == 0
    until(lambda: attempt().status_code in {201, 202})


def test_a_window_opens_and_closes_by_the_clock() -> None:
    value = {"twilio": [{"kind": "429", "starts_in": 10, "lasts": 5}]}
    plan = faults.from_json(value, seed=1, now=100.0)
    assert faults.to_json(plan)["twilio"] == value["twilio"]
    struck = [faults.decide(plan, "twilio", "send", now=now)[0].fault is not None for now in (105, 110, 114.9, 115)]
    assert struck == [False, True, True, False]
    kept = faults.from_stored(faults.stored(plan))
    assert kept == plan


@pytest.mark.parametrize("headers", [True, False])
def test_too_many_requests_with_and_without_headers(
    switch: Callable[..., None], send_mail: Send, send_sms: Send, mail: Mail, *, headers: bool
) -> None:
    switch(kind="429", retry_after=7, headers=headers)
    email, sms = send_mail(mail()), send_sms()
    assert sms.json()["code"] == 20429
    assert email.json()["errors"][0]["field"] is None
    assert (sms.headers.get("Retry-After") == "7") is headers
    assert {name: name in email.headers for name in ("X-RateLimit-Limit", "X-RateLimit-Reset")} == {
        "X-RateLimit-Limit": headers,
        "X-RateLimit-Reset": headers,
    }
    if headers:
        assert email.headers["X-RateLimit-Remaining"] == "0"
        assert 0 <= int(email.headers["X-RateLimit-Reset"]) - time.time() <= 8


def test_bad_credentials_also_fail_the_check(sandbox: httpx.Client, switch: Callable[..., None]) -> None:
    switch(kind="bad_credentials")
    assert sandbox.get("/v3/scopes", headers={"Authorization": "Bearer SG.sandbox"}).status_code == 401
    assert sandbox.get(f"/2010-04-01/Accounts/{SID}.json", auth=AUTH).json()["code"] == 20003


def test_credits_run_out_for_a_whole_request(
    sandbox: httpx.Client, switch: Callable[..., None], send_mail: Send, send_sms: Send, mail: Mail
) -> None:
    switch(kind="credits", left=3)
    assert send_mail(mail("a@b.example", "c@b.example")).status_code == 202
    refused = send_mail(mail("d@b.example", "e@b.example"))
    assert refused.status_code == 401
    assert refused.json() == {"errors": [{"message": "Maximum credits exceeded", "field": None, "help": None}]}
    assert send_mail(mail("d@b.example")).status_code == 202
    assert [send_sms().status_code for _ in range(4)] == [201, 201, 201, 403]
    assert sandbox.get("/sandbox/faults").json()["sendgrid"] == [{"kind": "credits"}]


def test_next_strikes_so_many_requests_and_is_gone(
    sandbox: httpx.Client, switch: Callable[..., None], send_sms: Send
) -> None:
    switch(kind="429", next=2)
    assert send_sms().status_code == 429
    assert sandbox.get("/sandbox/faults").json()["twilio"] == [{"kind": "429", "next": 1}]
    assert [send_sms().status_code for _ in range(2)] == [429, 201]
    assert sandbox.get("/sandbox/faults").json()["twilio"] == []


@pytest.mark.parametrize(("on", "sent", "listed"), [("send", 429, 200), ("read", 201, 429), ("all", 429, 429)])
def test_a_fault_strikes_sending_or_look_ups(
    sandbox: httpx.Client, switch: Callable[..., None], send_sms: Send, on: str, sent: int, listed: int
) -> None:
    switch(kind="429", on=on)
    assert send_sms().status_code == sent
    assert sandbox.get(MESSAGES, auth=AUTH).status_code == listed


def test_the_same_seed_strikes_the_same_requests(sandbox: httpx.Client, send_sms: Send) -> None:
    def statuses(seed: int) -> list[int]:
        plan = {"seed": seed, "twilio": [{"kind": "429", "fraction": 0.5}, {"kind": "5xx_after", "fraction": 0.3}]}
        sandbox.put("/sandbox/faults", json=plan).raise_for_status()
        return [send_sms().status_code for _ in range(30)]

    first = statuses(7)
    assert statuses(7) == first
    assert statuses(8) != first
    assert set(first) >= {201, 429}


def test_a_fraction_strikes_about_that_share() -> None:
    plan = Plan(seed=3, faults={"twilio": (Fault("429", fraction=0.2),)})
    struck = 0
    for _ in range(2000):
        verdict, plan = faults.decide(plan, "twilio", "send", now=0)
        struck += verdict.fault is not None
    assert 320 < struck < 480


def test_the_first_fault_that_strikes_wins_but_slow_adds_up() -> None:
    plan = Plan(
        faults={"twilio": (Fault("slow", latency_ms=5), Fault("429"), Fault("401"), Fault("slow", latency_ms=7))}
    )
    verdict, _ = faults.decide(plan, "twilio", "send", now=0)
    assert (verdict.fault, verdict.latency_ms) == (Fault("429"), 12)


def test_no_fault_of_one_provider_reaches_the_other(sandbox: httpx.Client, send_sms: Send) -> None:
    sandbox.put("/sandbox/faults", json={"sendgrid": [{"kind": "401"}]}).raise_for_status()
    assert send_sms().status_code == 201


@pytest.mark.parametrize(
    "plan",
    [
        [],
        {"mailgun": []},
        {"twilio": {}},
        {"twilio": ["429"]},
        {"twilio": [{"kind": "quake"}]},
        {"twilio": [{"kind": "429", "colour": "red"}]},
        {"twilio": [{"kind": "429", "fraction": 1.1}]},
        {"twilio": [{"kind": "429", "fraction": "1"}]},
        {"twilio": [{"kind": "429", "fraction": True}]},
        {"twilio": [{"kind": "429", "next": 0}]},
        {"twilio": [{"kind": "429", "next": 1, "fraction": 0.5}]},
        {"twilio": [{"kind": "429", "on": "weekends"}]},
        {"twilio": [{"kind": "5xx_after", "status": 404}]},
        {"twilio": [{"kind": "429", "lasts": -1}]},
        {"twilio": [{"kind": "429", "set_at": 1}]},
        {"twilio": [{"kind": "credits", "lasts": 1}]},
        {"seed": "x"},
    ],
)
def test_a_fault_that_cannot_be_is_refused_with_a_reason(sandbox: httpx.Client, plan: object) -> None:
    sandbox.put("/sandbox/faults", json={"twilio": [{"kind": "slow", "next": 3}]}).raise_for_status()
    with pytest.raises(FaultRefused):
        faults.from_json(plan, seed=1, now=0)
    answer = sandbox.put("/sandbox/faults", json=plan)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert sandbox.get("/sandbox/faults").json()["twilio"] == [{"kind": "slow", "next": 3}]


def test_faults_round_trip(sandbox: httpx.Client) -> None:
    plan = {
        "seed": 9,
        "sendgrid": [{"kind": "429", "fraction": 0.1, "headers": False}],
        "twilio": [{"kind": "hang_after", "next": 4, "on": "all", "seconds": 2.5}],
    }
    assert sandbox.put("/sandbox/faults", json=plan).json() == plan
    assert sandbox.get("/sandbox/faults").json() == plan
    sandbox.delete("/sandbox/faults")
    assert sandbox.get("/sandbox/faults").json() == {"seed": 9, "sendgrid": [], "twilio": []}


def test_others_are_served_while_one_hangs(sandbox: httpx.Client, switch: Callable[..., None], send_sms: Send) -> None:
    switch(kind="hang_before", next=1, seconds=30)
    hanging = threading.Thread(target=_give_up, args=(send_sms,))
    hanging.start()
    deadline = time.monotonic() + 5
    while sandbox.get("/sandbox/faults").json()["twilio"] and time.monotonic() < deadline:
        pass
    assert send_sms().status_code == 201
    hanging.join()


def _give_up(send: Send) -> None:
    with pytest.raises(httpx.ReadTimeout):
        send(timeout=0.5)


@pytest.fixture
def raw(sandbox_url: str) -> Iterator[socket.socket]:
    """A plain connection to the sandbox."""
    address = urlsplit(sandbox_url)
    assert address.hostname
    assert address.port
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        yield connection


def test_a_client_that_leaves_in_the_middle_of_its_body_does_no_harm(sandbox: httpx.Client, raw: socket.socket) -> None:
    raw.sendall(b"POST /v3/mail/send HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
    raw.close()
    assert sandbox.get("/sandbox/health").json()["status"] == "ok"


def test_the_real_clients_see_what_they_see_of_the_real_providers(
    sandbox: httpx.Client,
    switch: Callable[..., None],
    sendgrid_client: sendgrid.SendGridAPIClient,
    twilio_client: twilio.rest.Client,
    mail: Mail,
) -> None:
    """Without JSON in the answer, Twilio's client takes the HTTP status as the code."""
    switch(kind="5xx_after", status=503)
    with pytest.raises(TwilioRestException) as refused:
        twilio_client.messages.create(to="+447700900001", from_="Acme", body="x")
    assert (refused.value.status, refused.value.code) == (503, 503)
    switch(kind="reset_after")
    with pytest.raises(ConnectionResetError):
        sendgrid_client.client.mail.send.post(request_body=mail())
    assert received(sandbox) == 2
