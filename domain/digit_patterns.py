"""Patterns of digits, as the sets of numbers that fit them.

libphonenumber's metadata are regexes of digits, classes, groups, alternatives and counts. Texts of so many digits are
numbers, and those that fit such a pattern are few spans of numbers: what is to be known of them is then a search in a
sorted list instead of a regex.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import cache
from operator import itemgetter
from typing import NamedTuple

Span = tuple[int, int]
"""All numbers from the first to the last, both included."""
Spans = list[Span]
"""In their order, and apart."""

MOST = 20_000
"""Numbers or spans of one pattern; the metadata need a tenth of it."""
ITEM = r"[0-9]|\[[0-9-]+\]|\\d(?:\{[0-9]\})?"
COUNT = r"\?|\{[0-9]+(?:,[0-9]+)?\}"
TOKEN = re.compile(rf"((?:{ITEM})+(?!{COUNT})|{ITEM}|\(\?:|[(|)])({COUNT})?")
"""As many items in one as no count follows."""
ITEMS, RANGE = re.compile(ITEM), re.compile("([0-9])(?:-([0-9]))?")


class NotUnderstoodError(ValueError):
    """The metadata say something that is not translated here."""


class Way(NamedTuple):
    """One of the ways to match a pattern: so many digits, which make one of these numbers.

    The digits from `start` to `end` are those of the group that was asked for, if it takes part.
    """

    digits: int
    spans: Spans
    start: int = 0
    end: int = 0


EMPTY = Way(0, [(0, 0)])
NOTHING_YET = [EMPTY]


@cache
def fitting(pattern: str) -> dict[int, Spans]:
    """The numbers that fit a pattern as a whole, by how many digits they have."""
    found: dict[int, Spans] = {}
    for way in ways(pattern):
        found[way.digits] = united(found.get(way.digits, []) + way.spans)
    return found


def ways(pattern: str, *, group: int | None = None) -> list[Way]:
    """The ways to match, in a regex's order: the first that a text begins with is what it matches.

    Args:
        pattern: without `$`.
        group: the number of the group whose digits are to be told from the others.
    """
    tokens = TOKEN.findall(pattern)
    if "".join(map("".join, tokens)) != pattern:
        raise NotUnderstoodError(pattern)
    outside: list[tuple[list[Way], list[Way], bool]] = []
    before: list[Way] = []
    groups, found = 0, NOTHING_YET
    for part, count in tokens:
        if part[0] == "(":
            groups += part == "("
            outside.append((before, found, part == "(" and groups == group))
            before, found = [], NOTHING_YET
        elif part == "|":
            before, found = before + found, NOTHING_YET
        else:
            if part != ")":
                item = [_run(part)]
            elif outside:
                item = _merged(before + found)
                before, found, is_asked_for = outside.pop()
                item = [way._replace(end=way.digits) for way in item] if is_asked_for else item
            else:
                raise NotUnderstoodError(pattern)
            item = _counted(item, count) if count else item
            found = item if found is NOTHING_YET else _joined(found, item)
    if outside:
        raise NotUnderstoodError(pattern)
    return _merged(before + found)


def _counted(item: list[Way], count: str) -> list[Way]:
    """An item as often as it may stand, the most of it first."""
    least, _, most = "0,1".partition(",") if count == "?" else count[1:-1].partition(",")
    powers = [NOTHING_YET]
    for _ in range(int(most or least)):
        powers.append(_joined(powers[-1], item))
    return [way for power in reversed(powers[int(least) :]) for way in power]


def _run(items: str) -> Way:
    """Items one after another."""
    first, *others = map(_item, ITEMS.findall(items))
    for other in others:
        first = _followed(first, other)
    return first


@cache
def _item(text: str) -> Way:
    """A digit, one of a class, or some of any."""
    if text[0] == "[":
        return Way(1, united([(int(first), int(last or first)) for first, last in RANGE.findall(text)]))
    if text[0] == "\\":
        digits = int(text[3:-1] or 1)
        return Way(digits, [(0, 10**digits - 1)])
    return Way(1, [(int(text), int(text))])


def _joined(ways: list[Way], others: list[Way]) -> list[Way]:
    """Each of the ways, and each of the others after it."""
    return [_followed(way, other) if way.digits else other for way in ways for other in others]


def _followed(way: Way, by: Way) -> Way:
    size = 10**by.digits
    if by.spans == [(0, size - 1)]:
        spans = [(low * size, high * size + size - 1) for low, high in way.spans]
    elif sum(high - low + 1 for low, high in way.spans) * len(by.spans) > MOST:
        raise NotUnderstoodError("too many numbers")
    else:
        spans = [
            (number * size + first, number * size + last)
            for low, high in way.spans
            for number in range(low, high + 1)
            for first, last in by.spans
        ]
    if by.end:
        return Way(way.digits + by.digits, spans, way.digits + by.start, way.digits + by.end)
    return Way(way.digits + by.digits, spans, way.start, way.end)


def _merged(found: list[Way]) -> list[Way]:
    """Ways that follow one another and differ in nothing but their numbers are one."""
    if len(found) == 1:
        return found
    merged = [[found[0]]]
    for way in found[1:]:
        last = merged[-1][0]
        if way.digits == last.digits and way.start == last.start and way.end == last.end:
            merged[-1].append(way)
        else:
            merged.append([way])
    return [
        Way(way.digits, united([span for one in (way, *others) for span in one.spans]), way.start, way.end)
        for way, *others in merged
    ]


def united(spans: Iterable[Span]) -> Spans:
    """The numbers of any of them."""
    found: Spans = []
    first, last = 0, -1
    for low, high in sorted(spans):
        if low > last + 1 or last < 0:
            found.append((low, high))
            first, last = low, high
        elif high > last:
            last = high
            found[-1] = (first, last)
    return found


def cut(low: int, high: int, spans: Spans) -> Iterator[tuple[int, int, bool]]:
    """The numbers from `low` to `high`, in pieces that are within the spans and pieces that are not."""
    for place in range(bisect_left(spans, low, key=itemgetter(1)), len(spans)):
        first, last = spans[place]
        if first > high:
            break
        if low < first:
            yield low, first - 1, False
        yield max(low, first), min(high, last), True
        low = last + 1
    if low <= high:
        yield low, high, False


def without(spans: Spans, others: Spans) -> Spans:
    """The numbers of `spans` that are in none of the others."""
    return [(low, high) for span in spans for low, high, within in cut(*span, others) if not within]


def common(spans: Spans, others: Spans) -> Spans:
    """The numbers that are in both."""
    few, many = sorted((spans, others), key=len)
    return [(low, high) for span in few for low, high, within in cut(*span, many) if within]
