"""What programs and people are told of a batch; the same dictionary for the command line and the web."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from domain.states import RequestState
from models import batches, lookups, requests, visits
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
    """The same with `deliveries`: for each channel, how many of the accepted messages have come how far; and `links`."""
    silent_since = now - timedelta(days=delivery_days)
    found = deliveries(session, batches.id_of(batch), silent_since=silent_since)
    return {**batch_view(session, batch, version), "deliveries": found, "links": links_view(session, batch)}


def links_view(session: Session, batch: Batch) -> dict[str, Any]:
    """How many links of a batch were opened, started, completed and revoked, and whether all of them ended."""
    return {
        **asdict(visits.counts(session, batches.id_of(batch))),
        "expire_at": batch.links_expire_at.isoformat() if batch.links_expire_at else None,
        "revoked_at": batch.links_revoked_at.isoformat() if batch.links_revoked_at else None,
    }


def doubts_view(
    session: Session, batch_id: int, *, most: int | None = None, rows_each: int | None = None
) -> list[dict[str, Any]]:
    """Every request of a batch that is in doubt or unresolved, with whom it is for and what was found out about it.

    Args:
        session: a transaction.
        batch_id: the batch.
        most: of each state, for a page; all if None.
        rows_each: how many rows are named of each, for a page; all if None.
    """
    found = []
    for state in (RequestState.UNRESOLVED, RequestState.IN_DOUBT):
        doubts = requests.doubtful(session, state, batch_id, most=most)
        numbers = [one.number for one in doubts]
        if rows_each is None:
            rows = requests.rows_of(session, batch_id, numbers)
        else:
            rows = requests.first_rows(session, batch_id, numbers, most=rows_each)
        found += [
            {
                "request": one.number,
                "state": one.state,
                "channel": one.channel,
                "size": one.size,
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
