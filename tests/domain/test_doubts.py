"""When a doubt is over: evidence of acceptance at any time, of absence only when nothing can surface any more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.doubts import Patience, Reading, Verdict, Watermark, judge_doubt

SINCE = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PATIENCE = Patience(settle=timedelta(minutes=15), apart=timedelta(minutes=1), at_most=timedelta(hours=1))


def after(minutes: float) -> datetime:
    return SINCE + timedelta(minutes=minutes)


def read(minutes: float, *, found: bool | None = False, source: str = "list") -> Reading:
    return Reading(source, after(minutes), found)


def mark(asked: float, seen: float, *, source: str = "list") -> Watermark:
    return Watermark(source, after(asked), after(seen))


SILENT = [read(15), read(17)]
SEEN = [mark(1, 16)]


def test_one_sighting_settles_it_however_many_silences_there_were() -> None:
    assert judge_doubt(SINCE, [*SILENT, read(59, found=True)], SEEN, PATIENCE, now=after(90)) is Verdict.ACCEPTED


def test_two_late_silences_and_a_later_request_in_the_same_list_prove_an_absence() -> None:
    assert judge_doubt(SINCE, SILENT, SEEN, PATIENCE, now=after(17)) is Verdict.ABSENT


@pytest.mark.parametrize(
    ("readings", "marks"),
    [
        pytest.param([read(15), read(15.5)], SEEN, id="two silences too close together"),
        pytest.param([read(17)], SEEN, id="one silence"),
        pytest.param([read(2), read(14.9), read(15)], SEEN, id="silences from before the settle time"),
        pytest.param([read(15), read(17, found=None)], SEEN, id="a list that did not answer"),
        pytest.param([read(15), read(17, source="other")], SEEN, id="silences of two lists"),
        pytest.param(SILENT, [], id="nothing later seen: the list may be blind"),
        pytest.param(SILENT, [mark(-1, 16)], id="only something earlier seen"),
        pytest.param(SILENT, [mark(0, 16)], id="only something as old seen"),
        pytest.param(SILENT, [mark(1, 18)], id="something later seen only after the silences"),
        pytest.param(SILENT, [mark(1, 16, source="other")], id="something later seen in another list"),
    ],
)
def test_anything_less_proves_nothing(readings: list[Reading], marks: list[Watermark]) -> None:
    assert judge_doubt(SINCE, readings, marks, PATIENCE, now=after(20)) is Verdict.WAIT
    gave_up = [read(58, found=None), read(59, found=None)]
    assert judge_doubt(SINCE, [*readings, *gave_up], marks, PATIENCE, now=after(60)) is Verdict.UNRESOLVED


def test_a_doubt_that_was_never_looked_up_is_not_given_up() -> None:
    assert judge_doubt(SINCE, [], SEEN, PATIENCE, now=after(600)) is Verdict.WAIT
    assert judge_doubt(SINCE, [read(500)], [], PATIENCE, now=after(600)) is Verdict.WAIT
    assert judge_doubt(SINCE, [read(1), read(2), read(500)], [], PATIENCE, now=after(600)) is Verdict.WAIT


minutes = st.floats(-30, 120, allow_nan=False)
readings = st.builds(
    read, minutes, found=st.sampled_from([True, False, None]), source=st.sampled_from(["list", "other"])
)
marks = st.builds(mark, minutes, minutes, source=st.sampled_from(["list", "other"]))


@given(st.lists(readings), st.lists(marks), minutes)
def test_an_absence_is_never_called_on_what_may_still_surface(
    found: list[Reading], seen: list[Watermark], moment: float
) -> None:
    verdict = judge_doubt(SINCE, found, seen, PATIENCE, now=after(moment))
    if verdict is Verdict.ABSENT:
        late = [one for one in found if one.found is False and one.at >= SINCE + PATIENCE.settle]
        assert not any(one.found for one in found)
        assert any(
            sum(one.source == source for one in late) > 1
            and any(one.source == source and one.asked_at > SINCE for one in seen)
            for source in ("list", "other")
        )


@given(st.permutations([*SILENT, read(1), read(3, found=None)]), st.permutations([*SEEN, mark(-5, 1)]))
def test_the_order_of_the_evidence_does_not_matter(found: list[Reading], seen: list[Watermark]) -> None:
    assert judge_doubt(SINCE, found, seen, PATIENCE, now=after(17)) is Verdict.ABSENT
