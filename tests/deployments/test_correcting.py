"""Correcting and archiving a batch that waits: what its runs at Prefect are told, and that nothing is half done."""

from __future__ import annotations

import csv
import dataclasses
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments import acts
from deployments.acts import Person
from deployments.prefect_api import PrefectApi
from domain.errors import NotAllowed, ServiceMissing
from domain.states import Phase, Status
from models import batches
from settings import load
from tasks.ingest import ingest
from tasks.report import write_problems
from tasks.surroundings import Surroundings
from tasks.validate import validate
from tests.factories import add_batch, batch, process
from tests.servers import Answer, Asked, Server, nowhere, serving

WHO = Person("colleague@acme.example", "test", "two names were missing")
OLD_RUN, NEW_RUN = "old-run", "new-run"
PREFECT = Answer(200, body=json.dumps({"id": NEW_RUN, "state": {"type": "PAUSED"}, "status": "ACCEPT"}).encode())
"""Says yes to everything: the deployment is there, runs start, and the old one is suspended."""


@pytest.fixture
def prefect() -> Iterator[Server]:
    with serving(PREFECT) as server:
        yield server


def beside(around: Surroundings, url: str) -> Surroundings:
    """The same surroundings with Prefect's server there."""
    home, database = around.settings.home, around.database.url
    return dataclasses.replace(around, settings=load(home=home, database_url=database, prefect_api_url=url))


@pytest.fixture
def surroundings(around: Surroundings, prefect: Server) -> Surroundings:
    return beside(around, prefect.url)


def waiting(around: Surroundings, tmp_path: Path) -> tuple[int, Path]:
    """A batch with two bad rows, and the file of them with one corrected."""
    path, uid = tmp_path / "list.csv", uuid.uuid4().hex
    path.write_text("first_name,email,phone\nAnn,ann@mail.example,\n,bob@mail.example,\n,cid@mail.example,\n")
    batch_id = add_batch(
        around.database,
        definition=process(),
        uid=uid,
        flow_run_id=OLD_RUN,
        upload_key=around.storage.put(f"batches/{uid}/upload.csv", path),
    )
    ingest(around, batch_id)
    validate(around, batch_id)
    fixed = tmp_path / "fixed.csv"
    write_problems(around, batch_id, fixed)
    with fixed.open(newline="") as file:
        lines = list(csv.reader(file))
    lines[1][0] = "Bob"
    with fixed.open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    return batch_id, fixed


def acts_asked(prefect: Server) -> list[Asked]:
    """What Prefect was asked to do; looking and events are left out."""
    return [asked for asked in prefect.asked if asked.body and not asked.path.endswith("/events")]


def told(prefect: Server) -> list[str]:
    """The same by the ends of the addresses."""
    return ["/".join(asked.path.rsplit("/", 2)[-2:]) for asked in acts_asked(prefect)]


def test_a_correction_starts_a_new_run_and_cancels_the_one_that_waits(
    surroundings: Surroundings, prefect: Server, tmp_path: Path
) -> None:
    batch_id, fixed = waiting(surroundings, tmp_path)

    assert acts.correct(surroundings, batch_id, fixed, who=WHO) == 1

    assert told(prefect) == [f"{NEW_RUN}/create_flow_run", f"{OLD_RUN}/set_state"]
    assert json.loads(acts_asked(prefect)[-2].body)["parameters"] == {"batch_id": batch_id}
    assert json.loads(acts_asked(prefect)[-1].body)["state"]["type"] == "CANCELLING"
    found = batch(surroundings.database, batch_id)
    assert (found.phase, found.status, found.flow_run_id) == (Phase.CHECKING, Status.PENDING_APPROVAL, NEW_RUN)
    with surroundings.database.read() as session:
        [decision] = batches.decisions(session, batch_id)
        assert (decision.act, decision.by, decision.comment, decision.revision) == (
            "correct",
            WHO.email,
            WHO.comment,
            1,
        )


def test_the_same_file_again_changes_nothing(surroundings: Surroundings, prefect: Server, tmp_path: Path) -> None:
    batch_id, fixed = waiting(surroundings, tmp_path)
    acts.correct(surroundings, batch_id, fixed, who=WHO)
    with pytest.raises(NotAllowed, match="is still being checked"):
        acts.correct(surroundings, batch_id, fixed, who=WHO)
    validate(surroundings, batch_id)
    before, asked = batch(surroundings.database, batch_id).model_dump(), told(prefect)

    assert acts.correct(surroundings, batch_id, fixed, who=WHO) == 0

    assert batch(surroundings.database, batch_id).model_dump() == before
    assert told(prefect) == asked


def test_without_prefect_a_batch_stays_as_it_was(around: Surroundings, tmp_path: Path) -> None:
    batch_id, fixed = waiting(around, tmp_path)
    before = batch(around.database, batch_id).model_dump()

    with pytest.raises(ServiceMissing, match="does not answer"):
        acts.correct(beside(around, nowhere()), batch_id, fixed, who=WHO)

    assert batch(around.database, batch_id).model_dump() == before


def test_a_run_that_cannot_be_started_corrects_nothing(
    surroundings: Surroundings, prefect: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id, fixed = waiting(surroundings, tmp_path)
    before = batch(surroundings.database, batch_id).model_dump()

    def fail(*_arguments: object, **_named: object) -> str:
        raise ServiceMissing("Prefect's server does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(PrefectApi, "start", fail)
        with pytest.raises(ServiceMissing):
            acts.correct(surroundings, batch_id, fixed, who=WHO)
    assert batch(surroundings.database, batch_id).model_dump() == before
    assert told(prefect) == []

    assert acts.correct(surroundings, batch_id, fixed, who=WHO) == 1


def test_an_old_run_that_cannot_be_cancelled_holds_nothing_up(
    surroundings: Surroundings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its form decides nothing any more."""
    batch_id, fixed = waiting(surroundings, tmp_path)

    def fail(*_arguments: object) -> None:
        raise ServiceMissing("Prefect's server does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(PrefectApi, "cancel", fail)
        assert acts.correct(surroundings, batch_id, fixed, who=WHO) == 1

    assert batch(surroundings.database, batch_id).flow_run_id == NEW_RUN


def test_archiving_a_batch_that_waits_ends_its_run(surroundings: Surroundings, prefect: Server, tmp_path: Path) -> None:
    batch_id, fixed = waiting(surroundings, tmp_path)

    acts.archive(surroundings, batch_id, who=WHO)

    found = batch(surroundings.database, batch_id)
    assert (found.phase, found.status, found.archived_at is not None) == (Phase.STOPPED, Status.ADMIN_REJECTION, True)
    assert told(prefect) == [f"{OLD_RUN}/resume"]
    assert json.loads(acts_asked(prefect)[-1].body)["run_input"]["decision"] == "Reject"
    with pytest.raises(NotAllowed, match="is archived, so it cannot be corrected"):
        acts.correct(surroundings, batch_id, fixed, who=WHO)


def test_archiving_needs_no_prefect(around: Surroundings, tmp_path: Path) -> None:
    batch_id, _ = waiting(around, tmp_path)

    acts.archive(beside(around, nowhere()), batch_id, who=WHO)

    assert batch(around.database, batch_id).phase == Phase.STOPPED
