"""Twilio's webhooks: whether a post is Twilio's, what a status callback says of an SMS, and what a person answers.

Of a post nothing is kept but Twilio's own id, status and error code, and the number of who opts out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from twilio.request_validator import RequestValidator

from domain.deliveries import Kind, Receipt, Saying
from domain.splitting import SMS
from domain.suppressions import Mark, SuppressionKind

SIGNATURE = "X-Twilio-Signature"
PATH = "/webhooks/twilio"
INBOUND = "/webhooks/twilio/inbound"

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "accepted": Kind.ACCEPTED,
        "scheduled": Kind.ACCEPTED,
        "queued": Kind.ACCEPTED,
        "sending": Kind.ACCEPTED,
        "sent": Kind.ACCEPTED,
        "delivered": Kind.DELIVERED,
        "read": Kind.DELIVERED,
        "undelivered": Kind.UNDELIVERED,
        "failed": Kind.FAILED,
        "canceled": Kind.FAILED,
    }
)
"""What is not here says nothing of a delivery."""

STOP = frozenset({"stop", "unsubscribe", "end", "quit", "stopall", "revoke", "optout", "cancel"})
START = frozenset({"start", "yes", "unstop"})
"""What people write to opt out and in again, as Twilio reads it on long codes."""

_SID = re.compile(r"(SM|MM)[0-9a-fA-F]{32}")
_ERROR = re.compile(r"\d{1,6}")
_E164 = re.compile(r"\+[1-9]\d{4,14}")


def callback_url(base: str, *, batch: str, request: int) -> str:
    """Where Twilio posts what becomes of the SMS of one request."""
    return f"{base}{PATH}/{batch}/{request}"


def is_signed(token: str, url: str, form: Mapping[str, str], *, signature: str) -> bool:
    """Whether Twilio signed this form for this address, which is the one that it was given."""
    return bool(RequestValidator(token).validate(url, form, signature))


def parse_status(form: Mapping[str, str], *, batch: str, request: int, now: datetime) -> Receipt | None:
    """What a status callback says; None where that is nothing of a delivery.

    Twilio gives its callbacks neither an id nor a time: one status of one message counts once, from
    when it first came in.
    """
    sid, status, error = form.get("MessageSid", ""), form.get("MessageStatus", "").lower(), form.get("ErrorCode", "")
    kind = KINDS.get(status)
    if kind is None or not _SID.fullmatch(sid):
        return None
    code = error if _ERROR.fullmatch(error) else None
    if kind in {Kind.ACCEPTED, Kind.DELIVERED}:
        code = None
    elif status == "canceled":
        code = "cancelled"
    return Receipt(
        batch=batch, request=request, row=None, channel=SMS, said=Saying(f"{sid}:{status}", kind, sid, code, now)
    )


def parse_answer(form: Mapping[str, str], *, now: datetime) -> Mark | None:
    """Whether a person opts out by an SMS of theirs, or in again; None for whatever else they write."""
    number = form.get("From", "")
    word = (form.get("OptOutType") or form.get("Body", "")).strip().casefold()
    if word not in STOP | START or not _E164.fullmatch(number):
        return None
    return Mark(channel=SMS, address=number, kind=SuppressionKind.OPTED_OUT, at=now, ends=word in START)
