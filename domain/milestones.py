"""What happens to a batch that people may want to be told of, and from which changes it follows."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from domain.states import Phase


class Milestone(StrEnum):
    """The last word of an event's name: `bulk-sender.batch.waiting`."""

    CREATED = "created"
    """Somebody made it; it is being checked."""
    WAITING = "waiting"
    """It was checked, and a person must decide."""
    APPROVED = "approved"
    """It may be sent."""
    REJECTED = "rejected"
    """What had not left never will."""
    SENDING = "sending"
    """Requests go out, for the first time or again."""
    PAUSED = "paused"
    """It was halted, by a person or by what it met."""
    RESUMED = "resumed"
    """A person let it go on."""
    CORRECTED = "corrected"
    """Rows were replaced; it is checked again."""
    SETTLING = "settling"
    """Every request was made, and some are in doubt."""
    SETTLED = "settled"
    """A person decided about what was unresolved."""
    FINISHED = "finished"
    """Every recipient is accounted for."""
    STOPPED = "stopped"
    """It came to its end by a rejection."""
    FAILED = "failed"
    """Its file could not be used."""
    ARCHIVED = "archived"
    """It was hidden from the list."""
    DUPLICATE = "duplicate"
    """A provider reported two messages for one of ours."""


OF_PHASE: Mapping[Phase, Milestone] = {
    Phase.WAITING: Milestone.WAITING,
    Phase.SENDING: Milestone.SENDING,
    Phase.PAUSED: Milestone.PAUSED,
    Phase.SETTLING: Milestone.SETTLING,
    Phase.FINISHED: Milestone.FINISHED,
    Phase.STOPPED: Milestone.STOPPED,
    Phase.FAILED: Milestone.FAILED,
}
"""What entering a phase is."""

OF_ACT: Mapping[str, Milestone] = {
    "approve": Milestone.APPROVED,
    "reject": Milestone.REJECTED,
    "resume": Milestone.RESUMED,
    "correct": Milestone.CORRECTED,
    "settle": Milestone.SETTLED,
    "archive": Milestone.ARCHIVED,
}
"""What a person's act is; a pause is told of as the phase that it brings."""
