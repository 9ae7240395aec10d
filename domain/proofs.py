"""What people and programs show to prove who they are: how it is made, and the little that is kept of it."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets

KEY_PREFIX = "bsk_"
CODE_LENGTH = 8
CODE_SIGNS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
"""No two of them are mistaken for each other when a code is read aloud or copied by hand."""


def new_token() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)


def new_key() -> str:
    """A program's key; its beginning lets scanners find one that leaked."""
    return KEY_PREFIX + new_token()


def digest(token: str) -> str:
    """What is kept of something random; from it the token cannot be made."""
    return hashlib.sha256(token.encode()).hexdigest()


def keyed(secret: bytes, what: str, *parts: object) -> str:
    """A hash that only this installation can make: for what is short enough to be guessed, and for tokens that follow from others."""
    text = "\x1f".join((what, *map(str, parts)))
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()


def network_of(address: str) -> str:
    """Whom tries from a network address are counted to: one home or office has 2^64 addresses of IPv6."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(found if found.version == 4 else ipaddress.ip_network((found, 64), strict=False))  # noqa: PLR2004  IPv4


def is_same(given: str, right: str) -> bool:
    """Whether two texts are equal; takes the same time wherever they differ."""
    return hmac.compare_digest(given.encode(), right.encode())


def new_code() -> str:
    """A short code for people: `K7QM-2XWD`."""
    signs = "".join(secrets.choice(CODE_SIGNS) for _ in range(CODE_LENGTH))
    return f"{signs[:4]}-{signs[4:]}"


def code_hash(secret: bytes, code: str, *, batch_id: int | None, revision: int) -> str:
    """What is kept of a code, which fits one revision of one batch, or creates one if None; case, spaces and dashes do not matter."""
    plain = "".join(sign for sign in code.upper() if sign.isalnum())
    return keyed(secret, "approval-code", batch_id, revision, plain)
