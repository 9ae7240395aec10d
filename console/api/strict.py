"""JSON as programs send it, read strictly: what two readers could take for two things is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute

from console.api import problems
from console.api.problems import Refused

JSON = "application/json"
_LONGEST_NUMBER = 100


class Number(str):
    """A number as it was written: no digit of it is lost."""

    __slots__ = ()


def media_type(request: Request) -> str:
    """What the body is said to be, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def read_json(body: bytes, *, as_written: bool = False) -> Any:  # noqa: ANN401  JSON is anything
    """What a body says.

    Args:
        body: the bytes.
        as_written: numbers become `Number`.

    Raises:
        Refused: it is no JSON by RFC 8259, or has a name twice in an object.
    """
    try:
        orjson.loads(body)  # refuses NaN, half characters, other encodings and endless depth, which the other one takes
        if as_written:
            return json.loads(body, object_pairs_hook=_object, parse_int=_number, parse_float=_number)
        return json.loads(body, object_pairs_hook=_object)
    except (ValueError, RecursionError) as fault:
        raise Refused(
            problems.UNREADABLE, "The body is no JSON that can be read. Correct it and send it again."
        ) from fault


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Refused(problems.UNREADABLE, "An object in the body has the same name twice. Say each thing once.")
    return found


def _number(text: str) -> Number:
    if len(text) > _LONGEST_NUMBER:
        raise Refused(
            problems.UNREADABLE, f"A number in the body has more than {_LONGEST_NUMBER} characters. Send it as text."
        )
    return Number(text)


class _Strict(Request):
    async def json(self) -> Any:  # noqa: ANN401  as the base says
        return read_json(await self.body())


class StrictRoute(APIRoute):
    """A route whose body, if it has one, is JSON and is called so."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The usual one, over a strict reader."""
        usual = super().get_route_handler()
        takes_body = self.body_field is not None

        async def handle(request: Request) -> Response:
            strict = _Strict(request.scope, request.receive)
            if takes_body and await strict.body() and media_type(request) != JSON:
                raise Refused(problems.NOT_THIS_FORM, f"The body must be {JSON}, and Content-Type must say so.")
            return await usual(strict)

        return handle
