"""What providers say of a message after they have taken it, and what all of it together amounts to.

Receipts come late, repeated and in any order, so what is made of them depends on the set alone:
`fold` gives the same for every order. Codes become plain words here; their senders' own texts are
never kept, because they quote addresses.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType


class Kind(StrEnum):
    """One thing that a provider can say of a message, in words that hold for every provider."""

    ACCEPTED = "accepted"
    """It has the message and passes it on."""
    DEFERRED = "deferred"
    """The receiving side asked to come back later, and the provider will."""
    DELIVERED = "delivered"
    """The receiving side took it."""
    BOUNCED = "bounced"
    """The receiving side refused it for good."""
    BLOCKED = "blocked"
    """The receiving side refused it for now, and the provider gave up."""
    DROPPED = "dropped"
    """The provider did not try."""
    UNDELIVERED = "undelivered"
    """It left the provider and did not arrive."""
    FAILED = "failed"
    """It never left the provider."""
    REPORTED = "reported"
    """The person called it spam."""
    OPTED_OUT = "opted_out"
    """The person wants no more."""
    OPTED_IN = "opted_in"
    """The person takes that back."""


class Delivery(StrEnum):
    """How far a message has come after a provider accepted it, in the order in which one overrules another."""

    ACCEPTED = "accepted"
    """The provider passes it on."""
    DEFERRED = "deferred"
    """The provider will try again."""
    FAILED = "failed"
    """It never left the provider."""
    DROPPED = "dropped"
    """The provider did not try."""
    OPTED_OUT = "opted_out"
    """The provider did not try, because the person wants no more."""
    UNDELIVERED = "undelivered"
    """It left and did not arrive."""
    DELIVERED = "delivered"
    """It arrived."""
    BOUNCED = "bounced"
    """It was refused; that can come after it seemed to have arrived."""


WAITING, SILENT = "waiting", "silent"
"""What is said of a message of which nothing final was reported: so far, and when the wait is over."""


class Lasting(StrEnum):
    """Whom a reason is about, and whether it will pass."""

    PERMANENT = "permanent"
    """Of this address, for good."""
    TEMPORARY = "temporary"
    """Of this address, at that moment."""
    ACCOUNT = "our account"
    """Of the sender: it would be the same for every other address."""


@dataclass(frozen=True, slots=True)
class Saying:
    """One thing said of one message.

    Attributes:
        event_id: the provider's own id of it; a repeated one says nothing new.
        kind: what it says.
        provider_id: the provider's id of what it accepted; empty where it does not say.
        code: a word of the tables below, or SMTP's enhanced status; never a text of the receiving side.
        at: when it happened.
    """

    event_id: str
    kind: Kind
    provider_id: str
    code: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Receipt:
    """A saying, and the message that it is about.

    Attributes:
        batch: the batch's random id.
        request: the request as it was labelled when it was made.
        row: the recipient; None where the request has only one.
        channel: email or sms.
        said: what is said.
    """

    batch: str
    request: int
    row: int | None
    channel: str
    said: Saying


@dataclass(frozen=True, slots=True)
class Fate:
    """What all receipts of one message amount to.

    Attributes:
        delivery: how far it has come; None while nothing was said.
        at: when it came that far.
        detail: why, for people.
        duplicate: the provider has two messages where we know of one.
    """

    delivery: Delivery | None = None
    at: datetime | None = None
    detail: str | None = None
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Reason:
    """A code in plain words."""

    words: str
    lasting: Lasting


_PERMANENT, _TEMPORARY, _ACCOUNT = Lasting.PERMANENT, Lasting.TEMPORARY, Lasting.ACCOUNT

STATUSES: Mapping[str, str] = MappingProxyType(
    {
        "1.0": "the address is refused",
        "1.1": "there is no such mailbox",
        "1.2": "the domain of the address does not exist",
        "1.3": "the address is not valid",
        "1.4": "the address is ambiguous",
        "1.6": "the mailbox has moved",
        "1.8": "the sender's domain is not accepted",
        "1.10": "the domain takes no email",
        "2.0": "the mailbox is refused",
        "2.1": "the mailbox is closed",
        "2.2": "the mailbox is full",
        "2.3": "the message is too long for the mailbox",
        "3.0": "the mail server has a problem",
        "3.1": "the mail server is full",
        "3.2": "the mail server takes no email at present",
        "3.4": "the message is too long for the mail server",
        "4.1": "the mail server does not answer",
        "4.2": "the connection to the mail server broke",
        "4.3": "the mail server could not be found",
        "4.4": "there is no way to the mail server",
        "4.5": "the mail server is overloaded",
        "4.6": "the mail servers pass it round in a circle",
        "4.7": "it could not be delivered in time",
        "6.0": "the content is refused",
        "7.0": "the mail server refuses it by its rules",
        "7.1": "the mail server refuses it by its rules",
        "7.20": "the sender's signature is missing or wrong",
        "7.23": "the sender's domain does not permit this",
        "7.25": "the sending server has no name",
        "7.26": "the sender could not be authenticated",
    }
)
"""Subject and detail of SMTP's enhanced status (RFC 3463 and its registry)."""

