"""The sweep: what stands still anywhere goes on, found by the state in which it stands."""

from __future__ import annotations

from prefect import flow

from channels.sendgrid import SendGrid
from channels.twilio import Twilio
from domain.signing import result_url
from tasks import milestones, recovery, report, shown
from tasks import settle as doubts
from tasks.credentials import open_providers
from tasks.surroundings import here


@flow(name=recovery.SWEEP)
def settle() -> None:
    """Settle doubts of all batches with what the providers say, and let batches go on whose run has ended.

    Runs every minute, and by hand whenever somebody wants; harmless beside another run of itself. It
    has no task runs, as most of the time there is nothing to do.
    """
    settled = doubts.sweep(here(), witnesses=open_witness)
    for batch_id in report.unreported(here(), settled):
        write_result(batch_id)
    recovery.go_on(here())
    milestones.tell(here())


def open_witness(channel: str) -> SendGrid | Twilio:
    """The provider of a channel; its account is loaded only where there is something to ask."""
    return open_providers(here().settings)(channel)


def write_result(batch_id: int) -> None:
    """Write the result file, link to it and tell of it, as the batch's own run does at its end."""
    around = here()
    report.keep_file(around, batch_id)
    shown.show_reconciliation(around, batch_id)
    shown.show_result(batch_id, result_url(around.settings.secret, base=around.settings.links_base, batch_id=batch_id))
    shown.announce(around, batch_id, run_id=None)
