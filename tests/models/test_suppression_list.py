"""Suppressions: who must not be written to by now, in whatever order that became known."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations

import polars as pl
import pytest
from sqlmodel import col, select

from domain.frames import SUPPRESSIONS
from domain.splitting import split
from domain.states import Phase, Status
from domain.suppressions import Mark, SuppressionKind
from models import batches, recipients, requests, suppressions
from models.database import Database
from models.tables import Message, Request
from tests.factories import NOW, add_batch, batch, people, planned, process, race

BOUNCED, ENTERED, OPTED_OUT, REPORTED = SuppressionKind
EMAIL_CHANNELS = frozenset({"email", "sms"})


def mark(database: Database, *marks: Mark) -> None:
    with database.write() as session:
        suppressions.mark(session, marks)


def email(
    kind: SuppressionKind = OPTED_OUT, *, to: str = "person0@mail.example", hours: int = 0, ends: bool = False
) -> Mark:
    return Mark("email", to, kind, NOW + timedelta(hours=hours), ends=ends, by="boss@acme.example")


def listed(database: Database, channel: str | None = None) -> list[tuple[str, str]]:
    with database.read() as session:
        return [(one.address, one.kind) for one in suppressions.listed(session, channel=channel)]


@pytest.mark.parametrize("order", list(permutations(range(4)))[::4])
def test_the_latest_word_holds_in_any_order_and_repeated(database: Database, order: tuple[int, ...]) -> None:
    marks = [email(hours=0), email(hours=1, ends=True), email(hours=2), email(hours=3, ends=True)]

    for known in (3, 4):
        for place in (*order, *order):
            if place < known:
                mark(database, marks[place])
        assert listed(database) == [("person0@mail.example", "opted_out")][: 4 - known]


def test_one_reason_that_ends_leaves_the_others(database: Database) -> None:
    mark(database, email(OPTED_OUT), email(BOUNCED), email(OPTED_OUT, hours=1, ends=True))

    assert listed(database) == [("person0@mail.example", "bounced")]


def test_at_the_same_moment_the_address_stays_suppressed(database: Database) -> None:
    """SendGrid's times are whole seconds."""
    mark(database, email(), email(ends=True))

    assert len(listed(database)) == 1


def test_removing_ends_whatever_put_it_there(database: Database) -> None:
    mark(database, email(BOUNCED, hours=1), email(REPORTED), email(to="other@mail.example"))

    with database.write() as session:
        assert suppressions.remove(session, "email", "PERSON0@mail.example", by="x@y.example", now=NOW)
        assert not suppressions.remove(session, "sms", "person0@mail.example", by="x@y.example", now=NOW)

    assert listed(database) == [("other@mail.example", "opted_out")]


def test_the_list_is_newest_first_and_of_one_channel(database: Database) -> None:
    sms = Mark("sms", "+447700900000", ENTERED, NOW + timedelta(hours=1))
    mark(database, email(), email(to="new@mail.example", hours=2), sms)

    assert [address for address, _ in listed(database)] == ["new@mail.example", "+447700900000", "person0@mail.example"]
    assert listed(database, "sms") == [("+447700900000", "entered")]


def test_two_who_write_of_the_same_people_at_once_both_succeed(database: Database) -> None:
    marks = [email(kind, to=f"p{number}@mail.example") for number in range(30) for kind in SuppressionKind]

    ended = race(lambda: mark(database, *marks), lambda: mark(database, *reversed(marks)))

    assert ended == [None, None]
    assert len(listed(database)) == 120


def test_of_many_addresses_the_suppressed_are_told_with_the_gravest_kind(database: Database) -> None:
    mark(
        database,
        email(BOUNCED),
        email(REPORTED, to="Person0@mail.example", hours=24),
        email(to="stranger@mail.example"),
        Mark("sms", "+447700900001", ENTERED, NOW),
        email(to="person1@mail.example"),
        email(to="person1@mail.example", hours=1, ends=True),
    )
    frame = people(both=2).with_columns(pl.col("email").str.replace("person", "Person"))

    with database.read() as session:
        found = suppressions.suppressed(session, frame)

    assert dict(found.schema) == SUPPRESSIONS
    assert sorted(found.rows()) == [
        ("email", "person0@mail.example", "reported", (NOW + timedelta(days=1)).date()),
        ("sms", "+447700900001", "entered", NOW.date()),
    ]


def test_nobody_is_suppressed_where_nobody_was_marked(database: Database) -> None:
    with database.read() as session:
        assert suppressions.suppressed(session, people(both=2)).is_empty()


def test_who_is_held_is_accounted_for(database: Database) -> None:
    """Nothing of it is ever made, and still everybody is counted and told why."""
    frame = people(both=1, emails=1)
    batch_id = add_batch(
        database, definition=process(), phase=Phase.WAITING.value, status=Status.APPROVED.value, row_count=2, valid=2
    )
    held = pl.DataFrame(
        [("email", 3, "the person opted out on 2026-02-01"), ("sms", 3, "an earlier one")],
        schema={"channel": pl.String, "row": pl.UInt32, "why": pl.String},
        orient="row",
    )
    with database.write() as session:
        recipients.replace_all(session, batch_id, frame)
        assert requests.write_plan(session, batch_id, split(frame.head(1), channels=EMAIL_CHANNELS), now=NOW)
        suppressions.hold(session, batch_id, held, now=NOW)

    with database.read() as session:
        made = session.exec(select(Request).where(Request.batch_id == batch_id).order_by(col(Request.number))).all()
        assert [(one.number, one.channel, one.size, one.state, one.code) for one in made] == [
            (0, "email", 1, "new", None),
            (1, "email", 1, "rejected", "suppressed"),
            (2, "sms", 1, "rejected", "suppressed"),
        ]
        assert requests.chunks(session, batch_id) == [0]
        told = recipients.messages(session, batch_id, stopped=False, silent_since=NOW).select("row", "state", "detail")
        assert told.rows() == [
            (2, "pending", None),
            (3, "held", "Not written to: the person opted out on 2026-02-01."),
            (3, "held", "Not written to: an earlier one."),
        ]
        found = recipients.counts(session, batches.by_id(session, batch_id))
        assert (found.pending, found.failed) == (1, 1)
    assert batch(database, batch_id).request_count == 3


def test_holding_nobody_writes_nothing(database: Database) -> None:
    batch_id = planned(database, people(emails=1))
    nobody = pl.DataFrame(schema={"channel": pl.String, "row": pl.UInt32, "why": pl.String})

    with database.write() as session:
        suppressions.hold(session, batch_id, nobody, now=NOW)

    assert batch(database, batch_id).request_count == 1


def test_who_had_opted_out_when_an_sms_was_refused_is_suppressed(database: Database) -> None:
    batch_id = planned(database, people(sms=2))

    with database.write() as session:
        suppressions.mark_opted_out(session, batch_id, [1], now=NOW)
        assert session.exec(select(Message.row).where(Message.batch_id == batch_id, Message.request == 1)).one() == 3

    assert listed(database) == [("+447700900001", "opted_out")]
