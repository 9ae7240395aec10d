"""Calls that may be repeated: one of them does it, and who dies over one does not block it for good."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from models import idempotency
from models.database import Database
from models.idempotency import KEPT, LEASE, Begun, Call, Turn
from tests.factories import NOW, race

CALL = Call("API nightly", "k" * 64, "f" * 64)


def begin(database: Database, call: Call = CALL, *, seed: str = "seed", now: datetime = NOW) -> Begun:
    with database.write() as session:
        return idempotency.begin(session, call, seed=seed, now=now)


def finish(database: Database, *, body: str = "{}") -> None:
    with database.write() as session:
        idempotency.finish(session, CALL, status=201, body=body, location="/here")


def test_the_first_goes_on_and_the_others_wait_and_then_get_its_answer(database: Database) -> None:
    turns = [begin(database).turn, begin(database, now=NOW + LEASE - timedelta(seconds=1)).turn]
    finish(database)
    again = begin(database, now=NOW + KEPT - timedelta(seconds=1))

    assert turns == [Turn.GO_ON, Turn.UNDER_WAY]
    assert (again.turn, again.status, again.body, again.location) == (Turn.ANSWERED, 201, "{}", "/here")


def test_of_many_at_once_one_goes_on(database: Database) -> None:
    turns = race(*[lambda: begin(database).turn] * 6)

    assert sorted(map(str, turns)) == ["go on"] + ["under way"] * 5


def test_who_takes_over_from_the_dead_has_the_same_seed(database: Database) -> None:
    """What the first may have made has a name that the second finds it by."""
    first = begin(database, seed="one")
    second = begin(database, seed="two", now=NOW + LEASE)

    assert (second.turn, second.seed) == (Turn.GO_ON, first.seed)
    assert begin(database, now=NOW + LEASE).turn is Turn.UNDER_WAY


def test_what_came_to_nothing_is_tried_again_at_once(database: Database) -> None:
    begin(database, seed="one")
    with database.write() as session:
        idempotency.let_go(session, CALL)

    again = begin(database, seed="two")

    assert (again.turn, again.seed) == (Turn.GO_ON, "one")


@pytest.mark.parametrize("is_done", [False, True])
def test_a_key_belongs_to_one_call_of_one_holder(database: Database, *, is_done: bool) -> None:
    begin(database)
    if is_done:
        finish(database)

    assert begin(database, Call(CALL.holder, CALL.key_sha256, "g" * 64)).turn is Turn.ANOTHER
    assert begin(database, Call("API other", CALL.key_sha256, CALL.fingerprint)).turn is Turn.GO_ON


def test_after_a_day_a_key_is_new_and_old_calls_are_forgotten(database: Database) -> None:
    begin(database, seed="one")
    finish(database)
    begin(database, Call("API other", "x" * 64, "f" * 64), now=NOW + timedelta(hours=1))

    with database.write() as session:
        purged = idempotency.purge(session, now=NOW + KEPT)
    again = begin(database, Call("API other", "x" * 64, "g" * 64), seed="two", now=NOW + KEPT + timedelta(hours=1))

    assert purged == 1
    assert (again.turn, again.seed, again.status) == (Turn.GO_ON, "two", None)
