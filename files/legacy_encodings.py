"""Telling in which older encoding a text is, where that can be known: such a file does not say.

Excel saves "CSV" in the code page of its country: the bytes of a Czech `č` are those of a French `è`. So the words
with such letters are read in every encoding there is, and each reading is judged by how its letters follow each
other in the words of forty languages (`legacy_words.txt`). A reading counts only if it makes good sense, and every
reading that differs makes far less. What stays open is refused: nobody is written to in garbled letters.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import get_args

from files.layouts import LegacyEncoding

WORDS = Path(__file__).with_name("legacy_words.txt")
READ: tuple[LegacyEncoding, ...] = get_args(LegacyEncoding)
"""The first of several that give the same text is the file's: those that Excel saves in come first."""
DOS = ("cp850", "cp437", "cp852", "cp857", "cp862", "cp866")
RARE = ("cp1258", "cp720", "cp737", "cp855", "iso-8859-4", "iso-8859-13", "mac-latin2", "mac-turkish", "mac-greek")
"""Never read, but what looks like one of them is nothing else either."""
UNUSUAL, RARITY = 3.0, 6.0
MARGIN = 16.0
"""How much better than all others a reading must be: e to that power. Of 3,600 lists of names and words, most of them not in
the table, of one row to 200, in forty languages and their encodings, none was best in a wrong one by more than 15."""
ODD = 25.0
"""What it costs where a word has what no word has: a sign in its middle, two scripts, a capital after a small letter."""
MOST_ODD = 0.05
CHANCE = 4.6
"""What a byte costs that means nothing: it is one of a hundred."""
MARK = 2.5
"""What a mark of good typing costs where one may stand: there are a dozen."""
PLAIN, END = 3.0, 2.0
"""What a letter of ASCII, and the end of a word, cost anyway; only what a context makes of them tells readings apart."""
CONTEXT = 3
FOREIGN = 4.0
"""What a word costs that is from another language than the list."""
SOUNDED = 1_000
HOPELESS = 150.0
"""Who is so far behind the best after the first chunks will not catch up."""
STAGES = (20, 100, SOUNDED)
CHECKED = 20_000
CHUNK = re.compile(rb"(?<![^\x00-\x2f\x3a-\x3f])[0-9@-\x7f]*+[\x80-\xff][^\x00-\x2f\x3a-\x3f]*")
"""Between two signs of ASCII that are no part of a letter in any encoding, as `,` and a space; digits may be."""
DIGITS = re.compile(rb"[0-9]{2,}")
UTF8 = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
LONGEST_CHUNK = 10_000
RUN = re.compile("(?<![A-Za-z\x80-\U0010ffff])[A-Za-z]*+[\x80-\U0010ffff][A-Za-z\x80-\U0010ffff]*")
MARKS = re.compile("[\u2018\u2019\u201c-\u201e\u2013\u2014\u2026«»¡¿\xa0€£§©®™°·\xb4№ºª²³½]")
"""Quotes, dashes and other signs of good typing."""
CROWDED = re.compile(f"{MARKS.pattern}{{2,}}")
OPENING, CLOSING = frozenset("\u2018\u201c\u201e«¡¿"), frozenset("\u2019\u201d»\u2026")
MISPLACED = 12.0
"""What a mark costs more where it seldom stands: a closing quote before a word, one mark after another."""
INNER_MARKS = frozenset("\u2019·\xb4\u2013\u2014\xa0")
"""Those that may stand between two letters."""
BEFORE_WORDS = OPENING | INNER_MARKS | frozenset("°€£©")
BETWEEN_WORDS = re.compile(r"(?<=[^\W\d])[\xa0\u2013\u2014](?=[^\W\d])")
"""A space that does not break, or a dash, where letters stand on both sides: it may as well be one of them."""
WIDE = re.compile("[\u3000-\u303f\uff00-\uff65・ー]")
NO_TEXT = frozenset({"Cc", "Cn", "Co", "Cs"})
JOINERS = frozenset("\u200c\u200d\u200e\u200f\xad")
EAST = "EAST"
SCRIPTS = {"CJK": EAST, "HIRAGANA": EAST, "KATAKANA": EAST, "KATAKANA-HIRAGANA": EAST, "COMBINING": ""}
MANY_LETTERS = frozenset({EAST, "HANGUL"})
ONE_OF_MANY, ONE_OF_FEW = 1 / 6_000, 1 / 300
"""The chance of a letter that no word of the language has."""


