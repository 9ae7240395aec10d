"""Recovery: batches whose run has ended before its time go on by themselves.

Prefect restarts a run whose process crashed; this finds what nobody restarts: runs that were lost
with the machine, with Prefect's database, or between a decision and its run. It reads the ledger, so
it may be called at any time, by several machines at once, and does nothing the second time.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowFilter, FlowFilterName, FlowRunFilter, FlowRunFilterState
from prefect.client.schemas.filters import FlowRunFilterStateType as StateTypes
from prefect.client.schemas.objects import State, StateType
from prefect.exceptions import ObjectNotFound
from prefect.states import Scheduled

from domain.recovery import NEEDS_RUN, Run, RunState, Step, next_step
from domain.states import Phase, Status
from models import batches, processes
from tasks.surroundings import Surroundings, now

DEPLOYMENT = "send-batch/send-batch"
SWEEP, SWEEP_INBOX, HOUSEKEEPING = "settle", "sweep-inbox", "housekeeping"
"""Flows that run by themselves, one run of each at a time."""
CREATE = "create-batch"
"""The flow that makes a batch of what was typed into its form."""
TAG = "bulk-sender"
"""Of runs that are started again when they crash."""
_logger = logging.getLogger(__name__)
_ENDS = {"Crashed", "Failed"}
"""Ends that count as crashes; `Stopped`, below, is the end of a run that went down with everything."""


@dataclass(frozen=True, slots=True)
class _Open:
    """A batch that is not done."""

    batch_id: int
    name: str
    process: str
    phase: Phase
    status: Status
    run_id: str | None


def go_on(around: Surroundings, *, alone: bool = False) -> list[int]:
    """See to it that every batch with work left has a run that will do it.

    A batch that waits for a decision is left to its suspended run.

    Args:
        around: settings, database, storage.
        alone: whether it is certain that no process of any run is alive.

    Returns:
        The batches that go on by this.
    """
    with around.database.read() as session:
        found = [
            _Open(
                batches.id_of(batch),
                batch.name,
                processes.version_by_id(session, batch.process_version_id).key,
                Phase(batch.phase),
                Status(batch.status),
                batch.flow_run_id,
            )
            for batch in batches.in_phases(session, NEEDS_RUN)
        ]
    with get_client(sync_client=True) as client:
        if alone:
            _see_to_lone_runs(client)
        return [one.batch_id for one in found if _see_to(around, client, one, alone=alone)]


def _see_to(around: Surroundings, client: SyncPrefectClient, one: _Open, *, alone: bool) -> bool:
    run = _run(client, one.run_id)
    step = next_step(one.phase, one.status, run, alone=alone)
    match step:
        case Step.LEAVE:
            return False
        case Step.START:
            _start(around, client, one)
        case Step.GO_ON:
            _schedule_again(client, UUID(one.run_id), run.state)
        case Step.ASK:
            _ask(around, client, one)
        case Step.HALT:
            _halt(around, one)
    _logger.info("batch %d: run was %s, %s", one.batch_id, run.state.lower(), step)
    return step in {Step.START, Step.GO_ON}


def _run(client: SyncPrefectClient, run_id: str | None) -> Run:
    if run_id is None:
        return Run(RunState.MISSING)
    try:
        state = client.read_flow_run(UUID(run_id)).state
        ends = [past for past in client.read_flow_run_states(UUID(run_id)) if past.name in _ENDS]
    except ObjectNotFound:
        return Run(RunState.MISSING)
    if state is None:  # not a moment old
        return Run(RunState.SCHEDULED)
    return Run(RunState(state.type.value), now() - state.timestamp, len(ends))


def _start(around: Surroundings, client: SyncPrefectClient, one: _Open) -> None:
    """Start the one run that follows on the run that ended, whoever else does so at the same time."""
    run = client.create_flow_run_from_deployment(
        client.read_deployment_by_name(DEPLOYMENT).id,
        name=one.name,
        parameters={"batch_id": one.batch_id},
        tags=["bulk-sender", f"batch:{one.batch_id}", f"process:{one.process}", f"status:{one.status}"],
        idempotency_key=f"batch {one.batch_id} after {one.run_id}",
    )
    with around.database.write() as session:
        batches.note(session, one.batch_id, flow_run_id=str(run.id))


def _schedule_again(client: SyncPrefectClient, run_id: UUID, state: RunState) -> None:
    """Let a worker take the same run again; its history shows what happened."""
    if state not in {RunState.CRASHED, RunState.FAILED}:
        # Not called "Crashed", to which the automation would answer as well.
        _set(client, run_id, StateType.CRASHED, "Stopped", "Its process was gone.", force=True)
    client.set_flow_run_state(run_id, Scheduled(name="AwaitingRetry", message="The batch has work left."))


def _ask(around: Surroundings, client: SyncPrefectClient, one: _Open) -> None:
    """End the restarts, and say why where people look."""
    _set(client, UUID(one.run_id), StateType.FAILED, "GivenUp", "It ended again and again.", force=True)
    look = "Its run ended again and again without coming to its end. Look at its logs in the Prefect UI"
    again = {
        Phase.CHECKING: "then create the batch again.",
        Phase.WAITING: f"then decide once more: bulk-sender batch approve {one.batch_id} --by EMAIL",
        Phase.SENDING: f"then resume it: bulk-sender batch resume {one.batch_id} --by EMAIL",
    }
    _give_back(around, one, reason=f"{look}, {again[one.phase]}")


def _halt(around: Surroundings, one: _Open) -> None:
    again = {
        Phase.CHECKING: "Create the batch again.",
        Phase.WAITING: f"Decide once more: bulk-sender batch approve {one.batch_id} --by EMAIL",
        Phase.SENDING: f"What has not left is pending. Let it go on: bulk-sender batch resume {one.batch_id} --by EMAIL",
    }
    _give_back(around, one, reason=f"Its run was cancelled in Prefect. {again[one.phase]}")


def _give_back(around: Surroundings, one: _Open, *, reason: str) -> None:
    with around.database.write() as session:
        match one.phase:
            case Phase.CHECKING:
                batches.advance(session, one.batch_id, Phase.FAILED, now=now(), reason=reason)
            case Phase.SENDING:
                batches.advance(session, one.batch_id, Phase.PAUSED, now=now(), reason=reason)
            case _:
                batches.note(session, one.batch_id, reason=reason)


def _see_to_lone_runs(client: SyncPrefectClient) -> None:
    """See to the runs of no batch that went down with everything.

    Sweeps are ended: there is room for one only, and they hold it. A run that makes a batch begins again.
    """
    dead = client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=[SWEEP, SWEEP_INBOX, HOUSEKEEPING, CREATE])),
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=StateTypes(any_=[StateType.RUNNING, StateType.PENDING]))
        ),
    )
    for run in dead:
        with suppress(ObjectNotFound):
            _set(client, run.id, StateType.CRASHED, "Stopped", "Its process was gone.", force=True)
            if TAG in run.tags:
                client.set_flow_run_state(run.id, Scheduled(name="AwaitingRetry", message="It made no batch yet."))


def _set(client: SyncPrefectClient, run_id: UUID, kind: StateType, name: str, message: str, *, force: bool) -> None:
    client.set_flow_run_state(run_id, State(type=kind, name=name, message=message), force=force)
