"""Texts and numbers as parameters and bodies hold them, with their limits; and the cursors of paged lists."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from console.api import problems
from console.api.problems import Refused, Wrong
from domain.proofs import is_same, keyed

NO_ZERO = r"^[^\x00]*$"
"""PostgreSQL keeps no text with a zero byte."""

_MARK = 32

BatchId = Annotated[int, Path(ge=1, le=2**31 - 1, description="The batch's number.", examples=[7])]
Row = Annotated[
    int,
    Path(ge=1, le=2**31 - 1, description="The row's number in the file, as a spreadsheet shows it.", examples=[2]),
]
Limit = Annotated[int, Query(ge=1, le=200, description="How many at most.")]
Cursor = Annotated[
    str | None, Query(max_length=2000, pattern=r"^[A-Za-z0-9_=-]+$", description="`next` of the page before.")
]
Search = Annotated[str, Query(max_length=200, pattern=NO_ZERO)]
Key = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=NO_ZERO)]
Comment = Annotated[str, StringConstraints(max_length=2000, pattern=NO_ZERO)]


class Asked(BaseModel):
    """A body; names that it does not know are refused."""

    model_config = ConfigDict(extra="forbid")


class Said(Asked):
    """What somebody says about what they do."""

    comment: Comment = Field(default="", description="Kept in the history.", examples=["Checked with marketing."])


@dataclass(frozen=True, slots=True)
class Cursors:
    """Where the next page of a list begins; nobody should read anything into one, and nobody else makes one.

    Attributes:
        secret: the installation's.
        name: of the list and all that its order depends on.
    """

    secret: bytes
    name: str

    def to(self, *place: str | int) -> str:
        """The cursor of a place."""
        told = orjson.dumps(place).decode()
        return urlsafe_b64encode(f"{self._mark(told)}{told}".encode()).decode()

    def place(self, text: str | None) -> list[Any] | None:
        """The place of a cursor; None for the first page.

        Raises:
            Refused: it is no cursor of this list.
        """
        if text is None:
            return None
        with suppress(ValueError):
            found = urlsafe_b64decode(text).decode()
            mark, told = found[:_MARK], found[_MARK:]
            if is_same(mark, self._mark(told)):
                return list(orjson.loads(told))
        raise Refused(
            problems.INVALID,
            "The cursor is none that this list gave. Take `next` as it is, with the same filter and order.",
            errors=[Wrong(where="query/cursor", detail="It is no cursor of this list.")],
        )

    def _mark(self, told: str) -> str:
        return keyed(self.secret, "cursor", self.name, told)[:_MARK]
