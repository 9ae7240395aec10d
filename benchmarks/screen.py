# ruff: noqa: T201  the table is printed
"""How long the pages of the screen take: `python -m benchmarks.screen`.

Beside 10,000 batches stands one of 1,000,000 recipients that was sent, with what its providers reported. Every page is
asked for in this process, through the whole app, several times; the first answer is told apart, because it reads what
later ones find in memory. `--folder` keeps the database for another run.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import polars as pl
from sqlalchemy import text
from sqlmodel import Session

from benchmarks.lists import example_process
from console.app import make_app
from console.who import cookie_name
from deployments import accounts
from deployments.surroundings import Surroundings, surround
from domain.frames import ROW
from domain.links import fingerprint
from domain.rights import Role
from domain.splitting import EMAIL, split
from domain.states import Phase, Status
from files.layouts import Layout
from models import batches, processes, recipients, requests
from models.recipient_pages import Filter
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
    """Milliseconds of a page: the first answer, the usual one, and of the CPU what the usual one took of all cores."""

    first: float
    usual: float
    cpu: float
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
                _small(session, version_id, place)
    return _large(around, version_id, number)


def _batch(version_id: int, name: str, frame: pl.DataFrame, **columns: Any) -> Batch:  # noqa: ANN401  columns of any type
    valid = frame.filter("valid").height
    usual: dict[str, Any] = {
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


def _small(session: Session, version_id: int, place: int) -> None:
    frame = people(OF_SMALL, batch=f"list{place}")
    status = list(Status)[place % len(Status)]
    phase = {
        Status.PENDING_APPROVAL: Phase.WAITING,
        Status.APPROVED: Phase.FINISHED,
        Status.ADMIN_REJECTION: Phase.STOPPED,
    }
    batch = _batch(version_id, f"Renewals {place:05}", frame, status=status.value, phase=phase[status].value)
    batch.created_at = NOW - timedelta(minutes=10 * place)
    added = batches.id_of(batches.add(session, batch))
    recipients.replace_all(session, added, frame)


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


def _let_it_be_sent(session: Session, batch_id: int) -> None:
    """What an hour of sending leaves behind."""
    values = {
        "batch": batch_id,
        "odd": ODD_EVERY,
        "at": (NOW - timedelta(hours=1)).strftime("%Y-%m-%d %H:%M:%S.000000"),
    }
    for statement in _SENT:
        session.execute(text(statement), values)


def addresses(batch_id: int, *, number: int) -> dict[str, str]:
    """Every page, by what it is."""
    here, middle = f"/batches/{batch_id}", number // 2
    return {
        "batches list": "/",
        "batches list, last page": "/?page=201",
        "batches list, searched": "/?search=renewals+09",
        "batches list, by name": "/?sort=name",
        "Create New Batch": "/batches/new",
        "batch": here,
        "batch, the part that moves": f"{here}/progress?was=finished.approved.0",
        "batch, its charts": f"{here}/standing",
        "batch that waits, small": "/batches/1",
        "recipients": f"{here}/recipients",
        "recipients, from the middle": f"{here}/recipients?after={middle}",
        **{f"recipients, {one.value}": f"{here}/recipients?status={one.value}" for one in Filter},
        "recipients, sent, near the end": f"{here}/recipients?status=sent&after={number - 100}",
        "recipients, part of an address": f"{here}/recipients?q=smith{middle}",
        "recipients, nobody found": f"{here}/recipients?q=nobody@nowhere",
        "recipient": f"{here}/recipients/{middle}",
        "recipient, HTML part": f"{here}/recipients/{middle}/email",
        "recipient, form": f"{here}/recipients/{middle}/form",
        "reconciliation": f"{here}/reconciliation",
        "unresolved": f"{here}/unresolved",
        "history": f"{here}/history",
        "reject, asked first": f"{here}/reject",
        "find a person": "/people?q=ANNA.smith5000@million.example",
        "find a person, nobody": "/people?q=nobody@nowhere.example",
        "find a person, by phone": "/people?q=07400+123456",
        "account": "/account",
    }


async def _times(around: Surroundings, paths: dict[str, str]) -> dict[str, Time]:
    email = "admin@acme.example"
    if not accounts.any_user(around):
        accounts.add_user(around, email, Role.ADMIN, password=None)
    cookies = {cookie_name(around.settings): accounts.sign_in_as(around, email)}
    found = {}
    transport = httpx.ASGITransport(app=make_app(around))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", cookies=cookies) as client:
        for name, path in paths.items():
            spent, cpu = [], []
            for _ in range(1 + ROUNDS):
                began, worked = time.perf_counter(), time.process_time()
                answer = await client.get(path)
                spent.append(1000 * (time.perf_counter() - began))
                cpu.append(1000 * (time.process_time() - worked))
                if answer.status_code not in {200, 204}:
                    message = f"{path} answered {answer.status_code}"
                    raise RuntimeError(message)
            found[name] = Time(spent[0], median(spent[1:]), median(cpu[1:]), len(answer.content))
    return found


def main() -> None:
    """Seed where there is nothing yet, ask for every page, and print a table in Markdown."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=1_000_000, help="recipients of the large batch")
    options.add_argument("--batches", type=int, default=10_000, help="other batches")
    options.add_argument("--folder", type=Path, help="where the database is kept; nowhere if it is not given")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as nowhere:
        around = surround(load(home=given.folder or Path(nowhere)))
        with around.database.read() as session:
            known = session.execute(text("SELECT max(id), max(row_count) FROM batch")).one()
        batch_id = known[0] or seed(around, number=given.rows, others=given.batches)
        times = asyncio.run(_times(around, addresses(batch_id, number=known[1] or given.rows)))
        around.database.close()
    print("| page | usually, ms | CPU, ms | first, ms | kB | met |")
    print("|---|---:|---:|---:|---:|---|")
    for name, one in times.items():
        met = "yes" if one.usual <= MOST_MILLISECONDS else "**no**"
        print(f"| {name} | {one.usual:.0f} | {one.cpu:.0f} | {one.first:.0f} | {one.bytes / 1000:.0f} | {met} |")


if __name__ == "__main__":
    main()
