"""SendGrid's mail/send as pure rules: what it refuses, in its own words, and what it takes into custody."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TypedDict, cast

import orjson

from sandbox.fates import BLOCKED, REFUSED, SUPPRESSING, Fates
from sandbox.records import Accepted, Answer, JsonObject, Recipient, Suppression
from sandbox.shape import misfits

MAX_BODY_BYTES = 30 * 1024 * 1024
MAX_PERSONALIZATIONS = 1000
MAX_RECIPIENTS = 1000
MAX_ARGS_BYTES = 10_000
MAX_CATEGORIES = 10
MAX_CATEGORY_CHARS = 255
MAX_GROUPS = 25
MAX_SEND_AHEAD_SECONDS = 72 * 3600
MAX_ADDRESS_CHARS = 254
HELP = "http://sendgrid.com/docs/API_Reference/Web_API_v3/Mail/errors.html"
_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_DOMAIN = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+(?:[A-Za-z]{2,63}|[Xx][Nn]--[A-Za-z0-9-]{1,59})"
_ADDRESS = re.compile(rf"(?=.{{1,64}}@){_LOCAL}@{_DOMAIN}")


class EmailObject(TypedDict, total=False):
    """An address, with the name a mail program shows."""

    email: str
    name: str


class Content(TypedDict, total=False):
    """One part of an email."""

    type: str
    value: str


Personalization = TypedDict(
    "Personalization",
    {
        "from": EmailObject,
        "to": list[EmailObject],
        "cc": list[EmailObject],
        "bcc": list[EmailObject],
        "subject": str,
        "headers": dict[str, str],
        "substitutions": dict[str, str],
        "dynamic_template_data": dict[str, object],
        "custom_args": dict[str, str],
        "send_at": int,
    },
    total=False,
)
Body = TypedDict(
    "Body",
    {
        "personalizations": list[Personalization],
        "from": EmailObject,
        "reply_to": EmailObject,
        "reply_to_list": list[EmailObject],
        "subject": str,
        "content": list[Content],
        "attachments": list[dict[str, str]],
        "template_id": str,
        "headers": dict[str, str],
        "categories": list[str],
        "custom_args": dict[str, str],
        "send_at": int,
        "batch_id": str,
        "asm": dict[str, object],
        "mail_settings": dict[str, dict[str, object]],
    },
    total=False,
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One entry of SendGrid's `errors`."""

    message: str
    field: str | None = None
    help: str | None = None


Rule = Callable[[Body, float], Iterator[Refusal]]


def check(raw: bytes, *, now: float) -> tuple[Body | None, list[Refusal]]:
    """Read a request body; a body only when nothing in it is refused. One refusal refuses all."""
    try:
        parsed: object = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None, [Refusal("Bad Request")]
    wrong_form = [Refusal(misfit.message, misfit.path, _help(misfit.path)) for misfit in misfits(parsed)]
    if wrong_form:
        return None, wrong_form
    body = cast("Body", parsed)  # its form was checked just above
    refusals = list(chain.from_iterable(rule(body, now) for rule in RULES))
    return (None, refusals) if refusals else (body, [])


def is_address(text: str) -> bool:
    """Whether SendGrid would take this address: ASCII, one @, a domain with a dot."""
    return len(text) <= MAX_ADDRESS_CHARS and _ADDRESS.fullmatch(text) is not None


