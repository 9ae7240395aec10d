"""Who looked at what and took it away: written into a batch's history, once an hour for the same."""

from __future__ import annotations

from deployments.acts import Person
from deployments.surroundings import Surroundings
from models import history
from models.history import DOWNLOADED, LOOKED

__all__ = ["DOWNLOADED", "LOOKED", "note"]


def note(around: Surroundings, batch_id: int, who: Person, *, what: str, act: str) -> None:
    """Write down that somebody looked at something of a batch or downloads it.

    Most of the time it is known already, and nothing is written.

    Args:
        around: the ledger.
        batch_id: the batch.
        who: who does it.
        what: of it, such as a row or a file; nothing personal.
        act: `LOOKED` or `DOWNLOADED`.
    """
    done = Person(who.email, who.via, what).act()
    with around.database.read() as session:
        if history.is_known(session, batch_id, done, name=act):
            return
    with around.database.write() as session:
        history.note_once(session, batch_id, done, name=act)
