"""Twilio Messages over HTTP: credentials, create, look up, cancel; nothing is really sent."""

import base64
import binascii
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode

import orjson
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox import twilio
from sandbox.fates import QUEUE_OVERFLOW
from sandbox.faults import Fault, Part
from sandbox.performance import Voice, play, read_body
from sandbox.records import Answer, JsonObject, Message, Search
from sandbox.segments import count_segments
from sandbox.state import Sandbox, is_same
from sandbox.twilio import Custody, Standing, refuse
from sandbox.wire import whole

MAX_FORM_BYTES = 1024 * 1024
_DEFAULT_PAGE_SIZE = 50
_FILTERS = ("To", "From", "DateSent", "DateSent<", "DateSent>")
_DAY = timedelta(days=1)
_MAX_DIGITS = 12


class BadDate(ValueError):
    """A DateSent that is not a day."""


def unauthorised() -> Answer:
    """Wrong or missing credentials."""
    return refuse(20003, "Authenticate", status=401)


def throttled(fault: Fault) -> Answer:
    """Too many concurrent requests; never processed."""
    headers = {"Retry-After": str(fault.retry_after)} if fault.headers else None
    return refuse(20429, "Too Many Requests", status=429, headers=headers)


VOICE = Voice("twilio", unauthorised, throttled)


