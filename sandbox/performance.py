"""How one call to a provider is played: the faults first, then the rules, then the faults again."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from sandbox.faults import Fault, Part
from sandbox.records import Answer, Provider
from sandbox.state import Sandbox
from sandbox.wire import Half, Hang, Reset, whole

_MAX_DRAINED_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Voice:
    """How a provider says that it will not serve a call."""

    provider: Provider
    unauthorised: Callable[[], Answer]
    throttled: Callable[[Fault], Answer]


async def read_body(request: Request, *, limit: int) -> bytes | None:
    """The whole body, None when it has more than `limit` bytes.

    The rest of a long body is read and thrown away: a client that is still writing
    would see a broken connection instead of the answer.
    """
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size <= limit:
            parts.append(part)
        elif size > _MAX_DRAINED_BYTES:
            break
    return b"".join(parts) if size <= limit else None


async def play(sandbox: Sandbox, voice: Voice, *, on: Part, process: Callable[[], Answer]) -> Response:
    """Answer a call whose body has been read; `process` records what it accepts before it returns."""
    sandbox.catch_up()
    verdict = sandbox.decide(voice.provider, on)
    early = verdict.breaks_before()
    if early or sandbox.plan.standing(voice.provider, "bad_credentials"):
        if on == "send":
            sandbox.store.count_refused(voice.provider)
        return _before(sandbox, voice, early, verdict.status)
    await _pause(sandbox, verdict.accepts_after())
    answer = await run_in_threadpool(process) if on == "read" else process()
    if on == "send" and not answer.is_accepted:
        sandbox.store.count_refused(voice.provider)
    await _pause(sandbox, verdict.latency_ms / 1000)
    late = verdict.breaks_after()
    return _after(sandbox, late, answer, verdict.status) if late else whole(answer)


def _before(sandbox: Sandbox, voice: Voice, fault: Fault | None, status: int) -> Response:
    match fault.kind if fault else "bad_credentials":
        case "429" if fault:
            return whole(voice.throttled(fault))
        case "5xx_before" | "outage":
            return whole(server_error(status))
        case "hang_before" if fault:
            return Hang(fault.seconds, stopping=sandbox.stopping)
        case "reset_before":
            return Reset()
        case _:
            return whole(voice.unauthorised())


def _after(sandbox: Sandbox, fault: Fault, answer: Answer, status: int) -> Response:
    match fault.kind:
        case "5xx_after":
            return whole(server_error(status))
        case "hang_after":
            return Hang(fault.seconds, stopping=sandbox.stopping)
        case "half_answer":
            return Half(answer)
        case _:
            return Reset()


async def _pause(sandbox: Sandbox, seconds: float) -> None:
    if seconds > 0:
        try:
            await asyncio.wait_for(sandbox.stopping.wait(), seconds)
        except TimeoutError:
            return


def server_error(status: int) -> Answer:
    """A gateway's page instead of the provider's JSON, as it happens."""
    title = f"{status} {HTTPStatus(status).phrase if status in set(HTTPStatus) else 'Error'}"
    page = f"<html>\r\n<head><title>{title}</title></head>\r\n<body><h1>{title}</h1></body>\r\n</html>\r\n"
    return Answer(status, page.encode(), media_type="text/html")
