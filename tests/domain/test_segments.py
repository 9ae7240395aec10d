"""What an SMS costs: segments, for every text and for a whole list."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.costs import Costs, costs
from domain.segments import BASIC, EXTENDED, segments
from tests.factories import people, process


def counted(*texts: str) -> list[int]:
    return (
        pl.DataFrame({"text": texts}, schema={"text": pl.String}).select(segments(pl.col("text"))).to_series().to_list()
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("ж" * 70, 1),
        ("ж" * 71, 2),
        ("ж" * 134, 2),
        ("ж" * 135, 3),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("a" * 100 + "ж", 2),
        ("]^\\-[" * 10, 1),
    ],
)
def test_a_text_takes_so_many_segments(text: str, expected: int) -> None:
    assert counted(text) == [expected]


@given(st.lists(st.text(max_size=400) | st.text(alphabet=BASIC + EXTENDED, max_size=400), min_size=1, max_size=20))
def test_a_list_is_counted_as_each_of_its_texts(texts: list[str]) -> None:
    def alone(text: str) -> int:
        if set(text) <= set(BASIC + EXTENDED):
            units, room = len(text) + sum(sign in EXTENDED for sign in text), (160, 153)
        else:
            units, room = len(text.encode("utf-16-le")) // 2, (70, 67)
        return 1 if units <= room[0] else -(-units // room[1])

    assert counted(*texts) == [alone(text) for text in texts]


def test_every_sign_of_the_alphabet_is_one() -> None:
    assert counted(*BASIC, *EXTENDED) == [1] * len(BASIC + EXTENDED)
    assert len(set(BASIC)) == 127, "all of GSM 03.38 but its escape"


def test_a_list_costs_what_its_own_texts_take() -> None:
    """Each recipient's values count, and the link as long as every link is."""
    names = ["Ann", "Ж", "B" * 200, "nobody"]
    frame = people(emails=0, sms=2, both=1, invalid=1).with_columns(pl.Series("item:first_name", names))

    found = costs(frame, process(), link_length=50)

    assert found == Costs(emails=1, sms=3, segments=1 + 1 + 2, longest=2)


def test_a_process_that_sends_no_sms_costs_none() -> None:
    assert costs(people(both=2), process(sms=False), link_length=50) == Costs(emails=2, sms=0, segments=0, longest=0)


def test_a_process_that_sends_no_email_sends_none() -> None:
    assert costs(people(emails=1, both=2), process(email=False), link_length=10).emails == 0


def test_nobody_costs_nothing() -> None:
    assert costs(people(invalid=2), process(), link_length=50) == Costs(emails=0, sms=0, segments=0, longest=0)
