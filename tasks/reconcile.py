"""Reconcile: close a batch only when every recipient is accounted for."""

from __future__ import annotations

from domain.states import Phase, RequestState
from models import batches, requests
from tasks.surroundings import Surroundings, now

_OPEN = (RequestState.NEW, RequestState.INTENT)


def reconcile(around: Surroundings, batch_id: int) -> Phase:
    """Move a sent batch on as far as the ledger allows: to settling, and to finished if nothing is in doubt.

    A result file of an earlier phase is forgotten, so that another is written.

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
        return Phase(batches.by_id(session, batch_id).phase)
