"""What is answered when something cannot be done: `application/problem+json` (RFC 9457), of a few kinds that are explained."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from domain.errors import (
    BulkSenderError,
    FileErrorCode,
    FileProblem,
    Forbidden,
    NotFound,
    ServiceMissing,
    SettingsProblem,
    TooManyTries,
)

ROOT = "/api/v1"
MEDIA_TYPE = "application/problem+json"
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="Bulk Sender"'}
_MOST_ERRORS = 20
_LONGEST_PLACE = 200


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem; its address leads to what it means."""

    name: str
    status: int
    title: str
    meaning: str

    @property
    def type(self) -> str:
        """How an answer names it."""
        return f"{ROOT}/problems/{self.name}"


UNREADABLE = Kind(
    "unreadable", 400, "The request cannot be read", "It is no JSON, or JSON with a name twice, or no multipart form."
)
UNKNOWN_CALLER = Kind(
    "unknown-caller",
    401,
    "Show who you are",
    "There is no API key in `Authorization: Bearer …`, or it is wrong or revoked, or its user is disabled.",
)
FORBIDDEN = Kind("forbidden", 403, "You may not do this", "The user for whom the key acts has not the right.")
NOT_FOUND = Kind("not-found", 404, "There is no such thing", "Nothing has that id, key or address.")
NO_METHOD = Kind("method-not-allowed", 405, "This cannot be done here", "The address is right, the method is not.")
TOO_SLOW = Kind("too-slow", 408, "The request came too slowly", "Its body did not come in the time that it may take.")
NOT_ALLOWED = Kind(
    "not-allowed",
    409,
    "That does not fit as it stands",
    "The thing is there, the act does not fit its state; nothing was changed. Look at it again, then decide again.",
)
UNDER_WAY = Kind(
    "under-way", 409, "The same request is under way", "Another one with this Idempotency-Key is not answered yet."
)
TOO_LARGE = Kind("too-large", 413, "Too large", "The body is larger than this address takes.")
NOT_THIS_FORM = Kind("unsupported-media-type", 415, "Not in this form", "The Content-Type is none that is taken here.")
INVALID = Kind("invalid", 422, "Something in the request is not right", "`errors` says what, and where.")
UNUSABLE_FILE = Kind(
    "unusable-file",
    422,
    "The file cannot be used",
    f"`code` says why: {', '.join(code.value for code in FileErrorCode)}.",
)
KEY_REUSED = Kind(
    "key-reused", 422, "The key belongs to another request", "This Idempotency-Key came with another request before."
)
TOO_MANY = Kind("too-many", 429, "Too many requests", "Wait as long as Retry-After says, then go on.")
FAULT = Kind("fault", 500, "Something broke", "A fault of ours; it is in the log, without what was sent.")
NOT_NOW = Kind("not-now", 503, "Not at the moment", "A server that this needs does not answer; try again later.")

KINDS = (
    UNREADABLE,
    UNKNOWN_CALLER,
    FORBIDDEN,
    NOT_FOUND,
    NO_METHOD,
    TOO_SLOW,
    NOT_ALLOWED,
    UNDER_WAY,
    TOO_LARGE,
    NOT_THIS_FORM,
    INVALID,
    UNUSABLE_FILE,
    KEY_REUSED,
    TOO_MANY,
    FAULT,
    NOT_NOW,
)
_BY_STATUS = {kind.status: kind for kind in reversed(KINDS)}


class Wrong(BaseModel):
    """One thing in a request that is not right."""

    where: str = Field(examples=["body/rows/3/email"])
    detail: str = Field(examples=["Input should be a valid string"])


class Problem(BaseModel):
    """Why something was not done, by RFC 9457."""

    type: str = Field(description="Its kind: an address that explains it.", examples=[NOT_ALLOWED.type])
    title: str = Field(description="The same for every problem of the kind.", examples=[NOT_ALLOWED.title])
    status: int = Field(examples=[NOT_ALLOWED.status])
    detail: str = Field(description="One sentence about this one.", examples=["Batch 7 was rejected; it is final."])
    code: FileErrorCode | None = Field(default=None, description="Why a file cannot be used.")
    errors: list[Wrong] | None = Field(default=None, description="What is not right in the request.")


