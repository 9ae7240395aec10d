"""Receipts: writing down what providers say, and what it means for messages, requests, addresses and batches."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter

from sqlalchemy import bindparam, insert, update
from sqlalchemy import select as select_columns
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from domain.deliveries import Fate, Kind, Receipt, Saying, fold, is_duplicated
from domain.milestones import Milestone
from domain.splitting import EMAIL, SMS
from domain.states import Phase, RequestState
from domain.suppressions import Mark, suppression_of
from models import batches, milestones, requests, suppressions, tables
from models.requests import Answer
from models.tables import Batch, Message, Recipient, Request

AT_ONCE = 5_000
"""Databases take only so many values in one statement."""
DUPLICATED = (
    "A provider reported two messages for one of ours, so somebody was written to twice. Find out why before you resume "
    "the batch; who it was is in its receipts."
)

Key = tuple[int, str]
"""Row and channel: one message of a batch."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What some receipts brought about.

    Attributes:
        written: receipts that were not known before.
        settled: batches in which a request turned out to be accepted.
        duplicated: batches in which somebody turned out to be written to twice.
    """

    written: int
    settled: frozenset[int]
    duplicated: frozenset[int]


@dataclass(frozen=True, slots=True)
class _Placed:
    """A receipt of a message that we have."""

    row: int
    channel: str
    request: int
    said: Saying


@dataclass(frozen=True, slots=True)
class _Known:
    """A message as the database has it."""

    request: int
    position: int
    fate: tuple[str | None, datetime | None, str | None]


def take(session: Session, receipts: Iterable[Receipt], *, now: datetime) -> Taken:
    """Write receipts and all that follows from them; any order, any repetition, the same result.

    Messages get their delivery, requests that a receipt proves accepted are settled, addresses are
    suppressed, and a batch that wrote to somebody twice is paused. Receipts of what we never sent
    are left out.

    Args:
        session: a writing transaction.
        receipts: of any batches.
        now: the time to record.
    """
    by_uid = {
        uid: list(own) for uid, own in groupby(sorted(receipts, key=attrgetter("batch")), key=attrgetter("batch"))
    }
    ids = session.exec(select(Batch.id, Batch.uid).where(col(Batch.uid).in_(list(by_uid))))
    own = sorted((batch_id, by_uid[uid]) for batch_id, uid in ids if batch_id is not None)
    # All locks before anything is read, in one order: whoever folds must see what all others wrote.
    for batch_id, _ in own:
        session.execute(select(Batch.id).where(Batch.id == batch_id).with_for_update())
    written, settled, duplicated, marks = 0, set(), set(), []
    for batch_id, all_of_batch in own:
        for start in range(0, len(all_of_batch), AT_ONCE):
            piece = _Piece(session, batch_id, all_of_batch[start : start + AT_ONCE])
            written += piece.write(now)
            marks += piece.marks()
            if piece.settle(now):
                settled.add(batch_id)
            if piece.count_duplicates(now):
                duplicated.add(batch_id)
    suppressions.mark(session, marks)
    session.expire_all()
    return Taken(written, frozenset(settled), frozenset(duplicated))


class _Piece:
    """Some receipts of one batch, beside what is known of the same recipients."""

    def __init__(self, session: Session, batch_id: int, receipts: Sequence[Receipt]) -> None:
        self._session = session
        self._batch_id = batch_id
        self._placed = _place(session, batch_id, receipts)
        rows = sorted({one.row for one in self._placed})
        self._messages = _messages(session, batch_id, rows)
        self._placed = [one for one in self._placed if (one.row, one.channel) in self._messages]
        self._before = _sayings(session, batch_id, rows)
        self._after: dict[Key, dict[str, Saying]] = {key: dict(known) for key, known in self._before.items()}
        self._new: list[_Placed] = []
        for one in self._placed:
            known = self._after.setdefault((one.row, one.channel), {})
            if one.said.event_id not in known:
                known[one.said.event_id] = one.said
                self._new.append(one)

    def write(self, now: datetime) -> int:
        """The new receipts, and how far they bring their messages; gives their number."""
        if not self._new:
            return 0
        self._session.connection().execute(
            insert(tables.Receipt),
            [
                {
                    "batch_id": self._batch_id,
                    "row": one.row,
                    "channel": one.channel,
                    "event_id": one.said.event_id,
                    "request": one.request,
                    "kind": one.said.kind.value,
                    "provider_id": one.said.provider_id,
                    "code": one.said.code,
                    "at": one.said.at,
                    "received_at": now,
                }
                for one in self._new
            ],
        )
        self._write_deliveries()
        return len(self._new)

    def _write_deliveries(self) -> None:
        changes = []
        for key in dict.fromkeys((one.row, one.channel) for one in self._new):
            message, fate = self._messages[key], fold(self._after[key].values())
            if message.fate != _as_kept(fate):
                delivery, at, detail = _as_kept(fate)
                place = {"number": message.request, "place": message.position}
                changes.append({**place, "is_now": delivery, "since": at, "why": detail})
        if changes:
            self._session.connection().execute(
                update(Message)
                .where(
                    col(Message.batch_id) == self._batch_id,
                    col(Message.request) == bindparam("number"),
                    col(Message.position) == bindparam("place"),
                )
                .values(delivery=bindparam("is_now"), delivery_at=bindparam("since"), delivery_detail=bindparam("why"))
                .execution_options(synchronize_session=False),
                changes,
            )

    def marks(self) -> list[Mark]:
        """What the new receipts say of addresses."""
        saying = [(one, kind) for one in self._new if (kind := suppression_of(one.said)) is not None]
        address_of = _addresses(self._session, self._batch_id, {one.row for one, _ in saying})
        return [
            Mark(
                channel=one.channel,
                address=address,
                kind=kind,
                at=one.said.at,
                ends=one.said.kind is Kind.OPTED_IN,
                batch_id=self._batch_id,
                row=one.row,
            )
            for one, kind in saying
            if (address := address_of.get((one.row, one.channel))) is not None
        ]

    def settle(self, now: datetime) -> set[int]:
        """Let the requests that these receipts prove accepted be so; gives those that were not known to be."""
        seen = {one.request: one.said.provider_id for one in self._placed}
        answers = [
            Answer(number, RequestState.ACCEPTED, provider_id=seen[number] or None, code="receipt")
            for number in sorted(_unsettled(self._session, self._batch_id, seen.keys()))
        ]
        return requests.settle(self._session, self._batch_id, answers, now=now) if answers else set()

    def count_duplicates(self, now: datetime) -> int:
        """Count the recipients who turn out to be written to twice, each once, and stop sending if there are any."""
        new = _duplicated(self._after) - _duplicated(self._before)
        if new:
            known = batches.by_id(self._session, self._batch_id).duplicates
            batches.note(self._session, self._batch_id, duplicates=known + len(new))
            milestones.note(self._session, self._batch_id, Milestone.DUPLICATE, now=now)
            batches.advance(self._session, self._batch_id, Phase.PAUSED, now=now, reason=DUPLICATED)
        return len(new)


def _as_kept(fate: Fate) -> tuple[str | None, datetime | None, str | None]:
    return fate.delivery.value if fate.delivery else None, fate.at, fate.detail


def _duplicated(sayings: Mapping[Key, Mapping[str, Saying]]) -> set[int]:
    """Rows of which any message has two ids at its provider."""
    return {row for (row, _), known in sayings.items() if is_duplicated(known.values())}


def _place(session: Session, batch_id: int, receipts: Sequence[Receipt]) -> list[_Placed]:
    """Find the row where a receipt names only its request, which has one recipient."""
    row_of = _rows_of_single(session, batch_id, {one.request for one in receipts if one.row is None})
    found = ((one, one.row if one.row is not None else row_of.get(one.request)) for one in receipts)
    return [_Placed(row, one.channel, one.request, one.said) for one, row in found if row is not None]


def _rows_of_single(session: Session, batch_id: int, numbers: set[int]) -> dict[int, int]:
    """The one recipient of each request, also of one whose recipient another request carries by now."""
    found: dict[int, int] = {}
    carried_by = {number: number for number in numbers}
    while carried_by:
        query = select(Message.request, Message.row).where(
            Message.batch_id == batch_id, col(Message.request).in_(list(carried_by.values()))
        )
        rows = dict(session.exec(query).all())
        found |= {number: rows[now_in] for number, now_in in carried_by.items() if now_in in rows}
        left = {now_in: number for number, now_in in carried_by.items() if now_in not in rows}
        children = select(Request.parent, Request.number).where(
            Request.batch_id == batch_id, col(Request.parent).in_(list(left))
        )
        carried_by = {left[parent]: child for parent, child in session.exec(children) if parent in left} if left else {}
    return found


def _messages(session: Session, batch_id: int, rows: Sequence[int]) -> dict[Key, _Known]:
    query = select_columns(
        col(Message.row),
        col(Message.channel),
        col(Message.request),
        col(Message.position),
        col(Message.delivery),
        col(Message.delivery_at),
        col(Message.delivery_detail),
    )
    # SQLite would read the whole batch where the index of rows does not hold all that is asked for.
    place = aliased(Message)
    same_place = (
        (col(place.batch_id) == Message.batch_id)
        & (col(place.request) == Message.request)
        & (col(place.position) == Message.position)
    )
    query = query.join(place, same_place).where(col(place.batch_id) == batch_id, col(place.row).in_(rows))
    found = session.connection().execute(query)
    return {(row, channel): _Known(request, position, tuple(fate)) for row, channel, request, position, *fate in found}


def _sayings(session: Session, batch_id: int, rows: Sequence[int]) -> dict[Key, dict[str, Saying]]:
    """All that is at rest of some recipients."""
    one = tables.Receipt
    query = select_columns(
        col(one.row),
        col(one.channel),
        col(one.event_id),
        col(one.kind),
        col(one.provider_id),
        col(one.code),
        col(one.at),
    ).where(col(one.batch_id) == batch_id, col(one.row).in_(rows))
    found: dict[Key, dict[str, Saying]] = {}
    for row, channel, event_id, kind, provider_id, code, at in session.connection().execute(query):
        found.setdefault((row, channel), {})[event_id] = Saying(event_id, Kind(kind), provider_id, code, at)
    return found


def _addresses(session: Session, batch_id: int, rows: set[int]) -> dict[Key, str | None]:
    if not rows:
        return {}
    query = select(Recipient.row, Recipient.email, Recipient.phone).where(
        Recipient.batch_id == batch_id, col(Recipient.row).in_(list(rows))
    )
    found: dict[Key, str | None] = {}
    for row, email, phone in session.exec(query):
        found[row, EMAIL], found[row, SMS] = email, phone
    return found


def _unsettled(session: Session, batch_id: int, numbers: Collection[int]) -> set[int]:
    """Of some requests, those that are not known to be accepted, or whose people another request is about to carry."""
    if not numbers:
        return set()
    heirs = select(Request.number, Request.parent).where(
        Request.batch_id == batch_id, col(Request.parent).in_(list(numbers))
    )
    carries = dict(session.exec(heirs).all())
    states = [RequestState.NEW, RequestState.IN_DOUBT, RequestState.UNRESOLVED]
    open_ones = select(Request.number, Request.state).where(
        Request.batch_id == batch_id,
        col(Request.number).in_([*numbers, *carries]),
        col(Request.state).in_(states),
    )
    found = set()
    for number, state in session.exec(open_ones):
        if number in numbers:
            found.add(number)
        parent = carries.get(number)
        if parent is not None and state == RequestState.NEW:
            found.add(parent)
    return found
