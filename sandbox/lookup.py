"""Finding emails again, as both of SendGrid's look-ups do: conditions in SQL, statuses from the timeline."""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from sandbox.query import COMPARISONS, Field, Language, Where, operators, translate
from sandbox.records import Message
from sandbox.sendgrid import render
from sandbox.store import Store, select
from sandbox.timeline import EMAIL_STEPS, Happened, email_history

_TEXT = operators(*COMPARISONS, "LIKE", "IN", "IS")
_ORDERED = operators(*COMPARISONS, "BETWEEN")
MESSAGE_ID = "r.key || '.recvd-sandbox-' || printf('%X', m.id) || '.0'"
ACTIVITY = Language(
    {
        "msg_id": Field(MESSAGE_ID, _TEXT),
        "from_email": Field("r.sender", _TEXT),
        "to_email": Field("m.recipient", _TEXT),
        "subject": Field("rendered(COALESCE(m.subject, r.subject), m.substitutions)", _TEXT),
        "status": Field("activity_status(m.state, m.fate, r.at, m.due_at)", _TEXT),
        "template_id": Field("json_extract(r.details, '$.template_id')", _TEXT),
        "asm_group_id": Field("CAST(json_extract(r.details, '$.asm.group_id') AS TEXT)", _TEXT),
        "categories": Field("COALESCE(json_extract(r.details, '$.categories'), '[]')", operators("IN"), "list"),
        "unique_args": Field("m.custom_args", _TEXT, "map"),
        "last_event_time": Field("last_event(m.state, m.fate, r.at, m.due_at, m.updated_at)", _ORDERED, "moment"),
    },
    is_nested=True,
)
LOGS = Language(
    {
        "sg_message_id": Field(MESSAGE_ID, frozenset({"="})),
        "subject": Field("rendered(COALESCE(m.subject, r.subject), m.substitutions)", frozenset({"="})),
        "to_email": Field("m.recipient", frozenset({"="})),
        "status": Field("logs_status(m.state, m.fate, r.at, m.due_at)", frozenset({"IN"})),
        "reason": Field("reason(m.state, m.fate, r.at, m.due_at, m.reason)", frozenset({"="})),
        "categories": Field("COALESCE(json_extract(r.details, '$.categories'), '[]')", frozenset({"IN"}), "list"),
        "sg_message_id_created_at": Field("r.at", frozenset({"<", ">", "<=", ">="}), "moment"),
    },
    is_nested=False,
)
_SETTLED = {"dropped": "dropped", "canceled": "dropped", "scheduled": "processed"}
_ACTIVITY_WORDS = {
    "processed": "processed",
    "deferred": "processed",
    "bounce": "not_delivered",
    "dropped": "not_delivered",
}
_LOGS_WORDS = {"processed": "processed", "deferred": "deferred", "dropped": "dropped"}


def message_id(message: Message) -> str:
    """The id of one recipient's email: it begins with the id of the request. The same in events and look-ups."""
    return f"{message.request}.recvd-sandbox-{message.id:X}.0"


@dataclass(frozen=True, slots=True)
class Moment:
    """When a look-up happens, and how fast time runs."""

    now: float
    time_scale: float

    def history(self, message: Message) -> list[Happened]:
        """What has happened to a message by now."""
        everything = email_history(message, time_scale=self.time_scale)
        return [one for one in everything if one.at <= self.now] or everything[:1]

    def _last(self, fate: str, at: float, due_at: float | None) -> tuple[str, float, Mapping[str, object]]:
        left = at if due_at is None else due_at
        for step in reversed(EMAIL_STEPS[fate]):
            if left + step.after / self.time_scale <= self.now:
                return step.name, left + step.after / self.time_scale, step.fields
        return "processed", at, {}

    def activity_status(self, state: str, fate: str, at: float, due_at: float | None) -> str:
        """The status as Email Activity words it."""
        settled = _SETTLED.get(state)
        name = settled or self._last(fate, at, due_at)[0]
        return _ACTIVITY_WORDS.get(name, "delivered")

    def logs_status(self, state: str, fate: str, at: float, due_at: float | None) -> str:
        """The status as Email Logs words it."""
        if state in _SETTLED:
            return _SETTLED[state]
        name, _at, fields = self._last(fate, at, due_at)
        if name == "bounce":
            return "blocked" if fields["type"] == "blocked" else "bounced"
        return _LOGS_WORDS.get(name, "delivered")

    def reason(self, state: str, fate: str, at: float, due_at: float | None, dropped: str) -> str | None:
        """Why it was dropped, bounced, deferred, or what the server said when it took it."""
        if state in _SETTLED:
            return dropped or None
        fields = self._last(fate, at, due_at)[2]
        found = fields.get("reason") or fields.get("response")
        return str(found) if found else None

    def last_event(self, state: str, fate: str, at: float, due_at: float | None, updated_at: float) -> float:
        """When the last thing happened."""
        if state == "canceled":
            return updated_at
        return at if state in _SETTLED else self._last(fate, at, due_at)[1]


def find(
    store: Store, text: str, language: Language, moment: Moment, *, visible_before: float, limit: int
) -> list[Message]:
    """Emails that meet a query, newest first; raises QueryRefused."""
    where = translate(text, language)
    narrow = _narrowed(where)
    # The plus keeps SQLite from the index of providers, which would not narrow anything.
    sql = f"+m.provider = 'sendgrid' AND r.at <= ? {narrow.sql} AND {where.sql}"
    with store.reading() as db:
        _teach(db, moment)
        return select(db, sql, [visible_before, *narrow.values, *where.values], limit=limit)


def find_one(store: Store, wanted: str, *, visible_before: float) -> Message | None:
    """The email of one message id."""
    key, _, rest = wanted.partition(".")
    with store.reading() as db:
        sql = f"r.key = ? AND m.provider = 'sendgrid' AND r.at <= ? AND {MESSAGE_ID} = ?"
        found = select(db, sql, [key, visible_before, f"{key}.{rest}"], limit=1)
    return found[0] if found else None


def _narrowed(where: Where) -> Where:
    """For one look-up of an id, or of what begins with it, the range of requests that can meet it: it has an index."""
    if where.sql not in {f"{MESSAGE_ID} {operator} ?" for operator in ("=", "LIKE")}:
        return Where("", ())
    start = _prefix(str(where.values[0]), "._%" if "LIKE" in where.sql else ".")
    return Where("AND r.key >= ? AND r.key < ?", (start, f"{start}\U0010ffff"))


def _prefix(text: str, ends: Iterable[str]) -> str:
    return text[: min([text.find(end) for end in ends if end in text], default=len(text))]


def _teach(db: sqlite3.Connection, moment: Moment) -> None:
    db.execute("PRAGMA case_sensitive_like=ON")
    db.create_function("rendered", 2, _rendered, deterministic=True)
    db.create_function("activity_status", 4, moment.activity_status, deterministic=True)
    db.create_function("logs_status", 4, moment.logs_status, deterministic=True)
    db.create_function("reason", 5, moment.reason, deterministic=True)
    db.create_function("last_event", 5, moment.last_event, deterministic=True)


def _rendered(template: str, substitutions: str | None) -> str:
    return render(template, orjson.loads(substitutions)) if substitutions else template


def iso(at: float) -> str:
    """A moment as SendGrid writes it: 2017-10-13T18:56:21Z."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
