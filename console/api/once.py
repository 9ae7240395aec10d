"""Calls that may be repeated: with an Idempotency-Key the first answer is kept for a day and given again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import orjson
from fastapi import Header, Request, Response
from pydantic import BaseModel

from console.api import problems
from console.api.problems import Refused
from console.who import Who
from deployments.surroundings import Surroundings
from domain.errors import BulkSenderError
from domain.proofs import digest, new_token
from models import idempotency
from models.idempotency import Call, Turn

NAME = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
_FIRST_FAULT = 500
_RETRY_SECONDS = "2"

Key = Annotated[
    str | None,
    Header(
        alias=NAME,
        min_length=1,
        max_length=255,
        pattern=r"^[!-~]+$",
        description="Any text of your own that names this call, such as a UUID. Within 24 hours the same call with the same "
        f"key changes nothing and gives the first answer again, with `{REPLAYED}: true`.",
    ),
]


@dataclass(frozen=True, slots=True)
class Made:
    """What an act came to: the answer's body, and where the new thing is."""

    body: BaseModel
    status: int = 200
    location: str | None = None


Act = Callable[[str], Made]
"""Does it, given a name that is the same in all tries of a call and that nobody guesses."""


def once(around: Surroundings, request: Request, who: Who, key: str | None, *, told: object, act: Act) -> Response:
    """Do something once for each key, whatever happens in between; without a key, just do it.

    Args:
        around: the ledger.
        request: names the operation.
        who: whose key it is.
        key: the header.
        told: all that is asked, apart from the address.
        act: does it.

    Raises:
        Refused: the key belongs to another call, or the same call is under way.
    """
    if key is None:
        return _answer(act(new_token()))
    asked = [request.method, request.url.path, request.url.query, told]
    fingerprint = hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).hexdigest()
    call = Call(who.via, digest(key), fingerprint)
    with around.database.write() as session:
        begun = idempotency.begin(session, call, seed=new_token(), now=datetime.now(UTC))
    match begun.turn:
        case Turn.ANOTHER:
            raise Refused(
                problems.KEY_REUSED, f"This {NAME} came with another request before. Use a new one for each request."
            )
        case Turn.UNDER_WAY:
            raise Refused(
                problems.UNDER_WAY,
                f"The request with this {NAME} is not answered yet. Send it again in a moment.",
                headers={"Retry-After": _RETRY_SECONDS},
            )
        case Turn.ANSWERED:
            return _again(begun)
        case Turn.GO_ON:
            return _first(around, call, act, seed=begun.seed)


def _first(around: Surroundings, call: Call, act: Act, *, seed: str) -> Response:
    try:
        answer = _answer(act(seed))
    except BulkSenderError as refusal:
        answer = problems.of_refusal(refusal)
    except BaseException:
        _let_go(around, call)
        raise
    if answer.status_code >= _FIRST_FAULT:  # it came to nothing, and may be tried again
        _let_go(around, call)
        return answer
    with around.database.write() as session:
        body = bytes(answer.body).decode()
        idempotency.finish(session, call, status=answer.status_code, body=body, location=answer.headers.get("location"))
    return answer


def _let_go(around: Surroundings, call: Call) -> None:
    with around.database.write() as session:
        idempotency.let_go(session, call)


def _again(begun: idempotency.Begun) -> Response:
    status = begun.status or _FIRST_FAULT
    headers = {REPLAYED: "true"} | ({"Location": begun.location} if begun.location else {})
    media_type = "application/json" if status < 400 else problems.MEDIA_TYPE  # noqa: PLR2004  the first that is a problem
    return Response(begun.body, status_code=status, media_type=media_type, headers=headers)


def _answer(made: Made) -> Response:
    headers = {"Location": made.location} if made.location else {}
    body = made.body.model_dump_json(by_alias=True)
    return Response(body, status_code=made.status, media_type="application/json", headers=headers)
