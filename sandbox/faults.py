"""Faults an operator or a test switches on: which request gets which, always the same for the same seed."""

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

from sandbox.records import PROVIDERS, Provider

Kind = Literal[
    "429",
    "401",
    "5xx_before",
    "5xx_after",
    "hang_before",
    "hang_after",
    "reset_before",
    "reset_after",
    "half_answer",
    "slow",
    "slow_accept",
    "outage",
    "bad_credentials",
    "credits",
]
Part = Literal["send", "read", "hold", "all"]

SENTENCES: dict[Kind, str] = {
    "429": "Too many requests: not processed, safe to repeat",
    "401": "Credentials refused: not processed",
    "5xx_before": "Server error, nothing was accepted",
    "5xx_after": "Server error, although the request was accepted",
    "hang_before": "No answer, nothing was accepted; the connection drops in the end",
    "hang_after": "No answer, although the request was accepted; the connection drops in the end",
    "reset_before": "Connection reset, nothing was accepted",
    "reset_after": "Connection reset, although the request was accepted",
    "half_answer": "Accepted, but the answer is cut in the middle",
    "slow": "Accepted, the answer comes late",
    "slow_accept": "Accepted only after some seconds, when the client may have given up",
    "outage": "The provider is down: no call of any kind is processed",
    "bad_credentials": "Every call is refused, the check of credentials too",
    "credits": "Only so many messages are left to send",
}
BEFORE: frozenset[str] = frozenset({"429", "401", "5xx_before", "hang_before", "reset_before", "outage"})
AFTER: frozenset[str] = frozenset({"5xx_after", "hang_after", "reset_after", "half_answer"})
STANDING: frozenset[str] = frozenset({"bad_credentials", "credits"})
_STATUSES = (500, 502, 503)
_OUTAGE_STATUS = 503


class FaultRefused(ValueError):
    """A fault that cannot be set; its text says what is wrong and what to write instead."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One switch. Without `fraction` and `next` it meets every request.

    `starts_in` and `lasts` are real seconds and make a window that begins at the real moment `set_at` + `starts_in`.
    """

    kind: Kind
    fraction: float | None = None
    next: int | None = None
    on: Part = "send"
    status: int | None = None
    seconds: float = 60.0
    latency_ms: int = 1000
    headers: bool = True
    retry_after: int = 1
    left: int = 0
    starts_in: float = 0.0
    lasts: float | None = None
    set_at: float = 0.0

    def is_on(self, now: float) -> bool:
        """Whether the window is open."""
        since = now - self.set_at - self.starts_in
        return since >= 0 and (self.lasts is None or since < self.lasts)

    def has_window(self) -> bool:
        """Whether it depends on the clock."""
        return bool(self.starts_in) or self.lasts is not None

    def how_often(self) -> str:
        """A few words for people."""
        if self.kind == "credits":
            return f"{self.left} left"
        window = f", for {self.lasts:g} s" if self.lasts is not None else ""
        window += f", from {self.starts_in:g} s after it was set" if self.starts_in else ""
        if self.next is not None:
            return f"the next {self.next}{window}"
        return f"{100 * (1 if self.fraction is None else self.fraction):g} % of requests{window}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What happens to one request: at most one break, and a delay of the answer."""

    fault: Fault | None = None
    latency_ms: int = 0
    status: int = 500

    def accepts_after(self) -> float:
        """The seconds until the request is processed at all."""
        return self.fault.seconds if self.fault and self.fault.kind == "slow_accept" else 0.0

    def breaks_before(self) -> Fault | None:
        """The fault, if it strikes before the request is processed."""
        return self.fault if self.fault and self.fault.kind in BEFORE else None

    def breaks_after(self) -> Fault | None:
        """The fault, if it strikes when the request has been processed."""
        return self.fault if self.fault and self.fault.kind in AFTER else None


@dataclass(frozen=True, slots=True)
class Plan:
    """All switches, the seed, and how many requests each provider has drawn for."""

    seed: int = 1
    faults: Mapping[Provider, tuple[Fault, ...]] = field(default_factory=dict)
    drawn: Mapping[Provider, int] = field(default_factory=dict)

    def of(self, provider: Provider) -> tuple[Fault, ...]:
        """The switches of a provider, in the order they are tried."""
        return self.faults.get(provider, ())

    def standing(self, provider: Provider, kind: Kind) -> Fault | None:
        """A switch that is a state rather than a strike: bad credentials, credits."""
        return next((fault for fault in self.of(provider) if fault.kind == kind), None)

    def with_faults(self, provider: Provider, faults: tuple[Fault, ...]) -> "Plan":
        """The same plan with other switches for one provider."""
        return replace(self, faults={**self.faults, provider: faults})


def decide(plan: Plan, provider: Provider, on: Part, *, now: float) -> tuple[Verdict, Plan]:
    """The verdict on the next request, and the plan after it.

    Depends on the seed, the number of requests that came before, and the windows that are open at `now`.
    """
    faults = plan.of(provider)
    if not any(fault.kind not in STANDING for fault in faults):
        return Verdict(), plan
    number = plan.drawn.get(provider, 0)
    draw = random.Random(f"{plan.seed}/{provider}/{number}")  # noqa: S311 - a repeatable draw, no secret
    kept: list[Fault] = []
    struck: Fault | None = None
    latency_ms = 0
    for fault in faults:
        chance = draw.random()
        is_free = struck is None or fault.kind == "slow"
        if not (is_free and fault.is_on(now) and _strikes(fault, on, chance)):
            kept.append(fault)
            continue
        kept += _spent(fault)
        if fault.kind == "slow":
            latency_ms += fault.latency_ms
        else:
            struck = fault
    usual = _OUTAGE_STATUS if struck and struck.kind == "outage" else draw.choice(_STATUSES)
    status = (struck.status if struck else None) or usual
    after = plan.with_faults(provider, tuple(kept))
    return Verdict(struck, latency_ms, status), replace(after, drawn={**plan.drawn, provider: number + 1})


