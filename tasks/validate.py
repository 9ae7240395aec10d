"""Validate: judge every row, write the recipients to the ledger, and let the batch wait for a person."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from domain.columns import recognise
from domain.content import content_sha256
from domain.findings import Judged, summarise
from domain.open_links import Links
from domain.processes import ProcessDefinition
from domain.states import Phase
from domain.suppressions import leave_out
from domain.validation import judge
from files.reading import Layout
from models import batches, processes, recipients, suppressions
from tasks.earlier import links_of_others, same_list
from tasks.surroundings import Surroundings, now

_ROWS_PER_GROUP = 10_000
"""Of the Parquet files: one recipient or one request is read without reading all."""


def judge_rows(
    rows: pl.DataFrame,
    layout: Layout,
    definition: ProcessDefinition,
    *,
    file_name: str,
    link_length: int,
    open_links: Iterable[Links],
) -> Judged:
    """Judge the rows of a file that was read for this process."""
    columns = recognise(layout.header, definition, file_name=file_name)
    return judge(rows, columns, definition, link_length=link_length, open_links=open_links)


def without_suppressed(around: Surroundings, judged: Judged, definition: ProcessDefinition) -> Judged:
    """The judged rows without the addresses that must not be written to by now, each with a problem that says so."""
    with around.database.read() as session:
        suppressed = suppressions.suppressed(session, judged.recipients)
    return leave_out(judged, suppressed, definition)


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
        revision = batch.revision
    if rows_key is None or layout is None:
        message = f"batch {batch_id} has no rows at rest; ingest must run first"
        raise RuntimeError(message)
    with around.storage.local(rows_key) as path:
        rows = pl.read_parquet(path)
    judged = judge_rows(
        rows,
        Layout.from_json(layout),
        definition,
        file_name=file_name,
        link_length=around.links.length,
        open_links=links_of_others(around, definition.key, apart_from=batch_id),
    )
    judged = without_suppressed(around, judged, definition)
    found = summarise(judged)
    content, counts = content_sha256(judged.recipients), found["counts"]
    same = same_list(around, definition.key, content, rows=counts["rows"], apart_from=batch_id)
    recipients_key = _keep(around, uid, f"recipients-{revision}", judged.recipients)
    problems_key = _keep(around, uid, f"problems-{revision}", judged.problems)
    with around.database.write() as session:
        is_first = batches.advance(
            session,
            batch_id,
            Phase.WAITING,
            now=now(),
            seen_revision=revision,
            content_sha256=content,
            row_count=counts["rows"],
            valid=counts["valid"],
            invalid=counts["invalid"],
            warnings=counts["warnings"],
            problems=[*same, *found["problems"]],
            recipients_key=recipients_key,
            problems_key=problems_key,
        )
        if is_first:
            recipients.replace_all(session, batch_id, judged.recipients)
        return is_first


def _keep(around: Surroundings, uid: str, name: str, frame: pl.DataFrame) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.parquet"
        frame.write_parquet(path, row_group_size=_ROWS_PER_GROUP)
        return around.storage.put(f"batches/{uid}/{name}.parquet", path)
