"""The tables. Times are UTC; rows are numbered as the operator's spreadsheet numbers them.

    process_version 1 ── n batch 1 ─┬ n recipient 1 ─┬ n message
                                    │                ├ n receipt
                                    │                ├ 1 visit          what is known of its link
                                    │                └ 1 submission
                                    ├ n request   1 ─┬ n message
                                    │                └ n lookup
                                    ├ n decision
                                    ├ n address_rows   where an address may stand
                                    └ n untold
    suppression                     stands alone: an address is not written to, whatever the batch
    account 1 ─┬ n sign_in          who may use the screen, the API and the other roads
               ├ n api_key
               └ n approval_code n ── 1 batch
    tries, set_up                   stand alone: wrong passwords and codes, and the way to the first account
    idempotent_call                 stands alone: what a program's call was answered, should it be repeated

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
    links_expire_at: datetime | None = _time()
    """When its links end, in place of what the process says."""
    links_revoked_at: datetime | None = _time()
    """When all its links were ended by a person."""

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


class AddressRows(SQLModel, table=True):
    """The rows of a batch in which an address of this checksum stands; see `domain.finding`."""

    __tablename__ = "address_rows"
    __table_args__ = ({"sqlite_with_rowid": False},)

    batch_id: int = Field(foreign_key="batch.id", primary_key=True)
    bucket: int = Field(primary_key=True)
    rows: str = Field(sa_column=Column(Text, nullable=False))


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


EXCEPTIONAL = "(state = 'failed' OR state = 'in_doubt' OR state = 'unresolved')"
"""Of messages that somebody may have to look at; a query must say it in these words to be quick.

With IN, SQLite puts a set together for each message that it writes: half of the cost of recording what was sent.
"""
RETURNED = "delivery IN ('bounced', 'undelivered', 'dropped', 'failed', 'opted_out')"
"""Of messages that were sent and did not arrive; a query must say it in these words to be quick."""


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
            sqlite_where=text(EXCEPTIONAL),
            postgresql_where=text(EXCEPTIONAL),
        ),
        Index(
            "ix_message_returned",
            "batch_id",
            "row",
            sqlite_where=text(RETURNED),
            postgresql_where=text(RETURNED),
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


class Visit(SQLModel, table=True):
    """What is known of one link; most links have none. Each time is the first, and none is ever taken back."""

    __tablename__ = "visit"
    __table_args__ = ({"sqlite_with_rowid": False},)

    batch_id: int = Field(foreign_key="batch.id", primary_key=True)
    row: int = Field(primary_key=True)
    opened_at: datetime | None = _time()
    """When a person, and no scanner, had it open."""
    started_at: datetime | None = _time()
    completed_at: datetime | None = _time()
    revoked_at: datetime | None = _time()
    tries: int = 0
    """Of the second factor, since the last right one."""
    locked_until: datetime | None = _time()
    """Too many of them were wrong."""


class Submission(SQLModel, table=True):
    """What one recipient sent; its key lets there be only one."""

    __tablename__ = "submission"
    __table_args__ = ({"sqlite_with_rowid": False},)

    batch_id: int = Field(foreign_key="batch.id", primary_key=True)
    row: int = Field(primary_key=True)
    at: datetime = _time(nullable=False)
    answers: dict[str, str | None] | None = Field(default=None, sa_column=Column(JSON))
    """Canonical value by data item; None where the process's own platform has them."""


class SpentCode(SQLModel, table=True):
    """A code that a platform exchanged already; its key lets that happen once."""

    __tablename__ = "spent_code"
    __table_args__ = ({"sqlite_with_rowid": False},)

    code_sha256: str = Field(primary_key=True)
    expires_at: datetime = Field(sa_column=Column(UtcDateTime(), nullable=False, index=True))
    """After this the code is worth nothing anyway, and the line may go."""


class Decision(SQLModel, table=True):
    """One act of a person on a batch; only ever added to."""

    __tablename__ = "decision"

    id: int | None = Field(default=None, primary_key=True)
    batch_id: int = Field(foreign_key="batch.id", index=True)
    act: str
    """approve, reject, archive, correct, pause, resume, settle, revoke links, expire links."""
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


class Untold(SQLModel, table=True):
    """A milestone of a batch that is still to be told of; gone once it was."""

    __tablename__ = "untold"

    id: int | None = Field(default=None, primary_key=True)
    batch_id: int = Field(foreign_key="batch.id")
    milestone: str
    at: datetime = _time(nullable=False)


class Account(SQLModel, table=True):
    """A user: somebody who may sign in. Never deleted, because the history names them."""

    __tablename__ = "account"

    id: int | None = Field(default=None, primary_key=True)
    email: str = Field(unique=True)
    """As people are told apart by it: without spaces around it, in one case."""
    role: str
    password_hash: str | None = None
    """Argon2 with its parameters; None for somebody who signs in elsewhere."""
    created_at: datetime = _time(nullable=False)
    disabled_at: datetime | None = _time()


