"""Messages as Twilio plays them: codes, the resource, look-ups by recipient and day, cancel."""

import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest
import twilio.rest
from twilio.base.exceptions import TwilioRestException

from sandbox.segments import count_segments

Send = Callable[..., httpx.Response]
Fields = dict[str, str | None]

SID = "AC" + "0" * 32
AUTH = (SID, "sandbox")
MESSAGES = f"/2010-04-01/Accounts/{SID}/Messages.json"
SERVICE = "MG" + "a" * 32
LATER = (datetime.now(UTC) + timedelta(days=1)).isoformat()

REFUSED: list[tuple[int, Fields]] = [
    (21604, {"To": None}),
    (21603, {"From": None}),
    (21602, {"Body": None}),
    (21602, {"Body": ""}),
    (21617, {"Body": "x" * 1601}),
    (21211, {"To": "07700 900001"}),
    (21211, {"To": "+0447700900001"}),
    (21211, {"To": "447700900001"}),
    (21211, {"To": "+44770090000123456"}),
    (21211, {"To": "+15005550001"}),
    (21265, {"To": "12345"}),
    (21612, {"To": "+15005550002"}),
    (21408, {"To": "+15005550003"}),
    (21610, {"To": "+15005550004"}),
    (21614, {"To": "+15005550009"}),
    (21212, {"From": "+15005550001"}),
    (21212, {"From": "a name that is too long"}),
    (21606, {"From": "+15005550007"}),
    (21611, {"From": "+15005550008"}),
    (21705, {"From": None, "MessagingServiceSid": "MG1"}),
    (21609, {"StatusCallback": "http://my_host.example/x"}),
    (21609, {"StatusCallback": "ftp://host.example/x"}),
    (35118, {"ScheduleType": "fixed", "SendAt": LATER}),
    (35111, {"ScheduleType": "fixed", "MessagingServiceSid": SERVICE}),
    (35114, {"ScheduleType": "fixed", "MessagingServiceSid": SERVICE, "SendAt": "soon"}),
    (35117, {"ScheduleType": "fixed", "MessagingServiceSid": SERVICE, "SendAt": "2020-01-01T00:00:00Z"}),
]


@pytest.mark.parametrize(("code", "fields"), REFUSED)
def test_a_broken_rule_has_its_code(sandbox: httpx.Client, send_sms: Send, code: int, fields: Fields) -> None:
    answer = send_sms(fields)
    body = answer.json()
    assert set(body) == {"code", "message", "more_info", "status"}
    assert (body["code"], body["status"], answer.status_code) == (code, 400, 400)
    assert body["more_info"] == f"https://www.twilio.com/docs/errors/{code}"
    assert sandbox.get("/sandbox/counts").json()["twilio"] == {
        "requests": 1,
        "accepted": 0,
        "messages": 0,
        "dropped": 0,
    }


def test_a_hostile_number_in_an_error_stays_text(send_sms: Send) -> None:
    assert send_sms({"To": "{0} {Body} %s"}).json()["message"] == "Invalid 'To' Phone Number: {0} {Body} %s"


@pytest.mark.parametrize(
    ("fields", "status", "segments"),
    [
        ({}, "queued", "1"),
        ({"From": "Acme"}, "queued", "1"),
        ({"From": "12345"}, "queued", "1"),
        ({"Body": "x" * 1600}, "queued", "11"),
        ({"From": None, "MessagingServiceSid": SERVICE}, "accepted", "0"),
        ({"MessagingServiceSid": SERVICE, "ScheduleType": "fixed", "SendAt": LATER}, "scheduled", "0"),
        ({"Body": None, "MediaUrl": "https://acme.example/a.png"}, "queued", "1"),
    ],
)
def test_an_accepted_message_starts_in_its_first_status(
    send_sms: Send, fields: Fields, status: str, segments: str
) -> None:
    answer = send_sms(fields)
    assert answer.status_code == 201
    assert (answer.json()["status"], answer.json()["num_segments"]) == (status, segments)


