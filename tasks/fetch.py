"""Fetch: a batch of a file that somebody names by its address, for the run of a form."""

from __future__ import annotations

from pathlib import Path

from domain.errors import NotAllowed
from domain.rights import Right
from files.fetching import fetch
from models import batches, processes
from models.batches import Act
from tasks.approval import VIA, refusal_of_code, signer
from tasks.create import Start, scratch, uid_of
from tasks.create import create as make_batch
from tasks.ingest import limits
from tasks.surroundings import Surroundings, now

_FETCH_SECONDS = 600.0


def create_from(
    around: Surroundings,
    address: str,
    *,
    process_key: str,
    sender: str,
    code: str,
    name: str,
    run_id: str,
    start: Start,
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
        if (refusal := refusal_of_code(around, None, code, revision=0)) is not None:
            raise NotAllowed(refusal)
        with around.database.write() as session:
            creator = signer(around, session, None, code=code, email=sender, revision=0, right=Right.CREATE)
        return make_batch(
            around,
            path,
            process_key=process_key,
            sender=creator,
            name=name,
            start=start,
            file_name=file_name,
            uid=uid,
            act=Act(by=creator, via=VIA, now=now()),
        )
