"""The people of a chunk, as the channels need them, out of the judged recipients at rest."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from domain.frames import ROW, item_column, value_column
from domain.links import Links
from domain.processes import LINK, ProcessDefinition
from domain.rendering import all_as_read
from domain.splitting import EMAIL
from files.storage import Storage


def load_people(
    storage: Storage,
    key: str,
    *,
    rows: Collection[int],
    channel: str,
    definition: ProcessDefinition,
    links: Links,
    batch_id: int,
) -> pl.DataFrame:
    """PERSONAL of some recipients, by row, each with an address on `channel`, values as people read them, and the link.

    Rows that have no address there are left out. Reads only the row groups that hold `rows`.
    """
    wanted = pl.Series(ROW, sorted(rows), pl.UInt32)
    address = "email" if channel == EMAIL else "phone"
    items = [item_column(item.name) for item in definition.data_items]
    with storage.local(key) as path:
        recipients = pl.scan_parquet(path).select(ROW, pl.col(address).alias("address"), *items)
        if wanted.is_empty():
            found = recipients.head(0).collect()
        else:
            between = recipients.filter(pl.col(ROW).is_between(wanted[0], wanted[-1]))
            found = between.filter(pl.col(ROW).is_in(wanted.implode()), pl.col("address").is_not_null()).collect()
    return found.select(
        ROW,
        "address",
        *(all_as_read(item, found[item_column(item.name)]) for item in definition.data_items),
        pl.Series(value_column(LINK), links.links(batch_id, found[ROW].to_list()), pl.String),
    )
