"""Judging rows: for every rule a row that keeps it, one that breaks it, one at the edge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import phonenumbers
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.columns import recognise
from domain.frames import PROBLEMS, RECIPIENTS_FIXED, item_column, rows_schema
from domain.open_links import Links
from domain.phone_numbers import normalised_phone
from domain.processes import ItemType, ProcessDefinition, read_definition
from domain.rules import MOST_CELL_CHARACTERS, MOST_EMAIL_BYTES, MOST_SMS_CHARACTERS, RULES
from domain.samples import sample_phone, sample_values
from domain.validation import Judged, judge, summarise, to_objects

ITEMS = """
  - {name: first_name, type: text, required: true}
  - {name: email, type: email}
  - {name: phone, type: phone}
  - {name: day, type: date, format: "%d.%m.%Y"}
  - {name: premium, type: number}
  - {name: paperless, type: boolean}
  - {name: cover, type: choice, choices: [Comprehensive, Third party]}
  - {name: broker, type: email}
"""
EMAIL_OUTPUT = 'email: {from: a@acme.example, subject: "{{ first_name }}", text: "{{ first_name }} {{ link }}"}'
SMS_OUTPUT = 'sms: {from: "+15005550006", text: "Dear {{ first_name }}: {{ link }}"}'
SMS_FIXED = len("Dear : ")
LINK_LENGTH = 50
GOOD: dict[str, str | None] = {"first_name": "Anna", "email": "anna@b.com", "phone": "07400 123456"}
E164 = "+447400123456"


def process(*outputs: str, items: str = ITEMS) -> ProcessDefinition:
    start = "\n      ".join(outputs)
    workflow = f"workflow:\n  - phase: start\n    output:\n      {start}\n" if outputs else ""
    return read_definition(
        f"key: motor\nname: Motor\ndefault_region: GB\ndata_items:{items}{workflow}", name="motor.yaml"
    )


BOTH = process(EMAIL_OUTPUT, SMS_OUTPUT)
EMAIL_ONLY = process(EMAIL_OUTPUT)
SMS_ONLY = process(SMS_OUTPUT)
NO_START = process()


def judged(
    *rows: Mapping[str, str | None], definition: ProcessDefinition = BOTH, open_links: Iterable[Links] = ()
) -> Judged:
    """Judge rows given as item -> cell; the first is row 2."""
    names = [item.name for item in definition.data_items]
    cells = [(number, *(row.get(name) for name in names)) for number, row in enumerate(rows, 2)]
    frame = pl.DataFrame(cells, schema=rows_schema(len(names)), orient="row")
    columns = recognise(names, definition, file_name="list.csv")
    return judge(frame, columns, definition, link_length=LINK_LENGTH, open_links=open_links)


def codes(result: Judged) -> list[tuple[int, str | None, str, str]]:
    return result.problems.select("row", "item", "code", "severity").rows()


def test_a_good_row_is_sent_on_both_channels() -> None:
    result = judged(GOOD | {"day": "31.01.2030", "premium": "010.50", "paperless": "Ja", "cover": "third party"})

    assert result.problems.is_empty()
    assert result.recipients.row(0, named=True) == {
        "row": 2,
        "valid": True,
        "email": "anna@b.com",
        "phone": E164,
        "item:first_name": "Anna",
        "item:email": "anna@b.com",
        "item:phone": E164,
        "item:day": "2030-01-31",
        "item:premium": "10.50",
        "item:paperless": "true",
        "item:cover": "Third party",
        "item:broker": None,
    }


def test_the_frames_have_the_agreed_schemas() -> None:
    result = judged(GOOD, {"first_name": None})

    items = {item_column(item.name): pl.String for item in BOTH.data_items}
    assert dict(result.recipients.schema) == {**RECIPIENTS_FIXED, **items}
    assert dict(result.problems.schema) == PROBLEMS


@pytest.mark.parametrize(
    ("item", "text", "code"),
    [
        ("first_name", None, "required_missing"),
        ("first_name", "  ", "required_missing"),
        ("day", "31/01/2030", "date_invalid"),
        ("day", "01/02/2030", "date_ambiguous"),
        ("premium", "1,234", "number_ambiguous"),
        ("premium", "1;5", "number_invalid"),
        ("paperless", "perhaps", "boolean_invalid"),
        ("cover", "Fire", "choice_invalid"),
        ("broker", "a@@b.com", "email_invalid"),
    ],
)
def test_a_cell_that_breaks_a_rule_keeps_its_row_from_being_sent(item: str, text: str | None, code: str) -> None:
    result = judged(GOOD | {item: text})

    assert codes(result) == [(2, item, code, "error")]
    assert result.recipients.select("valid", "email", "phone").row(0) == (False, None, None)
    assert text is None or result.recipients[item_column(item)][0] in (text, None)


@pytest.mark.parametrize("item", ["day", "premium", "paperless", "cover", "broker"])
def test_an_empty_optional_cell_is_no_problem(item: str) -> None:
    assert judged(GOOD | {item: " \u00a0"}).problems.is_empty()


@pytest.mark.parametrize(
    ("bad", "item", "left"),
    [({"email": "anna@"}, "email", (None, E164)), ({"phone": "123"}, "phone", ("anna@b.com", None))],
)
def test_a_malformed_address_is_a_warning_while_the_other_is_good(
    bad: dict[str, str | None], item: str, left: tuple[str | None, str | None]
) -> None:
    result = judged(GOOD | bad)

    assert codes(result) == [(2, item, f"{item}_invalid", "warning")]
    assert result.recipients.select("valid", "email", "phone").row(0) == (True, *left)
    assert result.recipients[item_column(item)][0] == bad[item]


def test_a_malformed_address_is_an_error_when_no_other_is_left() -> None:
    result = judged(GOOD | {"email": "anna@", "phone": None})

    assert codes(result) == [(2, "email", "email_invalid", "error"), (2, None, "no_address", "error")]


def test_a_malformed_address_that_the_process_requires_is_an_error() -> None:
    strict = process(EMAIL_OUTPUT, SMS_OUTPUT, items=ITEMS.replace("type: phone", "type: phone, required: true"))

    assert codes(judged(GOOD | {"phone": "123"}, definition=strict)) == [(2, "phone", "phone_invalid", "error")]


@pytest.mark.parametrize(
    ("definition", "row", "is_reached"),
    [
        (BOTH, {"email": "a@b.com"}, True),
        (BOTH, {"phone": "07400123456"}, True),
        (BOTH, {}, False),
        (EMAIL_ONLY, {"email": "a@b.com"}, True),
        (EMAIL_ONLY, {"phone": "07400123456"}, False),
        (SMS_ONLY, {"email": "a@b.com"}, False),
        (SMS_ONLY, {"phone": "07400123456"}, True),
        (NO_START, {"phone": "07400123456"}, True),
        (NO_START, {}, False),
    ],
)
def test_a_row_needs_an_address_that_an_output_uses(
    definition: ProcessDefinition, row: dict[str, str | None], is_reached: bool
) -> None:
    result = judged({"first_name": "Anna"} | row, definition=definition)

    assert ("no_address" not in result.problems["code"]) == is_reached
    assert result.recipients["valid"].to_list() == [is_reached]


def test_an_address_that_no_output_uses_is_a_value_but_nothing_is_sent_there() -> None:
    result = judged(GOOD, definition=EMAIL_ONLY)

    assert result.recipients.select("email", "phone", "item:phone").row(0) == ("anna@b.com", None, E164)


def test_the_example_row_is_never_sent_and_has_that_one_problem() -> None:
    samples = dict[str, str | None](sample_values(BOTH))

    result = judged(samples, GOOD)

    assert codes(result) == [(2, None, "sample_row", "error")]
    assert result.recipients["valid"].to_list() == [False, True]


def test_the_example_row_is_known_even_when_a_spreadsheet_rewrote_its_date_and_number() -> None:
    samples = dict[str, str | None](sample_values(BOTH))

    result = judged(samples | {"day": "31/01/2030", "premium": "123,45", "phone": "4.474E+11"})

    assert codes(result) == [(2, None, "sample_row", "error")]


def test_the_example_row_with_a_person_in_it_is_that_person() -> None:
    samples = dict[str, str | None](sample_values(BOTH))

    assert judged(samples | GOOD).recipients["valid"].to_list() == [True]


def test_two_example_rows_are_not_called_identical() -> None:
    samples = dict[str, str | None](sample_values(BOTH))

    assert judged(samples, samples).problems["code"].to_list() == ["sample_row", "sample_row"]


@pytest.mark.parametrize(("surplus", "is_valid"), [(0, True), (1, False)])
def test_the_values_of_an_email_fit_its_substitutions(surplus: int, is_valid: bool) -> None:
    others = len("anna@b.com")
    letters = (MOST_EMAIL_BYTES - others) // 2
    row = {"first_name": "é" * letters + "x" * surplus, "email": "anna@b.com"}

    result = judged(row)

    assert result.recipients["valid"].to_list() == [is_valid]
    assert result.problems["code"].to_list() == ([] if is_valid else ["text_too_long"])


@pytest.mark.parametrize(("surplus", "is_valid"), [(0, True), (1, False)])
def test_an_sms_has_at_most_1600_characters(surplus: int, is_valid: bool) -> None:
    room = MOST_SMS_CHARACTERS - SMS_FIXED - LINK_LENGTH
    row = {"first_name": "é" * (room + surplus), "phone": "07400123456"}

    result = judged(row, definition=SMS_ONLY)

    assert result.recipients["valid"].to_list() == [is_valid]
    assert result.problems["code"].to_list() == ([] if is_valid else ["sms_too_long"])


def test_a_row_that_gets_no_email_may_be_longer_than_one() -> None:
    """An email's limit is no reason to keep somebody from an SMS that uses little of the row."""
    wide = process(EMAIL_OUTPUT, SMS_OUTPUT, items=ITEMS + "  - {name: note, type: text}\n")

    result = judged({"first_name": "A", "phone": "07400123456", "note": "x" * 3000}, definition=wide)

    assert result.recipients["valid"].to_list() == [True]


