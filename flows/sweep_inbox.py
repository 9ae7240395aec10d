"""The sweep of the inbox: files that were dropped become batches."""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from tasks import inbox, milestones
from tasks.recovery import SWEEP_INBOX
from tasks.runs import start_run
from tasks.surroundings import here


@flow(name=SWEEP_INBOX)
def sweep_inbox() -> State[None]:
    """Make a batch of each file in the inbox, and move the file to `done`, or to `failed` with the reason beside it.

    Runs every minute where an inbox is set, and by hand; harmless beside another run of itself.
    """
    swept = inbox.sweep(here(), start=start_run)
    said = f"{swept.made} became batches, {swept.failed} could not be used, {swept.left} could not be dealt with now."
    if swept.left:
        return Failed(message=f"Files of the inbox: {said} The log says why; the next sweep tries again.")
    if swept.made:
        milestones.tell(here())
    return Completed(message=f"Files of the inbox: {said}")
