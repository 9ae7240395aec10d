"""Which column is which data item."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.columns import notes, recognise, titles
from domain.errors import FileErrorCode, FileProblem
from domain.processes import ProcessDefinition, read_definition
from domain.titles import header_among

NAMES = ["first_name", "email", "phone", "renewal_date"]
DEFINITION = """
key: motor
name: Motor
default_region: GB
data_items:
  - {name: first_name, type: text, required: true}
  - {name: email, type: email}
  - {name: phone, type: phone}
  - {name: renewal_date, type: date}
workflow:
  - phase: start
    output:
      email: {from: a@acme.example, subject: s, text: "{{ link }}"}
"""


def definition(text: str = DEFINITION) -> ProcessDefinition:
    return read_definition(text, name="motor.yaml")


def refusal(header: list[str | None], *, file_process: str | None = None) -> FileProblem:
    with pytest.raises(FileProblem) as caught:
        recognise(header, definition(), file_name="list.xlsx", file_process=file_process)
    return caught.value


def _disguised(name: str, *, letters: list[bool], filler: list[str]) -> str:
    """`name` with the case of its letters and the signs between them changed."""
    parts = []
    for place, letter in enumerate(name):
        if letter != "_":
            parts.append(letter.upper() if letters[place % len(letters)] else letter)
        parts.append(filler[place % len(filler)])
    return "".join(parts)


@settings(deadline=None)
@given(
    st.permutations(NAMES),
    st.lists(st.booleans(), min_size=1, max_size=9),
    st.lists(
        st.sampled_from(["", " ", "_", "-", "\t", "\u00a0", "\u200b", "\ufeff", "\u2011", "\ufe0f", "\u034f"]),
        min_size=1,
        max_size=5,
    ),
)
def test_a_title_is_recognised_whatever_its_case_and_the_signs_between_its_letters(
    order: list[str], letters: list[bool], filler: list[str]
) -> None:
    header = ["note", *(_disguised(name, letters=letters, filler=filler) for name in order)]

    columns = recognise(header, definition(), file_name="list.csv")

    assert columns.of_item == {name: 1 + order.index(name) for name in NAMES}
    assert columns.extra == ("note",)


def test_items_without_a_column_are_left_out_if_nothing_needs_them() -> None:
    columns = recognise(["email", None, "first name"], definition(), file_name="list.csv")

    assert columns.of_item == {"first_name": 2, "email": 0}
    assert columns.extra == ("",)


def test_a_missing_required_column_is_named_with_what_was_found_and_the_next_step() -> None:
    problem = refusal(["Client", "E-Mail"])

    assert problem.code is FileErrorCode.DIFFERENT_PROCESS
    assert str(problem) == (
        "list.xlsx has no column for first_name, which Motor needs (found: Client, E-Mail). "
        "Download the example file of Motor and use its column titles."
    )


@pytest.mark.parametrize(
    ("header", "nearest"),
    [
        (["Frist Name", "Email"], " Nearest to it: Frist Name (for first_name). "),
        (["Note", "Name", "Email"], " Nearest to it: Name (for first_name). "),
        (["first_name", "E-Mail Address", "Note"], " Nearest to it: E-Mail Address (for email). "),
        (["first_name", "Note"], "). Download"),
    ],
)
def test_the_column_that_may_be_meant_is_named(header: list[str | None], nearest: str) -> None:
    assert nearest in str(refusal(header))


def test_what_is_said_of_a_file_names_what_is_not_used() -> None:
    columns = recognise(["email", None, "Branch", "first name", "Note"], definition(), file_name="list.xlsx")

    assert notes(columns, header_row=3, sheet="List", other_sheets=("Old", "Archive"), encoding="Windows-1255") == [
        "The sheet List was read, not Old and Archive.",
        "The titles stand in row 3; what is above them is kept.",
        "The letters were read as Windows-1255, the only encoding in which they make sense.",
        "Not used, but kept to the result file: Branch, Note.",
        "Empty for everybody, because the file has no column for it: phone, renewal_date.",
    ]


def test_nothing_is_said_of_a_file_of_which_all_is_used() -> None:
    assert notes(recognise(NAMES, definition(), file_name="list.xlsx"), sheet="List") == []


def test_an_extra_column_that_may_show_data_is_only_counted() -> None:
    columns = recognise(["first_name", "email", "ann@b.com", "Note"], definition(), file_name="list.csv")

    assert notes(columns)[0] == "Not used, but kept to the result file: 2 columns."


def test_a_phone_column_is_no_address_when_the_process_only_sends_email() -> None:
    problem = refusal(["first_name", "phone"])

    assert problem.code is FileErrorCode.DIFFERENT_PROCESS
    assert "no column for email, so nobody could be written to" in str(problem)


def test_two_columns_for_one_item_are_refused_by_name() -> None:
    problem = refusal(["first_name", "email", "E Mail"])

    assert problem.code is FileErrorCode.UNREADABLE
    assert "two columns for email (columns 2 and 3)" in str(problem)


def test_a_file_made_for_another_process_is_refused_with_both_names() -> None:
    problem = refusal(["first_name", "email"], file_process="claims")

    assert problem.code is FileErrorCode.DIFFERENT_PROCESS
    assert "process claims" in str(problem)
    assert "Motor (motor)" in str(problem)


CLAIMS = """
key: claims
name: Claims
default_region: GB
data_items:
  - {name: claim_number, type: text, required: true}
  - {name: email, type: email}
