"""The books of a batch: every row of the file accounted for, channel by channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Account:
    """What became of the rows of a file on one channel; each row stands in exactly one of these."""

    sent: int = 0
    """Taken by the provider."""
    failed: int = 0
    """Refused by the provider for good."""
    held: int = 0
    """Left out: the address must not be written to."""
    stopped: int = 0
    """Not sent, because the batch was rejected before."""
    unresolved: int = 0
    """Perhaps sent; no evidence was found."""
    in_doubt: int = 0
    """Perhaps sent; evidence is being looked for."""
    pending: int = 0
    """Still to be sent."""
    no_address: int = 0
    """A good row that has no address on this channel."""
    rejected: int = 0
    """A row that could not be used."""

    @property
    def total(self) -> int:
        """All rows that are accounted for."""
        return sum(getattr(self, one.name) for one in fields(self))

    @property
    def is_closed(self) -> bool:
        """Whether nothing is open any more."""
        return not (self.in_doubt or self.pending)


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The accounts of a batch by channel, over the rows of its file."""

    rows: int
    channels: dict[str, Account]

    @property
    def balances(self) -> bool:
        """Whether every row is accounted for once on every channel."""
        return all(account.total == self.rows for account in self.channels.values())

    @property
    def is_closed(self) -> bool:
        """Whether nothing is open on any channel."""
        return all(account.is_closed for account in self.channels.values())


WORDS = {
    "sent": "Sent",
    "failed": "Refused by the provider",
    "held": "Held back (suppressed)",
    "stopped": "Stopped",
    "unresolved": "Unresolved",
    "in_doubt": "In doubt",
    "pending": "Waiting",
    "no_address": "No address here",
    "rejected": "Row not usable",
}
"""What people read for each part of an account, in the order in which to read them."""


def lines(books: Reconciliation, *, names: Mapping[str, str]) -> list[tuple[str, str]]:
    """The books as pairs of a label and a number, for a sheet or a page.

    Args:
        books: the accounts.
        names: what people call each channel.
    """
    found = []
    for channel, account in books.channels.items():
        name = names.get(channel, channel)
        parts = ((word, getattr(account, part)) for part, word in WORDS.items())
        found += [(f"{name}: {word}", f"{number:,}") for word, number in parts if number]
        found.append((f"{name}: all rows", f"{account.total:,} of {books.rows:,}"))
    return found


def as_markdown(books: Reconciliation, *, names: Mapping[str, str]) -> str:
    """The books as a table, one column a channel."""
    channels = list(books.channels)
    head = ["", *(names.get(channel, channel) for channel in channels)]
    body = [
        [word, *(f"{getattr(books.channels[channel], part):,}" for channel in channels)]
        for part, word in WORDS.items()
        if any(getattr(books.channels[channel], part) for channel in channels)
    ]
    total = ["**All rows**", *(f"**{books.channels[channel].total:,}**" for channel in channels)]
    table = [head, ["---", *("---:" for _ in channels)], *body, total]
    said = "Every row of the file is accounted for." if books.balances else "**The books do not balance.**"
    return "\n".join(["| " + " | ".join(line) + " |" for line in table] + ["", said])
