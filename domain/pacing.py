"""How many requests may be under way at once: fewer when a provider asks to wait, hardly any while it seems to be down."""

from __future__ import annotations

from threading import Lock

from domain.outcomes import Outcome, OutcomeKind

_CUT_SECONDS = 1.0
"""Requests that were under way together are refused together: that counts once."""
_DOUBTS_IN_A_ROW = 5
_LONGEST_WAIT_SECONDS = 300.0


class Pace:
    """Additive increase, multiplicative decrease; times are seconds of one clock that never goes back."""

    def __init__(self, ceiling: int) -> None:
        """Begin with all that is allowed."""
        self._ceiling = ceiling
        self._limit = float(ceiling)
        self._cut_at = float("-inf")
        self._quiet_until = float("-inf")

    def room(self, *, under_way: int, at: float) -> int:
        """How many more may leave now; none while the provider wants to be left alone."""
        return max(0, int(self._limit) - under_way) if at >= self._quiet_until else 0

    def quiet(self, *, at: float) -> float:
        """Seconds until the provider may be asked again."""
        return max(0.0, self._quiet_until - at)

    def answered(self, outcome: Outcome, *, at: float) -> None:
        """Learn from an answer."""
        if outcome.kind is OutcomeKind.ACCEPTED:
            self._limit = min(float(self._ceiling), self._limit + 1.0 / self._limit)
        elif outcome.kind is OutcomeKind.TRY_LATER and outcome.code != OWN_PAUSE:
            if at - self._cut_at >= _CUT_SECONDS:
                self._limit = max(1.0, self._limit / 2)
                self._cut_at = at
            self._quiet_until = max(self._quiet_until, at + (outcome.retry_after or 0.0))


class Outage:
    """Whether a provider seems to be down, over all who send to it; safe to share between threads.

    Each request to a provider that is down ends in doubt, and when all are made nothing later is left whose
    sight would show that they are not there. So after a few in a row only one leaves, after longer and longer
    waits, until one is answered. Times are seconds of one clock that never goes back.
    """

    def __init__(self) -> None:
        """Begin with a provider that is up."""
        self._lock = Lock()
        self._doubts = 0
        self._tried = 0
        self._next = float("-inf")

    def quiet(self, *, at: float) -> float:
        """Seconds until somebody may try the provider again; none while it is up."""
        with self._lock:
            return max(0.0, self._next - at) if self._is_down else 0.0

    def admit(self, wanted: int, *, at: float) -> int:
        """How many of `wanted` requests, at least one, may leave now; who is let through is to report the answer."""
        with self._lock:
            if not self._is_down:
                return wanted
            if at < self._next:
                return 0
            self._tried += 1
            self._next = at + self._wait
            return 1

    def answered(self, outcome: Outcome, *, at: float) -> None:
        """Learn from an answer."""
        with self._lock:
            if outcome.kind is OutcomeKind.IN_DOUBT:
                self._doubts += 1
                if self._is_down:
                    self._next = max(self._next, at + self._wait)
            elif outcome.kind is not OutcomeKind.TRY_LATER:
                self._doubts = self._tried = 0
                self._next = float("-inf")

    @property
    def _is_down(self) -> bool:
        return self._doubts >= _DOUBTS_IN_A_ROW

    @property
    def _wait(self) -> float:
        return min(_LONGEST_WAIT_SECONDS, 2.0 ** min(self._tried, 10))


OWN_PAUSE = "stalled"
"""Code of an outcome that says nothing of the provider: this process did not send."""
