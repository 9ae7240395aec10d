"""People to whom a link was sent, for the tests of what is behind it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import polars as pl
from sqlalchemy import update
from sqlmodel import col

from domain.links import Place
from domain.processes import ProcessDefinition, read_definition
from domain.states import Phase
from models import batches, visits
from models.tables import Message, Recipient
from tasks.surroundings import Surroundings
from tests import factories

RENEWAL = """
key: renewal
name: Renewal
default_region: GB
data_items:
  - {name: first_name, type: text, required: true, label: Given name, help: As in your passport.}
  - {name: email, type: email}
  - {name: phone, type: phone}
  - {name: born, type: date, required: true, format: "%d.%m.%Y"}
  - {name: premium, type: number}
  - {name: cover, type: choice, choices: [Comprehensive, Third party]}
  - {name: paperless, type: boolean}
workflow:
  - {phase: start, output: {email: {from: a@acme.example, subject: Hello, text: "{{ link }}"}}}
"""
VALUES = {
    "first_name": "Zoë",
    "email": "zoe@mail.example",
    "phone": "+447400123456",
    "born": "1980-02-01",
    "premium": "12.50",
    "cover": "Third party",
    "paperless": "true",
}


def renewal(**keys: Any) -> ProcessDefinition:
    """A process with a data item of every type; `keys` take the place of its own."""
    return read_definition(RENEWAL, name="renewal.yaml").model_copy(update=keys)


def sent(around: Surroundings, **keys: Any) -> Place:
    """The first of two people (rows 2 and 3) to whom a link of the process `renewal` was sent."""
    row = {f"item:{name}": text for name, text in VALUES.items()}
    frame = pl.DataFrame(
        [{"row": number, "valid": True, "email": f"p{number}@mail.example", "phone": None, **row} for number in (2, 3)],
        schema_overrides={"row": pl.UInt32, "phone": pl.String},
    )
    batch_id = factories.sendable(around, frame)
    version_id = factories.deploy(around.database, renewal(**keys))
    with around.database.write() as session:
        moment = datetime.now(UTC)
        session.execute(update(Recipient).where(col(Recipient.batch_id) == batch_id).values(sent_at=moment))
        session.execute(update(Message).where(col(Message.batch_id) == batch_id).values(state="accepted"))
        batches.note(session, batch_id, process_version_id=version_id, phase=Phase.FINISHED.value, sent=2)
    return Place(batch_id, 2)


def path(around: Surroundings, place: Place) -> str:
    """The path of somebody's link."""
    return f"/l/{around.links.token(place)}"


def marks(around: Surroundings, place: Place) -> str:
    """How far the people of a batch have come: `o` for each that opened, `s` for started, `c` for completed."""
    with around.database.read() as session:
        found = visits.counts(session, place.batch_id)
    return "o" * found.opened + "s" * found.started + "c" * found.completed