def test_a_process_may_have_phone_numbers_only() -> None:
    items = "\n  - {name: first_name, type: text}\n  - {name: phone, type: phone}\n"

    result = judged({"phone": "07400123456"}, definition=process(SMS_OUTPUT, items=items))

    assert result.recipients.select("valid", "email", "phone").row(0) == (True, None, E164)


def test_an_identical_row_is_sent_once() -> None:
    """Alike after normalisation: people copy rows and spell the number another way."""
    result = judged(GOOD, {"first_name": "Bob", "email": "b@b.com"}, GOOD | {"phone": "+44 7400 123456"}, GOOD)

    assert codes(result) == [(4, None, "duplicate_row", "error"), (5, None, "duplicate_row", "error")]
    assert result.problems["message"][0] == "Identical to row 2; it is sent once."
    assert result.recipients["valid"].to_list() == [True, True, False, False]


@pytest.mark.parametrize(
    "addresses", [{"email": "a@b.com"}, {"phone": "07400123456"}, {}, {"email": "a@b", "phone": "1"}]
)
def test_rows_are_alike_whatever_address_they_lack(addresses: dict[str, str | None]) -> None:
    row: dict[str, str | None] = {"first_name": "Anna", **addresses}

    result = judged(row, GOOD, row | {"first_name": "Eve"}, row)

    assert [number for number, _, code, _ in codes(result) if code == "duplicate_row"] == [5]


