"""Housekeeping removes what nobody needs, and never what anybody might."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from prefect.exceptions import ObjectNotFound

from models import accounts
from models.accounts import Stretch
from tasks import housekeeping
from tasks.housekeeping import tidy
from tasks.surroundings import Surroundings, now
from tests.factories import add_batch

OLD_SECONDS = 3 * 24 * 3600.0
FOLDERS, PARTS, SCRATCH, ACCOUNTS, RUNS = (
    "files of batches that were never made",
    "half-written files",
    "copies that a killed run left",
    "ended sign-ins, tries and codes",
    "ended runs of sweeps and housekeeping",
)


class Prefect:
    """A server with so many ended runs of ours that are a day old."""

    def __init__(self, runs: int = 0, *, deployed: bool = True) -> None:
        self.runs, self.deployed = runs, deployed
        self.asked: list[dict[str, Any]] = []

    def read_deployment_by_name(self, name: str) -> SimpleNamespace:
        if not self.deployed:
            raise ObjectNotFound(Exception("no such deployment"))
        return SimpleNamespace(id=f"id of {name}")

    def request(self, method: str, path: str, *, json: dict[str, Any]) -> httpx.Response:
        self.asked.append(json)
        assert (method, path) == ("POST", "/flow_runs/bulk_delete")
        gone = min(self.runs, json["limit"])
        self.runs -= gone
        return httpx.Response(200, json={"deleted": ["run"] * gone}, request=httpx.Request(method, "http://prefect"))


@pytest.fixture
def prefect(monkeypatch: pytest.MonkeyPatch) -> Prefect:
    return beside(monkeypatch, Prefect())


def beside(monkeypatch: pytest.MonkeyPatch, server: Prefect) -> Prefect:
    @contextmanager
    def client(**_options: Any) -> Iterator[Prefect]:
        yield server

    monkeypatch.setattr(housekeeping, "get_client", client)
    return server


def age(top: Path, seconds: float = OLD_SECONDS) -> None:
    then = time.time() - seconds
    for path in [*top.rglob("*"), top]:
        os.utime(path, (then, then))


def kept(around: Surroundings, key: str, tmp_path: Path) -> Path:
    """A file in the storage; gives where it lies."""
    source = tmp_path / "source"
    source.write_text("first_name\nAnn\n")
    around.storage.put(key, source)
    return Path(around.settings.storage) / key


@pytest.mark.usefixtures("prefect")
def test_files_of_a_batch_that_was_never_written_go(around: Surroundings, tmp_path: Path) -> None:
    path = kept(around, "batches/lost/0123/upload.csv", tmp_path)
    age(path.parents[1])

    assert tidy(around).removed[FOLDERS] == 1
    assert not path.parents[1].exists()


@pytest.mark.usefixtures("prefect")
def test_files_that_may_be_somebody_s_stay(around: Surroundings, tmp_path: Path) -> None:
    add_batch(around.database, uid="known")
    known = kept(around, "batches/known/0123/upload.csv", tmp_path)
    # Of a batch that was checked, and that this database does not know: it may be the wrong database.
    checked = kept(around, "batches/foreign/recipients-0.parquet", tmp_path)
    age(Path(around.settings.storage))
    young = kept(around, "batches/young/0123/upload.csv", tmp_path)

    assert tidy(around).removed[FOLDERS] == 0
    assert all(path.exists() for path in (known, checked, young))


@pytest.mark.usefixtures("prefect")
def test_half_written_files_go_once_nobody_can_be_writing_them(around: Surroundings, tmp_path: Path) -> None:
    whole = kept(around, "batches/a/recipients-0.parquet", tmp_path)
    dead, alive = whole.with_name(".part-dead"), whole.with_name(".part-alive")
    dead.write_text("x")
    age(whole.parent)
    alive.write_text("x")

    assert tidy(around).removed[PARTS] == 1
    assert (whole.exists(), dead.exists(), alive.exists()) == (True, False, True)


@pytest.mark.usefixtures("prefect")
def test_copies_that_a_killed_run_left_go(around: Surroundings) -> None:
    scratch = around.settings.home / "scratch"
    for name in ("dead", "alive"):
        (scratch / name).mkdir(parents=True)
        (scratch / name / "list.csv").write_text("x")
    age(scratch / "dead")

    assert tidy(around).removed[SCRATCH] == 1
    assert [path.name for path in scratch.iterdir()] == ["alive"]


@pytest.mark.usefixtures("prefect")
def test_what_ended_of_accounts_goes(around: Surroundings) -> None:
    stretch = Stretch(most=1, lasts=timedelta(minutes=15))
    with around.database.write() as session:
        accounts.count_try(session, "old", stretch, now=now() - timedelta(days=2))
        accounts.count_try(session, "young", stretch, now=now())

    assert tidy(around).removed[ACCOUNTS] == 1
    assert tidy(around).removed[ACCOUNTS] == 0


def test_runs_of_sweeps_go_and_no_others(around: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    server = beside(monkeypatch, Prefect(runs=120))

    assert tidy(around).removed[RUNS] == 120

    assert len(server.asked) == 3
    wanted = server.asked[0]["flow_runs"]
    assert wanted["deployment_id"]["any_"] == [
        "id of settle/settle", "id of sweep-inbox/sweep-inbox", "id of housekeeping/housekeeping",
    ]  # fmt: skip
    assert set(wanted["state"]["type"]["any_"]) == {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
    assert json.dumps(wanted["end_time"])


def test_where_nothing_is_deployed_no_run_is_deleted(around: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefect takes an empty list of deployments for all of them."""
    server = beside(monkeypatch, Prefect(runs=120, deployed=False))

    assert tidy(around).removed[RUNS] == 0
    assert server.asked == []


def test_one_kind_that_fails_does_not_keep_the_others(around: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(**_options: Any) -> None:
        raise OSError("no route")

    monkeypatch.setattr(housekeeping, "get_client", away)
    (around.settings.home / "scratch" / "dead").mkdir(parents=True)
    age(around.settings.home / "scratch" / "dead")

    tidied = tidy(around)

    assert tidied.failed == [RUNS]
    assert tidied.removed[SCRATCH] == 1
