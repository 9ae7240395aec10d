"""After a stop of everything: let batches go on that were decided or were being sent."""

from __future__ import annotations

from deployments.acts import start_again
from deployments.prefect_api import PrefectApi
from domain.states import Phase, Status
from models import batches
from tasks.surroundings import Surroundings

_ENDED = {"COMPLETED", "FAILED", "CANCELLED", "CRASHED", "MISSING"}


def go_on(around: Surroundings) -> list[int]:
    """Start a new run for every batch that has work left and no run that would do it.

    Called when this machine has just started and runs no flow: where Prefect's server is our
    own, a run that it believes to be running died with the last stop, and is called crashed. A
    batch that waits for a decision is left to its suspended run. Safe to call again: the ledger
    keeps two runs of one batch from doing anything twice.

    Returns:
        The batches that were started again.
    """
    api = PrefectApi(around.settings.prefect_url)
    with around.database.read() as session:
        open_batches = [
            (batches.id_of(batch), batch.flow_run_id, Phase(batch.phase), batch.status)
            for batch in batches.in_phases(session, [Phase.CHECKING, Phase.WAITING, Phase.SENDING])
        ]
    started = []
    for batch_id, run_id, phase, status in open_batches:
        state = "MISSING" if run_id is None else api.state(run_id)
        if state == "RUNNING" and run_id is not None and around.settings.prefect_api_url is None:
            api.call_crashed(run_id)
            state = "CRASHED"
        decided_meanwhile = state == "PAUSED" and not (phase is Phase.WAITING and status == Status.PENDING_APPROVAL)
        if state in _ENDED or decided_meanwhile:
            start_again(around, api, batch_id)
            started.append(batch_id)
    return started
