"""SendGrid's suppression lists over HTTP: pages by offset, one address, taking addresses off."""

import fnmatch
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.fates import BLOCKED
from sandbox.performance import read_body
from sandbox.records import Answer, JsonObject, Suppression
from sandbox.sendgrid import Refusal, errors, is_address
from sandbox.sendgrid_access import answer, json
from sandbox.state import Sandbox

_MAX_BYTES = 4 * 1024 * 1024
_MAX_LIMIT = 500
_GLOBAL = "unsubscribes"


@dataclass(frozen=True, slots=True)
class List:
    """One list: the reason under which its addresses are kept, and what it tells of each."""

    reason: str
    more: JsonObject


LISTS: Mapping[str, List] = {
    "bounces": List(
        "Bounced Address",
        {"reason": "550 5.1.1 The email account that you tried to reach does not exist.", "status": "5.1.1"},
    ),
    "blocks": List(
        BLOCKED, {"reason": "554 5.7.1 Service unavailable; the sending host is blocked", "status": "4.0.0"}
    ),
    "invalid_emails": List("Invalid", {"reason": "Mail domain mentioned in email address is unknown"}),
    "spam_reports": List("Spam Reporting Address", {"ip": "127.0.0.1"}),
    _GLOBAL: List("Unsubscribed Address", {}),
}


class SuppressionApi:
    """The five lists, and the global one under its other name."""

    def __init__(self, sandbox: Sandbox) -> None:
        """Play it on this state."""
        self._sandbox = sandbox

    def routes(self) -> list[Route]:
        """Paths as SendGrid has them."""
        routes: list[Route] = []
        for name in LISTS:
            routes.append(Route(f"/v3/suppression/{name}", self.page(name), methods=["GET"]))
            if name != _GLOBAL:
                one = f"/v3/suppression/{name}/{{email}}"
                routes += [
                    Route(f"/v3/suppression/{name}", self.remove_many(name), methods=["DELETE"]),
                    Route(one, self.one(name), methods=["GET"]),
                    Route(one, self.remove(name), methods=["DELETE"]),
                ]
        unsubscribed = "/v3/asm/suppressions/global"
        return [
            *routes,
            Route(unsubscribed, self.add_global, methods=["POST"]),
            Route(f"{unsubscribed}/{{email}}", self.show_global, methods=["GET"]),
            Route(f"{unsubscribed}/{{email}}", self.remove(_GLOBAL), methods=["DELETE"]),
        ]

    def page(self, name: str) -> Callable[[Request], object]:
        """A page of a list."""

        async def endpoint(request: Request) -> Response:
            found = self._page(name, request.query_params)
            return await answer(self._sandbox, request, on="read", process=lambda: found)

        return endpoint

    def one(self, name: str) -> Callable[[Request], object]:
        """One address of a list: a list of one, or of none."""

        async def endpoint(request: Request) -> Response:
            email = request.path_params["email"].lower()
            found = [_entry(name, address, one) for address, one in self._of(name) if address == email]
            return await answer(self._sandbox, request, on="read", process=lambda: json(found))

        return endpoint

    def remove(self, name: str) -> Callable[[Request], object]:
        """Take one address off a list."""

        async def endpoint(request: Request) -> Response:
            email = request.path_params["email"].lower()
            return await answer(self._sandbox, request, on="hold", process=lambda: self._remove(name, [email]))

        return endpoint

    def remove_many(self, name: str) -> Callable[[Request], object]:
        """Take all or some addresses off a list."""

        async def endpoint(request: Request) -> Response:
            body = _object(await read_body(request, limit=_MAX_BYTES))
            emails = (
                [address for address, _ in self._of(name)]
                if body.get("delete_all") is True
                else _emails(body, "emails")
            )
            return await answer(self._sandbox, request, on="hold", process=lambda: self._remove(name, emails))

        return endpoint

    async def add_global(self, request: Request) -> Response:
        """Put addresses on the global list."""
        emails = _emails(_object(await read_body(request, limit=_MAX_BYTES)), "recipient_emails")
        return await answer(self._sandbox, request, on="hold", process=lambda: self._add(emails))

    async def show_global(self, request: Request) -> Response:
        """Whether an address is on the global list: an empty object if it is not."""
        email = request.path_params["email"].lower()
        found = any(address == email for address, _ in self._of(_GLOBAL))
        return await answer(
            self._sandbox, request, on="read", process=lambda: json({"recipient_email": email} if found else {})
        )

    def _of(self, name: str) -> list[tuple[str, Suppression]]:
        """The addresses of a list, newest first."""
        known = self._sandbox.suppressions["sendgrid"].items()
        found = [(address, one) for address, one in known if one.reason == LISTS[name].reason]
        return sorted(found, key=lambda pair: (-pair[1].created, pair[0]))

    def _page(self, name: str, query: Mapping[str, str]) -> Answer:
        numbers = {}
        for field, usual in (("start_time", 0), ("end_time", 2**53), ("limit", _MAX_LIMIT), ("offset", 0)):
            text = query.get(field, str(usual))
            if not text.isdecimal() or (field == "limit" and not 0 < int(text) <= _MAX_LIMIT):
                return errors(400, Refusal("invalid value", field))
            numbers[field] = int(text)
        pattern = query.get("email", "").lower().replace("%", "*") + "*"
        shown = [
            _entry(name, address, one)
            for address, one in self._of(name)
            if numbers["start_time"] <= int(one.created) <= numbers["end_time"]
            and fnmatch.fnmatchcase(address, pattern)
        ]
        return json(shown[numbers["offset"] :][: numbers["limit"]])

    def _remove(self, name: str, emails: list[str]) -> Answer:
        of_list = {address for address, _ in self._of(name)}
        self._sandbox.unsuppress("sendgrid", [email for email in emails if email in of_list])
        return Answer(204)

    def _add(self, emails: list[str]) -> Answer:
        if not emails or not all(is_address(email) for email in emails):
            return errors(400, Refusal("invalid email address", "recipient_emails"))
        now = time.time()
        self._sandbox.suppress("sendgrid", {email: Suppression(LISTS[_GLOBAL].reason, now) for email in emails})
        return json({"recipient_emails": emails}, 201)


def _entry(name: str, address: str, one: Suppression) -> JsonObject:
    return {"created": int(one.created), "email": address, **LISTS[name].more}


def _object(raw: bytes | None) -> Mapping[str, object]:
    try:
        value: object = orjson.loads(raw or b"")
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _emails(body: Mapping[str, object], name: str) -> list[str]:
    given = body.get(name)
    return [email.lower() for email in given if isinstance(email, str)] if isinstance(given, list) else []
