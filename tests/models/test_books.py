"""Counting the books: at every moment of a batch every row of its file stands in exactly one place."""

from __future__ import annotations

import pytest

from domain.outcomes import Outcome, OutcomeKind
from domain.reconciliation import Account, Reconciliation
from domain.states import Phase
from models import batches
from models.reconciliation import reconcile
from tasks.surroundings import Surroundings
from tests.factories import act, people, sendable
from tests.tasks.test_send import ACCEPTED, DOUBT, Provider, at_once, refused_member, run

__all__ = ["at_once"]

BOTH = frozenset({"email", "sms"})


def books(around: Surroundings, batch_id: int) -> Reconciliation:
    with around.database.read() as session:
        found = reconcile(session, batches.by_id(session, batch_id), channels=BOTH)
    assert found.balances
    return found


@pytest.fixture
def batch_id(around: Surroundings) -> int:
    """Two with email, two with a number, one with both, one unusable row."""
    return sendable(around, people(emails=2, sms=2, both=1, invalid=1))


def test_nothing_was_sent_yet(around: Surroundings, batch_id: int) -> None:
    assert books(around, batch_id).channels == {
        "email": Account(pending=3, no_address=2, rejected=1),
        "sms": Account(pending=3, no_address=2, rejected=1),
    }


def test_each_outcome_has_its_place(around: Surroundings, batch_id: int) -> None:
    run(around, batch_id, Provider(refused_member(0), ACCEPTED))
    run(around, batch_id, Provider(DOUBT, Outcome(OutcomeKind.RECIPIENT_REFUSED, detail="No."), ACCEPTED), chunk=1)
    assert books(around, batch_id).channels == {
        "email": Account(sent=2, failed=1, no_address=2, rejected=1),
        "sms": Account(sent=1, failed=1, in_doubt=1, no_address=2, rejected=1),
    }


def test_what_a_rejection_stopped_is_named(around: Surroundings, batch_id: int) -> None:
    run(around, batch_id, Provider())
    with around.database.write() as session:
        batches.reject(session, batch_id, act())
    assert books(around, batch_id).channels == {
        "email": Account(sent=3, no_address=2, rejected=1),
        "sms": Account(stopped=3, no_address=2, rejected=1),
    }
    with around.database.read() as session:
        assert batches.by_id(session, batch_id).phase == Phase.STOPPED
