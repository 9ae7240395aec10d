"""Splitting: everybody once on each of their channels, within what providers and orchestration bear."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from domain.splitting import CHUNKS_AT_MOST, EMAIL, EMAILS_PER_REQUEST, SMS, SMS_PER_CHUNK, split

BOTH = frozenset({EMAIL, SMS})
SCHEMA = {"row": pl.UInt32, "valid": pl.Boolean, "email": pl.String, "phone": pl.String}


def frame(rows: list[tuple[bool, str | None, str | None]]) -> pl.DataFrame:
    return pl.DataFrame(
        [(number, *row) for number, row in enumerate(rows, 2)],
        schema=SCHEMA,
        orient="row",
    )


def many(number: int, *, email: bool = True, phone: bool = False) -> pl.DataFrame:
    """So many valid recipients, each with addresses of their own."""
    text = pl.col("row").cast(pl.String)
    return pl.select(row=pl.int_range(2, number + 2, dtype=pl.UInt32)).select(
        "row",
        valid=pl.lit(value=True),
        email=pl.concat_str(pl.lit("p"), text, pl.lit("@m.example")) if email else pl.lit(None, pl.String),
        phone=pl.concat_str(pl.lit("+44"), text) if phone else pl.lit(None, pl.String),
    )


ADDRESSES = st.one_of(st.none(), st.sampled_from(["a@x.example", "A@X.example", "b@x.example", "ß@x.example"]))
PHONES = st.one_of(st.none(), st.sampled_from(["+441", "+442"]))


@given(
    st.lists(st.tuples(st.booleans(), ADDRESSES, PHONES), max_size=30), st.sampled_from([BOTH, {EMAIL}, {SMS}, set()])
)
@hypothesis_settings(max_examples=60)
def test_every_valid_recipient_is_covered_once_on_each_channel(
    rows: list[tuple[bool, str | None, str | None]], channels: set[str]
) -> None:
    recipients = frame(rows)
    plan = split(recipients, channels=frozenset(channels))

    for channel, address in ((EMAIL, "email"), (SMS, "phone")):
        expected = recipients.filter(pl.col("valid") & pl.col(address).is_not_null())["row"].to_list()
        found = plan.filter(channel=channel)["row"].sort().to_list()
        assert found == (expected if channel in channels else [])
    _holds(plan, recipients)


def _holds(plan: pl.DataFrame, recipients: pl.DataFrame) -> None:
    """What must be so of every plan."""
    assert dict(plan.schema) == {
        "channel": pl.String,
        "request": pl.Int64,
        "position": pl.Int64,
        "row": pl.Int64,
        "chunk": pl.Int64,
    }
    requests = plan.group_by("request", maintain_order=True).agg(
        pl.col("channel").n_unique().alias("channels"),
        pl.col("chunk").n_unique().alias("chunks"),
        pl.col("channel").first(),
        pl.col("position"),
        pl.len().alias("size"),
    )
    assert requests["request"].to_list() == list(range(requests.height))
    assert set(requests["channels"]) | set(requests["chunks"]) <= {1}
    assert all(list(position) == list(range(len(position))) for position in requests["position"])
    assert (requests.filter(channel=SMS)["size"] == 1).all()
    assert (requests["size"] <= EMAILS_PER_REQUEST).all()
    chunks = plan["chunk"].unique().sort().to_list()
    assert chunks == list(range(len(chunks)))
    assert len(chunks) <= 200
    assert (plan.group_by("chunk").agg(pl.col("channel").n_unique())["channel"] == 1).all()
    assert plan["request"].is_sorted()
    assert plan["chunk"].is_sorted()
    addressed = plan.filter(channel=EMAIL).join(recipients.with_columns(pl.col("row").cast(pl.Int64)), on="row")
    folded = addressed.with_columns(pl.col("email").str.to_lowercase())
    assert not folded.select("request", "email").is_duplicated().any()


@pytest.mark.parametrize(
    ("number", "sizes"),
    [(1, [1]), (999, [999]), (1000, [1000]), (1001, [1000, 1]), (2000, [1000, 1000]), (2001, [1000, 1000, 1])],
)
def test_a_request_holds_at_most_a_thousand_emails(number: int, sizes: list[int]) -> None:
    plan = split(many(number), channels=BOTH)

    assert plan.group_by("request", maintain_order=True).len()["len"].to_list() == sizes


def test_an_address_that_several_rows_share_is_never_twice_in_a_request() -> None:
    recipients = frame(
        [(True, address, None) for address in ("a@x.example", "A@X.EXAMPLE", "b@x.example", "a@x.example")]
    )

    plan = split(recipients, channels=BOTH)

    assert plan.select("request", "row").rows() == [(0, 2), (0, 4), (1, 3), (2, 5)]


def test_a_number_that_several_rows_share_gets_one_sms_a_row() -> None:
    plan = split(frame([(True, None, "+441"), (True, None, "+441")]), channels=BOTH)

    assert plan.select("request", "row").rows() == [(0, 2), (1, 3)]


@pytest.mark.parametrize(
    ("emails", "sms"),
    [(250_000, 0), (0, 200_000), (150_000, 150_000), (200_000, 1), (1, 200_000), (189_000, 1_000)],
)
def test_a_large_batch_has_no_more_chunks_than_orchestration_bears(emails: int, sms: int) -> None:
    recipients = pl.concat([many(emails), many(sms, email=False, phone=True).with_columns(pl.col("row") + emails)])
    plan = split(recipients, channels=BOTH)

    assert plan["chunk"].n_unique() <= CHUNKS_AT_MOST
    assert plan.height == emails + sms


def test_small_chunks_of_sms_are_not_made() -> None:
    plan = split(many(SMS_PER_CHUNK + 1, email=False, phone=True), channels=BOTH)

    assert plan.group_by("chunk", maintain_order=True).len()["len"].to_list() == [SMS_PER_CHUNK, 1]


def test_emails_go_before_sms_and_rows_in_the_order_of_the_file() -> None:
    plan = split(many(3, phone=True), channels=BOTH)

    assert plan.select("channel", "row").rows() == [
        (EMAIL, 2),
        (EMAIL, 3),
        (EMAIL, 4),
        (SMS, 2),
        (SMS, 3),
        (SMS, 4),
    ]


def test_the_same_recipients_are_laid_out_the_same_way() -> None:
    recipients = many(2_500, phone=True)

    assert split(recipients, channels=BOTH).equals(split(recipients, channels=BOTH))


@pytest.mark.parametrize("channels", [BOTH, frozenset()])
def test_nobody_gives_an_empty_plan(channels: frozenset[str]) -> None:
    assert split(frame([(False, "a@x.example", "+441")]), channels=channels).is_empty()
