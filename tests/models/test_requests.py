"""The request ledger: one writer a request, frozen content, and every answer recorded once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from itertools import product
from typing import Any

import polars as pl
import pytest
from sqlalchemy import event, text
from sqlmodel import col, select

from domain.splitting import EMAIL, SMS, split
from domain.states import MESSAGE_OF_REQUEST, NEXT_REQUEST, MessageState, Phase, RequestState, Status
from models import batches, requests
from models.database import Database
from models.requests import Answer, Members
from models.tables import Message, Request
from tests.factories import NOW, act, add_batch, batch, batch_in, people, planned, process, race

LEASE = NOW + timedelta(minutes=1)
AFTER_LEASE = LEASE + timedelta(seconds=1)


def _claim(database: Database, batch_id: int, *numbers: int, holder: str = "mine", digest: str = "d") -> set[int]:
    with database.write() as session:
        contents = dict.fromkeys(numbers, digest)
        return requests.claim(session, batch_id, contents, token=holder, lease_until=LEASE, now=NOW)


def _record(database: Database, batch_id: int, *answers: Answer, holder: str = "mine") -> set[int]:
    with database.write() as session:
        token_of = {answer.number: holder for answer in answers}
        return requests.record(session, batch_id, answers, token_of=token_of, now=NOW)


def _doubt(database: Database, batch_id: int) -> int:
    with database.write() as session:
        return requests.doubt_expired(session, batch_id, now=AFTER_LEASE)


def _replace(
    database: Database,
    batch_id: int,
    *groups: list[int],
    number: int = 0,
    refused: Mapping[int, str] | None = None,
    holder: str = "mine",
) -> bool:
    with database.write() as session:
        return requests.replace(
            session,
            batch_id,
            number,
            groups=groups,
            refused=refused or {},
            token=holder,
            answer=Answer(number, RequestState.REPLACED, http_status=400, code="400"),
            now=NOW,
        )


def _request(database: Database, batch_id: int, number: int = 0) -> Request:
    with database.read() as session:
        found = session.get_one(Request, (batch_id, number))
        session.expunge(found)
        return found


def _states(database: Database, batch_id: int) -> dict[int, str]:
    with database.read() as session:
        query = select(Request.number, Request.state).where(Request.batch_id == batch_id)
        return dict(session.exec(query).all())


def _messages(database: Database, batch_id: int) -> list[tuple[int, int, int, str]]:
    """Request, position, row and state of every message."""
    with database.read() as session:
        query = (
            select(Message.request, Message.position, Message.row, Message.state)
            .where(Message.batch_id == batch_id)
            .order_by(col(Message.request), col(Message.position))
        )
        return list(session.exec(query).all())


def _set(database: Database, batch_id: int, state: RequestState, *, number: int = 0, holder: str = "mine") -> None:
    with database.engine.begin() as connection:
        connection.execute(
            text("UPDATE request SET state = :state, claim = :token WHERE batch_id = :batch_id AND number = :number"),
            {"state": state.value, "token": holder, "batch_id": batch_id, "number": number},
        )


# The plan


def test_a_plan_has_every_message_once(database: Database) -> None:
    batch_id = planned(database, people(emails=2, sms=1, both=1, invalid=1))

    pending = MessageState.PENDING.value
    assert _messages(database, batch_id) == [
        (0, 0, 2, pending),
        (0, 1, 3, pending),
        (0, 2, 5, pending),
        (1, 0, 4, pending),
        (2, 0, 5, pending),
    ]
    assert [_request(database, batch_id, number).channel for number in range(3)] == [EMAIL, SMS, SMS]
    assert [_request(database, batch_id, number).size for number in range(3)] == [3, 1, 1]
    assert batch(database, batch_id).request_count == 3
    assert batch(database, batch_id).phase == Phase.SENDING


def test_a_plan_is_written_once(database: Database) -> None:
    batch_id = planned(database, people(emails=2))
    before = _messages(database, batch_id)

    with database.write() as session:
        again = requests.write_plan(session, batch_id, split(people(emails=1), channels=frozenset({EMAIL})), now=NOW)

    assert not again
    assert _messages(database, batch_id) == before


def test_one_of_several_at_once_writes_the_plan(database: Database) -> None:
    batch_id = add_batch(
        database,
        definition=process(),
        phase=Phase.WAITING.value,
        status=Status.APPROVED.value,
        valid=3,
    )
    layout = split(people(emails=3), channels=frozenset({EMAIL}))

    def write() -> bool:
        with database.write() as session:
            return requests.write_plan(session, batch_id, layout, now=NOW)

    assert sorted(race(*[write] * 4), key=str) == [False, False, False, True]
    assert len(_messages(database, batch_id)) == 3


@pytest.mark.parametrize("status", [Status.PENDING_APPROVAL, Status.ADMIN_REJECTION])
def test_a_plan_needs_an_approval(database: Database, status: Status) -> None:
    batch_id = batch_in(database, Phase.WAITING, status=status.value)
    with database.write() as session:
        written = requests.write_plan(session, batch_id, split(people(emails=1), channels=frozenset({EMAIL})), now=NOW)

    assert not written
    assert _messages(database, batch_id) == []
    assert batch(database, batch_id).phase == Phase.WAITING


def test_chunks_are_those_with_something_left_to_do(database: Database) -> None:
    batch_id = planned(database, people(emails=1, sms=1))
    _claim(database, batch_id, 0)
    with database.read() as session:
        before = requests.chunks(session, batch_id)
    _record(database, batch_id, Answer(0, RequestState.ACCEPTED))
    with database.read() as session:
        after = requests.chunks(session, batch_id)

    assert (before, after) == ([0, 1], [1])


def test_the_members_of_a_chunk_are_those_not_answered_for_good(database: Database) -> None:
    batch_id = planned(database, people(sms=3))
    _claim(database, batch_id, 0, 1)
    _record(database, batch_id, Answer(0, RequestState.ACCEPTED))

    with database.read() as session:
        assert requests.members(session, batch_id, 0) == Members(SMS, {1: [3], 2: [4]})
        assert requests.members(session, batch_id, 9) is None


# Claiming


def test_a_claim_commits_the_intent_with_its_lease_and_content(database: Database) -> None:
    batch_id = planned(database, people(emails=1))

    assert _claim(database, batch_id, 0) == {0}

    found = _request(database, batch_id)
    assert (found.state, found.claim, found.lease_until) == ("intent", "mine", LEASE)
    assert (found.attempt, found.asked_at, found.content_sha256) == (1, NOW, "d")


def test_a_second_claim_of_the_same_request_gives_nothing(database: Database) -> None:
    batch_id = planned(database, people(emails=1))
    _claim(database, batch_id, 0)

    assert _claim(database, batch_id, 0, holder="other") == set()
    assert _request(database, batch_id).claim == "mine"


def test_each_request_is_claimed_by_one_of_several_at_once(database: Database) -> None:
    batch_id = planned(database, people(sms=20))

    came = race(*[lambda holder=holder: _claim(database, batch_id, *range(20), holder=holder) for holder in "abcd"])

    taken = [number for one in came if isinstance(one, set) for number in one]
    assert sorted(taken) == list(range(20))


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.SENDING])
def test_a_claim_needs_a_batch_that_is_being_sent(database: Database, phase: Phase) -> None:
    batch_id = planned(database, people(emails=1))
    with database.write() as session:
        batches.note(session, batch_id, phase=phase.value)

    assert _claim(database, batch_id, 0) == set()
    assert _states(database, batch_id) == {0: "new"}


@pytest.mark.parametrize("status", [Status.PENDING_APPROVAL, Status.ADMIN_REJECTION])
def test_a_claim_needs_an_approval(database: Database, status: Status) -> None:
    batch_id = planned(database, people(emails=1))
    with database.write() as session:
        batches.note(session, batch_id, status=status.value)

    assert _claim(database, batch_id, 0) == set()


def test_a_claim_after_a_rejection_gives_nothing(database: Database) -> None:
    batch_id = planned(database, people(emails=1))
    with database.write() as session:
        batches.reject(session, batch_id, act())

    assert _claim(database, batch_id, 0) == set()


def test_a_claim_and_a_rejection_at_once_leave_the_request_claimed_or_untouched(database: Database) -> None:
    def reject(batch_id: int) -> set[int]:
        with database.write() as session:
            batches.reject(session, batch_id, act())
        return set()

    for _ in range(5):
        batch_id = planned(database, people(emails=1))
        claim = partial(_claim, database, batch_id, 0, holder=f"holder of {batch_id}")
        came = race(claim, partial(reject, batch_id))

        assert came[0] in ({0}, set())
        assert _states(database, batch_id) == {0: "intent" if came[0] else "new"}
        assert _claim(database, batch_id, 0, holder="later") == set()


def test_a_claim_reaches_one_batch_only(database: Database) -> None:
    frame = people(emails=1)
    first = planned(database, frame)
    second = planned(database, frame, process_version_id=batch(database, first).process_version_id)

    _claim(database, first, 0)

    assert (_states(database, first), _states(database, second)) == ({0: "intent"}, {0: "new"})


def test_a_request_with_other_content_than_before_is_not_claimed(database: Database) -> None:
    batch_id = planned(database, people(sms=2))
    _claim(database, batch_id, 0, 1)
    _record(database, batch_id, Answer(0, RequestState.NEW), Answer(1, RequestState.NEW))

    with database.write() as session:
        taken = requests.claim(session, batch_id, {0: "d", 1: "changed"}, token="b", lease_until=LEASE, now=NOW)
        changed = requests.changed_content(session, batch_id, {0: "d", 1: "changed"})

    assert (taken, changed) == ({0}, [1])


def test_content_that_was_never_tried_has_not_changed(database: Database) -> None:
    batch_id = planned(database, people(sms=1))

    with database.read() as session:
        assert requests.changed_content(session, batch_id, {0: "anything"}) == []


def test_requests_are_due_in_order_and_when_their_time_has_come(database: Database) -> None:
    batch_id = planned(database, people(sms=4))
    _claim(database, batch_id, 0, 1, 2)
    soon, now = NOW + timedelta(seconds=1), NOW
    _record(database, batch_id, Answer(0, RequestState.NEW, not_before=soon))
    _record(database, batch_id, Answer(1, RequestState.NEW, not_before=now))

    with database.read() as session:
        assert [one.number for one in requests.due(session, batch_id, 0, limit=9, now=NOW)] == [1, 3]
        assert [one.number for one in requests.due(session, batch_id, 0, limit=9, now=soon)] == [0, 1, 3]
        assert [one.number for one in requests.due(session, batch_id, 0, limit=2, now=soon)] == [0, 1]


def test_an_open_chunk_is_looked_at_when_something_may_have_changed(database: Database) -> None:
    batch_id = planned(database, people(sms=2))
    soon = NOW + timedelta(seconds=5)

    def look() -> object:
        with database.read() as session:
            return requests.open_until(session, batch_id, 0, now=NOW)

    seen = [look()]
    _claim(database, batch_id, 0, 1)
    seen.append(look())
    _record(database, batch_id, Answer(0, RequestState.NEW, not_before=soon))
    seen.append(look())
    _record(database, batch_id, Answer(1, RequestState.ACCEPTED))
    _claim(database, batch_id, 0, holder="b")
    _record(database, batch_id, Answer(0, RequestState.REJECTED), holder="b")
    seen.append(look())

    assert seen == [NOW, LEASE, soon, None]


# Recording


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (RequestState.ACCEPTED, MessageState.ACCEPTED),
        (RequestState.REJECTED, MessageState.FAILED),
        (RequestState.IN_DOUBT, MessageState.IN_DOUBT),
        (RequestState.NEW, MessageState.PENDING),
    ],
)
def test_an_answer_is_recorded_with_what_it_means_for_the_members(
    database: Database, state: RequestState, message: MessageState
) -> None:
    batch_id = planned(database, people(emails=2))
    _claim(database, batch_id, 0)

    answer = Answer(0, state, provider_id="id", http_status=202, code="c", detail="why", not_before=LEASE)
    assert _record(database, batch_id, answer) == {0}

    found = _request(database, batch_id)
    assert (found.state, found.answered_at, found.not_before) == (state, NOW, LEASE)
    assert (found.provider_id, found.http_status, found.code, found.detail) == ("id", 202, "c", "why")
    assert found.claim == (None if state is RequestState.NEW else "mine")
    assert {row[3] for row in _messages(database, batch_id)} == {message.value}
    assert batch(database, batch_id).sent == (2 if state is RequestState.ACCEPTED else 0)


def test_an_answer_under_a_wrong_token_is_not_recorded(database: Database) -> None:
    batch_id = planned(database, people(emails=1))
    _claim(database, batch_id, 0)

    assert _record(database, batch_id, Answer(0, RequestState.ACCEPTED), holder="other") == set()
    assert _states(database, batch_id) == {0: "intent"}
    assert batch(database, batch_id).sent == 0


def test_an_answer_of_an_earlier_attempt_is_not_recorded(database: Database) -> None:
    batch_id = planned(database, people(emails=1))
    _claim(database, batch_id, 0, holder="first")
    _record(database, batch_id, Answer(0, RequestState.NEW), holder="first")
    _claim(database, batch_id, 0, holder="second")

    assert _record(database, batch_id, Answer(0, RequestState.REJECTED), holder="first") == set()
    assert _states(database, batch_id) == {0: "intent"}


def test_an_answer_follows_the_table_of_states_and_in_doubt_only_an_acceptance_still_counts(
    database: Database,
) -> None:
    batch_id = planned(database, people(emails=1))
    answers = [state for state in RequestState if state is not RequestState.INTENT]
    went = {}
    for before, to in product(RequestState, answers):
        _set(database, batch_id, before)
        went[before, to] = _record(database, batch_id, Answer(0, to)) == {0}
        assert _states(database, batch_id) == {0: to if went[before, to] else before}

    late = {(before, RequestState.ACCEPTED) for before in (RequestState.IN_DOUBT, RequestState.UNRESOLVED)}
    assert {step for step, done in went.items() if done} == late | {
        (RequestState.INTENT, to) for to in NEXT_REQUEST[RequestState.INTENT]
    }


@pytest.mark.parametrize("before", RequestState)
def test_only_a_new_request_can_be_claimed(database: Database, before: RequestState) -> None:
    batch_id = planned(database, people(emails=1))
    _set(database, batch_id, before, holder="other")

    assert _claim(database, batch_id, 0) == ({0} if before is RequestState.NEW else set())


def test_one_of_several_records_of_the_same_acceptance_counts(database: Database) -> None:
    batch_id = planned(database, people(emails=3))
    _claim(database, batch_id, 0)

    came = race(*[lambda: _record(database, batch_id, Answer(0, RequestState.ACCEPTED))] * 4)

    assert sorted(map(bool, came)) == [False, False, False, True]
    assert {0} in came
    assert batch(database, batch_id).sent == 3


def test_a_recipient_who_is_reached_twice_counts_once(database: Database) -> None:
    batch_id = planned(database, people(both=2))
    _claim(database, batch_id, 0, 1, 2)
    sent = []
    for number in (1, 0, 2):
        _record(database, batch_id, Answer(number, RequestState.ACCEPTED))
        sent.append(batch(database, batch_id).sent)

    assert sent == [1, 2, 2]


def test_a_recipient_who_is_reached_on_both_channels_at_once_counts_once(database: Database) -> None:
    for _ in range(5):
        batch_id = planned(database, people(both=3))
        _claim(database, batch_id, *range(4))

        came = race(
            *[
                lambda one=batch_id, number=number: _record(database, one, Answer(number, RequestState.ACCEPTED))
                for number in range(4)
            ]
        )

        assert came == [{0}, {1}, {2}, {3}]
        assert batch(database, batch_id).sent == 3


def test_many_answers_at_once_that_share_recipients_are_all_recorded(database: Database) -> None:
    """Writers that lock the same recipients in another order would wait for each other for ever."""
    number = 60
    batch_id = planned(database, people(both=number))
    _claim(database, batch_id, *range(number + 1))
    halves = [range(1, number + 1, 2), range(2, number + 1, 2)]
    backwards = [[Answer(one, RequestState.ACCEPTED) for one in reversed(half)] for half in halves]

    came = race(
        lambda: _record(database, batch_id, Answer(0, RequestState.ACCEPTED)),
        *[lambda answers=answers: _record(database, batch_id, *answers) for answers in backwards],
    )

    assert [len(one) if isinstance(one, set) else one for one in came] == [1, number / 2, number / 2]
    assert batch(database, batch_id).sent == number


def test_answers_are_written_in_one_order_whatever_order_they_came_in(database: Database) -> None:
    """Of two who write the same requests in different orders, PostgreSQL ends one, and its answers would be lost."""
    batch_id = planned(database, people(sms=3))
    _claim(database, batch_id, 0, 1, 2)
    written: list[int] = []

    def note(
        _connection: object, _cursor: object, statement: str, _values: object, context: Any, _many: object
    ) -> None:
        if statement.startswith("UPDATE request "):
            written.extend(values["request_number"] for values in context.compiled_parameters)

    event.listen(database.engine, "before_cursor_execute", note)
    _record(database, batch_id, *[Answer(number, RequestState.ACCEPTED) for number in (2, 0, 1)])

    assert written == [0, 1, 2]


# Doubt


def test_an_intent_whose_lease_ran_out_is_in_doubt(database: Database) -> None:
    batch_id = planned(database, people(emails=2))
    _claim(database, batch_id, 0)
    with database.write() as session:
        at_the_end = requests.doubt_expired(session, batch_id, now=LEASE)

    assert (at_the_end, _doubt(database, batch_id), _doubt(database, batch_id)) == (0, 1, 0)
    assert _states(database, batch_id) == {0: "in_doubt"}
    assert {row[3] for row in _messages(database, batch_id)} == {"in_doubt"}
    assert _request(database, batch_id).code == "worker_lost"


def test_only_intents_can_come_into_doubt(database: Database) -> None:
    batch_id = planned(database, people(sms=3))
    _claim(database, batch_id, 0, 1)
    _record(database, batch_id, Answer(0, RequestState.ACCEPTED))
    _record(database, batch_id, Answer(1, RequestState.NEW))

    assert _doubt(database, batch_id) == 0


def test_doubts_of_another_batch_are_left_alone(database: Database) -> None:
    first = planned(database, people(emails=1))
    second = planned(database, people(emails=1), process_version_id=batch(database, first).process_version_id)
    _claim(database, first, 0)

    assert _doubt(database, second) == 0
    assert _states(database, first) == {0: "intent"}


def test_several_at_once_put_an_intent_in_doubt_once(database: Database) -> None:
    batch_id = planned(database, people(sms=30))
    _claim(database, batch_id, *range(30))

    came = race(*[lambda: _doubt(database, batch_id)] * 4)

    assert sum(one for one in came if isinstance(one, int)) == 30, came
    assert not [one for one in came if isinstance(one, Exception)]


def test_a_late_acceptance_settles_a_doubt(database: Database) -> None:
    batch_id = planned(database, people(emails=2))
    _claim(database, batch_id, 0)
    _doubt(database, batch_id)

    assert _record(database, batch_id, Answer(0, RequestState.ACCEPTED, provider_id="late")) == {0}
    assert _request(database, batch_id).provider_id == "late"
    assert {row[3] for row in _messages(database, batch_id)} == {"accepted"}
    assert batch(database, batch_id).sent == 2


@pytest.mark.parametrize("state", [RequestState.NEW, RequestState.REJECTED, RequestState.IN_DOUBT])
def test_no_other_late_answer_settles_a_doubt(database: Database, state: RequestState) -> None:
    batch_id = planned(database, people(emails=1))
    _claim(database, batch_id, 0)
    _doubt(database, batch_id)

    assert _record(database, batch_id, Answer(0, state)) == set()
    assert _states(database, batch_id) == {0: "in_doubt"}


def test_a_request_in_doubt_is_never_due_again(database: Database) -> None:
    batch_id = planned(database, people(emails=1))
    _claim(database, batch_id, 0)
    _doubt(database, batch_id)

    with database.read() as session:
        assert requests.due(session, batch_id, 0, limit=9, now=AFTER_LEASE + timedelta(days=9)) == []
        assert requests.chunks(session, batch_id) == []
    assert _claim(database, batch_id, 0, holder="again") == set()


# Replacing


def test_a_replacement_keeps_every_member_once_and_names_the_refused(database: Database) -> None:
    batch_id = planned(database, people(emails=5))
    _claim(database, batch_id, 0)

    assert _replace(database, batch_id, [0, 2], [3, 4], refused={1: "refused"})

    assert _messages(database, batch_id) == [
        (0, 1, 3, "failed"),
        (1, 0, 2, "pending"),
        (1, 1, 4, "pending"),
        (2, 0, 5, "pending"),
        (2, 1, 6, "pending"),
    ]
    assert _states(database, batch_id) == {0: "replaced", 1: "new", 2: "new"}
    child = _request(database, batch_id, 2)
    assert (child.parent, child.chunk, child.channel, child.size, child.attempt) == (0, 0, EMAIL, 2, 0)
    assert batch(database, batch_id).request_count == 3


def test_a_replacement_can_be_replaced(database: Database) -> None:
    batch_id = planned(database, people(emails=4))
    _claim(database, batch_id, 0)
    _replace(database, batch_id, [0, 1], [2, 3])
    _claim(database, batch_id, 2, holder="b")

    assert _replace(database, batch_id, [0], [1], number=2, holder="b")

    assert [row[:3] for row in _messages(database, batch_id)] == [(1, 0, 2), (1, 1, 3), (3, 0, 4), (4, 0, 5)]


def test_a_replacement_under_a_wrong_token_changes_nothing(database: Database) -> None:
    batch_id = planned(database, people(emails=2))
    _claim(database, batch_id, 0)
    before = _messages(database, batch_id)

    assert not _replace(database, batch_id, [0], [1], holder="other")
    assert (_messages(database, batch_id), _states(database, batch_id)) == (before, {0: "intent"})


def test_a_request_is_replaced_once(database: Database) -> None:
    batch_id = planned(database, people(emails=2))
    _claim(database, batch_id, 0)

    came = race(*[lambda: _replace(database, batch_id, [0], [1])] * 3)

    assert sorted(came, key=str) == [False, False, True]
    assert len(_states(database, batch_id)) == 3


def test_replacements_at_once_get_different_numbers(database: Database) -> None:
    frame = pl.concat([people(emails=2)] * 2).with_columns(pl.Series("row", range(2, 6), pl.UInt32))
    batch_id = planned(database, frame)
    _claim(database, batch_id, 0, 1)

    came = race(*[lambda number=number: _replace(database, batch_id, [0], [1], number=number) for number in (0, 1)])

    assert came == [True, True]
    assert _states(database, batch_id) == {0: "replaced", 1: "replaced", 2: "new", 3: "new", 4: "new", 5: "new"}


def test_a_doubt_is_not_split_by_a_late_refusal(database: Database) -> None:
    """By then the batch may be settling, and nobody would make the new requests."""
    batch_id = planned(database, people(emails=2))
    _claim(database, batch_id, 0)
    _doubt(database, batch_id)

    assert not _replace(database, batch_id, [0], [1])

    assert {row[3] for row in _messages(database, batch_id)} == {"in_doubt"}


# Asking


def test_rows_come_by_request_in_the_order_of_their_places(database: Database) -> None:
    batch_id = planned(database, people(emails=3, sms=2))

    with database.read() as session:
        assert requests.rows_of(session, batch_id, [2, 0]) == {0: [2, 3, 4], 2: [6]}


def test_requests_are_counted_by_state(database: Database) -> None:
    batch_id = planned(database, people(sms=3))
    _claim(database, batch_id, 0, 1)
    _record(database, batch_id, Answer(0, RequestState.ACCEPTED))

    with database.read() as session:
        assert requests.by_state(session, batch_id) == {
            RequestState.ACCEPTED: 1,
            RequestState.INTENT: 1,
            RequestState.NEW: 1,
        }


def test_every_state_of_a_message_that_a_request_gives_is_reached_by_an_answer() -> None:
    assert set(MESSAGE_OF_REQUEST.values()) == set(MessageState) - {MessageState.PENDING}
