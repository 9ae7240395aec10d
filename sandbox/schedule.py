"""What waits for its time: released when it is due, discarded when its batch was canceled in time."""

from collections.abc import Collection
from dataclasses import dataclass

from sandbox.batches import EXPIRY_SECONDS, GUARD_SECONDS
from sandbox.fates import REFUSED, SILENT
from sandbox.settings import Settings
from sandbox.store import Store

_CHUNK = 1000
_DUE = (
    "SELECT m.id, m.provider, m.recipient, m.fate, m.due_at, b.status, b.changed_at FROM messages m "
    "JOIN requests r ON r.id = m.request_id LEFT JOIN mail_batches b ON b.id = r.batch_id "
    "WHERE m.state = 'scheduled' AND m.due_at <= :now "
    "AND NOT (COALESCE(b.status, '') = 'pause' AND m.due_at - b.changed_at >= :guard AND m.due_at + :expiry > :now) "
    "ORDER BY m.due_at LIMIT :chunk"
)
_NEXT = (
    "SELECT MIN(due_at) FROM (SELECT MIN(due_at) AS due_at FROM messages WHERE state = 'scheduled' AND due_at > :now "
    "UNION ALL SELECT MIN(due_at) + :expiry FROM messages WHERE state = 'scheduled' AND due_at <= :now)"
)


@dataclass(frozen=True, slots=True)
class Due:
    """A message whose time has come."""

    id: int
    provider: str
    address: str
    fate: str
    due_at: float
    hold: str | None
    changed_at: float | None

    def is_discarded(self, guard: float) -> bool:
        """Whether it goes nowhere: canceled in time, or paused for too long."""
        return self.hold is not None and self.changed_at is not None and self.due_at - self.changed_at >= guard

    def leaves_at(self) -> float:
        """When it leaves: at its time, or when its batch was let go after that."""
        late = self.changed_at if self.hold is None and self.changed_at is not None else 0.0
        return max(self.due_at, late)


class Schedule:
    """Used on the event loop only. `next_at` is the real moment at which there is something to do."""

    def __init__(self, store: Store) -> None:
        """Take up what waits in the store; batches have to be there before."""
        self._store = store
        self.next_at = 0.0

    def expect(self, moment: float) -> None:
        """Something new becomes due."""
        self.next_at = min(self.next_at, moment)

    def release(self, now: float, settings: Settings, *, announced: Collection[str]) -> list[Due]:
        """Send or discard up to 1,000 messages that are due; those that were sent.

        Events are to be made of those whose provider is `announced`.
        """
        guard, expiry = settings.real(GUARD_SECONDS), settings.real(EXPIRY_SECONDS)
        spans = {"now": now, "guard": guard, "expiry": expiry}
        with self._store.transaction() as db:
            due = [Due(*row) for row in db.execute(_DUE, {**spans, "chunk": _CHUNK})]
            discarded = [one for one in due if one.is_discarded(guard)]
            sent = [one for one in due if not one.is_discarded(guard)]
            db.executemany(
                "UPDATE messages SET state = 'canceled', reason = ?, updated_at = ? WHERE id = ?",
                [("Expired" if one.hold == "pause" else "Canceled", now, one.id) for one in discarded],
            )
            db.executemany(
                "UPDATE messages SET state = ?, is_received = ?, due_at = ?, updated_at = ? WHERE id = ?",
                [(*_released(one), one.leaves_at(), now, one.id) for one in sent],
            )
            db.executemany(
                "UPDATE counts SET messages = messages + ? WHERE provider = ?",
                [(_released(one)[1], one.provider) for one in sent],
            )
            told = [(one.id,) for one in sent if one.provider in announced]
            db.executemany("INSERT INTO announcements (message_id) VALUES (?)", told)
            following = db.execute(_NEXT, {"now": now, "expiry": expiry}).fetchone()[0]
        self.next_at = now if len(due) == _CHUNK else following if following is not None else float("inf")
        return sent


def _released(one: Due) -> tuple[str, int]:
    """State, and whether it is received."""
    if one.provider == "twilio":
        return "accepted", int(one.fate in {"", SILENT})
    return REFUSED.get(one.fate, "received"), int(one.fate not in REFUSED)
