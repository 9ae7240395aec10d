"""SendGrid's mail batches: ids, and which of them are canceled or paused."""

import secrets
from dataclasses import dataclass

from sandbox.store import Store

MAX_HELD = 10
GUARD_SECONDS = 600
"""A hold that comes later than this before the time of sending holds nothing."""
EXPIRY_SECONDS = 72 * 3600
"""How long after their time paused messages are kept."""
HOLDS = ("cancel", "pause")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS mail_batches (
    id TEXT PRIMARY KEY, status TEXT, changed_at REAL NOT NULL
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch id; `status` is `cancel`, `pause` or None, since the real moment `changed_at`."""

    id: str
    status: str | None
    changed_at: float


class Batches:
    """Used on the event loop only."""

    def __init__(self, store: Store) -> None:
        """Keep them in this store."""
        self._store = store
        with store.transaction() as db:
            db.execute(_SCHEMA)

    def make(self, *, at: float) -> str:
        """A new id."""
        batch_id = secrets.token_hex(16)
        with self._store.transaction() as db:
            db.execute("INSERT INTO mail_batches VALUES (?, NULL, ?)", (batch_id, at))
        return batch_id

    def find(self, batch_id: str) -> Batch | None:
        """The batch of this id; None if it was never made."""
        rows = self._store.rows("SELECT id, status, changed_at FROM mail_batches WHERE id = ?", [batch_id])
        return Batch(*rows[0]) if rows else None

    def held(self) -> list[Batch]:
        """Batches that are canceled or paused, the newest first."""
        rows = self._store.rows(
            "SELECT id, status, changed_at FROM mail_batches WHERE status IS NOT NULL ORDER BY changed_at DESC, id"
        )
        return [Batch(*row) for row in rows]

    def hold(self, batch_id: str, status: str | None, *, at: float) -> None:
        """Cancel, pause, or let go. To change one hold into the other does not make it earlier or later."""
        with self._store.transaction() as db:
            db.execute(
                "UPDATE mail_batches SET changed_at = CASE WHEN status IS NULL OR ? IS NULL THEN ? ELSE changed_at END, "
                "status = ? WHERE id = ?",
                (status, at, status, batch_id),
            )

    def clear(self) -> None:
        """Forget all ids."""
        with self._store.transaction() as db:
            db.execute("DELETE FROM mail_batches")
