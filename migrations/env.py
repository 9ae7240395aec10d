"""Alembic's entry: migrates the connection that `models.database` hands over."""

from __future__ import annotations

from typing import Literal

from alembic import context
from sqlalchemy import create_engine
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import AutoString

import models.tables
from settings import load


def _plain_type(kind: str, value: object, _context: object) -> str | Literal[False]:
    """Write our own column types as the plain ones they are in the database."""
    if kind == "type" and isinstance(value, models.tables.UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(value, AutoString):
        return "sa.String()"
    return False


def _run() -> None:
    connection = context.config.attributes.get("connection")
    if connection is None:  # the alembic command line, for making a new revision
        connection = create_engine(load().database).connect()
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        render_item=_plain_type,
    )
    with context.begin_transaction():
        context.run_migrations()


_run()
