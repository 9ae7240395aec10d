"""The tables. Times are UTC; rows are numbered as the operator's spreadsheet numbers them.

    process_version 1 ── n batch 1 ─┬ n recipient 1 ─┬ n message
                                    │                └ n receipt
                                    ├ n request   1 ─┬ n message
                                    │                └ n lookup
                                    └ n decision
    suppression                     stands alone: an address is not written to, whatever the batch

A batch's requests and messages are keyed by small numbers inside the batch, in the
order of sending, so that a million of them are written and read in sequence.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Dialect,
    ForeignKeyConstraint,
    Index,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

from domain.states import MessageState, Phase, RequestState, Status


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time, always UTC; SQLite keeps it without its zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC; without a zone for SQLite, which knows none."""
        if value is None:
            return None
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """As an aware UTC time."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _time(*, nullable: bool = True) -> Any:  # noqa: ANN401  SQLModel's Field is typed Any
    return Field(default=None, sa_column=Column(UtcDateTime(), nullable=nullable))


class ProcessVersion(SQLModel, table=True):
    """One immutable version of a process definition."""

    __tablename__ = "process_version"
    __table_args__ = (UniqueConstraint("key", "version"),)

    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(index=True)
    version: int
    name: str
    definition: str = Field(sa_column=Column(Text, nullable=False))
    """The definition as canonical JSON."""
    sha256: str
    """Of `definition`: the same content is the same version."""
    created_at: datetime = _time(nullable=False)
    deployed_at: datetime | None = _time()
    """When it went to production; None while it is a draft."""


class Batch(SQLModel, table=True):
    """One uploaded file for one process version, and how far it has come."""

    __tablename__ = "batch"

    id: int | None = Field(default=None, primary_key=True)
    uid: str = Field(unique=True)
    """Random; names the batch to providers and in storage, where `id` would be guessed or repeated."""
    process_version_id: int = Field(foreign_key="process_version.id", index=True)
    name: str = Field(index=True)
    sender: str
    """The Sender Email: who created the batch."""
    created_at: datetime = _time(nullable=False)
    status: str = Status.PENDING_APPROVAL.value
    phase: str = Field(default=Phase.CHECKING.value, index=True)
    reason: str | None = Field(default=None, sa_column=Column(Text))
    """Why it is paused or failed, for people."""
    archived_at: datetime | None = _time()
    phase_at: datetime | None = _time()
    """When it entered its phase."""
    flow_run_id: str | None = None

    file_name: str
    file_sha256: str
    content_sha256: str | None = Field(default=None, index=True)
    """Of the judged values, whatever file they came in."""
    revision: int = 0
    """How often rows were corrected."""
    file_bytes: int = Field(sa_column=Column(BigInteger, nullable=False))
    upload_key: str
    """Where the original bytes are kept."""
    rows_key: str | None = None
    """Where the file's rows are kept as Parquet, once they were read."""
    recipients_key: str | None = None
    """Where the judged recipients are kept as Parquet, once they were judged."""
    problems_key: str | None = None
    result_key: str | None = None
    layout: str | None = Field(default=None, sa_column=Column(Text))
    """How the file was written, to write the result the same way."""
    link_print: str | None = None
    """Fingerprint of the secret and address behind the links, frozen at approval."""

    row_count: int = 0
    valid: int = 0
    invalid: int = 0
    warnings: int = 0
    problems: list[dict[str, Any]] | None = Field(default=None, sa_column=Column(JSON))
    """Kinds of problems with counts and first rows."""
    sent: int = 0
    """Recipients with at least one link accepted by a provider."""
    request_count: int = 0
    """Requests numbered so far; the next one's number."""
    duplicates: int = 0
    """Recipients of whom a provider reported two messages for one of ours."""


class Recipient(SQLModel, table=True):
    """One row of the file; its values stay in the Parquet file, out of the database."""

    __tablename__ = "recipient"
    __table_args__ = ({"sqlite_with_rowid": False},)

    batch_id: int = Field(foreign_key="batch.id", primary_key=True)
    row: int = Field(primary_key=True)
    valid: bool
    email: str | None = None
    """Normalised; None where nothing will be sent."""
    phone: str | None = None
    """E.164; None where nothing will be sent."""
    sent_at: datetime | None = _time()
    """When the first of its links was accepted."""


OPEN = "state IN ('intent', 'in_doubt', 'unresolved')"
"""Of requests of which it is not known what became of them; a query must say it in these words to be quick."""


class Request(SQLModel, table=True):
    """One HTTP call to a provider, frozen in its members and its content."""

    __tablename__ = "request"
    __table_args__ = (
        Index("ix_request_chunk", "batch_id", "chunk", "state"),
        Index("ix_request_open", "batch_id", "state", sqlite_where=text(OPEN), postgresql_where=text(OPEN)),
        # Few requests replace others, and each receipt asks whether one replaces its own.
        Index(
            "ix_request_parent",
            "batch_id",
            "parent",
            sqlite_where=text("parent IS NOT NULL"),
            postgresql_where=text("parent IS NOT NULL"),
        ),
        Index(
            "ix_request_claim",
            "claim",
            sqlite_where=text("claim IS NOT NULL"),
            postgresql_where=text("claim IS NOT NULL"),
        ),
        {"sqlite_with_rowid": False},
    )

    batch_id: int = Field(foreign_key="batch.id", primary_key=True)
    number: int = Field(primary_key=True)
    chunk: int
    channel: str
    size: int
    state: str = RequestState.NEW.value
    attempt: int = 0
    """How often it was claimed."""
    claim: str | None = None
    """Fencing token of the worker that holds it; only its holder may record an answer."""
    lease_until: datetime | None = _time()
    not_before: datetime | None = _time()
    """The provider asked to wait until then."""
    parent: int | None = None
    """The request that this one replaces a part of."""
    content_sha256: str | None = None
    """Of the bytes of the first attempt; a later one must have the same."""
    asked_at: datetime | None = _time()
    answered_at: datetime | None = _time()
    provider_id: str | None = Field(default=None, index=True)
    """SendGrid's X-Message-Id or Twilio's sid."""
    http_status: int | None = None
    code: str | None = None
    detail: str | None = None


