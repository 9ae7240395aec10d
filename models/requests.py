"""The request ledger: what will be sent, what was tried, what came of it.

The protocol of one request: `claim` commits the intent under a token and a lease
before the first byte leaves; the answer is recorded by the holder of that token alone.
An intent whose lease ran out belongs to nobody who can say what happened: it is in doubt.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as replace_fields
from datetime import datetime
from functools import cache

import polars as pl
from sqlalchemy import ColumnElement, Update, bindparam, exists, literal, or_, text, update
from sqlmodel import Session, col, func, select

from domain.states import MESSAGE_OF_REQUEST, MessageState, Phase, RequestState, Status, before_request
from models import batches
from models.bulk import changed_rows, insert, read
from models.tables import OPEN, Batch, Message, Recipient, Request, UtcDateTime


@dataclass(frozen=True, slots=True)
class Answer:
    """What is to be recorded of one request.

    Attributes:
        number: the request.
        state: what it becomes: `NEW` to be made again, or one that ends this attempt.
        detail: for people; never holds an address, a name or a text.
        not_before: with `NEW`, when it may be made again.
    """

    number: int
    state: RequestState
    provider_id: str | None = None
    http_status: int | None = None
    code: str | None = None
    detail: str | None = None
    not_before: datetime | None = None


def write_plan(session: Session, batch_id: int, messages: pl.DataFrame, *, now: datetime) -> bool:
    """Write every request and message of an approved batch and let sending begin.

    Args:
        session: a writing transaction; all is written or nothing.
        batch_id: the batch.
        messages: what `domain.splitting.split` gives.
        now: the time to record.

    Returns:
        True for the one caller that wrote it; False where the batch is not approved or is past waiting.
    """
    if batches.by_id(session, batch_id).status != Status.APPROVED:
        return False
    begun = batches.advance(session, batch_id, Phase.SENDING, now=now, only_from={Phase.WAITING})
    if not begun or has_plan(session, batch_id):
        return False
    requests = messages.group_by("request", maintain_order=True).agg(
        pl.col("chunk").first(), pl.col("channel").first(), pl.len().cast(pl.Int64).alias("size")
    )
    insert(
        session,
        "request",
        requests.select(
            pl.lit(batch_id).alias("batch_id"),
            pl.col("request").alias("number"),
            "chunk",
            "channel",
            "size",
            pl.lit(RequestState.NEW.value).alias("state"),
            pl.lit(0).alias("attempt"),
        ),
    )
    insert(
        session,
        "message",
        messages.select(
            pl.lit(batch_id).alias("batch_id"),
            "request",
            "position",
            "row",
            "channel",
            pl.lit(MessageState.PENDING.value).alias("state"),
        ),
    )
    batches.note(session, batch_id, request_count=requests.height)
    if session.connection().dialect.name == "postgresql":
        session.execute(text("ANALYZE message"))  # it knows nothing of a million new rows until it looks
    return True


def has_plan(session: Session, batch_id: int) -> bool:
    """Whether the batch's requests were written."""
    return session.exec(select(Request.number).where(Request.batch_id == batch_id).limit(1)).first() is not None


def chunks(session: Session, batch_id: int) -> list[int]:
    """The numbers of the chunks that still hold a request to be made, in order of sending."""
    query = (
        select(Request.chunk)
        .where(Request.batch_id == batch_id, col(Request.state).in_([RequestState.NEW, RequestState.INTENT]))
        .distinct()
        .order_by(col(Request.chunk))
    )
    return list(session.exec(query).all())


def due(session: Session, batch_id: int, chunk: int, *, limit: int, now: datetime) -> list[Request]:
    """Requests of a chunk that may be made now, in order."""
    query = (
        select(Request)
        .where(
            Request.batch_id == batch_id,
            Request.chunk == chunk,
            Request.state == RequestState.NEW,
            col(Request.not_before).is_(None) | (col(Request.not_before) <= now),
        )
        .order_by(col(Request.number))
        .limit(limit)
    )
    return list(session.exec(query).all())


