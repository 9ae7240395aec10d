"""From a process's texts and a recipient's values to what that recipient reads."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial

import polars as pl

from domain.distinct import once_each
from domain.frames import value_column
from domain.processes import PLACEHOLDER, DataItem, EmailOutput, ItemType

Values = Mapping[str, str]
_BREAKS = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")


def as_read(item: DataItem, value: str) -> str:
    """A canonical value as people read it: days as the process writes them, yes and no."""
    if item.type is ItemType.DATE and item.format is not None:
        try:
            return date.fromisoformat(value).strftime(item.format)
        except ValueError:
            return value  # not understood, and kept as it was written
    if item.type is ItemType.BOOLEAN:
        return {"true": "yes", "false": "no"}.get(value, value)
    return value


def all_as_read(item: DataItem, values: pl.Series) -> pl.Series:
    """`as_read` of every value of a data item; null is an empty text."""
    if item.type in {ItemType.DATE, ItemType.BOOLEAN}:
        values = once_each(values, partial(as_read, item))
    return values.fill_null("").alias(value_column(item.name))


def fill(text: str, values: Values) -> str:
    """`text` with every placeholder replaced; a missing value is an empty text."""
    return PLACEHOLDER.sub(lambda match: values.get(match[1], ""), text)


def one_line(value: str) -> str:
    """`value` fit for a header: no line breaks or control characters."""
    return _BREAKS.sub(" ", value).strip()


Form = Callable[[pl.Expr], pl.Expr]


def filled(text: str, columns: Collection[str]) -> pl.Expr:
    """What `fill` gives, for every line of a PERSONAL frame with these columns."""
    *parts, rest = PLACEHOLDER.split(text)
    pieces = [
        piece
        for literal, name in zip(parts[::2], parts[1::2], strict=True)
        for piece in (pl.lit(literal), _value(name, columns))
    ]
    return pl.concat_str(*pieces, pl.lit(rest))


def _value(name: str, columns: Collection[str]) -> pl.Expr:
    return pl.col(value_column(name)) if value_column(name) in columns else pl.lit("")


def _one_line(values: pl.Expr) -> pl.Expr:
    return values.str.replace_all(_BREAKS.pattern, " ").str.strip_chars()


def _plain(values: pl.Expr) -> pl.Expr:
    return values


def _escaped(values: pl.Expr) -> pl.Expr:
    """As `html.escape` does it."""
    return values.str.replace_many({sign: html.escape(sign) for sign in "&<>\"'"})


# The same value stands differently in a subject, a plain and an HTML part; SendGrid replaces text blindly.
_FORMS: Mapping[str, Form] = {"s": _one_line, "t": _plain, "h": _escaped}


@dataclass(frozen=True, slots=True)
class Email:
    """An email with tags in place of personal values, and how to fill the tags for one person."""

    subject: str
    text: str
    html: str | None
    tags: Mapping[str, tuple[str, Form]]

    def substitutions(self, columns: Collection[str]) -> list[pl.Expr]:
        """Each tag's replacement, by its name, for every line of a PERSONAL frame with these columns."""
        return [form(_value(name, columns)).alias(tag) for tag, (name, form) in self.tags.items()]


def tagged(output: EmailOutput, *, mark: str) -> Email:
    """Put tags where the placeholders stand.

    Args:
        output: what the process sends.
        mark: letters and digits that occur in no text and no value, so that replacing a tag
            can never touch anything else; a batch's random id does.
    """
    tags: dict[str, tuple[str, Form]] = {}

    def put(text: str, form: str) -> str:
        def tag(match: re.Match[str]) -> str:
            name = f"-{mark}.{form}.{match[1]}-"
            tags[name] = (match[1], _FORMS[form])
            return name

        return PLACEHOLDER.sub(tag, text)

    subject, text = put(output.subject, "s"), put(output.text, "t")
    body = None if output.html is None else put(output.html, "h")
    return Email(one_line(subject), text, body, tags)
