"""Deploying: what makes a version, and which one a batch is pinned to."""

from __future__ import annotations

import pytest
from sqlmodel import select

from domain.errors import NotAllowed, NotFound
from domain.processes import ProcessDefinition
from models import processes
from models.database import Database
from models.tables import ProcessVersion
from tests.factories import NOW, motor, process


def _deploy(database: Database, definition: ProcessDefinition, *, draft: bool = False) -> tuple[int, bool]:
    """The number of the version, and whether it is live."""
    with database.write() as session:
        version = processes.deploy(session, definition, draft=draft, now=NOW)
        return version.version, version.deployed_at is not None


def _live(database: Database, key: str) -> tuple[int, str]:
    with database.read() as session:
        version = processes.live(session, key)
        return version.version, version.name


def test_the_same_content_is_the_same_version(database: Database) -> None:
    assert [_deploy(database, process()), _deploy(database, process())] == [(1, True), (1, True)]
    with database.read() as session:
        assert len(session.exec(select(ProcessVersion)).all()) == 1


def test_other_content_is_a_new_version(database: Database) -> None:
    assert [_deploy(database, process(name=name)) for name in ("One", "Two", "One")] == [
        (1, True),
        (2, True),
        (3, True),
    ]


def test_versions_are_counted_in_each_process(database: Database) -> None:
    assert [_deploy(database, process(key=key)) for key in ("a", "b")] == [(1, True), (1, True)]


def test_a_draft_goes_to_production_under_its_own_number(database: Database) -> None:
    assert _deploy(database, process(), draft=True) == (1, False)
    assert _deploy(database, process()) == (1, True)


def test_a_live_version_does_not_become_a_draft_again(database: Database) -> None:
    _deploy(database, process())

    assert _deploy(database, process(), draft=True) == (1, True)


def test_a_process_with_drafts_only_is_refused_with_its_reason(database: Database) -> None:
    _deploy(database, process(), draft=True)

    with pytest.raises(NotAllowed, match=r"'small' is a draft .* not deployed to production yet\. Deploy it: "):
        _live(database, "small")


def test_the_newest_live_version_wins_over_a_newer_draft(database: Database) -> None:
    _deploy(database, process(name="One"))
    _deploy(database, process(name="Two"))
    _deploy(database, process(name="Three"), draft=True)

    assert _live(database, "small") == (2, "Two")


def test_an_unknown_process_is_refused_with_those_that_are_known(database: Database) -> None:
    with pytest.raises(NotFound, match=r"no process 'unknown'.*None is deployed yet"):
        _live(database, "unknown")
    _deploy(database, process(key="beta"))
    _deploy(database, process(key="alpha"))

    with pytest.raises(NotFound, match=r"no process 'unknown'\. Known are: alpha, beta\."):
        _live(database, "unknown")


def test_a_process_is_listed_once_with_its_live_version(database: Database) -> None:
    _deploy(database, process(key="live", name="One"))
    _deploy(database, process(key="live", name="Two"), draft=True)
    _deploy(database, process(key="draft", name="One"), draft=True)
    _deploy(database, process(key="draft", name="Two"), draft=True)

    with database.read() as session:
        listed = [(version.key, version.version) for version in processes.newest_versions(session)]

    assert listed == [("draft", 2), ("live", 1)]


def test_a_definition_comes_back_as_it_was_deployed(database: Database) -> None:
    with database.write() as session:
        processes.deploy(session, motor(), draft=False, now=NOW)
    with database.read() as session:
        assert processes.definition_of(processes.live(session, "motor-renewal")) == motor()


def test_a_version_that_is_missing_is_named(database: Database) -> None:
    with database.read() as session, pytest.raises(NotFound, match="version 7"):
        processes.version_by_id(session, 7)