class SignIn(SQLModel, table=True):
    """A browser in which somebody is signed in."""

    __tablename__ = "sign_in"
    __table_args__ = ({"sqlite_with_rowid": False},)

    token_sha256: str = Field(primary_key=True)
    """Of what the browser holds; it cannot be made from this."""
    account_id: int = Field(foreign_key="account.id", index=True)
    began_at: datetime = _time(nullable=False)
    seen_at: datetime = _time(nullable=False)
    """When it was last used, to within a few minutes."""


class ApiKey(SQLModel, table=True):
    """A program that acts as a user."""

    __tablename__ = "api_key"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    account_id: int = Field(foreign_key="account.id", index=True)
    key_sha256: str = Field(unique=True)
    """Of the key, which is shown once and kept nowhere."""
    created_at: datetime = _time(nullable=False)
    used_at: datetime | None = _time()
    """When it was last used, to within a few minutes."""
    revoked_at: datetime | None = _time()


class ApprovalCode(SQLModel, table=True):
    """A code by which the Prefect UI, which knows no users, learns who decides, or who creates a batch."""

    __tablename__ = "approval_code"
    __table_args__ = ({"sqlite_with_rowid": False},)

    code_hash: str = Field(primary_key=True)
    """Keyed with the installation's secret: a short code could be guessed from a plain hash."""
    batch_id: int | None = Field(default=None, foreign_key="batch.id", index=True)
    """What it decides about; None for one with which a batch is created."""
    revision: int
    account_id: int | None = Field(default=None, foreign_key="account.id", index=True)
    """Whose it is; None for one that somebody guessed, which counts until it expires."""
    expires_at: datetime = _time(nullable=False)
    used_at: datetime | None = _time()


class Tries(SQLModel, table=True):
    """How often something secret was tried, counted from the first try of a stretch of time."""

    __tablename__ = "tries"
    __table_args__ = ({"sqlite_with_rowid": False},)

    what: str = Field(primary_key=True)
    """A keyed hash of the account, the network address or the batch."""
    number: int
    since: datetime = _time(nullable=False)


class SetUp(SQLModel, table=True):
    """The one row that lets the first account be made in a browser; whoever takes it away makes the account."""

    __tablename__ = "set_up"

    id: int = Field(primary_key=True)
    seed: str
    """Random; with the installation's secret it makes the code."""


class IdempotentCall(SQLModel, table=True):
    """A program's call that it may repeat, with the answer that the first one got."""

    __tablename__ = "idempotent_call"
    __table_args__ = ({"sqlite_with_rowid": False},)

    holder: str = Field(primary_key=True)
    """The name of the API key: nobody meets another's calls."""
    key_sha256: str = Field(primary_key=True)
    """Of the Idempotency-Key."""
    fingerprint: str
    """SHA-256 of what is asked."""
    seed: str
    """Random; names what the call makes, in all its tries."""
    begun_at: datetime = _time(nullable=False)
    held_since: datetime | None = _time()
    """When somebody took it in hand who is not done; None for nobody."""
    status: int | None = None
    """Of the answer; None while there is none."""
    body: str | None = Field(default=None, sa_column=Column(Text))
    location: str | None = None


class Upload(SQLModel, table=True):
    """A file that somebody uploaded to the screen: checked before it becomes a batch, forgotten after a day."""

    __tablename__ = "upload"
    __table_args__ = (Index("ix_upload_owner", "owner", "file_sha256"), {"sqlite_with_rowid": False})

    uid: str = Field(primary_key=True)
    """Random; the batch that is made of it takes it over."""
    owner: str
    """Who uploaded it; nobody else sees it."""
    process_key: str
    file_name: str
    file_sha256: str
    file_bytes: int = Field(sa_column=Column(BigInteger, nullable=False))
    upload_key: str
    """Where the bytes are kept."""
    created_at: datetime = Field(sa_column=Column(UtcDateTime(), nullable=False, index=True))
    checked_at: datetime | None = _time()
    """When its check was done; what it found lies beside the bytes."""
    name: str | None = None
    """What the batch shall be called; None until somebody wants it made."""
    refusal: str | None = Field(default=None, sa_column=Column(Text))
    """Why it could not be made."""
    held_by: str | None = None
    """Whoever checks it or makes the batch now …"""
    held_until: datetime | None = _time()
    """… and until when they need not say so again."""


class Pace(SQLModel, table=True):
    """How far the time of a rate limit is taken by those who send."""

    __tablename__ = "pace"
    __table_args__ = ({"sqlite_with_rowid": False},)

    name: str = Field(primary_key=True)
    """The limit's name in Prefect, which keeps how much it allows."""
    free_at: float
    """Seconds since 1970."""