@dataclass(frozen=True, slots=True)
class Members:
    """Who is in the open requests of a chunk, by request and position, and on which channel."""

    channel: str
    rows: dict[int, list[int]]


def members(session: Session, batch_id: int, chunk: int) -> Members | None:
    """The people of a chunk's requests that are not answered for good; None if there are none.

    Those in doubt are among them: another request may carry them while the chunk is being sent.
    """
    unanswered = [RequestState.NEW, RequestState.INTENT, RequestState.IN_DOUBT, RequestState.UNRESOLVED]
    query = (
        select(Request.number, Request.channel)
        .where(Request.batch_id == batch_id, Request.chunk == chunk, col(Request.state).in_(unanswered))
        .order_by(col(Request.number))
    )
    found = session.exec(query).all()
    if not found:
        return None
    return Members(found[0][1], rows_of(session, batch_id, [number for number, _ in found]))


def open_until(session: Session, batch_id: int, chunk: int, *, now: datetime) -> datetime | None:
    """The next moment at which an open request of a chunk may have to be looked at; None if none is open.

    That is when a provider's waiting time ends, when the lease of another worker does, or now.
    """
    moment = func.coalesce(Request.lease_until, Request.not_before, literal(now, UtcDateTime()))
    query = select(func.min(moment)).where(
        Request.batch_id == batch_id,
        Request.chunk == chunk,
        col(Request.state).in_([RequestState.NEW, RequestState.INTENT]),
    )
    return session.exec(query).one()


def changed_content(session: Session, batch_id: int, digests: Mapping[int, str]) -> list[int]:
    """The requests that were tried before with other bytes than these."""
    query = select(Request.number, Request.content_sha256).where(
        Request.batch_id == batch_id,
        col(Request.number).in_(digests),
        col(Request.content_sha256).is_not(None),
        Request.state == RequestState.NEW,
    )
    return [number for number, digest in session.exec(query) if digest != digests[number]]


def rows_of(session: Session, batch_id: int, numbers: Collection[int]) -> dict[int, list[int]]:
    """The recipients' rows in each request, by position."""
    if not numbers:
        return {}
    parameters = {"batch_id": batch_id, "first": min(numbers), "last": max(numbers)}
    found = read(session, _MEMBERS, parameters, schema=pl.Schema({"request": pl.Int64, "row": pl.Int64}))
    parts = found.partition_by("request", as_dict=True, include_key=False)
    return {number: parts[number,]["row"].to_list() if (number,) in parts else [] for number in numbers}


_MEMBERS = text(
    "SELECT request, row FROM message WHERE batch_id = :batch_id AND request BETWEEN :first AND :last "
    "ORDER BY request, position"
)


def claim(
    session: Session,
    batch_id: int,
    contents: Mapping[int, str],
    *,
    token: str,
    lease_until: datetime,
    now: datetime,
) -> set[int]:
    """Commit the intent to make some requests, where the batch may still be sent.

    Args:
        session: a writing transaction; it must be committed before the first byte leaves.
        batch_id: the batch.
        contents: request number → SHA-256 of the bytes that will leave.
        token: unique to this call; needed to record the answers.
        lease_until: after this time nobody may send under this claim.
        now: the time to record.

    Returns:
        The requests that are now the caller's. None where the batch was stopped or paused; not
        those that another worker has, nor those whose bytes differ from an earlier attempt.
    """
    session.flush()
    connection = session.connection()
    # Shared, so that a decision waits for the claims under way: what is claimed after it is nothing.
    connection.execute(_SHARED, {"of_batch": batch_id})
    common = {"of_batch": batch_id, "token": token, "lease_end": lease_until, "moment": now}
    connection.execute(
        _CLAIM, [{"request_number": number, "digest": digest, **common} for number, digest in contents.items()]
    )
    return set(connection.scalars(_CLAIMED, {"of_batch": batch_id, "token": token}))


