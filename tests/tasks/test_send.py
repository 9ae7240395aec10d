"""Sending a chunk: each request at most once, whatever the provider answers and wherever the sender dies."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest
from sqlalchemy import text
from sqlmodel import col, select

from domain.links import Place
from domain.outcomes import Outcome, OutcomeKind
from domain.splitting import SMS
from domain.states import Phase, Status
from models import batches, recipients
from models.recipients import Counts
from models.tables import Message, Request
from settings import load
from tasks import reconcile, send
from tasks.surroundings import Surroundings
from tests.factories import act, batch, people, race, sendable

Content = Any
Reply = Outcome | BaseException
Script = Callable[[Content], Reply]

ACCEPTED = Outcome(OutcomeKind.ACCEPTED, provider_id="id", http_status=202)
LATER = Outcome(OutcomeKind.TRY_LATER, http_status=429, code="429", retry_after=0)
REFUSED = Outcome(OutcomeKind.REQUEST_REFUSED, http_status=400, code="400", detail="Refused.")
ACCOUNT = Outcome(OutcomeKind.ACCOUNT_REFUSED, http_status=401, code="401", detail="The key is wrong.")
DOUBT = Outcome(OutcomeKind.IN_DOUBT, http_status=500, code="http_500", detail="Nobody knows.")


def refused_member(position: int) -> Outcome:
    return Outcome(OutcomeKind.RECIPIENT_REFUSED, http_status=400, code="400", detail="Bad address.", member=position)


def addresses(content: Content) -> list[str]:
    """Who a request is for."""
    if isinstance(content, dict):
        return [content["to"]]
    return [person["to"][0]["email"] for person in json.loads(content)["personalizations"]]


class Provider:
    """Answers as it is told, and remembers what it was asked and whom it accepted."""

    def __init__(self, *replies: Reply, otherwise: Script | Reply = ACCEPTED) -> None:
        self.asked: list[Content] = []
        self.reached: list[str] = []
        self.closed = 0
        self._replies = list(replies)
        self._otherwise = otherwise

    async def send(self, content: Content, /) -> Outcome:
        self.asked.append(content)
        reply = self._replies.pop(0) if self._replies else self._otherwise
        if callable(reply):
            reply = reply(content)
        if isinstance(reply, BaseException):
            raise reply
        if reply.kind is OutcomeKind.ACCEPTED:
            self.reached += addresses(content)
        return reply

    async def close(self) -> None:
        self.closed += 1


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What may be made again is made again at once: the spread of retries is tested where it is computed."""
    monkeypatch.setattr(send, "waiting_seconds", lambda *_attempt, **_asked: 0.0)


def free(_channel: str) -> Callable[[int], Awaitable[int]]:
    """Permits without a limit."""

    async def take(number: int) -> int:
        return number

    return take


def run(around: Surroundings, batch_id: int, provider: Provider, *, chunk: int = 0) -> dict[str, int]:
    return send.send_chunk(around, batch_id, chunk, providers=lambda _channel: provider, permits=free)


def counts(around: Surroundings, batch_id: int) -> Counts:
    with around.database.read() as session:
        return recipients.counts(session, batches.by_id(session, batch_id))


def states(around: Surroundings, batch_id: int) -> list[str]:
    with around.database.read() as session:
        return list(
            session.exec(select(Request.state).where(Request.batch_id == batch_id).order_by(col(Request.number))).all()
        )


def rows_failed(around: Surroundings, batch_id: int) -> list[int]:
    with around.database.read() as session:
        query = select(Message.row).where(Message.batch_id == batch_id, Message.state == "failed")
        return sorted(session.exec(query).all())


def let_leases_run_out(around: Surroundings, batch_id: int) -> None:
    with around.database.write() as session:
        past = datetime(2020, 1, 1).astimezone()
        session.execute(
            text("UPDATE request SET lease_until = :past WHERE batch_id = :batch_id AND state = 'intent'").bindparams(
                past=past.replace(tzinfo=None) if around.database.is_sqlite else past, batch_id=batch_id
            )
        )


def reject(around: Surroundings, batch_id: int) -> None:
    with around.database.write() as session:
        batches.reject(session, batch_id, act())


