"""Permits: no request goes out before its block was given, and no time is lost between two blocks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from domain.splitting import SMS
from settings import load
from tasks import limits
from tasks.limits import Allowance

PER_SECOND = 100


class Server:
    """Gives blocks when it is told to."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.given = asyncio.Semaphore(0)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[SimpleNamespace]:
        async def read(_name: str) -> SimpleNamespace:
            return SimpleNamespace(limit=PER_SECOND)

        yield SimpleNamespace(read_global_concurrency_limit_by_name=read)

    async def rate_limit(self, _name: str, *, occupy: int) -> None:
        self.asked.append(occupy)
        await self.given.acquire()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server()
    monkeypatch.setattr(limits, "get_client", made.client)
    monkeypatch.setattr(limits, "rate_limit", made.rate_limit)
    return made


async def settled() -> None:
    """Let everything go on that can."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_nothing_goes_out_before_its_block_is_given(server: Server) -> None:
    async def run() -> tuple[bool, bool]:
        taking = asyncio.create_task(Allowance(load(), channel=SMS).take(1))
        await settled()
        before = taking.done()
        server.given.release()
        await settled()
        return before, taking.done()

    assert asyncio.run(run()) == (False, True)


def test_the_next_block_is_asked_for_while_this_one_is_spent(server: Server) -> None:
    async def run() -> list[int]:
        allowance = Allowance(load(), channel=SMS)
        server.given.release()
        asked = []
        for _ in range(2):
            await allowance.take(PER_SECOND // 2)
            await settled()
            asked.append(len(server.asked))
            await allowance.take(1)
            await settled()
            asked.append(len(server.asked))
            server.given.release()
            await allowance.take(PER_SECOND // 2 - 1)
        return asked

    assert asyncio.run(run()) == [1, 2, 2, 3]


def test_more_than_a_block_takes_as_many_blocks_as_it_needs(server: Server) -> None:
    async def run() -> bool:
        taking = asyncio.create_task(Allowance(load(), channel=SMS).take(PER_SECOND + 1))
        server.given.release()
        await settled()
        early = taking.done()
        server.given.release()
        await settled()
        return early or not taking.done()

    assert not asyncio.run(run())
