"""Who got more than one message for the same link, or in the same batch: what must never happen."""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence

from sandbox.records import JsonObject, Message
from sandbox.store import Store, select

_LINK = re.compile(r"https?://[^\s<>\"'`]+", re.IGNORECASE)
_SENT = "m.state NOT IN ('dropped', 'canceled', 'scheduled')"
_BATCH_ARGS = ("bs_batch", "batch")
# By address first: only who got two messages at all is looked at more closely.
_TWICE = (
    f"SELECT m.provider, m.recipient FROM messages m WHERE {_SENT} "  # noqa: S608 - a constant
    "GROUP BY m.recipient, m.provider HAVING COUNT(*) > 1"
)


def links(message: Message) -> tuple[str, ...]:
    """The addresses in a message, as it was received; the same person's links are the same in every attempt."""
    found = _LINK.findall(f"{message.text}\n{message.html}")
    return tuple(sorted({link.rstrip(".,;:!?)]}*") for link in found}))


def batch(message: Message) -> str:
    """The batch that the sender named."""
    return next((str(message.custom_args[name]) for name in _BATCH_ARGS if name in message.custom_args), "")


def find(store: Store, *, within: str, examples: int) -> JsonObject:
    """Recipients who were sent more than one message, by link and by batch; safe in any thread.

    Two messages are for one link when they hold the same addresses. `messages` are those too many.

    Args:
        store: what was accepted.
        within: a batch to look at alone; empty for all. An SMS names no batch and is always looked at.
        examples: how many to show of each.
    """
    doubled: dict[str, list[JsonObject]] = {"by_link": [], "by_batch": []}
    surplus = {"by_link": 0, "by_batch": 0}
    keys: dict[str, Callable[[Message], object]] = {"by_link": links, "by_batch": batch}
    with store.reading() as db:
        for provider, recipient in db.execute(_TWICE).fetchall():
            sql = f"m.recipient = ? AND m.provider = ? AND {_SENT}"
            messages = select(db, sql, [recipient, provider], limit=1000)
            if within:
                messages = [one for one in messages if batch(one) == within or one.provider == "twilio"]
            for name, key in keys.items():
                for group in _groups(messages, key):
                    surplus[name] += len(group) - 1
                    doubled[name].append(_example(group))
    return {
        name: {
            "recipients": len({(one["provider"], one["to"]) for one in found}),
            "messages": surplus[name],
            "examples": found[:examples],
        }
        for name, found in doubled.items()
    }


def _groups(messages: Sequence[Message], key: Callable[[Message], object]) -> list[list[Message]]:
    groups: dict[object, list[Message]] = defaultdict(list)
    for message in messages:
        if found := key(message):
            groups[found].append(message)
    return [group for group in groups.values() if len(group) > 1]


def _example(group: Sequence[Message]) -> JsonObject:
    first = group[0]
    return {
        "provider": first.provider,
        "to": first.to.lower(),
        "batch": batch(first),
        "links": list(links(first)),
        "requests": [one.request for one in reversed(group)],
    }
