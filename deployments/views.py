"""What programs and people are told of a batch; the same dictionary for the command line and the web."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from domain.states import RequestState
from models import batches, lookups, requests
from models.recipients import counts, deliveries
from models.tables import Batch, ProcessVersion


def batch_view(session: Session, batch: Batch, version: ProcessVersion) -> dict[str, Any]:
    """A batch as JSON holds it; counts are right at this moment."""
    return {
        "id": batch.id,
        "name": batch.name,
        "process": version.key,
        "process_name": version.name,
        "version": version.version,
        "sender": batch.sender,
        "created_at": batch.created_at.isoformat(),
        "status": batch.status,
        "archived": batch.archived_at is not None,
        "phase": batch.phase,
        "reason": batch.reason,
        "revision": batch.revision,
        "counts": asdict(counts(session, batch)),
        "duplicates": batch.duplicates,
        "problems": batch.problems or [],
        "file": batch.file_name,
        "file_sha256": batch.file_sha256,
        "flow_run_id": batch.flow_run_id,
    }


def detailed_view(
    session: Session, batch: Batch, version: ProcessVersion, *, delivery_days: int, now: datetime
) -> dict[str, Any]:
    """The same with `deliveries`: for each channel, how many of the accepted messages have come how far."""
    silent_since = now - timedelta(days=delivery_days)
    found = deliveries(session, batches.id_of(batch), silent_since=silent_since)
    return {**batch_view(session, batch, version), "deliveries": found}


def doubts_view(session: Session, batch_id: int) -> list[dict[str, Any]]:
    """Every request of a batch that is in doubt or unresolved, with whom it is for and what was found out about it."""
    found = []
    for state in (RequestState.UNRESOLVED, RequestState.IN_DOUBT):
        doubts = requests.doubtful(session, state, batch_id)
        rows = requests.rows_of(session, batch_id, [one.number for one in doubts])
        found += [
            {
                "request": one.number,
                "state": one.state,
                "channel": one.channel,
                "rows": rows[one.number],
                "asked_at": one.asked_at.isoformat() if one.asked_at else None,
                "code": one.code,
                "detail": one.detail,
                "lookups": [
                    {"source": read.source, "at": read.at.isoformat(), "found": read.found}
                    for read in lookups.readings(session, batch_id, one.number)
                ],
            }
            for one in doubts
        ]
    return found
