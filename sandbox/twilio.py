"""Twilio's Messages as pure rules: what it refuses, by code, and the resource it answers with."""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache
from urllib.parse import parse_qsl, urlsplit

import orjson

from sandbox.fates import SILENT, SMS_ERRORS
from sandbox.records import Accepted, Answer, JsonObject, Message, Recipient
from sandbox.segments import count_segments
from sandbox.timeline import POOL_SENDER, sms_history

MAX_BODY_CHARS = 1600
MAX_PAGE_SIZE = 1000
MIN_AHEAD = timedelta(seconds=300)
MAX_AHEAD = timedelta(days=35)
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_SHORT_CODE = re.compile(r"[0-9]{3,6}")
_ALPHANUMERIC = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 &._+-]{1,11}")
_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")

Form = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rule:
    """A code, a sentence with the form's fields in it, and what breaks it."""

    code: int
    sentence: str
    is_broken: Callable[[Form, datetime], bool]
    status: int = 400


@dataclass(frozen=True, slots=True)
class Refusal:
    """A code, its sentence and the HTTP status."""

    code: int
    message: str
    status: int = 400


def _is_schedule(form: Form) -> bool:
    return form.get("ScheduleType") == "fixed"


def _is_magic(name: str, number: str) -> Callable[[Form, datetime], bool]:
    return lambda form, _now: form.get(name) == number


def _is_sender(sender: str) -> bool:
    return any(kind.fullmatch(sender) for kind in (_E164, _SHORT_CODE, _ALPHANUMERIC))


def _is_callback(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and "_" not in (parts.hostname or "")


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _is_out_of_window(form: Form, now: datetime) -> bool:
    moment = _moment(form.get("SendAt", ""))
    return _is_schedule(form) and moment is not None and not MIN_AHEAD < moment - now <= MAX_AHEAD


RULES: tuple[Rule, ...] = (
    Rule(21604, "A 'To' phone number is required.", lambda form, _: not form.get("To")),
    Rule(
        21603,
        "A 'From' phone number is required.",
        lambda form, _: not (form.get("From") or form.get("MessagingServiceSid")),
    ),
    Rule(
        21602,
        "Message body is required.",
        lambda form, _: not (form.get("Body") or form.get("MediaUrl") or form.get("ContentSid")),
    ),
    Rule(
        21617,
        "The concatenated message body exceeds the 1600 character limit",
        lambda form, _: len(form.get("Body", "")) > MAX_BODY_CHARS,
    ),
    Rule(21265, "'To' number cannot be a Short Code: {To}", lambda form, _: bool(_SHORT_CODE.fullmatch(form["To"]))),
    Rule(21211, "Invalid 'To' Phone Number: {To}", lambda form, _: not _E164.fullmatch(form["To"])),
    Rule(21211, "Invalid 'To' Phone Number: {To}", _is_magic("To", "+15005550001")),
    Rule(
        21705,
        "The Messaging Service Sid {MessagingServiceSid} is invalid.",
        lambda form, _: bool(form.get("MessagingServiceSid")) and not _SERVICE.fullmatch(form["MessagingServiceSid"]),
    ),
    Rule(
        21212,
        "The 'From' number {From} is not a valid phone number, shortcode, or alphanumeric sender ID.",
        lambda form, _: bool(form.get("From")) and not _is_sender(form["From"]),
    ),
    Rule(21212, "The 'From' number {From} is not a valid phone number.", _is_magic("From", "+15005550001")),
    Rule(
        21606,
        "The 'From' phone number provided ({From}) is not a valid message-capable Twilio phone number for this "
        "destination",
        _is_magic("From", "+15005550007"),
    ),
    Rule(
        21611,
        "This 'From' number has exceeded the maximum number of queued messages",
        _is_magic("From", "+15005550008"),
    ),
    Rule(
        21612,
        "Message cannot be sent with the current combination of 'To' ({To}) and/or 'From' parameters",
        _is_magic("To", "+15005550002"),
    ),
    Rule(
        21408,
        "Permission to send an SMS has not been enabled for the region indicated by the 'To' number: {To}",
        _is_magic("To", "+15005550003"),
    ),
    Rule(21610, "Attempt to send to unsubscribed recipient", _is_magic("To", "+15005550004")),
    Rule(21614, "'To' number: {To}, is not a valid mobile number", _is_magic("To", "+15005550009")),
    Rule(
        21609,
        "The 'StatusCallback' URL {StatusCallback} is not a valid URL.",
        lambda form, _: bool(form.get("StatusCallback")) and not _is_callback(form["StatusCallback"]),
    ),
    Rule(
        35118,
        "MessagingServiceSid is required to schedule a message",
        lambda form, _: _is_schedule(form) and not form.get("MessagingServiceSid"),
    ),
    Rule(35111, "SendAt parameter is missing", lambda form, _: _is_schedule(form) and not form.get("SendAt")),
    Rule(
        35114,
        "SendAt timestamp format is not valid",
        lambda form, _: _is_schedule(form) and _moment(form.get("SendAt", "")) is None,
    ),
    Rule(35117, "SendAt time must be between 301 seconds and 35 days from now", _is_out_of_window),
)
"""Read top to bottom: Twilio names only the first rule that is broken."""


def parse(raw: bytes, content_type: str) -> Form:
    """The form of a request; with another content type Twilio sees no parameters at all."""
    if content_type.partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        return {}
    return dict(parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True))


