"""Programs that call the API on a real socket, beside a Prefect that says yes to everything."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from deployments import accounts
from deployments.surroundings import surround
from domain.rights import Role
from settings import load
from tasks.ingest import ingest
from tasks.surroundings import Surroundings
from tasks.validate import validate
from tests import factories
from tests.console.web import client, serving, user
from tests.servers import Answer, Asked
from tests.servers import serving as serving_answers

YES = Answer(200, body=json.dumps({"id": "run", "state": {"type": "PAUSED"}, "status": "ACCEPT"}).encode())
LIST = "first_name,email,phone\nAnn,ann@mail.example,\nBob,bob@mail.example,\n,cid@mail.example,\n"
ROWS: list[dict[str, Any]] = [
    {"first_name": "Ann", "email": "ann@mail.example"},
    {"first_name": "Bob", "email": "bob@mail.example", "phone": None},
    {"email": "cid@mail.example"},
]


class Prefect:
    """Prefect's server: the deployment is there, runs start, and each is suspended; unless a test says otherwise."""

    def __init__(self) -> None:
        self._answer = YES

    def __call__(self, _asked: Asked) -> Answer:
        return self._answer

    @contextmanager
    def answering(self, answer: Answer) -> Iterator[None]:
        """Another answer to everything, for as long as the block lasts."""
        self._answer = answer
        yield
        self._answer = YES


class Api:
    """The app, and what is behind it."""

    def __init__(self, around: Surroundings, address: str, prefect: Prefect) -> None:
        self.around = around
        self.address = address
        self.prefect = prefect

    def key(self, role: Role | str, *, email: str | None = None) -> str:
        return accounts.add_key(self.around, uuid.uuid4().hex, email=user(self.around, role, email=email))

    def program(self, role: Role | str, *, email: str | None = None) -> httpx.Client:
        """A program with a key of its own, which acts as a user of that role."""
        program = client(self.address + "/api/v1")
        program.timeout = httpx.Timeout(30)
        program.headers["authorization"] = f"Bearer {self.key(role, email=email)}"
        return program

    def checked(self, *, sender: str = "operator@acme.example", text: str = LIST, **columns: Any) -> int:
        """A batch that waits for a decision: two good rows and a bad one."""
        uid = uuid.uuid4().hex
        path = self.around.settings.home / f"{uid}.csv"
        path.write_text(text)
        batch_id = factories.add_batch(
            self.around.database,
            **{
                "definition": factories.process(),
                "uid": uid,
                "sender": sender,
                "flow_run_id": "run",
                "upload_key": self.around.storage.put(f"batches/{uid}/upload.csv", path),
                **columns,
            },
        )
        ingest(self.around, batch_id)
        validate(self.around, batch_id)
        return batch_id


def surrounded(template: Path, home: Path, prefect_url: str) -> Surroundings:
    """Surroundings on SQLite, which a whole module may share."""
    home.mkdir(parents=True)
    shutil.copyfile(template, home / "bulk-sender.db")
    return surround(load(home=home, prefect_api_url=prefect_url, upload_megabytes=1))


@contextmanager
def serving_api(template: Path, home: Path) -> Iterator[Api]:
    """The app over a database of its own."""
    prefect = Prefect()
    with serving_answers(prefect) as server:
        around = surrounded(template, home, server.url)
        factories.deploy(around.database, factories.process())
        with serving(around) as address:
            yield Api(around, address, prefect)
        around.database.close()
