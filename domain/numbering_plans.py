"""The numbering plans that `phonenumbers` carries, as expressions over a column of digits.

libphonenumber's metadata writes them as regexes of digits, classes, groups and alternatives, which mean the same in
Rust: both take the leftmost, first alternative. A plan with anything else in it is left to `phonenumbers`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import polars as pl
from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    REGION_CODE_FOR_NON_GEO_ENTITY,
    SUPPORTED_REGIONS,
    PhoneMetadata,
    PhoneNumberDesc,
)

LEAST_DIGITS, MOST_DIGITS = 2, 17
"""Of a national significant number, by libphonenumber."""
UNDERSTOOD_PATTERN = re.compile(r"(?:[0-9,|$()?]|\(\?:|\\d|\[[0-9-]+\]|\{[0-9,]+\})*")
UNDERSTOOD_RULE = re.compile(r"([0-9]{0,4})\\([0-9])")
NATIONAL = pl.col("nsn")
NOWHERE = pl.lit(value=False)
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


class _NotUnderstoodError(ValueError):
    """The metadata say something that this module does not translate."""


@dataclass(frozen=True, slots=True, eq=False)
class Prefix:
    """Digits that stand before a number, and how to read what follows them.

    Attributes:
        pattern: matches the prefix and the rest; the rest is the last group.
        groups: how many groups the prefix has of its own.
        added: digits that are put before the last group of the prefix, where that group took part.
        literals: the prefixes, the first that fits counting, if they are plain digits; then no regex is needed.
    """

    pattern: str
    groups: int
    added: str | None = None
    literals: tuple[str, ...] = ()

    def rest(self, digits: pl.Expr) -> pl.Expr:
        """What follows the prefix; null where there is no prefix."""
        if self.literals:
            return pl.coalesce(
                pl.when(digits.str.starts_with(prefix)).then(digits.str.slice(len(prefix))) for prefix in self.literals
            )
        rest = digits.str.extract(self.pattern, self.groups + 1)
        if self.added is None:
            return rest
        kept = digits.str.extract(self.pattern, self.groups)
        return pl.when(kept.is_not_null()).then(pl.lit(self.added) + kept + rest).otherwise(rest)


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """The numbers of one region that have so many digits, among those of its calling code; expressions over `nsn`.

    Attributes:
        calling_code: of the region's country, without plus.
        is_own: the region is the number's region, unless one before it is.
        is_valid: the number is of some type of this region.
        is_landline: the number, if it is valid, is of the type FIXED_LINE of this region, and no mobile number can
            look like it.
    """

    calling_code: str
    is_own: pl.Expr
    is_valid: pl.Expr
    is_landline: pl.Expr


NOBODYS = Share("", is_own=pl.lit(value=True), is_valid=NOWHERE, is_landline=NOWHERE)
"""Of the numbers that are no region's."""


@dataclass(frozen=True, slots=True, eq=False)
class NumberingPlan:
    """How numbers are dialled in a region.

    Attributes:
        calling_code: of the region's country, without plus.
        main_region: whose plan is used for a number with this calling code.
        international_prefix: as `00`; None where the region has none.
        national_prefix: as `0`; None where the region has none.
        general: pattern of every number of the region, of whatever length.
        lengths: how many digits a number may have.
        local_lengths: how many digits a number may have that is dialled without its area code.
    """

    calling_code: str
    main_region: str
    international_prefix: Prefix | None
    national_prefix: Prefix | None
    general: str
    lengths: tuple[int, ...]
    local_lengths: tuple[int, ...]

    def is_general(self, digits: pl.Expr) -> pl.Expr:
        """`_match_national_number` of libphonenumber for the region's general description."""
        return digits.str.contains(self.general)

    def is_too_long(self, digits: pl.Expr) -> pl.Expr:
        """The length is TOO_LONG to libphonenumber's `_test_number_length`."""
        length = digits.str.len_bytes()
        return (length > max(self.lengths)) & ~length.is_in(self.local_lengths)

    def may_stand(self, digits: pl.Expr) -> pl.Expr:
        """The length is IS_POSSIBLE or TOO_LONG to it, which lets a number without its national prefix stand."""
        length = digits.str.len_bytes()
        return (length.is_in(self.lengths) | (length > max(self.lengths))) & ~length.is_in(self.local_lengths)


@cache
def numbering_plan(region: str | None) -> NumberingPlan | None:
    """The plan of a region as `DE`; None where there is none that can be translated."""
    metadata = PhoneMetadata.metadata_for_region(region) if region in SUPPORTED_REGIONS else None
    try:
        return None if metadata is None else _plan(metadata)
    except _NotUnderstoodError:
        return None


@cache
def shares(calling_code: str, digits: int) -> tuple[Share, ...] | None:
    """The regions of a calling code in libphonenumber's order; None where one cannot be translated.

    Args:
        calling_code: without plus.
        digits: how many the national numbers have. No region, where none has such numbers.
    """
    regions = COUNTRY_CODE_TO_REGION_CODE[int(calling_code)]
    try:
        found = tuple(_share(_metadata(region), digits, is_only=len(regions) == 1) for region in regions)
    except _NotUnderstoodError:
        return None
    return found if any(share.is_valid is not NOWHERE for share in found) else ()


