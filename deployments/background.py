"""A few threads for what nobody should wait for, beside the requests of the web screen."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue

from domain.errors import BulkSenderError

_logger = logging.getLogger(__name__)


class Background:
    """Does what it is given, so many at once and the rest in order.

    What is not done when the process ends is not done; whoever gives it something must be able to find it undone.
    """

    def __init__(self, *, threads: int) -> None:
        """Start no thread yet."""
        self._most = threads
        self._started = 0
        self._lock = threading.Lock()
        self._waiting: SimpleQueue[Callable[[], None]] = SimpleQueue()

    def __call__(self, act: Callable[[], None]) -> None:
        """Do it soon; comes back at once."""
        self._waiting.put(act)
        with self._lock:
            if self._started < self._most:
                self._started += 1
                # A daemon: a process that is told to stop does not wait for Prefect's server.
                threading.Thread(target=self._work, name=f"background-{self._started}", daemon=True).start()

    def _work(self) -> None:
        while True:
            act = self._waiting.get()
            try:
                act()
            except BulkSenderError as refusal:
                _logger.warning("%s", refusal)
            except Exception as fault:  # noqa: BLE001  the next in the queue has nothing to do with it
                _logger.error("background work failed (%s)", type(fault).__name__)  # noqa: TRY400  its text may quote somebody
