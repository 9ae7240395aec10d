"""Housekeeping: what nobody needs any more is removed, each kind once it is old enough to be nobody's work under way.

Databases tidy themselves: the space of removed rows is used again, so nothing is vacuumed here.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import ObjectNotFound

from models import accounts, batches, idempotency
from tasks import uploads
from tasks.recovery import HOUSEKEEPING, SWEEP, SWEEP_INBOX
from tasks.surroundings import Surroundings, now

_DAY = timedelta(days=1)
_RUNS_AT_ONCE = 50
"""As many as Prefect's server deletes in one call."""
_RUNS_AT_MOST = 10_000
_ENDED = ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]
_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Tidied:
    """What was removed, in counts, and what could not be."""

    removed: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)


def tidy(around: Surroundings) -> Tidied:
    """Remove everything of each kind; one that fails does not keep the others from it."""
    kinds: dict[str, Callable[[Surroundings], int]] = {
        "files of batches that were never made": _folders,
        "uploads in the web screen": lambda here: uploads.sweep(here, now() - _DAY),
        "half-written files": lambda here: here.storage.remove_parts(now() - _DAY),
        "copies that a killed run left": _scratch,
        "ended sign-ins, tries and codes": _accounts,
        "answers of programs' calls": _calls,
        "ended runs of sweeps and housekeeping": _runs,
    }
    tidied = Tidied()
    for kind, remove in kinds.items():
        try:
            tidied.removed[kind] = remove(around)
        except Exception as fault:  # noqa: BLE001  whatever a store or a server raises
            tidied.failed.append(kind)
            _logger.warning("%s could not be removed (%s)", kind, type(fault).__name__)
    _logger.info("removed: %s", ", ".join(f"{number} {kind}" for kind, number in tidied.removed.items()))
    return tidied


def show(tidied: Tidied) -> None:
    """What was removed, as a table in the Prefect UI."""
    rows = [{"What": kind, "Removed": number} for kind, number in tidied.removed.items()]
    create_table_artifact(rows, key="bulk-sender-housekeeping", description="What housekeeping removed")


def _folders(around: Surroundings) -> int:
    """Kept files of a batch that was never written: its maker was killed.

    Once a batch was checked, files lie directly in its folder. Such a folder is never removed, whatever the
    database says: it might be a new one beside an old storage.
    """
    kept = around.storage.folders("batches")
    with around.database.read() as session:
        known = batches.uids(session)
    before, removed = now() - _DAY, 0
    for uid in kept:
        folder = f"batches/{uid}"
        if uid not in known and not around.storage.files(folder) and around.storage.is_older(folder, before):
            around.storage.remove(folder)
            removed += 1
    return removed


def _scratch(around: Surroundings) -> int:
    before, removed = (now() - _DAY).timestamp(), 0
    place = around.settings.home / "scratch"
    for path in place.iterdir() if place.is_dir() else []:
        if path.lstat().st_mtime < before:
            shutil.rmtree(path)
            removed += 1
    return removed


def _accounts(around: Surroundings) -> int:
    with around.database.write() as session:
        return accounts.purge(session, before=now() - _DAY)


def _calls(around: Surroundings) -> int:
    with around.database.write() as session:
        return idempotency.purge(session, now=now())


def _runs(_around: Surroundings) -> int:
    """Ended runs of what runs by itself: a sweep each minute leaves 1,440 a day. Those of batches are never touched."""
    with get_client(sync_client=True) as client:
        ids = [found for name in (SWEEP, SWEEP_INBOX, HOUSEKEEPING) if (found := _deployment(client, name))]
        if not ids:  # an empty list would mean any deployment
            return 0
        wanted: dict[str, Any] = {
            "deployment_id": {"any_": ids},
            "state": {"type": {"any_": _ENDED}},
            "end_time": {"before_": (now() - _DAY).isoformat()},
        }
        removed = 0
        while removed < _RUNS_AT_MOST:
            body = {"flow_runs": wanted, "limit": _RUNS_AT_ONCE}
            answer = client.request("POST", "/flow_runs/bulk_delete", json=body)  # type: ignore[arg-type]  # not in its list
            deleted = len(answer.raise_for_status().json()["deleted"])
            removed += deleted
            if deleted < _RUNS_AT_ONCE:
                break
        return removed


def _deployment(client: SyncPrefectClient, name: str) -> str | None:
    try:
        return str(client.read_deployment_by_name(f"{name}/{name}").id)
    except ObjectNotFound:
        return None