def test_the_same_address_with_other_values_is_only_a_warning() -> None:
    result = judged(GOOD, {"first_name": "Bob", "email": "ANNA@B.com"}, {"first_name": "Eve", "phone": "7400123456"})

    assert codes(result) == [(3, "email", "same_address", "warning"), (4, "phone", "same_address", "warning")]
    assert result.problems["message"][1] == "Same phone as row 2, with other values; both are sent."
    assert result.recipients["valid"].to_list() == [True, True, True]


def test_the_same_address_as_an_invalid_row_is_no_problem() -> None:
    result = judged(GOOD | {"day": "?"}, GOOD)

    assert codes(result) == [(2, "day", "date_invalid", "error")]


def test_problems_are_ordered_by_row_then_by_rule() -> None:
    result = judged(
        {"first_name": None, "email": "anna@", "day": "?", "premium": "?"}, GOOD, {"first_name": "A", "cover": "?"}
    )

    assert [(row, code) for row, _, code, _ in codes(result)] == [
        (2, "required_missing"),
        (2, "date_invalid"),
        (2, "number_invalid"),
        (2, "email_invalid"),
        (2, "no_address"),
        (4, "choice_invalid"),
        (4, "no_address"),
    ]


def test_no_message_quotes_a_cell() -> None:
    secret = "secret@@value"
    row = dict.fromkeys([*GOOD, "day", "premium", "paperless", "cover", "broker"], secret)

    result = judged(row, row)

    assert not result.problems["message"].str.contains("secret").any()
    assert result.problems["message"].str.ends_with(".").all()
    assert result.problems.height > 7


