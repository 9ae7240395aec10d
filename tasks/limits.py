"""Rate limits: how much is set in Prefect's global concurrency limits; whose turn it is, the ledger knows.

Taking slots of Prefect's limit for every few requests loses a quarter of the rate: its server counts whole slots,
and forgets what had decayed whenever it refuses somebody.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound

from domain.splitting import EMAIL
from models import paces
from models.database import Database
from tasks.surroundings import Surroundings

EMAIL_LIMIT = "bulk-sender-email"
"""Email requests a second over all workers."""
SMS_LIMIT = "bulk-sender-sms"
"""SMS a second over all workers."""
_TURN_SECONDS = 0.2
"""How much of the limit is taken at once: a transaction a request would cost too much."""
_TURNS = 2
"""The one that is spent, and the next."""
_STEP_SECONDS = 0.02
"""Requests that may leave within this time leave together, with one intent committed."""
_STEPS = 50
_READ_SECONDS = 5.0
"""People change limits in the Prefect UI, and see it at work."""
_FIRST_SECONDS = 10.0
"""How long the first answer of Prefect's server is waited for."""
UNLIMITED = 1_000_000.0
"""What holds where somebody deleted or deactivated the limit."""
_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Turn:
    """Time of a limit that is ours: requests may leave one after the other, from its beginning on."""

    left: int
    next_at: float
    each: float

    def due(self, wanted: int, *, at: float) -> int:
        """How many of `wanted` may leave now."""
        if at < self.next_at:
            return 0
        allowed = min(wanted, self.left, 1 + int((at - self.next_at) / self.each))
        self.left -= allowed
        self.next_at += allowed * self.each
        return allowed


class Taking(Protocol):
    """A turn that is being taken."""

    def done(self) -> bool:
        """Whether it was."""

    def result(self) -> _Turn | None:
        """The turn, unless nothing may be sent at all."""


def _in_a_thread(take: Callable[[], _Turn | None]) -> Taking:
    """Outlives the loop of the chunk for which it was begun: the others spend it."""
    return _thread().submit(take)


@cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "limits")


class Allowance:
    """What one process may send under a limit, as its turns come; safe to share between the threads that send chunks.

    The next turn is taken while the last is spent. One that nobody uses is lost, whatever becomes of the process.
    """

    def __init__(
        self,
        database: Database,
        name: str,
        *,
        per_second: Callable[[], float],
        clock: Callable[[], float] = time.time,
        start: Callable[[Callable[[], _Turn | None]], Taking] = _in_a_thread,
    ) -> None:
        """Start without a turn; `start` lets a turn be taken beside what else is done."""
        self._database, self._name, self._per_second, self._clock = database, name, per_second, clock
        self._start = start
        self._lock = threading.Lock()
        self._turns: list[_Turn] = []
        self._taking: Taking | None = None

    async def take(self, number: int) -> int:
        """Wait until some of `number` requests may leave, and give how many; 0 after a second without any.

        Then it is time to see whether the batch is still to be sent: a limit may stand at nothing for days.
        """
        for _ in range(_STEPS):
            if allowed := self._take_due(number):
                return allowed
            await asyncio.sleep(_STEP_SECONDS)
        return 0

    def _take_due(self, number: int) -> int:
        with self._lock:
            if self._taking is not None and self._taking.done():
                taking, self._taking = self._taking, None
                if (turn := taking.result()) is not None:
                    self._turns.append(turn)
            at, allowed = self._clock(), 0
            for turn in self._turns:
                allowed += turn.due(number - allowed, at=at)
            # Time that lies far ahead was taken before the clock was set back.
            self._turns = [
                turn for turn in self._turns if turn.left and turn.next_at - at <= paces.LONGEST_QUEUE_SECONDS
            ]
            if self._taking is None and len(self._turns) < _TURNS:
                self._taking = self._start(self._take_turn)
            return allowed

    def _take_turn(self) -> _Turn | None:
        per_second = self._per_second()
        if per_second <= 0:
            return None
        number = max(1, int(per_second * _TURN_SECONDS))
        with self._database.write() as session:
            begins = paces.take(session, self._name, seconds=number / per_second, now=self._clock())
        return _Turn(number, begins, 1 / per_second)


class SetRate:
    """How many a second Prefect's limit allows, read again every few seconds."""

    def __init__(self, name: str, *, first: int) -> None:
        """Prepare; `first` holds until Prefect's server has answered."""
        self._name, self._per_second = name, float(first)
        self._reading: threading.Thread | None = None
        self._read_at = float("-inf")

    def per_second(self) -> float:
        """As it was read last; waits only for the first answer, and not for long."""
        is_first = self._reading is None
        if is_first or time.monotonic() - self._read_at >= _READ_SECONDS:
            self._read_at = time.monotonic()
            if self._reading is None or not self._reading.is_alive():
                self._reading = threading.Thread(target=self._read, daemon=True)
                self._reading.start()
                self._reading.join(_FIRST_SECONDS if is_first else 0)
        return self._per_second

    def _read(self) -> None:
        try:
            with get_client(sync_client=True) as client:
                limit = client.read_global_concurrency_limit_by_name(self._name)
        except ObjectNotFound:
            self._per_second = UNLIMITED
        except Exception:  # noqa: BLE001  whatever fails there must not stop a send that was approved
            _logger.warning("rate limit %s not read; keeping to what is known of it", self._name)
        else:
            decay = limit.slot_decay_per_second or float(limit.limit)
            self._per_second = min(decay, float(limit.limit)) if limit.active else UNLIMITED


def permits(around: Surroundings) -> Callable[[str], Callable[[int], Awaitable[int]]]:
    """Give what permits the requests of a channel; one allowance a process."""
    settings = around.settings

    def of(channel: str) -> Callable[[int], Awaitable[int]]:
        name, first = (
            (EMAIL_LIMIT, settings.email_requests_per_second)
            if channel == EMAIL
            else (SMS_LIMIT, settings.sms_per_second)
        )
        with _beginning:  # the threads of several chunks begin at once
            if name not in _allowances:
                rate = SetRate(name, first=first)
                _allowances[name] = Allowance(around.database, name, per_second=rate.per_second)
            return _allowances[name].take

    return of


_beginning = threading.Lock()
_allowances: dict[str, Allowance] = {}
