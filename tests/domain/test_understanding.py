"""The meaning of single cells: one table a type."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.placeholders import is_placeholder
from domain.processes import DataItem
from domain.understanding import Remark, boolean, choice, days, numbers, understand
from domain.words import FALSE_WORDS, MONTHS, NO_ADDRESS, TRUE_WORDS
from tests.factories import motor

CELL = pl.col("cell")
Meaning = tuple[str | None, str | None]
UNSURE: Meaning = (None, Remark.AMBIGUOUS)
NONE: Meaning = (None, None)


def meaning(text: str, expression: pl.Expr) -> object:
    return pl.DataFrame({"cell": [text]}).select(expression).item()


def of_day(text: str, pattern: str | None) -> Meaning:
    return days(pl.Series([text]), pattern=pattern).row(0)


def of_number(text: str) -> Meaning:
    return numbers(pl.Series([text])).row(0)


def of_item(item_type: str, *texts: str | None, region: str = "GB") -> list[Meaning]:
    definition = motor().model_copy(update={"default_region": region})
    item = DataItem.model_validate({"name": "cell", "type": item_type})
    return understand(pl.Series(texts, dtype=pl.String), item, definition=definition).rows()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2030-01-31", "2030-01-31"),
        ("2030-01-31 00:00:00", "2030-01-31"),
        ("2030-01-31 10:15", "2030-01-31"),
        ("2030-01-31T23:59:59.123+02:00", "2030-01-31"),
        ("2030-1-5", "2030-01-05"),
        ("2030/01/31", "2030-01-31"),
        ("20300131", "2030-01-31"),
        ("31.01.2030", "2030-01-31"),
        ("31.01.2030 10:15", "2030-01-31"),
        ("1.2.2030", "2030-02-01"),
        ("2028-02-29", "2028-02-29"),
        ("47514", "2030-01-31"),
        ("47514.75", "2030-01-31"),
        ("10000", "1927-05-18"),
        ("99999", "2173-10-13"),
        ("31 January 2030", "2030-01-31"),
        ("31-Jan-2030", "2030-01-31"),
        ("January 31st, 2030", "2030-01-31"),
        ("31. März 2030", "2030-03-31"),
        ("1er février 2030", "2030-02-01"),
        ("31 de enero de 2030", "2030-01-31"),
    ],
)
def test_a_day_is_understood_in_every_spelling_that_has_one_meaning(text: str, expected: str) -> None:
    assert of_day(text, "%d.%m.%Y") == (expected, None)


@pytest.mark.parametrize(
    "text",
    [
        "2030-02-29",
        "31.01.30",
        "31/01/2030",
        "01-31-2030",
        "2030",
        "4751",
        "310130",
        "100000",
        "31-Jan-30",
        "30 Feb 2030",
        "May 2030",
        "31 Foo 2030",
        "0030-01-31",
        "tomorrow",
        "2030-01-31 noon",
        "2030-01-31 47514",
        "\u0662\u0660\u0663\u0660-01-31",
    ],
)
def test_what_is_no_day_for_sure_is_not_guessed(text: str) -> None:
    assert of_day(text, "%d.%m.%Y") == NONE


@pytest.mark.parametrize("pattern", [None, "%d.%m.%Y"])
@pytest.mark.parametrize("text", ["01/02/2030", "1-2-2030", "01/02/30", "12/11/2030 10:00"])
def test_a_day_that_could_be_another_is_a_problem_of_its_own(text: str, pattern: str | None) -> None:
    assert of_day(text, pattern) == UNSURE


@pytest.mark.parametrize(
    ("pattern", "expected"), [("%d/%m/%Y", "2030-02-01"), ("%m/%d/%Y", "2030-01-02"), (None, None)]
)
def test_the_format_of_the_process_says_which_day_it_is(pattern: str | None, expected: str | None) -> None:
    assert of_day("01/02/2030", pattern)[0] == expected


def test_without_a_format_a_day_before_its_month_is_no_date() -> None:
    assert [of_day(text, None) for text in ("31.01.2030", "01.02.2030")] == [NONE, UNSURE]


def test_a_format_without_separators_is_never_taken_for_a_serial_number() -> None:
    """Excel drops the leading zero of 010230, and 10230 is a day in 1928."""
    assert [of_day(text, "%d%m%y")[0] for text in ("310130", "10230")] == ["2030-01-31", None]


@settings(max_examples=50)
@given(st.dates(min_value=date(1927, 5, 18), max_value=date(2173, 10, 13)))
def test_every_spelling_of_a_day_is_that_day(day: date) -> None:
    serial = str((day - date(1899, 12, 30)).days)
    texts = [
        day.isoformat(),
        f"{day} 08:00",
        f"{day:%Y%m%d}",
        f"{day:%d.%m.%Y}",
        f"{day:%d %B %Y}",
        f"{day:%b %d, %Y}",
        serial,
    ]

    found = days(pl.Series(texts), pattern="%d.%m.%Y")

    assert found.rows() == [(day.isoformat(), None)] * len(texts)


def test_a_month_has_its_name_in_one_place_only() -> None:
    assert sorted(set(MONTHS.values())) == list(range(1, 13))
    assert all(name == name.lower() for name in MONTHS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", "0"),
        ("007", "7"),
        ("-0.0", "0.0"),
        ("0.00", "0.00"),
        ("100.00", "100.00"),
        ("-12.50", "-12.50"),
        ("0012.50", "12.50"),
        ("12.50%", "12.50%"),
        ("+1.50", "1.50"),
        (".5", "0.5"),
        ("5.", "5"),
        ("-12.340", "-12.340"),
        ("\u22125", "-5"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("1,5", "1.5"),
        ("12,50", "12.50"),
        ("0,125", "0.125"),
        ("1234,567", "1234.567"),
        ("1.234,50", "1234.50"),
        ("1.234.567", "1234567"),
        ("1,234.50", "1234.50"),
        ("-1,234,567", "-1234567"),
        ("12,34,567.50", "1234567.50"),
        ("1 000", "1000"),
        ("1\u202f234,5", "1234.5"),
        ("1'234.50", "1234.50"),
        ("1.234", "1.234"),
        ("25%", "25%"),
        ("12,50 %", "12.50%"),
        ("0%", "0%"),
    ],
)
def test_a_number_is_understood_in_every_spelling_that_has_one_meaning(text: str, expected: str) -> None:
    assert of_number(text) == (expected, None)


@pytest.mark.parametrize(
    "text",
    [
        "4.47E+11",
        "NaN",
        "-",
        ".",
        "%",
        "1,",
        "1,234.",
        "1.2.3",
        "1,2,3",
        "12 34",
        "1.234,567.8",
        "€ 5",
        "--5",
        "٣",
        "5 5",
    ],
)
def test_what_is_no_number_for_sure_is_not_guessed(text: str) -> None:
    assert of_number(text) == NONE


@pytest.mark.parametrize("text", ["1,234", "-12,345", "999,000", "1,234%"])
def test_a_number_that_could_be_a_thousand_times_as_large_is_a_problem_of_its_own(text: str) -> None:
    assert of_number(text) == UNSURE


@pytest.mark.parametrize("other", ["12,5", "1.234,50", "1 234,5"])
def test_a_point_is_as_unsure_as_a_comma_in_a_column_with_decimal_commas(other: str) -> None:
    """A German list has 1.234 for one thousand two hundred and thirty-four."""
    found = numbers(pl.Series(["1.234", other, "1.5", "12.345%", None]))

    assert found["value"].to_list()[2:] == ["1.5", None, None]
    assert found["remark"].to_list() == [Remark.AMBIGUOUS, None, None, Remark.AMBIGUOUS, None]


@settings(max_examples=40)
@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**12), max_value=10**12))
def test_a_number_keeps_its_value_and_its_last_zeros(value: object) -> None:
    text = f"{value:f}"
    grouped, continental = f"{value:,f}", f"{value:,f}".translate(str.maketrans(",.", ".,"))

    found = numbers(pl.Series([text, grouped, continental]))["value"].to_list()

    assert found == [text.lstrip("-") if not value else text] * 3


CELLS = st.none() | st.text(alphabet="0125.,+-e %", max_size=7) | st.decimals(places=2).map(str)


@settings(max_examples=30)
@given(st.lists(CELLS, max_size=30))
def test_a_column_of_numbers_is_understood_as_its_cells_are(texts: list[str | None]) -> None:
    """Most cells are left as they are, because they are in their shortest spelling."""
    found = numbers(pl.Series(texts, dtype=pl.String)).rows()

    alone = [NONE if text is None else of_number(text) for text in texts]
    differ = [text for text, one, other in zip(texts, found, alone, strict=True) if one != other]
    assert all(one == UNSURE for one, other in zip(found, alone, strict=True) if one != other)
    assert not differ or any("," in text for text in texts if text)


@pytest.mark.parametrize(
    "text",
    [
        "n/a",
        "N.A.",
        "none",
        "-",
        "???",
        "tbd",
        "no email",
        "No e-mail",
        "keine",
        "k.A.",
        "pas d'email",
        "sin correo",
        "brak",
        "нет",
        "אין",
        "无",
        "0000000000",
        "12345678",
        "xxx",
        "none@",
        "noemail@noemail",
        "-@-",
        "0",
    ],
)
def test_what_stands_for_no_address_is_a_placeholder(text: str) -> None:
    assert is_placeholder(text)
    assert of_item("email", text) == [(None, Remark.PLACEHOLDER)]
    assert of_item("phone", text) == [(None, Remark.PLACEHOLDER)]


@pytest.mark.parametrize("text", ["anna", "anna@", "na@gmailcom", "x@x", "Nana", "07400", "12345", "111", "-" * 41])
def test_a_mistake_in_an_address_is_no_placeholder(text: str) -> None:
    assert of_item("email", text) == [NONE]


@pytest.mark.parametrize(
    "text", ["noemail@noemail.com", "no.email@acme.example.com", "none@none.com", "test@test.com", "unknown@b.com"]
)
def test_an_address_that_nobody_has_keeps_its_verdict_and_gets_a_remark(text: str) -> None:
    assert of_item("email", text) == [(text, Remark.PLACEHOLDER)]


@pytest.mark.parametrize("text", ["anna.none@b.com", "nonette@b.com", "test@acme.com", "n.a@b.com", "unknowns@b.com"])
def test_an_address_that_somebody_may_have_gets_none(text: str) -> None:
    assert of_item("email", text) == [(text, None)]


def test_the_words_of_placeholders_are_written_as_they_are_compared() -> None:
    assert {word for word in NO_ADDRESS if not is_placeholder(word)} == set()


@pytest.mark.parametrize("text", ["447400123456.0", "1711234567.0", "1711234567.00", "4.47E+11", "4,47400123456e+11"])
def test_a_phone_number_that_a_spreadsheet_spoilt_is_nobodys(text: str) -> None:
    """Without its point `1711234567.0` is a valid number of another person in Germany."""
    assert of_item("phone", text, region="DE") == [(None, Remark.SPOILT)]


def test_a_landline_is_a_number_with_a_remark() -> None:
    assert of_item("phone", "020 7946 0958", None, "07400 123456", "?", "123") == [
        ("+442079460958", Remark.LANDLINE),
        NONE,
        ("+447400123456", None),
        (None, Remark.PLACEHOLDER),
        NONE,
    ]


def test_no_word_means_yes_and_no() -> None:
    assert set(TRUE_WORDS) & set(FALSE_WORDS) == set()
    assert [word for word in (*TRUE_WORDS, *FALSE_WORDS) if word != word.lower()] == []


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
        ("oui", "true"),
        ("NON", "false"),
        ("Sí", "true"),
        ("ANO", "true"),
        ("ne", "false"),
        ("tak", "true"),
        ("Nie", "false"),
        ("X", "true"),
        ("2", None),
        ("-", None),
        ("maybe", None),
    ],
)
def test_a_boolean_is_a_yes_or_a_no(text: str, expected: str | None) -> None:
    assert meaning(text, boolean(CELL)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("third PARTY", "Third party"),
        ("Third \u00a0 party", "Third party"),
        ("thirdparty", "Third party"),
        ("yes", "yes"),
        ("YES", "YES"),
        ("Yes", None),
        ("fire", None),
    ],
)
def test_a_choice_has_the_spelling_of_the_definition(text: str, expected: str | None) -> None:
    """And where two are alike, only its exact spelling says which."""
    assert meaning(text, choice(CELL, choices=("Third party", "yes", "YES"))) == expected