def check(form: Form, *, now: datetime, opted_out: Collection[str]) -> Refusal | None:
    """The first broken rule; `opted_out` holds the numbers that said STOP."""
    for rule in RULES:
        if rule.is_broken(form, now):
            return Refusal(rule.code, rule.sentence.format_map(defaultdict(str, form)), rule.status)
    if form["To"] in opted_out:
        return Refusal(21610, "Attempt to send to unsubscribed recipient")
    return None


def refuse(code: int, message: str, *, status: int, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer in Twilio's error form."""
    more_info = f"https://www.twilio.com/docs/errors/{code}"
    body = {"code": code, "message": message, "more_info": more_info, "status": status}
    return Answer(status, orjson.dumps(body), headers=headers or {})


@dataclass(frozen=True, slots=True)
class Custody:
    """When it was accepted, when it has its turn (None for at once), what becomes of it."""

    at: float
    due_at: float | None
    fate: str


def send_at(form: Form) -> datetime | None:
    """The moment for which a message is scheduled."""
    return _moment(form["SendAt"]) if _is_schedule(form) else None


def accepted(form: Form, *, sid: str, custody: Custody) -> Accepted:
    """What Twilio takes into custody: one message."""
    service = form.get("MessagingServiceSid", "")
    kept = ("StatusCallback", "ValidityPeriod", "MediaUrl", "ContentSid", *(["SendAt"] if _is_schedule(form) else []))
    details = {name: form[name] for name in kept if form.get(name)}
    state = "scheduled" if _is_schedule(form) else "accepted" if service else "queued"
    recipient = Recipient(
        position=0,
        role="to",
        address=form["To"],
        state=state,
        is_received=state != "scheduled" and custody.fate in {"", SILENT},
        due_at=custody.due_at,
        fate=custody.fate,
    )
    return Accepted(
        provider="twilio",
        key=sid,
        sender=form.get("From", ""),
        text=form.get("Body", ""),
        details={**details, **({"MessagingServiceSid": service} if service else {})},
        recipients=(recipient,),
        at=custody.at,
    )


def created(record: Accepted) -> Message:
    """The message as it stands in the moment it is accepted."""
    recipient = record.recipients[0]
    at = datetime.fromtimestamp(record.at, UTC)
    return Message(
        id=0,
        provider="twilio",
        request=record.key,
        position=0,
        role="to",
        to=recipient.address,
        to_name="",
        sender=record.sender,
        subject="",
        text=record.text,
        html="",
        custom_args={},
        details=record.details,
        state=recipient.state,
        reason="",
        is_received=recipient.is_received,
        at=at,
        updated_at=at,
        due_at=recipient.due_at,
        fate=recipient.fate,
    )


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a message has come: its status, when it was sent if it was, when that changed, what went wrong."""

    status: str
    sent: datetime | None
    updated: datetime
    code: str = ""


def standing(message: Message, *, now: datetime, delivery: timedelta | None) -> Standing:
    """The standing of a message; `delivery` is how long it takes from its turn to the last status, None for ever."""
    seconds = None if delivery is None else delivery.total_seconds()
    history = [one for one in sms_history(message, delivery=seconds) if one.at <= now.timestamp()]
    if not history:
        return Standing(message.state, None, message.updated_at)
    sent = next((datetime.fromtimestamp(one.at, UTC) for one in history if one.name == "sent"), None)
    last = history[-1]
    return Standing(last.name, sent, datetime.fromtimestamp(last.at, UTC), str(last.fields.get("code", "")))


def resource(message: Message, *, account_sid: str, standing: Standing) -> JsonObject:
    """The Message resource of Twilio's OpenAPI document, with exactly its fields."""
    service = message.details.get("MessagingServiceSid")
    uri = f"/2010-04-01/Accounts/{account_sid}/Messages/{message.request}"
    has_sender = not service or standing.status not in {"accepted", "scheduled", "canceled"}
    return {
        "account_sid": account_sid,
        "api_version": "2010-04-01",
        "body": message.text,
        "date_created": _rfc_2822(message.at),
        "date_sent": _rfc_2822(standing.sent) if standing.sent else None,
        "date_updated": _rfc_2822(standing.updated),
        "direction": "outbound-api",
        "error_code": int(standing.code) if standing.code else None,
        "error_message": SMS_ERRORS.get(standing.code, "Unknown error") if standing.code else None,
        "from": message.sender or (POOL_SENDER if has_sender else None),
        "messaging_service_sid": service,
        "num_media": "1" if message.details.get("MediaUrl") else "0",
        "num_segments": str(count_segments(message.text)) if has_sender else "0",
        "price": None,
        "price_unit": "USD",
        "sid": message.request,
        "status": standing.status,
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": message.to,
        "uri": f"{uri}.json",
    }


@lru_cache(maxsize=64)
def _written(moment: datetime) -> str:
    return format_datetime(moment, usegmt=False)


def _rfc_2822(moment: datetime) -> str:
    return _written(moment.replace(microsecond=0))
