"""Personal links: opaque tokens that only the holder of the secret can make or read.

A token is the pair (batch, row) under deterministic authenticated encryption
(AES-SIV, RFC 5297) with a key derived from the secret: 128 bits of authentication,
nothing stored, the same link in every attempt and on every channel. References and
codes, by which a process's own platform knows a recipient, are sealed in the same way
and can never be taken for one another.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from domain.errors import NotFound

_PLACE = struct.Struct(">II")
_CODE = struct.Struct(">III8s")
_PASS = struct.Struct(">III")
TOKEN_LENGTH = 32
NONCE_BYTES = 8
"""Of a code, so that each is another one."""
PATH = "/l/"
_WRITTEN = re.compile(r"[A-Za-z0-9_-]{32}")


@dataclass(frozen=True, slots=True)
class Place:
    """The recipient that a token stands for."""

    batch_id: int
    row: int


class Links:
    """Makes and reads the links of one installation."""

    def __init__(self, secret: bytes, *, public_url: str) -> None:
        """Derive the key; links begin with `public_url`, which has no slash at its end."""
        key = hashlib.blake2b(secret, digest_size=64, person=b"bulk-links").digest()
        self._cipher = AESSIV(key)
        self._start = public_url.rstrip("/") + PATH

    def link(self, place: Place) -> str:
        """The personal address of one recipient; the same every time."""
        return self._start + self.token(place)

    def token(self, place: Place) -> str:
        """`TOKEN_LENGTH` characters, each safe in a URL."""
        sealed = self._cipher.encrypt(_PLACE.pack(place.batch_id, place.row), None)
        return base64.urlsafe_b64encode(sealed).decode()

    def links(self, batch_id: int, rows: Iterable[int]) -> list[str]:
        """The personal addresses of many recipients of one batch, in the order of `rows`."""
        seal, pack = self._cipher.encrypt, _PLACE.pack
        sealed = b"".join([seal(pack(batch_id, row), None) for row in rows])
        tokens = base64.urlsafe_b64encode(sealed).decode()
        return [self._start + tokens[at : at + TOKEN_LENGTH] for at in range(0, len(tokens), TOKEN_LENGTH)]

    def place(self, token: str) -> Place:
        """Whom the token stands for.

        Raises:
            NotFound: for anything that this secret did not make.
        """
        if not _WRITTEN.fullmatch(token):
            raise NotFound("This link is not valid.")
        try:
            sealed = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
            return Place(*_PLACE.unpack(self._cipher.decrypt(sealed, None)))
        except (InvalidTag, ValueError, binascii.Error, struct.error) as fault:
            raise NotFound("This link is not valid.") from fault

    def reference(self, place: Place) -> str:
        """What a platform calls the recipient; the same every time, and opens nothing."""
        return self._seal(_PLACE.pack(place.batch_id, place.row), "reference")

    def referred(self, reference: str) -> Place:
        """Whom a platform means.

        Raises:
            NotFound: for anything that this secret did not make.
        """
        return Place(*_PLACE.unpack(self._unseal(reference, "reference", size=_PLACE.size)))

    def code(self, place: Place, *, expires_at: datetime, nonce: bytes) -> str:
        """What a platform can exchange until `expires_at`, to the second.

        Args:
            place: the recipient.
            expires_at: the end.
            nonce: `NONCE_BYTES` random bytes.
        """
        return self._seal(_CODE.pack(place.batch_id, place.row, int(expires_at.timestamp()), nonce), "code")

    def coded(self, code: str) -> tuple[Place, datetime]:
        """Whom a code stands for, and until when it does.

        Raises:
            NotFound: for anything that this secret did not make.
        """
        batch_id, row, ends, _ = _CODE.unpack(self._unseal(code, "code", size=_CODE.size))
        return Place(batch_id, row), datetime.fromtimestamp(ends, UTC)

    def pass_on(self, place: Place, *, expires_at: datetime) -> str:
        """What the browser of somebody who knew the second factor holds until `expires_at`."""
        return self._seal(_PASS.pack(place.batch_id, place.row, int(expires_at.timestamp())), "pass")

    def may_pass(self, place: Place, held: str, *, now: datetime) -> bool:
        """Whether a browser holds a pass for this recipient."""
        try:
            batch_id, row, ends = _PASS.unpack(self._unseal(held, "pass", size=_PASS.size))
        except NotFound:
            return False
        return Place(batch_id, row) == place and now.timestamp() < ends

    def _seal(self, content: bytes, purpose: str) -> str:
        return base64.urlsafe_b64encode(self._cipher.encrypt(content, [purpose.encode()])).decode().rstrip("=")

    def _unseal(self, text: str, purpose: str, *, size: int) -> bytes:
        try:
            sealed = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
            content = self._cipher.decrypt(sealed, [purpose.encode()])
        except (InvalidTag, ValueError, binascii.Error) as fault:
            raise NotFound("This is not valid.") from fault
        if len(content) != size or not hmac.compare_digest(text, base64.urlsafe_b64encode(sealed).decode().rstrip("=")):
            raise NotFound("This is not valid.")
        return content

    @property
    def length(self) -> int:
        """How many characters every link has."""
        return len(self._start) + TOKEN_LENGTH


def fingerprint(secret: bytes, *, public_url: str) -> str:
    """What a batch remembers of the secret and address its links were made with; reveals neither."""
    key = hashlib.blake2b(secret).digest()
    return hashlib.blake2b(public_url.rstrip("/").encode(), key=key, digest_size=16, person=b"bulk-print").hexdigest()
