"""What stands beside each row of the operator's own file."""

from __future__ import annotations

import re

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.annotation import DELIVERIES, ROW_OF_PROBLEM, STATES, annotate, bad_rows
from domain.deliveries import SILENT, Delivery
from domain.frames import BAD_ROWS, MESSAGES, PROBLEMS, STATUSES, VISITS

Message = tuple[int, str, str, str | None, str | None]
NINE, TEN = "2030-01-31T09:00:00Z", "2030-01-31T10:00:00Z"


def recipients(*rows: tuple[int, bool]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"row": pl.UInt32, "valid": pl.Boolean}, orient="row")


def problems(*rows: tuple[int, str]) -> pl.DataFrame:
    lines = [(row, None, "code", message, "error") for row, message in rows]
    return pl.DataFrame(lines, schema=PROBLEMS, orient="row")


def messages(*rows: Message) -> pl.DataFrame:
    return pl.DataFrame([(*row, None, None, None) for row in rows], schema=MESSAGES, orient="row")


def told(*rows: Message, valid: bool = True) -> tuple[str | None, ...]:
    """Status, detail, channel and time of one row with these messages."""
    found = annotate(recipients((2, valid)), problems(), messages(*rows), stage="send")
    return found.row(0)[1:5]


def test_before_sending_a_row_is_ready_or_has_problems() -> None:
    found = annotate(
        recipients((2, True), (5, False)),
        problems((5, "day is empty; fill it in."), (5, "No email can be used.")),
        messages(),
        stage="check",
    )

    assert dict(found.schema) == STATUSES
    assert found.rows() == [
        (2, "Ready", *[None] * 9),
        (5, "Problem", "day is empty; fill it in. No email can be used.", *[None] * 8),
    ]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ((2, "email", "accepted", None, TEN), ("Sent", None, "Email", TEN)),
        ((2, "sms", "pending", None, None), ("Waiting", "SMS: waiting to be sent.", None, None)),
        (
            (2, "email", "failed", "refused by the provider (bad address)", None),
            ("Not sent", "Email: refused by the provider (bad address).", None, None),
        ),
        (
            (2, "sms", "stopped", None, None),
            ("Stopped", "SMS: not sent, because the batch was rejected before.", None, None),
        ),
        (
            (2, "sms", "unresolved", "no trace of it.", None),
            ("Unresolved", "SMS: no trace of it.", None, None),
        ),
    ],
)
def test_one_message_speaks_for_its_row(message: Message, expected: tuple[str | None, ...]) -> None:
    assert told(message) == expected


def test_both_channels_are_named_with_the_earlier_time() -> None:
    assert told((2, "sms", "accepted", None, NINE), (2, "email", "accepted", None, TEN)) == (
        "Sent",
        None,
        "Email, SMS",
        NINE,
    )


def test_what_failed_beside_what_was_sent_is_told() -> None:
    assert told((2, "email", "accepted", None, TEN), (2, "sms", "failed", "landline", None)) == (
        "Sent",
        "SMS: landline.",
        "Email",
        TEN,
    )


@settings(deadline=None)
@given(st.sampled_from(list(STATES)), st.sampled_from(list(STATES)))
def test_of_two_messages_the_more_important_speaks(first: str, second: str) -> None:
    status = told((2, "email", first, None, None), (2, "sms", second, None, None))[0]

    assert status == next(word for state, word in STATES.items() if state in (first, second))


def test_the_order_of_importance_is_the_agreed_one() -> None:
    assert list(STATES.values()) == ["Sent", "In doubt", "Unresolved", "Waiting", "Stopped", "Held", "Not sent"]


def test_a_valid_row_without_a_message_is_waiting_and_an_invalid_one_is_not_sent() -> None:
    assert told()[0] == "Waiting"
    assert told(valid=False)[0] == "Not sent"


