"""The sandbox's own JSON: health, what was received, counts, faults, suppressions, settings."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox import faults
from sandbox.faults import FaultRefused, Plan
from sandbox.performance import read_body
from sandbox.records import PROVIDERS, JsonObject, Message, Provider, Search
from sandbox.state import Sandbox, SettingRefused, settings_from_json

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
            ("suppressions", "GET"): self.suppressions,
            ("suppressions", "PUT"): self.set_suppressions,
            ("suppressions", "DELETE"): self.clear_suppressions,
            ("settings", "GET"): self.settings,
            ("settings", "PUT"): self.set_settings,
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
        found = await run_in_threadpool(self._sandbox.store.search, search)
        return json_answer({"messages": [message_json(message) for message in found]})

    async def clear(self, _request: Request) -> Response:
        """Empty the outbox and the counts."""
        self._sandbox.store.clear()
        return Response(status_code=204)

    async def counts(self, _request: Request) -> Response:
        """Requests and messages of each provider since the outbox was last emptied."""
        return json_answer(self._sandbox.store.counts())

    async def faults(self, _request: Request) -> Response:
        """The switches as they stand; a `next` counts down."""
        return json_answer(faults.to_json(self._sandbox.plan))

    async def set_faults(self, request: Request) -> Response:
        """Replace all switches; the draw starts anew."""
        try:
            plan = faults.from_json(await _json(request), seed=self._sandbox.plan.seed)
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
                    {"address": address, "reason": reason} for address, reason in sorted(lists[provider].items())
                ]
                for provider in PROVIDERS
            },
        )

    async def set_suppressions(self, request: Request) -> Response:
        """Replace both lists; an entry is an address, or an object with address and reason."""
        try:
            lists = _suppressions(await _json(request))
        except NotUnderstood as problem:
            return json_answer({"error": str(problem)}, 400)
        self._sandbox.set_suppressions(lists)
        return await self.suppressions(request)

    async def clear_suppressions(self, _request: Request) -> Response:
        """Empty both lists."""
        self._sandbox.set_suppressions({})
        return Response(status_code=204)

    async def settings(self, _request: Request) -> Response:
        """Verified senders, and how long an SMS is queued."""
        return json_answer(asdict(self._sandbox.settings))

    async def set_settings(self, request: Request) -> Response:
        """Change the settings that are given."""
        try:
            settings = settings_from_json(await _json(request), self._sandbox.settings)
        except (SettingRefused, NotUnderstood) as problem:
            return json_answer({"error": str(problem)}, 400)
        self._sandbox.set_settings(settings)
        return await self.settings(request)


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


def _suppressions(value: object) -> dict[Provider, dict[str, str]]:
    if not isinstance(value, dict) or set(value) - set(PROVIDERS):
        msg = 'suppressions are an object: {"sendgrid": [...], "twilio": [...]}'
        raise NotUnderstood(msg)
    return {provider: dict(_entries(value.get(provider, []), provider)) for provider in PROVIDERS}


def _entries(value: object, provider: Provider) -> list[tuple[str, str]]:
    if not isinstance(value, list):
        msg = f"the suppressions of {provider} are a list"
        raise NotUnderstood(msg)
    return [_entry(item, provider) for item in value]


def _entry(item: object, provider: Provider) -> tuple[str, str]:
    if isinstance(item, str):
        return item, DEFAULT_REASONS[provider]
    if isinstance(item, dict):
        address, reason = item.get("address"), item.get("reason", DEFAULT_REASONS[provider])
        if isinstance(address, str) and isinstance(reason, str):
            return address, reason
    msg = 'a suppression is an address, or {"address": ..., "reason": ...}'
    raise NotUnderstood(msg)
