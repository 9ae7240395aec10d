"""Receipts in the ledger: the same result in any order, doubts that end, people who are written to twice."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import delete
from sqlmodel import Session, col, select

from domain.deliveries import Kind, Receipt, Saying
from domain.states import Phase, RequestState
from models import batches, receipts, recipients, requests, suppressions, tables
from models.database import Database
from models.receipts import Taken
from models.requests import Answer
from models.tables import Message, Request
from tests.factories import NOW, batch, deploy, people, planned, process, race

LEASE = NOW + timedelta(minutes=1)
ACCEPTED, DOUBT, UNRESOLVED = RequestState.ACCEPTED, RequestState.IN_DOUBT, RequestState.UNRESOLVED


def receipt(database: Database, batch_id: int, kind: Kind = Kind.DELIVERED, **fields: Any) -> Receipt:
    """About the email to the first row, unless `fields` say otherwise."""
    usual: dict[str, Any] = {"row": 2, "channel": "email", "request": 0, "code": None, "minutes": 0, "provider_id": "a"}
    one = {**usual, "event": uuid.uuid4().hex, **fields}
    said = Saying(one["event"], kind, one["provider_id"], one["code"], NOW + timedelta(minutes=one["minutes"]))
    return Receipt(batch(database, batch_id).uid, one["request"], one["row"], one["channel"], said)


def take(database: Database, *found: Receipt) -> Taken:
    with database.write() as session:
        return receipts.take(session, found, now=NOW)


def answered(database: Database, batch_id: int, number: int, *states: RequestState) -> None:
    for state in states:
        with database.write() as session:
            requests.claim(session, batch_id, {number: "d"}, token="t", lease_until=LEASE, now=NOW)
            requests.record(session, batch_id, [Answer(number, state)], token_of={number: "t"}, now=NOW)


def settled(database: Database, batch_id: int, number: int, state: RequestState) -> None:
    with database.write() as session:
        requests.settle(session, batch_id, [Answer(number, state)], now=NOW)


def rows(session: Session, query: Any) -> list[Any]:
    return [tuple(row) for row in session.exec(query).all()]


def told(database: Database, batch_id: int) -> list[tuple[int, str, str | None, str | None]]:
    """Row, channel, delivery and detail of every message."""
    with database.read() as session:
        query = select(Message.row, Message.channel, Message.delivery, Message.delivery_detail)
        return rows(session, query.where(Message.batch_id == batch_id).order_by(col(Message.request), col(Message.row)))


def state_of(database: Database, batch_id: int, number: int) -> tuple[str, str | None]:
    with database.read() as session:
        found = session.get_one(Request, (batch_id, number))
        return found.state, found.provider_id


def listed(database: Database) -> list[tuple[str, str, str]]:
    with database.read() as session:
        return sorted((one.channel, one.address, one.kind) for one in suppressions.listed(session))


def at_rest(database: Database, batch_id: int) -> int:
    with database.read() as session:
        return len(session.exec(select(tables.Receipt.event_id).where(tables.Receipt.batch_id == batch_id)).all())


# Deliveries


def test_a_receipt_says_how_far_its_own_message_has_come(database: Database) -> None:
    batch_id = planned(database, people(both=1, emails=1))

    taken = take(database, receipt(database, batch_id, Kind.BOUNCED, row=3, code="5.1.1"))

    assert taken == Taken(1, frozenset({batch_id}), frozenset())
    assert told(database, batch_id) == [
        (2, "email", None, None),
        (3, "email", "bounced", "There is no such mailbox (5.1.1, permanent)."),
        (3, "sms", None, None),
    ]


def test_an_sms_is_known_by_its_request_alone(database: Database) -> None:
    batch_id = planned(database, people(sms=3))

    take(database, receipt(database, batch_id, Kind.UNDELIVERED, row=None, channel="sms", request=1, code="30003"))

    assert [delivery for _, _, delivery, _ in told(database, batch_id)] == [None, "undelivered", None]


def test_an_sms_whose_request_was_replaced_is_still_known(database: Database) -> None:
    batch_id = planned(database, people(sms=2))
    answered(database, batch_id, 1, DOUBT)
    for number in (1, 2):
        with database.write() as session:
            assert requests.send_again(session, batch_id, number, why="lost", now=NOW)
        if number == 1:
            answered(database, batch_id, 2, DOUBT)

    take(database, receipt(database, batch_id, row=None, channel="sms", request=1))

    assert told(database, batch_id)[-1] == (3, "sms", "delivered", None)


def test_receipts_of_what_we_never_sent_are_left_out(database: Database) -> None:
    batch_id = planned(database, people(emails=1))
    known = receipt(database, batch_id)

    taken = take(
        database,
        Receipt("f" * 32, 0, 2, "email", known.said),
        receipt(database, batch_id, row=99),
        receipt(database, batch_id, row=2, channel="sms"),
        receipt(database, batch_id, row=None, channel="sms", request=77),
    )

    assert taken == Taken(0, frozenset(), frozenset())
    assert at_rest(database, batch_id) == 0


def test_a_repeated_receipt_is_written_once(database: Database) -> None:
    batch_id = planned(database, people(emails=1))
    one = receipt(database, batch_id)

    assert [take(database, one, one).written, take(database, one).written] == [1, 0]
    assert at_rest(database, batch_id) == 1


def test_two_posts_at_once_lose_nothing(database: Database) -> None:
    """Each must see what the other wrote, or the last one would tell half of it."""
    batch_id = planned(database, people(emails=20))
    delivered = [receipt(database, batch_id, row=row) for row in range(2, 22)]
    bounced = [receipt(database, batch_id, Kind.BOUNCED, row=row) for row in range(2, 22)]

    for ended in race(lambda: take(database, *delivered), lambda: take(database, *bounced)):
        assert isinstance(ended, Taken), ended

    assert {delivery for _, _, delivery, _ in told(database, batch_id)} == {"bounced"}


def test_thousands_at_once_are_taken_in_pieces(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipts, "AT_ONCE", 3)
    batch_id = planned(database, people(emails=10))

    assert take(database, *(receipt(database, batch_id, row=row) for row in range(2, 12))).written == 10


KINDS = st.sampled_from([kind for kind in Kind if kind is not Kind.DEFERRED])
SPECS = st.tuples(
    st.sampled_from([2, 3]), st.sampled_from(["email", "sms"]), KINDS, st.integers(0, 3), st.sampled_from("ab")
)


@given(specs=st.lists(SPECS, min_size=1, max_size=8), data=st.data())
@hypothesis_settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_in_any_posts_gives_the_same_ledger(
    database: Database, specs: list[tuple[int, str, Kind, int, str]], data: st.DataObject
) -> None:
    version = deploy(database, process())
    shuffled = data.draw(st.permutations(range(len(specs))))
    results = []
    for order in (range(len(specs)), shuffled):
        with database.write() as session:
            for one in suppressions.listed(session):
                suppressions.remove(session, one.channel, one.address, by="x@y.example", now=NOW)
        batch_id = planned(database, people(both=2), process_version_id=version)
        with database.read() as session:
            numbers = {
                (row, channel): number
                for row, channel, number in session.exec(
                    select(Message.row, Message.channel, Message.request).where(Message.batch_id == batch_id)
                )
            }
        events = [
            receipt(
                database, batch_id, kind, row=row, channel=channel, request=numbers[row, channel],
                minutes=60 + minutes, provider_id=provider_id, event=f"e{place}",
            )
            for place, (row, channel, kind, minutes, provider_id) in enumerate(specs)
        ]  # fmt: skip
        for place in order:
            again = data.draw(st.sampled_from(events))
            take(database, events[place], *([again] if order is shuffled else []))
        if order is shuffled:
            take(database, *events)
        with database.read() as session:
            stand = batches.by_id(session, batch_id)
            results.append((told(database, batch_id), listed(database), stand.duplicates, stand.sent))
        with database.write() as session:
            session.execute(delete(tables.Suppression))
    assert results[0] == results[1]


# Doubts


@pytest.mark.parametrize("states", [(DOUBT,), (DOUBT, UNRESOLVED)])
def test_a_receipt_ends_a_doubt_for_everybody_in_the_request(
    database: Database, states: Sequence[RequestState]
) -> None:
    batch_id = planned(database, people(emails=3))
    answered(database, batch_id, 0, DOUBT)
    if UNRESOLVED in states:
        settled(database, batch_id, 0, UNRESOLVED)

    taken = take(database, receipt(database, batch_id, Kind.ACCEPTED, row=3, provider_id="xyz"))

    assert taken.settled == {batch_id}
    assert state_of(database, batch_id, 0) == ("accepted", "xyz")
    assert batch(database, batch_id).sent == 3
    assert take(database, receipt(database, batch_id, row=2)).settled == frozenset()


def test_a_receipt_keeps_the_request_from_leaving_that_would_replace_it(database: Database) -> None:
    batch_id = planned(database, people(emails=2))
    answered(database, batch_id, 0, DOUBT)
    with database.write() as session:
        requests.send_again(session, batch_id, 0, why="lost", now=NOW)

    take(database, receipt(database, batch_id, row=2, request=0))

    assert state_of(database, batch_id, 1)[0] == "accepted"
    assert batch(database, batch_id).sent == 2


def test_a_request_under_way_is_left_to_its_sender(database: Database) -> None:
    batch_id = planned(database, people(emails=1))
    with database.write() as session:
        requests.claim(session, batch_id, {0: "d"}, token="t", lease_until=LEASE, now=NOW)

    assert take(database, receipt(database, batch_id)).settled == frozenset()
    assert state_of(database, batch_id, 0)[0] == "intent"


# Written to twice


def test_two_messages_at_the_provider_stop_the_batch_and_are_counted_once_a_person(database: Database) -> None:
    batch_id = planned(database, people(both=2))

    def both(row: int, channel: str, request: int) -> list[Receipt]:
        return [
            receipt(database, batch_id, row=row, channel=channel, request=request, provider_id=word) for word in "ab"
        ]

    first = take(database, *both(2, "email", 0))
    again = take(database, *both(2, "sms", 1), receipt(database, batch_id, row=2, provider_id="c"))

    assert first.duplicated == {batch_id}
    assert not again.duplicated
    stopped = batch(database, batch_id)
    assert (stopped.duplicates, stopped.phase) == (1, Phase.PAUSED)
    assert "written to twice" in (stopped.reason or "")

    take(database, *both(3, "email", 0))
    assert batch(database, batch_id).duplicates == 2


def test_a_batch_that_is_over_only_counts_them(database: Database) -> None:
    batch_id = planned(database, people(emails=1))
    with database.write() as session:
        batches.advance(session, batch_id, Phase.SETTLING, now=NOW)

    take(database, *(receipt(database, batch_id, provider_id=word) for word in "ab"))

    assert (batch(database, batch_id).duplicates, batch(database, batch_id).phase) == (1, Phase.SETTLING)


# Suppressions


def test_receipts_suppress_the_addresses_that_the_ledger_has(database: Database) -> None:
    batch_id = planned(database, people(emails=2, both=1))

    take(
        database,
        receipt(database, batch_id, Kind.BOUNCED, row=2),
        receipt(database, batch_id, Kind.OPTED_OUT, row=3),
        receipt(database, batch_id, Kind.REPORTED, row=4),
        receipt(database, batch_id, Kind.FAILED, row=4, channel="sms", request=1, code="21610"),
    )

    assert listed(database) == [
        ("email", "person0@mail.example", "bounced"),
        ("email", "person1@mail.example", "opted_out"),
        ("email", "person2@mail.example", "reported"),
        ("sms", "+447700900002", "opted_out"),
    ]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_who_opts_in_again_later_may_be_written_to(database: Database, order: tuple[int, int]) -> None:
    batch_id = planned(database, people(emails=1))
    changes = [
        receipt(database, batch_id, Kind.OPTED_OUT, minutes=1),
        receipt(database, batch_id, Kind.OPTED_IN, minutes=2),
    ]

    for place in order:
        take(database, changes[place])

    assert listed(database) == []


def test_an_opt_in_does_not_undo_a_later_opt_out_nor_a_bounce(database: Database) -> None:
    batch_id = planned(database, people(emails=2))

    take(
        database,
        receipt(database, batch_id, Kind.OPTED_IN, row=2, minutes=1),
        receipt(database, batch_id, Kind.OPTED_OUT, row=2, minutes=2),
        receipt(database, batch_id, Kind.BOUNCED, row=3, minutes=1),
        receipt(database, batch_id, Kind.OPTED_IN, row=3, minutes=2),
    )

    assert [kind for _, _, kind in listed(database)] == ["opted_out", "bounced"]


def test_what_a_person_took_off_the_list_is_not_put_back_by_an_old_receipt(database: Database) -> None:
    batch_id = planned(database, people(emails=1))
    bounce = receipt(database, batch_id, Kind.BOUNCED)
    take(database, bounce)
    with database.write() as session:
        assert suppressions.remove(session, "email", "Person0@mail.example", by="x@y.example", now=NOW)

    take(database, bounce, receipt(database, batch_id, Kind.BOUNCED))

    assert listed(database) == []


# What is counted


def test_deliveries_are_counted_a_channel(database: Database) -> None:
    batch_id = planned(database, people(emails=4, sms=2))
    for number in range(3):
        answered(database, batch_id, number, ACCEPTED)
    take(
        database,
        receipt(database, batch_id, row=2),
        receipt(database, batch_id, Kind.BOUNCED, row=3),
        receipt(database, batch_id, Kind.ACCEPTED, row=4),
    )

    def counted(silent_since: datetime) -> dict[str, dict[str, int]]:
        with database.read() as session:
            found = recipients.deliveries(session, batch_id, silent_since=silent_since)
        return {channel: {name: number for name, number in own.items() if number} for channel, own in found.items()}

    assert counted(NOW) == {"email": {"waiting": 2, "delivered": 1, "bounced": 1}, "sms": {"waiting": 2}}
    assert counted(NOW + timedelta(seconds=1)) == {
        "email": {"silent": 2, "delivered": 1, "bounced": 1},
        "sms": {"silent": 2},
    }


def test_waiting_for_a_report_has_an_end_in_the_result_too(database: Database) -> None:
    batch_id = planned(database, people(emails=3))
    answered(database, batch_id, 0, ACCEPTED)
    take(database, receipt(database, batch_id, row=2), receipt(database, batch_id, Kind.DEFERRED, row=3))

    with database.read() as session:
        found = recipients.messages(session, batch_id, stopped=False, silent_since=NOW + timedelta(seconds=1)).sort(
            "row"
        )

    assert found["delivery"].to_list() == ["delivered", "silent", "silent"]
    assert found["delivery_at"].to_list() == ["2026-03-01T12:00:00Z"] * 2 + [None]
