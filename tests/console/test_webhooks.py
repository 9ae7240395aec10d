"""Webhooks: only who proves to be the provider is heard, and yes is said only to what is committed."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from sqlalchemy.exc import OperationalError
from sqlmodel import select

from console import webhooks
from deployments import receiving
from domain.states import Phase, RequestState
from models import batches, receipts, requests, suppressions
from models.requests import Answer
from models.tables import Message
from settings import Settings, load
from tasks.surroundings import Surroundings
from tests.console.conftest import on_both_databases
from tests.console.web import client, serving
from tests.factories import NOW, batch, people, planned
from tests.receipts import SID, Signer, event, form, post, status, twilio_headers
from tests.servers import Answer as HttpAnswer
from tests.servers import serving as playing

SIGNER = Signer()
ACCOUNT = {"twilio_account_sid": "AC" + "1" * 32, "twilio_auth_token": "token", "public_url": "https://go.acme.example"}
SENDGRID = {"sendgrid_api_key": "SG.x", "public_url": "https://go.acme.example"}
TOKEN, BASE = "token", "https://go.acme.example"
INBOUND = "/webhooks/twilio/inbound"


def with_settings(around: Surroundings, **values: Any) -> Surroundings:
    settings: Settings = load(home=around.settings.home, database_url=around.settings.database_url, **values)
    return replace(around, settings=settings)


@pytest.fixture
def keyed(around: Surroundings) -> Surroundings:
    """Both providers' secrets are known."""
    return with_settings(around, sendgrid_webhook_public_key=SIGNER.public, **ACCOUNT)


@pytest.fixture
def web(keyed: Surroundings) -> Iterator[httpx.Client]:
    with serve(keyed) as client:
        yield client


@contextmanager
def serve(around: Surroundings) -> Iterator[httpx.Client]:
    """The app on a real socket."""
    with serving(around) as address, client(address) as provider:
        yield provider


def uid_of(around: Surroundings, batch_id: int) -> str:
    return batch(around.database, batch_id).uid


def deliveries(around: Surroundings, batch_id: int) -> list[str | None]:
    with around.database.read() as session:
        query = select(Message.delivery).where(Message.batch_id == batch_id)
        return list(session.exec(query.order_by(Message.request, Message.position)).all())  # type: ignore[arg-type]  # columns


def post_email(web: httpx.Client, body: bytes, headers: Mapping[str, str] | None = None) -> int:
    return web.post("/webhooks/sendgrid", content=body, headers=headers or SIGNER.headers(body)).status_code


def post_sms(
    web: httpx.Client,
    path: str,
    fields: Mapping[str, str],
    *,
    token: str = TOKEN,
    base: str = BASE,
) -> httpx.Response:
    return web.post(path, content=form(fields), headers=twilio_headers(base + path, fields, token=token))


# SendGrid


@on_both_databases
def test_signed_events_reach_their_messages(keyed: Surroundings, web: httpx.Client) -> None:
    batch_id = planned(keyed.database, people(emails=3))
    uid = uid_of(keyed, batch_id)
    body = post(event(uid, 2, "delivered"), event(uid, 3, "bounce", type="bounce", status="5.1.1"), {"event": "open"})

    assert post_email(web, body) == 204
    assert deliveries(keyed, batch_id) == ["delivered", "bounced", None]


def test_an_event_that_cannot_be_read_does_not_cost_the_others(keyed: Surroundings, web: httpx.Client) -> None:
    batch_id = planned(keyed.database, people(emails=1))
    uid = uid_of(keyed, batch_id)

    assert (
        post_email(web, post(None, {"bs_batch": uid}, event(uid, 2, "delivered"), event(uid, 99, "delivered"))) == 204
    )
    assert deliveries(keyed, batch_id) == ["delivered"]


@pytest.mark.parametrize("headers", [{}, {"X-Twilio-Email-Event-Webhook-Signature": "rubbish"}, "other", "moved"])
def test_who_is_not_sendgrid_changes_nothing(keyed: Surroundings, web: httpx.Client, headers: Any) -> None:
    batch_id = planned(keyed.database, people(emails=1))
    body = post(event(uid_of(keyed, batch_id), 2, "delivered"))
    if headers == "other":
        headers = Signer().headers(body)
    elif headers == "moved":
        headers = SIGNER.headers(body + b" ")

    assert web.post("/webhooks/sendgrid", content=body, headers=headers).status_code == 403
    assert deliveries(keyed, batch_id) == [None]


