"""How Prefect's server uses SQLite: a lock that one of its writers waits for must never stop it as a whole."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Event

import pytest
from prefect.server.database.configurations import AioSqliteConfiguration
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from deployments.prefect_server import as_ours

READ, WRITE = text("SELECT count(*) FROM place"), text("INSERT INTO place VALUES (1)")
WAIT_SECONDS = 5


@asynccontextmanager
async def engine_of(file: Path) -> AsyncIterator[tuple[AioSqliteConfiguration, AsyncEngine]]:
    """Prefect's own engine for a new database, with our connections."""
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE place (number INTEGER)")
    database.close()
    configuration = AioSqliteConfiguration(f"sqlite+aiosqlite:///{file}")
    engine = await configuration.engine()
    event.listen(engine.sync_engine, "do_connect", as_ours)
    yield configuration, engine
    await engine.dispose()


def test_the_end_of_a_failed_statement_does_not_wait_for_the_lock_that_its_connection_waits_for(tmp_path: Path) -> None:
    """The collector ends it in the thread of the event loop, and whoever holds the lock needs that loop to let go."""

    async def scene() -> None:
        async with engine_of(tmp_path / "prefect.db") as (_, engine):
            other = sqlite3.connect(tmp_path / "prefect.db", isolation_level=None)
            faults = []
            async with AsyncSession(engine) as session:
                await session.execute(text("PRAGMA busy_timeout = 0"))
                other.execute("BEGIN IMMEDIATE")
                with pytest.raises(OperationalError, match="locked") as caught:
                    await session.execute(WRITE)
                faults.append(caught.value)  # with its frames, and their cursor
                del caught
            async with AsyncSession(engine) as session:
                await session.execute(text(f"PRAGMA busy_timeout = {WAIT_SECONDS * 1000}"))
                connection = await (await session.connection()).get_raw_connection()
                begun = Event()
                await connection.driver_connection.set_trace_callback(lambda _: begun.set())  # type: ignore[union-attr]
                writing = asyncio.create_task(session.execute(WRITE))
                await asyncio.to_thread(begun.wait)

                faults.clear()
                gc.collect()
                other.execute("COMMIT")

                await writing  # the lock was let go in time
            other.close()

    asyncio.run(scene())


def test_who_reads_before_they_write_waits_for_the_other_writer(tmp_path: Path) -> None:
    """SQLite refuses at once to let a transaction write that began to read before somebody else wrote."""

    async def add_up(configuration: AioSqliteConfiguration, engine: AsyncEngine) -> None:
        session = await configuration.session(engine)
        async with session, configuration.begin_transaction(session):
            await session.execute(READ)
            await session.execute(WRITE)

    async def scene() -> int | None:
        async with engine_of(tmp_path / "prefect.db") as (configuration, engine):
            await asyncio.gather(*(add_up(configuration, engine) for _ in range(10)))
            async with AsyncSession(engine) as session:
                return (await session.execute(READ)).scalar()

    assert asyncio.run(scene()) == 10