@pytest.mark.parametrize(
    ("body", "segments"),
    [
        ("", 1),
        ("x" * 160, 1),
        ("x" * 161, 2),
        ("x" * 306, 2),
        ("x" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("\u2019" * 70, 1),
        ("\u2019" * 71, 2),
        ("\U0001f600" * 35, 1),
        ("\U0001f600" * 36, 2),
    ],
)
def test_segments_are_counted_as_the_networks_do(body: str, segments: int) -> None:
    assert count_segments(body) == segments


def test_the_resource_has_exactly_the_documented_fields(sandbox: httpx.Client, send_sms: Send) -> None:
    made = send_sms().json()
    sid = made["sid"]
    assert re.fullmatch("SM[0-9a-f]{32}", sid)
    assert abs(parsedate_to_datetime(made["date_created"]) - datetime.now(UTC)) < timedelta(minutes=1)
    path = f"/2010-04-01/Accounts/{SID}/Messages/{sid}"
    assert made == {
        "account_sid": SID,
        "api_version": "2010-04-01",
        "body": "Go https://go.example/abc",
        "date_created": made["date_created"],
        "date_sent": None,
        "date_updated": made["date_created"],
        "direction": "outbound-api",
        "error_code": None,
        "error_message": None,
        "from": "+15005550006",
        "messaging_service_sid": None,
        "num_media": "0",
        "num_segments": "1",
        "price": None,
        "price_unit": "USD",
        "sid": sid,
        "status": "queued",
        "subresource_uris": {"media": f"{path}/Media.json"},
        "to": "+447700900001",
        "uri": f"{path}.json",
    }
    assert sandbox.get(f"{path}.json", auth=AUTH).json() == made


@pytest.mark.parametrize("auth", [None, (SID, "other"), ("AC" + "1" * 32, "sandbox"), (SID, "")])
@pytest.mark.parametrize("path", [MESSAGES, f"/2010-04-01/Accounts/{SID}.json"])
def test_wrong_credentials_get_the_providers_own_words(
    sandbox: httpx.Client, auth: tuple[str, str] | None, path: str
) -> None:
    answer = sandbox.get(path, auth=auth) if auth else sandbox.get(path)
    assert answer.status_code == 401
    assert answer.json() == {
        "code": 20003,
        "message": "Authenticate",
        "more_info": "https://www.twilio.com/docs/errors/20003",
        "status": 401,
    }


def test_broken_authorization_is_refused(sandbox: httpx.Client) -> None:
    assert sandbox.get(MESSAGES, headers={"Authorization": "Basic ///=/"}).json()["code"] == 20003


def test_another_account_is_not_ours(sandbox: httpx.Client) -> None:
    assert sandbox.get(f"/2010-04-01/Accounts/AC{'1' * 32}.json", auth=AUTH).status_code == 401


def test_a_json_body_is_not_a_form(sandbox: httpx.Client) -> None:
    assert sandbox.post(MESSAGES, json={"To": "+447700900001"}, auth=AUTH).json()["code"] == 21604


def test_an_opted_out_number_is_refused(sandbox: httpx.Client, send_sms: Send) -> None:
    sandbox.put("/sandbox/suppressions", json={"twilio": ["+447700900001"]}).raise_for_status()
    assert send_sms().json()["code"] == 21610
    assert send_sms({"To": "+447700900002"}).status_code == 201


def test_look_up_by_recipient_finds_the_body(sandbox: httpx.Client, send_sms: Send) -> None:
    """This is how a lost answer is settled: list by To, look for the link in the body."""
    for number in range(3):
        send_sms({"Body": f"link-{number}"})
        send_sms({"To": "+447700900002"})
    send_sms({"From": "Acme", "Body": "link-3"})
    found = sandbox.get(MESSAGES, params={"To": "+447700900001"}, auth=AUTH).json()
    assert [one["body"] for one in found["messages"]] == ["link-3", "link-2", "link-1", "link-0"]
    found = sandbox.get(MESSAGES, params={"To": "+447700900001", "From": "Acme"}, auth=AUTH).json()
    assert [one["body"] for one in found["messages"]] == ["link-3"]


def test_a_list_comes_in_pages(sandbox: httpx.Client, send_sms: Send) -> None:
    for number in range(5):
        send_sms({"Body": str(number)})
    bodies: list[list[str]] = []
    uri: str | None = f"{MESSAGES}?To=%2B447700900001&PageSize=2"
    while uri:
        page = sandbox.get(uri, auth=AUTH).json()
        bodies.append([one["body"] for one in page["messages"]])
        assert page["page_size"] == 2
        uri = page["next_page_uri"]
    assert bodies == [["4", "3"], ["2", "1"], ["0"]]


@pytest.mark.parametrize(
    ("name", "days", "is_found"),
    [
        ("DateSent", 0, True),
        ("DateSent", -1, False),
        ("DateSent<", 0, True),
        ("DateSent<", -1, False),
        ("DateSent<", 1, True),
        ("DateSent>", 0, True),
        ("DateSent>", 1, False),
        ("DateSent>", -1, True),
    ],
)
def test_days_select_by_date_sent(
    sandbox: httpx.Client, send_sms: Send, name: str, days: int, *, is_found: bool
) -> None:
    """The day is a whole UTC day, taken from the message itself so that midnight does not matter."""
    sandbox.put("/sandbox/settings", json={"delivery_seconds": 0}).raise_for_status()
    send_sms()
    shown = sandbox.get(MESSAGES, auth=AUTH).json()["messages"][0]
    assert shown["status"] == "delivered"
    day = parsedate_to_datetime(shown["date_sent"]).date() + timedelta(days=days)
    found = sandbox.get(MESSAGES, params={name: day.isoformat()}, auth=AUTH).json()["messages"]
    assert bool(found) is is_found


def test_what_still_waits_has_no_day(sandbox: httpx.Client, send_sms: Send) -> None:
    """A look-up by DateSent misses it: why doubt is never settled with a date."""
    send_sms()
    assert sandbox.get(MESSAGES, params={"DateSent>": "2000-01-01"}, auth=AUTH).json()["messages"] == []
    assert sandbox.get(MESSAGES, params={"DateSent>": "rubbish"}, auth=AUTH).status_code == 400


def test_a_waiting_message_can_be_canceled_once(sandbox: httpx.Client, send_sms: Send) -> None:
    path = send_sms().json()["uri"]
    assert sandbox.post(path, data={"Status": "sent"}, auth=AUTH).status_code == 400
    assert sandbox.post(path, data={"Status": "canceled"}, auth=AUTH).json()["status"] == "canceled"
    assert sandbox.post(path, data={"Status": "canceled"}, auth=AUTH).json()["code"] == 30409
    assert sandbox.get(path, auth=AUTH).json()["status"] == "canceled"
    assert sandbox.get("/sandbox/messages").json()["messages"] == []
    assert sandbox.get("/sandbox/counts").json()["twilio"]["messages"] == 0


def test_a_delivered_message_cannot_be_canceled(sandbox: httpx.Client, send_sms: Send) -> None:
    sandbox.put("/sandbox/settings", json={"delivery_seconds": 0}).raise_for_status()
    path = send_sms().json()["uri"]
    assert sandbox.post(path, data={"Status": "canceled"}, auth=AUTH).status_code == 409


def test_an_unknown_message_is_not_found(sandbox: httpx.Client) -> None:
    path = MESSAGES.replace(".json", f"/SM{'0' * 32}.json")
    assert sandbox.get(path, auth=AUTH).json()["code"] == 20404
    assert sandbox.post(path, data={"Status": "canceled"}, auth=AUTH).status_code == 404
    assert sandbox.get("/2010-04-01/Nothing.json", auth=AUTH).json()["code"] == 20404
    assert sandbox.delete(MESSAGES, auth=AUTH).json()["code"] == 20004


def test_the_providers_own_client_is_understood(sandbox: httpx.Client, twilio_client: twilio.rest.Client) -> None:
    assert sandbox.get("/sandbox/counts").json()["twilio"]["messages"] == 0
    assert twilio_client.api.accounts(SID).fetch().status == "active"
    made = [twilio_client.messages.create(to="+447700900001", from_="Acme", body=str(n)).sid for n in range(5)]
    listed = twilio_client.messages.list(to="+447700900001", page_size=2)
    assert [one.sid for one in listed] == made[::-1]
    today = datetime.now(UTC)
    assert twilio_client.messages.list(date_sent_after=today - timedelta(days=1), limit=5) == []
    assert twilio_client.messages(str(made[0])).update(status="canceled").status == "canceled"
    with pytest.raises(TwilioRestException) as refused:
        twilio_client.messages.create(to="nobody", from_="Acme", body="x")
    assert (refused.value.status, refused.value.code) == (400, 21211)


def test_a_message_passes_from_its_first_status_to_its_last(
    sandbox: httpx.Client, send_sms: Send, until: Callable[..., Any]
) -> None:
    sandbox.put("/sandbox/settings", json={"delivery_seconds": 1200, "time_scale": 1000}).raise_for_status()
    path = send_sms({"From": None, "MessagingServiceSid": SERVICE}).json()["uri"]
    seen: list[str] = []

    def is_over() -> bool:
        status = sandbox.get(path, auth=AUTH).json()["status"]
        seen.extend([status] * (status not in seen))
        return bool(status == "delivered")

    until(is_over)
    assert seen == ["queued", "sent", "delivered"]


def test_a_scheduled_message_leaves_at_its_time(
    sandbox: httpx.Client, send_sms: Send, until: Callable[..., Any]
) -> None:
    sandbox.put("/sandbox/settings", json={"time_scale": 100_000, "delivery_seconds": 0}).raise_for_status()
    later = (datetime.now(UTC) + timedelta(hours=20)).isoformat()
    made = send_sms({"MessagingServiceSid": SERVICE, "ScheduleType": "fixed", "SendAt": later}).json()
    assert made["status"] == "scheduled"
    until(lambda: sandbox.get(made["uri"], auth=AUTH).json()["status"] == "delivered")
    assert sandbox.get("/sandbox/counts").json()["twilio"]["messages"] == 1


def test_the_list_is_late_by_its_lag_but_a_sid_is_found_at_once(sandbox: httpx.Client, send_sms: Send) -> None:
    """Why an empty list proves nothing before the settle time is over."""
    sandbox.put("/sandbox/settings", json={"list_lag_seconds": 3600}).raise_for_status()
    path = send_sms().json()["uri"]
    params = {"To": "+447700900001"}
    assert sandbox.get(MESSAGES, params=params, auth=AUTH).json()["messages"] == []
    assert sandbox.get(path, auth=AUTH).status_code == 200
    sandbox.put("/sandbox/settings", json={"list_lag_seconds": 0}).raise_for_status()
    assert len(sandbox.get(MESSAGES, params=params, auth=AUTH).json()["messages"]) == 1


def test_a_sender_passes_on_only_so_many_segments_a_second(sandbox: httpx.Client, send_sms: Send) -> None:
    """A number whose queue is full refuses; a service takes the message and fails it later."""
    limits = {"segments_per_second": 1, "queue_seconds": 2, "delivery_seconds": 0}
    sandbox.put("/sandbox/settings", json=limits).raise_for_status()
    answers = [send_sms({"From": "+15005550106", "Body": "x" * 161}) for _ in range(4)]
    assert [one.status_code for one in answers] == [201, 201, 400, 400]
    assert answers[2].json()["code"] == 21611
    assert sandbox.get(answers[1].json()["uri"], auth=AUTH).json()["status"] == "queued"
    assert send_sms({"From": "+15005550107"}).status_code == 201
    service = {"From": None, "MessagingServiceSid": "MG" + "b" * 32, "Body": "x" * 1600}
    made = [send_sms(service).json() for _ in range(2)]
    found = sandbox.get(made[1]["uri"], auth=AUTH).json()
    assert (made[1]["status"], found["status"], found["error_code"]) == ("accepted", "failed", 30001)


def test_too_many_calls_at_once_are_not_processed(
    sandbox: httpx.Client, send_sms: Send, until: Callable[..., Any]
) -> None:
    sandbox.put("/sandbox/settings", json={"concurrency": 1}).raise_for_status()
    plan = {"twilio": [{"kind": "slow", "latency_ms": 1000, "next": 1}]}
    sandbox.put("/sandbox/faults", json=plan).raise_for_status()
    slow = threading.Thread(target=send_sms)
    slow.start()
    until(lambda: not sandbox.get("/sandbox/faults").json()["twilio"])
    refused = send_sms()
    assert (refused.status_code, refused.json()["code"]) == (429, 20429)
    slow.join()
    assert send_sms().status_code == 201
    assert sandbox.get("/sandbox/counts").json()["twilio"] == {
        "requests": 3,
        "accepted": 2,
        "messages": 2,
        "dropped": 0,
    }