def test_a_post_that_is_too_large_is_not_read_to_its_end(web: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "MOST_EMAIL_BYTES", 100)

    assert post_email(web, b" " * 100) == 400  # read, and no list
    assert post_email(web, b" " * 101) == 413


def test_without_a_key_real_receipts_are_refused_and_the_log_says_so(
    around: Surroundings, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), serve(with_settings(around, **SENDGRID)) as client:
        assert post_email(client, b"[]") == 503

    assert "SENDGRID_WEBHOOK_PUBLIC_KEY is not set" in caplog.text


def test_without_credentials_the_sandbox_s_key_counts(around: Surroundings) -> None:
    body = f'{{"public_key": "{SIGNER.public}"}}'.encode()
    with playing(HttpAnswer(200, {}, body)) as sandbox:
        port = int(sandbox.url.rsplit(":", 1)[1])
        sandboxed = with_settings(around, sandbox_port=port)
        batch_id = planned(around.database, people(emails=1))
        with serve(sandboxed) as client:
            events = post(event(uid_of(around, batch_id), 2, "delivered"))
            assert post_email(client, events) == 204
            assert post_email(client, events, Signer().headers(events)) == 403
        assert sandbox.asked[0].path == "/sandbox/webhooks"

    assert deliveries(around, batch_id) == ["delivered"]


def test_a_sandbox_that_does_not_answer_is_waited_for(around: Surroundings) -> None:
    with serve(with_settings(around, sandbox_port=9)) as client:
        assert post_email(client, b"[]") == 503


# Twilio


@on_both_databases
def test_a_signed_callback_reaches_its_message(keyed: Surroundings, web: httpx.Client) -> None:
    batch_id = planned(keyed.database, people(sms=2))
    path = f"/webhooks/twilio/{uid_of(keyed, batch_id)}/1"

    assert post_sms(web, path, status("delivered")).status_code == 204
    assert post_sms(web, path, status("sent")).status_code == 204
    assert post_sms(web, path, status("invented")).status_code == 204
    assert deliveries(keyed, batch_id) == [None, "delivered"]


def test_who_is_not_twilio_changes_nothing(keyed: Surroundings, web: httpx.Client) -> None:
    batch_id = planned(keyed.database, people(sms=2))
    path = f"/webhooks/twilio/{uid_of(keyed, batch_id)}/1"
    fields = status("delivered")
    signed = twilio_headers("https://go.acme.example" + path, fields, token="token")

    assert post_sms(web, path, fields, token="other").status_code == 403
    assert post_sms(web, path, fields, base="http://127.0.0.1").status_code == 403
    assert web.post(path[:-1] + "0", content=form(fields), headers=signed).status_code == 403
    assert web.post(path, content=form({**fields, "MessageStatus": "failed"}), headers=signed).status_code == 403
    assert web.post(path, content=b"\xff\xfe" * 9, headers=signed).status_code == 403
    assert web.post(path, content=form(fields)).status_code == 403
    assert web.post(path, content=b"a" * 70_000, headers=signed).status_code == 413
    assert deliveries(keyed, batch_id) == [None, None]


def test_without_credentials_the_sandbox_s_token_counts(around: Surroundings) -> None:
    batch_id = planned(around.database, people(sms=1))
    path = f"/webhooks/twilio/{uid_of(around, batch_id)}/0"
    with serve(around) as client:
        answer = post_sms(client, path, status("delivered"), token="sandbox", base=around.settings.links_base)

    assert answer.status_code == 204
    assert deliveries(around, batch_id) == ["delivered"]


@pytest.mark.parametrize(
    "path", ["/webhooks/twilio/x/0", f"/webhooks/twilio/{'a' * 32}/-1", f"/webhooks/twilio/{'a' * 32}/x"]
)
def test_an_address_that_is_none_of_ours_is_refused(web: httpx.Client, path: str) -> None:
    assert post_sms(web, path, status("sent")).status_code == 422


@on_both_databases
def test_who_writes_stop_is_suppressed_until_they_write_start(keyed: Surroundings, web: httpx.Client) -> None:
    def listed() -> list[str]:
        with keyed.database.read() as session:
            return [one.address for one in suppressions.listed(session)]

    def write(text: str) -> httpx.Response:
        return post_sms(web, INBOUND, {"From": "+447700900001", "To": "+15005550006", "Body": text, "MessageSid": SID})

    answer = write("Stop")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/xml; charset=utf-8")
    assert "<Response></Response>" in answer.text
    assert listed() == ["+447700900001"]
    assert write("thank you").status_code == 200
    assert listed() == ["+447700900001"]
    write("START")
    assert listed() == []


