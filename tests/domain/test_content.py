"""One list is one content, however it was written; anything that is read differently is another."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from domain.content import ROWS_AT_ONCE, Upload, content_sha256, same_content

Values = dict[str, list[str | None]]

LIST: Values = {"item:email": ["a@b.com", "c@d.com"], "item:name": ["Ann", None]}


def recipients(values: Values, *, first_row: int = 2) -> pl.DataFrame:
    frame = pl.DataFrame(values, schema=dict.fromkeys(values, pl.String))
    return frame.with_columns(email=pl.lit(None)).with_row_index("row", offset=first_row)


def test_the_content_is_told_by_the_same_digits_in_every_release() -> None:
    """They are kept in the ledger and compared for years."""
    expected = "591ddb1988f3c3e7a41f001d5a30908a4e98ce9f685bdcffb5f2b0474a81b3e0"
    assert content_sha256(recipients(LIST)) == expected


@pytest.mark.parametrize(
    "same",
    [
        recipients(LIST, first_row=5),
        recipients({"item:name": LIST["item:name"], "item:email": LIST["item:email"]}),
        recipients(LIST | {"item:since": [None, None]}),
        recipients(LIST).with_columns(email=pl.lit("a@b.com")),
    ],
    ids=["other row numbers", "other order of columns", "an item nobody fills", "another channel"],
)
def test_how_a_list_was_written_does_not_count(same: pl.DataFrame) -> None:
    assert content_sha256(same) == content_sha256(recipients(LIST))


@pytest.mark.parametrize(
    "other",
    [
        LIST | {"item:name": ["Ann", ""]},
        LIST | {"item:name": ["Ann", "Bob"]},
        LIST | {"item:name": [None, "Ann"]},
        {name: values[::-1] for name, values in LIST.items()},
        {name: [*values, values[-1]] for name, values in LIST.items()},
        {"item:email": LIST["item:email"], "item:first": LIST["item:name"]},
        {"item:email": ['a@b.com,"Ann"\n', "c@d.com"], "item:name": [None, None]},
    ],
    ids=["empty text", "one more value", "moved value", "other order", "one more row", "another item", "a forged line"],
)
def test_whatever_a_list_says_counts(other: Values) -> None:
    assert content_sha256(recipients(other)) != content_sha256(recipients(LIST))


def test_a_long_list_is_told_by_all_of_it() -> None:
    names: list[str | None] = [str(number) for number in range(ROWS_AT_ONCE + 2)]

    digests = {content_sha256(recipients({"item:name": [*names[:-1], last]})) for last in ("x", "y", None)}

    assert len(digests) == 3


def test_a_list_that_fills_no_item_has_a_content_too() -> None:
    assert content_sha256(recipients({"item:name": [None]})) != content_sha256(recipients(LIST))


def upload(batch_id: int, *, sent: int) -> Upload:
    return Upload(batch_id, "Spring renewals", datetime(2026, 3, 9, tzinfo=UTC), rows=1200, sent=sent)


def test_the_finding_names_the_batch_and_what_became_of_it() -> None:
    assert same_content([upload(7, sent=1200)], rows=1200) == [
        {
            "code": "same_content",
            "message": "The same list was uploaded already, as batch 7 (Spring renewals, 9 March 2026; 1,200 of 1,200 sent).",
            "count": 1200,
            "rows": [],
        }
    ]


def test_of_many_the_sent_ones_are_named_first() -> None:
    uploads = [upload(number, sent=5 if number in {2, 4} else 0) for number in range(1, 7)]

    [finding] = same_content(uploads, rows=1200)

    named = ["as batch 4 (", ", batch 2 (", ", batch 6 (", ") and 3 more."]
    places = [finding["message"].index(one) for one in named]
    assert places == sorted(places)
    assert finding["message"].count("batch ") == 3


def test_a_new_list_has_no_finding() -> None:
    assert same_content([], rows=1200) == []
