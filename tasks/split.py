"""Split: lay out an approved batch in requests and chunks, in the ledger, before anything is sent."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from domain.frames import ROW
from domain.splitting import EMAIL, SMS, split
from domain.states import Phase
from domain.suppressions import held_back, without
from models import batches, processes, requests, suppressions
from tasks.surroundings import Surroundings, now

_LARGE = {EMAIL: 100_000, SMS: 5_000}
"""Recipients who take two or more CPU seconds to send to."""


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
        with around.database.write() as session:
            # Others were judged since where rows were corrected.
            if batches.by_id(session, batch_id).recipients_key == recipients_key:
                sent_to, held = _hold_back(valid, suppressions.suppressed(session, valid), channels=channels)
                if requests.write_plan(session, batch_id, split(sent_to, channels=channels), now=now()):
                    suppressions.hold(session, batch_id, held, now=now())
    return left(around, batch_id)


def is_large(around: Surroundings, batch_id: int) -> bool:
    """Whether sending a batch takes so long that processes of their own are worth their start."""
    with around.database.read() as session:
        batch = batches.by_id(session, batch_id)
        channels = processes.definition_of(processes.version_by_id(session, batch.process_version_id)).channels
        return batch.valid > min(_LARGE[channel] for channel in channels)


def _hold_back(
    recipients: pl.DataFrame, suppressed: pl.DataFrame, *, channels: Collection[str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Recipients without the addresses that were suppressed since the check; and `channel, row, why` of those."""
    sent_to, held = recipients, [pl.DataFrame(schema={"channel": pl.String, ROW: pl.UInt32, "why": pl.String})]
    for channel in sorted(channels):
        found = held_back(sent_to, suppressed, channel=channel)
        sent_to = without(sent_to, found, channel=channel)
        held.append(found.select(pl.lit(channel).alias("channel"), ROW, "why"))
    return sent_to, pl.concat(held)


def left(around: Surroundings, batch_id: int) -> list[int]:
    """The chunks that still hold something to do; none where the batch may not be sent."""
    with around.database.read() as session:
        if batches.by_id(session, batch_id).phase != Phase.SENDING:
            return []
        return requests.chunks(session, batch_id)
