"""Batches whose run is gone go on; a Prefect server is played by a few lines, as only states matter here."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from prefect.client.schemas.objects import State, StateType
from prefect.exceptions import ObjectNotFound

from domain.outcomes import Outcome, OutcomeKind
from domain.recovery import MOST_CRASHES
from domain.states import Phase, Status
from models import batches, requests
from tasks import reconcile, recovery, report, send
from tasks.surroundings import Surroundings
from tests.factories import batch, batch_in, people, sendable

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Prefect:
    """Runs by id, each with its states, oldest first; and what was started."""

    runs: dict[str, list[State[Any]]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    started: list[dict[str, Any]] = field(default_factory=list)
    sweeps: list[str] = field(default_factory=list)
    forms: list[str] = field(default_factory=list)

    def run(self, *kinds: str, name: str | None = None, at: datetime = LONG_AGO) -> str:
        """A run that went through these states."""
        run_id = str(uuid.uuid4())
        self.runs[run_id] = [
            State(type=StateType[kind], name=name or kind.capitalize(), timestamp=at) for kind in kinds
        ]
        return run_id

    def last(self, run_id: str) -> tuple[str, str | None]:
        state = self.runs[run_id][-1]
        return state.type.value, state.name

    # What the product asks of it

    def read_flow_run(self, run_id: uuid.UUID) -> SimpleNamespace:
        if str(run_id) not in self.runs:
            raise ObjectNotFound(Exception("no such run"))
        return SimpleNamespace(state=self.runs[str(run_id)][-1])

    def read_flow_run_states(self, run_id: uuid.UUID) -> list[State[Any]]:
        return self.runs[str(run_id)]

    def set_flow_run_state(self, run_id: uuid.UUID, state: State[Any], *, force: bool = False) -> None:
        was_final = self.runs[str(run_id)][-1].is_final()
        assert force or was_final, "Prefect lets only an ended run be scheduled again"
        self.runs[str(run_id)].append(state)

    def read_deployment_by_name(self, name: str) -> SimpleNamespace:
        assert name == "send-batch/send-batch"
        return SimpleNamespace(id="deployment")

    def create_flow_run_from_deployment(self, _deployment: str, **options: Any) -> SimpleNamespace:
        key = options["idempotency_key"]
        if key not in self.keys:
            self.keys[key] = self.run("SCHEDULED")
            self.started.append(options)
        return SimpleNamespace(id=self.keys[key])

    def read_flow_runs(self, **_filters: Any) -> list[SimpleNamespace]:
        sweeps = [SimpleNamespace(id=run_id, tags=["bulk-sender-settle"]) for run_id in self.sweeps]
        return sweeps + [SimpleNamespace(id=run_id, tags=["bulk-sender"]) for run_id in self.forms]


@pytest.fixture
def prefect(monkeypatch: pytest.MonkeyPatch) -> Prefect:
    server = Prefect()

    @contextmanager
    def get_client(*, sync_client: bool) -> Iterator[Prefect]:
        assert sync_client
        yield server

    monkeypatch.setattr(recovery, "get_client", get_client)
    return server


def test_a_batch_whose_run_nobody_knows_gets_one_new_run(around: Surroundings, prefect: Prefect) -> None:
    batch_id = batch_in(around.database, Phase.SENDING, flow_run_id=str(uuid.uuid4()))

    assert recovery.go_on(around) == [batch_id]
    assert recovery.go_on(around) == []

    (started,) = prefect.started
    assert started["parameters"] == {"batch_id": batch_id}
    assert {"bulk-sender", f"batch:{batch_id}"} <= set(started["tags"])
    assert batch(around.database, batch_id).flow_run_id in prefect.runs


def test_two_that_see_the_same_end_start_the_same_run(around: Surroundings, prefect: Prefect) -> None:
    """Several machines look every minute, and at the same moment."""
    ended = prefect.run("RUNNING", "COMPLETED")
    batch_id = batch_in(around.database, Phase.SENDING, flow_run_id=ended)
    recovery.go_on(around)
    with around.database.write() as session:
        batches.note(session, batch_id, flow_run_id=ended)  # as the other still has it in its hands
    recovery.go_on(around)

    assert len(prefect.started) == 1


@pytest.mark.parametrize("state", ["RUNNING", "PENDING", "CRASHED", "FAILED"])
def test_after_a_stop_of_everything_the_same_run_goes_on(around: Surroundings, prefect: Prefect, state: str) -> None:
    run_id = prefect.run(state, at=datetime.now(UTC))
    batch_id = batch_in(around.database, Phase.SENDING, flow_run_id=run_id)

    assert recovery.go_on(around) == []
    assert recovery.go_on(around, alone=True) == [batch_id]

    assert prefect.last(run_id) == ("SCHEDULED", "AwaitingRetry")
    crashes = [past.name for past in prefect.runs[run_id] if past.type is StateType.CRASHED]
    assert crashes == (["Crashed"] if state == "CRASHED" else [] if state == "FAILED" else ["Stopped"]), (
        "or the automation answers, too"
    )


def test_a_decision_whose_run_was_not_woken_is_followed(around: Surroundings, prefect: Prefect) -> None:
    run_id = prefect.run("RUNNING", "PAUSED")
    batch_in(around.database, Phase.WAITING, status=Status.APPROVED.value, flow_run_id=run_id)

    recovery.go_on(around)

    assert prefect.last(run_id) == ("SCHEDULED", "AwaitingRetry")
    assert prefect.started == []


def test_a_batch_that_waits_for_a_decision_is_left_to_its_run(around: Surroundings, prefect: Prefect) -> None:
    run_id = prefect.run("RUNNING", "PAUSED")
    batch_in(around.database, Phase.WAITING, flow_run_id=run_id)

    assert recovery.go_on(around, alone=True) == []
    assert prefect.last(run_id)[0] == "PAUSED"


def test_a_crash_loop_ends_with_a_reason_and_can_be_resumed(around: Surroundings, prefect: Prefect) -> None:
    run_id = prefect.run(*["CRASHED"] * (MOST_CRASHES + 1))
    batch_id = batch_in(around.database, Phase.SENDING, flow_run_id=run_id)

    assert recovery.go_on(around) == []

    halted = batch(around.database, batch_id)
    assert halted.phase == Phase.PAUSED
    assert f"batch resume {batch_id}" in (halted.reason or "")
    assert prefect.last(run_id) == ("FAILED", "GivenUp")


def test_a_check_that_crashes_again_and_again_fails_its_batch(around: Surroundings, prefect: Prefect) -> None:
    run_id = prefect.run(*["CRASHED"] * (MOST_CRASHES + 1))
    batch_id = batch_in(around.database, Phase.CHECKING, flow_run_id=run_id)

    recovery.go_on(around)

    assert batch(around.database, batch_id).phase == Phase.FAILED


def test_a_run_that_a_person_cancels_halts_its_batch(around: Surroundings, prefect: Prefect) -> None:
    batch_id = batch_in(around.database, Phase.SENDING, flow_run_id=prefect.run("RUNNING", "CANCELLED"))

    recovery.go_on(around)

    halted = batch(around.database, batch_id)
    assert (halted.phase, "cancelled in Prefect" in (halted.reason or "")) == (Phase.PAUSED, True)
    assert prefect.started == []


def test_restarts_of_the_machine_are_no_crash_loop(around: Surroundings, prefect: Prefect) -> None:
    run_id = prefect.run("RUNNING", at=datetime.now(UTC) - timedelta(seconds=5))
    batch_in(around.database, Phase.SENDING, flow_run_id=run_id)
    for _ in range(MOST_CRASHES + 5):
        recovery.go_on(around, alone=True)
        prefect.runs[run_id].append(State(type=StateType.RUNNING, name="Running"))

    assert recovery.go_on(around, alone=True) != []


def test_a_sweep_that_died_with_everything_makes_room(around: Surroundings, prefect: Prefect) -> None:
    """There may be one at a time: a dead one would keep every other from running."""
    prefect.sweeps = [prefect.run("RUNNING")]

    recovery.go_on(around)
    assert prefect.last(prefect.sweeps[0])[0] == "RUNNING"
    recovery.go_on(around, alone=True)
    assert prefect.last(prefect.sweeps[0]) == ("CRASHED", "Stopped")


def test_a_run_that_was_making_a_batch_when_everything_stopped_begins_again(
    around: Surroundings, prefect: Prefect
) -> None:
    prefect.forms = [prefect.run("RUNNING")]

    recovery.go_on(around)
    assert prefect.last(prefect.forms[0])[0] == "RUNNING"

    recovery.go_on(around, alone=True)
    assert prefect.last(prefect.forms[0]) == ("SCHEDULED", "AwaitingRetry")


def test_a_result_that_its_run_did_not_write_is_found_and_written_once(around: Surroundings) -> None:
    batch_id = sendable(around, people(emails=1, invalid=1).with_columns(valid=False))
    with around.database.write() as session:
        batches.note(session, batch_id, phase=Phase.SETTLING.value)
    assert report.unreported(around) == [batch_id]

    with around.database.write() as session:
        batches.note_result(session, batch_id, "key", phase=Phase.SETTLING)
    assert report.unreported(around) == []
    assert report.unreported(around, [batch_id]) == [batch_id], "something changed since"

    assert reconcile.reconcile(around, batch_id) == Phase.FINISHED
    assert report.unreported(around) == [batch_id], "the file speaks of an earlier phase"
    with around.database.write() as session:
        batches.note_result(session, batch_id, "key", phase=Phase.SETTLING)
    assert report.unreported(around) == [batch_id], "a slow writer of the earlier phase comes too late"


def test_people_whose_doubt_ends_while_their_chunk_is_sent_are_written_to_by_the_run_at_work(
    around: Surroundings,
) -> None:
    """The sweep makes a new request for them; the sender at work must know who they are."""
    batch_id = sendable(around, people(sms=2))
    lost = datetime.now(UTC) - timedelta(hours=1)
    with around.database.write() as session:
        requests.claim(session, batch_id, {0: "bytes"}, token="dead", lease_until=lost, now=lost)
    asked = []

    class Provider:
        async def send(self, content: Mapping[str, Any], /) -> Outcome:
            asked.append(content["to"])
            with around.database.write() as session:
                requests.send_again(session, batch_id, 0, why="certainly absent", now=datetime.now(UTC))
            return Outcome(OutcomeKind.ACCEPTED, provider_id="id")

        async def close(self) -> None:
            pass

    async def permit(number: int) -> int:
        return number

    send.send_chunk(around, batch_id, 0, providers=lambda _: Provider(), permits=lambda _: permit)

    assert asked == ["+447700900001", "+447700900000"]
