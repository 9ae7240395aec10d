from __future__ import annotations

import polars as pl

from domain.distinct import once_each


def test_each_distinct_value_is_asked_once() -> None:
    """At a million rows the libraries would take minutes."""
    asked: list[str] = []

    def ask(text: str) -> str:
        asked.append(text)
        return text.upper()

    found = once_each(pl.Series(["a", "b", "a", None, "a"]), ask)

    assert found.to_list() == ["A", "B", "A", None, "A"]
    assert sorted(asked) == ["a", "b"]
