"""Names and dtypes of the frames that pass between rooms; every function that takes or gives one names it.

ROWS        the file as it was read: `row` and one String column per original column, `c0`, `c1`, …
RECIPIENTS  the same rows judged: `row`, `valid`, `email`, `phone` and one `item:<name>` per data item
PROBLEMS    long: one line per problem of a row, ordered by row, then by rule
MESSAGES    what became of each message: one line per recipient and channel
PERSONAL    what the channels need of people: `row`, `address`, and one `value:<name>` per data item and for the link
VISITS      what people did with their links: one line per recipient of whom anything is known
STATUSES    the columns that are added to the operator's own file, one line per row
BAD_ROWS    what must be corrected, one line per row that is not valid
SUPPRESSIONS  addresses that must not be written to, one line per channel and address

`row` is always the number that the operator sees in the spreadsheet; the header is usually 1.
"""

from __future__ import annotations

import polars as pl

ROW = "row"
ITEM_PREFIX = "item:"

RECIPIENTS_FIXED = {
    ROW: pl.UInt32,
    "valid": pl.Boolean,
    "email": pl.String,
    "phone": pl.String,
}
"""RECIPIENTS without its items; `email` and `phone` are null where nothing will be sent."""

PROBLEMS = {
    ROW: pl.UInt32,
    "item": pl.String,
    "code": pl.String,
    "message": pl.String,
    "severity": pl.String,
}
"""`item` is null for a problem of the whole row; `severity` is `error` or `warning`."""

MESSAGES = {
    ROW: pl.UInt32,
    "channel": pl.String,
    "state": pl.String,
    "detail": pl.String,
    "sent_at": pl.String,
    "delivery": pl.String,
    "delivery_detail": pl.String,
    "delivery_at": pl.String,
}
"""Times are ISO 8601 in UTC; `sent_at` is null until a provider has accepted the message. `delivery` is one of
`domain.deliveries.Delivery`, `silent` where the wait for a report is over, null while there is none."""

VISITS = {
    ROW: pl.UInt32,
    "opened_at": pl.String,
    "started_at": pl.String,
    "completed_at": pl.String,
}
"""Times are ISO 8601 in UTC, null where it has not come to that."""

STATUSES = {
    ROW: pl.UInt32,
    "Sending Status": pl.String,
    "Status Detail": pl.String,
    "Channel": pl.String,
    "Sent At": pl.String,
    "Delivery": pl.String,
    "Delivery Detail": pl.String,
    "Delivery At": pl.String,
    "Opened At": pl.String,
    "Started At": pl.String,
    "Completed At": pl.String,
}

PROBLEM = "Problem"
BAD_ROWS = {
    ROW: pl.UInt32,
    PROBLEM: pl.String,
}
"""`Problem` begins with `Row <row>: `, so that the row is known when the file comes back."""

SUPPRESSIONS = {
    "channel": pl.String,
    "address": pl.String,
    "kind": pl.String,
    "on": pl.Date,
}
"""Addresses are in lower case; `kind` is the gravest of `domain.suppressions.SuppressionKind`, `on` its day."""


def column(index: int) -> str:
    """The name in ROWS of the original column `index`, counted from 0."""
    return f"c{index}"


def item_column(name: str) -> str:
    """The name in RECIPIENTS of the data item `name`."""
    return ITEM_PREFIX + name


def rows_schema(width: int) -> dict[str, type[pl.DataType]]:
    """The schema of ROWS for a file of `width` columns."""
    return {ROW: pl.UInt32, **{column(index): pl.String for index in range(width)}}


def without_blank_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """ROWS without the rows in which every cell is empty or only spaces.

    Column by column over the rows that are still in question, which after the first column are few:
    looking at all cells at once costs more memory than the frame itself.
    """
    blank = rows
    for name in rows.columns[1:]:
        cell = pl.col(name)
        # A space of ASCII sorts before all its signs, a foreign one after them; to strip all cells takes three times as long.
        blank = blank.filter(cell.is_null() | (cell < "!") | (cell > "\x7f"))
        blank = blank.filter(cell.is_null() | (cell.str.strip_chars() == ""))
        if blank.is_empty():
            return rows
    return rows.join(blank, on=ROW, how="anti", maintain_order="left")


def value_column(name: str) -> str:
    """The name in PERSONAL of what people read of the data item `name`."""
    return "value:" + name
