"""How a channel knows requests and their members again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Person:
    """One member of a request, as far as it takes to look them up.

    Attributes:
        address: normalised email address or E.164 number.
        link: their personal link.
    """

    address: str
    link: str


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