@dataclass(slots=True)
class _Language:
    """How letters follow each other in the words of a language: after three, two, one and none before."""

    script: str
    floor: float
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    chances: dict[tuple[str, str], float] = field(default_factory=dict)

    def learn(self, word: str) -> None:
        """A word, in small letters."""
        bounded = f"^{word}$"
        for place in range(1, len(bounded)):
            for start in range(max(0, place - CONTEXT), place + 1):
                before, letter = bounded[start:place], bounded[place]
                self.kinds[before] += (before, letter) not in self.seen
                self.seen[before, letter] += 1
                self.after[before] += 1

    def chance(self, before: str, letter: str) -> float:
        """Of a letter after others; where these were never seen, after fewer of them (Witten and Bell's estimate)."""
        found = self.chances.get((before, letter))
        if found is None:
            shorter = self.chance(before[1:], letter) if before else self.floor
            count, kinds = self.after[before], self.kinds[before]
            found = (self.seen[before, letter] + kinds * shorter) / (count + kinds) if count else shorter
            self.chances[before, letter] = found
        return found

    def likelihood(self, word: str) -> float:
        """The logarithm of a word's chance, as far as its letters beyond ASCII have a part in it."""
        bounded = f"^{word.lower()}$"
        total = 0.0
        for place in range(1, len(bounded)):
            start = max(0, place - CONTEXT)
            if not bounded[start : place + 1].isascii():
                letter = bounded[place]
                total += math.log(self.chance(bounded[start:place], letter))
                total += END if letter == "$" else PLAIN if letter.isascii() else 0.0
        return total


@dataclass(frozen=True, slots=True)
class _Reading:
    """What the words of a file are in one encoding.

    Attributes:
        encoding: which.
        texts: the chunks, read.
        by_language: how good the sense is that they make, as a logarithm, if the list is in the one or the other.
    """

    encoding: str
    texts: tuple[str, ...]
    by_language: tuple[float, ...]

    @property
    def likelihood(self) -> float:
        """In the best language."""
        return max(self.by_language)


def known_encoding(pieces: Iterable[bytes]) -> LegacyEncoding | None:
    """The encoding of a text that is not in UTF-8; None where it is not certain.

    Args:
        pieces: the text, cut at line ends only.
    """
    seen: dict[bytes, None] = {}
    for piece in pieces:
        seen.update(dict.fromkeys(CHUNK.findall(piece)))
    chunks = list(seen)
    if max(map(len, chunks), default=0) > LONGEST_CHUNK:
        return None
    sample = _spread(list(dict.fromkeys(DIGITS.sub(b"00", chunk) for chunk in _spread(chunks, CHECKED))), SOUNDED)
    best, *others = _readings(sample)
    rival = next((reading.likelihood for reading in others if reading.texts != best.texts), -math.inf)
    noise = -CHANCE * sum(map(_weight, "".join(best.texts)))
    encoding = next((name for name in READ if name == best.encoding), None)
    if encoding is None or best.likelihood < rival + MARGIN or best.likelihood <= noise:
        return None
    return encoding if _is_all_sense(chunks, encoding) else None


def _weight(letter: str) -> int:
    """How many bytes it is worth that mean nothing."""
    return 0 if letter.isascii() else 2 if _owner(letter) in MANY_LETTERS else 1


def _spread(chunks: Sequence[bytes], most: int) -> Sequence[bytes]:
    """So many of them, from everywhere."""
    return chunks[:: math.ceil(len(chunks) / most)] if chunks else chunks


def _readings(chunks: Sequence[bytes]) -> list[_Reading]:
    """The best first; at its end a reading of nothing, for a file that none can read."""
    languages = len(_languages())
    readings = [_Reading(encoding, (), (-_rarity(encoding),) * languages) for encoding in (*READ, *RARE)]
    start = 0
    for end in STAGES:
        readings = [longer for reading in readings if (longer := _read_on(reading, chunks[start:end]))]
        hopeless = max((reading.likelihood for reading in readings), default=0.0) - HOPELESS
        readings = [reading for reading in readings if reading.likelihood > hopeless]
        start = end
    readings.sort(key=lambda reading: reading.likelihood, reverse=True)
    return [*readings, _Reading("", (), (-math.inf,))]


def _rarity(encoding: str) -> float:
    """What is only seen in exports of old systems must make the better sense for it."""
    return RARITY if encoding in RARE else UNUSUAL if encoding in DOS or encoding.startswith("iso-") else 0.0


def _read_on(reading: _Reading, chunks: Sequence[bytes]) -> _Reading | None:
    """A reading with more chunks; None if one of them is no text in its encoding."""
    texts = [_text(chunk, reading.encoding) for chunk in chunks]
    found = [text for text in texts if text is not None]
    if len(found) < len(texts):
        return None
    words = [_by_language(run) for text in found for run in RUN.findall(text)]
    by_language = tuple(map(sum, zip(reading.by_language, *words, strict=True)))
    return _Reading(reading.encoding, (*reading.texts, *found), by_language)


def _text(chunk: bytes, encoding: str) -> str | None:
    try:
        text = chunk.decode(encoding)
    except UnicodeDecodeError:
        return None
    return text if all(map(_is_text, text)) else None


@lru_cache(10_000)
def _is_text(letter: str) -> bool:
    kind = unicodedata.category(letter)
    return letter.isascii() or (kind not in NO_TEXT and (kind != "Cf" or letter in JOINERS))


