"""Settling doubts: by receipts, by look-ups, by time; nobody is written to twice, and nobody is forgotten."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import pytest
from sqlmodel import col, select

from channels.people import Label, Person
from domain.doubts import Sighting
from domain.processes import WhenUnresolved
from domain.states import Phase, RequestState
from models import batches, processes, recipients, requests
from models.recipients import Counts
from models.requests import Answer
from models.tables import Lookup, Receipt
from tasks import reconcile, send, settle
from tasks.surroundings import Surroundings
from tests.factories import act, batch, people, sendable
from tests.tasks.test_send import ACCEPTED, DOUBT, LATER, Provider, at_once, run, states

__all__ = ["at_once"]

SETTLE = {"settle_email_seconds": 100.0, "settle_sms_seconds": 100.0, "lookup_seconds": 10.0}
PATIENT = {**SETTLE, "unresolved_after_seconds": 1000.0}


def receive(around: Surroundings, batch_id: int, *, row: int, kind: str, at: datetime) -> None:
    """A receipt for one message of the batch's first request is in the ledger."""
    where = {"batch_id": batch_id, "row": row, "channel": "email", "request": 0}
    said = {"event_id": "e", "kind": kind, "provider_id": "by-receipt", "at": at, "received_at": at}
    with around.database.write() as session:
        session.add(Receipt.model_validate(where | said))


class Died(BaseException):
    """The worker is gone in the middle of its call."""


class Witness:
    """Shows what it was told to have, and remembers what it was asked."""

    def __init__(self, *, has: Callable[[str], bool | None] = lambda _unit: False, blocked: bool = False) -> None:
        self.asked: list[str] = []
        self.people: list[str] = []
        self.closed = 0
        self._has, self._blocked = has, blocked

    async def find(self, label: Label, people: Sequence[Person], *, asked_at: datetime) -> Sighting:
        assert asked_at.tzinfo is not None
        self.asked.append(label.unit)
        self.people += [person.address for person in people]
        found = self._has(label.unit)
        return Sighting("list", found=found, provider_id="seen" if found else None, blocked=self._blocked)

    async def close(self) -> None:
        self.closed += 1


