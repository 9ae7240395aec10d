"""Finding an address among many batches: a short checksum leads to the few rows in which it may stand.

An index of a million addresses costs more than writing their rows, because each address falls into another
place of it. A batch has at most `BUCKETS` checksums, written in order, so this costs a twentieth of that.
"""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

import polars as pl

from domain.frames import ROW

BUCKETS = 2**16
SEPARATOR = ","


def alike(address: str) -> str:
    """An address as it is found by: however its letters are written."""
    return address.strip().lower()


def bucket(address: str) -> int:
    """The checksum of an address, from 0 to below `BUCKETS`; the same in every release."""
    return crc32(alike(address).encode()) % BUCKETS


def buckets(recipients: pl.DataFrame) -> pl.DataFrame:
    """The rows in which each checksum occurs.

    Args:
        recipients: RECIPIENTS, or its columns `row`, `email` and `phone`.

    Returns:
        `bucket, rows` in the order of the buckets; `rows` are numbers with `SEPARATOR` between them.
    """
    found = pl.concat([_checked(recipients.select(ROW, address=kind)) for kind in ("email", "phone")])
    together = found.sort("bucket", ROW).group_by("bucket", maintain_order=True)
    return together.agg(pl.col(ROW).cast(pl.String).str.join(SEPARATOR).alias("rows"))


def _checked(addresses: pl.DataFrame) -> pl.DataFrame:
    known = addresses.drop_nulls("address")
    sums = _sums(known["address"].str.to_lowercase())
    return known.select(ROW, pl.Series("bucket", sums, pl.Int64))


def _sums(addresses: Iterable[str]) -> list[int]:
    return [crc32(address.encode()) % BUCKETS for address in addresses]


def rows_of(text: str) -> list[int]:
    """The numbers in `rows` of a bucket."""
    return [int(number) for number in text.split(SEPARATOR)]
