"""Suppressed addresses: what suppresses one, and what becomes of the rows that have it."""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.deliveries import EMAIL_REASONS, SMS_REASONS, Kind, Saying
from domain.findings import Judged, summarise
from domain.frames import PROBLEMS, SUPPRESSIONS
from domain.processes import read_definition
from domain.suppressions import SuppressionKind, held_back, leave_out, suppression_of, without
from tests.factories import people, process

BOUNCED, OPTED_OUT, REPORTED = SuppressionKind.BOUNCED, SuppressionKind.OPTED_OUT, SuppressionKind.REPORTED
DAY = date(2026, 2, 1)
BOTH = process()


def suppressed(*entries: tuple[str, str], kind: str = "opted_out", on: date = DAY) -> pl.DataFrame:
    lines = [(channel, address, kind, on) for channel, address in entries]
    return pl.DataFrame(lines, schema=SUPPRESSIONS, orient="row")


def judged(frame: pl.DataFrame) -> Judged:
    return Judged(recipients=frame, problems=pl.DataFrame(schema=PROBLEMS))


EMAIL_OF_2, PHONE_OF_2 = ("email", "person0@mail.example"), ("sms", "+447700900000")


def test_a_row_with_another_address_is_sent_there_with_a_warning() -> None:
    result = leave_out(judged(people(both=1)), suppressed(EMAIL_OF_2), BOTH)

    assert result.recipients.select("valid", "email", "phone").rows() == [(True, None, PHONE_OF_2[1])]
    assert result.problems.rows() == [
        (2, "email", "suppressed", "email must not be written to: the person opted out on 2026-02-01.", "warning")
    ]


def test_a_row_with_no_other_address_is_not_sent() -> None:
    result = leave_out(judged(people(emails=1)), suppressed(EMAIL_OF_2, kind="bounced"), BOTH)

    assert result.recipients.select("valid", "email", "phone").rows() == [(False, None, None)]
    assert result.problems.select("code", "severity").rows() == [("suppressed", "error")]
    assert "was refused for good on 2026-02-01" in result.problems["message"][0]


def test_a_row_of_which_both_addresses_are_suppressed_says_so_of_both() -> None:
    result = leave_out(judged(people(both=1)), suppressed(EMAIL_OF_2, PHONE_OF_2), BOTH)

    assert result.recipients["valid"].to_list() == [False]
    assert result.problems.select("item", "severity").rows() == [("email", "error"), ("phone", "error")]


def test_the_values_stay_for_whoever_reads_the_form() -> None:
    frame = people(emails=1)

    assert leave_out(judged(frame), suppressed(EMAIL_OF_2), BOTH).recipients["item:email"].equals(frame["item:email"])


def test_the_case_of_an_address_does_not_matter() -> None:
    frame = people(emails=1).with_columns(email=pl.lit("Person0@mail.example"))

    assert held_back(frame, suppressed(EMAIL_OF_2), channel="email")["row"].to_list() == [2]


def test_an_address_is_suppressed_on_its_own_channel_only() -> None:
    assert held_back(people(both=1), suppressed(("sms", EMAIL_OF_2[1])), channel="email").is_empty()


def test_nothing_changes_where_nobody_is_suppressed() -> None:
    before = judged(people(both=2, invalid=1))

    assert leave_out(before, suppressed(("email", "other@mail.example")), BOTH) is before


def test_kinds_and_days_are_one_finding() -> None:
    known = pl.concat(
        [suppressed(EMAIL_OF_2), suppressed(("email", "person1@mail.example"), kind="reported", on=date(2026, 1, 5))]
    )

    found = summarise(leave_out(judged(people(emails=2)), known, BOTH))

    assert [(kind["code"], kind["count"], kind["rows"]) for kind in found["problems"]] == [("suppressed", 2, [2, 3])]
    assert found["counts"]["invalid"] == 2


@given(
    st.builds(
        people, emails=st.integers(0, 3), sms=st.integers(0, 3), both=st.integers(0, 3), invalid=st.integers(0, 2)
    ),
    st.data(),
)
def test_rows_in_are_rows_out_and_who_is_valid_has_an_address(frame: pl.DataFrame, data: st.DataObject) -> None:
    addresses = [("email", one) for one in frame["email"].drop_nulls()] + [
        ("sms", one) for one in frame["phone"].drop_nulls()
    ]
    known = suppressed(*data.draw(st.lists(st.sampled_from(addresses), unique=True)) if addresses else [])

    result = leave_out(judged(frame), known, BOTH).recipients

    assert result["row"].to_list() == frame["row"].to_list()
    assert result.columns == frame.columns
    has_address = result["email"].is_not_null() | result["phone"].is_not_null()
    assert result["valid"].to_list() == has_address.to_list()
    assert not set(result["email"].drop_nulls()) & set(known.filter(channel="email")["address"])
    assert not set(result["phone"].drop_nulls()) & set(known.filter(channel="sms")["address"])


def test_a_process_may_know_phone_numbers_only() -> None:
    definition = read_definition(
        "key: k\nname: K\ndefault_region: GB\ndata_items:\n  - {name: phone, type: phone}\nworkflow:\n  - phase: start\n"
        '    output: {sms: {from: "+15005550006", text: "{{ link }}"}}\n',
        name="k.yaml",
    )

    result = leave_out(judged(people(sms=1)), suppressed(PHONE_OF_2), definition)

    assert result.problems["item"].to_list() == ["phone"]


def test_held_recipients_keep_their_other_address() -> None:
    frame = people(both=2)
    held = held_back(frame, suppressed(EMAIL_OF_2), channel="email")

    left = without(frame, held, channel="email")

    assert left["email"].to_list() == [None, "person1@mail.example"]
    assert left["phone"].null_count() == 0


@pytest.mark.parametrize(
    ("kind", "code", "expected"),
    [
        (Kind.BOUNCED, "5.1.1", BOUNCED),
        (Kind.BOUNCED, None, BOUNCED),
        (Kind.BLOCKED, "5.7.1", None),
        (Kind.REPORTED, None, REPORTED),
        (Kind.OPTED_OUT, None, OPTED_OUT),
        (Kind.OPTED_IN, None, OPTED_OUT),
        (Kind.ACCEPTED, None, None),
        (Kind.DEFERRED, "4.2.2", None),
        (Kind.DELIVERED, None, None),
    ],
)
def test_a_kind_suppresses(kind: Kind, code: str | None, expected: SuppressionKind | None) -> None:
    assert suppression_of(Saying("e", kind, "p", code, datetime(2026, 3, 1, tzinfo=UTC))) is expected


@pytest.mark.parametrize("code", sorted({*EMAIL_REASONS, *SMS_REASONS}))
def test_a_code_suppresses_only_what_is_about_the_address_for_good(code: str) -> None:
    expected = {
        "unsubscribed": OPTED_OUT,
        "21610": OPTED_OUT,
        "reported_before": REPORTED,
        "bounced_before": BOUNCED,
        "invalid": BOUNCED,
        "30005": BOUNCED,
        "30006": BOUNCED,
    }
    for kind in (Kind.DROPPED, Kind.UNDELIVERED, Kind.FAILED):
        said = Saying("e", kind, "p", code, datetime(2026, 3, 1, tzinfo=UTC))
        assert suppression_of(said) is expected.get(code)