def record(
    session: Session, batch_id: int, answers: Sequence[Answer], *, token_of: Mapping[int, str], now: datetime
) -> set[int]:
    """Record answers, and what they mean for the members and for the batch's count of sent.

    Args:
        session: a writing transaction.
        batch_id: the batch.
        answers: one a request.
        token_of: request number → the token it was claimed under.
        now: the time to record.

    Returns:
        The requests that were recorded; an answer is left out if the request is no longer the
        caller's, but for an acceptance, which settles a doubt whoever raised it.
    """
    # One writer of a batch's outcomes at a time, and requests in one order: else PostgreSQL finds deadlocks.
    session.flush()
    connection = session.connection()
    connection.execute(_ALONE, {"of_batch": batch_id})
    answers = sorted(answers, key=lambda answer: answer.number)
    standing = connection.execute(_STANDING, {"of_batch": batch_id, "numbers": [one.number for one in answers]})
    found = {number: (claim, RequestState(state)) for number, claim, state in standing}
    due = [
        answer
        for answer in answers
        if answer.number in found and _is_due(answer, token_of[answer.number], *found[answer.number])
    ]
    for state in dict.fromkeys(answer.state for answer in due):
        group = [answer for answer in due if answer.state is state]
        _record_all(session, batch_id, group, token_of, now)
        if state in MESSAGE_OF_REQUEST:
            _record_members(session, batch_id, group, state=MESSAGE_OF_REQUEST[state], now=now)
    _count_sent(session, batch_id, [a.number for a in due if a.state is RequestState.ACCEPTED], now=now)
    return {answer.number for answer in due}


def _is_due(answer: Answer, token: str, claim: str | None, state: RequestState) -> bool:
    """Whether a request that stands so still takes this answer."""
    takes = _HELD if answer.state is RequestState.ACCEPTED else {RequestState.INTENT}
    return claim == token and state in takes & before_request(answer.state)


def _stands_in(to: RequestState) -> ColumnElement[bool]:
    """Whether a request may enter `to`; written out, as prepared statements take no lists."""
    return or_(*(col(Request.state) == state for state in sorted(before_request(to))))


def _is_held() -> ColumnElement[bool]:
    return or_(*(col(Request.state) == state for state in sorted(_HELD)))


_HELD = {RequestState.INTENT, RequestState.IN_DOUBT, RequestState.UNRESOLVED}
"""Where a late acceptance still reaches its request; any other answer comes too late once it is in doubt."""


def _record_all(
    session: Session, batch_id: int, answers: Sequence[Answer], token_of: Mapping[int, str], now: datetime
) -> None:
    """Record answers of one state, each only as `_is_due` allows."""
    session.connection().execute(
        _recording(answers[0].state),
        [
            {
                "of_batch": batch_id,
                "request_number": answer.number,
                "token": token_of[answer.number],
                "moment": now,
                "their_id": answer.provider_id,
                "status": answer.http_status,
                "word": answer.code,
                "why": answer.detail,
                "wait": answer.not_before,
            }
            for answer in answers
        ],
    )
    session.expire_all()


@cache
def _recording(state: RequestState) -> Update:
    free = {"claim": None, "lease_until": None} if state is RequestState.NEW else {}
    return (
        update(Request)
        .where(
            col(Request.batch_id) == bindparam("of_batch"),
            col(Request.number) == bindparam("request_number"),
            col(Request.claim) == bindparam("token"),
            _stands_in(state),
            _is_held() if state is RequestState.ACCEPTED else col(Request.state) == RequestState.INTENT,
        )
        .values(
            state=state.value,
            answered_at=bindparam("moment"),
            provider_id=bindparam("their_id"),
            http_status=bindparam("status"),
            code=bindparam("word"),
            detail=bindparam("why"),
            not_before=bindparam("wait"),
            **free,
        )
    )


