"""How many segments SMS take, which is what they cost: GSM-7 where every character allows it, else UCS-2."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = "^{}\\[~]|€\f"
"""These take the room of two."""
GSM_7 = (160, 153)
"""Units of a message that is alone, and of each of several that are joined."""
UCS_2 = (70, 67)


def _any_of(signs: str, *, but: bool = False) -> str:
    return "[" + "^" * but + "".join(f"\\x{{{ord(sign):x}}}" for sign in signs) + "]"


_FOREIGN = _any_of(BASIC + EXTENDED, but=True)
_DOUBLE = _any_of(EXTENDED)
_ASTRAL = r"[\x{10000}-\x{10ffff}]"


def segments(body: pl.Expr) -> pl.Expr:
    """Segments of each text; an empty one takes one."""
    return (
        pl.when(body.str.contains(_FOREIGN))
        .then(_joined(body.str.len_chars() + body.str.count_matches(_ASTRAL), UCS_2))
        .otherwise(_joined(body.str.len_chars() + body.str.count_matches(_DOUBLE), GSM_7))
    )


def _joined(units: pl.Expr, room: tuple[int, int]) -> pl.Expr:
    alone, joined = room
    return pl.when(units <= alone).then(pl.lit(1, pl.UInt32)).otherwise((units + joined - 1) // joined)


@dataclass(frozen=True, slots=True)
class Length:
    """What one text takes.

    Attributes:
        units: letters as the network counts them.
        segments: parts that it is sent and charged as.
        foreign: letters for which it needs UCS-2, of which a part holds less than half; the first few, each once.
    """

    units: int
    segments: int
    foreign: tuple[str, ...]


def length_of(body: str) -> Length:
    """The length of one SMS, and what makes it longer."""
    foreign = tuple(dict.fromkeys(letter for letter in body if letter not in BASIC + EXTENDED))
    if foreign:
        units, (alone, joined) = len(body.encode("utf-16-le")) // 2, UCS_2
    else:
        units, (alone, joined) = len(body) + sum(letter in EXTENDED for letter in body), GSM_7
    return Length(units, 1 if units <= alone else -(-units // joined), foreign[:5])
