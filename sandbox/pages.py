"""Pages for people: the outbox, one message as its recipient sees it, and the switches for faults."""

import hmac
import secrets
import time
from pathlib import Path
from typing import get_args
from urllib.parse import parse_qs, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from sandbox import faults, twilio
from sandbox.control import iso, number
from sandbox.faults import FaultRefused, Part, Plan
from sandbox.links import framed, with_links
from sandbox.performance import read_body
from sandbox.records import PROVIDERS, Provider, Search
from sandbox.segments import count_segments
from sandbox.state import Sandbox

PAGE_SIZE = 50
MAX_FORM_BYTES = 64 * 1024
_HERE = Path(__file__).parent
_POLICY = (
    "default-src 'none'; style-src 'self'{styles}; img-src 'self' data:; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_STATES = ("received", "bounced", "blocked", "dropped", "scheduled", "canceled", "all")
_NUMBERS = ("next", "status", "latency_ms", "retry_after", "left")


class Pages:
    """HTML for an operator; every page says that nothing is really sent."""

    def __init__(self, sandbox: Sandbox) -> None:
        """Show this state. The form token is new with every start."""
        self._sandbox = sandbox
        self._token = secrets.token_urlsafe(16)
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {"with_links": with_links, "iso": iso, "segments": count_segments, "framed": framed}

    def routes(self) -> list[BaseRoute]:
        """Pages, the forms behind them, and the stylesheet."""
        return [
            Route("/", self.outbox, methods=["GET"]),
            Route("/messages/{message_id}", self.message, methods=["GET"]),
            Route("/faults", self.faults, methods=["GET"]),
            Route("/faults", self.change_faults, methods=["POST"]),
            Route("/empty", self.empty, methods=["POST"]),
            Mount("/static", StaticFiles(directory=_HERE / "static"), name="static"),
        ]

    def page(self, template: str, status: int = 200, *, styles: str = "", **values: object) -> Response:
        """Render a page with the headers that keep hostile content harmless."""
        html = self._templates.get_template(template).render(token=self._token, **values)
        policy = {"Content-Security-Policy": _POLICY.format(styles=styles)}
        return Response(html, status, {**_HEADERS, **policy}, "text/html")

    async def outbox(self, request: Request) -> Response:
        """What was received, newest first."""
        query = request.query_params
        provider = query.get("provider", "") if query.get("provider") in PROVIDERS else ""
        state = query.get("state", "") if query.get("state") in _STATES else "received"
        contains = query.get("search", "").strip()
        page = max(number(query.get("page", ""), 1), 1)
        search = Search(
            provider=provider,
            contains=contains,
            state=state,
            limit=PAGE_SIZE + 1,
            offset=(page - 1) * PAGE_SIZE,
        )
        found = await run_in_threadpool(self._sandbox.store.search, search)
        chosen = {"provider": provider, "state": state, "search": contains}
        return self.page(
            "outbox.html",
            messages=found[:PAGE_SIZE],
            chosen=chosen,
            states=_STATES,
            page=page,
            newer=_address(chosen, page - 1) if page > 1 else None,
            older=_address(chosen, page + 1) if len(found) > PAGE_SIZE else None,
            counts=self._sandbox.store.counts(),
            url=self._sandbox.public_url,
        )

    async def message(self, request: Request) -> Response:
        """One message as its recipient sees it."""
        found = await run_in_threadpool(self._sandbox.store.message, number(request.path_params["message_id"], 0))
        if found is None:
            return self.not_found()
        # The frame inherits this page's policy, and emails live from inline styles.
        standing = twilio.standing(found, now=self._sandbox.now(), delivery=self._sandbox.settings.delivery())
        return self.page("message.html", styles=" 'unsafe-inline'", message=found, standing=standing)

    def not_found(self) -> Response:
        """There is no such page."""
        return self.page("missing.html", 404)

    async def faults(self, _request: Request, problem: str = "") -> Response:
        """The switches, and a form for one more."""
        return self.page(
            "faults.html",
            400 if problem else 200,
            plan=self._sandbox.plan,
            providers=PROVIDERS,
            sentences=faults.SENTENCES,
            parts=get_args(Part),
            problem=problem,
        )

    async def change_faults(self, request: Request) -> Response:
        """Add a switch, take one away, or take all away."""
        form = await _form(request)
        if not self._is_ours(form):
            return self.page("missing.html", 403)
        try:
            self._sandbox.set_plan(_changed(self._sandbox.plan, form))
        except FaultRefused as problem:
            return await self.faults(request, str(problem))
        return RedirectResponse("/faults", 303)

    async def empty(self, request: Request) -> Response:
        """Empty the outbox."""
        if not self._is_ours(await _form(request)):
            return self.page("missing.html", 403)
        self._sandbox.clear()
        return RedirectResponse("/", 303)

    def _is_ours(self, form: dict[str, str]) -> bool:
        return hmac.compare_digest(form.get("token", "").encode(), self._token.encode())


def _address(chosen: dict[str, str], page: int) -> str:
    return "/?" + urlencode({**{name: value for name, value in chosen.items() if value}, "page": page})


async def _form(request: Request) -> dict[str, str]:
    raw = await read_body(request, limit=MAX_FORM_BYTES) or b""
    return {name: values[0].strip() for name, values in parse_qs(raw.decode("utf-8", "replace")).items()}


def _changed(plan: Plan, form: dict[str, str]) -> Plan:
    if form.get("action") == "clear":
        return Plan(seed=plan.seed)
    provider = _provider(form)
    if form.get("action") == "remove":
        place = number(form.get("place", ""), len(plan.of(provider)))
        left = tuple(fault for index, fault in enumerate(plan.of(provider)) if index != place)
        return plan.with_faults(provider, left)
    return plan.with_faults(provider, (*plan.of(provider), faults.one_from_json(_fault(form), now=time.time())))


def _provider(form: dict[str, str]) -> Provider:
    for provider in PROVIDERS:
        if form.get("provider") == provider:
            return provider
    msg = "choose SendGrid or Twilio"
    raise FaultRefused(msg)


def _fault(form: dict[str, str]) -> dict[str, object]:
    fault: dict[str, object] = {"kind": form.get("kind", ""), "on": form.get("on", "send")}
    try:
        fault |= {name: int(form[name]) for name in _NUMBERS if form.get(name)}
        if form.get("percent") and "next" not in fault:
            fault["fraction"] = float(form["percent"]) / 100
        if form.get("seconds"):
            fault["seconds"] = float(form["seconds"])
    except ValueError as error:
        msg = "numbers are written in digits, such as 10"
        raise FaultRefused(msg) from error
    return {**fault, "headers": form.get("headers") == "yes"}
