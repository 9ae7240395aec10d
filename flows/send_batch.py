"""One batch, from the operator's file to the result file.

The stages are plain functions of `tasks`; here they become Prefect tasks. None is retried by
Prefect: each may be run again as it stands, and only the ledger knows what may be sent again.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, cast
from uuid import UUID

from prefect import flow, task
from prefect.client.schemas.objects import State
from prefect.flow_runs import suspend_flow_run
from prefect.futures import PrefectFuture, wait
from prefect.runtime import flow_run
from prefect.states import Failed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from domain.signing import result_url
from tasks import approval, ingest, limits, milestones, reconcile, report, shown, split, validate
from tasks.credentials import accounts, halt_refused_sender
from tasks.senders import Senders
from tasks.surroundings import here

CHUNKS_AT_ONCE = 4


# Its futures are a kind of PrefectFuture, which the parameter's type does not allow for.
RUNNER = cast("TaskRunner[PrefectFuture[Any]]", ThreadPoolTaskRunner[Any](max_workers=CHUNKS_AT_ONCE))
SENDERS = Senders(CHUNKS_AT_ONCE)


@flow(name="send-batch", task_runner=RUNNER)
def send_batch(batch_id: int) -> State[None] | None:
    """One batch from uploaded file to result file; safe to start again at any point.

    Args:
        batch_id: the batch, as `bulk-sender batch create` wrote it.
    """
    ingest_file(batch_id)
    validate_rows(batch_id)
    if approval.has_failed(here(), batch_id):
        announce(batch_id)
        return Failed(
            message=f"Batch {batch_id} cannot be used; its reason stands in: bulk-sender batch show {batch_id}"
        )
    if not await_approval(batch_id):
        announce(batch_id)
        return None
    with SENDERS.started(accounts(), apart=split.is_large(here(), batch_id)):
        chunks = split_into_chunks(batch_id)
        milestones.tell(here())
        progress = shown.start_progress(here(), batch_id)
        while chunks:
            sending = [
                send_chunk.with_options(task_run_name=f"chunk {chunk}").submit(batch_id, chunk, progress)
                for chunk in chunks
            ]
            wait(sending)
            for chunk_run in sending:
                chunk_run.result()
            # A doubt that was settled meanwhile may have left people to write to.
            chunks = split.left(here(), batch_id)
    reconcile_batch(batch_id, write_result(batch_id))
    announce(batch_id)
    show_result(batch_id)
    return None


@task(name="ingest")
def ingest_file(batch_id: int) -> int:
    """Read the file into rows at rest."""
    return ingest.ingest(here(), batch_id)


@task(name="validate")
def validate_rows(batch_id: int) -> None:
    """Judge the rows, write the recipients, show the check."""
    if validate.validate(here(), batch_id):
        shown.show_check(here(), batch_id)
        announce(batch_id)


def await_approval(batch_id: int) -> bool:
    """Suspend until a person decides, here or elsewhere; a batch that is decided is not asked about.

    The process ends while it waits; after the decision the flow starts again from its top.
    """
    refusal = None
    asked: Counter[int] = Counter()
    while (decided := approval.is_decided(here(), batch_id)) is None:
        revision = approval.revision_to_decide(here(), batch_id)
        asked[revision] += 1
        form = suspend_flow_run(
            wait_for_input=approval.Approval.with_initial_data(
                description=approval.invitation(here(), batch_id, refusal=refusal)
            ),
            # An answer about rows that were corrected since belongs to another key, and is asked for again.
            key=f"approval-{revision}-{asked[revision]}",
        )
        refusal = approval.decide(here(), batch_id, form, revision=revision)
    announce(batch_id)
    return decided


@task(name="split")
def split_into_chunks(batch_id: int) -> list[int]:
    """Lay the batch out in requests and chunks."""
    chunks = split.split_batch(here(), batch_id)
    return [] if chunks and halt_refused_sender(here(), batch_id) else chunks


@task(name="send-chunk")
def send_chunk(batch_id: int, chunk: int, progress: UUID | None) -> dict[str, int]:
    """Make the requests of one chunk."""
    ended = SENDERS.send_chunk(here(), batch_id, chunk, permits=limits.permits(here()))
    shown.show_progress(here(), batch_id, progress)
    return ended


@task(name="report")
def write_result(batch_id: int) -> str | None:
    """Write the result file before anybody is told that the batch is finished."""
    return reconcile.prepare(here(), batch_id)


@task(name="reconcile")
def reconcile_batch(batch_id: int, prepared: str | None) -> str:
    """Close the batch as far as every recipient is accounted for; gives the milestone that it reached."""
    return reconcile.reconcile(here(), batch_id, prepared=prepared)


@task(name="show-result")
def show_result(batch_id: int) -> None:
    """Link to the result file; it is written anew if more is known by now."""
    around = here()
    report.keep_file(around, batch_id)
    shown.show_reconciliation(around, batch_id)
    shown.show_result(batch_id, result_url(around.settings.secret, base=around.settings.links_base, batch_id=batch_id))


def announce(batch_id: int) -> None:
    """Show in the Prefect UI what a batch has come to."""
    run_id = flow_run.id
    shown.announce(here(), batch_id, run_id=UUID(run_id) if run_id else None)
