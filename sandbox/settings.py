"""What an operator may tune: the pace of time, the limits of the accounts, and how late look-ups see things."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

MAX_TIME_SCALE = 10_000_000


@dataclass(frozen=True, slots=True)
class Settings:
    """Spans are in the provider's seconds: `time_scale` of them pass in one real second.

    `verified_senders` are addresses or `@domain`s, empty for any. `delivery_seconds` is how long an SMS takes
    from its turn in the queue to its last status; None for ever. `email_activity` is SendGrid's paid add-on.
    `segments_per_second` is what one Twilio sender passes on, None for no limit; `queue_seconds` of it fit in its queue.
    """

    verified_senders: tuple[str, ...] = ()
    delivery_seconds: float | None = 1.0
    time_scale: float = 1.0
    email_activity: bool = True
    activity_per_minute: int = 6
    activity_lag_seconds: float = 0.0
    logs_lag_seconds: float = 0.0
    list_lag_seconds: float = 0.0
    segments_per_second: float | None = None
    queue_seconds: float = 36_000.0
    concurrency: int | None = None

    def verifies(self, address: str) -> bool:
        """Whether an email may come from this address."""
        lower = address.lower()
        return not self.verified_senders or any(
            lower == sender or (sender.startswith("@") and lower.endswith(sender)) for sender in self.verified_senders
        )

    def real(self, seconds: float) -> float:
        """The real seconds that a span of the provider's seconds takes."""
        return seconds / self.time_scale

    def delivery(self) -> timedelta | None:
        """`delivery_seconds` as a real time span."""
        return None if self.delivery_seconds is None else timedelta(seconds=self.real(self.delivery_seconds))


class SettingRefused(ValueError):
    """A setting that cannot be taken; its text says why."""


def _is_number(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _is_senders(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(sender, str) for sender in value)


def _is_span(value: object) -> bool:
    return _is_number(value, 0, 10**9)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and _is_number(value, 1, 10**6)


_CHECKS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "verified_senders": (_is_senders, "a list of addresses or @domains"),
    "delivery_seconds": (lambda value: value is None or _is_span(value), "a number from 0, or null for never"),
    "time_scale": (lambda value: _is_number(value, 0.001, MAX_TIME_SCALE), f"a number from 0.001 to {MAX_TIME_SCALE}"),
    "email_activity": (lambda value: isinstance(value, bool), "true or false"),
    "activity_per_minute": (_is_count, "a whole number from 1"),
    "activity_lag_seconds": (_is_span, "a number from 0"),
    "logs_lag_seconds": (_is_span, "a number from 0"),
    "list_lag_seconds": (_is_span, "a number from 0"),
    "segments_per_second": (
        lambda value: value is None or _is_number(value, 0.001, 10**6),
        "a number from 0.001, or null for no limit",
    ),
    "queue_seconds": (_is_span, "a number from 0"),
    "concurrency": (lambda value: value is None or _is_count(value), "a whole number from 1, or null for no limit"),
}


def settings_from_json(value: object, current: Settings) -> Settings:
    """Settings changed by the names that `value` gives."""
    if not isinstance(value, dict) or set(value) - set(_CHECKS):
        msg = f"settings are an object with {', '.join(_CHECKS)}"
        raise SettingRefused(msg)
    for name, given in value.items():
        is_right, form = _CHECKS[name]
        if not is_right(given):
            msg = f"{name} is {form}"
            raise SettingRefused(msg)
    senders = value.get("verified_senders", current.verified_senders)
    lower = tuple(sender.strip().lower() for sender in senders)
    return replace(current, **{**value, "verified_senders": lower})
