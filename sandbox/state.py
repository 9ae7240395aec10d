"""The state of one running sandbox: credentials, faults, fates, suppressions and settings, kept over a restart."""

import asyncio
import hmac
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sandbox import fates, faults, hooks
from sandbox.batches import Batches
from sandbox.fates import SUPPRESSING, Fates
from sandbox.faults import Part, Plan, Verdict
from sandbox.hooks import Hooks
from sandbox.queue import Queue
from sandbox.records import PROVIDERS, Accepted, Provider, Suppression
from sandbox.schedule import Schedule
from sandbox.senders import Senders
from sandbox.settings import Settings, settings_from_json
from sandbox.store import Store

if TYPE_CHECKING:
    from sandbox.signing import SigningKey


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client has to know to be let in."""

    api_key: str = "SG.sandbox"
    account_sid: str = "AC" + "0" * 32
    auth_token: str = "sandbox"  # noqa: S105 - the documented default of a stand-in, no secret


def is_same(given: str, expected: str) -> bool:
    """Compare secrets, in constant time."""
    return hmac.compare_digest(given.encode(), expected.encode())


class Sandbox:
    """One running sandbox; used on the event loop only, but for reads of the store.

    `stir` is set whenever the worker in the background may have something to do; `activity_asked`
    are the moments of the last questions to Email Activity, which answers only so many a minute.
    """

    def __init__(self, store: Store, credentials: Credentials, *, public_url: str, seed: int | None) -> None:
        """Take up what the store remembers; a `seed` that differs from the remembered one starts the draws anew."""
        self.store = store
        self.credentials = credentials
        self.public_url = public_url
        self.stopping = asyncio.Event()
        self.stir = asyncio.Event()
        self.activity_asked: deque[float] = deque()
        self.batches = Batches(store)
        self.schedule = Schedule(store)
        self._signing_key: SigningKey | None = None
        self.queue = Queue(store)
        self.senders = Senders(store)
        self.suppressions = store.suppressions()
        self.settings = _stored_settings(store.setting("settings"))
        self.fates = _stored_fates(store.setting("fates"))
        self.hooks = _stored_hooks(store.setting("hooks"))
        self.plan = _stored_plan(store.setting("faults"))
        if seed is not None and seed != self.plan.seed:
            self.set_plan(replace(self.plan, seed=seed, drawn={}))

    @staticmethod
    def now() -> datetime:
        """The moment, in UTC."""
        return datetime.fromtimestamp(time.time(), UTC)

    def catch_up(self) -> None:
        """Send and discard what is due by now, at most 1,000 messages; cheap while nothing is.

        What is left is done by the worker, or at the next call.
        """
        now = time.time()
        if now < self.schedule.next_at:
            return
        has_listener = bool(self.hooks.of("sendgrid").url)
        sent = self.schedule.release(now, self.settings, announced=PROVIDERS if has_listener else ("twilio",))
        self._consequences("sendgrid", [(one.address, one.fate) for one in sent if one.provider == "sendgrid"], at=now)
        self.stir.set()

    def accept(self, request: Accepted) -> None:
        """Record a request before it is answered, with all that follows from it."""
        url = self.hooks.of(request.provider).url
        is_announced = bool(url or request.details.get("StatusCallback"))
        self.store.accept(request, is_announced=is_announced)
        waiting = [one.due_at for one in request.recipients if one.due_at is not None]
        if waiting:
            self.schedule.expect(min(waiting))
        sent = [(one.address, one.fate) for one in request.recipients if one.fate and one.state != "scheduled"]
        self._consequences(request.provider, sent, at=request.at)
        if is_announced or waiting:
            self.stir.set()

    def _consequences(self, provider: Provider, sent: Iterable[tuple[str, str]], *, at: float) -> None:
        if provider == "sendgrid":
            reasons = {address.lower(): SUPPRESSING[fate] for address, fate in sent if fate in SUPPRESSING}
            new = {address: Suppression(reason, at) for address, reason in reasons.items()}
            self.suppress("sendgrid", {a: one for a, one in new.items() if a not in self.suppressions["sendgrid"]})

    def set_plan(self, plan: Plan) -> None:
        """Switch faults, also after a restart."""
        self.plan = plan
        self.store.set_setting("faults", faults.stored(plan))

    def decide(self, provider: Provider, on: Part) -> Verdict:
        """The verdict on the request that is at hand; spends a `next`."""
        verdict, plan = faults.decide(self.plan, provider, on, now=time.time())
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
        self.schedule.next_at = 0.0
        self.stir.set()

    def set_fates(self, given: Fates) -> None:
        """Change what becomes of messages from now on, also after a restart."""
        self.fates = given
        self.store.set_setting("fates", fates.to_json(given))

    def set_hooks(self, given: Hooks) -> None:
        """Change where events go and how they are disturbed, also after a restart."""
        self.hooks = given
        self.store.set_setting("hooks", hooks.to_json(given))
        self.stir.set()

    def signing_key(self) -> "SigningKey":
        """The key pair that signs SendGrid's events."""
        if self._signing_key is None:
            from sandbox.signing import SigningKey  # noqa: PLC0415 - cryptography is loaded when something is signed

            self._signing_key = SigningKey(self.store)
        return self._signing_key

    def set_suppressions(self, suppressions: Mapping[Provider, Mapping[str, Suppression]]) -> None:
        """Replace the lists; email addresses are kept in lower case."""
        self.suppressions = {
            provider: {address.strip().lower(): one for address, one in suppressions.get(provider, {}).items()}
            for provider in PROVIDERS
        }
        self.store.set_suppressions(self.suppressions)

    def suppress(self, provider: Provider, suppressions: Mapping[str, Suppression]) -> None:
        """Add addresses, in lower case, to a list."""
        if suppressions:
            self.suppressions[provider].update(suppressions)
            self.store.add_suppressions(provider, suppressions)

    def unsuppress(self, provider: Provider, addresses: Iterable[str]) -> None:
        """Take addresses, in lower case, off a list."""
        gone = [address for address in addresses if self.suppressions[provider].pop(address, None)]
        self.store.remove_suppressions(provider, gone)

    def clear(self) -> None:
        """Forget all messages, all events that are still to be posted, and how often Email Activity was asked."""
        self.activity_asked.clear()
        self.senders.clear()
        self.store.clear()
        self.queue.clear()


def _stored_plan(value: object) -> Plan:
    return faults.from_stored(value) if isinstance(value, dict) and "plan" in value else Plan()


def _stored_settings(value: object) -> Settings:
    return settings_from_json(value, Settings()) if isinstance(value, dict) else Settings()


def _stored_fates(value: object) -> Fates:
    return fates.from_json(value) if isinstance(value, dict) else Fates()


def _stored_hooks(value: object) -> Hooks:
    return hooks.from_json(value, Hooks()) if isinstance(value, dict) else Hooks()
