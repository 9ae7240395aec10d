"""The numbering plans that `phonenumbers` carries, as tables to search whole columns of numbers in.

What libphonenumber's `parse` makes of dialled digits is one number plus a difference, which is the same for all
numbers of a span; and what type a number has is the same for a span, too. So both are tables of spans, one for each
region or calling code and number of digits, made when they are first needed.
"""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, pairwise
from operator import attrgetter
from typing import NamedTuple

import polars as pl
from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    REGION_CODE_FOR_NON_GEO_ENTITY,
    SUPPORTED_REGIONS,
    PhoneMetadata,
    PhoneNumberDesc,
)

from domain.digit_patterns import NotUnderstoodError, Span, Spans, Way, common, cut, fitting, united, ways, without

LEAST_DIGITS, MOST_DIGITS = 4, 17
"""Of what is looked up: with a calling code before that many, and what else is added, a number still fits into 64 bits."""
MOST_SPELLINGS = 60
"""Of a prefix; where there are more, as of China's carriers, numbers with one go to the library."""
FEW_SPANS = 20
"""Of those that are left to it."""
FIRST_OF_MANY = re.compile(r"(\([^()]*\))\$(?:\|(.+))?")
"""A prefix that is the whole number, and the other prefixes."""
UNDERSTOOD_RULE = re.compile(r"([0-9]{0,4})\\([0-9])")
SPECIAL_TYPES = (
    "premium_rate",
    "toll_free",
    "shared_cost",
    "voip",
    "personal_number",
    "pager",
    "uan",
    "voicemail",
)
"""The types that libphonenumber looks for before it takes a number for a landline."""
ODD, NOTHING, NUMBER, ABROAD = range(4)
"""What is dialled: a matter for the library, nothing, a number in E.164, or digits after an international prefix."""
UNKNOWN, VALID, LANDLINE = range(1, 4)
"""The type of a number: none, one, or FIXED_LINE, and no mobile phone can have such a number."""
READINGS = {"last": pl.Int64, "is": pl.UInt8, "digits": pl.UInt32, "added": pl.Int64}
"""Up to `last`, what a number is; with `added` it becomes what it is read as, which has so many digits."""
TYPES = {"last": pl.Int64, "type": pl.UInt8}
"""Up to `last`, the type of a number."""


class Piece(NamedTuple):
    """Numbers of one length from `low` to `high`: with `added` they become what they are read as.

    That has so many `digits`; None where the library must say what it is.
    """

    low: int
    high: int
    added: int
    digits: int | None


class Row(NamedTuple):
    """Of READINGS."""

    last: int
    kind: int
    digits: int
    added: int


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """How digits of one length are read.

    Attributes:
        table: READINGS of all of them.
        types: TYPES of all that they may be read as, by calling code and how many digits follow it.
    """

    table: pl.DataFrame
    types: dict[tuple[int, int], pl.DataFrame]


