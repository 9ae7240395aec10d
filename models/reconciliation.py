"""Counting a batch's books from its messages."""

from __future__ import annotations

from sqlalchemy import text
from sqlmodel import Session

from domain.reconciliation import Account, Reconciliation
from domain.states import MessageState, Phase
from models.recipients import HELD
from models.tables import Batch

_PART = {
    MessageState.ACCEPTED: "sent",
    MessageState.FAILED: "failed",
    MessageState.IN_DOUBT: "in_doubt",
    MessageState.UNRESOLVED: "unresolved",
    MessageState.PENDING: "pending",
}
_COUNTED = text(
    """
    SELECT m.channel, m.state, count(*),
        sum(CASE WHEN m.state = 'failed' AND r.code = :held THEN 1 ELSE 0 END)
    FROM message m JOIN request r ON r.batch_id = m.batch_id AND r.number = m.request
    WHERE m.batch_id = :batch_id GROUP BY m.channel, m.state
    """
)


def reconcile(session: Session, batch: Batch, *, channels: frozenset[str]) -> Reconciliation:
    """The books of a batch at this moment; reads every message, a second for a million.

    Args:
        session: a transaction.
        batch: the batch.
        channels: those its process sends on; each has an account, also before anything is planned.
    """
    parts: dict[str, dict[str, int]] = {channel: {} for channel in sorted(channels)}
    for channel, state, number, held in session.execute(_COUNTED, {"batch_id": batch.id, "held": HELD}):
        account = parts.setdefault(channel, {})
        part = _PART[MessageState(state)]
        if part == "pending" and batch.phase == Phase.STOPPED:
            part = "stopped"
        account[part] = number - int(held)
        if held:
            account["held"] = int(held)
    planned = any(parts.values())
    before = "stopped" if batch.phase == Phase.STOPPED else "pending"
    found = {}
    for channel, account in parts.items():
        rest = batch.valid - sum(account.values())
        found[channel] = Account(**account, **{"no_address" if planned else before: rest}, rejected=batch.invalid)
    return Reconciliation(batch.row_count, found)
