"""Events and status callbacks: what is posted, signed how, and all that goes wrong with them on the way."""

import base64
import json
import socket
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from sendgrid.helpers.eventwebhook import EventWebhook
from twilio.request_validator import RequestValidator

from sandbox import hooks
from sandbox.hooks import Hook, Hooks

Listening = Any  # the listener of conftest
Send = Callable[..., httpx.Response]
Mail = Callable[..., dict[str, Any]]
Start = Callable[..., Any]
Until = Callable[[Callable[[], Any]], Any]

PACE = 1_000_000
SID = "AC" + "0" * 32
AUTH = (SID, "sandbox")


@pytest.fixture
def hook(sandbox: httpx.Client, listener: Listening) -> Callable[..., dict[str, Any]]:
    """Post events of both providers to the listener, at a pace at which a day is a tenth of a second."""
    sandbox.put("/sandbox/settings", json={"time_scale": PACE, "delivery_seconds": 1}).raise_for_status()

    def set_hook(*, seed: int = 1, **changes: object) -> dict[str, Any]:
        one = {"url": listener.url, **changes}
        answer = sandbox.put("/sandbox/webhooks", json={"seed": seed, "sendgrid": one, "twilio": one})
        return dict(answer.raise_for_status().json())

    return set_hook


def counts(sandbox: httpx.Client, provider: str = "sendgrid") -> dict[str, int]:
    return dict(sandbox.get("/sandbox/webhooks").json()["counts"][provider])


def is_genuine(post: Any, public_key: str) -> bool:
    verifier = EventWebhook()
    signature = post.headers["X-Twilio-Email-Event-Webhook-Signature"]
    timestamp = post.headers["X-Twilio-Email-Event-Webhook-Timestamp"]
    key = verifier.convert_public_key_to_ecdsa(public_key)
    return bool(verifier.verify_signature(post.body.decode(), signature, timestamp, key))


def test_events_carry_the_request_the_recipient_and_the_custom_arguments(
    hook: Callable[..., dict[str, Any]], listener: Listening, send_mail: Send, mail: Mail
) -> None:
    hook()
    started = int(time.time())
    args = {"bs_unit": "u1", "event": "mine"}
    key = send_mail(mail("ana@m.example", custom_args=args, categories=["news"])).headers["X-Message-Id"]
    delivered, processed = sorted(listener.events(2), key=lambda one: str(one["event"]))
    assert (processed["event"], delivered["event"]) == ("processed", "delivered")
    assert processed["sg_message_id"] == delivered["sg_message_id"]
    assert processed["sg_message_id"].startswith(f"{key}.")
    assert processed["sg_event_id"] != delivered["sg_event_id"]
    assert (processed["bs_unit"], processed["email"], processed["category"]) == ("u1", "ana@m.example", "news")
    assert started <= processed["timestamp"] <= time.time()
    assert {"response", "smtp-id"} <= set(delivered)


@pytest.mark.parametrize(
    ("address", "events"),
    [
        ("ana@m.example", ["processed", "delivered"]),
        ("bounce@m.example", ["processed", "bounce"]),
        ("block@m.example", ["processed", "bounce"]),
        ("latebounce@m.example", ["processed", "delivered", "bounce"]),
        ("drop@m.example", ["dropped"]),
        ("defer@m.example", ["processed", "deferred", "deferred", "delivered"]),
        ("spam@m.example", ["processed", "delivered", "spamreport"]),
        ("unsubscribe@m.example", ["processed", "delivered", "unsubscribe"]),
        ("click@m.example", ["processed", "delivered", "open", "click"]),
        ("silent@m.example", ["processed"]),
    ],
)
def test_events_follow_from_the_address(
    hook: Callable[..., dict[str, Any]],
    listener: Listening,
    send_mail: Send,
    mail: Mail,
    address: str,
    events: list[str],
) -> None:
    hook()
    send_mail(mail(address))
    assert sorted(one["event"] for one in listener.events(len(events))) == sorted(events)


