"""What every message of a batch must be read for: deliveries, the books, the sends over time; and how fast it goes.

A million messages take a second to read, and no page may take that long. So a large batch is counted beside the pages,
and they show how it stood when it was last counted, and when that was. A small one is counted while people wait.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from threading import Lock

from sqlmodel import Session

from deployments.background import Background
from deployments.surroundings import Surroundings
from domain.reconciliation import Reconciliation
from models import batches, processes, sends, visits
from models.recipients import Counts, counts, deliveries, has_more_exceptions
from models.reconciliation import reconcile
from models.sends import Sends
from models.tables import Batch
from tasks.surroundings import now

SMALL = 5_000
"""So many recipients are counted within a page's time."""
_FEW_EXCEPTIONS = 500
_REST = 10
"""A count that took a second is good for so many seconds."""
_SHORTEST_REST_SECONDS = 2.0
_WINDOW_SECONDS = 60.0
_KEPT = 200
"""Batches of which counts are kept; of others they are made anew."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a batch stood at a moment.

    Attributes:
        at: the moment.
        deliveries: see `models.recipients.deliveries`.
        books: its reconciliation.
        sends: how many messages were accepted when.
        counts: of its recipients.
        visits: how many links were opened, started, completed, revoked.
    """

    at: datetime
    counts: Counts
    visits: visits.Counts
    deliveries: dict[str, dict[str, int]]
    books: Reconciliation
    sends: Sends | None


def count(around: Surroundings, batch_id: int) -> Standing:
    """How a batch stands now; a second for a million recipients."""
    moment = now()
    with around.database.read() as session:
        batch = batches.by_id(session, batch_id)
        definition = processes.definition_of(processes.version_by_id(session, batch.process_version_id))
        return Standing(
            at=moment,
            counts=counts(session, batch, channels=len(definition.channels)),
            visits=visits.counts(session, batch_id),
            deliveries=deliveries(
                session, batch_id, silent_since=moment - timedelta(days=around.settings.delivery_days)
            ),
            books=reconcile(session, batch, channels=definition.channels),
            sends=sends.over_time(session, batch_id),
        )


@dataclass(slots=True)
class _Last:
    standing: Standing | None = None
    good_until: float = 0.0
    is_counted: bool = False


@dataclass(slots=True)
class Standings:
    """The last counts of this process; shared by its threads."""

    around: Surroundings
    clock: Callable[[], float] = time.monotonic
    _last: dict[int, _Last] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)
    _beside: Background = field(default_factory=lambda: Background(threads=1))

    def of(self, batch_id: int, *, recipients: int) -> Standing | None:
        """How a batch stands, or stood a moment ago; None where a large one was not counted yet.

        Args:
            batch_id: the batch.
            recipients: how many it has.
        """
        if recipients <= SMALL:
            return count(self.around, batch_id)
        with self._lock:
            last = self._last.setdefault(batch_id, _Last())
            is_due = not last.is_counted and self.clock() >= last.good_until
            last.is_counted = last.is_counted or is_due
            found = last.standing
            for other in list(self._last)[: max(0, len(self._last) - _KEPT)]:
                del self._last[other]
        if is_due:
            self._beside(partial(self._count, batch_id, last))
        return found

    def counts_of(self, session: Session, batch: Batch, *, channels: int) -> tuple[Counts, bool]:
        """How the recipients of a batch stand, and whether that is exact at this moment.

        Where thousands failed and some have two messages, what failed is from the last count, and before there is one,
        at most so many as messages did.
        """
        batch_id = batches.id_of(batch)
        if channels < 2 or not has_more_exceptions(session, batch_id, than=_FEW_EXCEPTIONS):  # noqa: PLR2004  two would need each other
            return counts(session, batch, channels=channels), True
        last = self.of(batch_id, recipients=max(batch.valid, SMALL + 1))
        known = last.counts if last else counts(session, batch, channels=1)
        rest = batch.valid - batch.sent
        failed = min(known.failed, rest)
        in_doubt = min(known.in_doubt, rest - failed)
        unresolved = min(known.unresolved, rest - failed - in_doubt)
        pending = rest - failed - in_doubt - unresolved
        found = replace(
            known, sent=batch.sent, failed=failed, in_doubt=in_doubt, unresolved=unresolved, pending=pending
        )
        return found, False

    def _count(self, batch_id: int, last: _Last) -> None:
        began = self.clock()
        try:
            last.standing = count(self.around, batch_id)
        finally:
            took = self.clock() - began
            last.good_until = self.clock() + max(_SHORTEST_REST_SECONDS, _REST * took)
            last.is_counted = False


@dataclass(slots=True)
class Paces:
    """How fast batches move, from how far they had come whenever somebody looked; shared by threads."""

    clock: Callable[[], float] = time.monotonic
    _seen: dict[int, deque[tuple[float, int]]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def of(self, batch_id: int, *, done: int) -> float | None:
        """Recipients a second over the last minute; None until that can be said.

        Args:
            batch_id: the batch.
            done: how many of its recipients are done with.
        """
        moment = self.clock()
        with self._lock:
            seen = self._seen.setdefault(batch_id, deque(maxlen=_KEPT))
            while seen and (moment - seen[0][0] > _WINDOW_SECONDS or seen[0][1] > done):
                seen.popleft()
            first = seen[0] if seen else None
            if not seen or moment - seen[-1][0] >= 0.5:  # noqa: PLR2004  several readers see the same
                seen.append((moment, done))
            for other in list(self._seen)[: max(0, len(self._seen) - _KEPT)]:
                del self._seen[other]
        if first is None or moment - first[0] < 1:
            return None
        return (done - first[1]) / (moment - first[0])
