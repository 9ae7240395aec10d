"""What was accepted and who received it, in one SQLite file; written before the answer, read for display."""

import sqlite3
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from sandbox.fates import SMS_FAILED
from sandbox.records import PROVIDERS, Accepted, JsonObject, Message, Provider, Recipient, Search, Suppression
from sandbox.sendgrid import render

_SCHEMA = """
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY, provider TEXT NOT NULL, key TEXT NOT NULL UNIQUE, sender TEXT NOT NULL,
    subject TEXT NOT NULL, text TEXT NOT NULL, html TEXT NOT NULL, details TEXT NOT NULL, at REAL NOT NULL,
    batch_id TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY, request_id INTEGER NOT NULL REFERENCES requests, provider TEXT NOT NULL,
    position INTEGER NOT NULL, role TEXT NOT NULL, recipient TEXT NOT NULL COLLATE NOCASE, name TEXT NOT NULL,
    subject TEXT, substitutions TEXT, custom_args TEXT, details TEXT, batch TEXT,
    state TEXT NOT NULL, reason TEXT NOT NULL, is_received INTEGER NOT NULL, updated_at REAL NOT NULL,
    due_at REAL, fate TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX IF NOT EXISTS messages_by_recipient ON messages (recipient);
CREATE INDEX IF NOT EXISTS messages_by_provider ON messages (provider);
CREATE INDEX IF NOT EXISTS messages_by_request ON messages (request_id);
CREATE INDEX IF NOT EXISTS messages_by_batch ON messages (batch) WHERE batch IS NOT NULL;
CREATE TABLE IF NOT EXISTS counts (
    provider TEXT PRIMARY KEY, requests INTEGER NOT NULL DEFAULT 0, accepted INTEGER NOT NULL DEFAULT 0,
    messages INTEGER NOT NULL DEFAULT 0, dropped INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS suppressions (
    provider TEXT NOT NULL, address TEXT NOT NULL, reason TEXT NOT NULL, created REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (provider, address)
) STRICT;
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS announcements (id INTEGER PRIMARY KEY, request_id INTEGER, message_id INTEGER) STRICT;
"""
# Files of an earlier version lack these; the indices come after them.
_COLUMNS = (
    ("requests", "batch_id", "TEXT"),
    ("messages", "due_at", "REAL"),
    ("messages", "fate", "TEXT NOT NULL DEFAULT ''"),
    ("suppressions", "created", "REAL NOT NULL DEFAULT 0"),
)
_INDICES = """
CREATE INDEX IF NOT EXISTS messages_that_wait ON messages (due_at) WHERE state = 'scheduled';
CREATE INDEX IF NOT EXISTS requests_by_batch_id ON requests (batch_id) WHERE batch_id IS NOT NULL;
"""
_INSERT_REQUEST = (
    "INSERT INTO requests (provider, key, sender, subject, text, html, details, at, batch_id) "
    "VALUES (?,?,?,?,?,?,?,?,?)"
)
_INSERT_MESSAGE = (
    "INSERT INTO messages (request_id, provider, position, role, recipient, name, subject, substitutions, "
    "custom_args, details, batch, state, reason, is_received, updated_at, due_at, fate) "
    "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
)
_SELECT = (
    "SELECT m.id, m.provider, r.key, m.position, m.role, m.recipient, m.name, r.sender, r.subject AS subject_template, "
    "m.subject, r.text, r.html, m.substitutions, m.custom_args, r.details AS request_details, m.details, m.state, "
    "m.reason, m.is_received, r.at, m.updated_at, m.due_at, m.fate FROM messages m "
    "JOIN requests r ON r.id = m.request_id"
)
# As a subquery it reads only the narrow index of addresses: a tenth of the time on a full outbox.
_CONTAINS = "m.id IN (SELECT id FROM messages WHERE recipient LIKE ? ESCAPE '\\')"
_FAILED = tuple(sorted(SMS_FAILED))  # as Python writes it, it is SQL too


