"""Events that are still to be posted, in the same file as the messages: a restart or a kill loses none."""

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sandbox.records import PROVIDERS, Provider
from sandbox.store import Store

COUNTS = ("made", "lost", "posts", "answered", "refused", "given_up")
_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS outgoing (
    id INTEGER PRIMARY KEY, provider TEXT NOT NULL, due_at REAL NOT NULL, first_at REAL NOT NULL,
    attempts INTEGER NOT NULL, taken INTEGER NOT NULL, url TEXT NOT NULL, body TEXT NOT NULL
) STRICT""",
    "CREATE INDEX IF NOT EXISTS outgoing_by_time ON outgoing (provider, taken, due_at)",
    """CREATE TABLE IF NOT EXISTS outgoing_counts (
    provider TEXT NOT NULL, name TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (provider, name)
) STRICT""",
    "UPDATE outgoing SET taken = 0 WHERE taken",
)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One event on its way: `due_at` and `first_at` are real moments; an empty `url` is the one set at the time."""

    provider: Provider
    due_at: float
    url: str
    body: str
    id: int = 0
    first_at: float = 0.0
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Announcement:
    """A request, or one message of it, of which the events are still to be made."""

    id: int
    request_id: int | None
    message_id: int | None


class Queue:
    """Used on the event loop only. `numbers` are counts of events made and lost, and of posts and their answers."""

    def __init__(self, store: Store) -> None:
        """Take up what was not posted yet; what was on its way when the process ended is posted again."""
        self._store = store
        with store.transaction() as db:
            for statement in _SCHEMA:
                db.execute(statement)
        self.numbers = {one: dict.fromkeys(COUNTS, 0) for one in PROVIDERS}
        for provider, name, number in store.rows("SELECT provider, name, number FROM outgoing_counts"):
            self.numbers[provider][name] = number

    def announcements(self, limit: int) -> list[Announcement]:
        """The oldest ones."""
        sql = "SELECT id, request_id, message_id FROM announcements ORDER BY id LIMIT ?"
        return [Announcement(*row) for row in self._store.rows(sql, [limit])]

    def put(self, events: Collection[Outgoing], of: Announcement, counts: Mapping[Provider, Mapping[str, int]]) -> None:
        """Queue the events of an announcement, which is done with, and add to the counts, in one commit."""
        rows = [(one.provider, one.due_at, one.due_at, one.url, one.body) for one in events]
        with self._store.transaction() as db:
            db.executemany(
                "INSERT INTO outgoing (provider, due_at, first_at, attempts, taken, url, body) VALUES (?,?,?,0,0,?,?)",
                rows,
            )
            db.execute("DELETE FROM announcements WHERE id = ?", [of.id])
            for provider, more in counts.items():
                self._count(db, provider, more)

    def take(self, provider: Provider, *, now: float, limit: int) -> list[Outgoing]:
        """The oldest events of those that are due, taken until they are done with or put back."""
        found = self._store.rows(
            "SELECT provider, due_at, url, body, id, first_at, attempts FROM outgoing "
            "WHERE provider = ? AND taken = 0 AND due_at <= ? ORDER BY due_at, id LIMIT ?",
            [provider, now, limit],
        )
        if found:
            with self._store.transaction() as db:
                db.executemany("UPDATE outgoing SET taken = 1 WHERE id = ?", [(row[4],) for row in found])
        return [Outgoing(*row) for row in found]

    def done(self, events: Sequence[Outgoing]) -> None:
        """Forget events: they were received, or given up."""
        with self._store.transaction() as db:
            db.executemany("DELETE FROM outgoing WHERE id = ?", [(one.id,) for one in events])

    def put_back(self, events: Sequence[Outgoing], *, due_at: float) -> None:
        """Try again later."""
        with self._store.transaction() as db:
            db.executemany(
                "UPDATE outgoing SET taken = 0, attempts = attempts + 1, due_at = ? WHERE id = ?",
                [(due_at, one.id) for one in events],
            )

    def forget(self, text: str) -> None:
        """Drop events that have this text in them, such as the sid of a canceled message."""
        with self._store.transaction() as db:
            db.execute("DELETE FROM outgoing WHERE instr(body, ?)", [text])

    def next_at(self, provider: Provider) -> float:
        """The real moment at which the next one is due; infinity when none is left."""
        sql = "SELECT MIN(due_at) FROM outgoing WHERE provider = ? AND taken = 0"
        found: float | None = self._store.rows(sql, [provider])[0][0]
        return float("inf") if found is None else found

    def clear(self) -> None:
        """Forget all events and counts."""
        with self._store.transaction() as db:
            db.execute("DELETE FROM outgoing")
            db.execute("DELETE FROM outgoing_counts")
        self.numbers = {one: dict.fromkeys(COUNTS, 0) for one in PROVIDERS}

    def count(self, provider: Provider, **more: int) -> None:
        """Add to `numbers`, also after a restart."""
        with self._store.transaction() as db:
            self._count(db, provider, more)

    def _count(self, db: sqlite3.Connection, provider: Provider, more: Mapping[str, int]) -> None:
        numbers = self.numbers[provider]
        numbers.update({name: numbers[name] + number for name, number in more.items()})
        rows = [(provider, name, numbers[name]) for name in more]
        db.executemany("INSERT OR REPLACE INTO outgoing_counts VALUES (?, ?, ?)", rows)

    def waiting(self, provider: Provider) -> int:
        """How many events are still to be posted."""
        number: int = self._store.rows("SELECT COUNT(*) FROM outgoing WHERE provider = ?", [provider])[0][0]
        return number