def resume(around: Surroundings, batch_id: int) -> None:
    with around.database.write() as session:
        batches.resume(session, batch_id, act())


def everybody(frame: pl.DataFrame, column: str) -> list[str]:
    return sorted(frame[column].drop_nulls())


# What goes well


def test_everybody_is_written_to_once(around: Surroundings) -> None:
    frame = people(emails=2, sms=3, both=1)
    batch_id = sendable(around, frame)
    email, sms = Provider(), Provider()

    assert run(around, batch_id, email) == {"accepted": 1}
    assert run(around, batch_id, sms, chunk=1) == {"accepted": 4}

    assert sorted(email.reached) == everybody(frame, "email")
    assert sorted(sms.reached) == everybody(frame, "phone")
    assert (counts(around, batch_id).sent, email.closed, sms.closed) == (6, 1, 1)


def test_each_reads_their_own_values_and_their_own_link(around: Surroundings) -> None:
    batch_id = sendable(around, people(emails=2, sms=1))
    email, sms = Provider(), Provider()
    run(around, batch_id, email)
    run(around, batch_id, sms, chunk=1)

    links = [around.links.link(Place(batch_id, row)) for row in (2, 3, 4)]
    said = [sorted(set(person["substitutions"].values())) for person in json.loads(email.asked[0])["personalizations"]]
    assert said == [sorted({"Person 0", links[0]}), sorted({"Person 1", links[1]})]
    assert [(one["to"], one["from_"], one["body"]) for one in sms.asked] == [
        ("+447700900002", "+15005550006", f"Person 2: {links[2]}")
    ]


def test_a_chunk_that_was_sent_is_not_sent_again(around: Surroundings) -> None:
    batch_id = sendable(around, people(emails=2))
    run(around, batch_id, Provider())
    second = Provider()

    assert run(around, batch_id, second) == {}
    assert second.asked == []
    assert counts(around, batch_id).sent == 2


def test_permits_are_asked_for_as_many_requests_as_go_out(around: Surroundings) -> None:
    batch_id = sendable(around, people(sms=7))
    asked: list[tuple[str, int]] = []

    def permits(channel: str) -> Callable[[int], Awaitable[int]]:
        async def take(number: int) -> int:
            asked.append((channel, number))
            return number

        return take

    send.send_chunk(around, batch_id, 0, providers=lambda _channel: Provider(), permits=permits)

    assert {channel for channel, _ in asked} == {"sms"}
    assert sum(number for _, number in asked) == 7


def test_no_more_requests_go_out_than_are_permitted_and_answers_are_recorded_meanwhile(around: Surroundings) -> None:
    """A slow limit would else outlast the leases, and what was answered would be in doubt."""
    batch_id = sendable(around, people(sms=5))
    permitted = 0

    async def take(_number: int) -> int:
        nonlocal permitted
        while counts(around, batch_id).sent < permitted:  # noqa: ASYNC110  whoever records it sets no event
            await asyncio.sleep(0)
        permitted += 2
        return 2

    provider = Provider()
    send.send_chunk(around, batch_id, 0, providers=lambda _channel: provider, permits=lambda _channel: take)

    assert permitted == 6
    assert counts(around, batch_id).sent == 5


def test_a_rejection_ends_a_chunk_that_waits_for_a_limit_of_nothing(around: Surroundings) -> None:
    batch_id = sendable(around, people(sms=3))
    asked = 0

    async def take(_number: int) -> int:
        nonlocal asked
        asked += 1
        if asked > 1:
            await asyncio.to_thread(reject, around, batch_id)
        return 0

    provider = Provider()
    send.send_chunk(around, batch_id, 0, providers=lambda _channel: provider, permits=lambda _channel: take)

    assert asked == 2
    assert counts(around, batch_id).sent == 0


# What the provider refuses


def test_a_provider_that_asks_to_wait_is_asked_again_with_the_same_content(around: Surroundings) -> None:
    batch_id = sendable(around, people(emails=2))
    provider = Provider(LATER, LATER)

    assert run(around, batch_id, provider) == {"try_later": 2, "accepted": 1}
    assert provider.asked[0] == provider.asked[1] == provider.asked[2]
    assert counts(around, batch_id).sent == 2


