"""SendGrid's mail batches and scheduled sends over HTTP: make an id, cancel, pause, let go."""

import time
from collections.abc import Callable, Mapping

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.batches import HOLDS, MAX_HELD, Batch
from sandbox.performance import read_body
from sandbox.records import Answer, JsonObject
from sandbox.sendgrid import Refusal, errors
from sandbox.sendgrid_access import answer, json
from sandbox.state import Sandbox

_MAX_BYTES = 64 * 1024


class BatchesApi:
    """Batch ids and what is held of them."""

    def __init__(self, sandbox: Sandbox) -> None:
        """Play it on this state."""
        self._sandbox = sandbox

    def routes(self) -> list[Route]:
        """Paths as SendGrid has them."""
        held = "/v3/user/scheduled_sends"
        return [
            Route("/v3/mail/batch", self.make, methods=["POST"]),
            Route("/v3/mail/batch/{batch_id}", self.validate, methods=["GET"]),
            Route(held, self.hold, methods=["POST"]),
            Route(held, self.list_held, methods=["GET"]),
            Route(f"{held}/{{batch_id}}", self.show, methods=["GET"]),
            Route(f"{held}/{{batch_id}}", self.change, methods=["PATCH"]),
            Route(f"{held}/{{batch_id}}", self.let_go, methods=["DELETE"]),
        ]

    async def make(self, request: Request) -> Response:
        """A new batch id."""
        return await self._play(
            request, lambda _: json({"batch_id": self._sandbox.batches.make(at=time.time())}, 201), on_empty={}
        )

    async def validate(self, request: Request) -> Response:
        """Whether an id was made."""
        found = self._sandbox.batches.find(request.path_params["batch_id"])
        return await self._read(request, json({"batch_id": found.id}) if found else _no_batch())

    async def hold(self, request: Request) -> Response:
        """Cancel or pause; what is due within ten minutes is not held back."""
        return await self._play(request, self._hold)

    async def list_held(self, request: Request) -> Response:
        """All that is canceled or paused."""
        return await self._read(request, json([_shown(batch) for batch in self._sandbox.batches.held()]))

    async def show(self, request: Request) -> Response:
        """What is held of one batch: a list of one, or of none."""
        found = self._sandbox.batches.find(request.path_params["batch_id"])
        return await self._read(request, json([_shown(found)] if found and found.status else []))

    async def change(self, request: Request) -> Response:
        """Cancel what is paused, pause what is canceled."""
        return await self._play(request, lambda body: self._change(request.path_params["batch_id"], body))

    async def let_go(self, request: Request) -> Response:
        """Take the hold away: what is due by then is sent."""
        return await self._play(request, lambda _: self._change(request.path_params["batch_id"], None), on_empty={})

    async def _read(self, request: Request, found: Answer) -> Response:
        return await answer(self._sandbox, request, on="read", process=lambda: found)

    async def _play(
        self, request: Request, process: Callable[[Mapping[str, object]], Answer], *, on_empty: JsonObject | None = None
    ) -> Response:
        raw = await read_body(request, limit=_MAX_BYTES)

        def checked() -> Answer:
            body = _object(raw) if raw else on_empty
            return errors(400, Refusal("Bad Request")) if body is None else process(body)

        return await answer(self._sandbox, request, on="hold", process=checked)

    def _hold(self, body: Mapping[str, object]) -> Answer:
        batch_id, status = body.get("batch_id"), body.get("status")
        if status not in HOLDS:
            return errors(400, Refusal("status must be either cancel or pause", "status"))
        found = self._sandbox.batches.find(batch_id) if isinstance(batch_id, str) else None
        if found is None:
            return _no_batch()
        if found.status:
            return errors(400, Refusal("a status for this batch id exists, try PATCH to update the status", "batch_id"))
        if len(self._sandbox.batches.held()) >= MAX_HELD:
            return errors(400, Refusal(f"you can not cancel or pause more than {MAX_HELD} batches at a time"))
        self._set(found.id, str(status))
        return json({"batch_id": found.id, "status": status}, 201)

    def _change(self, batch_id: str, body: Mapping[str, object] | None) -> Answer:
        status = None if body is None else body.get("status")
        if body is not None and status not in HOLDS:
            return errors(400, Refusal("status must be either cancel or pause", "status"))
        found = self._sandbox.batches.find(batch_id)
        if found is None or not found.status:
            return errors(404, Refusal("batch id not found", "batch_id"))
        self._set(found.id, None if status is None else str(status))
        return Answer(204)

    def _set(self, batch_id: str, status: str | None) -> None:
        self._sandbox.catch_up()
        self._sandbox.batches.hold(batch_id, status, at=time.time())
        self._sandbox.schedule.expect(0.0)
        self._sandbox.stir.set()


def _no_batch() -> Answer:
    return errors(400, Refusal("invalid batch id", "batch_id"))


def _shown(batch: Batch) -> JsonObject:
    return {"batch_id": batch.id, "status": batch.status}


def _object(raw: bytes) -> Mapping[str, object] | None:
    try:
        value: object = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
