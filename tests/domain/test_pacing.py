"""How many requests are under way: never more than allowed, and fewer as soon as a provider asks for it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from domain.outcomes import Outcome, OutcomeKind
from domain.pacing import OWN_PAUSE, Outage, Pace
from tests.factories import race

ACCEPTED, DOUBT = Outcome(OutcomeKind.ACCEPTED), Outcome(OutcomeKind.IN_DOUBT)


def later(seconds: float | None = None, *, code: str = "429") -> Outcome:
    return Outcome(OutcomeKind.TRY_LATER, code=code, retry_after=seconds)


def test_all_that_is_allowed_leaves_at_first() -> None:
    assert Pace(50).room(under_way=0, at=0) == 50
    assert Pace(50).room(under_way=20, at=0) == 30


def test_a_refusal_halves_it_once_for_those_that_were_under_way_together() -> None:
    pace = Pace(40)
    for at in (0.0, 0.2, 0.9):
        pace.answered(later(), at=at)
    assert pace.room(under_way=0, at=1) == 20
    pace.answered(later(), at=1.0)
    assert pace.room(under_way=0, at=1) == 10


def test_one_always_may_leave() -> None:
    pace = Pace(8)
    for at in range(20):
        pace.answered(later(), at=at)
    assert pace.room(under_way=0, at=20) == 1
    assert pace.room(under_way=1, at=20) == 0


def test_it_grows_by_one_in_a_round_of_acceptances_and_never_past_what_is_allowed() -> None:
    pace = Pace(8)
    pace.answered(later(), at=0)
    for _ in range(5):
        pace.answered(ACCEPTED, at=1)
    assert pace.room(under_way=0, at=1) == 5
    for _ in range(100):
        pace.answered(ACCEPTED, at=1)
    assert pace.room(under_way=0, at=1) == 8


def test_nothing_leaves_while_the_provider_wants_to_be_left_alone() -> None:
    pace = Pace(8)
    pace.answered(later(30), at=100)
    pace.answered(later(5), at=101)
    assert pace.room(under_way=0, at=129.9) == 0
    assert pace.quiet(at=110) == 20
    assert pace.room(under_way=0, at=130) == 2
    assert pace.quiet(at=130) == 0


def test_a_pause_of_our_own_says_nothing_of_the_provider() -> None:
    pace = Pace(8)
    pace.answered(later(code=OWN_PAUSE), at=0)
    assert pace.room(under_way=0, at=0) == 8


answers = st.sampled_from([ACCEPTED, later(), later(2.0), DOUBT])


@given(st.integers(1, 500), st.lists(answers, max_size=60))
def test_the_room_stays_between_one_and_what_is_allowed(ceiling: int, given_answers: list[Outcome]) -> None:
    pace = Pace(ceiling)
    for at, answer in enumerate(given_answers):
        pace.answered(answer, at=at)
    assert 1 <= pace.room(under_way=0, at=1000) <= ceiling


def down(*, at: float = 0.0) -> Outage:
    outage = Outage()
    for _ in range(5):
        outage.answered(DOUBT, at=at)
    return outage


def test_a_provider_that_answers_now_and_then_is_up() -> None:
    outage = Outage()
    for _ in range(20):
        for answer in (DOUBT, DOUBT, DOUBT, DOUBT, ACCEPTED):
            outage.answered(answer, at=0)
    assert outage.admit(50, at=0) == 50
    assert outage.quiet(at=0) == 0


def test_a_provider_that_seems_down_is_tried_by_one_request_after_a_wait() -> None:
    outage = down(at=100)
    assert outage.admit(50, at=100.5) == 0
    assert outage.quiet(at=100.5) == 0.5
    assert outage.admit(50, at=101) == 1
    assert outage.admit(50, at=101) == 0


def test_the_waits_grow_up_to_five_minutes() -> None:
    outage = down()
    at, waits = 0.0, []
    for _ in range(12):
        waits.append(outage.quiet(at=at))
        at += waits[-1]
        assert outage.admit(50, at=at) == 1
        outage.answered(DOUBT, at=at)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


def test_an_answer_ends_the_outage_at_once_and_the_next_begins_with_a_short_wait() -> None:
    outage = down()
    for at in (1.0, 3.0, 7.0):
        outage.admit(50, at=at)
        outage.answered(DOUBT, at=at)
    outage.answered(Outcome(OutcomeKind.RECIPIENT_REFUSED), at=8)
    assert outage.admit(50, at=8) == 50
    for _ in range(5):
        outage.answered(DOUBT, at=9)
    assert outage.quiet(at=9) == 1


def test_a_wish_to_wait_or_a_refused_connection_does_not_end_it() -> None:
    outage = down()
    outage.answered(later(), at=0)
    assert outage.admit(50, at=0) == 0


def test_of_many_who_try_at_once_one_is_let_through() -> None:
    outage = down()
    assert sorted(map(str, race(*[lambda: outage.admit(50, at=1)] * 8))) == ["0"] * 7 + ["1"]