def test_a_refused_member_is_left_out_and_the_others_are_sent(around: Surroundings) -> None:
    batch_id = sendable(around, people(emails=4))
    provider = Provider(refused_member(1))

    assert run(around, batch_id, provider) == {"recipient_refused": 1, "accepted": 1}
    assert provider.reached == ["person0@mail.example", "person2@mail.example", "person3@mail.example"]
    assert rows_failed(around, batch_id) == [3]
    assert (counts(around, batch_id).sent, counts(around, batch_id).failed) == (3, 1)


@pytest.mark.parametrize("position", [0, 3])
def test_the_first_and_the_last_member_can_be_refused(around: Surroundings, position: int) -> None:
    batch_id = sendable(around, people(emails=4))

    run(around, batch_id, Provider(refused_member(position)))

    assert rows_failed(around, batch_id) == [position + 2]
    assert counts(around, batch_id).sent == 3


@pytest.mark.parametrize("bad", [[0], [2], [6], [1, 5], [0, 1, 2, 3, 4, 5, 6]])
def test_who_is_refused_is_found_by_halving_where_nobody_is_named(around: Surroundings, bad: Sequence[int]) -> None:
    batch_id = sendable(around, people(emails=7))
    culprits = {f"person{number}@mail.example" for number in bad}
    provider = Provider(otherwise=lambda content: REFUSED if culprits & set(addresses(content)) else ACCEPTED)

    run(around, batch_id, provider)

    assert rows_failed(around, batch_id) == [number + 2 for number in bad]
    assert sorted(provider.reached) == [f"person{number}@mail.example" for number in range(7) if number not in bad]
    assert counts(around, batch_id).pending == 0


def test_a_member_that_is_not_in_the_request_is_looked_for_by_halving(around: Surroundings) -> None:
    """A provider that counts otherwise must not cost anybody who is innocent."""
    batch_id = sendable(around, people(emails=2))

    run(around, batch_id, Provider(refused_member(2)))

    assert (counts(around, batch_id).sent, rows_failed(around, batch_id)) == (2, [])


def test_a_refused_sms_is_final_and_the_others_are_sent(around: Surroundings) -> None:
    batch_id = sendable(around, people(sms=3))
    provider = Provider(
        otherwise=lambda content: refused_member(0) if content["to"].endswith("1") else ACCEPTED,
    )

    assert run(around, batch_id, provider) == {"accepted": 2, "recipient_refused": 1}
    assert rows_failed(around, batch_id) == [3]


def test_a_refused_account_halts_the_batch_and_keeps_everything_pending(around: Surroundings) -> None:
    batch_id = sendable(around, people(emails=3))

    assert run(around, batch_id, Provider(ACCOUNT)) == {"account_refused": 1}

    halted = batch(around.database, batch_id)
    assert (halted.phase, halted.reason, halted.status) == (Phase.PAUSED, "The key is wrong.", Status.APPROVED)
    assert (counts(around, batch_id).pending, states(around, batch_id)) == (3, ["new"])


def test_a_halted_batch_sends_nothing_until_it_is_resumed(around: Surroundings) -> None:
    batch_id = sendable(around, people(emails=3))
    run(around, batch_id, Provider(ACCOUNT))
    idle, after = Provider(), Provider()

    run(around, batch_id, idle)
    resume(around, batch_id)
    run(around, batch_id, after)

    assert (idle.asked, len(after.reached), counts(around, batch_id).sent) == ([], 3, 3)


def test_a_refused_account_stops_the_requests_that_follow(around: Surroundings) -> None:
    batch_id = sendable(around, people(sms=20))
    few = load(home=around.settings.home, database_url=around.database.url, sms_connections=2)
    provider = Provider(otherwise=ACCOUNT)

    run(Surroundings(few, around.database, around.storage), batch_id, provider)

    assert len(provider.asked) <= 4
    assert counts(around, batch_id).pending == 20
    assert set(states(around, batch_id)) == {"new"}


# Doubt


