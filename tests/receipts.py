"""Posts as the providers make them, signed with keys of the tests' own."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twilio.request_validator import RequestValidator

from channels.sendgrid_receipts import SIGNATURE, TIMESTAMP
from channels.twilio_receipts import SIGNATURE as TWILIO_SIGNATURE

AT = 1_772_366_400
"""2026-03-01, noon, UTC."""
SID = "SM" + "0123456789abcdef" * 2


@dataclass(frozen=True)
class Signer:
    """SendGrid's half of a key pair."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def public(self) -> str:
        """The other half, as SendGrid shows it."""
        return base64.b64encode(
            self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        ).decode()

    def headers(self, body: bytes, *, timestamp: str = str(AT)) -> dict[str, str]:
        """What SendGrid sends beside a body."""
        signature = self.key.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))
        return {SIGNATURE: base64.b64encode(signature).decode(), TIMESTAMP: timestamp}


def event(batch: str, row: int, name: str, *, request: int = 0, **fields: Any) -> dict[str, Any]:
    """One event about one of our emails, as SendGrid posts it."""
    return {
        "email": f"person{row}@mail.example",
        "timestamp": AT,
        "event": name,
        "smtp-id": "<x@smtp.example>",
        "category": ["a", "b"],
        "sg_event_id": uuid.uuid4().hex[:22],
        "sg_message_id": "abcDEF-_123.recvd-7c5b-1-0.0",
        "bs_batch": batch,
        "bs_request": str(request),
        "bs_row": str(row),
        "bs_unit": f"{batch}-{request}",
        **fields,
    }


def post(*events: object) -> bytes:
    """The body of a post."""
    return json.dumps(events).encode()


def status(name: str, *, sid: str = SID, **fields: str) -> dict[str, str]:
    """The form of a status callback."""
    return {
        "MessageSid": sid,
        "MessageStatus": name,
        "To": "+447700900000",
        "From": "+15005550006",
        "AccountSid": "AC1",
        **fields,
    }


def form(fields: Mapping[str, str]) -> bytes:
    """The body of a form post."""
    return urlencode(fields).encode()


def twilio_headers(url: str, fields: Mapping[str, str], *, token: str) -> dict[str, str]:
    """What Twilio sends beside a form."""
    signature = RequestValidator(token).compute_signature(url, dict(fields))
    return {TWILIO_SIGNATURE: signature, "Content-Type": "application/x-www-form-urlencoded"}
