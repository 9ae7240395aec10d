"""When a request in doubt may be called accepted, absent, or unresolved: one pure decision over what was read.

There is no idempotency key at either provider, so an absence proves something only late: after
the time in which an acceptance may still surface, in two readings apart, and only if something
that was sent after the doubt began is seen by then through the same list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

_READINGS_AT_LEAST = 2
"""After the settle time, also when all time is over: with many doubts, some are looked up late."""


class Verdict(StrEnum):
    """What the evidence amounts to so far."""

    WAIT = "wait"
    """Not enough is known; it is looked up again."""
    ACCEPTED = "accepted"
    """The provider shows it."""
    ABSENT = "absent"
    """The provider certainly never took it: the same people may be written to in a new request."""
    UNRESOLVED = "unresolved"
    """The time is over; a person decides."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long evidence is waited for.

    Attributes:
        settle: from the doubt to the first reading whose silence counts.
        apart: between two readings whose silence counts.
        at_most: from the doubt until it is called unresolved.
    """

    settle: timedelta
    apart: timedelta
    at_most: timedelta


@dataclass(frozen=True, slots=True)
class Reading:
    """What a list of the provider showed of one request.

    Attributes:
        source: the list.
        at: when it was read.
        found: None where the provider did not answer the question.
    """

    source: str
    at: datetime
    found: bool | None


@dataclass(frozen=True, slots=True)
class Watermark:
    """A request of ours that a list showed: the list has come at least as far as that.

    Attributes:
        source: the list.
        asked_at: when that request was made.
        seen_at: when the list showed it.
    """

    source: str
    asked_at: datetime
    seen_at: datetime


def judge_doubt(
    since: datetime, readings: Sequence[Reading], watermarks: Sequence[Watermark], patience: Patience, *, now: datetime
) -> Verdict:
    """What is known of a request that has been in doubt since `since`.

    Args:
        since: from when on nobody could send it any more.
        readings: every reading of the request, in any order.
        watermarks: what the lists showed of later requests, in any order.
        patience: how long to wait for what.
        now: this moment.
    """
    if any(reading.found for reading in readings):
        return Verdict.ACCEPTED
    if any(_is_absent(source, since, readings, watermarks, patience) for source in {r.source for r in readings}):
        return Verdict.ABSENT
    late = sum(reading.at >= since + patience.settle for reading in readings)
    over = now >= since + patience.at_most and late >= _READINGS_AT_LEAST
    return Verdict.UNRESOLVED if over else Verdict.WAIT


def _is_absent(
    source: str, since: datetime, readings: Sequence[Reading], watermarks: Sequence[Watermark], patience: Patience
) -> bool:
    seen = [mark.seen_at for mark in watermarks if mark.source == source and mark.asked_at > since]
    if not seen:
        return False
    silent = sorted(
        reading.at
        for reading in readings
        if reading.source == source and reading.found is False and reading.at >= since + patience.settle
    )
    return bool(silent) and silent[-1] - silent[0] >= patience.apart and silent[-1] >= min(seen)


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a provider answered when asked whether it has a request.

    Attributes:
        source: the list that was read.
        found: None where the question was not answered.
        provider_id: the provider's id of what was found.
        detail: why it was not answered, for people; never holds an address, a name or a text.
        blocked: the provider asked to come back later, whatever the request.
    """

    source: str
    found: bool | None
    provider_id: str | None = None
    detail: str | None = None
    blocked: bool = False
