"""SendGrid's Email Activity over HTTP: a paid look-up, six questions a minute, late by a set lag."""

import time

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox import lookup
from sandbox.lookup import ACTIVITY, Moment, iso, message_id
from sandbox.query import QueryRefused
from sandbox.records import Answer, JsonObject, Message
from sandbox.sendgrid_access import answer, is_known, json, problem
from sandbox.state import Sandbox
from sandbox.timeline import USERAGENT, Happened

_DEFAULT_LIMIT = 10
_MAX_LIMIT = 1000
_NAMES = {
    "bounce": "bounced",
    "open": "opened",
    "click": "clicked",
    "spamreport": "spam_report",
    "cancel_drop": "dropped",
}


class ActivityApi:
    """`GET /v3/messages` and one message of it."""

    def __init__(self, sandbox: Sandbox) -> None:
        """Play it on this state."""
        self._sandbox = sandbox

    def routes(self) -> list[Route]:
        """Paths as SendGrid has them."""
        return [
            Route("/v3/messages", self.filter, methods=["GET"]),
            Route("/v3/messages/{msg_id}", self.show, methods=["GET"]),
        ]

    async def filter(self, request: Request) -> Response:
        """Messages that meet a query."""
        refusal = self._refusal(request)
        query = request.query_params
        return await answer(
            self._sandbox,
            request,
            on="read",
            process=lambda: refusal or self._filter(query.get("query", ""), query.get("limit", str(_DEFAULT_LIMIT))),
        )

    async def show(self, request: Request) -> Response:
        """One message with its events."""
        refusal = self._refusal(request)
        wanted = request.path_params["msg_id"]
        return await answer(self._sandbox, request, on="read", process=lambda: refusal or self._show(wanted))

    def _refusal(self, request: Request) -> Answer | None:
        """Without the add-on SendGrid says this, and with status 400 (seen of the real one)."""
        if not self._sandbox.settings.email_activity:
            return problem(400, "authorization required")
        return self._throttle() if is_known(self._sandbox, request) else None

    def _throttle(self) -> Answer | None:
        now = time.time()
        window = self._sandbox.settings.real(60)
        asked = self._sandbox.activity_asked
        while asked and asked[0] <= now - window:
            asked.popleft()
        limit = self._sandbox.settings.activity_per_minute
        if len(asked) >= limit:
            reset = str(int(asked[0] + window) + 1)
            headers = {"X-RateLimit-Limit": str(limit), "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
            refused = problem(429, "too many requests")
            return Answer(429, refused.body, headers=headers)
        asked.append(now)
        return None

    def _moment(self) -> tuple[Moment, float]:
        settings = self._sandbox.settings
        now = time.time()
        return Moment(now, settings.time_scale), now - settings.real(settings.activity_lag_seconds)

    def _filter(self, query: str, limit: str) -> Answer:
        if not (limit.isdecimal() and 0 < int(limit[:9]) <= _MAX_LIMIT):
            return problem(400, f"limit must be between 1 and {_MAX_LIMIT}", "limit")
        moment, visible_before = self._moment()
        try:
            found = lookup.find(
                self._sandbox.store, query, ACTIVITY, moment, visible_before=visible_before, limit=int(limit)
            )
        except QueryRefused as refused:
            return problem(400, str(refused), "query")
        return json({"messages": [_summary(message, moment) for message in found]})

    def _show(self, wanted: str) -> Answer:
        moment, visible_before = self._moment()
        found = lookup.find_one(self._sandbox.store, wanted, visible_before=visible_before)
        return json(_details(found, moment)) if found else problem(404, "not found", "message_id")


def _summary(message: Message, moment: Moment) -> dict[str, object]:
    history = moment.history(message)
    names = [one.name for one in history]
    at = message.at.timestamp()
    return {
        "from_email": message.sender,
        "msg_id": message_id(message),
        "subject": message.subject,
        "to_email": message.to,
        "status": moment.activity_status(message.state, message.fate, at, message.due_at),
        "opens_count": names.count("open"),
        "clicks_count": names.count("click"),
        "last_event_time": iso(history[-1].at),
    }


def _details(message: Message, moment: Moment) -> JsonObject:
    summary = _summary(message, moment)
    asm = message.details.get("asm")
    return {
        **{name: summary[name] for name in ("from_email", "msg_id", "subject", "to_email", "status")},
        "template_id": message.details.get("template_id", ""),
        "asm_group_id": asm.get("group_id", 0) if isinstance(asm, dict) else 0,
        "teammate": "",
        "api_key_id": "sandbox",
        "events": [_event(one) for one in moment.history(message)],
        "originating_ip": "127.0.0.1",
        "categories": message.details.get("categories", []),
        "unique_args": orjson.dumps(message.custom_args).decode(),
        "outbound_ip": "127.0.0.1",
        "outbound_ip_type": "shared",
    }


def _event(one: Happened) -> JsonObject:
    reason = one.fields.get("reason") or one.fields.get("response")
    bounce = {"bounce": "hard", "blocked": "soft"}.get(str(one.fields.get("type")), "")
    return {
        "event_name": _NAMES.get(one.name, one.name),
        "processed": iso(one.at),
        "bounce_type": bounce,
        "http_user_agent": USERAGENT if "useragent" in one.fields else "",
        "mx_server": "" if one.name == "processed" else "mx.sandbox.example",
        **({"reason": reason} if reason else {}),
        **({"attempt_num": int(str(one.fields["attempt"]))} if "attempt" in one.fields else {}),
        **({"url": one.fields["url"]} if "url" in one.fields else {}),
    }
