"""A set of numbers is what a regex matches, to the last digit."""

from __future__ import annotations

import re
from collections.abc import Iterator

import phonenumbers
import pytest

from domain.digit_patterns import NotUnderstoodError, Spans, Way, common, cut, fitting, united, ways, without

KINDS = ("general_desc", "fixed_line", "mobile", "premium_rate", "toll_free", "shared_cost", "voip", "uan", "pager")


def patterns_of_all_regions() -> Iterator[str]:
    for region in phonenumbers.SUPPORTED_REGIONS:
        metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
        for kind in KINDS:
            pattern = getattr(getattr(metadata, kind), "national_number_pattern", None)
            if pattern:
                yield pattern


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("0", {1: [(0, 0)]}),
        (r"7\d{2}", {3: [(700, 799)]}),
        (r"[1-357]\d", {2: [(10, 39), (50, 59), (70, 79)]}),
        ("1[02]|13|2", {2: [(10, 10), (12, 13)], 1: [(2, 2)]}),
        (r"1(?:2|3\d)?", {2: [(12, 12)], 3: [(130, 139)], 1: [(1, 1)]}),
        (r"9\d{1,3}", {2: [(90, 99)], 3: [(900, 999)], 4: [(9000, 9999)]}),
        ("(?:1[2-4]){2}", {4: [(1212, 1214), (1312, 1314), (1412, 1414)]}),
        ("02?", {2: [(2, 2)], 1: [(0, 0)]}),
        ("1{2}|111", {2: [(11, 11)], 3: [(111, 111)]}),
        ("", {0: [(0, 0)]}),
    ],
)
def test_numbers_that_fit(pattern: str, expected: dict[int, Spans]) -> None:
    assert fitting(pattern) == expected


def test_the_first_and_last_of_every_span_fit_and_their_neighbours_do_not() -> None:
    """Of every pattern that libphonenumber carries: no span is one number too long or too short."""
    wrong = []
    for pattern in sorted(set(patterns_of_all_regions())):
        fits = re.compile(pattern).fullmatch
        for digits, spans in fitting(pattern).items():
            for low, high in spans:
                asked = {low: True, high: True, low - 1: False, high + 1: False}
                texts = {f"{number:0{digits}}": does for number, does in asked.items() if 0 <= number < 10**digits}
                wrong += [(pattern, text) for text, does in texts.items() if bool(fits(text)) != does]

    assert wrong == []


def test_ways_come_in_the_order_of_a_regex() -> None:
    assert ways("00|0|(?:01){1,2}") == [
        Way(2, [(0, 0)]),
        Way(1, [(0, 0)]),
        Way(4, [(101, 101)]),
        Way(2, [(1, 1)]),
    ]


def test_a_way_tells_where_its_group_is() -> None:
    assert ways("0?(?:(1)(22|3)4)?", group=2) == [
        Way(5, [(1224, 1224)], 2, 4),
        Way(4, [(134, 134)], 2, 3),
        Way(1, [(0, 0)]),
        Way(4, [(1224, 1224)], 1, 3),
        Way(3, [(134, 134)], 1, 2),
        Way(0, [(0, 0)]),
    ]


@pytest.mark.parametrize(
    "pattern", ["(?=1)2", "[^1]", "1*", r"\w", "1.", "(?P<a>1)", "1$", "(1", "1)", "?", "{2}", "1??", r"\d{5}[2-5]\d"]
)
def test_what_is_not_translated_is_refused(pattern: str) -> None:
    """The last is no other language, but a hundred thousand spans."""
    with pytest.raises(NotUnderstoodError):
        fitting(pattern)


def test_sets() -> None:
    some: Spans = [(0, 4), (7, 7), (10, 19)]
    others: Spans = [(3, 8), (12, 12), (19, 30)]

    assert united([(7, 7), (5, 6), (1, 2), (1, 9), (11, 12)]) == [(1, 9), (11, 12)]
    assert common(some, others) == [(3, 4), (7, 7), (12, 12), (19, 19)]
    assert without(some, others) == [(0, 2), (10, 11), (13, 18)]
    assert list(cut(2, 11, some)) == [(2, 4, True), (5, 6, False), (7, 7, True), (8, 9, False), (10, 11, True)]