def _strikes(fault: Fault, on: Part, chance: float) -> bool:
    if fault.kind in STANDING or (fault.on not in {on, "all"} and fault.kind != "outage"):
        return False
    return chance < (1.0 if fault.fraction is None else fault.fraction)


def _spent(fault: Fault) -> list[Fault]:
    if fault.next is None:
        return [fault]
    return [replace(fault, next=fault.next - 1)] if fault.next > 1 else []


def spend(plan: Plan, provider: Provider, messages: int) -> Plan | None:
    """The plan after `messages` credits are used; None if there are not so many."""
    credit = plan.standing(provider, "credits")
    if credit is None:
        return plan
    if credit.left < messages:
        return None
    after = replace(credit, left=credit.left - messages)
    return plan.with_faults(provider, tuple(after if one is credit else one for one in plan.of(provider)))


def to_json(plan: Plan) -> dict[str, object]:
    """The plan as the control page gives it, without what it has drawn."""
    return {"seed": plan.seed, **{provider: [_fault_json(one) for one in plan.of(provider)] for provider in PROVIDERS}}


def _fault_json(fault: Fault) -> dict[str, object]:
    default = Fault(fault.kind)
    return {
        name: value
        for name, value in asdict(fault).items()
        if name == "kind" or (name != "set_at" and value != getattr(default, name))
    }


def stored(plan: Plan) -> dict[str, object]:
    """The plan with all that it needs to go on after a restart."""
    moments = {provider: [one.set_at for one in plan.of(provider)] for provider in PROVIDERS}
    return {"plan": to_json(plan), "drawn": dict(plan.drawn), "set_at": moments}


def from_stored(value: Mapping[str, Any]) -> Plan:
    """The plan of `stored`."""
    plan = replace(from_json(value["plan"], seed=1, now=0.0), drawn=value["drawn"])
    for provider in PROVIDERS:
        moments = value["set_at"][provider]
        faults = tuple(replace(one, set_at=at) for one, at in zip(plan.of(provider), moments, strict=True))
        plan = plan.with_faults(provider, faults)
    return plan


def from_json(value: object, *, seed: int, now: float) -> Plan:
    """A plan from JSON of `to_json`; a provider that is left out has no faults, draw and windows start anew."""
    if not isinstance(value, Mapping):
        msg = 'faults are an object: {"sendgrid": [...], "twilio": [...]}'
        raise FaultRefused(msg)
    unknown = set(value) - {"seed", *PROVIDERS}
    if unknown:
        msg = f"unknown name {min(unknown, key=str)!r}; the names are seed, sendgrid and twilio"
        raise FaultRefused(msg)
    faults = {provider: _list(value.get(provider, []), provider, now) for provider in PROVIDERS}
    given = value.get("seed", seed)
    if not isinstance(given, int):
        msg = f"seed {given!r} is not a whole number"
        raise FaultRefused(msg)
    return Plan(seed=given, faults=faults)


def _list(value: object, provider: str, now: float) -> tuple[Fault, ...]:
    if not isinstance(value, list):
        msg = f"the faults of {provider} are a list"
        raise FaultRefused(msg)
    return tuple(one_from_json(item, now=now) for item in value)


def one_from_json(value: object, *, now: float) -> Fault:
    """One switch from its JSON; every field is checked, none is silently dropped. Its window counts from `now`."""
    if not isinstance(value, Mapping) or value.get("kind") not in get_args(Kind):
        msg = f"a fault has a kind: one of {', '.join(get_args(Kind))}"
        raise FaultRefused(msg)
    for name, given in value.items():
        check = _FIELDS.get(name)
        if check is None:
            msg = f"a fault has no {name!r}; it has {', '.join(_FIELDS)}"
            raise FaultRefused(msg)
        types, low, high = check
        if not isinstance(given, types) or (isinstance(given, bool) and types is not bool):
            msg = f"{name} {given!r} has the wrong type"
            raise FaultRefused(msg)
        if isinstance(given, int | float) and not low <= given <= high:
            msg = f"{name} {given} is not between {low:g} and {high:g}"
            raise FaultRefused(msg)
    fault = _checked(replace(Fault("429"), **value))
    return replace(fault, set_at=now) if fault.has_window() else fault


def _checked(fault: Fault) -> Fault:
    if fault.on not in get_args(Part):
        msg = f"on {fault.on!r} is not one of {', '.join(get_args(Part))}"
        raise FaultRefused(msg)
    if fault.fraction is not None and fault.next is not None:
        msg = "a fault has a fraction or a next, not both"
        raise FaultRefused(msg)
    if fault.has_window() and fault.kind in STANDING:
        msg = f"{fault.kind} has no starts_in and no lasts; use outage"
        raise FaultRefused(msg)
    return fault


_NUMBER = (int, float)
_FIELDS: dict[str, tuple[type | tuple[type, ...], float, float]] = {
    "kind": (str, 0, 0),
    "fraction": (_NUMBER, 0, 1),
    "next": (int, 1, 10_000_000),
    "on": (str, 0, 0),
    "status": (int, 500, 599),
    "seconds": (_NUMBER, 0, 3600),
    "latency_ms": (int, 0, 3_600_000),
    "headers": (bool, 0, 1),
    "retry_after": (int, 0, 86_400),
    "left": (int, 0, 1_000_000_000),
    "starts_in": (_NUMBER, 0, 86_400),
    "lasts": (_NUMBER, 0, 86_400),
}
