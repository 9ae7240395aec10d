"""What all calls to SendGrid have in common: the key, the words of a refusal, the faults."""

import time
from collections.abc import Callable

import orjson
from starlette.requests import Request
from starlette.responses import Response

from sandbox.faults import Fault, Part
from sandbox.performance import Voice, play
from sandbox.records import Answer
from sandbox.sendgrid import Refusal, errors
from sandbox.state import Sandbox, is_same

_RATE_LIMIT = "600"


def unauthorised() -> Answer:
    """Wrong or missing API key."""
    return errors(401, Refusal("The provided authorization grant is invalid, expired, or revoked"))


def throttled(fault: Fault) -> Answer:
    """Too many requests, with the rate headers or, as users report of mail/send, without them."""
    reset = str(int(time.time()) + fault.retry_after)
    headers = {"X-RateLimit-Limit": _RATE_LIMIT, "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
    return errors(429, Refusal("too many requests"), headers=headers if fault.headers else None)


VOICE = Voice("sendgrid", unauthorised, throttled)


def is_known(sandbox: Sandbox, request: Request) -> bool:
    """Whether the request carries the API key."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and is_same(key.strip(), sandbox.credentials.api_key)


async def answer(sandbox: Sandbox, request: Request, *, on: Part, process: Callable[[], Answer]) -> Response:
    """Play one call; `process` runs in a thread when it only reads, else on the event loop."""
    return await play(
        sandbox, VOICE, on=on, process=lambda: process() if is_known(sandbox, request) else unauthorised()
    )


def json(value: object, status: int = 200) -> Answer:
    """An answer of plain values."""
    return Answer(status, orjson.dumps(value))


def problem(status: int, message: str, field: str | None = None) -> Answer:
    """An error as the newer parts of the API give it: no field where there is none."""
    return json({"errors": [{"message": message, **({"field": field} if field else {})}]}, status)