class Store:
    """One writing connection, used on the event loop only; readers open their own."""

    def __init__(self, path: Path) -> None:
        """Open or create the file at `path`."""
        self._path = path
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "wal_autocheckpoint=8000", "busy_timeout=5000"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(_SCHEMA)
        for table, column, kind in _COLUMNS:
            if column not in {row[1] for row in self._db.execute(f"PRAGMA table_info({table})")}:
                self._db.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
        self._db.executescript(_INDICES)
        self._db.executemany("INSERT OR IGNORE INTO counts (provider) VALUES (?)", [(one,) for one in PROVIDERS])

    def close(self) -> None:
        """Fold the log into the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Generator[sqlite3.Connection, None, None]:
        """The writing connection; all or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Read on the event loop."""
        return self._db.execute(sql, values).fetchall()

    def accept(self, request: Accepted, *, is_announced: bool = False) -> None:
        """Record a request and its recipients in one commit; only then may it be answered.

        An announced request has its events made later, also after a restart.
        """
        details = _json(request.details) or "{}"
        first = (request.provider, request.key, request.sender, request.subject, request.text, request.html)
        received = sum(one.is_received for one in request.recipients)
        dropped = sum(one.state == "dropped" for one in request.recipients)
        with self.transaction() as db:
            request_id = db.execute(_INSERT_REQUEST, (*first, details, request.at, request.batch_id)).lastrowid
            db.executemany(_INSERT_MESSAGE, (_row(request_id, request, one) for one in request.recipients))
            db.execute(
                "UPDATE counts SET requests = requests + 1, accepted = accepted + 1, messages = messages + ?, "
                "dropped = dropped + ? WHERE provider = ?",
                (received, dropped, request.provider),
            )
            if is_announced:
                db.execute("INSERT INTO announcements (request_id) VALUES (?)", (request_id,))

    def count_refused(self, provider: Provider) -> None:
        """Count a request that was not accepted."""
        self._db.execute("UPDATE counts SET requests = requests + 1 WHERE provider = ?", (provider,))

    def cancel(self, message: Message, *, at: float) -> bool:
        """Cancel a message that waits; True for the one call that did it."""
        with self.transaction() as db:
            changed = db.execute(
                "UPDATE messages SET state = 'canceled', is_received = 0, updated_at = ? "
                "WHERE id = ? AND state IN ('queued', 'accepted', 'scheduled')",
                (at, message.id),
            ).rowcount
            if changed and message.is_received:
                db.execute("UPDATE counts SET messages = messages - 1 WHERE provider = ?", (message.provider,))
        return bool(changed)

    def clear(self) -> None:
        """Forget all requests, messages and counts; settings, suppressions and faults stay."""
        with self.transaction() as db:
            for table in ("messages", "requests", "announcements"):
                db.execute(f"DELETE FROM {table}")  # noqa: S608 - the names stand just above
            db.execute("UPDATE counts SET requests = 0, accepted = 0, messages = 0, dropped = 0")

    def counts(self) -> dict[str, dict[str, int]]:
        """Requests, accepted requests, received and dropped messages of each provider."""
        rows = self._db.execute("SELECT provider, requests, accepted, messages, dropped FROM counts ORDER BY provider")
        return {
            provider: {"requests": requests, "accepted": accepted, "messages": messages, "dropped": dropped}
            for provider, requests, accepted, messages, dropped in rows
        }

    def search(self, search: Search) -> list[Message]:
        """Messages that match, newest first, rendered. Opens its own connection: safe in any thread."""
        where, values = _conditions(search)
        with self.reading() as db:
            return select(db, where, values, limit=search.limit, offset=search.offset)

    def message(self, message_id: int) -> Message | None:
        """One message, rendered."""
        with self.reading() as db:
            return next(iter(select(db, "m.id = ?", [message_id], limit=1)), None)

    def size(self, key: str) -> int:
        """How many recipients a request has. Opens its own connection: safe in any thread."""
        sql = "SELECT COUNT(*) FROM messages m JOIN requests r ON r.id = m.request_id WHERE r.key = ?"
        with self.reading() as db:
            count: int = db.execute(sql, [key]).fetchone()[0]
        return count

    @contextmanager
    def reading(self) -> Generator[sqlite3.Connection, None, None]:
        """A connection of one's own that cannot write: safe in any thread."""
        with closing(sqlite3.connect(self._path, timeout=5)) as db:
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA query_only=ON")
            yield db

    def suppressions(self) -> dict[Provider, dict[str, Suppression]]:
        """Suppressed addresses and numbers of each provider, with their reason."""
        found: dict[Provider, dict[str, Suppression]] = {provider: {} for provider in PROVIDERS}
        rows = self._db.execute("SELECT provider, address, reason, created FROM suppressions")
        for provider, address, reason, created in rows:
            found[provider][address] = Suppression(reason, created)
        return found

    def set_suppressions(self, suppressions: Mapping[Provider, Mapping[str, Suppression]]) -> None:
        """Replace the lists of both providers."""
        rows = [
            (provider, address, one.reason, one.created)
            for provider, addresses in suppressions.items()
            for address, one in addresses.items()
        ]
        with self.transaction() as db:
            db.execute("DELETE FROM suppressions")
            db.executemany("INSERT INTO suppressions VALUES (?, ?, ?, ?)", rows)

    def add_suppressions(self, provider: Provider, suppressions: Mapping[str, Suppression]) -> None:
        """Add to the list of one provider."""
        rows = [(provider, address, one.reason, one.created) for address, one in suppressions.items()]
        with self.transaction() as db:
            db.executemany("INSERT OR REPLACE INTO suppressions VALUES (?, ?, ?, ?)", rows)

    def remove_suppressions(self, provider: Provider, addresses: Iterable[str]) -> None:
        """Take off the list of one provider."""
        with self.transaction() as db:
            rows = [(provider, address) for address in addresses]
            db.executemany("DELETE FROM suppressions WHERE provider = ? AND address = ?", rows)

    def setting(self, name: str) -> object:
        """A setting's JSON value; None when it was never set."""
        row = self._db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        value: object = orjson.loads(row[0]) if row else None
        return value

    def set_setting(self, name: str, value: object) -> None:
        """Keep a setting over a restart."""
        text = orjson.dumps(value).decode()
        self._db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, text))


