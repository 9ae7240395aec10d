"""When a batch needs a run, and which: one decision over what the ledger and Prefect say of it.

Nothing here looks for what happened lately: whatever stands still is found by the state in which it
stands, however long ago it came there. The ages keep two from doing the same at once, no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from domain.states import Phase, Status

NEEDS_RUN = frozenset({Phase.CHECKING, Phase.WAITING, Phase.SENDING})
"""In the other phases nothing is left that a run would do."""
MOST_CRASHES = 10
"""So often one run may end by a crash or an error before people are asked."""
CRASH_SETTLES = timedelta(seconds=60)
"""A crash is reported twice within seconds, and Prefect's automation restarts it after 20; only then it is ours to do."""
START_TAKES = timedelta(minutes=5)
"""From the moment a worker takes a run until its process reports; one that takes longer died on the way."""


class RunState(StrEnum):
    """Prefect's words for where a run stands, and one for a run that its server does not know."""

    SCHEDULED = "SCHEDULED"
    """A worker will take it."""
    PENDING = "PENDING"
    """A worker took it; its process is starting."""
    RUNNING = "RUNNING"
    """Its process has reported."""
    PAUSED = "PAUSED"
    """Suspended; no process, it waits for a decision."""
    CANCELLING = "CANCELLING"
    """A person cancelled it; its process is being ended."""
    COMPLETED = "COMPLETED"
    """It came to its end."""
    FAILED = "FAILED"
    """It ended with an error."""
    CRASHED = "CRASHED"
    """Its process is gone."""
    CANCELLED = "CANCELLED"
    """A person ended it."""
    MISSING = "MISSING"
    """Prefect's server knows no such run: its database was lost, or somebody deleted it."""


class Step(StrEnum):
    """What is to be done for a batch so that it goes on."""

    LEAVE = "leave"
    """Nothing: somebody is at it, or a person's turn has come."""
    GO_ON = "go_on"
    """Its run is scheduled again."""
    START = "start"
    """It gets a new run."""
    ASK = "ask"
    """It ended again and again; a person must look at it."""
    HALT = "halt"
    """A person ended its run, so nothing more is to leave until a person says so."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run as Prefect's server has it.

    Attributes:
        state: where it stands.
        age: how long it has stood there.
        crashes: how often it ended by a crash or an error so far.
    """

    state: RunState
    age: timedelta = timedelta()
    crashes: int = 0


_DEAD_AFTER = {
    RunState.PENDING: START_TAKES,
    # Its heartbeats tell; without a living process there are none, and Prefect calls it crashed.
    RunState.RUNNING: timedelta.max,
    RunState.CRASHED: CRASH_SETTLES,
    RunState.FAILED: CRASH_SETTLES,
}
"""How long a run may stand there until nobody can be at it any more."""
_STEPS = {
    RunState.MISSING: Step.START,
    RunState.COMPLETED: Step.START,
    RunState.PAUSED: Step.GO_ON,
    RunState.CANCELLED: Step.HALT,
}
_STEPS_UNDECIDED = {RunState.MISSING: Step.START, RunState.COMPLETED: Step.START}
"""A suspended run is what such a batch must have; where it was cancelled, a decision brings another."""
_COUNTED = {RunState.SCHEDULED, RunState.CRASHED, RunState.FAILED}


def next_step(phase: Phase, status: Status, run: Run, *, alone: bool) -> Step:
    """What a batch needs.

    Args:
        phase: how far it has come.
        status: what people decided.
        run: its last run.
        alone: whether it is certain that no process of any run is alive, as at the start of everything.
    """
    if phase not in NEEDS_RUN:
        return Step.LEAVE
    if run.state in _COUNTED and run.crashes > MOST_CRASHES:
        return Step.ASK
    if run.state in _DEAD_AFTER:
        return Step.GO_ON if alone or run.age >= _DEAD_AFTER[run.state] else Step.LEAVE
    undecided = phase is Phase.WAITING and status is Status.PENDING_APPROVAL
    return (_STEPS_UNDECIDED if undecided else _STEPS).get(run.state, Step.LEAVE)
