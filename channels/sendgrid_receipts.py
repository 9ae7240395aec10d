"""SendGrid's Event Webhook: whether a post is SendGrid's, and what its events say of our messages.

Nothing of an event is kept that names a person or quotes a mail server: of an SMTP answer the enhanced
status, of a drop or a bounce the word of our own that stands for SendGrid's.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from types import MappingProxyType
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from domain.deliveries import Kind, Receipt, Saying
from domain.splitting import EMAIL

PATH = "/webhooks/sendgrid"
SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP = "X-Twilio-Email-Event-Webhook-Timestamp"

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "processed": Kind.ACCEPTED,
        "deferred": Kind.DEFERRED,
        "delivered": Kind.DELIVERED,
        "bounce": Kind.BOUNCED,
        "dropped": Kind.DROPPED,
        "spamreport": Kind.REPORTED,
        "unsubscribe": Kind.OPTED_OUT,
        "group_unsubscribe": Kind.OPTED_OUT,
        "group_resubscribe": Kind.OPTED_IN,
    }
)
"""What is not here says nothing of a delivery: opens, clicks, changes of the account, and what will be invented."""

DROPS: Mapping[str, str] = MappingProxyType(
    {
        "bounced address": "bounced_before",
        "unsubscribed address": "unsubscribed",
        "user unsubscribed": "unsubscribed",
        "spam reporting address": "reported_before",
        "invalid smtpapi header": "malformed",
        "invalid": "invalid",
        "spam content": "spam_content",
        "recipient list over package quota": "quota",
        "duplicate message": "repeated",
    }
)
"""How SendGrid's reasons for a drop begin; the first that fits counts."""

CLASSES: Mapping[str, str] = MappingProxyType(
    {
        "invalid address": "invalid_address",
        "mailbox unavailable": "mailbox_unavailable",
        "reputation": "reputation",
        "content": "content",
        "frequency": "volume",
        "technical": "technical",
    }
)
"""How SendGrid's classes of bounces begin; "Unclassified" is none."""

_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,2}\.\d{1,2})(?!\.?\d)")
_SAYS_NOTHING = ".0.0"
_NUMBER = re.compile(r"\d{1,9}")
_UID = re.compile(r"[0-9a-f]{32}")
_WORD = re.compile(r"[\w+/=.-]{1,120}", re.ASCII)
_EARLIEST, _LATEST = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def is_signed(key: ec.EllipticCurvePublicKey, body: bytes, *, signature: str, timestamp: str) -> bool:
    """Whether SendGrid signed these bytes; false for whatever is no signature.

    The age is not judged: SendGrid posts again for 24 hours, and a repeated receipt changes nothing.
    """
    try:
        key.verify(base64.b64decode(signature, validate=True), timestamp.encode() + body, ec.ECDSA(SHA256()))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def parse(body: bytes) -> list[Receipt]:
    """What a post says of our messages; events of others, and such as cannot be read, are left out.

    Raises:
        ValueError: the post is not a list in JSON.
    """
    events = orjson.loads(body)
    if not isinstance(events, list):
        raise ValueError("the post is not a list")  # noqa: TRY004  a wrong value, of whatever type
    return [receipt for event in events if (receipt := _receipt(event)) is not None]


def _receipt(event: Any) -> Receipt | None:  # noqa: ANN401  JSON of any kind
    if not isinstance(event, dict):
        return None
    kind, batch, at = KINDS.get(_text(event, "event")), _text(event, "bs_batch"), _time(event.get("timestamp"))
    request, row = _text(event, "bs_request"), _text(event, "bs_row")
    if (
        kind is None
        or at is None
        or not (_UID.fullmatch(batch) and _NUMBER.fullmatch(request) and _NUMBER.fullmatch(row))
    ):
        return None
    if kind is Kind.BOUNCED and _text(event, "type") == "blocked":
        kind = Kind.BLOCKED
    code = _code(event, kind)
    provider_id = _text(event, "sg_message_id").partition(".")[0]
    provider_id = provider_id if _WORD.fullmatch(provider_id) else ""
    event_id = _text(event, "sg_event_id")
    if not _WORD.fullmatch(event_id):
        event_id = sha256(f"{kind} {provider_id} {at.isoformat()} {code}".encode()).hexdigest()[:32]
    said = Saying(event_id, kind, provider_id, code, at)
    return Receipt(batch=batch, request=int(request), row=int(row), channel=EMAIL, said=said)


def _code(event: Mapping[str, Any], kind: Kind) -> str | None:
    """A word of ours, or an enhanced status; a status that says nothing gives way to SendGrid's own class."""
    if kind is Kind.DROPPED:
        return _beginning(DROPS, _text(event, "reason"))
    if kind not in {Kind.BOUNCED, Kind.BLOCKED, Kind.DEFERRED}:
        return None
    texts = (_text(event, name) for name in ("status", "reason", "response"))
    status = next((match[1] for text in texts if (match := _STATUS.search(text))), None)
    if status is None or status.endswith(_SAYS_NOTHING):
        return _beginning(CLASSES, _text(event, "bounce_classification")) or status
    return status


def _beginning(words: Mapping[str, str], text: str) -> str | None:
    return next((word for beginning, word in words.items() if text.casefold().startswith(beginning)), None)


def _text(event: Mapping[str, Any], name: str) -> str:
    found = event.get(name)
    return found if isinstance(found, str) else ""


def _time(value: object) -> datetime | None:
    """Seconds since 1970, as a number or in digits."""
    try:
        at = datetime.fromtimestamp(float(value), UTC) if isinstance(value, int | float | str) else None
    except (ValueError, OverflowError, OSError):
        return None
    return at if at is not None and _EARLIEST <= at <= _LATEST else None
