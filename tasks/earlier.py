"""Earlier batches of a process: whether they hold the same list, and who has an open link of them."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from domain.content import Upload, same_content
from domain.findings import Kind
from domain.frames import ROW
from domain.open_links import ADDRESSES, Links
from models import batches, open_links
from tasks.surroundings import Surroundings, now


def links_of_others(around: Surroundings, process_key: str, *, apart_from: int | None = None) -> Iterator[Links]:
    """Who has an open link of this process, batch by batch, newest first; a batch is read when it is asked for.

    Args:
        around: database and storage.
        process_key: the process, in whatever version.
        apart_from: the batch that is being checked.
    """
    with around.database.read() as session:
        found = open_links.batches_with_some(session, process_key, now=now(), apart_from=apart_from)
    for batch_id, recipients_key in found:
        with around.database.read() as session:
            rows = open_links.open_rows(session, batch_id, now=now())
            closed = open_links.closed_rows(session, batch_id)
        with around.storage.local(recipients_key) as path:
            people = pl.read_parquet(path, columns=[ROW, *ADDRESSES])
        if rows is not None:
            people = people.join(rows.to_frame(), on=ROW, how="semi")
        if closed.len():
            people = people.join(closed.to_frame(), on=ROW, how="anti")
        yield batch_id, people.select(ADDRESSES)


def same_list(
    around: Surroundings, process_key: str, content_sha256: str, *, rows: int, apart_from: int | None = None
) -> list[Kind]:
    """The finding that a list of so many rows was uploaded already; none where it was not."""
    with around.database.read() as session:
        uploads = [
            Upload(batches.id_of(batch), batch.name, batch.created_at, rows=batch.row_count, sent=batch.sent)
            for batch in batches.same_content(session, process_key, content_sha256, apart_from=apart_from)
        ]
    return same_content(uploads, rows=rows)
