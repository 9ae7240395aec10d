"""Number formats of workbooks: what a person sees of a number, as far as it says more than its digits."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum, auto
from operator import eq, ge, gt, le, lt, ne

GENERAL = "General"
DIGITS = 15
"""What Excel keeps of a number."""
BUILT_IN_PERCENT = frozenset({9, 10})
BUILT_IN_DAY = frozenset({*range(14, 18), 22, *range(27, 32), 36, *range(50, 55), 57, 58})
BUILT_IN_TIME = frozenset({*range(18, 22), *range(32, 36), 45, 47, 55, 56})
BUILT_IN_ELAPSED = {46: "[h]:mm:ss"}
SPOKEN = re.compile(r'"[^"]*"?|\\.|[_*].')
"""Parts of a format that stand for themselves, or for a gap."""
BRACKETS = re.compile(r"\[[^\]]*\]")
ELAPSED = re.compile(r"\[(h+|m+|s+)\]", re.IGNORECASE)
CONDITION = re.compile(r"\[(<=|>=|<>|<|>|=)\s*(-?\d+(?:\.\d+)?)\]")
COMPARISONS = {"<=": le, ">=": ge, "<": lt, ">": gt, "=": eq, "<>": ne}
SECTION = re.compile(r'(?:"[^"]*"?|\\.|[^;"\\])*')
PIECE = re.compile(r'"(?P<quoted>[^"]*)"?|\\(?P<escaped>.)|[_*].|(?P<place>[0#?])|(?P<plain>.)', re.DOTALL)
PLAIN_LETTERS = frozenset(" -+():")
"""Need no quotes in a format, and stand in telephone numbers."""
SPOKEN_LETTERS = PLAIN_LETTERS | frozenset("./0123456789")
DAY_LETTERS, TIME_LETTERS, MONTH, HALF_DAY, PLACES = map(frozenset, ("dy", "hs", "m", "a/p", "0#?"))
PARTS_OF_SECONDS = re.compile(r"s[.,]0+")
ALL_SECONDS = 86_400
FIRST_DAY, FIRST_DAY_OF_1904 = datetime(1899, 12, 30), datetime(1904, 1, 1)  # noqa: DTZ001 - a cell has no zone
NO_SUCH_DAY = 60
"""Excel's 29 February 1900; the days before it are one less than counted from the day of those after it."""
LAST_DAY = 2_958_465
OFFSET_OF_1904 = 1_462


class Kind(Enum):
    """What a format makes of a number."""

    PLAIN = auto()
    """Nothing that matters: decimals, separators of thousands, colours, currencies."""
    PERCENT = auto()
    """25% for 0.25."""
    DIGITS = auto()
    """Leading zeros or a plus that the number itself does not have."""
    DAY = auto()
    """A date, perhaps with a time."""
    TIME = auto()
    """A time of a day."""
    ELAPSED = auto()
    """Hours, minutes or seconds, of any number of days."""


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """A format, and what it makes of a number."""

    kind: Kind
    code: str


PLAIN = NumberFormat(Kind.PLAIN, GENERAL)


def number_format(number: int, code: str | None) -> NumberFormat:
    """Tell a format by its code; by its number where the workbook has no code for it."""
    if not code:
        return _built_in(number)
    letters = BRACKETS.sub("", SPOKEN.sub("", code)).casefold()
    first = SPOKEN.sub("", _sections(code)[0])
    if "%" in letters:
        return NumberFormat(Kind.PERCENT, code)
    if ELAPSED.search(first):
        return NumberFormat(Kind.ELAPSED, code)
    found = frozenset(PARTS_OF_SECONDS.sub("s", BRACKETS.sub("", first).casefold()).replace(GENERAL.casefold(), "0"))
    if not found & PLACES:
        if found & DAY_LETTERS or (found & MONTH and not found & TIME_LETTERS and not found >= HALF_DAY):
            return NumberFormat(Kind.DAY, code)
        if found & TIME_LETTERS or found >= HALF_DAY:
            return NumberFormat(Kind.TIME, code)
    return NumberFormat(Kind.DIGITS, code) if any(map(_tells_digits, _sections(code))) else PLAIN


def _built_in(number: int) -> NumberFormat:
    if number in BUILT_IN_PERCENT:
        return NumberFormat(Kind.PERCENT, "0%")
    if number in BUILT_IN_DAY:
        return NumberFormat(Kind.DAY, "yyyy-mm-dd")
    if number in BUILT_IN_TIME:
        return NumberFormat(Kind.TIME, "hh:mm:ss")
    if number in BUILT_IN_ELAPSED:
        return NumberFormat(Kind.ELAPSED, BUILT_IN_ELAPSED[number])
    return PLAIN


def shown(value: float, form: NumberFormat, *, is_1904: bool) -> str:
    """The number as a person sees it: a date as YYYY-MM-DD, digits with the zeros that the format adds."""
    match form.kind:
        case Kind.PERCENT:
            return as_percentage(value)
        case Kind.DIGITS:
            return _as_digits(value, form.code)
        case Kind.ELAPSED:
            return _as_elapsed(value, form.code)
        case Kind.DAY | Kind.TIME:
            return _as_moment(value, is_time=form.kind is Kind.TIME, is_1904=is_1904)
        case Kind.PLAIN:
            return as_plain(value)