def _json(value: JsonObject) -> str | None:
    return orjson.dumps(value).decode() if value else None


def _row(request_id: int | None, request: Accepted, one: Recipient) -> tuple[object, ...]:
    batch = one.custom_args.get("bs_batch") or one.custom_args.get("batch")
    fixed = (request_id, request.provider, one.position, one.role, one.address, one.name, one.subject)
    texts = (_json(one.substitutions), _json(one.custom_args), _json(one.details), batch)
    return (*fixed, *texts, one.state, one.reason, int(one.is_received), request.at, one.due_at, one.fate)


def select(
    db: sqlite3.Connection, where: str, values: Sequence[object], *, limit: int, offset: int = 0
) -> list[Message]:
    """Messages, newest first, rendered; `where` is made of this package's own words, every value is bound."""
    sql = f"{_SELECT}{' WHERE ' if where else ''}{where} ORDER BY m.id DESC LIMIT ? OFFSET ?"
    return [_message(row) for row in db.execute(sql, (*values, limit, offset))]


def _conditions(search: Search) -> tuple[str, list[object]]:
    pattern = search.contains.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    table: Iterable[tuple[str, object]] = (
        ("m.provider = ?", search.provider or None),
        ("m.recipient = ?", search.to or None),
        (_CONTAINS, f"%{pattern}%" if pattern else None),
        ("r.sender = ?", search.sender or None),
        ("m.batch = ?", search.batch or None),
        ("r.key = ?", search.request or None),
        ("m.is_received = ?", 1 if search.state == "received" else None),
        ("m.state = ?", search.state if search.state not in {"all", "received", "sent"} else None),
        (f"m.state IN ('queued', 'accepted') AND m.fate NOT IN {_FAILED} AND ?", 1 if search.state == "sent" else None),
        ("m.id < ?", search.below_id),
        ("r.at < ?", search.accepted_before),
        ("COALESCE(m.due_at, r.at) >= ?", search.left_from),
        ("COALESCE(m.due_at, r.at) < ?", search.left_before),
    )
    given = [(clause, value) for clause, value in table if value is not None]
    where = " AND ".join(clause for clause, _ in given)
    return where, [value for _, value in given]


def _message(row: sqlite3.Row) -> Message:
    substitutions = orjson.loads(row["substitutions"] or "{}")
    request_details = orjson.loads(row["request_details"])
    subject = row["subject"] if row["subject"] is not None else row["subject_template"]
    return Message(
        id=row["id"],
        provider=row["provider"],
        request=row["key"],
        position=row["position"],
        role=row["role"],
        to=row["recipient"],
        to_name=row["name"],
        sender=row["sender"],
        subject=render(subject, substitutions),
        text=render(row["text"], substitutions),
        html=render(row["html"], substitutions),
        custom_args=orjson.loads(row["custom_args"] or "{}"),
        details={**request_details, **orjson.loads(row["details"] or "{}")},
        state=row["state"],
        reason=row["reason"],
        is_received=bool(row["is_received"]),
        at=datetime.fromtimestamp(row["at"], UTC),
        updated_at=datetime.fromtimestamp(row["updated_at"], UTC),
        due_at=row["due_at"],
        fate=row["fate"],
    )