def test_a_request_in_doubt_is_not_sent_again(around: Surroundings) -> None:
    batch_id = sendable(around, people(emails=2))
    second = Provider()

    assert run(around, batch_id, Provider(DOUBT)) == {"in_doubt": 1}
    assert run(around, batch_id, second) == {}

    assert second.asked == []
    assert counts(around, batch_id).in_doubt == 2


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), SystemExit(1), RuntimeError("a bug")])
def test_a_sender_that_dies_before_the_answer_leaves_a_doubt_and_sends_nothing_twice(
    around: Surroundings, fault: BaseException
) -> None:
    batch_id = sendable(around, people(emails=2))
    with pytest.raises(type(fault)):
        run(around, batch_id, Provider(fault))
    left = states(around, batch_id)
    let_leases_run_out(around, batch_id)
    second = Provider()
    run(around, batch_id, second)

    assert (left, states(around, batch_id)) == (["intent"], ["in_doubt"])
    assert second.asked == []
    assert counts(around, batch_id).in_doubt == 2


def test_what_had_not_left_when_the_sender_died_is_sent_by_the_next(around: Surroundings) -> None:
    frame = people(sms=6)
    batch_id = sendable(around, frame)
    few = load(home=around.settings.home, database_url=around.database.url, sms_connections=1)
    first, second = Provider(ACCEPTED, KeyboardInterrupt()), Provider()
    slow = Surroundings(few, around.database, around.storage)
    with pytest.raises(KeyboardInterrupt):
        run(slow, batch_id, first)
    let_leases_run_out(around, batch_id)
    run(slow, batch_id, second)

    asked = [address for content in [*first.asked, *second.asked] for address in addresses(content)]
    assert sorted(asked) == everybody(frame, "phone")
    assert (counts(around, batch_id).sent, counts(around, batch_id).in_doubt) == (5, 1)


def test_a_provider_that_seems_down_is_tried_by_one_request_before_the_others_follow(around: Surroundings) -> None:
    batch_id = sendable(around, people(sms=12))
    under_way: list[int] = []

    def reply(_content: Content) -> Outcome:
        under_way.append(states(around, batch_id).count("intent"))
        return ACCEPTED

    for _ in range(5):
        around.outages[SMS].answered(DOUBT, at=time.monotonic() - 60)
    run(around, batch_id, Provider(otherwise=reply))

    assert under_way[0] == 1
    assert max(under_way) > 1
    assert counts(around, batch_id).sent == 12


