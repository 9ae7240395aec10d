"""A few recipients at a time: which a filter lets through, what is known of them, and one person in all batches."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

from domain.finding import BUCKETS, alike, bucket, buckets, rows_of
from domain.states import RequestState
from models import finding, history, recipient_pages, recipients, requests, sends
from models.batches import Act
from models.database import Database
from models.recipient_pages import Filter
from models.requests import Answer
from tests import factories
from tests.factories import FIRST_ROW, NOW, batch, planned

SINCE = NOW - timedelta(days=3)


def ended(database: Database, batch_id: int, number: int, state: RequestState, *, after: int = 0) -> None:
    """Let a request be made, and end so, some seconds after noon."""
    with database.write() as session:
        token, moment = f"token-{number}", NOW + timedelta(seconds=after)
        until = moment + timedelta(minutes=1)
        assert requests.claim(session, batch_id, {number: "digest"}, token=token, lease_until=until, now=moment)
        first = RequestState.IN_DOUBT if state is RequestState.UNRESOLVED else state
        requests.record(
            session,
            batch_id,
            [Answer(number, first, detail=None if first is RequestState.ACCEPTED else "Why.")],
            token_of={number: token},
            now=moment,
        )
        if first is not state:
            requests.settle(session, batch_id, [Answer(number, state, detail="Why.")], now=moment)


def shown(database: Database, batch_id: int, one: Filter, *, after: int = 0, limit: int = 100) -> list[int]:
    with database.read() as session:
        last = recipient_pages.last_row(session, batch_id)
        return recipient_pages.rows(session, batch_id, one, after=after, to=last, limit=limit)


@pytest.fixture
def mixed(database: Database) -> int:
    """One SMS request a person: sent, refused, in doubt, unresolved, waiting; then a row that cannot be used."""
    batch_id = planned(database, factories.people(sms=5, invalid=1))
    states = [RequestState.ACCEPTED, RequestState.REJECTED, RequestState.IN_DOUBT, RequestState.UNRESOLVED]
    for number, state in enumerate(states):
        ended(database, batch_id, number, state)
    return batch_id


def test_each_recipient_is_under_one_filter(database: Database, mixed: int) -> None:
    found = {one: shown(database, mixed, one) for one in Filter}

    assert found == {
        Filter.ALL: [2, 3, 4, 5, 6, 7],
        Filter.SENT: [2],
        Filter.NOT_SENT: [3],
        Filter.IN_DOUBT: [4],
        Filter.UNRESOLVED: [5],
        Filter.WAITING: [6],
        Filter.BAD: [7],
        Filter.RETURNED: [],
    }


def test_the_filters_hold_as_many_as_the_counts_say(database: Database) -> None:
    """Of somebody with two messages, the one that counts names them in both places."""
    batch_id = planned(database, factories.people(both=4))
    # The email request holds all four; their SMS follow, one a request.
    ended(database, batch_id, 0, RequestState.REJECTED)
    ended(database, batch_id, 1, RequestState.ACCEPTED)
    ended(database, batch_id, 2, RequestState.REJECTED)
    ended(database, batch_id, 3, RequestState.UNRESOLVED)

    with database.read() as session:
        counts = recipients.counts(session, batch(database, batch_id))

    sizes = {one: len(shown(database, batch_id, one)) for one in Filter}
    assert (sizes[Filter.SENT], sizes[Filter.NOT_SENT]) == (counts.sent, counts.failed) == (1, 1)
    assert (sizes[Filter.UNRESOLVED], sizes[Filter.WAITING]) == (counts.unresolved, counts.pending) == (1, 1)


def test_on_one_channel_the_index_alone_counts_the_same(database: Database, mixed: int) -> None:
    with database.read() as session:
        one = recipients.counts(session, batch(database, mixed), channels=1)
        assert one == recipients.counts(session, batch(database, mixed))
        assert recipients.has_more_exceptions(session, mixed, than=2)
        assert not recipients.has_more_exceptions(session, mixed, than=3)


def test_pages_follow_each_other_without_a_gap(database: Database) -> None:
    batch_id = planned(database, factories.people(emails=7))

    first = shown(database, batch_id, Filter.ALL, limit=3)
    second = shown(database, batch_id, Filter.ALL, after=first[-1], limit=3)

    assert first + second == list(range(FIRST_ROW, FIRST_ROW + 6))


def test_messages_of_a_few_are_those_of_all(database: Database, mixed: int) -> None:
    rows = [2, 3, 5, 6]
    with database.read() as session:
        every = recipients.messages(session, mixed, stopped=True, silent_since=SINCE)
        some = recipient_pages.messages(session, mixed, rows, stopped=True, silent_since=SINCE)

    assert some.rows() == every.filter(pl.col("row").is_in(rows)).sort("row", "channel").rows()
    assert some["state"].to_list() == ["accepted", "failed", "unresolved", "stopped"]


def test_a_person_is_found_in_every_batch_whatever_the_case(database: Database) -> None:
    frame = factories.people(emails=2)
    older, newer = planned(database, frame), planned(database, frame)
    asked = "PERSON1@Mail.example "

    with database.read() as session:
        found = [(one.batch_id, one.row) for one, _, _ in finding.with_address(session, asked)]
        nobody = finding.with_address(session, "person9@mail.example")

    assert found == [(newer, 3), (older, 3)]
    assert nobody == []


def test_a_person_is_found_by_phone(database: Database) -> None:
    batch_id = planned(database, factories.people(emails=1, sms=1))

    with database.read() as session:
        found = [(one.batch_id, one.row) for one, _, _ in finding.with_address(session, "+447700900001")]

    assert found == [(batch_id, 3)]


def test_whoever_was_corrected_is_found_by_the_new_address_alone(database: Database) -> None:
    frame = factories.people(emails=1)
    batch_id = planned(database, frame)
    with database.write() as session:
        recipients.replace_all(session, batch_id, frame.with_columns(pl.lit("new@mail.example").alias("email")))

    with database.read() as session:
        assert finding.with_address(session, "person0@mail.example") == []
        assert [one.row for one, _, _ in finding.with_address(session, "new@mail.example")] == [FIRST_ROW]


def test_buckets_lead_to_every_row_with_an_address() -> None:
    frame = factories.people(emails=300, both=100, sms=50, invalid=5)

    found = {line["bucket"]: rows_of(line["rows"]) for line in buckets(frame).iter_rows(named=True)}

    assert all(0 <= one < BUCKETS for one in found)
    for row, email, phone in frame.select("row", "email", "phone").iter_rows():
        for address in filter(None, (email, phone)):
            assert row in found[bucket(address)]
    assert sum(map(len, found.values())) == 300 + 2 * 100 + 50


def test_the_checksum_is_the_same_in_every_release() -> None:
    """It is at rest in the database."""
    assert bucket("Ana@Mail.example") == bucket("ana@mail.example") == 47280
    assert alike(" ÄRZTE@mail.example") == "ärzte@mail.example"


def test_sends_over_time_are_counted_in_stretches_with_those_between(database: Database) -> None:
    batch_id = planned(database, factories.people(sms=4))
    for number, after in enumerate((0, 1, 1, 200)):
        ended(database, batch_id, number, RequestState.ACCEPTED, after=after)

    with database.read() as session:
        found = sends.over_time(session, batch_id)
        nothing = sends.over_time(session, batch_id + 1)

    assert nothing is None
    assert found is not None
    assert (found.start, found.seconds, sum(found.numbers)) == (NOW, 5, 4)
    assert (found.numbers[0], found.numbers[1], found.numbers[-1]) == (3, 0, 1)
    assert found.at(len(found.numbers) - 1) == NOW + timedelta(seconds=200)


def test_the_same_look_is_written_down_once_an_hour(database: Database) -> None:
    batch_id = planned(database, factories.people(emails=1))

    def look(minutes: int, comment: str = "row 2") -> None:
        act = Act(by="ana@acme.example", via="test", now=NOW + timedelta(minutes=minutes), comment=comment)
        with database.write() as session:
            history.note_once(session, batch_id, act, name=history.LOOKED)

    for minutes in (0, 10, 59, 61):
        look(minutes)
    look(62, "row 3")

    with database.read() as session:
        found = history.newest(session, batch_id, limit=10, only=[history.LOOKED])
        assert [(one.at - NOW, one.comment) for one in found] == [
            (timedelta(minutes=62), "row 3"),
            (timedelta(minutes=61), "row 2"),
            (timedelta(0), "row 2"),
        ]
        assert history.newest(session, batch_id, limit=10, without=[history.LOOKED]) == []