def _record_members(
    session: Session, batch_id: int, answers: Sequence[Answer], *, state: MessageState, now: datetime
) -> None:
    if not answers:
        return
    session.connection().execute(
        _recording_members(state),
        [
            {"of_batch": batch_id, "request_number": answer.number, "why": answer.detail, "moment": now}
            for answer in answers
        ],
    )


@cache
def _recording_members(state: MessageState) -> Update:
    return (
        update(Message)
        .where(col(Message.batch_id) == bindparam("of_batch"), col(Message.request) == bindparam("request_number"))
        .values(
            state=state.value,
            detail=bindparam("why"),
            sent_at=bindparam("moment") if state is MessageState.ACCEPTED else None,
        )
    )


def _count_sent(session: Session, batch_id: int, numbers: Sequence[int], *, now: datetime) -> None:
    """Raise the batch's X by the recipients who had no accepted link before; once each, however often this runs."""
    if not numbers:
        return
    session.flush()
    connection = session.connection()
    newly = connection.execute(_FIRST_LINK, {"of_batch": batch_id, "numbers": numbers, "moment": now}).rowcount
    connection.execute(_MORE_SENT, {"of_batch": batch_id, "newly": newly})
    session.expire_all()


# Made once: SQLAlchemy takes longer to put such a statement together than SQLite to carry it out.
_OF_BATCH = col(Batch.id) == bindparam("of_batch")
_ALONE = select(Batch.id).where(_OF_BATCH).with_for_update()
_SHARED = select(Batch.id).where(_OF_BATCH).with_for_update(read=True)
_CLAIM = (
    update(Request)
    .where(
        col(Request.batch_id) == bindparam("of_batch"),
        col(Request.number) == bindparam("request_number"),
        _stands_in(RequestState.INTENT),
        col(Request.content_sha256).is_(None) | (col(Request.content_sha256) == bindparam("digest")),
        exists().where(_OF_BATCH, col(Batch.phase) == Phase.SENDING, col(Batch.status) == Status.APPROVED),
    )
    .values(
        state=RequestState.INTENT.value,
        attempt=Request.attempt + 1,
        claim=bindparam("token"),
        lease_until=bindparam("lease_end"),
        asked_at=bindparam("moment"),
        content_sha256=bindparam("digest"),
    )
)
_CLAIMED = select(Request.number).where(
    col(Request.batch_id) == bindparam("of_batch"), col(Request.claim) == bindparam("token")
)
_STANDING = select(Request.number, Request.claim, Request.state).where(
    col(Request.batch_id) == bindparam("of_batch"), col(Request.number).in_(bindparam("numbers", expanding=True))
)
_FIRST_LINK = (
    update(Recipient)
    .where(
        col(Recipient.batch_id) == bindparam("of_batch"),
        col(Recipient.row).in_(
            select(Message.row).where(
                col(Message.batch_id) == bindparam("of_batch"),
                col(Message.request).in_(bindparam("numbers", expanding=True)),
            )
        ),
        col(Recipient.sent_at).is_(None),
    )
    .values(sent_at=bindparam("moment"))
)
_MORE_SENT = update(Batch).where(_OF_BATCH).values(sent=Batch.sent + bindparam("newly"))


def replace(
    session: Session,
    batch_id: int,
    number: int,
    *,
    groups: Sequence[Sequence[int]],
    refused: Mapping[int, str],
    token: str,
    answer: Answer,
    now: datetime,
) -> bool:
    """Let new requests carry the members of one that the provider refused as a whole.

    Args:
        session: a writing transaction.
        batch_id: the batch.
        number: the refused request.
        groups: positions in it; each group becomes a request of the same chunk.
        refused: position → why, for members that no new request carries.
        token: the token it was claimed under.
        answer: what to record of the refused request; its state must be `REPLACED`.
        now: the time to record.

    Returns:
        False, with nothing changed, if the request is no longer the caller's.
    """
    if number not in record(session, batch_id, [answer], token_of={number: token}, now=now):
        return False
    _carry_on(session, batch_id, number, groups)
    for position, why in refused.items():
        session.execute(
            update(Message)
            .where(col(Message.batch_id) == batch_id, col(Message.request) == number, col(Message.position) == position)
            .values(state=MessageState.FAILED.value, detail=why)
        )
    session.expire_all()
    return True


