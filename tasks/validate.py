"""Validate: judge every row, write the recipients to the ledger, and let the batch wait for a person."""

from __future__ import annotations

import tempfile
from pathlib import Path

import polars as pl

from domain.columns import recognise
from domain.findings import Judged, summarise
from domain.processes import ProcessDefinition
from domain.states import Phase
from domain.validation import judge
from files.reading import Layout
from models import batches, processes, recipients
from tasks.surroundings import Surroundings, now

_ROWS_PER_GROUP = 10_000
"""Of the Parquet files: one recipient or one request is read without reading all."""


def judge_rows(
    rows: pl.DataFrame, layout: Layout, definition: ProcessDefinition, *, file_name: str, link_length: int
) -> Judged:
    """Judge the rows of a file that was read for this process."""
    columns = recognise(layout.header, definition, file_name=file_name)
    return judge(rows, columns, definition, link_length=link_length)


def validate(around: Surroundings, batch_id: int) -> bool:
    """Judge a batch's rows and write what comes of it; changes nothing once the batch waits.

    Returns:
        True for the one call that let the batch wait, False where that was done before or its file could not be used.
    """
    with around.database.read() as session:
        batch = batches.by_id(session, batch_id)
        if batch.phase != Phase.CHECKING:
            return False
        definition = processes.definition_of(processes.version_by_id(session, batch.process_version_id))
        uid, rows_key, layout, file_name = batch.uid, batch.rows_key, batch.layout, batch.file_name
    if rows_key is None or layout is None:
        message = f"batch {batch_id} has no rows at rest; ingest must run first"
        raise RuntimeError(message)
    with around.storage.local(rows_key) as path:
        rows = pl.read_parquet(path)
    judged = judge_rows(
        rows, Layout.from_json(layout), definition, file_name=file_name, link_length=around.links.length
    )
    found = summarise(judged)
    keys = {
        "recipients_key": _keep(around, uid, "recipients", judged.recipients),
        "problems_key": _keep(around, uid, "problems", judged.problems),
    }
    counts = found["counts"]
    with around.database.write() as session:
        if batches.by_id(session, batch_id).phase != Phase.CHECKING:
            return False
        recipients.replace_all(session, batch_id, judged.recipients)
        return batches.advance(
            session,
            batch_id,
            Phase.WAITING,
            now=now(),
            row_count=counts["rows"],
            valid=counts["valid"],
            invalid=counts["invalid"],
            warnings=counts["warnings"],
            problems=found["problems"],
            **keys,
        )


def _keep(around: Surroundings, uid: str, name: str, frame: pl.DataFrame) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.parquet"
        frame.write_parquet(path, row_group_size=_ROWS_PER_GROUP)
        return around.storage.put(f"batches/{uid}/{name}.parquet", path)
