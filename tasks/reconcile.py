"""Reconcile: close a batch only when every recipient is accounted for."""

from __future__ import annotations

from domain.states import Phase, RequestState
from models import batches, requests
from tasks import report
from tasks.surroundings import Surroundings, now

_OPEN = (RequestState.NEW, RequestState.INTENT)


def prepare(around: Surroundings, batch_id: int) -> str | None:
    """Keep the result file of the phase that `reconcile` is about to let a batch enter; gives its key, if there is one."""
    with around.database.read() as session:
        states = requests.by_state(session, batch_id)
        if batches.by_id(session, batch_id).phase != Phase.SENDING or any(states.get(state) for state in _OPEN):
            return None
    coming = Phase.SETTLING if states.get(RequestState.IN_DOUBT) else Phase.FINISHED
    return report.keep_coming_file(around, batch_id, coming)


def reconcile(around: Surroundings, batch_id: int, *, prepared: str | None = None) -> Phase:
    """Move a sent batch on as far as the ledger allows: to settling, and to finished if nothing is in doubt.

    A result file of an earlier phase is forgotten, so that another is written, unless what was `prepared` is of now.

    What is unresolved is counted and named, and does not keep a batch open: evidence or a person may settle it later.

    Returns:
        The phase in which it stands then.
    """
    with around.database.write() as session:
        requests.doubt_expired(session, batch_id, now=now())
        states = requests.by_state(session, batch_id)
        if not any(states.get(state) for state in _OPEN):
            batches.advance(session, batch_id, Phase.SETTLING, now=now(), result_key=None)
            if not states.get(RequestState.IN_DOUBT):
                batches.advance(session, batch_id, Phase.FINISHED, now=now(), result_key=None)
        phase = Phase(batches.by_id(session, batch_id).phase)
        if prepared is not None and report.is_of_now(around, session, batch_id, prepared):
            batches.note_result(session, batch_id, prepared, phase=phase)
        return phase
