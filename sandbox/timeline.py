"""What happens to an accepted message, step by step: the one source of statuses, look-ups, events and callbacks."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sandbox.fates import SILENT, SMS_FAILED
from sandbox.records import JsonObject, Message

_OK = "250 2.0.0 OK  1755119505 sandbox - nothing was really sent"
_REFUSED = "550 5.1.1 The email account that you tried to reach does not exist."
_LATER = "421 4.7.0 Try again later"
_BLOCKED = "554 5.7.1 Service unavailable; the sending host is blocked"
POOL_SENDER = "+15005550006"
"""The number that every messaging service chooses."""
USERAGENT = "Mozilla/5.0 (sandbox)"
_BROWSER = {"useragent": USERAGENT, "ip": "127.0.0.1"}


@dataclass(frozen=True, slots=True)
class Step:
    """One step, `after` so many of the provider's seconds from the moment the message left the queue."""

    name: str
    after: float
    fields: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Happened:
    """One step of one message, at a real moment."""

    name: str
    at: float
    fields: JsonObject = field(default_factory=dict)


PROCESSED = Step("processed", 0)
_DELIVERED = Step("delivered", 2, {"response": _OK, "ip": "127.0.0.1", "tls": 1})
_OPEN = Step("open", 60, {**_BROWSER, "sg_content_type": "html"})
_CLICK = Step("click", 90, {**_BROWSER, "url": "https://sandbox.example/", "url_offset": {"index": 0, "type": "html"}})
_HARD = {"type": "bounce", "reason": _REFUSED, "status": "5.1.1", "bounce_classification": "Invalid Address"}
_SOFT = {"type": "blocked", "reason": _BLOCKED, "status": "5.7.1", "bounce_classification": "Reputation"}
EMAIL_STEPS: Mapping[str, tuple[Step, ...]] = {
    "": (_DELIVERED,),
    "bounce": (Step("bounce", 2, _HARD),),
    "block": (Step("bounce", 2, _SOFT),),
    "latebounce": (_DELIVERED, Step("bounce", 600, _HARD)),
    "drop": (Step("dropped", 0, {"reason": "Invalid"}),),
    "defer": (
        Step("deferred", 2, {"response": _LATER, "attempt": "1"}),
        Step("deferred", 60, {"response": _LATER, "attempt": "2"}),
        Step("delivered", 300, _DELIVERED.fields),
    ),
    "spam": (_DELIVERED, Step("spamreport", 300)),
    "unsubscribe": (_DELIVERED, Step("unsubscribe", 300)),
    "open": (_DELIVERED, _OPEN),
    "click": (_DELIVERED, _OPEN, _CLICK),
    SILENT: (),
}
"""By fate, after `processed`."""


def email_history(message: Message, *, time_scale: float) -> list[Happened]:
    """All that happens to an email, in order, also what is still to come; of a scheduled one only the beginning."""
    at = message.at.timestamp()
    if message.state == "dropped":
        return [Happened("dropped", at, {"reason": message.reason})]
    begun = [Happened("processed", at, {} if message.due_at is None else {"send_at": int(message.due_at)})]
    if message.state == "scheduled":
        return begun
    if message.state == "canceled":
        return [*begun, Happened("cancel_drop", message.updated_at.timestamp(), {"reason": message.reason})]
    left = message.left_at()
    steps = EMAIL_STEPS[message.fate]
    return begun + [Happened(step.name, left + step.after / time_scale, step.fields) for step in steps]


def sms_history(message: Message, *, delivery: float | None) -> list[Happened]:
    """All statuses of an SMS after its first; `delivery` is the real seconds they take, None for never."""
    if message.state == "canceled":
        return [Happened("canceled", message.updated_at.timestamp())]
    if delivery is None or message.state not in {"queued", "accepted"}:
        return []
    left = message.left_at()
    queued = [Happened("queued", left)] if message.state == "accepted" else []
    if message.fate in SMS_FAILED:
        return [*queued, Happened("failed", left + delivery, {"code": message.fate})]
    sent = [*queued, Happened("sent", left + delivery / 2)]
    if message.fate == SILENT:
        return sent
    if message.fate:
        return [*sent, Happened("undelivered", left + delivery, {"code": message.fate})]
    return [*sent, Happened("delivered", left + delivery)]
