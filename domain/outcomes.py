"""What one call to a provider amounts to, in words that hold for every provider."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class OutcomeKind(StrEnum):
    """Split by what the sender does next; the ledger never guesses beyond these."""

    ACCEPTED = "accepted"
    """The provider has custody of the whole request."""
    TRY_LATER = "try_later"
    """Certainly not accepted; the same request may be made again after a while."""
    RECIPIENT_REFUSED = "recipient_refused"
    """Nothing was accepted, and the provider named the member it refuses."""
    REQUEST_REFUSED = "request_refused"
    """Nothing was accepted, and the provider does not say which member is at fault."""
    ACCOUNT_REFUSED = "account_refused"
    """Nothing was accepted, and no other request would be: the batch halts."""
    IN_DOUBT = "in_doubt"
    """It may have been accepted."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The classified answer to one request.

    Attributes:
        kind: what to do next.
        provider_id: the provider's own id of what it accepted.
        http_status: the status of the answer, None when there was none.
        code: the provider's or the transport's word for what happened.
        detail: a sentence for people; never holds an address, a name or a text.
        member: position in the request of the recipient that was refused.
        retry_after: seconds the provider asked to wait.
    """

    kind: OutcomeKind
    provider_id: str | None = None
    http_status: int | None = None
    code: str | None = None
    detail: str | None = None
    member: int | None = None
    retry_after: float | None = None


def waiting_seconds(attempt: int, *, asked: float | None, chance: float) -> float:
    """How long to wait before the same request is made again.

    Args:
        attempt: how often it was made, from 1.
        asked: what the provider asked for; it is kept to, with a little spread on top.
        chance: a random number from 0 to 1, so that many workers do not return together.
    """
    if asked is not None:
        return asked + chance
    ceiling: float = min(60.0, 0.5 * 2 ** min(attempt, 10))
    return ceiling * (0.5 + chance / 2)
