"""Correct: rows of a batch that waits are replaced by those of a corrected file, before it is checked again."""

from __future__ import annotations

import hashlib
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from domain.correction import Returned, corrected_rows, count_changed, replaced
from domain.frames import PROBLEM
from files.reading import Layout, read
from models import batches
from tasks.ingest import limits
from tasks.surroundings import Surroundings


@dataclass(frozen=True, slots=True)
class Correction:
    """What a corrected file makes of a batch.

    Attributes:
        uid: the batch's.
        revision: what it was made of.
        rows: all ROWS of the batch, the corrected ones in their places.
        changed: how many of them are different now.
        file_sha256: of the corrected file.
    """

    uid: str
    revision: int
    rows: pl.DataFrame
    changed: int
    file_sha256: str


def read_correction(around: Surroundings, batch_id: int, path: Path) -> Correction:
    """Read a corrected file beside the batch's rows at rest; changes nothing.

    Raises:
        FileProblem: it cannot be read, or does not fit the batch.
        NotAllowed: the batch has no rows at rest.
    """
    with around.database.read() as session:
        batch = batches.by_id(session, batch_id)
        batches.require_correctable(batch)
        uid, revision, rows_key, layout = batch.uid, batch.revision, batch.rows_key, batch.layout
    if rows_key is None or layout is None:
        message = f"batch {batch_id} was checked and has no rows at rest"
        raise RuntimeError(message)
    header = Layout.from_json(layout).header
    titles = (*filter(None, header), PROBLEM)
    table = read(path, file_name=path.name, limits=limits(around), titles=titles)
    with around.storage.local(rows_key) as kept:
        rows = pl.read_parquet(kept)
    returned = Returned(path.name, table.layout.header, table.rows)
    corrected = corrected_rows(returned, batch_id=batch_id, header=header, rows=rows)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Correction(uid, revision, replaced(rows, corrected), count_changed(rows, corrected), digest)


def keep_correction(around: Surroundings, correction: Correction, path: Path) -> str:
    """Keep the corrected file and the rows that it makes, beside all that was kept before; gives the key of the rows."""
    folder = f"batches/{correction.uid}/correction-{correction.revision + 1}-{uuid.uuid4().hex[:12]}"
    around.storage.put(f"{folder}/upload{path.suffix.lower()[:10]}", path)
    with tempfile.TemporaryDirectory() as scratch:
        rows = Path(scratch) / "rows.parquet"
        correction.rows.write_parquet(rows)
        return around.storage.put(f"{folder}/rows.parquet", rows)
