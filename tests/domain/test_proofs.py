"""What is shown to prove who somebody is, and what is kept of it."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from domain.proofs import CODE_SIGNS, KEY_PREFIX, code_hash, digest, is_same, keyed, new_code, new_key, new_token

SECRET = b"s" * 32


def test_tokens_are_long_and_never_the_same() -> None:
    assert len({new_token() for _ in range(100)}) == 100
    assert min(len(new_token()) for _ in range(100)) >= 43  # 256 bits in base64
    assert re.fullmatch(re.escape(KEY_PREFIX) + r"[\w-]{43}", new_key())


def test_a_digest_does_not_hold_the_token() -> None:
    token = new_token()

    assert digest(token) == digest(token)
    assert digest(token) != digest(new_token())
    assert token not in digest(token)


def test_a_keyed_hash_depends_on_the_secret_and_on_every_part() -> None:
    found = {
        keyed(SECRET, "what", "a", "b"),
        keyed(b"t" * 32, "what", "a", "b"),
        keyed(SECRET, "other", "a", "b"),
        keyed(SECRET, "what", "ab"),
        keyed(SECRET, "what", "a", "bc"),
    }

    assert len(found) == 5


@given(st.text(), st.text())
def test_texts_are_compared_as_they_are(one: str, other: str) -> None:
    one, other = (text.encode("utf-8", "replace").decode() for text in (one, other))

    assert is_same(one, other) is (one == other)


def test_a_code_is_short_and_readable() -> None:
    for _ in range(50):
        assert re.fullmatch(f"[{CODE_SIGNS}]{{4}}-[{CODE_SIGNS}]{{4}}", new_code())
    assert not set("01ILO") & set(CODE_SIGNS)


def test_a_code_is_known_however_it_is_typed() -> None:
    kept = code_hash(SECRET, "K7QM-2XWD", batch_id=7, revision=1)

    assert code_hash(SECRET, " k7qm 2xwd ", batch_id=7, revision=1) == kept
    assert code_hash(SECRET, "K7QM-2XWE", batch_id=7, revision=1) != kept


def test_a_code_fits_one_revision_of_one_batch_of_one_installation() -> None:
    kept = {
        code_hash(secret, "K7QM-2XWD", batch_id=batch_id, revision=revision)
        for secret, batch_id, revision in [(SECRET, 7, 1), (SECRET, 7, 2), (SECRET, 71, 1), (b"t" * 32, 7, 1)]
    }

    assert len(kept) == 4