SUBJECTS: Mapping[str, str] = MappingProxyType(
    {
        "0": "the mail server refused it",
        "1": "the address is refused",
        "2": "the mailbox does not take it",
        "3": "the mail server has a problem",
        "4": "the mail server could not be reached",
        "5": "the mail server did not understand it",
        "6": "the content is refused",
        "7": "the mail server refuses it by its rules",
    }
)
"""The same by subject alone, for details that are not listed."""

EMAIL_REASONS: Mapping[str, Reason] = MappingProxyType(
    {
        "invalid_address": Reason("there is no such address", _PERMANENT),
        "mailbox_unavailable": Reason("the mailbox is closed or full", _TEMPORARY),
        "reputation": Reason("the mail server does not trust the sender", _TEMPORARY),
        "content": Reason("the mail server refuses the content", _TEMPORARY),
        "volume": Reason("the mail server gets too many emails from this sender", _TEMPORARY),
        "technical": Reason("the mail server has a problem", _TEMPORARY),
        "bounced_before": Reason("the address bounced before", _PERMANENT),
        "reported_before": Reason("the person reported an earlier email as spam", _PERMANENT),
        "unsubscribed": Reason("the person has opted out", _PERMANENT),
        "invalid": Reason("the provider finds the address not valid", _PERMANENT),
        "repeated": Reason("the provider took it for a repetition", _TEMPORARY),
        "spam_content": Reason("the provider takes the content for spam", _ACCOUNT),
        "quota": Reason("the provider's quota is used up", _ACCOUNT),
        "malformed": Reason("the provider finds the request wrong", _ACCOUNT),
    }
)
"""Classes of bounces, and reasons of drops."""

SMS_REASONS: Mapping[str, Reason] = MappingProxyType(
    {
        "21610": Reason("the person has opted out", _PERMANENT),
        "30001": Reason("the provider's queue was too long", _TEMPORARY),
        "30002": Reason("the provider's account is suspended", _ACCOUNT),
        "30003": Reason("the phone could not be reached", _TEMPORARY),
        "30004": Reason("the number or its carrier blocks it", _PERMANENT),
        "30005": Reason("the number is not in use", _PERMANENT),
        "30006": Reason("the number is a landline or its carrier takes no SMS", _PERMANENT),
        "30007": Reason("the carrier took it for spam", _ACCOUNT),
        "30008": Reason("the carrier does not say why", _TEMPORARY),
        "30032": Reason("the sender is not registered yet", _ACCOUNT),
        "30033": Reason("the sender's campaign is suspended", _ACCOUNT),
        "30034": Reason("the sender is not registered", _ACCOUNT),
        "30036": Reason("it could not be sent in time", _TEMPORARY),
        "30500": Reason("the provider had a problem", _TEMPORARY),
        "63017": Reason("the provider's limit of messages a second was reached", _TEMPORARY),
        "cancelled": Reason("it was cancelled at the provider", _TEMPORARY),
    }
)
"""ErrorCodes of messages that Twilio had accepted; what is not listed may pass, and is not sent again by itself."""

OPTED_OUT_CODES = frozenset({"unsubscribed", "21610"})

