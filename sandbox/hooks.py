"""Where events are posted to, and how a network and a hurried provider disturb them on their way."""

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from sandbox.records import PROVIDERS, Provider


@dataclass(frozen=True, slots=True)
class Hook:
    """Of one provider. `url` is where events go; of Twilio, for messages that name no StatusCallback of their own.

    The fractions (0 to 1) are of events: never posted; posted twice; posted up to `shuffle_seconds` later than
    they happened, which upsets their order; posted `late_seconds` later. `bad_signature` is a fraction of posts.
    `batch` is the most events that one post of SendGrid holds. Seconds are the provider's.
    """

    url: str = ""
    loss: float = 0.0
    duplicate: float = 0.0
    shuffle: float = 0.0
    late: float = 0.0
    bad_signature: float = 0.0
    shuffle_seconds: float = 60.0
    late_seconds: float = 3600.0
    batch: int = 500

    def is_quiet(self) -> bool:
        """Whether no event is disturbed."""
        return not (self.loss or self.duplicate or self.shuffle or self.late)


@dataclass(frozen=True, slots=True)
class Hooks:
    """Of both providers; `seed` decides which events are disturbed."""

    seed: int = 1
    providers: Mapping[Provider, Hook] = field(default_factory=dict)

    def of(self, provider: Provider) -> Hook:
        """The hook of one provider."""
        return self.providers.get(provider, _NONE)

    def delays(self, provider: Provider, number: int) -> list[float]:
        """The provider's seconds after which an event is posted, once for each post; empty when it is lost."""
        hook = self.of(provider)
        if hook.is_quiet():
            return [0.0]
        draw = random.Random(f"{self.seed}/{provider}/event/{number}")  # noqa: S311 - a repeatable draw, no secret
        chances = [draw.random() for _ in range(4)]
        if chances[0] < hook.loss:
            return []
        delay = hook.late_seconds if chances[1] < hook.late else 0.0
        delay += draw.uniform(0, hook.shuffle_seconds) if chances[2] < hook.shuffle else 0.0
        again = [delay + draw.uniform(0, hook.shuffle_seconds)] if chances[3] < hook.duplicate else []
        return [delay, *again]

    def spoils_signature(self, provider: Provider, number: int) -> bool:
        """Whether the post of this number carries a signature that is wrong."""
        hook = self.of(provider)
        if not hook.bad_signature:
            return False
        chance = random.Random(f"{self.seed}/{provider}/post/{number}").random()  # noqa: S311 - a repeatable draw
        return chance < hook.bad_signature


_NONE = Hook()
_FRACTIONS = ("loss", "duplicate", "shuffle", "late", "bad_signature")
_SPANS = ("shuffle_seconds", "late_seconds")
_MAX_BATCH = 1000


class HookRefused(ValueError):
    """A hook that cannot be set; its text says why."""


def to_json(hooks: Hooks) -> dict[str, object]:
    """Hooks as the control API gives them."""
    return {"seed": hooks.seed, **{provider: asdict(hooks.of(provider)) for provider in PROVIDERS}}


def from_json(value: object, current: Hooks) -> Hooks:
    """Hooks changed by the names that `value` gives."""
    if not isinstance(value, dict) or set(value) - {"seed", *PROVIDERS}:
        msg = 'webhooks are an object: {"seed": 1, "sendgrid": {...}, "twilio": {...}}'
        raise HookRefused(msg)
    seed = value.get("seed", current.seed)
    if not isinstance(seed, int) or isinstance(seed, bool):
        msg = "seed is a whole number"
        raise HookRefused(msg)
    providers = {one: _changed(current.of(one), value.get(one, {})) for one in PROVIDERS}
    return Hooks(seed=seed, providers=providers)


def _changed(hook: Hook, value: object) -> Hook:
    names = ("url", *_FRACTIONS, *_SPANS, "batch")
    if not isinstance(value, dict) or set(value) - set(names):
        msg = f"a webhook has {', '.join(names)}"
        raise HookRefused(msg)
    for name, given in value.items():
        _check(name, given)
    return replace(hook, **value)


def _check(name: str, given: Any) -> None:  # noqa: ANN401 - JSON of any kind
    if name == "url":
        if not isinstance(given, str) or (given and not is_url(given)):
            msg = "url is an address such as http://127.0.0.1:8000/webhooks, or empty for none"
            raise HookRefused(msg)
        return
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    if name in _FRACTIONS and not (is_number and 0 <= given <= 1):
        msg = f"{name} is a fraction from 0 to 1"
        raise HookRefused(msg)
    if name in _SPANS and not (is_number and 0 <= given <= 10**9):
        msg = f"{name} is a number from 0"
        raise HookRefused(msg)
    if name == "batch" and not (isinstance(given, int) and is_number and 1 <= given <= _MAX_BATCH):
        msg = f"batch is a whole number from 1 to {_MAX_BATCH}"
        raise HookRefused(msg)


def is_url(text: str) -> bool:
    """Whether one can post to it."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)