def _is_all_sense(chunks: Sequence[bytes], encoding: str) -> bool:
    """Whether little is odd, and nothing would make better sense in another encoding, as where two lists were joined."""
    checked = _spread(chunks, CHECKED)
    odd = [chunk for chunk in checked if _is_odd_in(chunk, encoding)]
    if len(odd) > MOST_ODD * len(checked):
        return False
    suspects = [*odd, *_spread(chunks, SOUNDED)]
    return not any(_is_rather(chunk, other, encoding, by=MARGIN) for chunk in suspects for other in READ) and not any(
        _is_rather(chunk, "utf-8", encoding, by=0.0) for chunk in filter(UTF8.search, chunks)
    )


def _is_odd_in(chunk: bytes, encoding: str) -> bool:
    text = _text(chunk, encoding)
    return text is None or _is_odd(text)


def _is_rather(chunk: bytes, other: str, encoding: str, *, by: float) -> bool:
    """Whether a chunk makes better sense in the other encoding."""
    text, found = _text(chunk, encoding), _text(chunk, other)
    return text is None or (found not in {None, text} and _sense(found or "") - by >= _sense(text))


def _sense(text: str) -> float:
    """As a logarithm, each word in the language in which it is best."""
    return sum(max(_by_language(run)) for run in RUN.findall(text))


def _is_odd(text: str) -> bool:
    return any(map(_oddities, RUN.findall(text)))


@lru_cache(100_000)
def _by_language(run: str) -> tuple[float, ...]:
    """The logarithm of a run's chance in lists of each language, where a word may be from another one."""
    marks = len(MARKS.findall(run))
    misplaced = (run[0] in CLOSING and run[1:].isalpha()) + (run[-1] in OPENING and run[:-1].isalpha())
    misplaced += len(BETWEEN_WORDS.findall(run)) + len(CROWDED.findall(run))
    cost = MARK * marks + MISPLACED * misplaced + ODD * _oddities(run)
    words = [_word_by_language(word) for word in MARKS.split(run) if not word.isascii()]
    return tuple(sum(chances) - cost for chances in zip(*words, strict=True)) or (-cost,) * len(_languages())


def _word_by_language(word: str) -> list[float]:
    scripts = {_script(letter) for letter in word if not letter.isascii()}
    if not any(language.script in scripts for language in _languages()):
        scripts = {"LATIN"}
    chances = [language.likelihood(word) if language.script in scripts else -math.inf for language in _languages()]
    foreign = max(chances) - FOREIGN
    return [max(chance, foreign) for chance in chances]


@lru_cache(200_000)
def _oddities(run: str) -> int:
    """How often a run has what no word has: a sign between letters, two scripts, a capital after a small letter."""
    count = 0
    for place, letter in enumerate(run):
        before = run[place - 1] if place else ""
        if not letter.isascii() or not before.isascii():
            count += _is_odd_after(before, letter, run=run, place=place)
    return count


def _is_odd_after(before: str, letter: str, *, run: str, place: int) -> bool:
    is_word = _is_of_word(before)
    if unicodedata.category(letter).startswith("M"):
        return not is_word or _owner(letter) not in {"", _owner(before)}
    if not _is_of_word(letter):
        is_before_word = _is_of_word(run[place + 1 : place + 2])
        if MARKS.match(letter):
            return is_before_word and letter not in (INNER_MARKS if is_word else BEFORE_WORDS)
        return (is_before_word or is_word) and not WIDE.match(letter)
    if not is_word:
        return False
    scripts = {_script(before), _script(letter)} - {""}
    if len(scripts) > 1:
        return scripts != {"LATIN", EAST} or not (before + letter).isupper()
    return (before.islower() and letter.isupper()) or (
        letter.islower() and before.isupper() and run[place - 2 : place - 1].isupper()
    )


def _is_of_word(letter: str) -> bool:
    return letter != "" and unicodedata.category(letter)[0] in "LM" and letter not in "ºª"


def _script(letter: str) -> str:
    """Of a letter; "" for a mark on one, and for what is none."""
    return _owner(letter) if letter and unicodedata.category(letter).startswith("L") else ""


@lru_cache(10_000)
def _owner(sign: str) -> str:
    """The script to which it belongs, by the first word of its name; "" for a mark that any letter may have."""
    name = unicodedata.name(sign, "").partition(" ")[0]
    return SCRIPTS.get(name, name)


@cache
def _languages() -> tuple[_Language, ...]:
    return tuple(map(_language, WORDS.read_text(encoding="utf-8").splitlines()))


def _language(line: str) -> _Language:
    """From its name and its words."""
    _, *words = line.split(" ")
    script = next(_script(letter) for letter in words[0] if not letter.isascii())
    language = _Language(script, ONE_OF_MANY if script in MANY_LETTERS else ONE_OF_FEW)
    for word in words:
        language.learn(word)
    return language
