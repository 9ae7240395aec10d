"""Writing many rows at once: a million recipients must not pass one by one. And counting what a statement changed."""

from __future__ import annotations

from typing import cast

import polars as pl
from sqlalchemy import CursorResult, Delete, Update
from sqlmodel import Session


def insert(session: Session, table: str, frame: pl.DataFrame) -> None:
    """Insert every row of `frame`; its columns carry the table's names.

    PostgreSQL takes them by COPY, SQLite by one prepared statement. Values reach the
    database as the frame has them: times must be as the database keeps them.
    """
    if frame.is_empty():
        return
    columns = ", ".join(f'"{name}"' for name in frame.columns)
    connection = session.connection()
    if connection.dialect.name == "sqlite":
        places = ", ".join("?" * frame.width)
        connection.exec_driver_sql(f'INSERT INTO "{table}" ({columns}) VALUES ({places})', frame.rows())  # noqa: S608  our own table's names
        return
    driver = connection.connection.driver_connection
    if driver is None:
        message = "the connection was closed while rows were being copied"
        raise RuntimeError(message)
    with driver.cursor() as cursor, cursor.copy(f'COPY "{table}" ({columns}) FROM STDIN') as copy:
        copy.write(frame.write_csv(separator="\t", include_header=False, null_value="\\N", quote_style="never"))


def changed_rows(session: Session, statement: Update | Delete) -> int:
    """Execute a statement and say how many rows it changed; what the session had loaded is forgotten."""
    statement = statement.execution_options(synchronize_session=False)
    result = cast("CursorResult[tuple[()]]", session.execute(statement))
    session.expire_all()
    return result.rowcount
