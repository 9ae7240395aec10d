"""What a client asks SendGrid of the account itself before it sends: the key's scopes, the tracking settings."""

from collections.abc import Callable, Mapping

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.performance import read_body
from sandbox.records import Answer
from sandbox.sendgrid import Refusal, errors
from sandbox.sendgrid_access import answer, json
from sandbox.state import Sandbox

_SCOPES = (
    "mail.send",
    "mail.batch.create",
    "mail.batch.read",
    "user.scheduled_sends.create",
    "user.scheduled_sends.read",
    "user.scheduled_sends.update",
    "user.scheduled_sends.delete",
    "messages.read",
    "email_logs.read",
    "suppression.read",
    "suppression.bounces.read",
    "suppression.blocks.read",
    "suppression.invalid_emails.read",
    "suppression.spam_reports.read",
    "suppression.unsubscribes.read",
    "asm.suppressions.global.read",
    "tracking_settings.read",
)
_MAX_BYTES = 64 * 1024
_SETTING = "tracking"
USUAL: Mapping[str, Mapping[str, object]] = {
    "click": {"enable_text": False, "enabled": True},
    "open": {"enabled": True},
    "google_analytics": {
        "enabled": False,
        "utm_campaign": "",
        "utm_content": "",
        "utm_medium": "",
        "utm_source": "",
        "utm_term": "",
    },
    "subscription": {
        "enabled": False,
        "html_content": "",
        "landing": "",
        "plain_content": "",
        "replace": "",
        "url": "",
    },
}
"""As a new account has them: clicks and opens are tracked unless a request says otherwise."""
_TITLES = {
    "click": ("Click Tracking", "Overwrites every link to track every click in every email."),
    "open": ("Open Tracking", "Appends an invisible image to HTML emails to track if they have been opened."),
    "google_analytics": ("Google Analytics", "Tracks your conversion rates and ROI with Google Analytics."),
    "subscription": ("Subscription Tracking", "Adds unsubscribe links to the bottom of the text and HTML emails."),
}


class AccountApi:
    """Scopes and tracking settings."""

    def __init__(self, sandbox: Sandbox) -> None:
        """Play it on this state."""
        self._sandbox = sandbox

    def routes(self) -> list[Route]:
        """Paths as SendGrid has them."""
        routes = [
            Route("/v3/scopes", self.scopes, methods=["GET"]),
            Route("/v3/tracking_settings", self.tracking, methods=["GET"]),
        ]
        for name in USUAL:
            routes.append(Route(f"/v3/tracking_settings/{name}", self.show(name), methods=["GET"]))
            routes.append(Route(f"/v3/tracking_settings/{name}", self.change(name), methods=["PATCH"]))
        return routes

    async def scopes(self, request: Request) -> Response:
        """What the API key may do; clients use it to test their key."""
        known = [scope for scope in _SCOPES if scope != "messages.read" or self._sandbox.settings.email_activity]
        return await self._read(request, json({"scopes": known}))

    async def tracking(self, request: Request) -> Response:
        """All tracking settings in short."""
        result = [
            {"name": name, "title": title, "description": text, "enabled": self._tracking(name)["enabled"]}
            for name, (title, text) in _TITLES.items()
        ]
        return await self._read(request, json({"result": result}))

    def show(self, name: str) -> Callable[[Request], object]:
        """One tracking setting."""

        async def endpoint(request: Request) -> Response:
            return await self._read(request, json(self._tracking(name)))

        return endpoint

    def change(self, name: str) -> Callable[[Request], object]:
        """Change one tracking setting."""

        async def endpoint(request: Request) -> Response:
            raw = await read_body(request, limit=_MAX_BYTES)
            return await answer(self._sandbox, request, on="hold", process=lambda: self._change(name, raw))

        return endpoint

    async def _read(self, request: Request, found: Answer) -> Response:
        return await answer(self._sandbox, request, on="read", process=lambda: found)

    def _all(self) -> dict[str, dict[str, object]]:
        kept = self._sandbox.store.setting(_SETTING)
        return kept if isinstance(kept, dict) else {}

    def _tracking(self, name: str) -> dict[str, object]:
        return {**USUAL[name], **self._all().get(name, {})}

    def _change(self, name: str, raw: bytes | None) -> Answer:
        try:
            given: object = orjson.loads(raw or b"")
        except orjson.JSONDecodeError:
            return errors(400, Refusal("Bad Request"))
        usual = USUAL[name]
        if not isinstance(given, dict) or any(type(value) is not type(usual.get(key)) for key, value in given.items()):
            return errors(400, Refusal("Bad Request"))
        self._sandbox.store.set_setting(_SETTING, {**self._all(), name: {**self._tracking(name), **given}})
        return json(self._tracking(name))
