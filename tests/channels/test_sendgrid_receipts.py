"""SendGrid's Event Webhook: whose post it is, and what its events say of our messages."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.sendgrid_receipts import CLASSES, DROPS, KINDS, SIGNATURE, TIMESTAMP, is_signed, parse
from domain.deliveries import EMAIL_REASONS, Kind, Receipt, Saying
from domain.signing import public_key
from tests.receipts import AT, Signer, event, post

BATCH = "b" * 32
SIGNER = Signer()
KEY = public_key(SIGNER.public)
SECRET = "secret@person.example"


def signed(body: bytes, headers: dict[str, str]) -> bool:
    return is_signed(KEY, body, signature=headers[SIGNATURE], timestamp=headers[TIMESTAMP])


def one(name: str, **fields: Any) -> Receipt:
    (receipt,) = parse(post(event(BATCH, 2, name, **fields)))
    return receipt


# Whose post it is


def test_a_post_with_its_signature_is_sendgrids() -> None:
    body = post(event(BATCH, 2, "delivered"))

    assert signed(body, SIGNER.headers(body))
    assert signed(b"", SIGNER.headers(b""))
    assert signed(b"\xff\xfe", SIGNER.headers(b"\xff\xfe"))


def test_another_body_time_or_signer_is_not() -> None:
    body = post(event(BATCH, 2, "delivered"))
    headers = SIGNER.headers(body)

    assert not signed(body + b" ", headers)
    assert not signed(body, {**headers, TIMESTAMP: str(AT + 1)})
    assert not signed(body, Signer().headers(body))


@given(st.text(max_size=60))
def test_rubbish_is_no_signature(rubbish: str) -> None:
    assert not signed(b"[]", {SIGNATURE: rubbish, TIMESTAMP: rubbish})


# What the events say


def test_an_event_names_the_message_by_what_we_gave_it() -> None:
    (receipt,) = parse(post(event(BATCH, 17, "delivered", request=3, sg_event_id="abc-_=", timestamp=AT)))

    assert receipt == Receipt(
        batch=BATCH,
        request=3,
        row=17,
        channel="email",
        said=Saying("abc-_=", Kind.DELIVERED, "abcDEF-_123", None, datetime(2026, 3, 1, 12, tzinfo=UTC)),
    )


@pytest.mark.parametrize(("name", "kind"), list(KINDS.items()))
def test_every_event_is_known_by_its_name(name: str, kind: Kind) -> None:
    assert one(name).said.kind is kind


def test_a_blocked_bounce_is_no_permanent_one() -> None:
    assert one("bounce", type="blocked").said.kind is Kind.BLOCKED
    assert one("bounce", type="bounce").said.kind is Kind.BOUNCED


@pytest.mark.parametrize("name", ["open", "click", "account_status_change", "cancel_drop", "invented", "", None, 7])
def test_an_event_that_says_nothing_of_a_delivery_is_left_out(name: Any) -> None:
    assert parse(post(event(BATCH, 2, name), event(BATCH, 3, "delivered"))) != []
    assert len(parse(post(event(BATCH, 2, name)))) == 0


@pytest.mark.parametrize(
    "broken",
    [
        {"bs_batch": None},
        {"bs_batch": "B" * 32},
        {"bs_batch": "b" * 31},
        {"bs_row": 2},
        {"bs_row": "-1"},
        {"bs_row": "9" * 30},
        {"bs_row": "²"},
        {"bs_request": ""},
        {"bs_request": "1e3"},
        {"timestamp": None},
        {"timestamp": "soon"},
        {"timestamp": "nan"},
        {"timestamp": 10**30},
        {"timestamp": 0},
        {"event": ["delivered"]},
    ],
)
def test_one_bad_event_does_not_cost_the_others(broken: dict[str, Any]) -> None:
    good = event(BATCH, 3, "delivered")

    found = parse(post({**event(BATCH, 2, "delivered"), **broken}, good, None, [], "x"))

    assert [receipt.row for receipt in found] == [3]


def test_an_event_that_is_not_ours_is_left_out() -> None:
    foreign = {name: value for name, value in event(BATCH, 2, "delivered").items() if not name.startswith("bs_")}

    assert parse(post(foreign)) == []


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"[", b"\xff", b'"text"', b"[" * 100_000])
def test_what_is_no_list_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse(body)


def test_an_event_without_an_id_of_its_own_is_still_known_again() -> None:
    same = [one("delivered", sg_event_id=None).said.event_id for _ in range(2)]
    other = one("deferred", sg_event_id=None).said.event_id

    assert same[0] == same[1] != other


@pytest.mark.parametrize("message_id", [None, "", ".x", "a b.c", 7])
def test_a_message_id_that_cannot_be_read_is_none(message_id: Any) -> None:
    assert one("delivered", sg_message_id=message_id).said.provider_id == ""


# Codes, and nothing else of a text


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"status": "5.1.1"}, "5.1.1"),
        ({"status": "550", "reason": f"550 5.1.1 <{SECRET}>: no such user"}, "5.1.1"),
        ({"reason": f"550-5.7.26 The mail from {SECRET} failed"}, "5.7.26"),
        ({"reason": "550 see 5.1.2.3 or 15.1.1"}, None),
        ({"status": "5.0.0", "bounce_classification": "Invalid Address"}, "invalid_address"),
        ({"status": "5.0.0", "bounce_classification": "Unclassified"}, "5.0.0"),
        ({"status": "5.2.2", "bounce_classification": "Mailbox Unavailable"}, "5.2.2"),
        ({"reason": f"no MX for {SECRET}", "bounce_classification": "Technical"}, "technical"),
        ({"reason": f"refused {SECRET}"}, None),
        ({"reason": 7, "status": None}, None),
    ],
)
def test_of_an_smtp_answer_only_the_status_is_kept(fields: dict[str, Any], code: str | None) -> None:
    assert one("bounce", **fields).said.code == code


def test_of_a_delay_the_status_is_kept() -> None:
    assert one("deferred", response="452 4.2.2 over quota").said.code == "4.2.2"


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("Bounced Address", "bounced_before"),
        ("Unsubscribed Address", "unsubscribed"),
        ("Spam Reporting Address", "reported_before"),
        ("Invalid", "invalid"),
        ("Invalid SMTPAPI header", "malformed"),
        ("Spam Content (if Spam Checker app enabled)", "spam_content"),
        ("Recipient List over Package Quota", "quota"),
        ("Duplicate Message", "repeated"),
        (f"Something about {SECRET}", None),
        (None, None),
    ],
)
def test_a_reason_of_a_drop_is_one_of_our_words(reason: str | None, code: str | None) -> None:
    assert one("dropped", reason=reason).said.code == code


@pytest.mark.parametrize(("beginning", "code"), list(CLASSES.items()))
def test_a_class_of_a_bounce_is_one_of_our_words(beginning: str, code: str) -> None:
    assert one("bounce", bounce_classification=beginning.title()).said.code == code


def test_every_word_has_a_reason() -> None:
    assert {*DROPS.values(), *CLASSES.values()} == set(EMAIL_REASONS)


def test_nothing_personal_is_kept() -> None:
    texts: dict[str, Any] = {
        "email": SECRET,
        "reason": SECRET,
        "response": SECRET,
        "status": SECRET,
        "url": SECRET,
        "ip": SECRET,
    }
    events = [event(BATCH, 2, name, bounce_classification=SECRET, **texts) for name in KINDS]

    assert SECRET not in repr(parse(json.dumps(events).encode()))