def test_a_provider_that_stays_down_gets_one_request_at_a_time(
    around: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain.pacing._LONGEST_WAIT_SECONDS", 0.0)
    batch_id = sendable(around, people(sms=30))
    few = load(home=around.settings.home, database_url=around.database.url, sms_connections=6)

    def reply(_content: Content) -> Outcome:
        if len(provider.asked) == 8:
            reject(around, batch_id)
        return DOUBT

    provider = Provider(otherwise=reply)
    run(Surroundings(few, around.database, around.storage), batch_id, provider)

    assert len(provider.asked) == 8
    assert states(around, batch_id).count("new") == 22


def test_a_doubt_keeps_a_batch_from_finishing(around: Surroundings) -> None:
    batch_id = sendable(around, people(sms=2))
    run(around, batch_id, Provider(DOUBT))

    assert reconcile.reconcile(around, batch_id) == Phase.SETTLING
    assert reconcile.reconcile(around, batch_id) == Phase.SETTLING


def test_a_sender_that_stalled_before_its_request_does_not_make_it(
    around: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease may have run out meanwhile, and another may take the request for lost."""
    batch_id = sendable(around, people(emails=1))
    provider, make = Provider(), send._make
    stalls = [timedelta(seconds=31)]

    async def make_late(to: send.Provider, work: Any) -> Any:
        stall = stalls.pop() if stalls else timedelta()
        return await make(to, replace(work, lease_until=work.lease_until - stall))

    monkeypatch.setattr(send, "_make", make_late)
    ended = run(around, batch_id, provider)

    assert ended == {"try_later": 1, "accepted": 1}
    assert len(provider.asked) == 1


# Decisions


def test_no_request_is_made_after_a_rejection(around: Surroundings) -> None:
    batch_id = sendable(around, people(sms=10))
    few = load(home=around.settings.home, database_url=around.database.url, sms_connections=1)
    made: list[str] = []

    def reply(content: Content) -> Outcome:
        made.append(content["to"])
        if len(made) == 3:
            reject(around, batch_id)
        return ACCEPTED

    run(Surroundings(few, around.database, around.storage), batch_id, Provider(otherwise=reply))

    assert len(made) == 3
    assert batch(around.database, batch_id).phase == Phase.STOPPED
    assert (counts(around, batch_id).sent, counts(around, batch_id).pending) == (3, 7)


def test_what_was_in_the_air_at_a_rejection_is_still_recorded(around: Surroundings) -> None:
    batch_id = sendable(around, people(emails=2))

    def reply(_content: Content) -> Outcome:
        reject(around, batch_id)
        return ACCEPTED

    run(around, batch_id, Provider(otherwise=reply))

    assert counts(around, batch_id).sent == 2
    assert batch(around.database, batch_id).status == Status.ADMIN_REJECTION


def test_a_rejection_ends_the_halving_of_a_refused_request(around: Surroundings) -> None:
    batch_id = sendable(around, people(emails=8))

    def reply(_content: Content) -> Outcome:
        reject(around, batch_id)
        return REFUSED

    provider = Provider(otherwise=reply)
    run(around, batch_id, provider)

    assert len(provider.asked) == 1
    assert counts(around, batch_id).pending == 8


@pytest.mark.parametrize("phase", [Phase.WAITING, Phase.PAUSED, Phase.STOPPED, Phase.FINISHED])
def test_nothing_is_sent_unless_the_batch_is_being_sent(around: Surroundings, phase: Phase) -> None:
    batch_id = sendable(around, people(emails=1))
    with around.database.write() as session:
        batches.note(session, batch_id, phase=phase.value)
    provider = Provider()

    assert run(around, batch_id, provider) == {}
    assert provider.asked == []


# Several at once


def test_two_senders_of_one_chunk_make_each_request_once(around: Surroundings) -> None:
    frame = people(sms=30)
    batch_id = sendable(around, frame)
    few = load(home=around.settings.home, database_url=around.database.url, sms_connections=3)
    both = Surroundings(few, around.database, around.storage)
    one, other = Provider(), Provider()

    came = race(lambda: run(both, batch_id, one), lambda: run(both, batch_id, other))

    assert not [fault for fault in came if isinstance(fault, Exception)]
    assert sorted(one.reached + other.reached) == everybody(frame, "phone")
    assert counts(around, batch_id).sent == 30


def test_chunks_of_both_channels_at_once_count_everybody_once(around: Surroundings) -> None:
    batch_id = sendable(around, people(both=20))

    came = race(
        lambda: run(around, batch_id, Provider()),
        lambda: run(around, batch_id, Provider(), chunk=1),
    )

    assert came == [{"accepted": 1}, {"accepted": 20}]
    assert counts(around, batch_id).sent == 20


# Changed surroundings


@pytest.mark.parametrize(
    "changed", [{"secret_key": "another secret, long enough for it"}, {"public_url": "https://other.example"}]
)
def test_a_batch_is_halted_where_people_would_get_other_links(around: Surroundings, changed: dict[str, str]) -> None:
    batch_id = sendable(around, people(emails=1))
    settings = load(home=around.settings.home, database_url=around.database.url, **changed)
    provider = Provider()

    assert run(Surroundings(settings, around.database, around.storage), batch_id, provider) == {}

    halted = batch(around.database, batch_id)
    assert provider.asked == []
    assert halted.phase == Phase.PAUSED
    assert "is not what it was when the batch was approved" in (halted.reason or "")


def test_a_batch_is_halted_where_a_request_would_not_be_what_it_was(around: Surroundings) -> None:
    batch_id = sendable(around, people(emails=1))
    with around.database.write() as session:
        session.execute(text("UPDATE request SET content_sha256 = 'other', attempt = 1"))
    provider = Provider()

    run(around, batch_id, provider)

    halted = batch(around.database, batch_id)
    assert provider.asked == []
    assert halted.phase == Phase.PAUSED
    assert "Request 0 would not be what it was at its first attempt" in (halted.reason or "")
