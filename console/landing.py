"""What a link's landing page shows: the process's form, filled in from the recipient's row, read-only."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from deployments.surroundings import Surroundings
from domain.errors import NotFound
from domain.frames import ROW, item_column
from domain.processes import DataItem
from domain.rendering import as_read
from domain.samples import title
from models import processes
from models.tables import Batch

INVALID = "This link is not valid."


@dataclass(frozen=True, slots=True)
class Field:
    """One data item with the recipient's value."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Form:
    """A process's form for one recipient."""

    process: str
    right_to_left: bool
    fields: tuple[Field, ...]


def prefilled(around: Surroundings, token: str) -> Form:
    """The form behind a token.

    Raises:
        NotFound: this installation made no such link; the message never says why.
    """
    place = around.links.place(token)
    with around.database.read() as session:
        batch = session.get(Batch, place.batch_id)
        if batch is None or batch.recipients_key is None:
            raise NotFound(INVALID)
        definition = processes.definition_of(processes.version_by_id(session, batch.process_version_id))
        key = batch.recipients_key
    with around.storage.local(key) as path:
        found = pl.scan_parquet(path).filter((pl.col(ROW) == place.row) & pl.col("valid")).collect()
    if found.is_empty():
        raise NotFound(INVALID)
    values = found.row(0, named=True)
    return Form(
        process=definition.name,
        right_to_left=definition.right_to_left,
        fields=tuple(_field(item, values[item_column(item.name)]) for item in definition.data_items),
    )


def _field(item: DataItem, value: str | None) -> Field:
    return Field(title(item.name), as_read(item, value or ""))