workflow:
  - phase: start
    output:
      email: {from: a@acme.example, subject: s, text: "{{ link }}"}
"""


def test_another_process_is_called_by_its_name_where_it_is_known() -> None:
    with pytest.raises(FileProblem, match=r"made for the process Claims \(claims\), not for Motor \(motor\)"):
        recognise(["x"], definition(), file_name="list.xlsx", file_process="claims", others=[definition(CLAIMS)])


def test_a_file_with_the_columns_of_another_process_is_refused_with_its_name() -> None:
    with pytest.raises(FileProblem, match=r"It has the columns of Claims \(claims\)\. Choose that process") as caught:
        recognise(["Claim Number", "E-Mail"], definition(), file_name="list.csv", others=[definition(CLAIMS)])
    assert caught.value.code is FileErrorCode.DIFFERENT_PROCESS


@pytest.mark.parametrize("header", [["email"], ["claim number"], ["name", "email"]])
def test_no_process_is_named_whose_columns_are_not_there(header: list[str | None]) -> None:
    with pytest.raises(FileProblem) as caught:
        recognise(header, definition(), file_name="list.csv", others=[definition(CLAIMS)])
    assert "Claims" not in str(caught.value)


def test_a_file_made_for_this_process_is_taken() -> None:
    columns = recognise(["first_name", "email"], definition(), file_name="list.xlsx", file_process="motor")

    assert set(columns.of_item) == {"first_name", "email"}


@pytest.mark.parametrize("value", ["anna@somewhere.example", "07400 123456", "+447400123456"])
def test_a_file_without_a_header_shows_no_recipient_in_the_message(value: str) -> None:
    """The message may be logged, and the first row of such a file is somebody's."""
    problem = refusal(["Anna", value])

    assert "data instead of titles" in str(problem)
    assert value not in str(problem)
    assert "Anna" not in str(problem)


@pytest.mark.parametrize("header", [[], [None, None], ["", " "]])
def test_a_header_without_titles_is_refused(header: list[str | None]) -> None:
    assert "no titles at all" in str(refusal(header))


def test_the_titles_of_a_process_are_the_names_of_its_items() -> None:
    assert titles(definition()) == tuple(NAMES)


Lines = list[list[str | None]]


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([["First Name", "E-mail"], ["Anna", "a@b.com"]], (0, 2)),
        ([["Customers March 2026"], ["First Name", "Email"], ["Anna", "a@b.com"]], (1, 2)),
        ([["Customers", None], ["as of", "1 March"], [None, "first_name", "phone"]], (2, 2)),
        ([["Customers March 2026", ""], ["Name", "email"], ["Anna", "a@b.com"]], (1, 1)),
        ([["Name", "Contact by"], ["Anna", "email"], ["Bo", "phone"]], (0, 0)),
        ([["Name", "Address"], ["Anna", "a@b.com"]], (0, 0)),
        ([["email"], ["a@b.com"]], (0, 1)),
        ([], (0, 0)),
    ],
)
def test_the_header_is_the_first_row_that_is_surely_one(rows: Lines, found: tuple[int, int]) -> None:
    """A title of a report is passed over; a word in somebody's data makes no header of it."""
    assert header_among(rows, NAMES) == found


def test_one_title_is_enough_where_there_is_only_one() -> None:
    assert header_among([["My list"], ["Email"], ["a@b.com"]], ["email"]) == (1, 1)


def test_without_titles_the_first_row_is_the_header() -> None:
    assert header_among([["My list"], ["Email", "Name"]], []) == (0, 0)
