"""Ingest: from the operator's file to its rows at rest."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from domain.columns import recognise, titles
from domain.errors import FileProblem
from domain.processes import ProcessDefinition
from domain.states import Phase
from files.reading import Limits, Table, read
from models import batches, processes
from tasks.surroundings import Surroundings, now


def read_for(
    definition: ProcessDefinition,
    path: Path,
    *,
    file_name: str,
    limits: Limits,
    others: Sequence[ProcessDefinition] = (),
    with_others: bool = True,
) -> Table:
    """Read a file and make sure that it is one for this process.

    Args:
        definition: the process.
        path: the file.
        file_name: what people call it.
        limits: what reading may cost.
        others: processes that it may be for instead.
        with_others: whether columns are read that are none of the process's.

    Raises:
        FileProblem: it cannot be used as a whole; the message says why and what to do.
    """
    table = read(path, file_name=file_name, limits=limits, titles=titles(definition), with_others=with_others)
    made_for = table.layout.made_for
    recognise(
        table.layout.header,
        definition,
        file_name=file_name,
        file_process=made_for.key if made_for else None,
        others=others,
    )
    return table


def keep_rows(around: Surroundings, uid: str, table: Table) -> str:
    """Put the rows at rest as Parquet below `batches/uid`; the same key again for the same one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        table.rows.write_parquet(path)
        return around.storage.put(f"batches/{uid}/rows.parquet", path)


def ingest(around: Surroundings, batch_id: int) -> int:
    """Make sure that a batch's rows are at rest; reads the file only if they are not.

    Returns:
        How many rows the file has; 0 where it could not be used, and then the batch has failed.
    """
    with around.database.read() as session:
        batch = batches.by_id(session, batch_id)
        definition = processes.definition_of(processes.version_by_id(session, batch.process_version_id))
        if batch.rows_key is not None or batch.phase != Phase.CHECKING:
            return batch.row_count
        file_name, uid, upload_key = batch.file_name, batch.uid, batch.upload_key
    try:
        with around.storage.local(upload_key) as path:
            table = read_for(definition, path, file_name=file_name, limits=limits(around))
    except FileProblem as problem:
        with around.database.write() as session:
            batches.advance(session, batch_id, Phase.FAILED, now=now(), reason=str(problem))
        return 0
    rows_key = keep_rows(around, uid, table)
    with around.database.write() as session:
        batches.note(session, batch_id, rows_key=rows_key, layout=table.layout.to_json(), row_count=table.rows.height)
    return table.rows.height


def limits(around: Surroundings) -> Limits:
    """The limits that the settings put on a file."""
    return Limits(bytes=around.settings.upload_megabytes * 1024 * 1024)
