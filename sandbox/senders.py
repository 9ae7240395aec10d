"""The queue of each Twilio sender: how long a message waits for its turn, and when there is no room."""

from sandbox.settings import Settings
from sandbox.store import Store

_LAST_TURNS = (
    "SELECT COALESCE(json_extract(r.details, '$.MessagingServiceSid'), r.sender), MAX(m.due_at) FROM messages m "
    "JOIN requests r ON r.id = m.request_id WHERE m.provider = 'twilio' AND m.state IN ('queued', 'accepted') "
    "AND m.due_at IS NOT NULL GROUP BY 1"
)


class Senders:
    """Used on the event loop only."""

    def __init__(self, store: Store) -> None:
        """Take up what still waits; it is read when the first message asks for its turn."""
        self._store = store
        self._free_at: dict[str, float] | None = None

    def turn(self, sender: str, segments: int, *, now: float, settings: Settings) -> float | None:
        """The real moment at which the message has its turn; None when the sender's queue is full."""
        if self._free_at is None:
            self._free_at = dict(self._store.rows(_LAST_TURNS))
        begin = max(now, self._free_at.get(sender, 0.0))
        if begin - now > settings.real(settings.queue_seconds):
            return None
        self._free_at[sender] = begin + settings.real(segments / (settings.segments_per_second or 1.0))
        return begin

    def clear(self) -> None:
        """No message waits any more."""
        self._free_at = {}