class TwilioApi:
    """The part of Twilio's 2010-04-01 API that is played here."""

    def __init__(self, sandbox: Sandbox) -> None:
        """Play it on this state."""
        self._sandbox = sandbox
        self._under_way = 0

    def routes(self) -> list[Route]:
        """Paths as Twilio has them."""
        account = "/2010-04-01/Accounts/{account_sid}"
        return [
            Route(f"{account}/Messages.json", self.create, methods=["POST"]),
            Route(f"{account}/Messages.json", self.list_messages, methods=["GET"]),
            Route(f"{account}/Messages/{{sid}}.json", self.fetch, methods=["GET"]),
            Route(f"{account}/Messages/{{sid}}.json", self.update, methods=["POST"]),
            Route(f"{account}.json", self.account, methods=["GET"]),
        ]

    async def create(self, request: Request) -> Response:
        """Take an SMS into custody, or refuse it."""
        raw = await read_body(request, limit=MAX_FORM_BYTES)
        return await self._play(request, "send", lambda: self._take(request, raw))

    async def list_messages(self, request: Request) -> Response:
        """Messages by To, From and day, newest first, in pages."""
        return await self._play(request, "read", lambda: self._list(request.query_params))

    async def fetch(self, request: Request) -> Response:
        """One message."""
        return await self._play(request, "read", lambda: self._fetch(request))

    async def update(self, request: Request) -> Response:
        """Cancel a message that still waits."""
        raw = await read_body(request, limit=MAX_FORM_BYTES)
        form = twilio.parse(raw or b"", request.headers.get("content-type", ""))
        return await self._play(request, "hold", lambda: self._cancel(request, form))

    async def account(self, request: Request) -> Response:
        """The account itself; clients use it to test their credentials."""
        sid = self._sandbox.credentials.account_sid
        body = {
            "sid": sid,
            "friendly_name": "Sandbox: nothing is really sent",
            "status": "active",
            "type": "Full",
            "owner_account_sid": sid,
            "auth_token": "",
            "date_created": "Thu, 01 Jan 2015 00:00:00 +0000",
            "date_updated": "Thu, 01 Jan 2015 00:00:00 +0000",
            "subresource_uris": {"messages": f"/2010-04-01/Accounts/{sid}/Messages.json"},
            "uri": f"/2010-04-01/Accounts/{sid}.json",
        }
        return await self._play(request, "read", lambda: Answer(200, orjson.dumps(body)))

    async def _play(self, request: Request, on: Part, process: Callable[[], Answer]) -> Response:
        def process_if_known() -> Answer:
            return process() if self._is_known(request) else unauthorised()

        limit = self._sandbox.settings.concurrency
        if limit is not None and self._under_way >= limit:
            if on == "send":
                self._sandbox.store.count_refused("twilio")
            return whole(throttled(Fault("429")))
        self._under_way += 1
        try:
            return await play(self._sandbox, VOICE, on=on, process=process_if_known)
        finally:
            self._under_way -= 1

    def _is_known(self, request: Request) -> bool:
        expected = self._sandbox.credentials
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return False
        is_owner = is_same(user, expected.account_sid) and is_same(password, expected.auth_token)
        return scheme.lower() == "basic" and is_owner and request.path_params["account_sid"] == expected.account_sid

    def _take(self, request: Request, raw: bytes | None) -> Answer:
        if raw is None:
            return refuse(20001, "The request is too large", status=413)
        form = twilio.parse(raw, request.headers.get("content-type", ""))
        now = self._sandbox.now()
        refusal = twilio.check(form, now=now, opted_out=self._sandbox.suppressions["twilio"])
        if refusal is not None:
            return refuse(refusal.code, refusal.message, status=refusal.status)
        custody = self._custody(form, now.timestamp())
        if custody is None:
            return refuse(21611, "This 'From' number has exceeded the maximum number of queued messages", status=400)
        if not self._sandbox.spend("twilio", 1):
            return refuse(20005, "Account is not active", status=403)
        record = twilio.accepted(form, sid="SM" + secrets.token_hex(16), custody=custody)
        self._sandbox.accept(record)
        created = twilio.created(record)
        standing = Standing(created.state, None, created.at)
        body = twilio.resource(created, account_sid=self._sandbox.credentials.account_sid, standing=standing)
        return Answer(201, orjson.dumps(body), is_accepted=True)

    def _custody(self, form: twilio.Form, now: float) -> Custody | None:
        """When a message has its turn and what becomes of it; None when its sender's queue is full."""
        settings = self._sandbox.settings
        fate = self._sandbox.fates.of_sms(form["To"])
        scheduled = twilio.send_at(form)
        if scheduled is not None:
            return Custody(now, now + settings.real(scheduled.timestamp() - now), fate)
        if settings.segments_per_second is None:
            return Custody(now, None, fate)
        sender = form.get("MessagingServiceSid") or form["From"]
        turn = self._sandbox.senders.turn(sender, count_segments(form.get("Body", "")), now=now, settings=settings)
        if turn is None:
            return Custody(now, None, QUEUE_OVERFLOW) if form.get("MessagingServiceSid") else None
        return Custody(now, turn, fate)

    def _standing(self, message: Message) -> Standing:
        return twilio.standing(message, now=self._sandbox.now(), delivery=self._sandbox.settings.delivery())

    def _resource(self, message: Message) -> JsonObject:
        sid = self._sandbox.credentials.account_sid
        return twilio.resource(message, account_sid=sid, standing=self._standing(message))

    def _found(self, request: Request) -> Message | None:
        found = self._sandbox.store.search(Search(provider="twilio", request=request.path_params["sid"], limit=1))
        return found[0] if found else None

    def _fetch(self, request: Request) -> Answer:
        message = self._found(request)
        if message is None:
            return refuse(20404, f"The requested resource {request.url.path} was not found", status=404)
        return Answer(200, orjson.dumps(self._resource(message)))

    def _cancel(self, request: Request, form: twilio.Form) -> Answer:
        message = self._found(request)
        if message is None:
            return refuse(20404, f"The requested resource {request.url.path} was not found", status=404)
        if form.get("Status") != "canceled":
            return refuse(20001, "Only Status=canceled is played here", status=400)
        now = self._sandbox.now()
        waits = self._standing(message).status in {"queued", "accepted", "scheduled"}
        if not waits or not self._sandbox.store.cancel(message, at=now.timestamp()):
            return refuse(30409, "The message is not in a cancelable state", status=409)
        self._sandbox.queue.forget(message.request)
        return self._fetch(request)

    def _list(self, query: QueryParams) -> Answer:
        size = min(max(_number(query, "PageSize", _DEFAULT_PAGE_SIZE), 1), twilio.MAX_PAGE_SIZE)
        try:
            rows = self._sandbox.store.search(self._search(query, size + 1))
        except BadDate as problem:
            return refuse(20001, str(problem), status=400)
        shown = rows[:size]
        below = shown[-1].id if len(rows) > size else None
        body = {"messages": [self._resource(row) for row in shown], **self._paging(query, size, below)}
        page = _number(query, "Page", 0)
        body |= {"page": page, "start": page * size, "end": page * size + max(len(shown) - 1, 0)}
        return Answer(200, orjson.dumps(body))

    def _search(self, query: QueryParams, limit: int) -> Search:
        first, last = _days(query)
        settings = self._sandbox.settings
        lag = settings.real(settings.list_lag_seconds)
        search = Search(
            provider="twilio",
            to=query.get("To", ""),
            sender=query.get("From", ""),
            below_id=_number(query, "PageToken", 0) or None,
            accepted_before=self._sandbox.now().timestamp() - lag if lag else None,
            limit=limit,
        )
        if first is None and last is None:
            return search
        return self._sent_between(search, first or date.min, last or date.max - _DAY)

    def _sent_between(self, search: Search, first: date, last: date) -> Search:
        """Only messages with a date_sent: those that were sent by now, on one of these days."""
        delivery = self._sandbox.settings.delivery()
        if delivery is None:
            return replace(search, limit=0)
        end = min(_midnight(last) + _DAY, self._sandbox.now()) - delivery / 2
        start = max(_midnight(first), datetime(1970, 1, 2, tzinfo=UTC)) - delivery / 2
        return replace(search, state="sent", left_from=start.timestamp(), left_before=end.timestamp())

    def _paging(self, query: QueryParams, size: int, below: int | None) -> dict[str, object]:
        page = _number(query, "Page", 0)
        return {
            "first_page_uri": self._uri(query, {"PageSize": size, "Page": 0}),
            "next_page_uri": below and self._uri(query, {"PageSize": size, "Page": page + 1, "PageToken": below}),
            "previous_page_uri": None,
            "page_size": size,
            "uri": self._uri(query, {"PageSize": size, "Page": page}),
        }

    def _uri(self, query: QueryParams, place: dict[str, object]) -> str:
        kept = {name: query[name] for name in _FILTERS if name in query}
        account_sid = self._sandbox.credentials.account_sid
        return f"/2010-04-01/Accounts/{account_sid}/Messages.json?{urlencode({**kept, **place})}"


def _number(query: QueryParams, name: str, default: int) -> int:
    text = query.get(name, "")
    return int(text) if text.isdecimal() and len(text) <= _MAX_DIGITS else default


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _days(query: QueryParams) -> tuple[date | None, date | None]:
    """First and last day asked for; Twilio's < and > include the day itself."""
    exact = _day(query, "DateSent")
    return exact or _day(query, "DateSent>"), exact or _day(query, "DateSent<")


def _day(query: QueryParams, name: str) -> date | None:
    text = query.get(name, "")
    try:
        return date.fromisoformat(text[:10]) if text else None
    except ValueError as error:
        msg = f"{name} {text!r} is not a day such as 2026-01-31"
        raise BadDate(msg) from error
