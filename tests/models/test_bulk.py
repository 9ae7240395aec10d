"""Many rows at once: every value reaches the database as it was."""

from __future__ import annotations

import polars as pl
import pytest
from sqlmodel import col, select

from models import bulk
from models.bulk import insert
from models.database import Database
from models.tables import Recipient
from tests.factories import add_batch

TEXTS = [
    None,
    "",
    "\\N",
    "\\.",
    "a\\tb",
    "a\tb",
    "a\nb",
    "a\r\nb",
    'say "x"',
    '"',
    ",",
    "NULL",
    " x ",
    "שלום",
    "😀",
    "'",
]


def recipients(batch_id: int, texts: list[str | None]) -> pl.DataFrame:
    return pl.DataFrame({"row": range(2, len(texts) + 2), "email": pl.Series(texts, dtype=pl.String)}).select(
        pl.lit(batch_id).alias("batch_id"), "row", pl.lit(value=True).alias("valid"), "email"
    )


def emails(database: Database, batch_id: int) -> list[str | None]:
    with database.read() as session:
        query = select(Recipient.email).where(Recipient.batch_id == batch_id).order_by(col(Recipient.row))
        return list(session.exec(query))


def test_every_text_is_kept_as_it_is(database: Database) -> None:
    """What the database's own bulk format gives a meaning to must not change a value, nor end the rows."""
    batch_id = add_batch(database)

    with database.write() as session:
        insert(session, "recipient", recipients(batch_id, TEXTS))

    assert emails(database, batch_id) == TEXTS


@pytest.mark.parametrize("count", [0, 1, 3, 4, 7])
def test_no_row_is_lost_between_the_pieces(database: Database, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(bulk, "ROWS_AT_ONCE", 3)
    batch_id = add_batch(database)
    texts: list[str | None] = [str(number) for number in range(count)]

    with database.write() as session:
        insert(session, "recipient", recipients(batch_id, texts))

    assert emails(database, batch_id) == texts


def test_rows_that_cannot_all_be_written_are_not_written_at_all(database: Database) -> None:
    batch_id = add_batch(database)
    twice = pl.concat([recipients(batch_id, ["a", "b"]), recipients(batch_id, ["c"])])

    with pytest.raises(Exception, match=r"(?i)unique"), database.write() as session:
        insert(session, "recipient", twice)

    assert emails(database, batch_id) == []
