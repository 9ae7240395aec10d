"""The values that pass between the providers' rules, the store and the pages."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Provider = Literal["sendgrid", "twilio"]
PROVIDERS: tuple[Provider, ...] = ("sendgrid", "twilio")

JsonObject = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Recipient:
    """One address of a request, with all that differs from the other addresses."""

    position: int
    role: str
    address: str
    name: str = ""
    subject: str | None = None
    substitutions: Mapping[str, str] = field(default_factory=dict)
    custom_args: Mapping[str, str] = field(default_factory=dict)
    details: JsonObject = field(default_factory=dict)
    state: str = "received"
    reason: str = ""
    is_received: bool = True
    due_at: float | None = None
    fate: str = ""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request that a provider took into custody: texts once, recipients many.

    `key` is what the provider answers with: the X-Message-Id, or the sid of the SMS.
    """

    provider: Provider
    key: str
    sender: str
    text: str
    recipients: tuple[Recipient, ...]
    at: float
    subject: str = ""
    html: str = ""
    details: JsonObject = field(default_factory=dict)
    batch_id: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """What one recipient received (or would have), with the substitutions applied.

    `due_at` is the real moment at which it leaves the queue, None for at once; `fate` is a word of `fates`.
    """

    id: int
    provider: Provider
    request: str
    position: int
    role: str
    to: str
    to_name: str
    sender: str
    subject: str
    text: str
    html: str
    custom_args: JsonObject
    details: JsonObject
    state: str
    reason: str
    is_received: bool
    at: datetime
    updated_at: datetime
    due_at: float | None = None
    fate: str = ""

    def left_at(self) -> float:
        """The real moment at which it left the queue, or will."""
        return self.at.timestamp() if self.due_at is None else self.due_at


@dataclass(frozen=True, slots=True)
class Search:
    """Which messages to read, newest first. `to` is exact, `contains` any part of an address."""

    provider: str = ""
    to: str = ""
    contains: str = ""
    sender: str = ""
    batch: str = ""
    request: str = ""
    state: str = "all"
    below_id: int | None = None
    accepted_before: float | None = None
    left_from: float | None = None
    left_before: float | None = None
    limit: int = 100
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Suppression:
    """Why an address must not be written to, and since which real moment."""

    reason: str
    created: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider says: status, body and headers, before a fault breaks it."""

    status: int
    body: bytes = b""
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    is_accepted: bool = False
