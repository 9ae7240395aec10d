"""Twilio: what a message holds, and what each answer proves."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import parse_qs

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from channels import twilio
from channels.people import Label
from channels.twilio import Twilio, classify, classify_fault, compose
from domain.outcomes import Outcome, OutcomeKind
from domain.processes import SmsOutput
from tests.factories import personal
from tests.servers import Answer, nowhere, serving

# Twilio's client uses it; gone in aiohttp 4, which Twilio's client does not take either.
pytestmark = [
    pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The 'auth' parameter is deprecated:DeprecationWarning"),
]

LINK = "https://go.acme.example/l/abc_-123"
OUTPUT = SmsOutput.model_validate({"from": "+15005550006", "text": "{{ name }}: {{ link }}"})
ANN = personal((2, "+447700900001", {"name": "Ann <b>", "link": LINK}))
BATCH = "b" * 32
A, L, N, S, D = (
    OutcomeKind.ACCEPTED,
    OutcomeKind.TRY_LATER,
    OutcomeKind.RECIPIENT_REFUSED,
    OutcomeKind.ACCOUNT_REFUSED,
    OutcomeKind.IN_DOUBT,
)


def composed(output: SmsOutput = OUTPUT) -> dict[str, str]:
    return compose(output, ANN, [Label(BATCH, 7)], base="https://go.acme.example")[0]


def error(status: int, code: int) -> bytes:
    return json.dumps(
        {"code": code, "message": "To +447700900001 is bad", "more_info": "https://x.example", "status": status}
    ).encode()


# What an answer proves


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        *[(400, code, N) for code in (21211, 21265, 21408, 21610, 21612, 21614, 21617, 21635)],
        *[(401, code, S) for code in (20003, 20005, 20008)],
        *[(403, code, S) for code in (20003, 20006)],
        *[(400, code, S) for code in (20001, 21212, 21401, 21606, 21608, 21660, 21703, 21705)],
        *[(400, code, S) for code in (21602, 21603, 21604, 21609, 35111, 35118)],
        (400, 99999, S),
        (400, None, S),
        (404, 20404, S),
        (404, 404, S),
        (429, 20429, L),
        (429, None, L),
        (400, 20429, L),
        (400, 21611, L),
        *[(status, code, D) for status in (500, 502, 503, 504, 599) for code in (None, status, 20500)],
        (503, 20503, D),
        # The status goes before the code: behind a 5xx even a final code proves nothing.
        (500, 21211, D),
        (500, 20429, D),
    ],
)
def test_a_status_and_a_code_prove(status: int, code: int | None, kind: OutcomeKind) -> None:
    found = classify(status, code)

    assert (found.kind, found.http_status, found.code) == (kind, status, str(code or status))
    assert found.member == (0 if kind is N else None)


@pytest.mark.parametrize(
    ("code", "asked", "seconds"),
    [
        (20429, "5", 5.0),
        (20429, "0.5", 0.5),
        (20429, None, None),
        (20429, "tomorrow", None),
        (20429, "-3", None),
        (21611, None, 120.0),
        (21611, "5", 120.0),
        (21611, "300", 300.0),
    ],
)
def test_the_wait_that_is_asked_for_is_told(code: int, asked: str | None, seconds: float | None) -> None:
    """A full queue takes minutes to empty, whatever it says."""
    assert classify(429, code, retry_after=asked).retry_after == seconds


@pytest.mark.parametrize(
    ("code", "sentence"),
    [(20003, "Twilio refused the credentials (error 20003)"), (99999, "Twilio refused the call (error 99999)")],
)
def test_a_refused_account_says_what_to_mend(code: int, sentence: str) -> None:
    detail = classify(400, code).detail or ""

    assert sentence in detail
    assert "resume the batch" in detail


KEY = ConnectionKey("127.0.0.1", 1, False, False, None, None, None)  # noqa: FBT003  as aiohttp orders them


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (aiohttp.ClientConnectorError(KEY, ConnectionRefusedError()), L),
        (aiohttp.ClientConnectorDNSError(KEY, OSError()), L),
        (aiohttp.ServerDisconnectedError(), D),
        (aiohttp.ClientOSError(), D),
        (aiohttp.ClientPayloadError(), D),
        (aiohttp.ServerTimeoutError(), D),
        (TimeoutError(), D),
        (ConnectionResetError(), D),
        (ConnectionRefusedError(), D),
        (json.JSONDecodeError("x", "x", 0), D),
        (ValueError(), D),
    ],
)
def test_a_fault_proves(fault: Exception, kind: OutcomeKind) -> None:
    found = classify_fault(fault)

    assert (found.kind, found.code) == (kind, type(fault).__name__)


# What a message holds


def test_a_message_is_filled_as_it_is() -> None:
    assert composed() == {
        "to": "+447700900001",
        "from_": "+15005550006",
        "body": f"Ann <b>: {LINK}",
        "status_callback": f"https://go.acme.example/webhooks/twilio/{BATCH}/7",
    }


@pytest.mark.parametrize(
    ("sender", "name"),
    [
        ("MG" + "0123456789abcdef" * 2, "messaging_service_sid"),
        ("MG" + "0123456789abcdef" * 2 + "0", "from_"),
        ("MG" + "0123456789ABCDEF" * 2, "from_"),
        ("MGMT", "from_"),
        ("Acme", "from_"),
        ("+15005550006", "from_"),
    ],
)
def test_a_sender_is_a_messaging_service_only_if_it_looks_like_one(sender: str, name: str) -> None:
    assert composed(OUTPUT.model_copy(update={"sender": sender}))[name] == sender


def test_the_same_message_has_the_same_digest_and_another_has_another() -> None:
    message = composed()

    assert twilio.digest(message) == twilio.digest(dict(reversed(message.items())))
    assert twilio.digest(message) != twilio.digest({**message, "body": "other"})


# Twilio's own client against a server


def send(url: str, *, times: int = 1, timeout_seconds: float = 5) -> list[Outcome]:
    async def run() -> list[Outcome]:
        client = Twilio(account_sid="AC1", auth_token="token", host=url, timeout_seconds=timeout_seconds, connections=2)
        try:
            return await asyncio.gather(*[client.send(composed()) for _ in range(times)])
        finally:
            await client.close()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(201, {}, b'{"sid": "SM1", "status": "queued"}'), Outcome(A, provider_id="SM1", http_status=201)),
        (
            Answer(400, {}, error(400, 21211)),
            Outcome(N, http_status=400, code="21211", detail="Twilio finds the number not valid.", member=0),
        ),
        (
            Answer(429, {"Retry-After": "4"}, error(429, 20429)),
            Outcome(L, http_status=429, code="20429", detail="Twilio asked to wait.", retry_after=4.0),
        ),
        (
            Answer(429, {}, b"<html>slow down"),
            Outcome(L, http_status=429, code="429", detail="Twilio asked to wait."),
        ),
        (
            Answer(500, {}, error(500, 20500)),
            Outcome(
                D,
                http_status=500,
                code="20500",
                detail="Twilio answered 500, which does not say whether it took the SMS.",
            ),
        ),
        (
            Answer(503, {}, b"<html>"),
            Outcome(
                D,
                http_status=503,
                code="503",
                detail="Twilio answered 503, which does not say whether it took the SMS.",
            ),
        ),
    ],
)
def test_one_message_is_one_request_and_its_answer_is_understood(answer: Answer, expected: Outcome) -> None:
    with serving(answer) as server:
        assert send(server.url) == [expected]
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Answer(hangs=True), "TimeoutError"),
        (Answer(resets=True), None),
        (Answer(201, {}, b"garbage"), "JSONDecodeError"),
        (Answer(201, {}, b"{}"), "no_sid"),
        (Answer(201, {}, b'{"sid": null}'), "no_sid"),
        (Answer(201, {}, b'["list"]'), None),
        (Answer(201, {}, b'{"sid"', claims=99), None),
    ],
)
def test_a_message_whose_answer_is_lost_is_in_doubt_and_not_repeated(answer: Answer, code: str | None) -> None:
    with serving(answer) as server:
        (found,) = send(server.url, timeout_seconds=1)
    assert found.kind is D
    assert code in (None, found.code)
    assert len(server.asked) == 1


def test_a_server_that_is_not_there_can_be_asked_later() -> None:
    assert send(nowhere())[0].kind is L


def test_a_message_is_what_was_composed_under_the_account() -> None:
    with serving(Answer(201, {}, b'{"sid": "SM1"}')) as server:
        send(server.url + "/")
    asked = server.asked[0]

    assert asked.path == "/2010-04-01/Accounts/AC1/Messages.json"
    assert asked.headers["Authorization"].startswith("Basic ")
    assert parse_qs(asked.body.decode()) == {
        "To": ["+447700900001"],
        "From": ["+15005550006"],
        "Body": [f"Ann <b>: {LINK}"],
        "StatusCallback": [composed()["status_callback"]],
    }


@pytest.mark.parametrize("variable", ["TWILIO_REGION", "TWILIO_EDGE"])
def test_the_environment_does_not_turn_the_host_into_another(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "au1")
    with serving(Answer(201, {}, b'{"sid": "SM1"}')) as server:
        assert send(server.url)[0].kind is A
    assert len(server.asked) == 1


def test_messages_side_by_side_are_one_request_each() -> None:
    with serving(Answer(201, {}, b'{"sid": "SM1"}')) as server:
        assert [one.kind for one in send(server.url, times=9)] == [A] * 9
    assert len(server.asked) == 9


def test_the_token_and_the_texts_are_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with serving(Answer(400, {}, error(400, 21211))) as server:
        found = send(server.url)

    for private in ("+447700900001", "7700900001", LINK, "Basic "):
        assert private not in caplog.text
        assert private not in str(found)
