"""Reconcile: close a batch only when every recipient is accounted for."""

from __future__ import annotations

from domain.states import Phase, RequestState
from models import batches, requests
from tasks.surroundings import Surroundings, now

_OPEN = (RequestState.NEW, RequestState.INTENT)
_DOUBTFUL = (RequestState.IN_DOUBT, RequestState.UNRESOLVED)


def reconcile(around: Surroundings, batch_id: int) -> Phase:
    """Move a sent batch on as far as the ledger allows: to settling, and to finished if nothing is in doubt.

    Returns:
        The phase in which it stands then.
    """
    with around.database.write() as session:
        requests.doubt_expired(session, batch_id, now=now())
        states = requests.by_state(session, batch_id)
        if not any(states.get(state) for state in _OPEN):
            batches.advance(session, batch_id, Phase.SETTLING, now=now())
            if not any(states.get(state) for state in _DOUBTFUL):
                batches.advance(session, batch_id, Phase.FINISHED, now=now())
        return Phase(batches.by_id(session, batch_id).phase)
