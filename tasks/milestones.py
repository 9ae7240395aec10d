"""Telling Prefect of milestones as events, whoever brought them about: the one place that does.

Over its REST API, because the screen and the command line tell as well and importing Prefect takes seconds.
"""

from __future__ import annotations

import logging
import os
import uuid
from typing import Any

import httpx

from models import milestones
from models.tables import Batch, ProcessVersion, Untold
from tasks.surroundings import Surroundings

_AT_ONCE = 100
_TIMEOUT_SECONDS = 3.0
_EVENTS = uuid.UUID("b5a0c1de-6a4f-4c57-9d0c-6b7f1f5f0a11")
_logger = logging.getLogger(__name__)


def tell(around: Surroundings) -> int:
    """Tell of every milestone that Prefect has not heard of; gives how many it took.

    What cannot be told now is told by whoever calls this next; the sweep does so every minute. An event has
    the same id however often it is told. Never raises for what Prefect does.
    """
    told = 0
    while events := _events(around):
        if not _post(around.settings.prefect_url, list(events.values())):
            break
        with around.database.write() as session:
            milestones.forget(session, events.keys())
        told += len(events)
    return told


def page_of(around: Surroundings, batch_id: int) -> str:
    """The address of a batch's page in the web screen."""
    return f"{around.settings.links_base}/batches/{batch_id}"


def _events(around: Surroundings) -> dict[int, dict[str, Any]]:
    with around.database.read() as session:
        return {
            one.id or 0: _event(one, batch, version, page=page_of(around, one.batch_id))
            for one, batch, version in milestones.untold(session, at_most=_AT_ONCE)
        }


def _event(one: Untold, batch: Batch, version: ProcessVersion, *, page: str) -> dict[str, Any]:
    """One milestone in Prefect's words, with nobody's address in it."""
    run = {"prefect.resource.id": f"prefect.flow-run.{batch.flow_run_id}", "prefect.resource.role": "flow-run"}
    return {
        # Not of its own id, which SQLite gives again once the row is gone.
        "id": str(uuid.uuid5(_EVENTS, f"{batch.uid} {one.milestone} {one.at.isoformat()}")),
        "occurred": one.at.isoformat(),
        "event": f"bulk-sender.batch.{one.milestone}",
        "resource": {
            "prefect.resource.id": f"bulk-sender.batch.{batch.uid}",
            "prefect.resource.name": batch.name,
            "bulk-sender.batch.id": str(one.batch_id),
            "bulk-sender.process": version.key,
        },
        "related": [run] if batch.flow_run_id else [],
        "payload": {
            "batch": one.batch_id,
            "name": batch.name,
            "process": version.name,
            "status": batch.status,
            "phase": batch.phase,
            "rows": batch.row_count,
            "valid": batch.valid,
            "sent": batch.sent,
            "duplicates": batch.duplicates,
            "page": page,
        },
    }


def _post(prefect_url: str, events: list[dict[str, Any]]) -> bool:
    """Hand events to Prefect's server; says whether it is done with them."""
    user, _, password = os.environ.get("PREFECT_API_AUTH_STRING", "").partition(":")
    try:
        answer = httpx.post(
            f"{prefect_url.rstrip('/')}/events",
            json=events,
            auth=(user, password) if user else None,
            timeout=_TIMEOUT_SECONDS,
            trust_env=False,
        )
    except httpx.HTTPError as fault:
        _logger.warning("%d milestones could not be told to Prefect now (%s)", len(events), type(fault).__name__)
        return False
    if answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY:  # nor would it take them later
        _logger.error("Prefect refused %d milestones for good", len(events))
        return True
    if answer.is_error:
        _logger.warning("%d milestones could not be told to Prefect now (%d)", len(events), answer.status_code)
    return answer.is_success
