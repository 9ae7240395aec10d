"""Addresses that carry their own permission: whoever has one may fetch that one thing."""

from __future__ import annotations

import hashlib
import hmac

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
