"""Whole batches whose processes are killed while the providers do their worst: nobody twice, nobody lost unnamed.

A short form of `make chaos`; a failure names its seed.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.chaos.campaign import FAULTS, Round, Tally, Truth
from tests.chaos.worker import Place

pytestmark = pytest.mark.timeout(400)


def assert_right(truth: Truth) -> None:
    assert (truth.doubled, truth.lost, truth.misjudged, truth.complaints) == ([], [], [], [])


def of(*kinds: str, fraction: float) -> list[dict[str, Any]]:
    """Faults of these kinds only, more often than usual."""
    return [{**fault, "fraction": fraction} for fault in FAULTS if fault["kind"] in kinds and "on" not in fault]


@pytest.mark.parametrize("seed", [1])
def test_two_workers_and_the_sweep_are_killed_at_any_step(place: Place, seed: int) -> None:
    tally = Tally()

    truth = Round(place, seed=seed, people=60, tally=tally).play(kills=12)

    assert_right(truth)
    assert tally.kills.total() >= 6  # a batch may be through before all twelve have struck


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "faults",
    [
        of("429", "5xx_before", "reset_before", fraction=0.12),
        of("5xx_after", "reset_after", "half_answer", fraction=0.15),
        of("hang_before", "hang_after", "slow_accept", fraction=0.1),
    ],
    ids=["not accepted", "accepted, but the answer is lost", "no answer in time"],
)
def test_answers_that_do_not_say_what_happened(place: Place, faults: list[dict[str, Any]]) -> None:
    truth = Round(place, seed=2, people=40, tally=Tally(), faults=faults).play(kills=0)

    assert_right(truth)
    assert truth.doubts > 0