def _carry_on(session: Session, batch_id: int, number: int, groups: Sequence[Sequence[int]]) -> None:
    """Let new requests, one a group of positions, carry the members of request `number`."""
    parent = session.get_one(Request, (batch_id, number))
    first = session.execute(
        update(Batch)
        .where(col(Batch.id) == batch_id)
        .values(request_count=Batch.request_count + len(groups))
        .returning(col(Batch.request_count))
    ).scalar_one() - len(groups)
    for child, positions in enumerate(groups, start=first):
        session.add(
            Request(
                batch_id=batch_id,
                number=child,
                chunk=parent.chunk,
                channel=parent.channel,
                size=len(positions),
                parent=number,
            )
        )
        session.flush()
        session.connection().execute(
            _MOVE,
            [
                {"batch_id": batch_id, "old": number, "old_position": old, "new": child, "new_position": new}
                for new, old in enumerate(positions)
            ],
        )


_MOVE = text(
    "UPDATE message SET request = :new, position = :new_position, state = 'pending', detail = NULL "
    "WHERE batch_id = :batch_id AND request = :old AND position = :old_position"
)


def on_the_way(session: Session, batch_id: int) -> int:
    """How many messages have left, or are about to, without an answer yet; a batch that was stopped waits for no others."""
    query = select(func.coalesce(func.sum(Request.size), 0)).where(
        Request.batch_id == batch_id, Request.state == RequestState.INTENT, text(OPEN)
    )
    return int(session.exec(query).one())


def doubt_expired(session: Session, batch_id: int, *, now: datetime) -> int:
    """Put every intent whose lease ran out in doubt: its worker died between the intent and the answer.

    Returns:
        How many there were.
    """
    expired = session.exec(
        select(Request).where(
            Request.batch_id == batch_id, Request.state == RequestState.INTENT, col(Request.lease_until) < now
        )
    ).all()
    token_of = {request.number: request.claim or "" for request in expired}
    answers = [
        Answer(
            number,
            RequestState.IN_DOUBT,
            code="worker_lost",
            detail="The sender stopped before the provider's answer was recorded.",
        )
        for number in token_of
    ]
    return len(record(session, batch_id, answers, token_of=token_of, now=now))


def settle(session: Session, batch_id: int, answers: Sequence[Answer], *, now: datetime) -> set[int]:
    """Record what evidence, or a person, says of requests that nobody holds any more.

    An acceptance also reaches a request that replaces the one it speaks of and has not left yet.

    Args:
        session: a writing transaction.
        batch_id: the batch.
        answers: one a request; `ACCEPTED` or `UNRESOLVED`.
        now: the time to record.

    Returns:
        The requests that were changed; none the second time.
    """
    session.execute(select(Batch.id).where(Batch.id == batch_id).with_for_update())
    settled = set()
    for answer in sorted(answers, key=lambda answer: answer.number):
        for number in _heirs(session, batch_id, answer):
            own = replace_fields(answer, number=number)
            if _settle_one(session, batch_id, own, now):
                _record_members(session, batch_id, [own], state=MESSAGE_OF_REQUEST[own.state], now=now)
                settled.add(number)
                if own.state is RequestState.ACCEPTED:
                    _count_sent(session, batch_id, [number], now=now)
    return settled


def _heirs(session: Session, batch_id: int, answer: Answer) -> list[int]:
    """The request an answer speaks of; for an acceptance also those that replace it, and those that replace them."""
    found = [answer.number]
    if answer.state is RequestState.ACCEPTED:
        for number in found:  # grows while it is read
            query = select(Request.number).where(Request.batch_id == batch_id, Request.parent == number)
            found += session.exec(query).all()
    return found


