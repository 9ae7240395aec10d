"""The time of each rate limit, which everybody who sends takes in turns: whose turn it is, no other has."""

from __future__ import annotations

from sqlalchemy import bindparam, text
from sqlmodel import Session

_LATE_SECONDS = 0.25
"""So much time that nobody took is not lost: a commit may have to wait."""
LONGEST_QUEUE_SECONDS = 300.0
"""Nobody waits for longer; time that lies further ahead was taken before a clock was set back."""
_TAKE = text(
    """
    INSERT INTO pace (name, free_at) VALUES (:name, :now + :seconds)
    ON CONFLICT (name) DO UPDATE SET free_at = :seconds + CASE
        WHEN pace.free_at < :now - :late THEN :now - :late
        WHEN pace.free_at > :now + :longest THEN :now
        ELSE pace.free_at END
    RETURNING free_at
    """
).bindparams(bindparam("late", _LATE_SECONDS), bindparam("longest", LONGEST_QUEUE_SECONDS))


def take(session: Session, name: str, *, seconds: float, now: float) -> float:
    """Take the next `seconds` of a limit; nobody else has them.

    Args:
        session: a writing transaction.
        name: the limit.
        seconds: how much of its time.
        now: seconds since 1970, read when the transaction had begun.

    Returns:
        When they begin, in seconds since 1970; a little in the past where the limit was idle.
    """
    free_at: float = session.execute(_TAKE, {"name": name, "seconds": seconds, "now": now}).scalar_one()
    return free_at - seconds
