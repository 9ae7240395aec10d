"""Processes, recipients and batches as tests need them; plain functions, nothing hidden."""

from __future__ import annotations

import tempfile
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from domain.frames import PROBLEMS, ROW, value_column
from domain.links import fingerprint
from domain.processes import ProcessDefinition, read_definition
from domain.splitting import EMAIL, SMS, split
from domain.states import Phase, Status
from models import batches, processes, recipients, requests
from models.batches import Act
from models.database import Database
from models.tables import Batch
from tasks.surroundings import Surroundings

MOTOR = Path(__file__).parents[1] / "processes" / "motor-renewal.yaml"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FILE_SHA256 = "f" * 64
FIRST_ROW = 2
Result = TypeVar("Result")

EMAIL_OUTPUT = (
    '{from: Acme <post@acme.example>, subject: "Dear {{ first_name }}", text: "{{ first_name }}: {{ link }}", '
    "html: '<a href=\"{{ link }}\">{{ first_name }}</a>'}"
)
SMS_OUTPUT = '{from: "+15005550006", text: "{{ first_name }}: {{ link }}"}'

STATUS_IN = {
    Phase.CHECKING: Status.PENDING_APPROVAL,
    Phase.WAITING: Status.PENDING_APPROVAL,
    Phase.FAILED: Status.PENDING_APPROVAL,
    Phase.SENDING: Status.APPROVED,
    Phase.PAUSED: Status.APPROVED,
    Phase.SETTLING: Status.APPROVED,
    Phase.FINISHED: Status.APPROVED,
    Phase.STOPPED: Status.ADMIN_REJECTION,
}
"""The decision with which a batch usually stands in a phase."""


def motor() -> ProcessDefinition:
    """The example process that ships with the product."""
    return read_definition(MOTOR.read_text(), name=MOTOR.name)


def process(*, email: bool = True, sms: bool = True, key: str = "small", name: str = "Small") -> ProcessDefinition:
    """A process with a name, an email address and a phone number; it sends on the channels that are asked for."""
    outputs = [f"email: {EMAIL_OUTPUT}"] * email + [f"sms: {SMS_OUTPUT}"] * sms
    return read_definition(
        f"""
key: {key}
name: {name}
default_region: GB
data_items:
  - {{name: first_name, type: text, required: true}}
  - {{name: email, type: email}}
  - {{name: phone, type: phone}}
workflow:
  - phase: start
    output: {{{", ".join(outputs)}}}
""",
        name="small.yaml",
    )


def act(by: str = "boss@acme.example", *, comment: str = "", via: str = "test") -> Act:
    """What a person does, at `NOW`."""
    return Act(by=by, via=via, now=NOW, comment=comment)


def deploy(database: Database, definition: ProcessDefinition | None = None) -> int:
    """A live version of the example process, or of another; gives its id."""
    with database.write() as session:
        version = processes.deploy(session, definition or motor(), draft=False, now=NOW)
        assert version.id is not None
        return version.id


def people(*, emails: int = 0, sms: int = 0, both: int = 0, invalid: int = 0) -> pl.DataFrame:
    """RECIPIENTS of the process that `process` gives: with an email address, with a number, with both, then refused."""
    number = emails + sms + both + invalid
    return pl.DataFrame(
        {
            "row": pl.Series(range(FIRST_ROW, FIRST_ROW + number), dtype=pl.UInt32),
            "valid": pl.Series([row < number - invalid for row in range(number)], dtype=pl.Boolean),
            "email": pl.Series(
                [
                    f"person{row}@mail.example" if row < emails or emails + sms <= row < number - invalid else None
                    for row in range(number)
                ],
                dtype=pl.String,
            ),
            "phone": pl.Series(
                [f"+4477009{row:05}" if emails <= row < number - invalid else None for row in range(number)],
                dtype=pl.String,
            ),
            "item:first_name": pl.Series([f"Person {row}" for row in range(number)], dtype=pl.String),
        }
    ).with_columns(pl.col("email").alias("item:email"), pl.col("phone").alias("item:phone"))


def personal(*people: tuple[int, str, dict[str, str]]) -> pl.DataFrame:
    """PERSONAL of people given as row, address and values, the link among the values."""
    names = sorted({name for _, _, values in people for name in values})
    return pl.DataFrame(
        [(row, address, *(values.get(name, "") for name in names)) for row, address, values in people],
        schema={ROW: pl.UInt32, "address": pl.String} | {value_column(name): pl.String for name in names},
        orient="row",
    )


def add_batch(database: Database, *, definition: ProcessDefinition | None = None, **columns: Any) -> int:
    """A batch with usual columns; those that are given take their place. Gives its id."""
    usual: dict[str, Any] = {
        "uid": uuid.uuid4().hex,
        "name": "March",
        "sender": "sender@acme.example",
        "created_at": NOW,
        "phase_at": NOW,
        "file_name": "march.csv",
        "file_sha256": FILE_SHA256,
        "file_bytes": 10,
        "upload_key": "batches/none/upload.csv",
    }
    if "process_version_id" not in columns:
        columns["process_version_id"] = deploy(database, definition)
    with database.write() as session:
        return batches.id_of(batches.add(session, Batch(**{**usual, **columns})))


def batch_in(database: Database, phase: Phase, **columns: Any) -> int:
    """A batch of one valid row in a phase, decided as it usually is there."""
    return add_batch(
        database, **{"phase": phase.value, "status": STATUS_IN[phase].value, "valid": 1, "row_count": 1, **columns}
    )


def planned(database: Database, frame: pl.DataFrame, **columns: Any) -> int:
    """A batch of the process that `process` gives, approved, laid out and ready to be sent."""
    valid = frame.filter("valid").height
    batch_id = add_batch(
        database,
        **{
            "definition": None if "process_version_id" in columns else process(),
            "phase": Phase.WAITING.value,
            "status": Status.APPROVED.value,
            "row_count": frame.height,
            "valid": valid,
            "invalid": frame.height - valid,
            **columns,
        },
    )
    with database.write() as session:
        recipients.replace_all(session, batch_id, frame)
        assert requests.write_plan(session, batch_id, split(frame, channels=frozenset({EMAIL, SMS})), now=NOW)
    return batch_id


def sendable(around: Surroundings, frame: pl.DataFrame) -> int:
    """A planned batch whose recipients are at rest, with the links of these surroundings."""
    uid = uuid.uuid4().hex
    keys = {}
    for name, content in {"recipients": frame, "problems": pl.DataFrame(schema=PROBLEMS)}.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "frame.parquet"
            content.write_parquet(path)
            keys[f"{name}_key"] = around.storage.put(f"batches/{uid}/{name}.parquet", path)
    settings = around.settings
    made_with = fingerprint(settings.secret, public_url=settings.links_base)
    return planned(around.database, frame, uid=uid, link_print=made_with, **keys)


def batch(database: Database, batch_id: int) -> Batch:
    """The batch as the database has it now."""
    with database.read() as session:
        found = batches.by_id(session, batch_id)
        session.expunge(found)
        return found


def race(*acts: Callable[[], Result]) -> list[Result | Exception]:
    """Let each act run in a thread of its own, all from the same moment; gives what came of each."""
    start = threading.Barrier(len(acts), timeout=30)

    def run(one: Callable[[], Result]) -> Result | Exception:
        start.wait()
        try:
            return one()
        except Exception as fault:  # noqa: BLE001  the test looks at it
            return fault

    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(run, acts))
