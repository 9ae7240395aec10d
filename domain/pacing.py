"""How many requests may be under way at once: down fast when a provider asks to wait, up slowly when it takes them."""

from __future__ import annotations

from domain.outcomes import Outcome, OutcomeKind

_CUT_SECONDS = 1.0
"""Requests that were under way together are refused together: that counts once."""


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


OWN_PAUSE = "stalled"
"""Code of an outcome that says nothing of the provider: this process did not send."""
