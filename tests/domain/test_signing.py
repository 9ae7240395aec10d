"""Signed addresses: each opens one result, and only those that were made here open any."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from domain.signing import may_fetch_result, public_key, result_signature, result_url

SECRET = b"a secret of this installation"


def test_the_address_of_a_result_is_the_same_every_time() -> None:
    signature = result_signature(SECRET, batch_id=7)

    assert result_url(SECRET, base="https://x.example", batch_id=7) == f"https://x.example/results/7/{signature}"
    assert len(signature) == 32


def test_a_signature_opens_its_own_result_only() -> None:
    signature = result_signature(SECRET, batch_id=7)

    assert may_fetch_result(SECRET, batch_id=7, signature=signature)
    assert not may_fetch_result(SECRET, batch_id=8, signature=signature)
    assert not may_fetch_result(b"another", batch_id=7, signature=signature)


@pytest.mark.parametrize("signature", ["", "0" * 32, "ä" * 32, "x"])
def test_a_made_up_signature_opens_nothing(signature: str) -> None:
    assert not may_fetch_result(SECRET, batch_id=7, signature=signature)


@pytest.mark.parametrize(
    "change", [str.upper, lambda text: text + "0", lambda text: text[:-1], lambda text: " " + text]
)
def test_a_signature_that_was_bent_opens_nothing(change: Callable[[str], str]) -> None:
    assert not may_fetch_result(SECRET, batch_id=7, signature=change(result_signature(SECRET, batch_id=7)))


def shown(key: PublicKeyTypes, encoding: Encoding = Encoding.DER) -> bytes:
    return key.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)


OTHERS: list[PublicKeyTypes] = [
    ec.generate_private_key(ec.SECP384R1()).public_key(),
    ed25519.Ed25519PrivateKey.generate().public_key(),
]
# RFC 5480's form with an object identifier that nobody has given to a kind of key.
UNHEARD_OF = bytes.fromhex("301a300b06092a864886f70d01017f030b00") + bytes(10)


def test_a_public_key_is_read_with_and_without_the_lines_of_pem() -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()

    assert public_key(base64.b64encode(shown(key)).decode()) == key
    assert public_key(shown(key, Encoding.PEM).decode()) == key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "not base64!",
        *(base64.b64encode(one).decode() for one in (b"rubbish", UNHEARD_OF, *(shown(key) for key in OTHERS))),
    ],
    ids=range(7),
)
def test_what_is_no_public_key_of_the_curve_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        public_key(text)