_UNKNOWN: Mapping[Kind, Reason] = MappingProxyType(
    {
        Kind.DEFERRED: Reason("the mail server asked to come back later", _TEMPORARY),
        Kind.BOUNCED: Reason("the mail server refused it", _PERMANENT),
        Kind.BLOCKED: Reason("the mail server refused it", _TEMPORARY),
        Kind.DROPPED: Reason("the provider did not try", _TEMPORARY),
        Kind.UNDELIVERED: Reason("it did not arrive", _TEMPORARY),
        Kind.FAILED: Reason("the provider could not send it", _TEMPORARY),
    }
)
_AFTERWARDS: Mapping[Kind, str] = MappingProxyType(
    {Kind.REPORTED: "The person reported it as spam.", Kind.OPTED_OUT: "The person opted out afterwards."}
)

# Who reports an email as spam, or opts out by it, has it: each of these also says that it arrived.
_DELIVERY: Mapping[Kind, Delivery] = MappingProxyType(
    {
        Kind.ACCEPTED: Delivery.ACCEPTED,
        Kind.DEFERRED: Delivery.DEFERRED,
        Kind.FAILED: Delivery.FAILED,
        Kind.DROPPED: Delivery.DROPPED,
        Kind.UNDELIVERED: Delivery.UNDELIVERED,
        Kind.OPTED_IN: Delivery.DELIVERED,
        Kind.OPTED_OUT: Delivery.DELIVERED,
        Kind.REPORTED: Delivery.DELIVERED,
        Kind.DELIVERED: Delivery.DELIVERED,
        Kind.BLOCKED: Delivery.BOUNCED,
        Kind.BOUNCED: Delivery.BOUNCED,
    }
)
_RANK = {kind: rank for rank, kind in enumerate(_DELIVERY)}
_STEP = {delivery: step for step, delivery in enumerate(Delivery)}


def fold(sayings: Collection[Saying]) -> Fate:
    """What the receipts of one message amount to, whatever their order and however often each came.

    The one that has come furthest speaks: a state never goes back to one before it.
    """
    if not sayings:
        return Fate()
    last = max(sayings, key=_weight)
    kinds = {saying.kind for saying in sayings}
    afterwards = [words for kind, words in _AFTERWARDS.items() if kind in kinds]
    detail = " ".join([*filter(None, [reason(last)]), *afterwards])
    return Fate(delivery_of(last), last.at, detail or None, duplicate=is_duplicated(sayings))


def is_duplicated(sayings: Collection[Saying]) -> bool:
    """Whether they speak of two messages at the provider where we know of one."""
    return len({saying.provider_id for saying in sayings} - {""}) > 1


def delivery_of(saying: Saying) -> Delivery:
    """How far one saying alone would bring a message."""
    is_undone = _DELIVERY[saying.kind] in {Delivery.DROPPED, Delivery.FAILED, Delivery.UNDELIVERED}
    return Delivery.OPTED_OUT if is_undone and saying.code in OPTED_OUT_CODES else _DELIVERY[saying.kind]


def _weight(saying: Saying) -> tuple[int, int, datetime, str, str]:
    return _STEP[delivery_of(saying)], _RANK[saying.kind], saying.at, saying.code or "", saying.event_id


def reason(saying: Saying) -> str | None:
    """Why, as a sentence; None where nothing went wrong."""
    unknown = _UNKNOWN.get(saying.kind)
    if unknown is None:
        return None
    code = saying.code or ""
    known = EMAIL_REASONS.get(code) or SMS_REASONS.get(code)
    words = known.words if known else _of_status(code) or unknown.words
    lasting = known.lasting if known else unknown.lasting
    if saying.kind in {Kind.BOUNCED, Kind.BLOCKED}:
        lasting = unknown.lasting
    sentence = words[0].upper() + words[1:]
    shown = [code] if code[:1].isdigit() else []
    if saying.kind is Kind.DEFERRED:
        return f"{sentence}{f' ({code})' if shown else ''}; it is tried again."
    return f"{sentence} ({', '.join([*shown, lasting])})."


def _of_status(code: str) -> str | None:
    """The words of an enhanced status, such as 5.1.1."""
    _, _, detail = code.partition(".")
    return STATUSES.get(detail) or (SUBJECTS.get(detail.partition(".")[0]) if detail else None)
