"""What people did with their links, as the ledger keeps it on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlmodel import select

from domain.link_life import FIRST_LOCK
from domain.links import Place
from models import visits
from models.database import Database
from models.tables import SpentCode, Submission, Visit
from models.visits import Counts, Mark
from tests.factories import NOW, people, planned, race

LATER = NOW + timedelta(minutes=1)


@pytest.fixture
def place(database: Database) -> Place:
    return Place(planned(database, people(emails=2)), 2)


def visit(database: Database, place: Place) -> Visit:
    with database.read() as session:
        found = session.exec(select(Visit).where(Visit.batch_id == place.batch_id, Visit.row == place.row)).one()
        session.expunge(found)
        return found


def test_nothing_is_known_of_a_link_that_was_never_made(database: Database, place: Place) -> None:
    with database.read() as session:
        assert visits.known(session, Place(0, 0)) is None
        assert visits.known(session, Place(place.batch_id, 99)) is None
        assert visits.known(session, place) is not None


def test_only_the_first_time_counts_and_a_mark_implies_the_earlier_ones(database: Database, place: Place) -> None:
    for moment, mark in ((NOW, Mark.STARTED), (LATER, Mark.OPENED), (LATER, Mark.COMPLETED), (LATER, Mark.STARTED)):
        with database.write() as session:
            visits.mark(session, place, mark, now=moment)

    found = visit(database, place)
    assert (found.opened_at, found.started_at, found.completed_at) == (NOW, NOW, LATER)


def test_of_many_submissions_at_once_one_is_kept(database: Database, place: Place) -> None:
    def submit(text: str) -> bool:
        with database.write() as session:
            return visits.complete(session, place, {"first_name": text}, now=NOW)

    results = race(*(lambda text=text: submit(text) for text in "abcd"))

    assert sorted(map(str, results)) == ["False", "False", "False", "True"]
    with database.read() as session:
        kept = session.exec(select(Submission.answers)).all()
    assert kept == [{"first_name": "abcd"[results.index(True)]}]
    assert visit(database, place).completed_at == NOW


def test_five_tries_lock_the_second_factor_also_when_they_come_at_once(database: Database, place: Place) -> None:
    def attempt() -> bool:
        with database.write() as session:
            return visits.may_try(session, place, now=NOW)

    results = race(*[attempt] * 8)

    assert sorted(map(str, results)) == ["False"] * 3 + ["True"] * 5
    assert visit(database, place).locked_until == NOW + FIRST_LOCK


def test_a_lock_ends_by_itself_and_a_right_try_begins_anew(database: Database, place: Place) -> None:
    with database.write() as session:
        let = [visits.may_try(session, place, now=NOW) for _ in range(6)]
        after = visits.may_try(session, place, now=NOW + FIRST_LOCK)
        visits.forget_tries(session, place)

    assert (let, after) == ([True] * 5 + [False], True)
    assert (visit(database, place).tries, visit(database, place).locked_until) == (0, None)


def test_a_code_is_spent_once_and_forgotten_when_it_is_worth_nothing(database: Database) -> None:
    def spend() -> bool:
        with database.write() as session:
            return visits.spend(session, "a" * 64, expires_at=LATER, now=NOW)

    assert sorted(map(str, race(*[spend] * 3))) == ["False", "False", "True"]
    with database.write() as session:
        assert visits.spend(session, "b" * 64, expires_at=LATER + timedelta(hours=1), now=LATER + timedelta(seconds=1))
    with database.read() as session:
        assert session.exec(select(SpentCode.code_sha256)).all() == ["b" * 64]


def test_revoking_again_changes_nothing(database: Database, place: Place) -> None:
    with database.write() as session:
        assert visits.revoke(session, place.batch_id, [2, 3], now=NOW) == 2
        assert visits.revoke(session, place.batch_id, [2], now=LATER) == 0
        assert visits.revoke_all(session, place.batch_id, now=NOW)
        assert not visits.revoke_all(session, place.batch_id, now=LATER)

    assert visit(database, place).revoked_at == NOW


def test_a_page_of_recipients_and_a_batch_know_how_far_people_came(database: Database, place: Place) -> None:
    with database.write() as session:
        visits.mark(session, place, Mark.STARTED, now=NOW)
        visits.revoke(session, place.batch_id, [3], now=NOW)

    with database.read() as session:
        assert visits.counts(session, place.batch_id) == Counts(opened=1, started=1, completed=0, revoked=1)
        assert visits.counts(session, 99) == Counts(0, 0, 0, 0)
        assert sorted(visits.of_rows(session, place.batch_id, [2, 3, 4])) == [2, 3]
        # Who was only revoked has nothing to show in the result file.
        assert visits.frame(session, place.batch_id).rows() == [
            (2, "2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z", None)
        ]
