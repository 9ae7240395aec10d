"""Posting events to whoever listens: signed, and again when they are not taken."""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urldefrag, urlencode

import orjson

from sandbox import status_callback
from sandbox.queue import Outgoing
from sandbox.records import Provider
from sandbox.state import Sandbox

if TYPE_CHECKING:
    import aiohttp

_TIMEOUT_SECONDS = 10.0
_RETRY_FOR_SECONDS = 24 * 3600
_FIRST_PAUSE_SECONDS = 30
_LONGEST_PAUSE_SECONDS = 3600
_TWILIO_ATTEMPTS = 2
_UNREACHED = 0


class Poster:
    """One HTTP client for all posts, opened at the first."""

    def __init__(self, sandbox: Sandbox) -> None:
        """Post for this state."""
        self._sandbox = sandbox
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def post(self, provider: Provider, events: Sequence[Outgoing]) -> None:
        """Make one post, and settle what becomes of its events by the answer."""
        queue = self._sandbox.queue
        is_spoilt = self._sandbox.hooks.spoils_signature(provider, queue.numbers[provider]["posts"])
        queue.count(provider, posts=1)
        if provider == "sendgrid":
            status = await self._post_events(events, is_spoilt=is_spoilt)
        else:
            status = await self._post_form(events[0], is_spoilt=is_spoilt)
        is_taken = 200 <= status < 300  # noqa: PLR2004 - the statuses that say yes
        queue.count(provider, **({"answered": 1} if is_taken else {"refused": 1}))
        due_at = None if is_taken else self._again_at(provider, events, status)
        if due_at is not None:
            queue.put_back(events, due_at=due_at)
            return
        if not is_taken:
            queue.count(provider, given_up=len(events))
        queue.done(events)

    def _again_at(self, provider: Provider, events: Sequence[Outgoing], status: int) -> float | None:
        """When to try again; None for never. SendGrid tries for a day, Twilio once more if nobody answered."""
        attempts = max(one.attempts for one in events)
        pause = min(_FIRST_PAUSE_SECONDS * 2**attempts, _LONGEST_PAUSE_SECONDS)
        settings = self._sandbox.settings
        due_at = time.time() + settings.real(pause)
        if provider == "twilio":
            return due_at if status == _UNREACHED and attempts + 1 < _TWILIO_ATTEMPTS else None
        oldest = min(one.first_at for one in events)
        return due_at if due_at < oldest + settings.real(_RETRY_FOR_SECONDS) else None

    async def _post_events(self, events: Sequence[Outgoing], *, is_spoilt: bool) -> int:
        payload = f"[{','.join(one.body for one in events)}]".encode()
        timestamp = str(int(time.time()))
        key = self._sandbox.signing_key()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "SendGrid Event API",
            "X-Twilio-Email-Event-Webhook-Signature": key.sign(timestamp, payload + b" " * is_spoilt),
            "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
        }
        return await self._send(self._sandbox.hooks.of("sendgrid").url, payload, headers)

    async def _post_form(self, event: Outgoing, *, is_spoilt: bool) -> int:
        fields: dict[str, str] = orjson.loads(event.body)
        url = urldefrag(event.url).url
        token = self._sandbox.credentials.auth_token + " " * is_spoilt
        headers = {
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            "User-Agent": "TwilioProxy/1.1",
            "X-Twilio-Signature": status_callback.signature(url, fields, auth_token=token),
        }
        return await self._send(url, urlencode(fields).encode(), headers)

    async def _send(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """The status of the answer; 0 if there was none."""
        import aiohttp  # noqa: PLC0415 - 0.2 s of import that no start without events should cost

        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
            self._session = aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                await answer.read()
                return answer.status
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return _UNREACHED
