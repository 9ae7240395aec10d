"""The state of one running sandbox: credentials, faults, suppressions and settings, kept over a restart."""

import asyncio
import hmac
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import cast

from sandbox import faults
from sandbox.faults import Part, Plan, Verdict
from sandbox.records import PROVIDERS, Provider
from sandbox.store import Store


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client has to know to be let in."""

    api_key: str = "SG.sandbox"
    account_sid: str = "AC" + "0" * 32
    auth_token: str = "sandbox"  # noqa: S105 - the documented default of a stand-in, no secret


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator may tune.

    `verified_senders` are addresses or `@domain`s, empty for any. `delivery_seconds` is how long
    an SMS stays in the queue before a look-up shows it as delivered; None for ever.
    """

    verified_senders: tuple[str, ...] = ()
    delivery_seconds: float | None = 1.0

    def verifies(self, address: str) -> bool:
        """Whether an email may come from this address."""
        lower = address.lower()
        return not self.verified_senders or any(
            lower == sender or (sender.startswith("@") and lower.endswith(sender)) for sender in self.verified_senders
        )

    def delivery(self) -> timedelta | None:
        """`delivery_seconds` as a time span."""
        return None if self.delivery_seconds is None else timedelta(seconds=self.delivery_seconds)


def is_same(given: str, expected: str) -> bool:
    """Compare secrets, in constant time."""
    return hmac.compare_digest(given.encode(), expected.encode())


class Sandbox:
    """One running sandbox; used on the event loop only, but for reads of the store."""

    def __init__(self, store: Store, credentials: Credentials, *, public_url: str, seed: int | None) -> None:
        """Take up what the store remembers; a `seed` that differs from the remembered one starts the draws anew."""
        self.store = store
        self.credentials = credentials
        self.public_url = public_url
        self.stopping = asyncio.Event()
        self.suppressions = store.suppressions()
        self.settings = _stored_settings(store.setting("settings"))
        self.plan = _stored_plan(store.setting("faults"))
        if seed is not None and seed != self.plan.seed:
            self.set_plan(replace(self.plan, seed=seed, drawn={}))

    @staticmethod
    def now() -> datetime:
        """The moment, in UTC."""
        return datetime.fromtimestamp(time.time(), UTC)

    def set_plan(self, plan: Plan) -> None:
        """Switch faults, also after a restart."""
        self.plan = plan
        self.store.set_setting("faults", {**faults.to_json(plan), "drawn": dict(plan.drawn)})

    def decide(self, provider: Provider, on: Part) -> Verdict:
        """The verdict on the request that is at hand; spends a `next`."""
        verdict, plan = faults.decide(self.plan, provider, on)
        if plan is not self.plan:
            self.set_plan(plan)
        return verdict

    def spend(self, provider: Provider, messages: int) -> bool:
        """Use credits; False, and nothing used, when there are too few."""
        plan = faults.spend(self.plan, provider, messages)
        if plan is None:
            return False
        if plan is not self.plan:
            self.set_plan(plan)
        return True

    def set_settings(self, settings: Settings) -> None:
        """Change what an operator may tune, also after a restart."""
        self.settings = settings
        self.store.set_setting("settings", asdict(settings))

    def set_suppressions(self, suppressions: Mapping[Provider, Mapping[str, str]]) -> None:
        """Replace the lists; email addresses are kept in lower case."""
        self.suppressions = {
            provider: {address.strip().lower(): reason for address, reason in suppressions.get(provider, {}).items()}
            for provider in PROVIDERS
        }
        self.store.set_suppressions(self.suppressions)


def _stored_plan(value: object) -> Plan:
    if not isinstance(value, dict):
        return Plan()
    drawn = cast("dict[Provider, int]", value.pop("drawn", {}))  # written by set_plan
    return replace(faults.from_json(value, seed=1), drawn=drawn)


def _stored_settings(value: object) -> Settings:
    if not isinstance(value, dict):
        return Settings()
    return settings_from_json(value, Settings())


class SettingRefused(ValueError):
    """A setting that cannot be taken; its text says why."""


def settings_from_json(value: object, current: Settings) -> Settings:
    """Settings changed by the names that `value` gives."""
    if not isinstance(value, dict) or set(value) - {"verified_senders", "delivery_seconds"}:
        msg = "settings are an object with verified_senders and delivery_seconds"
        raise SettingRefused(msg)
    senders = value.get("verified_senders", list(current.verified_senders))
    seconds = value.get("delivery_seconds", current.delivery_seconds)
    if not isinstance(senders, list) or not all(isinstance(sender, str) for sender in senders):
        msg = "verified_senders is a list of addresses or @domains"
        raise SettingRefused(msg)
    if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0):
        msg = "delivery_seconds is a number from 0, or null for never"
        raise SettingRefused(msg)
    lower = tuple(sender.strip().lower() for sender in senders)
    return Settings(verified_senders=lower, delivery_seconds=seconds)
