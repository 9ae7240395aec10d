"""The geometry of charts, drawn on the server: shapes without a script or a style; the tables beside them say the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 1000, 160
_LEAST = 4.0
"""What is there at all is seen."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a stacked bar: where it begins and how long it is, of `WIDTH`."""

    label: str
    number: int
    look: str
    start: float
    length: float
    percent: str


@dataclass(frozen=True, slots=True)
class Area:
    """A line and the area below it, as paths in a box of `WIDTH` by `HEIGHT`."""

    line: str
    area: str
    highest: int


def stacked(parts: Sequence[tuple[str, int, str]]) -> list[Part]:
    """A bar of label, number and look (a class of the style sheet) each; parts without a number are left out."""
    present = [part for part in parts if part[1] > 0]
    whole = sum(number for _, number, _ in present)
    lengths = [max(_LEAST, WIDTH * number / whole) for _, number, _ in present]
    scale = WIDTH / sum(lengths) if lengths else 1.0
    found, start = [], 0.0
    for (label, number, look), length in zip(present, lengths, strict=True):
        found.append(Part(label, number, look, round(start, 2), round(length * scale, 2), percent(number, whole)))
        start += length * scale
    return found


def percent(number: int, whole: int) -> str:
    """A share as people read it; never 0 or 100 % where something is there or missing."""
    share = 100 * number / whole if whole else 0.0
    if 0 < share < 0.1:  # noqa: PLR2004  it would be written as 0.0
        return "under 0.1 %"
    if 99.9 < share < 100:  # noqa: PLR2004  it would be written as 100.0
        return "over 99.9 %"
    return f"{share:.1f} %".replace(".0 %", " %")


def area(numbers: Sequence[int]) -> Area:
    """The numbers as steps from left to right, each as wide as the others."""
    highest = max(numbers, default=0)
    wide = WIDTH / max(1, len(numbers))
    corners = []
    for place, number in enumerate(numbers):
        high = HEIGHT - (HEIGHT - 4) * number / max(1, highest)
        corners += [f"{place * wide:.1f},{high:.1f}", f"{(place + 1) * wide:.1f},{high:.1f}"]
    line = "M" + " L".join(corners) if corners else ""
    return Area(line, f"{line} L{WIDTH},{HEIGHT} L0,{HEIGHT} Z" if corners else "", highest)
