"""Batches as they come about, for the tests of their pages: a real file that was read and judged, and what was sent of it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import polars as pl
from sqlalchemy import text

from deployments import acts
from domain.processes import ProcessDefinition
from domain.splitting import EMAIL, split
from domain.states import RequestState
from models import batches, requests
from models.requests import Answer as Answered
from settings import load
from tasks.surroundings import Surroundings
from tasks.validate import validate
from tests import factories
from tests.factories import NOW
from tests.servers import Answer, Server
from tests.servers import serving as playing

OPERATOR = "operator@acme.example"
HOSTILE = "<script>document.title = 'owned'</script>\"'><img src=x onerror=\"document.title='owned'\">"
RIGHT_TO_LEFT = "שלום"
_HEADER = ("first_name", "email", "phone")
_PREFECT = Answer(200, body=json.dumps({"id": "a-run", "state": {"type": "RUNNING"}, "status": "ACCEPT"}).encode())


@contextmanager
def with_prefect(around: Surroundings) -> Iterator[tuple[Surroundings, Server]]:
    """The same beside a server that starts every run that it is asked to start."""
    with playing(_PREFECT) as server:
        settings = load(home=around.settings.home, database_url=around.database.url, prefect_api_url=server.url)
        yield Surroundings(settings, around.database, around.storage), server


def rows_of(number: int) -> list[tuple[str, str, str]]:
    """People with an email address each."""
    return [(f"Person {place}", f"person{place}@mail.example", "") for place in range(number)]


def written(path: Path, rows: Sequence[Sequence[str]], *, header: Sequence[str] = _HEADER) -> Path:
    """A CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def created(
    around: Surroundings,
    folder: Path,
    rows: Sequence[Sequence[str]],
    *,
    name: str = "March",
    definition: ProcessDefinition | None = None,
) -> int:
    """A batch of a file of these rows, checked and waiting; its first row is 2."""
    definition = definition or factories.process(sms=False)
    factories.deploy(around.database, definition)
    path = written(folder / "march.csv", rows)
    batch_id = acts.create(
        around, path, process_key=definition.key, sender=OPERATOR, name=name, who=acts.Person(OPERATOR, "test")
    )
    assert validate(around, batch_id)
    return batch_id


def laid_out(around: Surroundings, batch_id: int, *, channels: Sequence[str] = (EMAIL,)) -> None:
    """Let a batch be approved and its requests be written."""
    with around.database.write() as session:
        batches.approve(session, batch_id, factories.act(), link_print="print", four_eyes=True)
        key = batches.by_id(session, batch_id).recipients_key
        assert key is not None
        with around.storage.local(key) as path:
            people = pl.read_parquet(path)
        assert requests.write_plan(session, batch_id, split(people, channels=frozenset(channels)), now=NOW)


def sent(around: Surroundings, batch_id: int, number: int, state: RequestState, *, detail: str | None = None) -> None:
    """Let a request be made, and end so."""
    left(around, batch_id, number)
    answered(around, batch_id, number, state, detail=detail)


def left(around: Surroundings, batch_id: int, number: int) -> None:
    """Let a request be made."""
    with around.database.write() as session:
        until = NOW + timedelta(minutes=1)
        token = f"token-{number}"
        assert requests.claim(session, batch_id, {number: "digest"}, token=token, lease_until=until, now=NOW)


def answered(
    around: Surroundings, batch_id: int, number: int, state: RequestState, *, detail: str | None = None
) -> None:
    """Let a request that was made end so."""
    with around.database.write() as session:
        token = f"token-{number}"
        answer = Answered(number, state, detail=detail)
        if state is RequestState.UNRESOLVED:
            doubt = Answered(number, RequestState.IN_DOUBT, detail=detail)
            requests.record(session, batch_id, [doubt], token_of={number: token}, now=NOW)
            requests.settle(session, batch_id, [answer], now=NOW)
        else:
            requests.record(session, batch_id, [answer], token_of={number: token}, now=NOW)


def set_columns(around: Surroundings, table: str, where: str, **values: object) -> None:
    """Change a table by hand, where the way there would be long."""
    changes = ", ".join(f"{name} = :{name}" for name in values)
    with around.database.write() as session:
        session.execute(text(f"UPDATE {table} SET {changes} WHERE {where}"), values)  # noqa: S608  a test's own words
