"""What the Prefect UI shows of a batch: artifacts, tags and milestones. Never the truth, always derived from it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.client.orchestration import get_client

from domain.annotation import CHANNELS
from domain.reconciliation import as_markdown
from domain.states import Status
from domain.summary import check_markdown, escape
from models import batches, processes
from models.recipients import counts
from models.reconciliation import reconcile
from tasks.approval import checked
from tasks.milestones import page_of, tell
from tasks.surroundings import Surroundings

_NEWEST = 200
_logger = logging.getLogger(__name__)


@contextmanager
def _optional(what: str) -> Iterator[None]:
    """Showing must never stop a batch: a server that is away costs a picture, not a send."""
    try:
        yield
    except Exception:  # noqa: BLE001  whatever Prefect raises there
        _logger.warning("%s could not be shown in Prefect", what)


def show_check(around: Surroundings, batch_id: int) -> None:
    """The check as a markdown artifact."""
    with _optional("check"):
        create_markdown_artifact(
            f"{check_markdown(checked(around, batch_id))}\n\n{_link(around, batch_id)}",
            key=f"batch-{batch_id}-check",
            description="What the check found",
        )


def start_progress(around: Surroundings, batch_id: int) -> UUID | None:
    """A progress artifact for the send; None where it could not be made."""
    made: object = None
    with _optional("progress"):
        made = create_progress_artifact(
            _percent(around, batch_id), key=f"batch-{batch_id}-sent", description="Recipients that were dealt with"
        )
    return made if isinstance(made, UUID) else None


def show_progress(around: Surroundings, batch_id: int, artifact: UUID | None) -> None:
    """Bring the progress artifact up to date."""
    if artifact is None:
        return
    with _optional("progress"):
        update_progress_artifact(artifact_id=artifact, progress=_percent(around, batch_id))


def show_result(batch_id: int, url: str) -> None:
    """A link to the result file."""
    with _optional("result"):
        create_link_artifact(
            url, link_text=f"Result file of batch {batch_id}", key=f"batch-{batch_id}-result", description="Result file"
        )


def show_reconciliation(around: Surroundings, batch_id: int) -> None:
    """The books of a batch as a page."""
    with around.database.read() as session:
        batch = batches.by_id(session, batch_id)
        definition = processes.definition_of(processes.version_by_id(session, batch.process_version_id))
        books = reconcile(session, batch, channels=definition.channels)
    with _optional("reconciliation"):
        create_markdown_artifact(
            f"{as_markdown(books, names=CHANNELS)}\n\n{_link(around, batch_id)}",
            key=f"batch-{batch_id}-reconciliation",
            description="Reconciliation",
        )


def show_created(around: Surroundings, batch_id: int) -> None:
    """Where a batch is that was made from a form."""
    with around.database.read() as session:
        batch = batches.by_id(session, batch_id)
        name, run_id = batch.name, batch.flow_run_id
    lines = [
        f"**Batch {batch_id}**, {escape(name)}, is created and is being checked. Then a person must approve it.",
        "",
    ]
    if run_id is not None:
        lines.append(f"* [Its run]({around.settings.prefect_url.removesuffix('/api')}/runs/flow-run/{run_id})")
    lines.append(f"* [Its page in the web screen]({page_of(around, batch_id)})")
    with _optional("created batch"):
        create_markdown_artifact("\n".join(lines), key=f"batch-{batch_id}-created", description="Where the batch is")


def announce(around: Surroundings, batch_id: int, *, run_id: UUID | None) -> None:
    """Tell Prefect what happened to a batch: the events, the run's tags, the table of batches."""
    tell(around)
    with around.database.read() as session:
        status = batches.by_id(session, batch_id).status
    show_batches(around)
    if run_id is not None:
        with _optional("tags"), get_client(sync_client=True) as client:
            kept = [tag for tag in client.read_flow_run(run_id).tags if not tag.startswith("status:")]
            client.update_flow_run(run_id, tags=[*kept, f"status:{status}"])


def show_batches(around: Surroundings) -> None:
    """The newest batches in one table."""
    with around.database.read() as session:
        rows = [
            {
                "Batch": found.id,
                "Name": found.name,
                "Process": version.name,
                "Sender Email": found.sender,
                "Created": found.created_at.isoformat(timespec="minutes"),
                "Sent": f"{found.sent:,}/{found.row_count:,}",
                "Status": found.status,
                "Phase": found.phase,
                "Page": page_of(around, batches.id_of(found)),
            }
            for found, version in batches.matching(session, statuses=[status.value for status in Status], limit=_NEWEST)
        ]
    with _optional("table of batches"):
        create_table_artifact(rows, key="bulk-sender-batches", description="The newest batches")


def _link(around: Surroundings, batch_id: int) -> str:
    return f"[Batch {batch_id} in the web screen]({page_of(around, batch_id)})"


def _percent(around: Surroundings, batch_id: int) -> float:
    with around.database.read() as session:
        stand = counts(session, batches.by_id(session, batch_id))
    return 100.0 if stand.valid == 0 else round(100.0 * (stand.valid - stand.pending) / stand.valid, 1)
