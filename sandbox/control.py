"""The sandbox's own JSON: health, what was received, counts, faults, suppressions, settings."""

import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from functools import partial

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox import duplicates, fates, faults, hooks
from sandbox.fates import FateRefused, Fates
from sandbox.faults import FaultRefused, Plan
from sandbox.hooks import HookRefused, Hooks
from sandbox.performance import read_body
from sandbox.records import PROVIDERS, JsonObject, Message, Provider, Search, Suppression
from sandbox.settings import SettingRefused, Settings, settings_from_json
from sandbox.state import Sandbox

MAX_CONTROL_BYTES = 16 * 1024 * 1024
MAX_LIMIT = 1000
DEFAULT_REASONS: Mapping[Provider, str] = {"sendgrid": "Bounced Address", "twilio": "STOP"}


class NotUnderstood(ValueError):
    """A control request that cannot be followed; its text says why."""


def json_answer(value: object, status: int = 200) -> Response:
    """JSON of plain values."""
    return Response(orjson.dumps(value), status, media_type="application/json")


def iso(moment: datetime) -> str:
    """A moment as 2026-01-31T09:00:00.123Z."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def message_json(message: Message) -> JsonObject:
    """A message as `GET /sandbox/messages` gives it."""
    return {**asdict(message), "at": iso(message.at), "updated_at": iso(message.updated_at), "from": message.sender}


class Control:
    """What tests and operators read and set."""

    def __init__(self, sandbox: Sandbox) -> None:
        """Control this state."""
        self._sandbox = sandbox

    def routes(self) -> list[Route]:
        """One path a thing; GET reads, PUT replaces, DELETE clears."""
        endpoints = {
            ("health", "GET"): self.health,
            ("messages", "GET"): self.messages,
            ("messages", "DELETE"): self.clear,
            ("counts", "GET"): self.counts,
            ("faults", "GET"): self.faults,
            ("faults", "PUT"): self.set_faults,
            ("faults", "DELETE"): self.clear_faults,
            ("duplicates", "GET"): self.duplicates,
            ("suppressions", "GET"): self.suppressions,
            ("suppressions", "PUT"): self.set_suppressions,
            ("suppressions", "DELETE"): self.clear_suppressions,
            ("settings", "GET"): self.settings,
            ("settings", "PUT"): self.set_settings,
            ("settings", "DELETE"): self.clear_settings,
            ("fates", "GET"): self.fates,
            ("fates", "PUT"): self.set_fates,
            ("fates", "DELETE"): self.clear_fates,
            ("webhooks", "GET"): self.webhooks,
            ("webhooks", "PUT"): self.set_webhooks,
            ("webhooks", "DELETE"): self.clear_webhooks,
            ("batches", "GET"): self.batches,
            ("batches", "DELETE"): self.clear_batches,
        }
        return [Route(f"/sandbox/{name}", endpoint, methods=[method]) for (name, method), endpoint in endpoints.items()]

    async def health(self, _request: Request) -> Response:
        """That it runs, and that it is not the real thing."""
        return json_answer({"status": "ok", "url": self._sandbox.public_url, "note": "nothing is really sent"})

    async def messages(self, request: Request) -> Response:
        """What recipients received, newest first; `state=all` also shows what was dropped or canceled."""
        query = request.query_params
        search = Search(
            provider=query.get("provider", ""),
            to=query.get("to", ""),
            contains=query.get("contains", ""),
            batch=query.get("batch", ""),
            request=query.get("request", ""),
            state=query.get("state", "received"),
            limit=min(number(query.get("limit", ""), 100), MAX_LIMIT),
            offset=number(query.get("offset", ""), 0),
        )
        self._sandbox.catch_up()
        found = await run_in_threadpool(self._sandbox.store.search, search)
        return json_answer({"messages": [message_json(message) for message in found]})

    async def clear(self, _request: Request) -> Response:
        """Empty the outbox, the counts, and what is still to be posted."""
        self._sandbox.clear()
        return Response(status_code=204)

    async def counts(self, _request: Request) -> Response:
        """Requests and messages of each provider since the outbox was last emptied."""
        self._sandbox.catch_up()
        return json_answer(self._sandbox.store.counts())

    async def duplicates(self, request: Request) -> Response:
        """Who was sent more than one message for one link, or in one batch."""
        query = request.query_params
        self._sandbox.catch_up()
        examples = min(number(query.get("limit", ""), 10), MAX_LIMIT)
        find = partial(duplicates.find, self._sandbox.store, within=query.get("batch", ""), examples=examples)
        return json_answer(await run_in_threadpool(find))

    async def faults(self, _request: Request) -> Response:
        """The switches as they stand; a `next` counts down."""
        return json_answer(faults.to_json(self._sandbox.plan))

    async def set_faults(self, request: Request) -> Response:
        """Replace all switches; the draw starts anew."""
        try:
            plan = faults.from_json(await _json(request), seed=self._sandbox.plan.seed, now=time.time())
        except (FaultRefused, NotUnderstood) as problem:
            return json_answer({"error": str(problem)}, 400)
        self._sandbox.set_plan(plan)
        return await self.faults(request)

    async def clear_faults(self, _request: Request) -> Response:
        """Switch everything off; the seed stays."""
        self._sandbox.set_plan(Plan(seed=self._sandbox.plan.seed))
        return Response(status_code=204)

    async def suppressions(self, _request: Request) -> Response:
        """Suppressed addresses and numbers."""
        lists = self._sandbox.suppressions
        return json_answer(
            {
                provider: [
                    {"address": address, "reason": one.reason} for address, one in sorted(lists[provider].items())
                ]
                for provider in PROVIDERS
            },
        )

    async def set_suppressions(self, request: Request) -> Response:
        """Replace both lists; an entry is an address, or an object with address and reason."""
        try:
            lists = _suppressions(await _json(request), now=time.time())
        except NotUnderstood as problem:
            return json_answer({"error": str(problem)}, 400)
        self._sandbox.set_suppressions(lists)
        return await self.suppressions(request)

    async def clear_suppressions(self, _request: Request) -> Response:
        """Empty both lists."""
        self._sandbox.set_suppressions({})
        return Response(status_code=204)

    async def settings(self, _request: Request) -> Response:
        """What an operator may tune."""
        return json_answer(asdict(self._sandbox.settings))

    async def set_settings(self, request: Request) -> Response:
        """Change the settings that are given."""
        try:
            settings = settings_from_json(await _json(request), self._sandbox.settings)
        except (SettingRefused, NotUnderstood) as problem:
            return json_answer({"error": str(problem)}, 400)
        self._sandbox.set_settings(settings)
        return await self.settings(request)

    async def clear_settings(self, _request: Request) -> Response:
        """All settings as they are in a new sandbox."""
        self._sandbox.set_settings(Settings())
        return Response(status_code=204)

    async def fates(self, _request: Request) -> Response:
        """What becomes of messages: by address, and by chance."""
        return json_answer(fates.to_json(self._sandbox.fates))

    async def set_fates(self, request: Request) -> Response:
        """Replace all fates; messages that were accepted before keep theirs."""
        try:
            given = fates.from_json(await _json(request))
        except (FateRefused, NotUnderstood) as problem:
            return json_answer({"error": str(problem)}, 400)
        self._sandbox.set_fates(given)
        return await self.fates(request)

    async def clear_fates(self, _request: Request) -> Response:
        """Only the rules by address are left."""
        self._sandbox.set_fates(Fates())
        return Response(status_code=204)

    async def webhooks(self, _request: Request) -> Response:
        """Where events go, the key that signs them, and what became of them."""
        queue = self._sandbox.queue
        counts = {one: {**queue.numbers[one], "waiting": queue.waiting(one)} for one in PROVIDERS}
        public_key = self._sandbox.signing_key().public_key()
        return json_answer({**hooks.to_json(self._sandbox.hooks), "public_key": public_key, "counts": counts})

    async def set_webhooks(self, request: Request) -> Response:
        """Change what is given of the webhooks; only requests that are accepted from now on have events posted."""
        try:
            given = hooks.from_json(await _json(request), self._sandbox.hooks)
        except (HookRefused, NotUnderstood) as problem:
            return json_answer({"error": str(problem)}, 400)
        self._sandbox.set_hooks(given)
        return await self.webhooks(request)

    async def clear_webhooks(self, _request: Request) -> Response:
        """Post nothing any more, and forget what is still to be posted."""
        self._sandbox.set_hooks(Hooks())
        self._sandbox.queue.clear()
        return Response(status_code=204)

    async def batches(self, _request: Request) -> Response:
        """SendGrid's batches that are canceled or paused."""
        return json_answer({"held": [asdict(one) for one in self._sandbox.batches.held()]})

    async def clear_batches(self, _request: Request) -> Response:
        """Forget all batch ids; what waits of them is sent at its time."""
        self._sandbox.batches.clear()
        self._sandbox.schedule.expect(0.0)
        return Response(status_code=204)