def test_every_rule_has_been_broken_here() -> None:
    """A rule without a row that breaks it could be wrong for years."""
    strict = process(
        EMAIL_OUTPUT,
        SMS_OUTPUT,
        items=ITEMS.replace("type: email}\n  - {name: p", "type: email, required: true}\n  - {name: p", 1),
    )
    rows: list[dict[str, str | None]] = [
        GOOD,
        GOOD,
        dict[str, str | None](sample_values(BOTH)),
        {"email": "anna@", "day": "?", "premium": "?", "paperless": "?", "cover": "?"},
        {"first_name": "A", "phone": "1", "day": "01/02/2030", "premium": "1,234"},
        {"first_name": "A", "phone": "447400123456.0", "email": "n/a"},
        GOOD | {"email": "anna@"},
        GOOD | {"phone": "1"},
        GOOD | {"phone": "4.47E+11"},
        GOOD | {"phone": "020 7946 0958"},
        GOOD | {"email": "noemail@noemail.com"},
        GOOD | {"first_name": "#N/A"},
        GOOD | {"first_name": "x" * (MOST_CELL_CHARACTERS + 1)},
    ]

    known = pl.DataFrame({"email": [GOOD["email"]], "phone": [None]}, schema={"email": pl.String, "phone": pl.String})
    broken = {
        (code, severity)
        for definition in (BOTH, strict)
        for _, _, code, severity in codes(judged(*rows, definition=definition, open_links=[(7, known)]))
    }

    assert broken == {(rule.code, rule.severity.value) for rule in RULES}


def test_a_summary_counts_rows_and_groups_problems_in_rule_order() -> None:
    bob: dict[str, str | None] = {"first_name": "Bob", "email": "b@b.com"}
    missing: list[dict[str, str | None]] = [{"email": f"x{number}@b.com"} for number in range(7)]

    found = summarise(judged(GOOD, GOOD, GOOD, bob | {"phone": "1"}, *missing, bob | {"day": "?"}))

    assert found["counts"] == {"rows": 12, "valid": 2, "invalid": 10, "warnings": 1}
    assert [(kind["code"], kind["count"], kind["rows"]) for kind in found["problems"]] == [
        ("required_missing", 7, [6, 7, 8, 9, 10]),
        ("date_invalid", 1, [13]),
        ("phone_invalid", 1, [5]),
        ("duplicate_row", 2, [3, 4]),
    ]
    assert found["problems"][3]["message"] == "Identical to an earlier row; it is sent once."


