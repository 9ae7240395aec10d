"""Milestones: whoever brings one about, it is told once, in order, and never lost; nobody's address is in it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import suppress

import pytest

from domain.milestones import OF_PHASE, Milestone
from domain.states import Phase
from models import batches, milestones
from settings import load
from tasks.milestones import tell
from tasks.surroundings import Surroundings
from tests.factories import NOW, act, batch_in
from tests.servers import Answer, Server, nowhere, serving


@pytest.fixture
def prefect() -> Iterator[Server]:
    with serving(Answer(204)) as server:
        yield server


def beside(around: Surroundings, url: str) -> Surroundings:
    """The same surroundings with Prefect's server there."""
    settings = load(home=around.settings.home, database_url=around.database.url, prefect_api_url=url)
    return dataclasses.replace(around, settings=settings)


def waiting(around: Surroundings) -> list[str]:
    with around.database.read() as session:
        return [one.milestone for one, _, _ in milestones.untold(session, at_most=100)]


def told(prefect: Server) -> list[str]:
    return [
        event["event"].removeprefix("bulk-sender.batch.") for asked in prefect.asked for event in json.loads(asked.body)
    ]


def test_a_batch_s_life_is_told_in_its_order(around: Surroundings, prefect: Server) -> None:
    batch_id = batch_in(around.database, Phase.CHECKING)
    with around.database.write() as session:
        batches.advance(session, batch_id, Phase.WAITING, now=NOW)
        batches.approve(session, batch_id, act(), link_print="print")
        batches.advance(session, batch_id, Phase.SENDING, now=NOW)
        batches.pause(session, batch_id, act())
        batches.resume(session, batch_id, act())
        batches.reject(session, batch_id, act())
        batches.archive(session, batch_id, act())

    assert tell(beside(around, prefect.url)) == 9

    assert told(prefect) == [
        "created", "waiting", "approved", "sending", "paused", "resumed", "stopped", "rejected", "archived",
    ]  # fmt: skip


def test_what_was_told_is_not_told_again(around: Surroundings, prefect: Server) -> None:
    batch_in(around.database, Phase.WAITING)
    beside_it = beside(around, prefect.url)

    assert (tell(beside_it), tell(beside_it)) == (1, 0)
    assert told(prefect) == ["created"]


def test_an_event_says_which_batch_and_nobody_s_address(around: Surroundings, prefect: Server) -> None:
    batch_id = batch_in(around.database, Phase.WAITING, sender="op@acme.example", flow_run_id="run-1")

    tell(beside(around, prefect.url))

    [asked] = prefect.asked
    assert asked.path.endswith("/events")
    [event] = json.loads(asked.body)
    assert event["resource"]["bulk-sender.batch.id"] == str(batch_id)
    assert event["related"] == [{"prefect.resource.id": "prefect.flow-run.run-1", "prefect.resource.role": "flow-run"}]
    assert event["payload"]["page"].endswith(f"/batches/{batch_id}")
    assert b"op@acme.example" not in asked.body


def test_without_prefect_nothing_is_lost_and_nobody_is_held_up(around: Surroundings, prefect: Server) -> None:
    batch_in(around.database, Phase.WAITING)

    assert tell(beside(around, nowhere())) == 0
    assert waiting(around) == ["created"]

    assert tell(beside(around, prefect.url)) == 1
    assert waiting(around) == []


def test_an_event_that_is_told_twice_has_one_id(around: Surroundings) -> None:
    """Whoever is killed between telling and forgetting tells again; Prefect keeps one."""
    batch_in(around.database, Phase.WAITING)
    with serving(Answer(503)) as busy:
        tell(beside(around, busy.url))
        tell(beside(around, busy.url))

    first, second = (json.loads(asked.body)[0]["id"] for asked in busy.asked)
    assert first == second


def test_no_two_milestones_have_the_same_id(around: Surroundings, prefect: Server) -> None:
    """Prefect would take the second for the first told again."""
    batch_id = batch_in(around.database, Phase.CHECKING)
    beside_it = beside(around, prefect.url)
    tell(beside_it)
    with around.database.write() as session:
        batches.advance(session, batch_id, Phase.WAITING, now=NOW)
    tell(beside_it)

    ids = [event["id"] for asked in prefect.asked for event in json.loads(asked.body)]
    assert len(ids) == len(set(ids)) == 2


def test_what_prefect_will_never_take_does_not_hold_up_the_rest(around: Surroundings) -> None:
    batch_in(around.database, Phase.WAITING)
    with serving(Answer(422)) as strict:
        tell(beside(around, strict.url))

    assert waiting(around) == []


def test_a_change_that_is_taken_back_is_not_told(around: Surroundings) -> None:
    batch_id = batch_in(around.database, Phase.SENDING)
    with suppress(RuntimeError), around.database.write() as session:
        batches.pause(session, batch_id, act())
        raise RuntimeError
    assert waiting(around) == ["created"]


def test_every_phase_but_the_first_is_a_milestone() -> None:
    assert set(OF_PHASE) == set(Phase) - {Phase.CHECKING}
    assert set(OF_PHASE.values()) <= set(Milestone)
