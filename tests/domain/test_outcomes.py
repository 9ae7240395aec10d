"""Waiting before a request is made again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.outcomes import waiting_seconds


@pytest.mark.parametrize(
    ("attempt", "shortest", "longest"),
    [(1, 0.5, 1.0), (2, 1.0, 2.0), (6, 16.0, 32.0), (7, 30.0, 60.0), (10, 30.0, 60.0), (10_000, 30.0, 60.0)],
)
def test_each_attempt_waits_twice_as_long_up_to_a_minute(attempt: int, shortest: float, longest: float) -> None:
    assert waiting_seconds(attempt, asked=None, chance=0.0) == shortest
    assert waiting_seconds(attempt, asked=None, chance=1.0) == longest


@pytest.mark.parametrize(("asked", "chance", "seconds"), [(0.0, 0.0, 0.0), (7.5, 0.0, 7.5), (120.0, 1.0, 121.0)])
def test_what_the_provider_asks_for_is_kept_to_with_a_little_spread(
    asked: float, chance: float, seconds: float
) -> None:
    assert waiting_seconds(9, asked=asked, chance=chance) == seconds


@given(st.integers(1, 10**9), st.one_of(st.none(), st.floats(0, 3600)), st.floats(0, 1))
def test_a_wait_is_never_negative_and_never_shorter_than_asked(
    attempt: int, asked: float | None, chance: float
) -> None:
    assert waiting_seconds(attempt, asked=asked, chance=chance) >= (asked or 0.0)
