"""Column titles: when two are the same one, and which row of a file is its header.

Apart from `domain.columns`, because the process that parses a file needs it and no process definition.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

ENOUGH = 2
"""Titles that make a row the header for sure; one alone may be a word of somebody's data."""
NO_LETTERS = frozenset({"Cc", "Cf", "Cs", "Zs", "Zl", "Zp", "Pc", "Pd"})
"""Controls, invisible signs, spaces; `_` and `-` in all their shapes."""
INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""Letters and marks that show nothing (Default_Ignorable_Code_Point), a selector of emoji for example."""


def folded(text: str) -> str:
    """A title without what is ignored when it is compared: case, spaces, `_`, `-` and invisible characters."""
    shown = unicodedata.normalize("NFKC", INVISIBLE.sub("", text))
    return "".join(letter for letter in shown if unicodedata.category(letter) not in NO_LETTERS).casefold()


def header_among(rows: Sequence[Sequence[str | None]], titles: Sequence[str]) -> tuple[int, int]:
    """Choose the header among the first rows of a file that are not blank.

    It is the first row, unless a later one is the first with two of the titles (or the only one there is),
    or only lines of one cell, such as the name of a report, stand above a row with one of the titles.

    Args:
        rows: their cells; None or "" for an empty one.
        titles: what the columns may be called; without any, the first row is the header.

    Returns:
        The index of the header in `rows`, and how many of the titles it has.
    """
    wanted = {folded(title) for title in titles}
    if not wanted:
        return 0, 0
    sure = min(ENOUGH, len(wanted))
    known: list[int] = []
    for place, row in enumerate(rows):
        known.append(len(wanted & {folded(cell) for cell in row if cell}))
        if known[place] >= sure:
            return place, known[place]
    below = next((place for place, row in enumerate(rows) if sum(map(_is_filled, row)) > 1), 0)
    if rows and known[below]:
        return below, known[below]
    return 0, known[0] if known else 0


def _is_filled(cell: str | None) -> bool:
    return bool(cell and cell.strip())


def columns_titled(header: Sequence[str], titles: Sequence[str], *, with_others: bool) -> tuple[int, ...]:
    """The places of the columns that have one of the titles, or of all."""
    wanted = {folded(title) for title in titles}
    return tuple(place for place, title in enumerate(header) if with_others or folded(title) in wanted)
