"""What programs and people are told of a batch; the same dictionary for the command line and the web."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from models import batches
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