def test_a_summary_has_what_was_said_of_the_file() -> None:
    assert summarise(judged(GOOD), notes=["Not used: Branch."])["notes"] == ["Not used: Branch."]


def test_a_placeholder_beside_a_good_address_counts_as_empty() -> None:
    result = judged(GOOD | {"email": "n/a", "broker": "none"})

    assert codes(result) == [
        (2, "email", "address_placeholder", "warning"),
        (2, "broker", "address_placeholder", "warning"),
    ]
    assert result.recipients.select("valid", "email", "phone", "item:email").row(0) == (True, None, E164, None)


def test_a_placeholder_where_an_address_is_required_is_an_error_said_once() -> None:
    strict = process(EMAIL_OUTPUT, SMS_OUTPUT, items=ITEMS.replace("type: phone", "type: phone, required: true"))

    assert codes(judged(GOOD | {"phone": "-"}, definition=strict)) == [(2, "phone", "address_placeholder", "error")]


def test_an_address_that_looks_like_nobodys_is_sent_with_a_warning() -> None:
    result = judged({"first_name": "Bob", "email": "noemail@noemail.com"})

    assert codes(result) == [(2, "email", "address_placeholder", "warning")]
    assert result.recipients["email"].to_list() == ["noemail@noemail.com"]


@pytest.mark.parametrize(
    ("definition", "said"), [(BOTH, ["phone_landline"]), (SMS_ONLY, ["phone_landline"]), (EMAIL_ONLY, [])]
)
def test_a_landline_is_a_warning_where_an_sms_goes(definition: ProcessDefinition, said: list[str]) -> None:
    result = judged(GOOD | {"phone": "020 7946 0958"}, definition=definition)

    assert result.problems["code"].to_list() == said
    assert result.recipients["valid"].to_list() == [True]


def test_a_spoilt_phone_number_is_never_used() -> None:
    """In Germany 1711234567.0 is a valid number without its point: another person's."""
    german = BOTH.model_copy(update={"default_region": "DE"})
    spoilt: dict[str, str | None] = {"first_name": "Bob", "phone": "1711234567.0"}

    result = judged(spoilt, spoilt | {"email": "b@b.com"}, definition=german)

    assert codes(result) == [
        (2, "phone", "phone_spoilt", "error"),
        (2, None, "no_address", "error"),
        (3, "phone", "phone_spoilt", "warning"),
    ]
    assert result.recipients["phone"].to_list() == [None, None]


