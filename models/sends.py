"""When the messages of a batch were accepted: a histogram from its requests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlmodel import Session

from domain.states import RequestState

_MOST_SLOTS = 60
_WIDTHS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400)
"""Seconds that people count in."""
_EPOCH = {
    "sqlite": "CAST(strftime('%s', answered_at) AS INTEGER)",
    "postgresql": "CAST(floor(extract(epoch FROM answered_at)) AS BIGINT)",
}
_WHERE = "FROM request WHERE batch_id = :batch_id AND state = :accepted AND answered_at IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Sends:
    """How many messages were accepted in each stretch of time, from the first to the last.

    Attributes:
        start: when the first stretch begins.
        seconds: how long each is.
        numbers: one a stretch, those in between that had none included.
    """

    start: datetime
    seconds: int
    numbers: tuple[int, ...]

    def at(self, slot: int) -> datetime:
        """When a stretch begins."""
        return self.start + timedelta(seconds=slot * self.seconds)


def over_time(session: Session, batch_id: int) -> Sends | None:
    """The sends of a batch; None where nothing was accepted. Reads its requests, which are as many as its SMS."""
    epoch = _EPOCH[session.connection().dialect.name]
    values = {"batch_id": batch_id, "accepted": RequestState.ACCEPTED.value}
    first, last = session.execute(text(f"SELECT min({epoch}), max({epoch}) {_WHERE}"), values).one()
    if first is None:
        return None
    width = next((width for width in _WIDTHS if (last - first) // width < _MOST_SLOTS), (last - first) // 50)
    begin = first - first % width
    counted = text(f"SELECT ({epoch} - :begin) / :width AS slot, sum(size) {_WHERE} GROUP BY 1")
    found = {
        int(slot): int(number) for slot, number in session.execute(counted, {**values, "begin": begin, "width": width})
    }
    numbers = tuple(found.get(slot, 0) for slot in range(max(found) + 1))
    return Sends(datetime.fromtimestamp(begin, UTC), width, numbers)
