"""The meaning of single cells: one table a type."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.understanding import boolean, choice, day, number, numbers

CELL = pl.col("cell")


def meaning(text: str, expression: pl.Expr) -> object:
    return pl.DataFrame({"cell": [text]}).select(expression).item()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2030-01-31", "2030-01-31"),
        ("2030-01-31 00:00:00", "2030-01-31"),
        ("31.01.2030", "2030-01-31"),
        ("1.2.2030", "2030-02-01"),
        ("2028-02-29", "2028-02-29"),
        ("2030-02-29", None),
        ("31/01/2030", None),
        ("01-31-2030", None),
        ("31.01.30", None),
        ("2030-01-31 10:00:00", None),
        ("47514", None),
        ("tomorrow", None),
    ],
)
def test_a_date_is_iso_or_the_process_format_and_never_a_guess(text: str, expected: str | None) -> None:
    assert meaning(text, day(CELL, pattern="%d.%m.%Y")) == expected


def test_without_a_format_only_iso_is_a_date() -> None:
    assert meaning("31.01.2030", day(CELL, pattern=None)) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", "0"),
        ("007", "7"),
        ("-0.0", "0"),
        ("+1.50", "1.5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("-12.340", "-12.34"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("1,5", None),
        ("1.234,50", None),
        ("4.47E+11", None),
        ("NaN", None),
        ("-", None),
        (".", None),
        ("1 000", None),
        ("٣", None),
    ],
)
def test_a_number_is_digits_and_a_point(text: str, expected: str | None) -> None:
    assert meaning(text, number(CELL)) == expected


@settings(deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**12), max_value=10**12))
def test_a_number_keeps_its_value_in_the_shortest_spelling(value: object) -> None:
    text = f"{value:f}"

    found = meaning(text, number(CELL))

    shortest = text.rstrip("0").rstrip(".")
    assert found == ("0" if shortest in ("-0", "0", "") else shortest)


@given(st.lists(st.none() | st.text(alphabet="0125.+-e ", max_size=6) | st.decimals(places=2).map(str)))
def test_a_column_of_numbers_is_understood_as_its_cells_are(texts: list[str | None]) -> None:
    """Most cells are left as they are, because they are in their shortest spelling."""
    found = numbers(pl.Series(texts, dtype=pl.String))

    assert found.to_list() == [None if text is None else meaning(text, number(CELL)) for text in texts]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("YES", "true"),
        ("1", "true"),
        ("Ja", "true"),
        ("TRUE", "true"),
        ("no", "false"),
        ("NEIN", "false"),
        ("0", "false"),
        ("2", None),
        ("maybe", None),
    ],
)
def test_a_boolean_is_a_yes_or_a_no(text: str, expected: str | None) -> None:
    assert meaning(text, boolean(CELL)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("third PARTY", "Third party"), ("Third   party", "Third party"), ("yes", "yes"), ("YES", "YES"), ("fire", None)],
)
def test_a_choice_has_the_spelling_of_the_definition(text: str, expected: str | None) -> None:
    assert meaning(text, choice(CELL, choices=("Third party", "yes", "YES"))) == expected