@pytest.mark.parametrize(("surplus", "is_valid"), [(0, True), (1, False)])
@pytest.mark.parametrize("letter", ["x", "\U0001f600"])
def test_a_cell_has_at_most_what_excel_holds(letter: str, surplus: int, is_valid: bool) -> None:
    units = len(letter.encode("utf-16-le")) // 2
    wide = process(SMS_OUTPUT, items=ITEMS + "  - {name: note, type: text}\n")
    note = letter * (MOST_CELL_CHARACTERS // units) + "x" * (MOST_CELL_CHARACTERS % units + surplus)

    result = judged({"first_name": "A", "phone": "07400123456", "note": note}, definition=wide)

    assert result.recipients["valid"].to_list() == [is_valid]
    assert result.problems["code"].to_list() == ([] if is_valid else ["cell_too_long"])


@pytest.mark.parametrize(("surplus", "is_valid"), [(0, True), (1, False)])
def test_an_sms_is_as_long_as_it_is_read(surplus: int, is_valid: bool) -> None:
    """A day written out is longer than in ISO, and another day is shorter."""
    items = ITEMS.replace("%d.%m.%Y", "%A, %d %B %Y")
    sms = 'sms: {from: "+15005550006", text: "{{ first_name }} {{ day }} {{ paperless }} {{ link }}"}'
    rest = len(" Wednesday, 30 January 2030 yes ") + LINK_LENGTH
    row = {"phone": "07400123456", "day": "2030-01-30", "paperless": "ja"}

    result = judged(
        row | {"first_name": "x" * (MOST_SMS_CHARACTERS - rest + surplus)}, definition=process(sms, items=items)
    )

    assert result.recipients["valid"].to_list() == [is_valid]


def test_rows_become_objects_in_file_order_with_their_problems() -> None:
    objects = list(to_objects(judged(GOOD, {"first_name": "Bob", "day": "?"}, GOOD | {"first_name": "Eve"})))

    assert [each["row"] for each in objects] == [2, 3, 4]
    assert [[problem["code"] for problem in each["problems"]] for each in objects] == [
        [],
        ["date_invalid", "no_address"],
        ["same_address", "same_address"],
    ]
    assert objects[1]["values"] == dict.fromkeys(each.name for each in BOTH.data_items) | {
        "first_name": "Bob",
        "day": "?",
    }
    assert objects[1]["problems"][0] == {
        "item": "day",
        "code": "date_invalid",
        "message": "day is not a date that can be read for sure; write it as 2030-01-31 or 31.01.2030.",
        "severity": "error",
    }


CELLS = st.none() | st.text(max_size=8) | st.sampled_from(["a@b.com", "07400123456", "2030-01-31", "1.5", "yes", "x"])


@settings(deadline=None, max_examples=15)
@given(st.lists(st.fixed_dictionaries({item.name: CELLS for item in BOTH.data_items}), max_size=12))
def test_rows_in_are_rows_out(rows: list[dict[str, str | None]]) -> None:
    result = judged(*rows)

    refused = set(result.problems.filter(severity="error")["row"])
    assert result.recipients["row"].to_list() == list(range(2, 2 + len(rows)))
    assert result.recipients["valid"].to_list() == [row not in refused for row in result.recipients["row"]]
    reached = result.recipients["email"].is_not_null() | result.recipients["phone"].is_not_null()
    assert reached.to_list() == result.recipients["valid"].to_list()
    assert len(list(to_objects(result))) == len(rows)


def test_the_example_values_of_every_type_are_understood() -> None:
    assert {item.type for item in BOTH.data_items} == set(ItemType)
    assert judged(sample_values(BOTH) | {"first_name": "Anna"}).problems.is_empty()


def test_the_example_phone_number_of_every_region_is_valid() -> None:
    for region in phonenumbers.SUPPORTED_REGIONS:
        assert normalised_phone(sample_phone(region), region=region) == sample_phone(region)


@pytest.mark.parametrize("item", ["day", "premium", "paperless", "cover"])
def test_an_error_of_the_spreadsheet_is_called_so_in_every_column_but_those_of_addresses(item: str) -> None:
    assert codes(judged(GOOD | {item: "#VALUE!"})) == [(2, item, "error_cell", "error")]


@pytest.mark.parametrize("error", ["#N/A", "#REF!", "#CALC!"])
def test_an_error_of_the_spreadsheet_is_never_sent_as_a_text(error: str) -> None:
    result = judged(GOOD | {"first_name": error})

    assert codes(result) == [(2, "first_name", "error_cell", "error")]
    assert not result.recipients["valid"][0]


def test_a_text_that_only_speaks_of_an_error_is_sent() -> None:
    assert judged(GOOD | {"first_name": "N/A"}).problems.is_empty()


@pytest.mark.parametrize("number", [0, 1, 2, 5])
def test_columns_that_the_file_does_not_have_are_empty_for_every_row(number: int) -> None:
    """Optional columns are often left out."""
    names = ["first_name", "email"]
    cells = [(row, f"Person {row}", f"person{row}@b.com") for row in range(2, 2 + number)]
    frame = pl.DataFrame(cells, schema=rows_schema(len(names)), orient="row")

    result = judge(frame, recognise(names, BOTH, file_name="list.csv"), BOTH, link_length=LINK_LENGTH)

    assert result.problems.is_empty()
    assert result.recipients["email"].to_list() == [f"person{row}@b.com" for row in range(2, 2 + number)]
    assert result.recipients["phone"].null_count() == number
