"""The API as an app of its own: it knows no cookies, and whatever goes wrong is a problem that is documented."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, FastAPI
from fastapi import Path as InPath
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException

from console.api import acts, batches, checks, platform, problems, processes, recipients, suppressions
from console.api.bodies import BatchForm, BatchRows, CorrectionForm, FileForm, Rows
from console.api.door import Caller, Door, bearer
from console.api.once import NAME
from console.api.problems import (
    FAULT,
    FORBIDDEN,
    INVALID,
    KINDS,
    MEDIA_TYPE,
    NOT_FOUND,
    NOT_THIS_FORM,
    ROOT,
    TOO_LARGE,
    TOO_MANY,
    TOO_SLOW,
    UNDER_WAY,
    UNKNOWN_CALLER,
    UNREADABLE,
    Kind,
    Problem,
    Refused,
)
from console.api.strict import StrictRoute
from deployments.surroundings import Surroundings
from domain.errors import BulkSenderError, NotFound
from domain.rights import Right, Role

ROOMS = (processes, checks, batches, acts, recipients, suppressions, platform)
_TAGS = [
    {"name": "processes", "description": "What batches are made for."},
    {"name": "checks", "description": "Judging a list without making a batch of it."},
    {"name": "batches", "description": "Making, watching and downloading batches."},
    {"name": "acts", "description": "What is done with a batch. Each may carry an Idempotency-Key."},
    {"name": "recipients", "description": "Single people."},
    {"name": "suppressions", "description": "Addresses that must not be written to."},
    {"name": "platforms", "description": "For a process's own platform."},
    {"name": "about", "description": "The API itself."},
]
_ABOUT = f"""Send a personal link to everyone on a list, by email or SMS, and know what became of each.

Every call shows an API key as `Authorization: Bearer bsk_…`; it acts as the user for whom it was made, and has their rights.
Whatever is refused is answered with `{MEDIA_TYPE}` (RFC 9457). Lists come in pages: `next` is the `cursor` of the next one."""
_FORMS: tuple[type[BaseModel], ...] = (FileForm, Rows, BatchForm, BatchRows, CorrectionForm, Problem)
_REFERENCE = "#/components/schemas/{model}"


class Me(BaseModel):
    """For whom a key acts."""

    email: str
    role: Role
    key: str
    rights: list[Right]


class Meaning(BaseModel):
    """What a kind of problem means."""

    type: str
    title: str
    status: int
    meaning: str


def make_api(around: Surroundings) -> FastAPI:
    """The API over one database and storage, to be mounted at `/api/v1`."""
    api = FastAPI(
        title="Bulk Sender",
        version="1",
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        openapi_tags=_TAGS,
        servers=[{"url": ROOT}],
        root_path_in_servers=False,
        redirect_slashes=False,  # it would lead to whatever host the request names
    )
    api.add_middleware(Door, around=around)
    api.add_exception_handler(BulkSenderError, problems.on_refusal)
    api.add_exception_handler(Refused, problems.on_refused)
    api.add_exception_handler(RequestValidationError, problems.on_invalid)
    api.add_exception_handler(HTTPException, problems.on_http)
    api.add_exception_handler(DataError, problems.on_unkept)
    api.router.route_class = StrictRoute
    for room in ROOMS:
        api.include_router(room.routes(around), dependencies=[Depends(bearer)])

    @api.get("/me", tags=["about"], summary="Show for whom your key acts", dependencies=[Depends(bearer)])
    def me(who: Caller) -> Me:
        return Me(
            email=who.email,
            role=who.role,
            key=who.via.removeprefix("API "),
            rights=[right for right in Right if who.may(right)],
        )

    @api.get("/problems/{name}", tags=["about"], summary="Explain a kind of problem", description="Needs no key.")
    def explain(name: Annotated[str, InPath(max_length=100, examples=[NOT_FOUND.name])]) -> Meaning:
        for kind in KINDS:
            if kind.name == name:
                return Meaning(type=kind.type, title=kind.title, status=kind.status, meaning=kind.meaning)
        raise NotFound("There is no problem of that kind.")

    document: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not document:
            document.update(_documented(api))
        return document

    api.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way
    return api


def _documented(api: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the forms that routes read themselves, and every problem that an operation may have."""
    found = get_openapi(
        title=api.title,
        version=api.version,
        description=api.description,
        routes=api.routes,
        tags=api.openapi_tags,
        servers=api.servers,
    )
    _, forms = models_json_schema([(form, "validation") for form in _FORMS], ref_template=_REFERENCE)
    schemas = found["components"]["schemas"]
    for name, schema in forms["$defs"].items():
        schemas.setdefault(name, schema)
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for operations in found["paths"].values():
        for operation in operations.values():
            _add_problems(operation)
    return found


def _add_problems(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    for kind in _usual(operation):
        if kind is INVALID or str(kind.status) not in responses:
            responses[str(kind.status)] = {"description": kind.title}
    for status, response in responses.items():
        if int(status) >= UNREADABLE.status:
            response["content"] = {MEDIA_TYPE: {"schema": {"$ref": _REFERENCE.format(model=Problem.__name__)}}}
    operation["responses"] = dict(sorted(responses.items()))


def _usual(operation: dict[str, Any]) -> list[Kind]:
    """What may be wrong with a call, from what the operation takes."""
    parameters = operation.get("parameters", [])
    kinds = [FAULT]
    if "security" in operation:
        kinds += [UNKNOWN_CALLER, FORBIDDEN, TOO_MANY]
    if parameters or "requestBody" in operation:
        kinds.append(INVALID)
    if any(parameter["in"] == "path" for parameter in parameters):
        kinds.append(NOT_FOUND)
    if "requestBody" in operation:
        kinds += [UNREADABLE, TOO_SLOW, TOO_LARGE, NOT_THIS_FORM]
    if any(parameter["name"] == NAME for parameter in parameters):
        kinds.append(UNDER_WAY)
    return kinds