def as_plain(value: float) -> str:
    """All digits that Excel keeps, never with an exponent."""
    if value.is_integer() and abs(value) < 10**DIGITS:
        return str(int(value))
    text = f"{Decimal(f'{value:.{DIGITS}g}'):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def as_percentage(value: float) -> str:
    """0.25 as 25%, with the digits that Excel keeps."""
    return f"{Decimal(f'{value * 100:.{DIGITS}g}'):f}%"


def _sections(code: str) -> list[str]:
    """The parts for several ranges of numbers; there is always a first."""
    return [section for section in SECTION.findall(code) if section] or [""]


def _pieces(section: str) -> list[tuple[bool, str]] | None:
    """Places of digits and letters between them; None if anything else stands there."""
    pieces: list[tuple[bool, str]] = []
    for found in PIECE.finditer(BRACKETS.sub("", section)):
        if place := found["place"]:
            pieces.append((True, place))
        elif (plain := found["plain"]) is not None:
            if plain not in PLAIN_LETTERS:
                return None
            pieces.append((False, plain))
        elif (spoken := found["quoted"] or found["escaped"]) is not None:
            if not set(spoken) <= SPOKEN_LETTERS:
                return None
            pieces += [(False, letter) for letter in spoken]
    return pieces


def _tells_digits(section: str) -> bool:
    pieces = _pieces(section)
    if not pieces or not any(is_place for is_place, _ in pieces):
        return False
    zeros = sum(is_place and letter == "0" for is_place, letter in pieces)
    return zeros > 1 or any(not is_place and (letter == "+" or letter.isdigit()) for is_place, letter in pieces)


def _as_digits(value: float, code: str) -> str:
    """The digits in their places, if that adds a zero or a plus; those that no place is left for stand at the first."""
    if not value.is_integer() or value < 0 or value >= 10**DIGITS:
        return as_plain(value)
    section = next((section for section in _sections(code) if _is_meant(section, value)), "")
    if not _tells_digits(section):
        return as_plain(value)
    rest = str(int(value)) if value else ""
    seen: list[str] = []
    pieces = _pieces(section) or []
    first = next(index for index, (is_place, _) in enumerate(pieces) if is_place)
    for index, (is_place, letter) in reversed(list(enumerate(pieces))):
        if not is_place:
            seen.append(letter)
        elif index == first:
            seen.append(rest or ("0" if letter == "0" else ""))
        else:
            seen.append(rest[-1:] or ("0" if letter == "0" else ""))
            rest = rest[:-1]
    text = "".join(reversed(seen)).strip()
    digits = "".join(filter(str.isdigit, text))
    return text if "+" in text or digits != str(int(value)) else digits


def _is_meant(section: str, value: float) -> bool:
    condition = CONDITION.search(section)
    if condition is None:
        return True
    return bool(COMPARISONS[condition[1]](value, float(condition[2])))


def _as_elapsed(value: float, code: str) -> str:
    unit = ELAPSED.search(code)
    if unit is None or not math.isfinite(value):
        return as_plain(value)
    bare = BRACKETS.sub("", SPOKEN.sub("", code)).casefold()
    seconds = math.floor(round(abs(value) * ALL_SECONDS, 3))
    minutes, hours = seconds // 60, seconds // 3600
    sign = "-" if value < 0 else ""
    match unit[1][0].casefold():
        case "h":
            parts = [hours, minutes % 60, seconds % 60][: 3 if "s" in bare else 2 if "m" in bare else 1]
        case "m":
            parts = [minutes, seconds % 60][: 2 if "s" in bare else 1]
        case _:
            parts = [seconds]
    return sign + ":".join([str(parts[0]), *(f"{part:02d}" for part in parts[1:])])


def _as_moment(value: float, *, is_time: bool, is_1904: bool) -> str:
    """A date with its time if it has one; what is no date for Excel either is given as the number it is."""
    if not 0 <= value < LAST_DAY + 1 - (OFFSET_OF_1904 if is_1904 else 0):
        return as_plain(value)
    milliseconds = round(value * ALL_SECONDS * 1000)
    day, rest = divmod(milliseconds, ALL_SECONDS * 1000)
    time = _clock(rest)
    if (is_time and day <= NO_SUCH_DAY) or (day == 0 and rest and not is_1904):
        return time.partition(".")[0]
    if is_1904:
        date = f"{FIRST_DAY_OF_1904 + timedelta(day):%Y-%m-%d}"
    elif day == 0:
        date = "1900-01-00"
    elif day == NO_SUCH_DAY:
        date = "1900-02-29"
    else:
        date = f"{FIRST_DAY + timedelta(day + (day < NO_SUCH_DAY)):%Y-%m-%d}"
    return f"{date} {time}" if rest else date


def _clock(milliseconds: int) -> str:
    seconds, part = divmod(milliseconds, 1000)
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{text}.{part:03d}" if part else text
