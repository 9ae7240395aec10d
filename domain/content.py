"""Telling a list of recipients by what it says, and saying that it was uploaded already."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from domain.findings import Kind
from domain.frames import ITEM_PREFIX

ROWS_AT_ONCE = 100_000
MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Upload:
    """A batch that holds the same list."""

    batch_id: int
    name: str
    created_at: datetime
    rows: int
    sent: int

    def __str__(self) -> str:
        """`batch 7 (Spring renewals, 3 March 2026; 1,200 of 1,200 sent)`."""
        day = f"{self.created_at.day} {self.created_at:%B %Y}"
        return f"batch {self.batch_id} ({self.name}, {day}; {self.sent:,} of {self.rows:,} sent)"


def content_sha256(recipients: pl.DataFrame) -> str:
    """What a list says, whatever its file's name, format, order of columns and columns of its own.

    Args:
        recipients: RECIPIENTS; all rows count, in their order. An item that no row fills does not, so that
            a version of the process that added one still knows the list.

    Returns:
        64 hexadecimal digits, the same in every release.
    """
    items = sorted(name for name in recipients.columns if name.startswith(ITEM_PREFIX))
    values = recipients.select(name for name in items if recipients[name].null_count() < recipients.height)
    digest = hashlib.sha256(values.clear().write_csv().encode())
    for piece in values.iter_slices(ROWS_AT_ONCE):
        # Texts stand in quotes and nothing does not, so no two lists are written alike.
        digest.update(piece.write_csv(include_header=False, quote_style="non_numeric").encode())
    return digest.hexdigest()


def same_content(uploads: Sequence[Upload], *, rows: int) -> list[Kind]:
    """The finding that a list was uploaded already; none where there is no such upload.

    Args:
        uploads: of the same list; those that were sent are named first.
        rows: how many rows it has.
    """
    if not uploads:
        return []
    ordered = sorted(uploads, key=lambda upload: (upload.sent > 0, upload.batch_id), reverse=True)
    named = ", ".join(str(upload) for upload in ordered[:MOST_NAMED])
    more = f" and {len(ordered) - MOST_NAMED} more" if len(ordered) > MOST_NAMED else ""
    message = f"The same list was uploaded already, as {named}{more}."
    return [Kind(code="same_content", message=message, count=rows, rows=[])]
