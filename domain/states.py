"""Every state of the product, and the only tables that say which may follow which.

`models` enforces these tables with compare-and-set; nothing else compares states by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Status(StrEnum):
    """What people decided about a batch."""

    PENDING_APPROVAL = "Pending Approval"
    """Nobody has decided yet."""
    APPROVED = "Approved"
    """It may be sent."""
    ADMIN_REJECTION = "Admin Rejection"
    """What was not sent yet will not be sent."""


class Phase(StrEnum):
    """How far the machine has come with a batch."""

    CHECKING = "checking"
    """The file is being read and judged."""
    WAITING = "waiting"
    """Checked; a person must approve or reject it."""
    SENDING = "sending"
    """Approved; requests go out."""
    PAUSED = "paused"
    """Halted in mid-batch with a reason; what is pending stays pending until it is resumed."""
    SETTLING = "settling"
    """Every request was made; some are in doubt and wait for evidence."""
    FINISHED = "finished"
    """Every recipient is accounted for: sent, failed, held back, or named as unresolved."""
    STOPPED = "stopped"
    """Rejected; what had not left by then never will."""
    FAILED = "failed"
    """The file could not be used, so there is nothing to approve."""


class RequestState(StrEnum):
    """The life of one HTTP call to a provider."""

    NEW = "new"
    """Not made, or certainly not accepted by the provider and to be made again."""
    INTENT = "intent"
    """Committed before its first byte; from here until an answer it may have been accepted."""
    ACCEPTED = "accepted"
    """The provider took custody of it."""
    REJECTED = "rejected"
    """The provider refused it for good; none of it was accepted."""
    REPLACED = "replaced"
    """Refused as a whole, or certainly lost; other requests carry the same people."""
    IN_DOUBT = "in_doubt"
    """Nobody knows whether it was accepted; never made again without evidence."""
    UNRESOLVED = "unresolved"
    """Evidence was looked for and not found; a person decides."""


class MessageState(StrEnum):
    """What is known of one recipient's message on one channel."""

    PENDING = "pending"
    """Not accepted by the provider so far."""
    ACCEPTED = "accepted"
    """In the provider's custody."""
    FAILED = "failed"
    """Refused for good; the detail says why."""
    IN_DOUBT = "in_doubt"
    """Its request is in doubt."""
    UNRESOLVED = "unresolved"
    """Its request is unresolved."""


NEXT_PHASE: Mapping[Phase, frozenset[Phase]] = {
    Phase.CHECKING: frozenset({Phase.WAITING, Phase.FAILED}),
    # Back to the check when rows were corrected.
    Phase.WAITING: frozenset({Phase.CHECKING, Phase.SENDING, Phase.STOPPED}),
    Phase.SENDING: frozenset({Phase.PAUSED, Phase.SETTLING, Phase.STOPPED}),
    Phase.PAUSED: frozenset({Phase.SENDING, Phase.STOPPED}),
    # Back to sending where a doubt was settled: it was certainly not accepted, or a person wants it sent again.
    Phase.SETTLING: frozenset({Phase.SENDING, Phase.FINISHED}),
    Phase.FINISHED: frozenset({Phase.SENDING}),
    Phase.STOPPED: frozenset(),
    Phase.FAILED: frozenset(),
}

NEXT_REQUEST: Mapping[RequestState, frozenset[RequestState]] = {
    # Accepted without being made: evidence came in for the one that it replaces.
    RequestState.NEW: frozenset({RequestState.INTENT, RequestState.ACCEPTED}),
    RequestState.INTENT: frozenset(
        {
            RequestState.NEW,
            RequestState.ACCEPTED,
            RequestState.REJECTED,
            RequestState.REPLACED,
            RequestState.IN_DOUBT,
        }
    ),
    # The answer may still reach the worker that was given up on, or evidence come in. Where it was
    # certainly not accepted, or a person wants it sent again, another request carries the people.
    RequestState.IN_DOUBT: frozenset({RequestState.ACCEPTED, RequestState.REPLACED, RequestState.UNRESOLVED}),
    RequestState.UNRESOLVED: frozenset({RequestState.ACCEPTED, RequestState.REPLACED}),
    RequestState.ACCEPTED: frozenset(),
    RequestState.REJECTED: frozenset(),
    RequestState.REPLACED: frozenset(),
}

# A member's message follows its request; states that are missing here leave it as it is.
MESSAGE_OF_REQUEST: Mapping[RequestState, MessageState] = {
    RequestState.ACCEPTED: MessageState.ACCEPTED,
    RequestState.REJECTED: MessageState.FAILED,
    RequestState.IN_DOUBT: MessageState.IN_DOUBT,
    RequestState.UNRESOLVED: MessageState.UNRESOLVED,
}

# A batch in one of these is not touched by any worker, so it may be hidden.
AT_REST = frozenset({Phase.WAITING, Phase.PAUSED, Phase.FINISHED, Phase.STOPPED, Phase.FAILED})

# In these a rejection still changes what goes out.
REJECTABLE = frozenset(before for before, after in NEXT_PHASE.items() if Phase.STOPPED in after)


def before_phase(to: Phase) -> frozenset[Phase]:
    """The phases from which a batch may enter `to`."""
    return frozenset(phase for phase, following in NEXT_PHASE.items() if to in following)


def before_request(to: RequestState) -> frozenset[RequestState]:
    """The states from which a request may enter `to`."""
    return frozenset(state for state, following in NEXT_REQUEST.items() if to in following)
