"""SendGrid's mail/send over HTTP: credentials, sizes and types, then the rules; nothing is really sent."""

import secrets
import time

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox import sendgrid
from sandbox.batches import Batch
from sandbox.performance import play, read_body
from sandbox.records import Answer
from sandbox.sendgrid import Custody, Refusal, errors
from sandbox.sendgrid_access import VOICE, is_known, unauthorised
from sandbox.state import Sandbox

_SENDER_REFUSED = Refusal(
    "The from address does not match a verified Sender Identity. Mail cannot be sent until this error is resolved. "
    "Visit https://sendgrid.com/docs/for-developers/sending-email/sender-identity/ to see the Sender Identity "
    "requirements",
    "from",
)
_BATCH_REFUSED = Refusal("invalid batch id", "batch_id")


class SendGridApi:
    """The call that sends."""

    def __init__(self, sandbox: Sandbox) -> None:
        """Play it on this state."""
        self._sandbox = sandbox

    def routes(self) -> list[Route]:
        """Paths as SendGrid has them."""
        return [Route("/v3/mail/send", self.mail_send, methods=["POST"])]

    async def mail_send(self, request: Request) -> Response:
        """Take an email request into custody, or refuse it as a whole."""
        raw = await read_body(request, limit=sendgrid.MAX_BODY_BYTES)
        return await play(self._sandbox, VOICE, on="send", process=lambda: self._take(request, raw))

    def _take(self, request: Request, raw: bytes | None) -> Answer:
        if not is_known(self._sandbox, request):
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
        batch: Batch | None = None
        if "batch_id" in body:
            batch = self._sandbox.batches.find(body["batch_id"])
            if batch is None:
                return errors(400, _BATCH_REFUSED)
        if not self._sandbox.settings.verifies(body["from"]["email"]):
            return errors(403, _SENDER_REFUSED)
        if sendgrid.is_sandbox_mode(body):
            return Answer(200)
        key = secrets.token_urlsafe(16)
        custody = Custody(
            at=now,
            suppressed=self._sandbox.suppressions["sendgrid"],
            fates=self._sandbox.fates,
            time_scale=self._sandbox.settings.time_scale,
            is_held=batch is not None and batch.status is not None,
        )
        request = sendgrid.accepted(body, key=key, custody=custody)
        if not self._sandbox.spend("sendgrid", sum(one.state != "dropped" for one in request.recipients)):
            return errors(401, Refusal("Maximum credits exceeded"))
        self._sandbox.accept(request)
        return Answer(202, headers={"X-Message-Id": key}, is_accepted=True)
