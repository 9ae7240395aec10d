"""The people of a chunk, as the channels need them, out of the judged recipients at rest."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import polars as pl

from channels.people import Person
from domain.frames import ROW, item_column
from domain.links import Links, Place
from domain.processes import ProcessDefinition
from domain.rendering import as_read, personal
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
) -> Mapping[int, Person]:
    """Recipients by row, each with an address on `channel`, values as people read them, and the link.

    Rows that have no address there are left out. Reads only the row groups that hold `rows`.
    """
    if not rows:
        return {}
    address = "email" if channel == EMAIL else "phone"
    wanted = pl.Series(ROW, sorted(rows), pl.UInt32)
    items = {item_column(item.name): item for item in definition.data_items}
    with storage.local(key) as path:
        frame = (
            pl.scan_parquet(path)
            .filter(pl.col(ROW).is_between(wanted[0], wanted[-1]))
            .filter(pl.col(ROW).is_in(wanted.implode()), pl.col(address).is_not_null())
            .select(ROW, pl.col(address).alias("address"), *(pl.col(name).fill_null("") for name in items))
            .collect()
        )
    found = {}
    for row, to, *values in frame.iter_rows():
        link = links.link(Place(batch_id, row))
        read = {item.name: as_read(item, value) for item, value in zip(items.values(), values, strict=True)}
        found[row] = Person(row, to, personal(read, link=link))
    return found
