# ruff: noqa: T201  the table is printed
"""How long the pages of the screen take: `python -m benchmarks.screen`.

Beside 10,000 batches stands one of 1,000,000 recipients that was sent, with what its providers reported. Every page is
asked for in this process, through the whole app, several times; the first answer is told apart, because it reads what
later ones find in memory. `--folder` keeps the database for another run.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import polars as pl
from sqlalchemy import text
from starlette.testclient import TestClient

from benchmarks.lists import example_process
from deployments.surroundings import Surroundings, surround
from domain.annotation import bad_rows
from domain.frames import PROBLEMS, ROW
from domain.links import fingerprint
from domain.splitting import EMAIL, split
from domain.states import Phase, Status
from files.layouts import Layout
from models import batches, processes, recipients, requests
from models.tables import Batch
from settings import load

MOST_MILLISECONDS = 150
ROUNDS = 5
NOW = datetime.now(UTC).replace(microsecond=0)
SENDER = "operator@acme.example"
ODD_EVERY = 50
"""One row in so many is not usable, one message in so many failed, one came back."""
FIRST_ROW = 2
OF_SMALL = 20
"""Recipients of each of the other batches."""


@dataclass(frozen=True, slots=True)
class Time:
    """Milliseconds of a page: the first answer, and the usual one."""

    first: float
    usual: float
    bytes: int


def people(number: int, *, batch: str) -> pl.DataFrame:
    """RECIPIENTS of the example process, the same each time."""
    place = pl.int_range(number)
    email = pl.format("anna.smith{}@{}.example", (place * 7919) % number, pl.lit(batch))
    valid = place % ODD_EVERY != 1
    items = {item.name: pl.lit(None, pl.String) for item in example_process().data_items}
    items |= {
        "first_name": pl.format("Anna {}", place % 97),
        "last_name": pl.format("Smith {}", place % 1009),
        "email": email,
        "policy_number": pl.format("P-{}", place),
        "renewal_date": pl.lit("2030-01-31"),
    }
    return pl.select(
        (place + FIRST_ROW).cast(pl.UInt32).alias(ROW),
        valid.alias("valid"),
        pl.when(valid).then(email).alias("email"),
        pl.lit(None, pl.String).alias("phone"),
        *(value.alias(f"item:{name}") for name, value in items.items()),
    )


def problems(frame: pl.DataFrame) -> pl.DataFrame:
    """PROBLEMS of the rows that are not usable."""
    said = {"item": "email", "code": "email_not_valid", "message": "This is not an email address.", "severity": "error"}
    return frame.filter(~pl.col("valid")).select(ROW, **{name: pl.lit(value) for name, value in said.items()})


def seed(around: Surroundings, *, number: int, others: int) -> int:
    """Fill an empty database; gives the id of the large batch."""
    with around.database.write() as session:
        version = processes.deploy(session, example_process(), draft=False, now=NOW)
        version_id = version.id or 0
    for first in range(0, others, 500):
        with around.database.write() as session:
            for place in range(first, min(first + 500, others)):
                _small(around, session, version_id, place)
    return _large(around, version_id, number)


def _batch(version_id: int, name: str, frame: pl.DataFrame, **columns: object) -> Batch:
    valid = frame.filter("valid").height
    usual: dict[str, object] = {
        "uid": uuid.uuid4().hex,
        "process_version_id": version_id,
        "name": name,
        "sender": SENDER,
        "created_at": NOW - timedelta(hours=3),
        "phase_at": NOW - timedelta(hours=2),
        "file_name": f"{name}.csv",
        "file_sha256": "0" * 64,
        "file_bytes": 140_000_000,
        "upload_key": "",
        "layout": Layout("csv", tuple(item.name for item in example_process().data_items)).to_json(),
        "row_count": frame.height,
        "valid": valid,
        "invalid": frame.height - valid,
        "problems": [
            {"code": "email_not_valid", "message": "This is not an email address.", "count": 1, "rows": [3, 53]}
        ],
    }
    return Batch(**{**usual, **columns})


def _small(around: Surroundings, session: object, version_id: int, place: int) -> None:
    frame = people(OF_SMALL, batch=f"list{place}")
    status = list(Status)[place % len(Status)]
    phase = {
        Status.PENDING_APPROVAL: Phase.WAITING,
        Status.APPROVED: Phase.FINISHED,
        Status.ADMIN_REJECTION: Phase.STOPPED,
    }
    batch = _batch(version_id, f"Renewals {place:05}", frame, status=status.value, phase=phase[status].value)
    batch.created_at = NOW - timedelta(minutes=10 * place)
    added = batches.id_of(batches.add(session, batch))  # type: ignore[arg-type]  # a session
    recipients.replace_all(session, added, frame)  # type: ignore[arg-type]  # same


def _large(around: Surroundings, version_id: int, number: int) -> int:
    frame = people(number, batch="million")
    uid = uuid.uuid4().hex
    keys = {}
    with tempfile.TemporaryDirectory() as folder:
        wrong = problems(frame)
        rows = frame.select(ROW, *(pl.col(name).alias(f"c{place}") for place, name in enumerate(frame.columns[4:])))
        for name, content in {"recipients": frame, "problems": wrong, "rows": rows}.items():
            path = Path(folder) / f"{name}.parquet"
            content.write_parquet(path, row_group_size=10_000)
            keys[f"{name}_key"] = around.storage.put(f"batches/{uid}/{name}.parquet", path)
        upload = Path(folder) / "upload.csv"
        rows.drop(ROW).write_csv(upload)
        keys["upload_key"] = around.storage.put(f"batches/{uid}/upload.csv", upload)
    settings = around.settings
    made_with = fingerprint(settings.secret, public_url=settings.links_base)
    with around.database.write() as session:
        waiting = {"status": Status.APPROVED.value, "phase": Phase.WAITING.value, "link_print": made_with}
        batch = batches.add(session, _batch(version_id, "One million", frame, uid=uid, **waiting, **keys))
        batch_id = batches.id_of(batch)
        recipients.replace_all(session, batch_id, frame)
    with around.database.write() as session:
        requests.write_plan(session, batch_id, split(frame, channels=frozenset({EMAIL})), now=NOW)
    with around.database.write() as session:
        _let_it_be_sent(session, batch_id)
    return batch_id


_SENT = (
    """UPDATE message SET state = CASE WHEN row % :odd = 2 THEN 'failed' ELSE 'accepted' END, sent_at = :at,
        delivery = CASE WHEN row % :odd = 4 THEN 'bounced' WHEN row % :odd = 2 OR row % 3 = 0 THEN NULL ELSE 'delivered' END,
        detail = CASE WHEN row % :odd = 2 THEN 'The provider refused the address.' END, delivery_at = :at
        WHERE batch_id = :batch""",
    """UPDATE request SET state = 'accepted', asked_at = :at, answered_at =
        strftime('%Y-%m-%d %H:%M:%S.000000', :at, '+' || (number * 3) || ' seconds') WHERE batch_id = :batch""",
    "UPDATE recipient SET sent_at = :at WHERE batch_id = :batch AND valid AND row % :odd <> 2",
    """UPDATE batch SET phase = 'finished',
        sent = (SELECT count(*) FROM recipient WHERE batch_id = :batch AND sent_at IS NOT NULL) WHERE id = :batch""",
)


def _let_it_be_sent(session: object, batch_id: int) -> None:
    """What an hour of sending leaves behind."""
    values = {"batch": batch_id, "odd": ODD_EVERY, "at": (NOW - timedelta(hours=1)).strftime("%Y-%m-%d %H:%M:%S.000000")}
    for statement in _SENT:
        session.execute(text(statement), values)  # type: ignore[attr-defined]  # a session
