"""SendGrid's Email Logs over HTTP: a look-up without pages, late by a set lag, that shows custom_args."""

import time

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox import lookup
from sandbox.event_webhook import event_id, smtp_id
from sandbox.lookup import LOGS, Moment, iso, message_id
from sandbox.performance import read_body
from sandbox.query import QueryRefused
from sandbox.records import Answer, JsonObject, Message
from sandbox.sendgrid_access import answer, json, problem
from sandbox.state import Sandbox
from sandbox.timeline import Happened

_MAX_BYTES = 64 * 1024
_DEFAULT_LIMIT = 10
_MAX_LIMIT = 1000
_NAMES = ("query", "limit", "subusers")


class LogsApi:
    """`POST /v3/logs` and one message of it."""

    def __init__(self, sandbox: Sandbox) -> None:
        """Play it on this state."""
        self._sandbox = sandbox

    def routes(self) -> list[Route]:
        """Paths as SendGrid has them."""
        return [
            Route("/v3/logs", self.filter, methods=["POST"]),
            Route("/v3/logs/{sg_message_id}", self.show, methods=["GET"]),
        ]

    async def filter(self, request: Request) -> Response:
        """Messages that meet a query; there is no second page."""
        raw = await read_body(request, limit=_MAX_BYTES)
        return await answer(self._sandbox, request, on="read", process=lambda: self._filter(raw))

    async def show(self, request: Request) -> Response:
        """One message with its events and custom arguments."""
        wanted = request.path_params["sg_message_id"]
        return await answer(self._sandbox, request, on="read", process=lambda: self._show(wanted))

    def _moment(self) -> tuple[Moment, float]:
        settings = self._sandbox.settings
        now = time.time()
        return Moment(now, settings.time_scale), now - settings.real(settings.logs_lag_seconds)

    def _filter(self, raw: bytes | None) -> Answer:
        try:
            body: object = orjson.loads(raw or b"")
        except orjson.JSONDecodeError:
            return problem(400, "invalid request body")
        if not isinstance(body, dict) or set(body) - set(_NAMES):
            return problem(400, "invalid request body")
        query, limit = body.get("query", ""), body.get("limit", _DEFAULT_LIMIT)
        if isinstance(limit, bool) or not isinstance(limit, int) or not 0 < limit <= _MAX_LIMIT:
            return problem(400, f"limit must be between 1 and {_MAX_LIMIT}", "limit")
        if not isinstance(query, str):
            return problem(400, "query must be a string", "query")
        moment, visible_before = self._moment()
        try:
            found = lookup.find(self._sandbox.store, query, LOGS, moment, visible_before=visible_before, limit=limit)
        except QueryRefused as refused:
            return problem(400, str(refused), "query")
        return json({"messages": [_summary(message, moment) for message in found]})

    def _show(self, wanted: str) -> Answer:
        moment, visible_before = self._moment()
        found = lookup.find_one(self._sandbox.store, wanted, visible_before=visible_before)
        if found is None:
            return problem(404, "message not found")
        of_request = self._sandbox.store.size(found.request)
        return json(_details(found, moment, recipients=of_request))


def _status(message: Message, moment: Moment) -> str:
    return moment.logs_status(message.state, message.fate, message.at.timestamp(), message.due_at)


def _summary(message: Message, moment: Moment) -> JsonObject:
    at = message.at.timestamp()
    reason = moment.reason(message.state, message.fate, at, message.due_at, message.reason)
    return {
        "from_email": message.sender,
        "sg_message_id": message_id(message),
        "subject": message.subject,
        "to_email": message.to,
        **({"reason": reason} if reason else {}),
        "status": _status(message, moment),
        "sg_message_id_created_at": iso(at),
    }


def _details(message: Message, moment: Moment, *, recipients: int) -> JsonObject:
    asm = message.details.get("asm")
    template = message.details.get("template_id")
    return {
        "from_email": message.sender,
        "sg_message_id": message_id(message),
        "subject": message.subject,
        "to_email": message.to,
        "status": _status(message, moment),
        **({"template_id": template} if template else {}),
        **({"asm_group_id": asm["group_id"]} if isinstance(asm, dict) else {}),
        "teammate": "",
        "api_key_id": "sandbox",
        "events": [
            _received(message, recipients),
            *(_event(message, number, one) for number, one in enumerate(moment.history(message))),
        ],
        "client_ip": "127.0.0.1",
        "category": message.details.get("categories", []),
        "custom_args": message.custom_args,
        "outbound_ip": "127.0.0.1",
        "outbound_ip_type": "shared",
    }


def _received(message: Message, recipients: int) -> JsonObject:
    """The request itself, as it stands in the log of each of its messages."""
    return {
        "event": "received",
        "email": message.to,
        "recv_msgid": message.request,
        "sg_event_id": event_id(message.request, "received", 0),
        "timestamp": int(message.at.timestamp()),
        "api_key_id": "sandbox",
        "api_version": "3",
        "client_ip": "127.0.0.1",
        "protocol": "HTTP",
        "recipient_count": recipients,
        "reseller_id": "0",
        "size": len(message.text) + len(message.html),
        "useragent": "",
        "v3_payload_details": {"recipient_count": recipients},
    }


def _event(message: Message, number: int, one: Happened) -> JsonObject:
    sender = {"from": message.sender, "domain": message.to.partition("@")[2]} if one.name == "deferred" else {}
    return {
        "event": one.name,
        "email": message.to,
        "sg_message_id": message_id(message),
        "sg_event_id": event_id(message_id(message), one.name, number),
        "timestamp": int(one.at),
        **({} if one.name in {"open", "click", "spamreport", "unsubscribe"} else {"smtp-id": smtp_id(message)}),
        **one.fields,
        **sender,
        **({"date": iso(one.at)[:10]} if one.name == "unsubscribe" else {}),
        **({"category": message.details["categories"]} if message.details.get("categories") else {}),
        "custom_args": message.custom_args,
    }
