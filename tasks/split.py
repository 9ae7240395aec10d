"""Split: lay out an approved batch in requests and chunks, in the ledger, before anything is sent."""

from __future__ import annotations

import polars as pl

from domain.splitting import EMAIL, SMS, split
from domain.states import Phase
from models import batches, processes, requests
from tasks.surroundings import Surroundings, now


def split_batch(around: Surroundings, batch_id: int) -> list[int]:
    """Write the plan of a batch unless it is written.

    Returns:
        The chunks that still hold something to do; none where the batch may not be sent.
    """
    with around.database.read() as session:
        batch = batches.by_id(session, batch_id)
        start = processes.definition_of(processes.version_by_id(session, batch.process_version_id)).start
        phase, recipients_key = batch.phase, batch.recipients_key
    if phase == Phase.WAITING and recipients_key is not None:
        channels = frozenset(name for name, output in ((EMAIL, start.email), (SMS, start.sms)) if output is not None)
        with around.storage.local(recipients_key) as path:
            valid = pl.read_parquet(path, columns=["row", "valid", "email", "phone"])
        messages = split(valid, channels=channels)
        with around.database.write() as session:
            # Others were judged since where rows were corrected.
            if batches.by_id(session, batch_id).recipients_key == recipients_key:
                requests.write_plan(session, batch_id, messages, now=now())
    return left(around, batch_id)


def left(around: Surroundings, batch_id: int) -> list[int]:
    """The chunks that still hold something to do; none where the batch may not be sent."""
    with around.database.read() as session:
        if batches.by_id(session, batch_id).phase != Phase.SENDING:
            return []
        return requests.chunks(session, batch_id)
