"""Fetch: a batch of a file that somebody names by its address, for the run of a form."""

from __future__ import annotations

from pathlib import Path

from files.fetching import fetch
from models import batches, processes
from models.batches import Act
from tasks.create import Start, scratch, uid_of
from tasks.create import create as make_batch
from tasks.ingest import limits
from tasks.surroundings import Surroundings, now

VIA = "Prefect UI"
_FETCH_SECONDS = 600.0


def create_from(
    around: Surroundings, address: str, *, process_key: str, sender: str, name: str, run_id: str, start: Start
) -> int:
    """Fetch a file and make a batch of it; the same run makes one batch, however often it is started.

    Raises:
        BulkSenderError: what is wrong, in a sentence; then there is no batch.
    """
    uid = uid_of(around, "form", run_id)
    with around.database.read() as session:
        known = batches.by_uid(session, uid)
        if known is not None:
            return batches.id_of(known)
        processes.live(session, process_key)
    with scratch(around) as folder:
        path, file_name = fetch(
            address,
            Path(folder),
            limit_bytes=limits(around).bytes,
            limit_seconds=_FETCH_SECONDS,
            never_in=around.settings.home,
        )
        return make_batch(
            around,
            path,
            process_key=process_key,
            sender=sender,
            name=name,
            start=start,
            file_name=file_name,
            uid=uid,
            act=Act(by=sender, via=VIA, now=now()),
        )
