"""How the valid recipients of a batch become messages, requests and chunks."""

from __future__ import annotations

import polars as pl

EMAILS_PER_REQUEST = 1000
"""SendGrid's limit of personalizations in one mail/send call (its OpenAPI document)."""
CHUNKS_AT_MOST = 48
"""Orchestration costs a tenth of a second a task run: the number must not grow with the batch."""
EMAIL_REQUESTS_PER_CHUNK = 25
SMS_PER_CHUNK = 1000
EMAIL, SMS = "email", "sms"


def split(recipients: pl.DataFrame, *, channels: frozenset[str]) -> pl.DataFrame:
    """Lay out every message of a batch in requests, and the requests in chunks.

    An address that several rows share is written to once a row, but never twice in one
    request: SendGrid refuses or merges a repeated address.

    Args:
        recipients: RECIPIENTS frame; only valid rows with an address are used.
        channels: the outputs that the process has.

    Returns:
        `channel, request, position, row, chunk`, ordered by request and position; requests
        and chunks are numbered from 0 without a gap, `position` is the place in its request.
    """
    valid = recipients.lazy().filter("valid")
    parts = [
        _requests(valid, channel, per_request)
        for channel, per_request in ((EMAIL, EMAILS_PER_REQUEST), (SMS, 1))
        if channel in channels
    ]
    if not parts:
        return _chunked([])
    return _chunked(pl.collect_all(parts))


def _requests(valid: pl.LazyFrame, channel: str, per_request: int) -> pl.LazyFrame:
    address = "email" if channel == EMAIL else "phone"
    wave = (
        pl.int_range(pl.len()).over(pl.col(address).str.to_lowercase())
        if per_request > 1
        else pl.lit(0, dtype=pl.Int64)
    )
    return (
        valid.filter(pl.col(address).is_not_null())
        .select("row", address)
        .with_columns(wave=wave)
        .sort("wave", "row")
        .with_columns(place=pl.int_range(pl.len()).over("wave"))
        .with_columns(group=pl.col("place") // per_request, position=pl.col("place") % per_request)
        .select(
            channel=pl.lit(channel),
            request=pl.struct("wave", "group").rank("dense").cast(pl.Int64) - 1,
            position=pl.col("position").cast(pl.Int64),
            row=pl.col("row").cast(pl.Int64),
        )
    )


def _chunked(parts: list[pl.DataFrame]) -> pl.DataFrame:
    """Number requests through all channels and deal them into at most CHUNKS_AT_MOST chunks."""
    schema = {"channel": pl.String, "request": pl.Int64, "position": pl.Int64, "row": pl.Int64, "chunk": pl.Int64}
    placed, first_request, first_chunk = [pl.DataFrame(schema=schema)], 0, 0
    messages = sum(part.height for part in parts)
    for part in parts:
        if part.is_empty():
            continue
        requests = int(part["request"].max()) + 1  # type: ignore[arg-type]  # an Int64 column's maximum is an int
        share = max(1, CHUNKS_AT_MOST * part.height // max(messages, 1) - 1)
        smallest = EMAIL_REQUESTS_PER_CHUNK if part["channel"][0] == EMAIL else SMS_PER_CHUNK
        per_chunk = max(smallest, -(-requests // share))
        placed.append(
            part.with_columns(
                chunk=pl.col("request") // per_chunk + first_chunk,
                request=pl.col("request") + first_request,
            ).select(list(schema))
        )
        first_request += requests
        first_chunk += -(-requests // per_chunk)
    return pl.concat(placed)
