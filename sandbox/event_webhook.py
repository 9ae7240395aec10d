"""SendGrid's events as they are posted: flat, with the custom arguments beside SendGrid's own fields."""

import base64
from hashlib import blake2b

import orjson

from sandbox.records import Message
from sandbox.timeline import Happened

_LOGS_ONLY = frozenset({"cancel_drop"})


def event_id(message_id: str, name: str, number: int) -> str:
    """The sg_event_id: the same whenever the same event is shown or posted again."""
    digest = blake2b(f"{message_id}/{name}/{number}".encode(), digest_size=16).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def smtp_id(message: Message) -> str:
    """An id of the mail itself; no reliable key, as of the real one."""
    return f"<{message.request}.{message.id}@sandbox.example>"


def is_posted(one: Happened) -> bool:
    """Whether the Event Webhook has this kind: what a canceled batch discards stands in Email Logs only."""
    return one.name not in _LOGS_ONLY


def event(message: Message, message_id: str, number: int, one: Happened) -> str:
    """One event of one email as JSON."""
    categories = message.details.get("categories")
    asm = message.details.get("asm")
    fields: dict[str, object] = dict(message.custom_args)
    fields |= {"email": message.to, "timestamp": int(one.at), "smtp-id": smtp_id(message), "event": one.name}
    if isinstance(categories, list) and categories:
        fields["category"] = categories if len(categories) > 1 else categories[0]
    fields |= {"sg_event_id": event_id(message_id, one.name, number), "sg_message_id": message_id}
    if isinstance(asm, dict) and "group_id" in asm:
        fields["asm_group_id"] = asm["group_id"]
    if one.name == "open":
        fields["sg_machine_open"] = False
    return orjson.dumps(fields | dict(one.fields)).decode()
