"""Addresses that carry their own permission: whoever has one may fetch that one thing. And keys that others sign with."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

RESULTS = "/results/"


def result_url(secret: bytes, *, base: str, batch_id: int) -> str:
    """Where the result file of a batch can be fetched; the same every time."""
    return f"{base}{RESULTS}{batch_id}/{result_signature(secret, batch_id=batch_id)}"


def result_signature(secret: bytes, *, batch_id: int) -> str:
    """128 bits of HMAC-SHA-256 that only this installation can make."""
    return hmac.new(secret, f"result:{batch_id}".encode(), hashlib.sha256).hexdigest()[:32]


def may_fetch_result(secret: bytes, *, batch_id: int, signature: str) -> bool:
    """Whether the signature is right; takes the same time if it is not."""
    return hmac.compare_digest(result_signature(secret, batch_id=batch_id).encode(), signature.encode())


def public_key(text: str) -> EllipticCurvePublicKey:
    """A public key as SendGrid shows it: base64, with or without the lines of PEM around it.

    Raises:
        ValueError: it is no public key of the curve P-256.
    """
    try:
        found = load_der_public_key(base64.b64decode(re.sub(r"-----[A-Z ]+-----|\s", "", text), validate=True))
    except UnsupportedAlgorithm as fault:
        raise ValueError("it is a key of a kind that nobody knows") from fault
    if not isinstance(found, EllipticCurvePublicKey) or not isinstance(found.curve, SECP256R1):
        raise ValueError("it is no public key of the curve P-256")  # noqa: TRY004  a wrong value, of whatever type
    return found
