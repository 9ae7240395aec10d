"""Opening our database: one engine a process, short transactions, the schema of this release."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlmodel import Session

from domain.errors import ServiceMissing, SettingsProblem

MIGRATIONS = Path(__file__).parent.parent / "migrations"
_LOCK_WAIT_SECONDS = 60


class Database:
    """The ledger's database. Safe to share between threads; a transaction is not."""

    def __init__(self, url: str) -> None:
        """Prepare an engine; connects at first use.

        Raises:
            SettingsProblem: the address is neither SQLite nor PostgreSQL.
        """
        try:
            parsed = make_url(url)
        except ArgumentError as fault:
            raise SettingsProblem(
                "BULK_SENDER_DATABASE_URL is not a database address; use postgresql://user:password@host/name."
            ) from fault
        if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
            raise SettingsProblem(
                f"BULK_SENDER_DATABASE_URL names {parsed.get_backend_name()}; use postgresql:// or sqlite:///."
            )
        self.url = url
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self.engine: Engine = (
            _sqlite_engine(url) if self.is_sqlite else create_engine(url, pool_pre_ping=True, hide_parameters=True)
        )

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that sees one moment and changes nothing."""
        with Session(self.engine) as session, session.begin():
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that commits at the end of the block, whole or not at all.

        On SQLite it takes the write lock at once, so that two writers wait for each
        other instead of failing half-way.
        """
        with Session(self.engine.execution_options(bulk_sender_write=True)) as session, session.begin():
            yield session

    def migrate(self) -> None:
        """Bring the schema to this release; changes nothing the second time.

        Raises:
            ServiceMissing: the database does not answer.
        """
        if self.is_sqlite and (path := make_url(self.url).database):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        try:
            with self.engine.connect() as connection:
                if _revision(connection) != _newest_revision():
                    _upgrade(connection)
                    connection.commit()
        except OperationalError as fault:
            where = make_url(self.url).render_as_string(hide_password=True).replace("+psycopg", "")
            raise ServiceMissing(
                f"The database {where} does not answer. Start it, or correct BULK_SENDER_DATABASE_URL."
            ) from fault

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def _revision(connection: Connection) -> str | None:
    """The schema's revision as Alembic keeps it; asked without Alembic, which takes half a second to import."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _newest_revision() -> str:
    """What this release needs; a migration's file begins with its number."""
    return max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415  hardly any process needs it
    from alembic.config import Config  # noqa: PLC0415  same

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _sqlite_engine(url: str) -> Engine:
    connecting = {"timeout": _LOCK_WAIT_SECONDS, "check_same_thread": False}
    engine = create_engine(url, connect_args=connecting, hide_parameters=True)  # they are addresses and names

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: object) -> None:  # noqa: ANN401  the driver's own connection
        connection.isolation_level = None  # we say BEGIN ourselves, below
        # SQLite's own knows ASCII only, and people search for ÄRZTE.
        connection.create_function(
            "lower", 1, lambda text: None if text is None else str(text).lower(), deterministic=True
        )
        for pragma in (
            "journal_mode=WAL",
            # An intent must outlive a power cut, or its request would be made twice.
            "synchronous=FULL",
            "foreign_keys=ON",
            "cache_size=-65536",
            "temp_store=MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        wants_write = connection.get_execution_options().get("bulk_sender_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if wants_write else "BEGIN")

    return engine
