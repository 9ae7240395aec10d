"""Writing many rows at once: a million recipients must not pass one by one. And counting what a statement changed."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any, cast

import polars as pl
from sqlalchemy import CursorResult, Delete, TextClause, Update
from sqlmodel import Session

ROWS_AT_ONCE = 50_000
_VALUES_AT_ONCE = 10_000
"""In one INSERT on SQLite: a statement for each row would look up every index anew, three times the work."""


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Without Python's collector, which would look through millions of young tuples again and again, and find nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def insert(session: Session, table: str, frame: pl.DataFrame) -> None:
    """Insert every row of `frame`; its columns carry the table's names.

    PostgreSQL takes them by COPY, SQLite by statements of many rows. Values reach the
    database as the frame has them: times must be as the database keeps them.
    """
    columns = ", ".join(f'"{name}"' for name in frame.columns)
    connection = session.connection()
    driver = connection.connection.driver_connection
    if driver is None:
        message = "the connection was closed while rows were being written"
        raise RuntimeError(message)
    if connection.dialect.name == "sqlite":
        row = f"({', '.join('?' * frame.width)})"
        with _undisturbed():
            for piece in frame.iter_slices(_VALUES_AT_ONCE // frame.width):
                rows = ", ".join([row] * piece.height)
                driver.execute(f'INSERT INTO "{table}" ({columns}) VALUES {rows}', [*chain.from_iterable(piece.rows())])  # noqa: S608  our own table's names
        return
    with driver.cursor() as cursor, cursor.copy(f'COPY "{table}" ({columns}) FROM STDIN (FORMAT csv)') as copy:
        for piece in frame.iter_slices(ROWS_AT_ONCE):
            copy.write(piece.write_csv(include_header=False))


def read(session: Session, query: TextClause, parameters: Mapping[str, object], *, schema: pl.Schema) -> pl.DataFrame:
    """What a query finds, a few at a time from the driver's own cursor: a million results of the usual kind take half a gigabyte.

    Args:
        session: a transaction.
        query: gives what the columns of `schema` hold, in their order.
        parameters: of the query.
        schema: of the frame.
    """
    found = cast("CursorResult[Any]", session.execute(query, parameters))
    pieces = [pl.DataFrame(schema=schema)]
    with _undisturbed():
        while rows := found.cursor.fetchmany(ROWS_AT_ONCE):
            pieces.append(pl.DataFrame(rows, schema=schema, orient="row"))
    found.close()
    return pl.concat(pieces)


def changed_rows(session: Session, statement: Update | Delete) -> int:
    """Execute a statement and say how many rows it changed; what the session had loaded is forgotten."""
    statement = statement.execution_options(synchronize_session=False)
    result = cast("CursorResult[tuple[()]]", session.execute(statement))
    session.expire_all()
    return result.rowcount
