"""Which passwords may be chosen, and what is kept of them."""

from __future__ import annotations

from typing import Literal

import pytest
from argon2 import PasswordHasher

from domain import passwords
from domain.errors import NotAllowed
from domain.passwords import COMMON, LONGEST, SHORTEST, hashed, is_outdated, is_right, require_usable

EMAIL = "ann.longname@acme.example"


@pytest.mark.parametrize(
    "password", ["a" * 11 + "b", "four plain small words", "ααααααααααβγ", "x" * (LONGEST - 1) + "y"]
)
def test_length_alone_makes_a_password(password: str) -> None:
    require_usable(password, email=EMAIL)


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("a" * 10 + "b", f"fewer than {SHORTEST}"),
        ("", f"fewer than {SHORTEST}"),
        ("x" * LONGEST + "y", "more than"),
        (EMAIL.upper(), "is the email"),
        ("Ann.Longname", "is the email"),
        ("Password123456", "tried first"),
        ("a" * 40, "tried first"),
    ],
)
def test_a_password_that_is_guessed_first_is_refused(password: str, why: str) -> None:
    with pytest.raises(NotAllowed, match=why):
        require_usable(password, email=EMAIL)


def test_the_list_holds_nothing_that_is_too_short_anyway() -> None:
    assert [word for word in COMMON if len(word) < SHORTEST or word != word.casefold()] == []


def test_a_password_is_known_again_and_not_readable() -> None:
    kept = hashed("correct horse battery")

    assert kept.startswith("$argon2id$")
    assert "correct" not in kept
    assert is_right(kept, "correct horse battery")
    assert not is_right(kept, "correct horse batterz")
    assert hashed("correct horse battery") != kept


@pytest.mark.parametrize("kept", [None, "no hash", ""])
def test_where_no_password_is_kept_none_is_right(kept: str | None) -> None:
    assert not is_right(kept, "nobody's password")


def test_somebody_unknown_costs_as_much_as_somebody_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the time tells who has an account."""
    asked: list[str] = []

    class Counting(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002  its name there
            asked.append(str(password))
            return super().verify(hash, password)

    monkeypatch.setattr(passwords, "HASHER", Counting(time_cost=1, memory_cost=8, parallelism=1))

    is_right(None, "any")
    is_right(hashed("some"), "any")

    assert asked == ["any", "any"]


def test_what_is_too_long_to_be_a_password_costs_nothing() -> None:
    assert not is_right(hashed("x"), "x" * (LONGEST + 1))


def test_other_parameters_make_a_hash_outdated(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = hashed("correct horse battery")

    assert not is_outdated(kept)
    monkeypatch.setattr(passwords, "HASHER", PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    assert is_outdated(kept)
    assert is_right(kept, "correct horse battery")
