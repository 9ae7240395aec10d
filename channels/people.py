"""What a channel is given of a recipient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Person:
    """One member of a request.

    Attributes:
        row: the recipient's row, the only thing of a person that a provider stores as metadata.
        address: normalised email address or E.164 number.
        values: data items as text, and the link.
    """

    row: int
    address: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Label:
    """How we know a request again in what a provider says later; holds nothing personal.

    Attributes:
        batch: the batch's random id.
        request: the request's number in the batch.
    """

    batch: str
    request: int

    @property
    def unit(self) -> str:
        """Names this request among those of all batches."""
        return f"{self.batch}-{self.request}"
