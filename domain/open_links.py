"""Who has an open link of an earlier batch already; whose links are open, the ledger says."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

import polars as pl

from domain.frames import ROW

ADDRESSES = ("email", "phone")

Links = tuple[int, pl.DataFrame]
"""A batch, and `email` and `phone` of the people whose links of that batch are open."""


def open_in(recipients: pl.DataFrame, links: Iterable[Links]) -> pl.Series:
    """Name the batch of which a person has an open link, found by either address, whatever its case.

    Args:
        recipients: RECIPIENTS, n rows.
        links: the first batch that has a person is the one that is named; no further batch is asked for
            once everybody was found.

    Returns:
        `open_in`, n values: the id of that batch, null where there is none.
    """
    batches = iter(links)
    if (newest := next(batches, None)) is None:
        return pl.Series("open_in", [None], pl.Int64).new_from_index(0, recipients.height)
    sought = recipients.select(ROW, *(pl.col(name).str.to_lowercase() for name in ADDRESSES))
    sought = sought.filter(pl.any_horizontal(pl.col(name).is_not_null() for name in ADDRESSES))
    found = [pl.DataFrame(schema={ROW: pl.UInt32, "open_in": pl.Int64})]
    for batch_id, others in chain([newest], batches):
        for name in ADDRESSES:
            known = others.select(pl.col(name).str.to_lowercase()).drop_nulls()
            hits = sought.join(known, on=name, how="semi").select(ROW, open_in=pl.lit(batch_id, pl.Int64))
            found.append(hits)
            sought = sought.join(hits, on=ROW, how="anti")
        if sought.is_empty():
            break
    return recipients.select(ROW).join(pl.concat(found), on=ROW, how="left", maintain_order="left")["open_in"]