class Clock:
    """The time as the stages see it; stands still until it is set forward."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.moment = datetime(2026, 3, 1, 12, 0).astimezone()
        for stage in (send, settle, reconcile):
            monkeypatch.setattr(stage, "now", lambda: self.moment)

    def forward(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def patient(around: Surroundings) -> Surroundings:
    """Surroundings with times that suit these tests."""
    return dataclasses.replace(around, settings=around.settings.model_copy(update=PATIENT))


def sweep(around: Surroundings, witness: Witness) -> list[int]:
    return settle.sweep(around, witnesses=lambda _channel: witness)


def in_doubt(around: Surroundings, **who: int) -> int:
    """A batch of which every request is in doubt and which is being settled."""
    batch_id = sendable(around, people(**(who or {"emails": 2})))
    provider = Provider(otherwise=DOUBT)
    for chunk in range(4):
        run(around, batch_id, provider, chunk=chunk)
    assert reconcile.reconcile(around, batch_id) is Phase.SETTLING
    return batch_id


def counts(around: Surroundings, batch_id: int) -> Counts:
    with around.database.read() as session:
        return recipients.counts(session, batches.by_id(session, batch_id))


def later_batch(around: Surroundings, provider: Provider) -> int:
    """Another batch, sent after the doubt began."""
    batch_id = sendable(around, people(emails=1))
    run(around, batch_id, provider)
    return batch_id


def unit(around: Surroundings, batch_id: int, number: int = 0) -> str:
    return Label(batch(around.database, batch_id).uid, number).unit


def test_what_the_provider_shows_was_sent(patient: Surroundings, clock: Clock) -> None:
    batch_id = in_doubt(patient)
    clock.forward(1)
    witness = Witness(has=lambda _unit: True)

    assert sweep(patient, witness) == [batch_id]
    assert witness.asked == [unit(patient, batch_id)]
    assert witness.closed == 1
    assert counts(patient, batch_id).sent == 2
    found = batch(patient.database, batch_id)
    assert (found.phase, found.sent) == (Phase.FINISHED, 2)
    assert sweep(patient, Witness()) == []


def test_an_sms_is_asked_for_by_its_person(patient: Surroundings, clock: Clock) -> None:
    in_doubt(patient, sms=2)
    clock.forward(1)
    witness = Witness(has=lambda _unit: True)
    sweep(patient, witness)
    assert sorted(witness.people) == ["+447700900000", "+447700900001"]


def test_a_receipt_that_came_before_the_doubt_settles_it(patient: Surroundings, clock: Clock) -> None:
    batch_id = in_doubt(patient)
    receive(patient, batch_id, row=2, kind="processed", at=clock.moment)
    witness = Witness()
    assert sweep(patient, witness) == [batch_id]
    assert witness.asked == []
    assert batch(patient.database, batch_id).phase == Phase.FINISHED
    assert counts(patient, batch_id).sent == 2


def test_what_certainly_never_arrived_is_sent_once_more_in_a_new_request(patient: Surroundings, clock: Clock) -> None:
    batch_id = in_doubt(patient)
    clock.forward(1)
    other = later_batch(patient, Provider())
    has_later = Witness(has=lambda asked: asked.startswith(batch(patient.database, other).uid))
    clock.forward(101)
    assert sweep(patient, has_later) == []
    clock.forward(11)
    assert sweep(patient, has_later) == [batch_id]

    assert batch(patient.database, batch_id).phase == Phase.SENDING
    assert states(patient, batch_id) == ["replaced", "new"]
    provider = Provider()
    run(patient, batch_id, provider)
    assert sorted(provider.reached) == ["person0@mail.example", "person1@mail.example"]
    assert reconcile.reconcile(patient, batch_id) is Phase.FINISHED
    assert counts(patient, batch_id).sent == 2


def test_silence_before_the_settle_time_proves_nothing(patient: Surroundings, clock: Clock) -> None:
    batch_id = in_doubt(patient)
    clock.forward(1)
    later_batch(patient, Provider())
    for _ in range(8):
        clock.forward(11)
        assert sweep(patient, Witness()) == []
    assert states(patient, batch_id) == ["in_doubt"]


def test_silence_of_a_list_that_shows_nothing_later_ends_unresolved(patient: Surroundings, clock: Clock) -> None:
    batch_id = in_doubt(patient)
    clock.forward(1)
    later_batch(patient, Provider())
    for _ in range(9):
        clock.forward(110)
        sweep(patient, Witness())
    assert states(patient, batch_id) == ["in_doubt"]
    clock.forward(11)
    assert sweep(patient, Witness()) == [batch_id]
    assert states(patient, batch_id) == ["unresolved"]
    found = counts(patient, batch_id)
    assert (found.unresolved, found.in_doubt, found.pending) == (2, 0, 0)
    assert batch(patient.database, batch_id).phase == Phase.FINISHED
    clock.forward(100_000)
    assert sweep(patient, Witness()) == []


def test_late_evidence_settles_what_was_unresolved(patient: Surroundings, clock: Clock) -> None:
    batch_id = in_doubt(patient)
    clock.forward(1100)
    sweep(patient, Witness())
    clock.forward(11)
    sweep(patient, Witness())
    assert states(patient, batch_id) == ["unresolved"]
    receive(patient, batch_id, row=3, kind="delivered", at=clock.moment)
    assert sweep(patient, Witness()) == [batch_id]
    assert counts(patient, batch_id).sent == 2


@pytest.mark.parametrize(
    ("policy", "after"),
    [(WhenUnresolved.ASSUME_SENT, ["accepted"]), (WhenUnresolved.SEND_AGAIN, ["replaced", "new"])],
)
def test_the_process_says_what_becomes_of_the_unresolved(
    patient: Surroundings, clock: Clock, monkeypatch: pytest.MonkeyPatch, policy: WhenUnresolved, after: list[str]
) -> None:
    batch_id = in_doubt(patient)
    definition_of = processes.definition_of
    monkeypatch.setattr(
        processes,
        "definition_of",
        lambda version: definition_of(version).model_copy(update={"when_unresolved": policy}),
    )
    for _ in range(2):
        clock.forward(1100)
        sweep(patient, Witness())
    assert states(patient, batch_id) == after


def test_a_provider_that_wants_to_be_left_alone_is(patient: Surroundings, clock: Clock) -> None:
    in_doubt(patient, sms=30)
    clock.forward(1)
    witness = Witness(blocked=True)
    assert sweep(patient, witness) == []
    assert len(witness.asked) < 30
    with patient.database.read() as session:
        assert session.exec(select(Lookup)).all() == []


def test_an_unanswered_question_is_written_down_and_asked_again_later(patient: Surroundings, clock: Clock) -> None:
    in_doubt(patient)
    witness = Witness(has=lambda _unit: None)
    sweep(patient, witness)
    sweep(patient, witness)
    clock.forward(11)
    sweep(patient, witness)
    assert len(witness.asked) == 2
    with patient.database.read() as session:
        assert [one.found for one in session.exec(select(Lookup).order_by(col(Lookup.id)))] == [None, None]


def test_the_intent_of_a_dead_worker_is_looked_up_whatever_phase_its_batch_is_in(
    patient: Surroundings, clock: Clock
) -> None:
    batch_id = sendable(patient, people(emails=1))
    with pytest.raises(Died):
        run(patient, batch_id, Provider(Died()))
    with patient.database.write() as session:
        batches.reject(session, batch_id, act())
    assert states(patient, batch_id) == ["intent"]
    clock.forward(61)
    assert sweep(patient, Witness(has=lambda _unit: True)) == [batch_id]
    assert states(patient, batch_id) == ["accepted"]
    found = batch(patient.database, batch_id)
    assert (found.phase, found.sent) == (Phase.STOPPED, 1)


def test_a_rejected_batch_is_not_sent_again(patient: Surroundings, clock: Clock) -> None:
    batch_id = sendable(patient, people(emails=1))
    run(patient, batch_id, Provider(DOUBT))
    with patient.database.write() as session:
        batches.reject(session, batch_id, act())
    clock.forward(1)
    other = later_batch(patient, Provider())
    for _ in range(2):
        clock.forward(101)
        sweep(patient, Witness(has=lambda asked: asked.startswith(batch(patient.database, other).uid)))
    assert states(patient, batch_id) == ["replaced", "new"]
    provider = Provider()
    run(patient, batch_id, provider)
    assert provider.asked == []
    assert batch(patient.database, batch_id).phase == Phase.STOPPED


def test_an_acceptance_that_comes_after_the_absence_keeps_the_new_request_from_leaving(
    patient: Surroundings, clock: Clock
) -> None:
    batch_id = in_doubt(patient)
    clock.forward(1)
    other = later_batch(patient, Provider())
    for _ in range(2):
        clock.forward(101)
        sweep(patient, Witness(has=lambda asked: asked.startswith(batch(patient.database, other).uid)))
    with patient.database.write() as session:
        answer = Answer(0, RequestState.ACCEPTED, provider_id="late")
        assert requests.settle(session, batch_id, [answer], now=clock.moment) == {1}
    provider = Provider()
    run(patient, batch_id, provider)
    assert provider.asked == []
    assert counts(patient, batch_id).sent == 2


def test_what_a_provider_refused_for_now_is_no_doubt(patient: Surroundings, clock: Clock) -> None:
    batch_id = sendable(patient, people(emails=1))
    run(patient, batch_id, Provider(LATER, ACCEPTED))
    witness = Witness()
    clock.forward(1000)
    assert sweep(patient, witness) == []
    assert witness.asked == []
    assert states(patient, batch_id) == ["accepted"]