def test_who_only_claims_to_be_twilio_opts_nobody_out(keyed: Surroundings, web: httpx.Client) -> None:
    answer = post_sms(web, INBOUND, {"From": "+447700900001", "Body": "STOP"}, token="other")

    assert answer.status_code == 403
    with keyed.database.read() as session:
        assert suppressions.listed(session) == []


# What follows


@on_both_databases
def test_yes_is_said_only_to_what_is_committed(
    keyed: Surroundings, web: httpx.Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    batch_id = planned(keyed.database, people(emails=1, sms=1))
    uid = uid_of(keyed, batch_id)
    body = post(event(uid, 2, "delivered"))

    def broken(*_given: object, **_named: object) -> None:
        raise OperationalError("INSERT person0@mail.example", {}, Exception("person0@mail.example"))

    with monkeypatch.context() as patch, caplog.at_level(logging.DEBUG):
        patch.setattr(suppressions, "mark", broken)  # the last thing in the transaction
        assert post_email(web, body) == 503
        assert post_sms(web, f"/webhooks/twilio/{uid}/1", status("sent")).status_code == 503
        assert post_sms(web, INBOUND, {"From": "+447700900001", "Body": "STOP"}).status_code == 503
    assert deliveries(keyed, batch_id) == [None, None]
    assert "mail.example" not in caplog.text
    assert "+4477" not in caplog.text

    assert post_email(web, body) == 204
    assert deliveries(keyed, batch_id) == ["delivered", None]


@on_both_databases
def test_a_doubt_is_over_when_its_receipt_comes_and_the_batch_with_it(keyed: Surroundings, web: httpx.Client) -> None:
    batch_id = planned(keyed.database, people(emails=2))
    with keyed.database.write() as session:
        requests.claim(session, batch_id, {0: "d"}, token="t", lease_until=NOW, now=NOW)
        doubt = Answer(0, RequestState.IN_DOUBT)
        requests.record(session, batch_id, [doubt], token_of={0: "t"}, now=NOW)
        batches.advance(session, batch_id, Phase.SETTLING, now=NOW)

    assert post_email(web, post(event(uid_of(keyed, batch_id), 3, "processed"))) == 204

    settled = batch(keyed.database, batch_id)
    assert (settled.phase, settled.sent) == (Phase.FINISHED, 2)


@on_both_databases
def test_whoever_was_written_to_twice_stops_the_batch_and_is_told_in_the_log(
    keyed: Surroundings, web: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    batch_id = planned(keyed.database, people(emails=1))
    uid = uid_of(keyed, batch_id)

    with caplog.at_level(logging.ERROR):
        post_email(web, post(*(event(uid, 2, "processed", sg_message_id=f"{word}.x") for word in "ab")))

    assert (batch(keyed.database, batch_id).phase, batch(keyed.database, batch_id).duplicates) == (Phase.PAUSED, 1)
    assert f"batch {batch_id} wrote to somebody twice" in caplog.text


@on_both_databases
def test_many_posts_at_once_share_transactions(keyed: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    """One transaction a callback would wait for the disk, and for the others, once for each."""
    batch_id = planned(keyed.database, people(sms=60))
    uid = uid_of(keyed, batch_id)
    written: list[int] = []
    write = receiving.write

    def counted(around: Surroundings, posts: Any) -> None:
        written.append(len(posts))
        write(around, posts)

    monkeypatch.setattr(receiving, "write", counted)
    with serve(keyed) as client:

        def call(number: int) -> int:
            path, fields = f"/webhooks/twilio/{uid}/{number}", status("delivered", sid=f"SM{number:032x}")
            headers = twilio_headers("https://go.acme.example" + path, fields, token="token")
            return client.post(path, content=form(fields), headers=headers).status_code

        with ThreadPoolExecutor(30) as threads:
            answers = list(threads.map(call, range(60)))

    assert answers == [204] * 60
    assert deliveries(keyed, batch_id) == ["delivered"] * 60
    assert sum(written) == 60
    assert len(written) < 60


def test_posts_of_many_receipts_are_not_put_together_without_end(
    keyed: Surroundings, web: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipts, "AT_ONCE", 1)
    batch_id = planned(keyed.database, people(emails=3))
    uid = uid_of(keyed, batch_id)

    assert post_email(web, post(*(event(uid, row, "delivered") for row in (2, 3, 4)))) == 204
    assert deliveries(keyed, batch_id) == ["delivered"] * 3
