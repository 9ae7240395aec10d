"""Rate limits: Prefect's global concurrency limits, asked rarely and spent locally."""

from __future__ import annotations

import asyncio
import logging

from prefect.client.orchestration import get_client
from prefect.concurrency.asyncio import rate_limit
from prefect.exceptions import ObjectNotFound

from domain.splitting import EMAIL
from settings import Settings

EMAIL_LIMIT = "bulk-sender-email"
"""Email requests a second over all workers."""
SMS_LIMIT = "bulk-sender-sms"
"""SMS a second over all workers."""
_BLOCK = 200
"""Permits taken at once: asking costs 20 to 140 ms, so it must not be done for each request."""
_logger = logging.getLogger(__name__)


class Allowance:
    """Permits of one chunk, taken from the shared limit in blocks."""

    def __init__(self, settings: Settings, *, channel: str) -> None:
        """Start with no permits."""
        self._name, self._per_second = (
            (EMAIL_LIMIT, settings.email_requests_per_second)
            if channel == EMAIL
            else (SMS_LIMIT, settings.sms_per_second)
        )
        self._block: int | None = None
        self._left = 0

    async def take(self, number: int) -> None:
        """Wait until `number` requests may go out.

        Where Prefect's server does not answer, the pace is kept by this process alone.
        """
        while self._left < number:
            self._left += await self._take_block()
        self._left -= number

    async def _take_block(self) -> int:
        try:
            if self._block is None:
                # More than the limit at once is refused, and people change limits in the Prefect UI.
                async with get_client() as client:
                    limit = await client.read_global_concurrency_limit_by_name(self._name)
                self._block = max(1, min(_BLOCK, limit.limit))
            await rate_limit(self._name, occupy=self._block)
        except ObjectNotFound:  # somebody deleted the limit: there is none
            self._block = _BLOCK
        except Exception:  # noqa: BLE001  whatever fails there must not stop a send that was approved
            _logger.warning("rate limit %s not reached; keeping the pace alone", self._name)
            await asyncio.sleep(1.0)
            return self._per_second
        return self._block