def test_rows_come_out_in_their_order_whatever_order_the_messages_have() -> None:
    found = annotate(
        recipients((7, True), (3, False), (9, True)),
        problems((3, "Bad.")),
        messages((9, "email", "accepted", None, TEN), (7, "sms", "failed", None, None)),
        stage="send",
    )

    assert found["row"].to_list() == [7, 3, 9]
    assert found["Sending Status"].to_list() == ["Not sent", "Not sent", "Sent"]


@settings(deadline=None)
@given(st.text(max_size=30))
def test_no_status_begins_like_a_formula(detail: str) -> None:
    found = told((2, "email", "failed", detail, None))

    assert not any(text and text[0] in "=+-@" for text in found)


# Delivery


Report = tuple[str, str | None, str | None, str | None]


def reported(*reports: Report) -> tuple[str | None, ...]:
    """Delivery, detail and time of a row with these accepted messages: channel, delivery, detail, time."""
    rows = [(2, channel, "accepted", None, NINE, *rest) for channel, *rest in reports]
    found = annotate(recipients((2, True)), problems(), pl.DataFrame(rows, schema=MESSAGES, orient="row"), stage="send")
    return found.row(0)[5:8]


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (("email", None, None, None), ("Waiting for a report", None, None)),
        (("email", "accepted", None, TEN), ("Waiting for a report", None, None)),
        (("sms", "silent", None, TEN), ("Sent; no report of delivery", None, None)),
        (("email", "delivered", None, TEN), ("Delivered", None, TEN)),
        (
            ("email", "bounced", "There is no such mailbox (5.1.1, permanent).", TEN),
            ("Bounced", "Email: There is no such mailbox (5.1.1, permanent).", TEN),
        ),
    ],
)
def test_a_delivery_is_told_with_its_reason_and_time(report: Report, expected: tuple[str | None, ...]) -> None:
    assert reported(report) == expected


def test_of_two_deliveries_the_better_speaks_and_the_other_is_named() -> None:
    assert reported(("sms", "undelivered", "Off.", TEN), ("email", "delivered", None, NINE)) == (
        "Delivered",
        "SMS: Off.",
        NINE,
    )


def test_every_delivery_has_words() -> None:
    assert set(DELIVERIES) == {*Delivery, SILENT}


def test_what_was_never_accepted_has_no_delivery() -> None:
    found = annotate(recipients((2, True)), problems(), messages((2, "email", "failed", "No.", None)), stage="send")

    assert found["Delivery"].to_list() == [None]


def test_a_bad_row_says_its_number_and_what_to_correct() -> None:
    found = bad_rows(problems((5, "day is empty; fill it in."), (5, "No email can be used."), (1_048_576, "Bad.")))

    assert dict(found.schema) == BAD_ROWS
    assert found.rows() == [
        (5, "Row 5: day is empty; fill it in. No email can be used."),
        (1_048_576, "Row 1048576: Bad."),
    ]


def test_a_warning_makes_no_bad_row_and_no_sentence_of_one() -> None:
    lines = [
        (2, None, "code", "Look.", "warning"),
        (3, None, "code", "Look.", "warning"),
        (3, None, "x", "Bad.", "error"),
    ]

    assert bad_rows(pl.DataFrame(lines, schema=PROBLEMS, orient="row")).rows() == [(3, "Row 3: Bad.")]


@given(st.integers(2, 2**31), st.text(min_size=1, max_size=30))
def test_the_row_of_a_bad_row_is_found_again_whatever_is_said_of_it(row: int, sentence: str) -> None:
    found = re.match(ROW_OF_PROBLEM, bad_rows(problems((row, sentence)))["Problem"][0])

    assert found is not None
    assert int(found[1]) == row


# Visits


def test_what_people_did_with_their_links_stands_beside_their_rows() -> None:
    visits = pl.DataFrame([(3, NINE, TEN, None)], schema=VISITS, orient="row")

    found = annotate(recipients((2, True), (3, True)), problems(), messages(), stage="send", visits=visits)

    assert found.select("row", "Opened At", "Started At", "Completed At").rows() == [
        (2, None, None, None),
        (3, NINE, TEN, None),
    ]
