"""Recipients: everybody is counted once, and the result file is told what became of each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlmodel import select

from domain.frames import MESSAGES
from domain.states import RequestState
from models import batches, recipients, requests
from models.database import Database
from models.recipients import Counts
from models.requests import Answer
from models.tables import Message, Recipient
from tests.factories import NOW, batch, deploy, people, planned, process

LEASE = NOW + timedelta(minutes=1)
ANSWERS = (RequestState.ACCEPTED, RequestState.REJECTED, RequestState.IN_DOUBT, RequestState.NEW)


def _answer(
    database: Database,
    batch_id: int,
    number: int,
    state: RequestState,
    *,
    now: datetime = NOW,
    detail: str | None = None,
) -> None:
    with database.write() as session:
        requests.claim(session, batch_id, {number: "d"}, token="t", lease_until=LEASE, now=now)
        answer = Answer(number, state, detail=detail)
        if state is RequestState.UNRESOLVED:
            requests.settle(session, batch_id, [answer], now=now)
            return
        requests.record(session, batch_id, [answer], token_of={number: "t"}, now=now)


def _counts(database: Database, batch_id: int) -> Counts:
    with database.read() as session:
        return recipients.counts(session, batches.by_id(session, batch_id))


def _messages(
    database: Database, batch_id: int, *, stopped: bool = False, silent_since: datetime = NOW
) -> pl.DataFrame:
    with database.read() as session:
        return recipients.messages(session, batch_id, stopped=stopped, silent_since=silent_since)


def _standing(found: Counts) -> dict[str, int]:
    return {
        name: number
        for name in ("sent", "failed", "pending", "in_doubt", "unresolved")
        if (number := getattr(found, name))
    }


def test_before_anything_is_sent_everybody_is_pending(database: Database) -> None:
    batch_id = planned(database, people(emails=2, sms=1, both=1, invalid=3))

    assert _counts(database, batch_id) == Counts(
        rows=7, valid=4, invalid=3, sent=0, failed=0, pending=4, in_doubt=0, unresolved=0
    )


A, R, D, U, N = (
    RequestState.ACCEPTED,
    RequestState.REJECTED,
    RequestState.IN_DOUBT,
    RequestState.UNRESOLVED,
    RequestState.NEW,
)


@pytest.mark.parametrize(
    ("email", "sms", "stands"),
    [
        ([A], [A], "sent"),
        ([A], [R], "sent"),
        ([A], [D], "sent"),
        ([A], [N], "sent"),
        ([A], [], "sent"),
        ([R], [A], "sent"),
        ([D, A], [R], "sent"),
        ([R], [R], "failed"),
        ([R], [], "pending"),
        ([R], [N], "pending"),
        ([R], [D], "in_doubt"),
        ([D], [], "in_doubt"),
        ([D], [R], "in_doubt"),
        ([D], [D], "in_doubt"),
        ([D, U], [D], "in_doubt"),
        ([D, U], [R], "unresolved"),
        ([D, U, A], [R], "sent"),
        ([N], [N], "pending"),
        ([], [], "pending"),
    ],
)
def test_a_recipient_with_two_messages_is_counted_once(
    database: Database, email: Sequence[RequestState], sms: Sequence[RequestState], stands: str
) -> None:
    batch_id = planned(database, people(both=1))
    for number, states in enumerate((email, sms)):
        for state in states:
            _answer(database, batch_id, number, state)

    assert _standing(_counts(database, batch_id)) == {stands: 1}


@given(
    frame=st.builds(
        people, emails=st.integers(0, 3), sms=st.integers(0, 3), both=st.integers(0, 3), invalid=st.just(1)
    ),
    answers=st.lists(st.tuples(st.integers(0, 8), st.sampled_from(ANSWERS)), max_size=15),
)
@hypothesis_settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_counts_always_add_up_to_the_valid_recipients(
    database: Database, frame: pl.DataFrame, answers: list[tuple[int, RequestState]]
) -> None:
    """Whatever the providers answer, in whatever order: X is who has an accepted message, and never falls."""
    batch_id = planned(database, frame, process_version_id=deploy(database, process()))
    sent = 0
    for number, state in answers:
        _answer(database, batch_id, number, state)
        found = _counts(database, batch_id)
        reached = _messages(database, batch_id).filter(state="accepted")["row"].n_unique()

        assert found.valid == found.sent + found.failed + found.pending + found.in_doubt + found.unresolved
        assert min(found.failed, found.pending, found.in_doubt, found.unresolved) >= 0
        assert found.sent == reached
        assert found.sent >= sent
        sent = found.sent


def test_recipients_are_written_in_place_of_those_of_an_earlier_try(database: Database) -> None:
    batch_id = planned(database, people(emails=3))
    with database.write() as session:
        recipients.replace_all(session, batch_id, people(emails=1, sms=1, invalid=1))

    with database.read() as session:
        found = session.exec(select(Recipient).where(Recipient.batch_id == batch_id)).all()
        rows = [(one.row, one.valid, one.email, one.phone) for one in found]
    assert rows == [
        (2, True, "person0@mail.example", None),
        (3, True, None, "+447700900001"),
        (4, False, None, None),
    ]


def test_unusual_addresses_are_kept_letter_by_letter(database: Database) -> None:
    """PostgreSQL takes the rows as text: quotes, apostrophes and letters of any alphabet must pass unchanged."""
    addresses = [
        "o'neil@mail.example",
        'a"b@mail.example',
        "用户@例え.jp",
        "{x}|y~@mail.example",
        "nul\\N@mail.example",
    ]
    frame = people(emails=len(addresses)).with_columns(email=pl.Series(addresses))
    if not database.is_sqlite:
        frame = frame.filter(~pl.col("email").str.contains("\\", literal=True))
    batch_id = planned(database, frame)

    with database.read() as session:
        kept = session.exec(select(Recipient.email).where(Recipient.batch_id == batch_id)).all()
    assert kept == frame["email"].to_list()


def test_the_result_is_told_of_every_message_in_the_order_of_sending(database: Database) -> None:
    batch_id = planned(database, people(emails=1, sms=2, invalid=1))
    _answer(database, batch_id, 0, RequestState.ACCEPTED)
    _answer(database, batch_id, 2, RequestState.REJECTED, detail="no such number")

    found = _messages(database, batch_id)

    assert dict(found.schema) == {"row": pl.UInt32, **dict.fromkeys(list(MESSAGES)[1:], pl.String)}
    assert found.rows() == [
        (2, "email", "accepted", None, "2026-03-01T12:00:00Z", None, None, None),
        (3, "sms", "pending", None, None, None, None, None),
        (4, "sms", "failed", "no such number", None, None, None, None),
    ]


def test_what_is_pending_in_a_stopped_batch_was_stopped(database: Database) -> None:
    batch_id = planned(database, people(emails=1, sms=2))
    _answer(database, batch_id, 0, RequestState.ACCEPTED)
    _answer(database, batch_id, 1, RequestState.IN_DOUBT)

    states = _messages(database, batch_id, stopped=True)["state"].to_list()

    assert states == ["accepted", "in_doubt", "stopped"]


def test_the_time_of_sending_is_told_in_utc_whatever_the_zone(database: Database) -> None:
    batch_id = planned(database, people(emails=1))
    moment = datetime(2026, 7, 1, 1, 30, 15, 999_000, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    _answer(database, batch_id, 0, RequestState.ACCEPTED, now=moment)

    assert _messages(database, batch_id)["sent_at"].to_list() == ["2026-06-30T20:00:15Z"]
    with database.read() as session:
        assert session.exec(select(Message.sent_at)).one() == moment.astimezone(UTC)
        assert session.exec(select(Recipient.sent_at)).one() == moment.astimezone(UTC)


def test_a_recipient_keeps_the_time_of_the_first_accepted_link(database: Database) -> None:
    batch_id = planned(database, people(both=1))
    _answer(database, batch_id, 1, RequestState.ACCEPTED)
    _answer(database, batch_id, 0, RequestState.ACCEPTED, now=NOW + timedelta(hours=1))

    with database.read() as session:
        assert session.exec(select(Recipient.sent_at)).one() == NOW
    assert batch(database, batch_id).sent == 1


def test_a_batch_without_messages_has_none_to_tell(database: Database) -> None:
    assert _messages(database, 1).is_empty()