class Refused(Exception):
    """A request that is answered with a problem of a certain kind."""

    def __init__(
        self, kind: Kind, detail: str, *, headers: Mapping[str, str] | None = None, errors: Sequence[Wrong] = ()
    ) -> None:
        """Keep what the answer says."""
        super().__init__(detail)
        self.kind = kind
        self.headers = headers
        self.errors = list(errors)


def answer(
    kind: Kind,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    code: FileErrorCode | None = None,
    errors: Sequence[Wrong] = (),
) -> Response:
    """The answer of a problem."""
    told = Problem(
        type=kind.type, title=kind.title, status=kind.status, detail=detail, code=code, errors=list(errors) or None
    )
    body = told.model_dump_json(exclude_none=True)
    return Response(body, status_code=kind.status, media_type=MEDIA_TYPE, headers=dict(headers or {}))


_OF_REFUSAL: tuple[tuple[type[BulkSenderError], Kind], ...] = (
    (FileProblem, UNUSABLE_FILE),
    (TooManyTries, TOO_MANY),
    (Forbidden, FORBIDDEN),
    (NotFound, NOT_FOUND),
    (ServiceMissing, NOT_NOW),
    (SettingsProblem, NOT_NOW),
    (BulkSenderError, NOT_ALLOWED),
)


def of_refusal(refusal: BulkSenderError) -> Response:
    """What the product refuses in words, as a problem."""
    kind = next(kind for of, kind in _OF_REFUSAL if isinstance(refusal, of))
    code = refusal.code if isinstance(refusal, FileProblem) else None
    headers = {}
    if isinstance(refusal, TooManyTries):
        headers["Retry-After"] = str(max(1, math.ceil((refusal.until - datetime.now(UTC)).total_seconds())))
    return answer(kind, str(refusal), headers=headers, code=code)


def of_fault() -> Response:
    """What is said of a fault inside: nothing but that it is one."""
    return answer(FAULT, "Something broke here. Try again; if it stays, tell an administrator the time of it.")


async def on_refusal(_request: Request, refusal: Exception) -> Response:
    """FastAPI's handler for what the product refuses."""
    assert isinstance(refusal, BulkSenderError)  # noqa: S101  it is registered for nothing else
    return of_refusal(refusal)


async def on_refused(_request: Request, refused: Exception) -> Response:
    """FastAPI's handler for `Refused`."""
    assert isinstance(refused, Refused)  # noqa: S101  same
    return answer(refused.kind, str(refused), headers=refused.headers, errors=refused.errors)


async def on_invalid(_request: Request, fault: Exception) -> Response:
    """FastAPI's handler for requests that are not as the document says."""
    assert isinstance(fault, RequestValidationError)  # noqa: S101  same
    return invalid(fault.errors())


async def on_unkept(_request: Request, _fault: Exception) -> Response:
    """FastAPI's handler for a text that the database cannot keep."""
    return answer(INVALID, "Something in the request cannot be kept. Leave out what is no letter or sign.")


async def on_http(_request: Request, fault: Exception) -> Response:
    """FastAPI's handler for addresses and methods that there are none of, and for forms that cannot be read."""
    assert isinstance(fault, HTTPException)  # noqa: S101  same
    kind = _BY_STATUS.get(fault.status_code, UNREADABLE)
    details = {
        NOT_FOUND: f"There is nothing at this address. See what there is: {ROOT}/openapi.json",
        NO_METHOD: f"This address does not take that method. See what it takes: {ROOT}/openapi.json",
    }
    return answer(kind, details.get(kind, f"{kind.meaning} Correct it and send it again."), headers=fault.headers)


def invalid(errors: Sequence[Mapping[str, Any]]) -> Response:
    """What Pydantic found, without the values that it found it in."""
    told = [wrong(one["loc"], one["msg"]) for one in errors[:_MOST_ERRORS]]
    more = f" These are the first {_MOST_ERRORS} of {len(errors):,}." if len(errors) > _MOST_ERRORS else ""
    return answer(INVALID, f"The request is not as it must be; `errors` says where. Correct it.{more}", errors=told)


def wrong(place: Sequence[object], detail: str) -> Wrong:
    """One error by its place."""
    where = "/".join(str(part) for part in place).encode("utf-8", "replace").decode()
    return Wrong(where=where[:_LONGEST_PLACE], detail=detail)


def errors(*kinds: Kind) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may have these problems, beside what every route may have."""
    return {kind.status: {"description": kind.title} for kind in kinds}