class Message(SQLModel, table=True):
    """One rendered email or SMS for one recipient, at its place in its request."""

    __tablename__ = "message"
    __table_args__ = (
        ForeignKeyConstraint(["batch_id", "request"], ["request.batch_id", "request.number"]),
        Index("ix_message_row", "batch_id", "row"),
        Index(
            "ix_message_exception",
            "batch_id",
            "state",
            "row",
            sqlite_where=text("state IN ('failed', 'in_doubt', 'unresolved')"),
            postgresql_where=text("state IN ('failed', 'in_doubt', 'unresolved')"),
        ),
        {"sqlite_with_rowid": False},
    )

    batch_id: int = Field(primary_key=True)
    request: int = Field(primary_key=True)
    position: int = Field(primary_key=True)
    """Place in the request: index of the personalization."""
    row: int
    channel: str
    state: str = MessageState.PENDING.value
    sent_at: datetime | None = _time()
    detail: str | None = None
    delivery: str | None = None
    """What the provider reported of it so far."""
    delivery_at: datetime | None = _time()
    delivery_detail: str | None = None
    """Why, in plain words."""


class Receipt(SQLModel, table=True):
    """What a provider said of one message after it had taken it; only ever added to.

    The key holds the provider's own id of the saying, so that a repeated one is written once,
    and keeps all that is known of one message together.
    """

    __tablename__ = "receipt"
    __table_args__ = ({"sqlite_with_rowid": False},)

    batch_id: int = Field(foreign_key="batch.id", primary_key=True)
    row: int = Field(primary_key=True)
    channel: str = Field(primary_key=True)
    event_id: str = Field(primary_key=True)
    request: int
    """The request that the provider names, which may have been replaced since."""
    kind: str
    provider_id: str
    """SendGrid's X-Message-Id or Twilio's sid, of the message that it speaks of."""
    code: str | None = None
    """SMTP's enhanced status, the reason of a drop, or Twilio's ErrorCode."""
    at: datetime = _time(nullable=False)
    """When it happened, by the provider's clock."""
    received_at: datetime = _time(nullable=False)


class Lookup(SQLModel, table=True):
    """One question to a provider whether it has a request; only ever added to."""

    __tablename__ = "lookup"
    __table_args__ = (
        ForeignKeyConstraint(["batch_id", "request"], ["request.batch_id", "request.number"]),
        Index("ix_lookup_request", "batch_id", "request"),
        # The newest request that a provider showed us: what was sent before it would be seen too.
        Index("ix_lookup_seen", "source", "asked_at", sqlite_where=text("found"), postgresql_where=text("found")),
    )

    id: int | None = Field(default=None, primary_key=True)
    batch_id: int
    request: int
    source: str
    """Which list of the provider was read."""
    at: datetime = _time(nullable=False)
    found: bool | None = None
    """None where the provider did not answer the question."""
    provider_id: str | None = None
    detail: str | None = None
    asked_at: datetime | None = _time()
    """When the request itself was made."""


class Suppression(SQLModel, table=True):
    """One reason not to write to an address, and where we know it from.

    It holds if `at` is not before `ended_at`. Both only ever move forward, so that receipts may
    come in any order.
    """

    __tablename__ = "suppression"
    __table_args__ = ({"sqlite_with_rowid": False},)

    channel: str = Field(primary_key=True)
    address: str = Field(primary_key=True)
    """Normalised as recipients' addresses are, in lower case."""
    kind: str = Field(primary_key=True)
    """bounced, reported as spam, opted out, or entered by a person."""
    at: datetime | None = _time()
    """When it was last brought about; None while only its end is known."""
    batch_id: int | None = Field(default=None, foreign_key="batch.id")
    row: int | None = None
    """The recipient whose message brought it about."""
    by: str | None = None
    """Who entered it."""
    ended_at: datetime | None = _time()
    """When it last ended: the person opted in again, or somebody took it off the list."""
    ended_by: str | None = None
    """Who took it off the list."""


class Decision(SQLModel, table=True):
    """One act of a person on a batch; only ever added to."""

    __tablename__ = "decision"

    id: int | None = Field(default=None, primary_key=True)
    batch_id: int = Field(foreign_key="batch.id", index=True)
    act: str
    """approve, reject, archive, correct, pause, resume, settle."""
    by: str
    comment: str = ""
    via: str
    """Where it was decided: command line, Prefect UI."""
    at: datetime = _time(nullable=False)
    file_sha256: str
    """What was decided about: the file …"""
    process_version_id: int = Field(foreign_key="process_version.id")
    """… the process version …"""
    revision: int = 0
    """… and the corrections as they were."""
