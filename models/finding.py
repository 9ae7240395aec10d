"""Finding one person among all batches by an address."""

from __future__ import annotations

from sqlalchemy import text
from sqlmodel import Session, col, select

from domain.finding import alike, bucket, rows_of
from models.tables import Batch, ProcessVersion, Recipient

MOST = 200
_WHERE = text(
    """
    SELECT batch_id, rows FROM address_rows
    WHERE bucket = :bucket AND batch_id IN (SELECT id FROM batch) ORDER BY batch_id DESC
    """
)
"""Each batch is looked up by itself: an index over all of them would cost more with each that is added."""

Found = tuple[Recipient, Batch, ProcessVersion]


def with_address(session: Session, address: str, *, most: int = MOST) -> list[Found]:
    """Recipients with an address, however its letters are written; of the newest batches first.

    Args:
        session: a transaction.
        address: an email address, or a phone number in E.164.
        most: how many are looked for.
    """
    wanted = alike(address)
    found: list[Found] = []
    for batch_id, rows in session.execute(_WHERE, {"bucket": bucket(wanted)}):
        there = sorted(set(rows_of(rows)))
        query = select(Recipient).where(Recipient.batch_id == batch_id, col(Recipient.row).in_(there))
        same = [one for one in session.exec(query.order_by(col(Recipient.row))) if _has(one, wanted)]
        if same:
            batch, version = session.exec(
                select(Batch, ProcessVersion).join(ProcessVersion).where(Batch.id == batch_id)
            ).one()
            found += [(one, batch, version) for one in same]
        if len(found) >= most:
            break
    return found[:most]


def _has(recipient: Recipient, wanted: str) -> bool:
    return any(address is not None and alike(address) == wanted for address in (recipient.email, recipient.phone))