def _settle_one(session: Session, batch_id: int, answer: Answer, now: datetime) -> bool:
    statement = (
        update(Request)
        .where(
            col(Request.batch_id) == batch_id,
            col(Request.number) == answer.number,
            col(Request.state).in_(before_request(answer.state) - {RequestState.INTENT}),
        )
        .values(
            state=answer.state.value,
            answered_at=now,
            provider_id=answer.provider_id,
            code=answer.code,
            detail=answer.detail,
        )
    )
    return changed_rows(session, statement) == 1


def send_again(session: Session, batch_id: int, number: int, *, why: str, now: datetime) -> bool:
    """Let a new request carry the people of one whose doubt is over: it certainly was not accepted, or a person wants it.

    The batch goes back to sending if it was past it; one that was rejected or halted stays so.

    Returns:
        False, with nothing changed, if the request is neither in doubt nor unresolved.
    """
    session.execute(select(Batch.id).where(Batch.id == batch_id).with_for_update())
    statement = (
        update(Request)
        .where(
            col(Request.batch_id) == batch_id,
            col(Request.number) == number,
            col(Request.state).in_([RequestState.IN_DOUBT, RequestState.UNRESOLVED]),
        )
        .values(state=RequestState.REPLACED.value, answered_at=now, detail=why)
    )
    if changed_rows(session, statement) != 1:
        return False
    size = session.get_one(Request, (batch_id, number)).size
    _carry_on(session, batch_id, number, [range(size)])
    batches.advance(session, batch_id, Phase.SENDING, now=now, only_from={Phase.SETTLING, Phase.FINISHED})
    return True


def doubtful(
    session: Session, state: RequestState, batch_id: int | None = None, *, most: int | None = None
) -> list[Request]:
    """Requests in doubt, or unresolved ones, of one batch or of all; oldest doubt first, and at most so many."""
    query = select(Request).where(text(OPEN), Request.state == state)
    if batch_id is not None:
        query = query.where(Request.batch_id == batch_id)
    return list(
        session.exec(
            query.order_by(col(Request.answered_at), col(Request.batch_id), col(Request.number)).limit(most)
        ).all()
    )


def how_many(session: Session, batch_id: int, state: RequestState) -> int:
    """How many requests of a batch are unresolved, or in doubt."""
    query = select(func.count()).select_from(Request).where(text(OPEN), Request.state == state)
    return session.exec(query.where(Request.batch_id == batch_id)).one()


def first_rows(session: Session, batch_id: int, numbers: Collection[int], *, most: int) -> dict[int, list[int]]:
    """The rows of the first members of some requests, by position; of an email request there may be a thousand."""
    query = select(Message.request, Message.row).where(
        Message.batch_id == batch_id, col(Message.request).in_(list(numbers)), col(Message.position) < most
    )
    found: dict[int, list[int]] = {number: [] for number in numbers}
    for number, row in session.exec(query.order_by(col(Message.request), col(Message.position))):
        found[number].append(row)
    return found


def with_unresolved(session: Session, batch_ids: Collection[int]) -> dict[int, int]:
    """How many unresolved requests some batches have; those without any are left out."""
    query = select(Request.batch_id, func.count()).where(text(OPEN), Request.state == RequestState.UNRESOLVED)
    return dict(session.exec(query.where(col(Request.batch_id).in_(batch_ids)).group_by(col(Request.batch_id))).all())


def abandoned(session: Session, *, now: datetime) -> list[int]:
    """Batches with an intent whose lease ran out, whatever phase they stand in."""
    query = select(Request.batch_id).where(
        text(OPEN), Request.state == RequestState.INTENT, col(Request.lease_until) < now
    )
    return sorted(set(session.exec(query)))


def by_state(session: Session, batch_id: int) -> dict[RequestState, int]:
    """How many requests of a batch stand in each state."""
    query = select(Request.state, func.count()).where(Request.batch_id == batch_id).group_by(Request.state)
    return {RequestState(state): number for state, number in session.exec(query)}