def test_a_bounce_is_told_from_a_block_by_its_type(
    hook: Callable[..., dict[str, Any]], listener: Listening, send_mail: Send, mail: Mail
) -> None:
    hook()
    send_mail(mail("bounce@m.example", "block@m.example"))
    types = {one["email"]: one.get("type") for one in listener.events(4) if one["event"] == "bounce"}
    assert types == {"bounce@m.example": "bounce", "block@m.example": "blocked"}


def test_a_suppressed_address_is_dropped_with_the_reason(
    sandbox: httpx.Client, hook: Callable[..., dict[str, Any]], listener: Listening, send_mail: Send, mail: Mail
) -> None:
    hook()
    sandbox.put("/sandbox/suppressions", json={"sendgrid": ["ana@m.example"]}).raise_for_status()
    assert send_mail(mail("ana@m.example")).status_code == 202
    (dropped,) = listener.events(1)
    assert (dropped["event"], dropped["reason"]) == ("dropped", "Bounced Address")


def test_several_categories_are_a_list_and_none_is_nothing(
    hook: Callable[..., dict[str, Any]], listener: Listening, send_mail: Send, mail: Mail
) -> None:
    hook()
    send_mail(mail("silent@m.example", categories=["a", "b"]))
    assert listener.events(1)[0]["category"] == ["a", "b"]
    send_mail(mail("silent@m.example"))
    assert "category" not in listener.events(1)[0]


def test_posts_are_signed_as_the_providers_client_verifies(
    hook: Callable[..., dict[str, Any]], listener: Listening, send_mail: Send, mail: Mail
) -> None:
    key = hook()["public_key"]
    send_mail(mail("silent@m.example", custom_args={"name": "Zoë"}))
    assert is_genuine(listener.next(), key)
    hook(bad_signature=1)
    send_mail(mail("silent@m.example"))
    assert not is_genuine(listener.next(), key)


def test_a_request_of_a_thousand_comes_in_few_posts(
    hook: Callable[..., dict[str, Any]], listener: Listening, send_mail: Send, mail: Mail
) -> None:
    hook(batch=1000)
    send_mail(mail(*[f"p{number}@m.example" for number in range(1000)]))
    found = listener.events(2000)
    assert len({one["sg_event_id"] for one in found}) == 2000
    assert listener.posts.empty()


def test_nothing_is_posted_without_an_address(
    sandbox: httpx.Client, listener: Listening, send_mail: Send, send_sms: Send, mail: Mail
) -> None:
    send_mail(mail())
    send_sms()
    assert counts(sandbox)["made"] == counts(sandbox, "twilio")["made"] == 0
    assert listener.posts.empty()


def test_what_is_not_taken_is_posted_again(
    sandbox: httpx.Client,
    hook: Callable[..., dict[str, Any]],
    listener: Listening,
    send_mail: Send,
    mail: Mail,
) -> None:
    hook()
    listener.statuses[:] = [500, 302, 404]
    send_mail(mail("silent@m.example"))
    posts = [listener.next() for _ in range(4)]
    assert len({post.body for post in posts}) == 1
    assert counts(sandbox)["refused"] == 3


def test_after_a_day_it_is_given_up(
    sandbox: httpx.Client,
    hook: Callable[..., dict[str, Any]],
    listener: Listening,
    send_mail: Send,
    mail: Mail,
    until: Until,
) -> None:
    hook()
    listener.statuses[:] = [503] * 1000
    send_mail(mail("silent@m.example"))
    until(lambda: counts(sandbox)["given_up"] == 1)
    assert counts(sandbox)["waiting"] == 0
    assert counts(sandbox)["refused"] >= 2


