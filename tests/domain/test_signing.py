"""Signed addresses: each opens one result, and only those that were made here open any."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from domain.signing import may_fetch_result, result_signature, result_url

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
