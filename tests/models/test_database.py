"""Opening the database: the schema, the two kinds, what a transaction promises."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlmodel import SQLModel, select

from domain.errors import NotAllowed, ServiceMissing, SettingsProblem
from models.database import MIGRATIONS, Database
from models.tables import ProcessVersion
from tests.factories import deploy


def _differences(database: Database) -> list[object]:
    with database.engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection), SQLModel.metadata))


def test_the_migrations_make_what_the_models_say(database: Database) -> None:
    assert _differences(database) == []


def test_the_comparison_of_schemas_sees_a_difference(database: Database) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("DROP INDEX ix_message_exception"))

    assert len(_differences(database)) == 1


def test_migrating_again_changes_nothing(database: Database) -> None:
    deploy(database)

    database.migrate()

    with database.read() as session:
        assert len(session.exec(select(ProcessVersion)).all()) == 1


def test_the_migrations_can_be_undone_and_made_again(database: Database) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with database.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        connection.commit()
        left = set(inspect(connection).get_table_names())
    database.migrate()

    assert left == {"alembic_version"}
    assert _differences(database) == []


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    def fail() -> None:
        with database.write() as session:
            session.execute(text("UPDATE process_version SET name = 'changed'"))
            raise NotAllowed("in the middle")

    deploy(database)
    with pytest.raises(NotAllowed):
        fail()

    with database.read() as session:
        assert session.exec(select(ProcessVersion.name)).all() == ["Motor policy renewal"]


def test_sqlite_keeps_what_was_committed_through_a_power_cut(sqlite_url: str) -> None:
    """An intent that is lost would be made a second time."""
    database = Database(sqlite_url)
    with database.engine.connect() as connection:
        found = {name: connection.execute(text(f"PRAGMA {name}")).scalar() for name in ("synchronous", "journal_mode")}
    database.close()

    assert found == {"synchronous": 2, "journal_mode": "wal"}


def test_sqlite_makes_its_folder(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'new' / 'folder' / 'ledger.db'}")
    database.migrate()
    database.close()

    assert (tmp_path / "new" / "folder" / "ledger.db").exists()


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("mysql://user:secret@host/name", "names mysql"),
        ("not an address", "is not a database address"),
    ],
)
def test_another_kind_of_database_is_refused_without_its_password(url: str, complaint: str) -> None:
    with pytest.raises(SettingsProblem, match=complaint) as refusal:
        Database(url)

    assert "secret" not in str(refusal.value)


def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    database = Database("postgresql+psycopg://user:secret@127.0.0.1:1/name?connect_timeout=2")

    with pytest.raises(ServiceMissing, match=r"127\.0\.0\.1:1/name") as refusal:
        database.migrate()

    database.close()
    assert "secret" not in str(refusal.value)
