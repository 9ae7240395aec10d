"""The query languages of SendGrid's look-ups, translated to SQL; nothing of the question gets into the SQL itself."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.|"")*"|'(?:[^'\\]|\\.|'')*')|(?P<number>-?\d+(?:\.\d+)?)|"""
    r"""(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<sign><=|>=|!=|<>|[=<>(),\[\]]))""",
)
_COMPARISONS = ("=", "!=", "<>", "<", ">", "<=", ">=")
_MAX_DEPTH = 50


class QueryRefused(ValueError):
    """A query that is not understood; its text is SendGrid's answer."""


@dataclass(frozen=True, slots=True)
class Field:
    """What one may ask for: its SQL expression, the operators it has, whether it is a list, a map or a moment.

    A list's expression is a JSON array, a map's a JSON object, a moment's epoch seconds.
    """

    sql: str
    operators: frozenset[str]
    kind: str = "text"


@dataclass(frozen=True, slots=True)
class Where:
    """A condition in SQL and the values bound to its question marks."""

    sql: str
    values: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Language:
    """The fields that a look-up knows, and whether conditions may be nested and combined with OR and NOT."""

    fields: Mapping[str, Field]
    is_nested: bool


def translate(text: str, language: Language) -> Where:
    """A query as a condition; an empty query is met by everything."""
    reader = _Reader(_tokens(text), language)
    if not reader.left():
        return Where("1", ())
    found = reader.disjunction(0)
    if reader.left():
        raise QueryRefused(f"invalid syntax: unexpected {reader.next()!r}")
    return found


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    place = 0
    end = len(text.rstrip())
    while place < end:
        found = _TOKEN.match(text, place)
        if found is None or found.lastgroup is None:
            raise QueryRefused(f"invalid syntax: unexpected {text[place:].strip()[:20]!r}")
        tokens.append((found.lastgroup, found[found.lastgroup]))
        place = found.end()
    return tokens


class _Reader:
    """Reads tokens from left to right."""

    def __init__(self, tokens: Sequence[tuple[str, str]], language: Language) -> None:
        self._tokens = tokens
        self._language = language
        self._place = 0

    def left(self) -> bool:
        return self._place < len(self._tokens)

    def next(self) -> str:
        if not self.left():
            raise QueryRefused("invalid syntax: unexpected end of query")
        self._place += 1
        return self._tokens[self._place - 1][1]

    def _is_at(self, *words: str) -> bool:
        return self.left() and self._tokens[self._place][1].upper() in words

    def _take(self, *words: str) -> bool:
        if self._is_at(*words):
            self._place += 1
            return True
        return False

    def _expect(self, word: str) -> None:
        found = self.next()
        if found.upper() != word:
            raise QueryRefused(f"invalid syntax: expected {word!r}, found {found!r}")

    def disjunction(self, depth: int) -> Where:
        found = self._conjunction(depth)
        while self._is_at("OR"):
            self._nested("OR")
            self._place += 1
            found = _joined("OR", found, self._conjunction(depth))
        return found

    def _conjunction(self, depth: int) -> Where:
        found = self._condition(depth)
        while self._take("AND"):
            found = _joined("AND", found, self._condition(depth))
        return found

    def _nested(self, word: str) -> None:
        if not self._language.is_nested:
            raise QueryRefused(f"invalid syntax: {word} is not supported")

    def _condition(self, depth: int) -> Where:
        if depth > _MAX_DEPTH:
            raise QueryRefused("invalid syntax: the query is nested too deeply")
        if self._is_at("NOT"):
            self._nested("NOT")
            self._place += 1
            inner = self._condition(depth + 1)
            return Where(f"NOT COALESCE({inner.sql}, 0)", inner.values)
        if self._is_at("("):
            self._nested("nesting")
            self._place += 1
            inner = self.disjunction(depth + 1)
            self._expect(")")
            return Where(f"({inner.sql})", inner.values)
        if self._is_at("CONTAINS"):
            return self._contains()
        return self._comparison()

    def _contains(self) -> Where:
        self._place += 1
        self._expect("(")
        field = self._field()
        if field.kind != "list":
            raise QueryRefused("CONTAINS expects an array or map type as the first argument")
        self._expect(",")
        value = self._text()
        self._expect(")")
        return _one_of(field.sql, [value])

    def _field(self) -> Field:
        name = self.next()
        field = self._language.fields.get(name.lower())
        if field is None:
            raise QueryRefused(f"invalid syntax: '{name}' is not a known field")
        return field

    def _comparison(self) -> Where:
        field = self._field()
        sql = field.sql
        bound: tuple[object, ...] = ()
        if field.kind == "map":
            self._expect("[")
            bound = (f'$."{self._key()}"',)
            self._expect("]")
            sql = f"json_extract({field.sql}, ?)"
        negation = "NOT " if self._take("NOT") else ""
        operator = self.next().upper()
        if f"{negation}{operator}" not in field.operators:
            raise QueryRefused(f"invalid syntax: operator {negation}{operator} is not supported here")
        if operator == "IN":
            values = self._list()
            found = _one_of(sql, values) if field.kind == "list" else _in(sql, values)
        elif operator == "LIKE":
            found = Where(f"{sql} LIKE ?", (self._text(),))
        elif operator == "BETWEEN":
            low = self._value(field)
            self._expect("AND")
            found = Where(f"{sql} BETWEEN ? AND ?", (low, self._value(field)))
        elif operator == "IS":
            negation = "NOT " if self._take("NOT") else ""
            self._expect("NULL")
            found = Where(f"{sql} IS NULL", ())
        else:
            found = Where(f"{sql} {operator} ?", (self._value(field),))
        # A value that is not there meets no condition, and so every negation of one.
        return Where(f"NOT COALESCE({found.sql}, 0)" if negation else found.sql, (*bound, *found.values))

    def _key(self) -> str:
        key = self._text()
        if '"' in key:
            raise QueryRefused(f"invalid syntax: {key!r} is not a known key")
        return key

    def _list(self) -> list[str]:
        self._expect("(")
        values = [self._text()]
        while self._take(","):
            values.append(self._text())
        self._expect(")")
        return values

    def _value(self, field: Field) -> object:
        if field.kind != "moment":
            return self._text()
        self._take("TIMESTAMP")
        text = self._text()
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            raise QueryRefused(f"invalid syntax: {text!r} is not a timestamp") from error
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()

    def _text(self) -> str:
        token = self.next()
        kind = self._tokens[self._place - 1][0]
        if kind == "number":
            return token
        if kind != "text":
            raise QueryRefused(f"invalid syntax: expected a value, found {token!r}")
        quote = token[0]
        return re.sub(r"\\(.)", r"\1", token[1:-1].replace(quote * 2, quote))


def _joined(word: str, first: Where, second: Where) -> Where:
    return Where(f"({first.sql} {word} {second.sql})", (*first.values, *second.values))


def _in(sql: str, values: Sequence[str]) -> Where:
    return Where(f"{sql} IN ({', '.join('?' * len(values))})", tuple(values))


def _one_of(sql: str, values: Sequence[str]) -> Where:
    marks = ", ".join("?" * len(values))
    # The expression is one of a Language's own.
    return Where(f"EXISTS (SELECT 1 FROM json_each({sql}) WHERE value IN ({marks}))", tuple(values))  # noqa: S608


def operators(*names: str) -> frozenset[str]:
    """The operators of a field, each with its negation."""
    return frozenset([*names, *(f"NOT {name}" for name in names if name not in COMPARISONS)])


COMPARISONS = frozenset(_COMPARISONS)