def errors(status: int, *refusals: Refusal, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer in SendGrid's error form."""
    entries = [{"message": one.message, "field": one.field, "help": one.help} for one in refusals]
    return Answer(status, orjson.dumps({"errors": entries}), headers=headers or {})


def _help(path: str | None) -> str | None:
    """The anchor SendGrid points at: the path without its numbers."""
    if path is None:
        return None
    return f"{HELP}#message." + ".".join(part for part in path.split(".") if not part.isdigit())


def _refuse(message: str, path: str) -> Refusal:
    return Refusal(message, path, _help(path))


def _counts(body: Body, _now: float) -> Iterator[Refusal]:
    blocks = body.get("personalizations", [])
    if not blocks:
        yield _refuse(
            "The personalizations field is required and must have at least one personalization.", "personalizations"
        )
    if len(blocks) > MAX_PERSONALIZATIONS:
        yield _refuse(
            f"The personalization block is limited to {MAX_PERSONALIZATIONS} personalizations per API request. "
            f"You have provided {len(blocks)} personalizations. Please consider splitting this into multiple "
            "requests and resending your request.",
            "personalizations",
        )
    elif (
        sum(len(block.get("to", [])) + len(block.get("cc", [])) + len(block.get("bcc", [])) for block in blocks)
        > MAX_RECIPIENTS
    ):
        yield _refuse(
            f"There is a limit of {MAX_RECIPIENTS} total recipients (to + cc + bcc) per request.", "personalizations"
        )


def _addresses(body: Body, _now: float) -> Iterator[Refusal]:
    for index, block in enumerate(body.get("personalizations", [])):
        path = f"personalizations.{index}"
        if not block.get("to"):
            yield _refuse(
                "The to array is required for all personalization objects, and must have at least one email object "
                "with a valid email address.",
                f"{path}.to",
            )
        people = _people(block)
        for role, place, person in people:
            if not is_address(person.get("email", "")) or "name" in person:
                yield from _one_address(person, f"{path}.{role}.{place}", f"personalizations.{role}")
        if "from" in block:
            yield from _one_address(block["from"], f"{path}.from", "personalizations.from")
        if len(people) > 1:
            yield from _duplicate(people, path)


def _one_address(person: EmailObject, path: str, anchor: str) -> Iterator[Refusal]:
    if not is_address(person.get("email", "")):
        yield Refusal("Does not contain a valid address.", f"{path}.email", f"{HELP}#message.{anchor}")
    if person.get("name") == "":
        yield Refusal("The name must be at least one character in length.", f"{path}.name", f"{HELP}#message.{anchor}")


def _people(block: Personalization) -> list[tuple[str, int, EmailObject]]:
    people = [("to", place, person) for place, person in enumerate(block.get("to", ()))]
    if "cc" in block or "bcc" in block:
        people += [("cc", place, person) for place, person in enumerate(block.get("cc", ()))]
        people += [("bcc", place, person) for place, person in enumerate(block.get("bcc", ()))]
    return people


def _duplicate(people: list[tuple[str, int, EmailObject]], path: str) -> Iterator[Refusal]:
    seen: set[str] = set()
    for role, _place, person in people:
        address = person.get("email", "")
        if address.lower() in seen:
            yield Refusal(
                "Each email address in the personalization block should be unique between to, cc, and bcc. "
                f"We found the first duplicate instance of [{address}] in the {path}.{role} field.",
                path,
                f"{HELP}#message.recipient-errors",
            )
            return
        seen.add(address.lower())


def _personal(body: Body, now: float) -> Iterator[Refusal]:
    is_dynamic = body.get("template_id", "").startswith("d-")
    common = body.get("custom_args", {})
    for index, block in enumerate(body.get("personalizations", [])):
        path = f"personalizations.{index}"
        if block.get("subject") == "":
            yield _refuse("The subject must be a string at least one character in length.", f"{path}.subject")
        if is_dynamic and block.get("substitutions"):
            yield _refuse("Substitutions may not be used with dynamic templating", f"{path}.substitutions")
        yield from _size(block.get("substitutions", {}), f"{path}.substitutions")
        yield from _size({**common, **block.get("custom_args", {})}, f"{path}.custom_args")
        yield from _ahead(block.get("send_at"), now, f"{path}.send_at")


def _size(texts: Mapping[str, str], path: str) -> Iterator[Refusal]:
    size = len(orjson.dumps(texts)) if texts else 0
    if size > MAX_ARGS_BYTES:
        name = path.rpartition(".")[2]
        yield _refuse(
            f"The {name} for each personalization are limited to {MAX_ARGS_BYTES} bytes. You have {size} bytes.", path
        )


def _ahead(send_at: int | None, now: float, path: str) -> Iterator[Refusal]:
    if send_at is not None and send_at > now + MAX_SEND_AHEAD_SECONDS:
        yield _refuse("Scheduling more than 72 hours in advance is forbidden.", path)


def _senders(body: Body, _now: float) -> Iterator[Refusal]:
    if not body.get("from", {}).get("email"):
        yield Refusal(
            "The from object must be provided for every email send. It is an object that requires the email "
            'parameter, but may also contain a name parameter.  e.g. {"email" : "example@example.com"}  or '
            '{"email" : "example@example.com", "name" : "Example Recipient"}.',
            "from.email",
            f"{HELP}#message.from",
        )
    else:
        yield from _one_address(body["from"], "from", "from")
    if "reply_to" in body:
        yield from _one_address(body["reply_to"], "reply_to", "reply_to")
    for index, person in enumerate(body.get("reply_to_list", [])):
        yield from _one_address(person, f"reply_to_list.{index}", "reply_to_list")


def _subject(body: Body, _now: float) -> Iterator[Refusal]:
    blocks = body.get("personalizations", [])
    every_block_has_one = bool(blocks) and all(block.get("subject") for block in blocks)
    if not (body.get("subject") or body.get("template_id") or every_block_has_one):
        yield _refuse(
            "The subject is required. You can get around this requirement if you use a template with a subject "
            "defined or if every personalization has a subject defined.",
            "subject",
        )


def _contents(body: Body, _now: float) -> Iterator[Refusal]:
    contents = body.get("content", [])
    if not contents and not body.get("template_id"):
        yield _refuse(
            "Unless a valid template_id is provided, the content parameter is required. There must be at least one "
            "defined content block. We typically suggest both text/plain and text/html blocks are included, but "
            "only one block is required.",
            "content",
        )
    for index, part in enumerate(contents):
        for name in ("type", "value"):
            if not part.get(name):
                yield _refuse(
                    f"The content {name} must be a string at least one character in length.", f"content.{index}.{name}"
                )
    yield from _content_order([part.get("type", "") for part in contents])


def _content_order(types: list[str]) -> Iterator[Refusal]:
    known = [one for one in types if one in {"text/plain", "text/html"}]
    if len(set(known)) != len(known):
        yield _refuse("If present, text/plain and text/html may only be provided once.", "content")
    ranks = [{"text/plain": 0, "text/html": 1}.get(one, 2) for one in types]
    if ranks != sorted(ranks):
        yield _refuse(
            "If present, text/plain must be first, followed by text/html, followed by any other content.", "content"
        )


def _categories(body: Body, _now: float) -> Iterator[Refusal]:
    categories = body.get("categories", [])
    if len(categories) > MAX_CATEGORIES:
        yield _refuse(f"There is a limit of {MAX_CATEGORIES} categories per email.", "categories")
    if len(set(categories)) != len(categories):
        yield _refuse("Each category should be unique.", "categories")
    for index, category in enumerate(categories):
        if not 0 < len(category) <= MAX_CATEGORY_CHARS:
            yield _refuse(f"A category has 1 to {MAX_CATEGORY_CHARS} characters.", f"categories.{index}")


def _other(body: Body, now: float) -> Iterator[Refusal]:
    yield from _ahead(body.get("send_at"), now, "send_at")
    asm = body.get("asm")
    if asm is None:
        return
    if "group_id" not in asm:
        yield _refuse("The asm object requires a group_id.", "asm.group_id")
    groups = asm.get("groups_to_display")
    if isinstance(groups, list) and len(groups) > MAX_GROUPS:
        yield _refuse(f"The groups_to_display are limited to {MAX_GROUPS} groups.", "asm.groups_to_display")


RULES: tuple[Rule, ...] = (_counts, _addresses, _personal, _senders, _subject, _contents, _categories, _other)


def is_sandbox_mode(body: Body) -> bool:
    """Whether the request asks to be checked only."""
    return body.get("mail_settings", {}).get("sandbox_mode", {}).get("enable") is True


@dataclass(frozen=True, slots=True)
class Custody:
    """What SendGrid knows besides the request: whom it may not write to, what becomes of whom, how fast time is."""

    at: float
    suppressed: Mapping[str, Suppression]
    fates: Fates
    time_scale: float
    is_held: bool = False

    def due_at(self, send_at: int | None) -> float | None:
        """The real moment of sending; None for at once. A held batch is looked at when it is due."""
        ahead = (send_at or 0) - self.at
        return self.at + ahead / self.time_scale if ahead > 0 else self.at if self.is_held else None


def accepted(body: Body, *, key: str, custody: Custody) -> Accepted:
    """What SendGrid takes into custody."""
    parts = {part["type"]: part["value"] for part in body.get("content", [])}
    return Accepted(
        provider="sendgrid",
        key=key,
        sender=body["from"]["email"],
        subject=body.get("subject", ""),
        text=parts.pop("text/plain", ""),
        html=parts.pop("text/html", ""),
        details=_details(body, sorted(parts)),
        recipients=tuple(_recipients(body, custody)),
        at=custody.at,
        batch_id=body.get("batch_id"),
    )


def _details(body: Body, other_parts: list[str]) -> JsonObject:
    kept = ("reply_to", "reply_to_list", "headers", "categories", "template_id", "batch_id", "send_at", "asm")
    raw = cast("Mapping[str, object]", body)
    details = {name: raw[name] for name in kept if raw.get(name)}
    files = [file.get("filename", "") for file in body.get("attachments", [])]
    more = {"from_name": body["from"].get("name"), "attachments": files, "other_parts": other_parts}
    return {**details, **{name: value for name, value in more.items() if value}}


def _recipients(body: Body, custody: Custody) -> Iterator[Recipient]:
    common = body.get("custom_args", {})
    due_for_all = custody.due_at(body.get("send_at"))
    for position, block in enumerate(body["personalizations"]):
        custom_args = {**common, **block.get("custom_args", {})}
        raw = cast("Mapping[str, object]", block)
        details = {name: raw[name] for name in ("from", "headers", "dynamic_template_data", "send_at") if name in raw}
        due_at = custody.due_at(block["send_at"]) if "send_at" in block else due_for_all
        for role, _place, person in _people(block):
            address = person["email"]
            fate = custody.fates.of_email(address)
            known = custody.suppressed.get(address.lower()) if custody.suppressed else None
            state, reason = "received", ""
            if known or fate or due_at is not None:
                state, reason = _state(fate, due_at, known)
            yield Recipient(
                position=position,
                role=role,
                address=address,
                name=person.get("name", ""),
                subject=block.get("subject"),
                substitutions=block.get("substitutions", {}),
                custom_args=custom_args,
                details=details,
                state=state,
                reason=reason,
                is_received=state == "received",
                due_at=due_at,
                fate=fate,
            )


def _state(fate: str, due_at: float | None, known: Suppression | None) -> tuple[str, str]:
    """The state in which a message begins, and why if it is dropped."""
    if known and known.reason != BLOCKED:
        return "dropped", known.reason
    if fate == "drop":
        return "dropped", SUPPRESSING[fate]
    return ("scheduled" if due_at is not None else REFUSED.get(fate, "received")), ""


def render(template: str, substitutions: Mapping[str, str]) -> str:
    """Replace each tag by its value as it stands; a tag inside a value is left alone, a longer tag wins."""
    if not substitutions or not template:
        return template
    tags = sorted((tag for tag in substitutions if tag), key=len, reverse=True)
    if not tags:
        return template
    pattern = re.compile("|".join(map(re.escape, tags)))
    return pattern.sub(lambda found: substitutions[found[0]], template)