def test_events_get_lost_doubled_late_and_out_of_order(
    sandbox: httpx.Client,
    hook: Callable[..., dict[str, Any]],
    listener: Listening,
    send_mail: Send,
    mail: Mail,
    until: Until,
) -> None:
    hook(loss=0.2, duplicate=0.3, shuffle=0.5, late=0.1)
    send_mail(mail(*[f"p{number}@m.example" for number in range(300)]))
    until(lambda: counts(sandbox)["made"] == 600 and counts(sandbox)["waiting"] == 0)
    found: list[dict[str, Any]] = []
    while not listener.posts.empty():
        found += listener.events(len(json.loads(listener.posts.queue[0].body)))
    times = Counter(one["sg_event_id"] for one in found)
    assert counts(sandbox)["lost"] == 600 - len(times)
    assert 60 < counts(sandbox)["lost"] < 180
    assert 80 < sum(times.values()) - len(times) < 220
    firsts = {one["sg_message_id"]: one["event"] for one in reversed(found)}
    assert "delivered" in firsts.values()


def test_the_same_seed_disturbs_the_same_events() -> None:
    one = Hook(loss=0.2, duplicate=0.2, shuffle=0.2, late=0.2, bad_signature=0.2)

    def disturbed(seed: int) -> list[tuple[list[float], bool]]:
        chosen = Hooks(seed=seed, providers={"sendgrid": one})
        return [
            (chosen.delays("sendgrid", number), chosen.spoils_signature("sendgrid", number)) for number in range(50)
        ]

    assert disturbed(1) == disturbed(1) != disturbed(2)


@pytest.mark.parametrize(
    "value",
    [
        [],
        {"mailgun": {}},
        {"seed": "1"},
        {"sendgrid": []},
        {"sendgrid": {"loss": 2}},
        {"sendgrid": {"loss": True}},
        {"sendgrid": {"late_seconds": -1}},
        {"sendgrid": {"batch": 0}},
        {"sendgrid": {"url": "mailto:a@b.example"}},
        {"twilio": {"colour": 1}},
    ],
)
def test_a_webhook_that_cannot_be_is_refused_with_a_reason(sandbox: httpx.Client, value: object) -> None:
    answer = sandbox.put("/sandbox/webhooks", json=value)
    assert (answer.status_code, bool(answer.json()["error"])) == (400, True)
    with pytest.raises(hooks.HookRefused):
        hooks.from_json(value, Hooks())


def test_events_that_were_not_posted_survive_a_kill(
    start: Start, listener: Listening, mail: Mail, tmp_path: Path, until: Until
) -> None:
    """What is on its way to one who does not answer is posted again after the start."""
    key = {"Authorization": "Bearer SG.sandbox"}
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        nobody = f"http://127.0.0.1:{deaf.getsockname()[1]}/hook"
        process, url = start(tmp_path, "--sendgrid-webhook-url", nobody, "--time-scale", "10")
        with httpx.Client(base_url=url, trust_env=False) as client:
            assert client.post("/v3/mail/send", json=mail("silent@m.example"), headers=key).status_code == 202
            until(lambda: counts(client)["posts"] == 1)
            public_key = client.get("/sandbox/webhooks").json()["public_key"]
            process.kill()
        process.wait()
    _, url = start(tmp_path, "--sendgrid-webhook-url", listener.url)
    assert is_genuine(listener.next(), public_key)
    with httpx.Client(base_url=url, trust_env=False) as client:
        assert client.get("/sandbox/settings").json()["time_scale"] == 10


def test_a_scheduled_mail_is_processed_at_once_and_delivered_at_its_time(
    hook: Callable[..., dict[str, Any]], listener: Listening, send_mail: Send, mail: Mail
) -> None:
    hook()
    send_mail(mail("ana@m.example", send_at=int(time.time()) + 72 * 3600))
    (processed,) = listener.events(1)
    assert (processed["event"], "send_at" in processed) == ("processed", True)
    (delivered,) = listener.events(1)
    assert (delivered["event"], delivered["sg_message_id"]) == ("delivered", processed["sg_message_id"])


