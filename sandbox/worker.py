"""What goes on in the background: messages that become due, events made of them, events posted."""

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from sandbox import event_webhook, status_callback
from sandbox.lookup import message_id
from sandbox.posting import Poster
from sandbox.queue import Announcement, Outgoing
from sandbox.records import PROVIDERS, Message, Provider
from sandbox.state import Sandbox
from sandbox.store import select
from sandbox.timeline import Happened, email_history, sms_history

if TYPE_CHECKING:
    import sqlite3

_AT_ONCE: dict[Provider, int] = {"sendgrid": 4, "twilio": 32}
_ANNOUNCEMENTS = 50
_MESSAGES = 1000


class Worker:
    """Runs beside the requests, on the same loop: nobody waits for it."""

    def __init__(self, sandbox: Sandbox) -> None:
        """Work on this state."""
        self._sandbox = sandbox
        self._poster = Poster(sandbox)
        self._posts: dict[Provider, set[asyncio.Task[None]]] = {one: set() for one in PROVIDERS}

    async def run(self) -> None:
        """Work until the sandbox stops; what is left is found again at the next start."""
        try:
            while not self._sandbox.stopping.is_set():
                self._sandbox.stir.clear()
                self._sandbox.catch_up()
                if self._make() or self._start():
                    await asyncio.sleep(0)
                else:
                    await self._rest()
        finally:
            posts = [post for of_provider in self._posts.values() for post in of_provider]
            for post in posts:
                post.cancel()
            await asyncio.gather(*posts, return_exceptions=True)
            await self._poster.close()

    async def _rest(self) -> None:
        free = [one for one in PROVIDERS if len(self._posts[one]) < _AT_ONCE[one]]
        until = min([self._sandbox.schedule.next_at, *(self._sandbox.queue.next_at(one) for one in free)])
        with contextlib.suppress(TimeoutError):
            seconds = None if until == float("inf") else max(until - time.time(), 0.0)
            await asyncio.wait_for(self._sandbox.stir.wait(), seconds)

    def _make(self) -> bool:
        """Make the events of some requests; whether there were any."""
        announcements = self._sandbox.queue.announcements(_ANNOUNCEMENTS)
        if not announcements:
            return False
        size = 0
        with self._sandbox.store.reading() as db:
            for announcement in announcements:
                size += self._make_one(db, announcement)
                if size >= _MESSAGES:
                    break
        return True

    def _make_one(self, db: "sqlite3.Connection", announcement: Announcement) -> int:
        messages = _messages(db, announcement)
        tally: dict[Provider, dict[str, int]] = {}
        events: list[Outgoing] = []
        for message in reversed(messages):
            url = str(message.details.get("StatusCallback") or self._sandbox.hooks.of(message.provider).url)
            if url:
                counts = tally.setdefault(message.provider, {"made": 0, "lost": 0})
                events += self._events(message, url, counts, is_released=announcement.message_id is not None)
        self._sandbox.queue.put(events, announcement, tally)
        return len(messages)

    def _events(self, message: Message, url: str, counts: dict[str, int], *, is_released: bool) -> list[Outgoing]:
        settings = self._sandbox.settings
        provider = message.provider
        first = self._sandbox.queue.numbers[provider]["made"]
        made: list[Outgoing] = []
        for place, one in self._happened(message, is_released=is_released):
            delays = self._sandbox.hooks.delays(provider, first + counts["made"])
            counts["made"] += 1
            counts["lost"] += not delays
            body = self._body(message, place, one)
            kept = "" if provider == "sendgrid" else url
            made += [Outgoing(provider, one.at + settings.real(delay), kept, body) for delay in delays]
        return made

    def _happened(self, message: Message, *, is_released: bool) -> list[tuple[int, Happened]]:
        """What is to be told: of a message that waits only that it does, the rest when it was released."""
        settings = self._sandbox.settings
        if message.provider == "sendgrid":
            history = list(enumerate(email_history(message, time_scale=settings.time_scale)))
            of_phase = history[1:] if is_released else history[:1] if message.due_at is not None else history
            return [(place, one) for place, one in of_phase if event_webhook.is_posted(one)]
        if "SendAt" in message.details and not is_released:
            return []
        delivery = settings.delivery()
        seconds = None if delivery is None else delivery.total_seconds()
        return [one for one in enumerate(sms_history(message, delivery=seconds)) if one[1].name != "canceled"]

    def _body(self, message: Message, place: int, one: Happened) -> str:
        if message.provider == "sendgrid":
            return event_webhook.event(message, message_id(message), place, one)
        return status_callback.body(message, one, account_sid=self._sandbox.credentials.account_sid)

    def _start(self) -> bool:
        """Start to post what is due; whether there was anything."""
        now = time.time()
        started = False
        for provider in PROVIDERS:
            room = _AT_ONCE[provider] - len(self._posts[provider])
            if room <= 0 or self._sandbox.queue.next_at(provider) > now:
                continue
            if provider == "sendgrid":
                limit = self._sandbox.hooks.of(provider).batch
                events = self._sandbox.queue.take(provider, now=now, limit=limit)
                self._post(provider, events)
            else:
                for event in self._sandbox.queue.take(provider, now=now, limit=room):
                    self._post(provider, [event])
            started = True
        return started

    def _post(self, provider: Provider, events: list[Outgoing]) -> None:
        post = asyncio.create_task(self._poster.post(provider, events))
        self._posts[provider].add(post)

        def ended(task: "asyncio.Task[None]") -> None:
            self._posts[provider].discard(task)
            self._sandbox.stir.set()

        post.add_done_callback(ended)


def _messages(db: "sqlite3.Connection", announcement: Announcement) -> list[Message]:
    if announcement.message_id is not None:
        return select(db, "m.id = ?", [announcement.message_id], limit=1)
    return select(db, "m.request_id = ?", [announcement.request_id], limit=_MESSAGES)
