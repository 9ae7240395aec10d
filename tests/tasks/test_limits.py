"""A set rate: held together by all who send under it, and never passed by more than a little. Time jumps; nobody waits."""

from __future__ import annotations

import asyncio
import json
import random
import selectors
import uuid
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import pytest
from prefect.client.orchestration import SyncPrefectClient

from domain.splitting import EMAIL, SMS
from models import paces
from models.database import Database
from tasks import limits
from tasks.limits import Allowance, SetRate, permits
from tasks.surroundings import Surroundings
from tests.servers import Answer, serving

PER_SECOND = 500
MINUTE = 60
CONNECTIONS = 50
CHUNKS_AT_ONCE = 4
ANSWER_SECONDS = 0.1
BEGAN = 1_795_000_000.0
A_LITTLE = 1.35
"""A turn that came late is made up for, and a turn that is held is spent."""

Turn = TypeVar("Turn")


class Jumping(asyncio.SelectorEventLoop):
    """Never sleeps: where nothing else is to be done, it is later at once."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_Jumps(self))

    def time(self) -> float:
        return self.now


class _Jumps(selectors.SelectSelector):
    def __init__(self, loop: Jumping) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._loop.now += timeout or 0.0
        return super().select(0)


class Worker:
    """A process that sends some chunks at once, each as far as its connections go; its transactions take a while."""

    def __init__(self, database: Database, rate: Callable[[], float], sent: list[float]) -> None:
        self.wants = True
        self._loop, self._chance = asyncio.get_running_loop(), random.Random(7)
        allowance = Allowance(
            database, "sms", per_second=rate, clock=lambda: BEGAN + self._loop.time(), start=self._start
        )
        self._chunks = [asyncio.ensure_future(self._send(allowance, sent)) for _ in range(CHUNKS_AT_ONCE)]

    def die(self) -> None:
        """As if killed: what it holds helps nobody."""
        for chunk in self._chunks:
            chunk.cancel()

    def _start(self, take: Callable[[], Turn]) -> asyncio.Future[Turn]:
        async def work() -> Turn:
            await asyncio.sleep(self._chance.choice([0.002, 0.01, 0.05, 0.2]))
            return take()

        return asyncio.ensure_future(work())

    async def _send(self, allowance: Allowance, sent: list[float]) -> None:
        while True:
            if self.wants:
                number = await allowance.take(CONNECTIONS)
                sent += [self._loop.time()] * number
            await asyncio.sleep(ANSWER_SECONDS)


def in_jumps(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=Jumping) as runner:
        runner.run(work)


def rate(sent: Sequence[float], *, since: float, until: float) -> float:
    return sum(since <= at < until for at in sent) / (until - since)


def most_in_a_second(sent: Sequence[float]) -> int:
    most, first = 0, 0
    for last, at in enumerate(sent):
        while sent[first] <= at - 1:
            first += 1
        most = max(most, last - first + 1)
    return most


@pytest.mark.parametrize("workers", [1, 3])
def test_a_set_rate_is_held_over_a_minute_by_all_workers_together(database: Database, workers: int) -> None:
    sent: list[float] = []

    async def send() -> None:
        _at_work = [Worker(database, lambda: PER_SECOND, sent) for _ in range(workers)]
        await asyncio.sleep(1 + MINUTE)

    in_jumps(send())

    assert rate(sent, since=1, until=1 + MINUTE) == pytest.approx(PER_SECOND, rel=0.02)
    assert most_in_a_second(sent) <= A_LITTLE * PER_SECOND


@pytest.mark.parametrize("per_second", [0.5, 1, 7, 50, 10_000])
def test_slow_limits_and_fast_ones_are_held(sqlite_url: str, per_second: float) -> None:
    sent: list[float] = []

    async def send() -> None:
        _at_work = [Worker(Database(sqlite_url), lambda: per_second, sent) for _ in range(2)]
        await asyncio.sleep(1 + MINUTE)

    in_jumps(send())

    expected = min(per_second, 2 * CHUNKS_AT_ONCE * CONNECTIONS / ANSWER_SECONDS)
    assert rate(sent, since=1, until=1 + MINUTE) * MINUTE == pytest.approx(expected * MINUTE, rel=0.02, abs=1)
    assert most_in_a_second(sent) <= A_LITTLE * per_second + 1


def test_what_a_killed_process_held_is_soon_made_up_for_by_the_others(sqlite_url: str) -> None:
    sent: list[float] = []

    async def send() -> None:
        first, *_others = [Worker(Database(sqlite_url), lambda: PER_SECOND, sent) for _ in range(2)]
        await asyncio.sleep(10)
        first.die()
        await asyncio.sleep(10)

    in_jumps(send())

    assert rate(sent, since=10, until=20) == pytest.approx(PER_SECOND, rel=0.08)
    assert rate(sent, since=11, until=20) == pytest.approx(PER_SECOND, rel=0.02)
    assert most_in_a_second(sent) <= A_LITTLE * PER_SECOND


def test_after_a_pause_nobody_makes_up_for_it(sqlite_url: str) -> None:
    sent: list[float] = []

    async def send() -> None:
        workers = [Worker(Database(sqlite_url), lambda: PER_SECOND, sent) for _ in range(2)]
        for wants in (True, False, True):
            for worker in workers:
                worker.wants = wants
            await asyncio.sleep(5)

    in_jumps(send())

    assert rate(sent, since=5.5, until=10) == 0
    assert rate(sent, since=11, until=15) == pytest.approx(PER_SECOND, rel=0.02)
    assert most_in_a_second(sent) <= 2 * PER_SECOND


def test_a_rate_that_is_set_anew_holds_from_the_next_turn_on(sqlite_url: str) -> None:
    sent: list[float] = []
    per_second = [100.0]

    async def send() -> None:
        _at_work = Worker(Database(sqlite_url), lambda: per_second[0], sent)
        for each in (100.0, 0.0, 400.0):
            per_second[0] = each
            await asyncio.sleep(10)

    in_jumps(send())

    assert rate(sent, since=1, until=10) == pytest.approx(100, rel=0.02)
    assert rate(sent, since=11, until=20) == 0
    assert rate(sent, since=21, until=30) == pytest.approx(400, rel=0.02)


def test_who_may_send_nothing_at_all_waits_for_a_second_only(sqlite_url: str) -> None:
    database = Database(sqlite_url)

    async def waited() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        allowance = Allowance(database, "sms", per_second=lambda: 0.0, clock=loop.time)
        assert await allowance.take(5) == 0
        assert loop.time() - began == pytest.approx(1, rel=0.1)

    in_jumps(waited())
    database.close()


def test_time_that_was_taken_before_the_clock_was_set_back_stops_nobody(database: Database) -> None:
    with database.write() as session:
        paces.take(session, "sms", seconds=1, now=BEGAN + 3600)
        assert paces.take(session, "sms", seconds=1, now=BEGAN) == BEGAN
        assert paces.take(session, "sms", seconds=1, now=BEGAN) == BEGAN + 1
        assert paces.take(session, "mail", seconds=1, now=BEGAN) == BEGAN, "each limit has its own time"


def limit(*, per_second: float, slots: int, active: bool = True) -> bytes:
    found = {"id": str(uuid.uuid4()), "name": "sms", "limit": slots, "active_slots": 0}
    return json.dumps(found | {"slot_decay_per_second": per_second, "active": active}).encode()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(200, body=limit(per_second=500.0, slots=500)), 500),
        (Answer(200, body=limit(per_second=500.0, slots=20)), 20),
        (Answer(200, body=limit(per_second=2.5, slots=500)), 2.5),
        (Answer(200, body=limit(per_second=0.0, slots=40)), 40),
        (Answer(200, body=limit(per_second=2.0, slots=2, active=False)), limits.UNLIMITED),
        (Answer(404, body=b'{"detail": "not found"}'), limits.UNLIMITED),
        (Answer(500), 7),
    ],
)
def test_the_rate_is_what_the_prefect_ui_shows(
    answer: Answer, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(answer) as prefect:
        monkeypatch.setattr(limits, "get_client", lambda **_sync: SyncPrefectClient(prefect.url))
        assert SetRate("sms", first=7).per_second() == expected


def test_the_threads_of_a_process_share_one_allowance_a_channel(around: Surroundings) -> None:
    of = permits(around)

    assert of(SMS) == permits(around)(SMS)
    assert of(SMS) != of(EMAIL)