def test_callbacks_are_signed_as_the_providers_client_verifies(
    sandbox: httpx.Client, hook: Callable[..., dict[str, Any]], listener: Listening, send_sms: Send
) -> None:
    hook(url="")
    sandbox.put("/sandbox/settings", json={"time_scale": 10}).raise_for_status()
    address = f"{listener.url}?batch=7&x=a"
    sid = send_sms({"StatusCallback": f"{address}#rc=2"}).json()["sid"]
    post = listener.next()
    form = dict(parse_qsl(post.body.decode()))
    assert form == {
        "AccountSid": SID,
        "ApiVersion": "2010-04-01",
        "From": "+15005550006",
        "MessageSid": sid,
        "MessageStatus": "sent",
        "SmsSid": sid,
        "SmsStatus": "sent",
        "To": "+447700900001",
    }
    assert post.path == "/hook?batch=7&x=a"
    validator = RequestValidator("sandbox")
    assert validator.validate(address, form, post.headers["X-Twilio-Signature"])
    assert listener.forms(1)[0]["MessageStatus"] == "delivered"
    hook(url="", bad_signature=1)
    send_sms({"StatusCallback": address})
    post = listener.next()
    form = dict(parse_qsl(post.body.decode()))
    assert not validator.validate(address, form, post.headers["X-Twilio-Signature"])
    assert len(base64.b64decode(post.headers["X-Twilio-Signature"])) == 20


SERVICE = {"From": None, "MessagingServiceSid": "MG" + "a" * 32}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, [("sent", None), ("delivered", None)]),
        (SERVICE, [("queued", None), ("sent", None), ("delivered", None)]),
        ({"To": "+15005553003"}, [("sent", None), ("undelivered", "30003")]),
        ({"To": "+15005553001"}, [("failed", "30001")]),
        ({"To": "+15005559000"}, [("sent", None)]),
    ],
)
def test_callbacks_follow_from_the_number(
    hook: Callable[..., dict[str, Any]],
    listener: Listening,
    send_sms: Send,
    fields: dict[str, str | None],
    told: list[tuple[str, str | None]],
) -> None:
    """The first status is in the answer and has no callback; no order is promised."""
    hook()
    send_sms(fields)
    came = {(one["MessageStatus"], one.get("ErrorCode")) for one in listener.forms(len(told))}
    assert came == set(told)


def test_the_signature_of_a_callback_covers_all_fields_in_order(
    hook: Callable[..., dict[str, Any]], listener: Listening, send_sms: Send
) -> None:
    hook()
    send_sms({**SERVICE, "To": "+15005553001"})
    for _ in range(2):
        post = listener.next()
        form = dict(parse_qsl(post.body.decode()))
        assert form["MessagingServiceSid"] == SERVICE["MessagingServiceSid"]
        assert RequestValidator("sandbox").validate(listener.url, form, post.headers["X-Twilio-Signature"])


def test_callbacks_are_not_repeated_for_an_answer_that_says_no(
    sandbox: httpx.Client,
    hook: Callable[..., dict[str, Any]],
    listener: Listening,
    send_sms: Send,
    until: Until,
) -> None:
    hook()
    listener.statuses[:] = [500, 500]
    send_sms()
    until(lambda: counts(sandbox, "twilio")["given_up"] == 2)
    assert (counts(sandbox, "twilio")["posts"], counts(sandbox, "twilio")["waiting"]) == (2, 0)


def test_a_canceled_message_has_no_more_callbacks(
    sandbox: httpx.Client, hook: Callable[..., dict[str, Any]], listener: Listening, send_sms: Send, until: Until
) -> None:
    hook()
    sandbox.put("/sandbox/settings", json={"time_scale": 1, "delivery_seconds": 3600}).raise_for_status()
    path = send_sms().json()["uri"]
    until(lambda: counts(sandbox, "twilio")["waiting"] == 2)
    assert sandbox.post(path, data={"Status": "canceled"}, auth=AUTH).status_code == 200
    assert counts(sandbox, "twilio")["waiting"] == 0
    assert listener.posts.empty()
