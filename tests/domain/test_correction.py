"""A corrected file goes back to exactly the rows that it came from, or is refused with what to do."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.correction import CUT_MARK, Returned, corrected_rows, count_changed, replaced
from domain.errors import FileProblem
from domain.frames import rows_schema

Cells = Sequence[str | None]

HEADER = ("First Name", "email")
BAD = "First Name is empty; fill it in."


def rows(*lines: tuple[int, Cells], width: int = 2) -> pl.DataFrame:
    return pl.DataFrame([(row, *cells) for row, cells in lines], schema=rows_schema(width), orient="row")


BATCH = rows((2, ["Ann", "a@b.com"]), (3, [None, "b@b.com"]), (5, [None, "c@b.com"]))


def returned(*lines: Cells, header: Sequence[str] = (*HEADER, "Problem")) -> Returned:
    numbered = [(row, cells) for row, cells in enumerate(lines, 2)]
    return Returned("fixed.csv", header, rows(*numbered, width=len(header)))


def correct(file: Returned, *, header: Sequence[str] = HEADER, of: pl.DataFrame = BATCH) -> pl.DataFrame:
    return corrected_rows(file, batch_id=7, header=header, rows=of)


def refusal(file: Returned, *, header: Sequence[str] = HEADER) -> str:
    with pytest.raises(FileProblem) as refused:
        correct(file, header=header)
    return str(refused.value)


def test_corrected_rows_take_the_places_they_came_from() -> None:
    found = correct(returned(["Cid", "c@b.com", f"Row 5: {BAD}"], ["Bob", "b@b.com", f"Row 3: {BAD}"]))

    assert found.rows() == [(5, "Cid", "c@b.com"), (3, "Bob", "b@b.com")]
    assert replaced(BATCH, found).rows() == [(2, "Ann", "a@b.com"), (3, "Bob", "b@b.com"), (5, "Cid", "c@b.com")]
    assert count_changed(BATCH, found) == 2


def test_rows_that_were_left_as_they_were_are_no_change() -> None:
    found = correct(returned([None, "b@b.com", "Row 3: x"], ["Cid", "c@b.com", "Row 5: x"]))

    assert count_changed(BATCH, found) == 1
    assert count_changed(replaced(BATCH, found), found) == 0


@pytest.mark.parametrize(
    "header", [("Problem", "email", "First Name"), ("PROBLEM ", "E-Mail", "first_name")], ids=["moved", "respelt"]
)
def test_columns_may_be_moved_and_respelt(header: Sequence[str]) -> None:
    assert correct(returned(["Row 3: x", "b@b.com", "Bob"], header=header)).rows() == [(3, "Bob", "b@b.com")]


def test_columns_of_one_title_keep_their_order_and_the_last_problem_is_ours() -> None:
    """The operator's file may be a file of bad rows itself, or have columns without a title."""
    header = ("email", "Problem", "", "")
    batch = rows((2, ["a@b.com", "mine", "x", None]), width=4)
    file = returned(["a@b.com", "mine too", "x", "y", "Row 2: x"], header=(*header, "Problem"))

    assert correct(file, header=header, of=batch).rows() == [(2, "a@b.com", "mine too", "x", "y")]


def test_a_column_that_a_spreadsheet_program_left_behind_is_nothing() -> None:
    assert correct(returned(["Bob", "b", "Row 3: x", None], header=(*HEADER, "Problem", " "))).height == 1


@pytest.mark.parametrize("text", ["Row 3:", " Row 3: anything", "Row 3: Row 5: x"])
def test_the_number_is_found_whatever_is_left_of_the_sentence(text: str) -> None:
    assert correct(returned(["Bob", "b", text]))["row"].to_list() == [3]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (("First Name", "Problem"), "(missing: email)"),
        (("First Name", "email", "phone", "Problem"), "(not in the batch: phone)"),
        (("Name", "email", "Problem"), "(missing: First Name; not in the batch: Name)"),
        (("First Name", "email", "", "Problem"), "(not in the batch: a column without a title)"),
        (("Ann", "a@b.com", "+447400123456", "Problem"), "not in the batch: data instead of titles"),
        (("First Name", "email", *map(str, range(7)), "Problem"), "(not in the batch: 0, 1, 2, 3, 4 and 2 more)"),
    ],
)
def test_a_column_that_is_missing_or_new_is_named_without_anybody_s_data(header: Sequence[str], said: str) -> None:
    found = refusal(returned(["x"] * len(header), header=header))

    assert found.startswith("fixed.csv does not have the columns of batch 7 (")
    assert said in found
    assert found.endswith("Correct the cells and leave the titles as they are.")


