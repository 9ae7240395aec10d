"""What a batch needs to go on: for every state of its run, whether it waits for a person or not."""

from __future__ import annotations

import inspect
from datetime import timedelta

import pytest

import domain.recovery
from domain.recovery import CRASH_SETTLES, MOST_CRASHES, NEEDS_RUN, START_TAKES, Run, RunState, Step, next_step
from domain.states import Phase, Status
from tests.domain.test_states import unexplained

MOMENT, AGES = timedelta(seconds=1), timedelta(days=400)
DECIDED = [
    (Phase.SENDING, Status.APPROVED),
    (Phase.WAITING, Status.APPROVED),
    (Phase.CHECKING, Status.PENDING_APPROVAL),
]
UNDECIDED = (Phase.WAITING, Status.PENDING_APPROVAL)


def step(stand: tuple[Phase, Status], run: Run, *, alone: bool = False) -> Step:
    return next_step(*stand, run, alone=alone)


@pytest.mark.parametrize("stand", DECIDED)
@pytest.mark.parametrize(
    ("state", "age", "expected"),
    [
        (RunState.SCHEDULED, AGES, Step.LEAVE),
        (RunState.PENDING, START_TAKES - MOMENT, Step.LEAVE),
        (RunState.PENDING, START_TAKES, Step.GO_ON),
        (RunState.RUNNING, AGES, Step.LEAVE),
        (RunState.PAUSED, MOMENT, Step.GO_ON),
        (RunState.CANCELLING, AGES, Step.LEAVE),
        (RunState.COMPLETED, MOMENT, Step.START),
        (RunState.FAILED, CRASH_SETTLES - MOMENT, Step.LEAVE),
        (RunState.FAILED, AGES, Step.GO_ON),
        (RunState.CRASHED, CRASH_SETTLES - MOMENT, Step.LEAVE),
        (RunState.CRASHED, CRASH_SETTLES, Step.GO_ON),
        (RunState.CANCELLED, MOMENT, Step.HALT),
        (RunState.MISSING, MOMENT, Step.START),
    ],
)
def test_a_batch_with_work_left_gets_a_run_where_none_will_do_it(
    stand: tuple[Phase, Status], state: RunState, age: timedelta, expected: Step
) -> None:
    assert step(stand, Run(state, age)) is expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (RunState.PAUSED, Step.LEAVE),
        (RunState.CANCELLED, Step.LEAVE),
        (RunState.MISSING, Step.START),
        (RunState.COMPLETED, Step.START),
        (RunState.CRASHED, Step.GO_ON),
    ],
)
def test_a_batch_that_waits_for_a_person_is_asked_about_once(state: RunState, expected: Step) -> None:
    assert step(UNDECIDED, Run(state, AGES)) is expected


@pytest.mark.parametrize("state", [RunState.PENDING, RunState.RUNNING, RunState.CRASHED, RunState.FAILED])
def test_at_the_start_of_everything_no_process_is_alive(state: RunState) -> None:
    assert step(DECIDED[0], Run(state, MOMENT), alone=True) is Step.GO_ON


@pytest.mark.parametrize("state", [RunState.SCHEDULED, RunState.CRASHED, RunState.FAILED])
def test_a_run_that_ends_again_and_again_is_given_to_a_person(state: RunState) -> None:
    assert step(DECIDED[0], Run(state, AGES, MOST_CRASHES + 1), alone=True) is Step.ASK
    assert step(DECIDED[0], Run(state, AGES, MOST_CRASHES)) is not Step.ASK


@pytest.mark.parametrize("state", RunState)
@pytest.mark.parametrize("phase", set(Phase) - NEEDS_RUN)
def test_nothing_is_started_where_a_run_has_nothing_to_do(phase: Phase, state: RunState) -> None:
    run = Run(state, AGES, MOST_CRASHES + 1)

    assert {next_step(phase, status, run, alone=alone) for status in Status for alone in (True, False)} == {Step.LEAVE}


def test_every_word_is_explained() -> None:
    assert unexplained(inspect.getsource(domain.recovery)) == []
