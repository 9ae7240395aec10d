"""What sending a list would take: emails, SMS, and the segments that an operator's provider counts."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from domain.frames import item_column, value_column
from domain.processes import LINK, ProcessDefinition
from domain.rendering import all_as_read, filled
from domain.segments import segments

_ROWS_AT_ONCE = 50_000


@dataclass(frozen=True, slots=True)
class Costs:
    """How many emails and SMS go out, in how many segments the SMS, and how many the longest of them takes."""

    emails: int
    sms: int
    segments: int
    longest: int


def costs(recipients: pl.DataFrame, definition: ProcessDefinition, *, link_length: int) -> Costs:
    """Count what would be sent to everybody on the list.

    Args:
        recipients: RECIPIENTS; those that are not valid get nothing.
        definition: what is sent, and on which channels.
        link_length: characters of a link, which are the same for all.
    """
    valid = recipients.filter("valid")
    emails = valid["email"].count() if definition.start.email is not None else 0
    if definition.start.sms is None:
        return Costs(emails, sms=0, segments=0, longest=0)
    written_to = valid.filter(pl.col("phone").is_not_null())
    link = pl.lit("x" * link_length).alias(value_column(LINK))
    total = longest = 0
    for some in written_to.iter_slices(_ROWS_AT_ONCE):
        values = some.select(*(all_as_read(item, some[item_column(item.name)]) for item in definition.data_items), link)
        each = values.select(segments(filled(definition.start.sms.text, values.columns)).cast(pl.Int64))
        sizes = each.to_series()
        total += int(sizes.sum())
        longest = max(longest, *sizes.unique())
    return Costs(emails, written_to.height, total, longest)