def test_a_file_that_does_not_say_its_rows_is_refused() -> None:
    assert refusal(returned(["Bob", "b@b.com"], header=HEADER)) == (
        "fixed.csv has no column Problem, which says which row of batch 7 each line corrects. "
        "Get the file of its bad rows again: bulk-sender batch problems 7 --output FILE"
    )


@pytest.mark.parametrize("text", [None, "", "3", "Row x: bad", "row 3: bad", "see Row 3: bad", "Row 99999999999: bad"])
def test_a_new_person_is_refused_with_their_row(text: str | None) -> None:
    assert refusal(returned(["Bob", "b", "Row 3: x"], ["Eve", "e", text])) == (
        'Row 3 of fixed.csv: Problem must begin with the row of batch 7 to correct, such as "Row 12:". '
        "Put that text back; new people cannot be added to a batch, so create another one for them."
    )


def test_many_new_people_are_counted() -> None:
    assert refusal(returned(*[["Eve", "e", None]] * 7)).startswith("Rows 2, 3, 4, 5, 6 and 2 more of fixed.csv: ")


def test_a_row_that_the_batch_does_not_have_is_refused() -> None:
    assert refusal(returned(["Bob", "b", "Row 3: x"], ["Eve", "e", "Row 4: x"])) == (
        "Row 3 of fixed.csv corrects row 4, which batch 7 does not have. "
        "Get the file of its bad rows again: bulk-sender batch problems 7 --output FILE"
    )


def test_a_row_that_is_corrected_twice_is_refused() -> None:
    found = refusal(returned(["Bob", "b", "Row 3: x"], ["Cid", "c", "Row 5: x"], ["Rob", "b", "Row 3: x"]))

    assert found == "Rows 2, 4 of fixed.csv all correct row 3 of batch 7. Leave one of them."


@given(st.dictionaries(st.integers(2, 40), st.text(max_size=3), min_size=1), st.data())
def test_what_is_not_corrected_stays_as_it_was(table: dict[int, str], data: st.DataObject) -> None:
    batch = rows(*((row, [text, "x"]) for row, text in sorted(table.items())))
    new = data.draw(st.dictionaries(st.sampled_from(sorted(table)), st.text(max_size=3), min_size=1))
    found = correct(returned(*([text, "x", f"Row {row}: bad"] for row, text in new.items())), of=batch)

    assert dict(replaced(batch, found).select("row", "c0").iter_rows()) == table | new
    assert replaced(batch, found)["row"].to_list() == batch["row"].to_list()
    assert count_changed(batch, found) == sum(table[row] != text for row, text in new.items())


LONG = "long " * 8_000
WITH_LONG = rows((3, [LONG, None]), (5, ["Cid" + CUT_MARK, None]))


def test_a_value_that_its_workbook_could_not_hold_stays_whole() -> None:
    """Else the mark and the missing end would go to the recipient."""
    file = returned([LONG[:32_000] + CUT_MARK, "b@b.com", "Row 3: x"], ["Cid" + CUT_MARK, None, "Row 5: x"])

    found = correct(file, of=WITH_LONG)

    assert found.rows() == [(3, LONG, "b@b.com"), (5, "Cid" + CUT_MARK, None)]


def test_a_value_that_was_made_short_is_taken() -> None:
    assert correct(returned(["Bob", None, "Row 3: x"]), of=WITH_LONG).rows() == [(3, "Bob", None)]


def test_a_change_to_the_beginning_of_a_cut_value_is_refused() -> None:
    file = returned(["Bob " + LONG[:32_000] + CUT_MARK, None, "Row 3: x"])

    with pytest.raises(FileProblem, match=r"Row 2 of fixed\.csv: the value in First Name was cut") as refused:
        correct(file, of=WITH_LONG)

    assert "Bob" not in str(refused.value)