@dataclass(frozen=True, slots=True, eq=False)
class Prefix:
    """Digits that stand before a number.

    Attributes:
        ways: to write it, the first that a number begins with counting.
        whole: the ways that count only if they are the whole number; they come before the others.
        added: digits that are put before the marked group of a way, if that takes part.
    """

    ways: Sequence[Way] = ()
    whole: Sequence[Way] = ()
    added: str = ""

    def taken_from(self, digits: int) -> Iterator[Piece]:
        """All numbers of so many digits, without it; in no order."""
        taken: Spans = []
        whole = (way for way in self.whole if way.digits == digits)
        for way in chain(whole, (way for way in self.ways if way.digits <= digits)):
            room = 10 ** (digits - way.digits)
            # The same is added to all that differ only behind the prefix, or else in a group at its end.
            alike = room * 10 ** (way.end - way.start) if way.end == way.digits else room
            spans = [(low * room, high * room + room - 1) for low, high in way.spans]
            is_dear = sum(high // alike - low // alike + 1 for low, high in spans) > MOST_SPELLINGS
            own = without(_roughly(spans) if is_dear else spans, taken)
            for span in own:
                insort(taken, span)
                yield from [Piece(*span, 0, None)] if is_dear else self._without(way, *span, alike=alike, room=room)
        yield from (Piece(low, high, 0, digits) for low, high, begins in cut(0, 10**digits - 1, taken) if not begins)

    def _without(self, way: Way, low: int, high: int, *, alike: int, room: int) -> Iterator[Piece]:
        """Numbers that begin in one way, which so many numbers after it share."""
        added = self.added if way.end else ""
        kept, behind = 10 ** (way.end - way.start), 10 ** (way.digits - way.end)
        digits = len(added) + way.end - way.start + len(str(room)) - 1
        for part in range(low // alike, high // alike + 1):
            first, last = max(low, part * alike), min(high, part * alike + alike - 1)
            group = first // room // behind % kept
            rest = (int(added or 0) * kept + group) * room + first % room
            yield Piece(first, last, rest - first, digits)


def _roughly(spans: Spans) -> Spans:
    """Few spans with all these numbers in them, and as few others as whole tens, hundreds and so on allow."""
    tens = 1
    while len(spans) > FEW_SPANS:
        tens *= 10
        spans = united((low // tens * tens, high // tens * tens + tens - 1) for low, high in spans)
    return spans


@dataclass(frozen=True, slots=True, eq=False)
class NumberingPlan:
    """How numbers are dialled in a region.

    Attributes:
        calling_code: of the region's country.
        main_region: whose plan is used for a number with this calling code.
        international_prefix: as `00`.
        national_prefix: as `0`.
        general: the numbers of the region, by how many digits they have.
        lengths: how many digits a number may have.
        local_lengths: how many digits a number may have that is dialled without its area code.
    """

    calling_code: int
    main_region: str
    international_prefix: Prefix
    national_prefix: Prefix
    general: dict[int, Spans]
    lengths: frozenset[int]
    local_lengths: frozenset[int]

    def is_too_long(self, digits: int) -> bool:
        """The length is TOO_LONG to libphonenumber's `_test_number_length`."""
        return digits > max(self.lengths) and digits not in self.local_lengths

    def may_stand(self, digits: int) -> bool:
        """The length is IS_POSSIBLE or TOO_LONG to it, which lets a number without its national prefix stand."""
        return self.is_too_long(digits) or (digits in self.lengths and digits not in self.local_lengths)


@cache
def numbering_plan(region: str | None) -> NumberingPlan | None:
    """The plan of a region as `DE`; None where there is none that can be translated."""
    metadata = PhoneMetadata.metadata_for_region(region) if region in SUPPORTED_REGIONS else None
    try:
        return None if metadata is None else _plan(metadata)
    except NotUnderstoodError:
        return None


def _plan(metadata: PhoneMetadata) -> NumberingPlan:
    general = metadata.general_desc
    code = metadata.country_code
    if general is None or code is None:
        raise NotUnderstoodError(metadata.id)
    return NumberingPlan(
        calling_code=code,
        main_region=main_region(code),
        international_prefix=_prefix(metadata.international_prefix),
        national_prefix=_prefix(metadata.national_prefix_for_parsing, rule=metadata.national_prefix_transform_rule),
        general=fitting(general.national_number_pattern),
        lengths=frozenset(general.possible_length),
        local_lengths=frozenset(general.possible_length_local_only),
    )


def _prefix(pattern: str | None, *, rule: str | None = None) -> Prefix:
    if not pattern:
        return Prefix()
    group, added = None, ""
    if rule:
        parts = UNDERSTOOD_RULE.fullmatch(rule)
        group = re.compile(pattern).groups
        # libphonenumber asks whether the last group took part, so a rule of another group is another matter.
        if parts is None or int(parts[2]) != group:
            raise NotUnderstoodError(rule)
        added = parts[1]
    if parts := FIRST_OF_MANY.fullmatch(pattern):
        others = ways(parts[2], group=group) if parts[2] else ()
        return Prefix(others, whole=ways(parts[1], group=group), added=added)
    return Prefix(ways(pattern, group=group), added=added)


def main_region(calling_code: int) -> str:
    """The region whose plan is used for numbers with this calling code."""
    return COUNTRY_CODE_TO_REGION_CODE[calling_code][0]


@cache
def calling_codes() -> pl.Series:
    """The calling code that digits begin with, at the place that their first three name; 0 where they begin with none.

    Without worldwide ones as +800.
    """
    codes = [0] * 1000
    for code, regions in COUNTRY_CODE_TO_REGION_CODE.items():
        if regions[0] != REGION_CODE_FOR_NON_GEO_ENTITY:
            size = 10 ** (3 - len(str(code)))
            codes[code * size : code * size + size] = [code] * size
    return pl.Series(codes, dtype=pl.Int32)


@cache
def reading_abroad(calling_code: int, digits: int) -> Reading | None:
    """How so many digits after a plus are read that begin with a calling code; None where that cannot be translated."""
    plan = numbering_plan(main_region(calling_code)) if calling_code else None
    if plan is None:
        return None
    digits -= len(str(calling_code))
    begin = calling_code * 10**digits
    return _reading(_rows(Piece(0, 10**digits - 1, 0, digits), plan), plan, begin)


@cache
def reading_here(region: str | None, digits: int) -> Reading | None:
    """How so many digits without a plus are read in a region; None where that cannot be translated.

    The table is of what the digits are less 2000…, which has as many zeros: so zeros before a number tell it from
    others, and none is a number after a plus.
    """
    plan = numbering_plan(region)
    main = None if plan is None else numbering_plan(plan.main_region)
    if plan is None or main is None:
        return None
    return _reading(_rows_here(plan, main, digits), plan, -2 * 10**digits)


def _reading(rows: Iterable[Row], plan: NumberingPlan, begin: int) -> Reading | None:
    """Of the rows for what comes after `begin`; where the same becomes of neighbours they are one."""
    found = [(begin + row.last, row.kind, row.digits, row.added - begin) for row in sorted(rows)]
    found = [row for row, after in pairwise([*found, (0, -1, 0, 0)]) if row[1:] != after[1:]]
    table = pl.DataFrame(found, schema=READINGS, orient="row")
    lengths = {digits for _, kind, digits, _ in found if kind == NUMBER}
    tables = {(plan.calling_code, digits): types(plan.calling_code, digits) for digits in lengths}
    known = {key: table for key, table in tables.items() if table is not None}
    return Reading(table, known) if len(known) == len(tables) else None


def _rows_here(plan: NumberingPlan, main: NumberingPlan, digits: int) -> Iterator[Row]:
    """`_parse_prefix_as_idd`: no calling code begins with 0, so an international prefix before a 0 is none."""
    for piece in plan.international_prefix.taken_from(digits):
        if piece.digits == digits:
            yield from _rows_at_home(piece.low, piece.high, plan, main, digits)
        elif piece.digits is None or piece.digits < LEAST_DIGITS:
            yield Row(piece.high, ODD, 0, 0)
        else:
            before_zeros = (-piece.added, 10 ** (piece.digits - 1) - 1 - piece.added)
            for low, high, is_before_zero in cut(piece.low, piece.high, [before_zeros]):
                if is_before_zero:
                    yield from _rows_at_home(low, high, plan, main, digits)
                else:
                    yield Row(high, ABROAD, piece.digits, piece.added)


def _rows_at_home(low: int, high: int, plan: NumberingPlan, main: NumberingPlan, digits: int) -> Iterator[Row]:
    """`_maybe_extract_country_code` without a plus: a calling code may still stand there, if that explains more."""
    after = digits - len(str(plan.calling_code))
    begin = plan.calling_code * 10**after
    for first, last, is_coded in cut(low, high, [(begin, begin + 10**after - 1)]):
        whole = Piece(first, last, 0, digits)
        if not is_coded:
            yield from _rows(whole, plan)
            continue
        for rest in _followed(Piece(first, last, -begin, after), _without_national_prefix(plan, after)):
            for low_, high_, fits_whole, fits_rest in _fits(rest, plan, digits):
                piece = whole._replace(low=low_, high=high_)
                if rest.digits is None or plan.is_too_long(digits) or (fits_rest and not fits_whole):
                    yield from _rows(rest._replace(low=low_, high=high_), main)
                else:
                    yield from _rows(piece, plan)


def _rows(piece: Piece, plan: NumberingPlan) -> Iterator[Row]:
    """The end of `parse`, of what is or follows a calling code of the plan."""
    for number in _followed(piece, _significant(plan, piece.digits)) if piece.digits is not None else [piece]:
        if number.digits is None:
            yield Row(number.high, ODD, 0, 0)
        elif number.digits not in _lengths_of(plan.calling_code):
            yield Row(number.high, NOTHING, 0, 0)
        else:
            yield Row(number.high, NUMBER, number.digits, number.added + plan.calling_code * 10**number.digits)


@cache
def _significant(plan: NumberingPlan, digits: int) -> list[Piece]:
    """National numbers without their national prefix, unless too little is left."""
    return [
        piece if piece.digits is None or plan.may_stand(piece.digits) else piece._replace(added=0, digits=digits)
        for piece in _without_national_prefix(plan, digits)
    ]


@cache
def _without_national_prefix(plan: NumberingPlan, digits: int) -> list[Piece]:
    """`_maybe_strip_national_prefix_carrier_code`: not where only the whole fits."""
    return sorted(
        Piece(low, high, 0, digits) if fits_whole and not fits_rest else piece._replace(low=low, high=high)
        for piece in plan.national_prefix.taken_from(digits)
        for low, high, fits_whole, fits_rest in _fits(piece, plan, digits)
    )


def _fits(piece: Piece, plan: NumberingPlan, digits: int) -> Iterator[tuple[int, int, bool, bool]]:
    """`_match_national_number` with the general description: before and after something is added to the numbers."""
    if piece.digits is None or (piece.digits == digits and not piece.added):
        yield piece.low, piece.high, False, False
        return
    before, after = plan.general.get(digits, []), plan.general.get(piece.digits, [])
    for low, high, fits_before in cut(piece.low, piece.high, before):
        for first, last, fits_after in cut(low + piece.added, high + piece.added, after):
            yield first - piece.added, last - piece.added, fits_before, fits_after


def _followed(piece: Piece, steps: Sequence[Piece]) -> Iterator[Piece]:
    """What the numbers of a piece become by the next step, where `steps` are all numbers of their length in order."""
    low, high = piece.low + piece.added, piece.high + piece.added
    for place in range(bisect_left(steps, low, key=attrgetter("high")), len(steps)):
        step = steps[place]
        if step.low > high:
            return
        first, last = max(low, step.low) - piece.added, min(high, step.high) - piece.added
        yield Piece(first, last, piece.added + step.added, step.digits)


@cache
def types(calling_code: int, digits: int) -> pl.DataFrame | None:
    """TYPES of the E.164 numbers of a calling code with so many digits after it; None where a region cannot be translated."""
    try:
        found = sorted(_types(COUNTRY_CODE_TO_REGION_CODE[calling_code], digits))
    except NotUnderstoodError:
        return None
    rows, next_ = [], 0
    for (low, high), kind in found:
        if low > next_:
            rows.append((low - 1, UNKNOWN))
        rows.append((high, kind))
        next_ = high + 1
    if next_ < 10**digits:
        rows.append((10**digits - 1, UNKNOWN))
    begin = calling_code * 10**digits
    return pl.DataFrame([(begin + last, kind) for last, kind in rows], schema=TYPES, orient="row")


def _types(regions: Sequence[str], digits: int) -> Iterator[tuple[Span, int]]:
    """`region_code_for_number` and `_number_type_helper`: each number is of the first region that it can be of.

    Where landlines and mobile numbers have one pattern, libphonenumber never looks at the lengths of mobile ones.
    """
    everything = [(0, 10**digits - 1)]
    taken: Spans = []
    for region in regions:
        metadata = _metadata(region)
        begin = None if len(regions) == 1 else metadata.leading_digits
        own = without(everything if begin is None else _begun(begin, digits), taken)
        general = _any_of([metadata.general_desc], digits, among=own)
        fixed = _any_of([metadata.fixed_line], digits, among=general)
        others = _any_of([getattr(metadata, name) for name in SPECIAL_TYPES], digits, among=general)
        if metadata.same_mobile_and_fixed_line_pattern:
            others = united(fixed + others)
        else:
            others = united(others + _any_of([metadata.mobile], digits, among=general))
        landlines = without(fixed, others)
        yield from ((span, VALID) for span in others)
        yield from ((span, LANDLINE) for span in landlines)
        taken = united(taken + (others + landlines if begin is None else own))


def _metadata(region: str) -> PhoneMetadata:
    metadata = PhoneMetadata.metadata_for_region(region)
    if metadata is None:
        raise NotUnderstoodError(region)
    return metadata


def _any_of(kinds: Iterable[PhoneNumberDesc | None], digits: int, *, among: Spans) -> Spans:
    """The national numbers of so many digits, among those, that fit the pattern of one of these kinds."""
    return united(
        span
        for kind in kinds
        if kind is not None and digits in kind.possible_length and kind.national_number_pattern
        for span in common(among, fitting(kind.national_number_pattern).get(digits, []))
    )


def _begun(pattern: str, digits: int) -> Spans:
    """The numbers of so many digits that begin with what fits a pattern."""
    rooms = ((way.spans, 10 ** (digits - way.digits)) for way in ways(pattern) if way.digits <= digits)
    return united((low * room, high * room + room - 1) for spans, room in rooms for low, high in spans)


@cache
def _lengths_of(calling_code: int) -> frozenset[int]:
    """How many digits the numbers of a calling code may have."""
    plans = map(PhoneMetadata.metadata_for_region, COUNTRY_CODE_TO_REGION_CODE[calling_code])
    general = (metadata.general_desc for metadata in plans if metadata is not None)
    return frozenset(digits for kind in general if kind is not None for digits in kind.possible_length)