def number(text: str, default: int) -> int:
    """A whole number from a query; `default` for anything that is none."""
    return int(text) if text.isdecimal() and len(text) <= len("999999999") else default


async def _json(request: Request) -> object:
    raw = await read_body(request, limit=MAX_CONTROL_BYTES)
    try:
        value: object = orjson.loads(raw or b"")
    except orjson.JSONDecodeError as error:
        msg = "the body is not JSON, or larger than 16 MB"
        raise NotUnderstood(msg) from error
    return value


def _suppressions(value: object, *, now: float) -> dict[Provider, dict[str, Suppression]]:
    if not isinstance(value, dict) or set(value) - set(PROVIDERS):
        msg = 'suppressions are an object: {"sendgrid": [...], "twilio": [...]}'
        raise NotUnderstood(msg)
    return {provider: dict(_entries(value.get(provider, []), provider, now)) for provider in PROVIDERS}


def _entries(value: object, provider: Provider, now: float) -> list[tuple[str, Suppression]]:
    if not isinstance(value, list):
        msg = f"the suppressions of {provider} are a list"
        raise NotUnderstood(msg)
    return [_entry(item, provider, now) for item in value]


def _entry(item: object, provider: Provider, now: float) -> tuple[str, Suppression]:
    if isinstance(item, str):
        return item, Suppression(DEFAULT_REASONS[provider], now)
    if isinstance(item, dict):
        address, reason = item.get("address"), item.get("reason", DEFAULT_REASONS[provider])
        if isinstance(address, str) and isinstance(reason, str):
            return address, Suppression(reason, now)
    msg = 'a suppression is an address, or {"address": ..., "reason": ...}'
    raise NotUnderstood(msg)
