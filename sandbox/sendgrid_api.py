"""SendGrid over HTTP: credentials, sizes and types, then the rules; nothing is really sent."""

import secrets
import time

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox import sendgrid
from sandbox.faults import Fault
from sandbox.performance import Voice, play, read_body
from sandbox.records import Answer
from sandbox.sendgrid import Refusal, errors
from sandbox.state import Sandbox, is_same

_RATE_LIMIT = "600"
_SENDER_REFUSED = Refusal(
    "The from address does not match a verified Sender Identity. Mail cannot be sent until this error is resolved. "
    "Visit https://sendgrid.com/docs/for-developers/sending-email/sender-identity/ to see the Sender Identity "
    "requirements",
    "from",
)


def unauthorised() -> Answer:
    """Wrong or missing API key."""
    return errors(401, Refusal("The provided authorization grant is invalid, expired, or revoked"))


def throttled(fault: Fault) -> Answer:
    """Too many requests, with the rate headers or, as users report of mail/send, without them."""
    reset = str(int(time.time()) + fault.retry_after)
    headers = {"X-RateLimit-Limit": _RATE_LIMIT, "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
    return errors(429, Refusal("too many requests"), headers=headers if fault.headers else None)


VOICE = Voice("sendgrid", unauthorised, throttled)


class SendGridApi:
    """The part of SendGrid's v3 API that is played here."""

    def __init__(self, sandbox: Sandbox) -> None:
        """Play it on this state."""
        self._sandbox = sandbox

    def routes(self) -> list[Route]:
        """Paths as SendGrid has them."""
        return [
            Route("/v3/mail/send", self.mail_send, methods=["POST"]),
            Route("/v3/scopes", self.scopes, methods=["GET"]),
        ]

    async def mail_send(self, request: Request) -> Response:
        """Take an email request into custody, or refuse it as a whole."""
        raw = await read_body(request, limit=sendgrid.MAX_BODY_BYTES)
        return await play(self._sandbox, VOICE, on="send", process=lambda: self._take(request, raw))

    async def scopes(self, request: Request) -> Response:
        """What the API key may do; clients use it to test their key."""
        known = orjson.dumps({"scopes": ["mail.send", "mail.batch.create", "user.scheduled_sends.create"]})
        return await play(
            self._sandbox,
            VOICE,
            on="read",
            process=lambda: Answer(200, known) if self._is_known(request) else unauthorised(),
        )

    def _is_known(self, request: Request) -> bool:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and is_same(key.strip(), self._sandbox.credentials.api_key)

    def _take(self, request: Request, raw: bytes | None) -> Answer:
        if not self._is_known(request):
            return unauthorised()
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return errors(415, Refusal("Content-Type should be application/json."))
        if raw is None:
            return errors(413, Refusal("The total size of the request must be no more than 30 MB."))
        now = time.time()
        body, refusals = sendgrid.check(raw, now=now)
        if body is None:
            return errors(400, *refusals)
        return self._custody(body, now)

    def _custody(self, body: sendgrid.Body, now: float) -> Answer:
        if not self._sandbox.settings.verifies(body["from"]["email"]):
            return errors(403, _SENDER_REFUSED)
        if sendgrid.is_sandbox_mode(body):
            return Answer(200)
        key = secrets.token_urlsafe(16)
        request = sendgrid.accepted(body, key=key, at=now, suppressed=self._sandbox.suppressions["sendgrid"])
        if not self._sandbox.spend("sendgrid", sum(one.is_received for one in request.recipients)):
            return errors(401, Refusal("Maximum credits exceeded"))
        self._sandbox.store.accept(request)
        return Answer(202, headers={"X-Message-Id": key}, is_accepted=True)