@cache
def calling_codes() -> dict[str, int]:
    """The calling code that a number begins with, by the number's first three digits; without worldwide ones as +800."""
    codes = {
        str(code): code
        for code, regions in COUNTRY_CODE_TO_REGION_CODE.items()
        if regions[0] != REGION_CODE_FOR_NON_GEO_ENTITY
    }
    begins = (str(number) for number in range(100, 1000))
    found = ((digits, next((digits[:size] for size in (1, 2, 3) if digits[:size] in codes), None)) for digits in begins)
    return {digits: codes[code] for digits, code in found if code is not None}


def main_region(calling_code: str) -> str:
    """The region whose plan is used for numbers with this calling code."""
    return COUNTRY_CODE_TO_REGION_CODE[int(calling_code)][0]


def _plan(metadata: PhoneMetadata) -> NumberingPlan:
    general = metadata.general_desc
    if general is None:
        raise _NotUnderstoodError(metadata.id)
    code = str(metadata.country_code)
    return NumberingPlan(
        calling_code=code,
        main_region=main_region(code),
        international_prefix=_prefix(metadata.international_prefix),
        national_prefix=_prefix(metadata.national_prefix_for_parsing, rule=metadata.national_prefix_transform_rule),
        general=f"^(?:{_translated(general.national_number_pattern)})$",
        lengths=tuple(general.possible_length),
        local_lengths=tuple(general.possible_length_local_only),
    )


def _metadata(region: str) -> PhoneMetadata:
    metadata = PhoneMetadata.metadata_for_region(region)
    if metadata is None:
        raise _NotUnderstoodError(region)
    return metadata


def _prefix(pattern: str | None, *, rule: str | None = None) -> Prefix | None:
    if not pattern:
        return None
    translated = _translated(pattern)
    groups = re.compile(pattern).groups
    whole = f"^(?:{translated})([0-9]*)$"
    if not rule:
        prefixes = tuple(pattern.split("|"))
        return Prefix(whole, groups, literals=prefixes if all(map(str.isdigit, prefixes)) else ())
    parts = UNDERSTOOD_RULE.fullmatch(rule)
    # libphonenumber asks whether the last group took part, so a rule of another group is another matter.
    if parts is None or int(parts[2]) != groups:
        raise _NotUnderstoodError(rule)
    return Prefix(whole, groups, added=parts[1])


def _share(metadata: PhoneMetadata, digits: int, *, is_only: bool) -> Share:
    """`_region_code_for_number_from_list` and `_number_type_helper` of libphonenumber, for one region.

    Where landlines and mobile numbers have one pattern, it never looks at the lengths of mobile ones.
    """
    general = _any_of([metadata.general_desc], digits)
    alike = metadata.same_mobile_and_fixed_line_pattern
    no_landlines = [getattr(metadata, name) for name in SPECIAL_TYPES] + ([] if alike else [metadata.mobile])
    of_a_type = _any_of([metadata.fixed_line, *no_landlines], digits)
    is_valid = NOWHERE if general is NOWHERE or of_a_type is NOWHERE else general & of_a_type
    if metadata.leading_digits is not None:
        is_own = NATIONAL.str.contains(f"^(?:{_translated(metadata.leading_digits)})")
    else:
        is_own = is_valid
    is_fixed = _any_of([metadata.fixed_line], digits)
    # Most numbers of a list are mobile ones: null, which no regex looks at.
    is_other = _any_of(no_landlines, digits, numbers=pl.when(is_fixed).then(NATIONAL))
    is_landline = is_fixed if is_other is NOWHERE else (~is_other).fill_null(value=False)
    return Share(
        calling_code=str(metadata.country_code),
        is_own=pl.lit(value=True) if is_only else is_own,
        is_valid=is_valid,
        is_landline=NOWHERE if alike or is_fixed is NOWHERE else is_landline,
    )


def _any_of(kinds: Iterable[PhoneNumberDesc | None], digits: int, *, numbers: pl.Expr = NATIONAL) -> pl.Expr:
    """A national number of so many digits fits the pattern of one of these kinds."""
    patterns = dict.fromkeys(
        _translated(kind.national_number_pattern) for kind in kinds if kind is not None and digits in _lengths(kind)
    )
    return numbers.str.contains(f"^(?:{'|'.join(patterns)})$") if patterns else NOWHERE


def _lengths(kind: PhoneNumberDesc) -> list[int]:
    """How many digits a number of a kind may have: none (written -1) where a region has no such numbers."""
    lengths = kind.possible_length if kind.national_number_pattern else ()
    return [digits for digits in lengths if LEAST_DIGITS <= digits <= MOST_DIGITS]


def _translated(pattern: str | None) -> str:
    if not pattern or UNDERSTOOD_PATTERN.fullmatch(pattern) is None:
        raise _NotUnderstoodError(pattern)
    return pattern.replace(r"\d", "[0-9]")
