"""Asking the providers whether they have a request: an answer counts only if it is one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from channels.people import Label, Person
from channels.sendgrid import SendGrid
from channels.twilio import Twilio
from domain.doubts import Sighting
from tests.servers import Answer, Asked, nowhere, serving

# Of what twilio's client hands to aiohttp.
pytestmark = [
    pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The 'auth' parameter is deprecated:DeprecationWarning"),
]
LABEL = Label("b" * 32, 7)
ASKED_AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LINK = "https://go.acme.example/l/abc_-123"
PEOPLE = [Person(f"p{number}@mail.example", LINK + str(number)) for number in range(5)]
JSON = {"Content-Type": "application/json"}
MESSAGE_ID = "Xj5LmNkWSOqRbdvOpR34BA.recvd-85abf8d92c-3qfgp-2-7890E356-43C.1"
REQUEST_ID = "Xj5LmNkWSOqRbdvOpR34BA"

Script = Answer | Callable[[Asked], Answer]


def said(content: Any, status: int = 200) -> Answer:
    return Answer(status, JSON, json.dumps(content).encode())


def email(url: str, people: list[Person] = PEOPLE) -> Sighting:
    async def run() -> Sighting:
        client = SendGrid(api_key="SG.key", host=url, timeout_seconds=1, connections=1)
        try:
            return await client.find(LABEL, people, asked_at=ASKED_AT)
        finally:
            await client.close()

    return asyncio.run(run())


def sms(url: str) -> Sighting:
    async def run() -> Sighting:
        client = Twilio(account_sid="AC" + "0" * 32, auth_token="t", host=url, timeout_seconds=1, connections=1)
        try:
            return await client.find(LABEL, [Person("+447700900001", LINK)], asked_at=ASKED_AT)
        finally:
            await client.close()

    return asyncio.run(run())


# SendGrid: Email Activity


def test_a_request_is_asked_for_by_our_own_id() -> None:
    with serving(said({"messages": [{"msg_id": MESSAGE_ID}]})) as server:
        assert email(server.url) == Sighting("Email Activity", found=True, provider_id=REQUEST_ID)
    asked = urlsplit(server.asked[0].path)
    assert asked.path == "/v3/messages"
    assert parse_qs(asked.query) == {"query": [f"unique_args['bs_unit']=\"{LABEL.unit}\""], "limit": ["1"]}
    assert len(server.asked) == 1


def test_an_empty_list_is_a_silence() -> None:
    with serving(said({"messages": []})) as server:
        assert email(server.url) == Sighting("Email Activity", found=False)


@pytest.mark.parametrize(
    "answer",
    [
        said({}),
        said([]),
        said({"messages": None}),
        Answer(200, JSON, b"half", claims=99),
        Answer(200, JSON, b"<html>"),
        said({}, 500),
        said({}, 503),
        Answer(resets=True),
        Answer(hangs=True),
    ],
)
def test_whatever_is_no_list_is_no_answer(answer: Answer) -> None:
    with serving(answer) as server:
        found = email(server.url)
    assert (found.source, found.found, found.blocked) == ("Email Activity", None, False)
    assert found.detail


def test_a_server_that_is_not_there_is_no_answer() -> None:
    assert email(nowhere()).found is None
    assert sms(nowhere()).found is None


def test_too_many_questions_are_no_answer_to_any() -> None:
    with serving(said({}, 429)) as server:
        assert email(server.url).blocked
        assert sms(server.url).blocked


# SendGrid: Email Logs, where the account has no Email Activity


def logs(listed: dict[str, list[str]], units: dict[str, str], *, activity: int = 403) -> Callable[[Asked], Answer]:
    """An account without Email Activity: messages by address, and the unit of each message."""

    def answer(asked: Asked) -> Answer:
        path = unquote(urlsplit(asked.path).path)
        if path == "/v3/messages":
            return said({"errors": [{"message": "access forbidden"}]}, activity)
        if path == "/v3/logs":
            query = json.loads(asked.body)["query"]
            assert query.endswith('AND sg_message_id_created_at >= TIMESTAMP "2026-03-01T11:55:00Z"')
            address = query.split("'")[1]
            return said({"messages": [{"sg_message_id": one} for one in listed.get(address, [])]})
        return said({"custom_args": {"bs_unit": units[path.removeprefix("/v3/logs/")]}})

    return answer


@pytest.mark.parametrize("activity", [400, 401, 402, 403, 404])
def test_without_email_activity_a_member_s_messages_are_read_one_by_one(activity: int) -> None:
    listed = {"p1@mail.example": ["other.1", MESSAGE_ID]}
    units = {"other.1": "another-1", MESSAGE_ID: LABEL.unit}
    with serving(logs(listed, units, activity=activity)) as server:
        assert email(server.url) == Sighting("Email Logs", found=True, provider_id=REQUEST_ID)


def test_messages_of_other_requests_are_a_silence() -> None:
    listed = {"p0@mail.example": ["other.1"]}
    with serving(logs(listed, {"other.1": "another-1"})) as server:
        assert email(server.url) == Sighting("Email Logs", found=False)
    assert sum(asked.path == "/v3/logs" for asked in server.asked) == 3


def test_arguments_may_stand_at_an_event() -> None:
    def answer(asked: Asked) -> Answer:
        if asked.path == "/v3/logs":
            return said({"messages": [{"sg_message_id": MESSAGE_ID}]})
        if asked.path.startswith("/v3/logs/"):
            return said({"events": [{"event": "received"}, {"custom_args": {"bs_unit": LABEL.unit}}]})
        return said({}, 403)

    with serving(answer) as server:
        assert email(server.url).found


def test_more_messages_than_can_be_read_are_no_silence() -> None:
    listed = {"p0@mail.example": [f"m{number}" for number in range(21)]}
    with serving(logs(listed, dict.fromkeys(listed["p0@mail.example"], "another-1"))) as server:
        assert email(server.url).found is None


def test_an_address_that_the_query_cannot_hold_is_left_out() -> None:
    odd = [Person("o'neil@mail.example", LINK)]
    with serving(logs({}, {})) as server:
        assert email(server.url, odd).found is None
        assert not any(asked.path == "/v3/logs" for asked in server.asked)


# Twilio


def listed(*bodies: str | None, created: str = "Sun, 01 Mar 2026 12:00:00 +0000") -> Answer:
    messages = [{"sid": f"SM{number}", "body": body, "date_created": created} for number, body in enumerate(bodies)]
    return said({"messages": messages, "page": 0, "page_size": 50, "next_page_uri": None})


def test_an_sms_is_known_by_the_link_in_its_text() -> None:
    with serving(listed("Hello", f"Renew: {LINK} now")) as server:
        assert sms(server.url) == Sighting("Messages", found=True, provider_id="SM1")
    asked = urlsplit(server.asked[0].path)
    assert asked.path == f"/2010-04-01/Accounts/AC{'0' * 32}/Messages.json"
    query = parse_qs(asked.query)
    assert query["To"] == ["+447700900001"]
    assert not any(name.startswith("DateSent") for name in query)


def test_texts_without_the_link_are_a_silence() -> None:
    with serving(listed("Hello", "Renew: https://go.acme.example/l/other")) as server:
        assert sms(server.url) == Sighting("Messages", found=False)
    with serving(listed()) as server:
        assert sms(server.url) == Sighting("Messages", found=False)


def test_the_pages_after_the_first_are_read() -> None:
    def answer(asked: Asked) -> Answer:
        if "Page=1" in asked.path:
            return listed(f"Renew: {LINK}")
        return said({"messages": [{"sid": "SM", "body": "x"}], "next_page_uri": "/2010-04-01/next.json?Page=1"})

    with serving(answer) as server:
        assert sms(server.url).found


def test_a_recent_message_whose_text_is_hidden_is_no_silence() -> None:
    with serving(listed(None, "Hello")) as server:
        assert sms(server.url).found is None
    with serving(listed(None, created="Sun, 01 Feb 2026 12:00:00 +0000")) as server:
        assert sms(server.url).found is False


@pytest.mark.parametrize("answer", [said({}, 500), said({}, 401), Answer(resets=True), Answer(200, JSON, b"half")])
def test_whatever_is_no_list_of_messages_is_no_answer(answer: Answer) -> None:
    with serving(answer) as server:
        found = sms(server.url)
    assert (found.found, found.blocked) == (None, False)
    assert found.detail
    assert "+44" not in found.detail
