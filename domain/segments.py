"""How long an SMS is: in the letters that phone networks count, and in the parts that providers charge for."""

from __future__ import annotations

from dataclasses import dataclass

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The letters of GSM 03.38, each one septet."""
_EXTENDED = frozenset("^{}\\[~]|€\f")
"""Two septets each."""
_OF_GSM_7, _OF_UCS_2 = (160, 153), (70, 67)
"""What one part holds alone, and one of several."""


@dataclass(frozen=True, slots=True)
class Length:
    """What a text takes.

    Attributes:
        characters: as the network counts them.
        segments: parts that it is sent and charged as.
        odd: letters that need the wide alphabet, in which a part holds less than half; the first few, each once.
    """

    characters: int
    segments: int
    odd: tuple[str, ...]


def length_of(text: str) -> Length:
    """The length of an SMS; an empty one takes a part, too."""
    odd = tuple(dict.fromkeys(letter for letter in text if letter not in _BASIC and letter not in _EXTENDED))
    if odd:
        units, (alone, joined) = len(text.encode("utf-16-le")) // 2, _OF_UCS_2
    else:
        units, (alone, joined) = len(text) + sum(letter in _EXTENDED for letter in text), _OF_GSM_7
    return Length(units, 1 if units <= alone else -(-units // joined), odd[:5])
