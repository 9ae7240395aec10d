"""What providers post, written into the ledger: however many posts come at once, one transaction at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from domain.deliveries import Receipt
from domain.suppressions import Mark
from models import receipts, suppressions
from tasks.reconcile import reconcile
from tasks.surroundings import Surroundings, now

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Post:
    receipts: Sequence[Receipt]
    marks: Sequence[Mark]
    done: asyncio.Future[None]


class Intake:
    """Takes what posts bring; belongs to one event loop.

    Of each SMS there are several posts with one receipt each. Written one by one they would wait for the
    disk, and for each other, as often; so whatever came in during one transaction goes into the next.
    """

    def __init__(self, around: Surroundings) -> None:
        """Start with nothing to do."""
        self._around = around
        self._waiting: list[_Post] = []
        self._writer: asyncio.Task[None] | None = None

    async def take(self, receipts: Sequence[Receipt], marks: Sequence[Mark] = ()) -> None:
        """Come back when all of it is committed; raises what kept it from that, and then none of it is."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(_Post(receipts, marks, done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all())
        await done

    async def _write_all(self) -> None:
        while self._waiting:
            posts = self._next()
            try:
                await asyncio.to_thread(write, self._around, posts)
            except Exception as fault:  # noqa: BLE001  whoever waits for it is told
                for post in posts:
                    if not post.done.done():
                        post.done.set_exception(fault)
            else:
                for post in posts:
                    if not post.done.done():
                        post.done.set_result(None)

    def _next(self) -> list[_Post]:
        posts, size = [], 0
        while self._waiting and size < receipts.AT_ONCE:
            posts.append(self._waiting.pop(0))
            size += len(posts[-1].receipts)
        return posts


def write(around: Surroundings, posts: Sequence[_Post]) -> None:
    """Write what some posts bring in one transaction, and close the batches that waited for nothing else."""
    moment = now()
    with around.database.write() as session:
        taken = receipts.take(session, [one for post in posts for one in post.receipts], now=moment)
        suppressions.mark(session, [one for post in posts for one in post.marks])
    for batch_id in taken.duplicated:
        _logger.error(
            "batch %s wrote to somebody twice, by its provider's receipts; it is paused if it was sending", batch_id
        )
    for batch_id in taken.settled:
        reconcile(around, batch_id)
