"""Twilio's webhooks: whose post it is, what a callback says of an SMS, and what people answer."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.twilio_receipts import KINDS, SIGNATURE, START, STOP, callback_url, is_signed, parse_answer, parse_status
from domain.deliveries import Kind, Receipt, Saying
from domain.suppressions import Mark, SuppressionKind
from tests.receipts import SID, status, twilio_headers

BATCH = "b" * 32
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
URL = callback_url("https://go.acme.example", batch=BATCH, request=7)


def parsed(fields: dict[str, str]) -> Receipt | None:
    return parse_status(fields, batch=BATCH, request=7, now=NOW)


def test_a_post_with_its_signature_is_twilios() -> None:
    fields = status("delivered")
    signature = twilio_headers(URL, fields, token="token")[SIGNATURE]

    assert is_signed("token", URL, fields, signature=signature)
    assert not is_signed("other", URL, fields, signature=signature)
    assert not is_signed("token", URL + "1", fields, signature=signature)
    assert not is_signed("token", URL, {**fields, "MessageStatus": "failed"}, signature=signature)


@given(st.text(max_size=40))
def test_rubbish_is_no_signature(rubbish: str) -> None:
    assert not is_signed("token", URL, status("delivered"), signature=rubbish)


@pytest.mark.parametrize(("word", "kind"), list(KINDS.items()))
def test_a_callback_says_how_far_the_message_has_come(word: str, kind: Kind) -> None:
    receipt = parsed(status(word, ErrorCode="30006"))

    code = {Kind.ACCEPTED: None, Kind.DELIVERED: None}.get(kind, "cancelled" if word == "canceled" else "30006")
    assert receipt == Receipt(BATCH, 7, None, "sms", Saying(f"{SID}:{word}", kind, SID, code, NOW))


def test_the_same_status_again_has_the_same_id_and_another_has_another() -> None:
    first, again, other = parsed(status("sent")), parsed(status("sent")), parsed(status("queued"))

    assert first is not None
    assert again is not None
    assert other is not None
    assert first.said.event_id == again.said.event_id != other.said.event_id


@pytest.mark.parametrize(
    "fields",
    [
        status("received"),
        status("invented"),
        status(""),
        status("delivered", sid=""),
        status("delivered", sid="SM1"),
        status("delivered", sid="XX" + SID[2:]),
        {},
    ],
)
def test_what_says_nothing_of_a_delivery_is_left_out(fields: dict[str, str]) -> None:
    assert parsed(fields) is None


def test_only_the_digits_of_an_error_are_kept() -> None:
    receipt = parsed(status("failed", ErrorCode="+447700900000", ErrorMessage="to +447700900000"))

    assert receipt is not None
    assert receipt.said.code is None
    assert "+44" not in repr(receipt)


def answer(**fields: str) -> Mark | None:
    return parse_answer({"From": "+447700900001", "To": "+15005550006", "MessageSid": SID, **fields}, now=NOW)


@pytest.mark.parametrize("word", sorted(STOP))
def test_a_word_opts_out(word: str) -> None:
    expected = Mark("sms", "+447700900001", SuppressionKind.OPTED_OUT, NOW)

    assert answer(Body=f" {word.upper()}\n") == expected
    assert answer(Body="Nein danke", OptOutType="STOP") == expected


@pytest.mark.parametrize("word", sorted(START))
def test_a_word_opts_in_again(word: str) -> None:
    expected = Mark("sms", "+447700900001", SuppressionKind.OPTED_OUT, NOW, ends=True)

    assert answer(Body=word.title()) == expected
    assert answer(Body="Ja", OptOutType="START") == expected


@pytest.mark.parametrize("text", ["Please stop writing", "", "HELP", "stop."])
def test_whatever_else_people_write_is_no_opt_out(text: str) -> None:
    assert answer(Body=text) is None
    assert answer(Body=text, OptOutType="HELP") is None


@pytest.mark.parametrize("number", ["", "Acme", "whatsapp:+447700900001", "447700900001", "+0"])
def test_who_is_no_number_cannot_opt_out(number: str) -> None:
    assert answer(Body="STOP", From=number) is None
