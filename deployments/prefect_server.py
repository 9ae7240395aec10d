"""Prefect's command line for the server of an installation: `python -m deployments.prefect_server server start …`.

It differs in how the server uses SQLite; docs/decisions/0009-prefects-server-on-sqlite.md says why.
"""

from __future__ import annotations

import sqlite3
from functools import cached_property
from weakref import WeakSet

from sqlalchemy import Dialect, Engine, event


class Cursor(sqlite3.Cursor):
    """Statements of Prefect's server."""

    def execute(self, statement: str, parameters: object = (), /) -> Cursor:
        """Execute it; a transaction that may write takes its turn when it begins.

        One that reads first would be refused at its first write if anybody else wrote in between.
        """
        super().execute("BEGIN IMMEDIATE" if statement == "BEGIN DEFERRED" else statement, parameters)  # type: ignore[arg-type]
        return self


class Connection(sqlite3.Connection):
    """A connection that is given back to its pool, which ends with a rollback, without open cursors."""

    @cached_property
    def _cursors(self) -> WeakSet[Cursor]:
        return WeakSet()

    def cursor(self, *_factory: object) -> Cursor:  # type: ignore[override]  # nobody here names a factory
        """Give a cursor, and remember it."""
        made = super().cursor(Cursor)
        self._cursors.add(made)
        return made

    def rollback(self) -> None:
        """Roll back, and close what SQLAlchemy leaves open of statements that failed or were cancelled.

        The garbage collector would reset it in the thread of the event loop, which would wait there for as long
        as this connection waits for its next turn to write.
        """
        for cursor in list(self._cursors):
            cursor.close()
        super().rollback()


def as_ours(dialect: Dialect, _record: object, _arguments: object, options: dict[str, object]) -> None:
    """Have SQLAlchemy open a connection to SQLite as one of ours."""
    if dialect.name == "sqlite":
        options["factory"] = Connection


def main() -> None:
    """Run Prefect's command line."""
    event.listen(Engine, "do_connect", as_ours)
    from prefect.cli import app  # noqa: PLC0415  after the listener: it takes seconds, and may connect

    app()


if __name__ == "__main__":
    main()
