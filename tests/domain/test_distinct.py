from __future__ import annotations

import polars as pl

from domain.distinct import all_at_once, once_each


def test_each_distinct_value_is_asked_once() -> None:
    """At a million rows the libraries would take minutes."""
    asked: list[str] = []

    def ask(text: str) -> str:
        asked.append(text)
        return text.upper()

    found = once_each(pl.Series(["a", "b", "a", None, "a"]), ask)

    assert found.to_list() == ["A", "B", "A", None, "A"]
    assert sorted(asked) == ["a", "b"]


def test_a_question_is_put_to_the_distinct_values_alone() -> None:
    asked: list[list[str]] = []

    def ask(values: pl.Series) -> pl.DataFrame:
        asked.append(sorted(values))
        return pl.DataFrame({"upper": values.str.to_uppercase(), "size": values.str.len_bytes()})

    found = all_at_once(pl.Series(["a", "bb", "a", None]), ask)

    assert found.rows() == [("A", 1), ("BB", 2), ("A", 1), (None, None)]
    assert asked == [["a", "bb"]]
