"""What a personal link shows, from what is known of it and the present moment."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import polars as pl

from domain.processes import DataItem, ProcessDefinition
from domain.understanding import understand

TRIES_AT_ONCE = 5
"""Of the second factor, before it is locked."""
FIRST_LOCK = timedelta(minutes=15)
LONGEST_LOCK = timedelta(days=1)
_LONGER_EACH_TIME = 4
FACTOR_GOOD_FOR = timedelta(minutes=30)
CODE_GOOD_FOR = timedelta(seconds=90)

SCANNERS = re.compile(
    r"(?<!cu)bot\b|scan|crawl|spider|preview|headless|facebookexternalhit|whatsapp|imageproxy|slack-img"
    r"|barracuda|bitdefender|cloudmark|fortinet|mimecast|proofpoint|safelinks|sophos|symantec|trendmicro|urldefense"
    r"|curl/|wget|python|okhttp|go-http-client|java/|libwww",
    re.IGNORECASE,
)
"""What programs call themselves that open links without anybody, to scan or to preview them. (Cubot makes phones.)"""


class Standing(StrEnum):
    """What becomes of somebody who comes with a link."""

    OPEN = "open"
    """They see the form, or go on to the process's own platform."""
    DONE = "done"
    """It was used; who sends the form again is thanked again, and nothing else shows."""
    CLOSED = "closed"
    """They see that the link cannot be opened, and never why."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one link.

    Attributes:
        is_valid: the row was judged good.
        was_sent: a message with it may have left.
        is_approved: its batch is to be sent.
        sent_at: when a provider first accepted it; None where that is not known.
        link_days: what its process says.
        batch_expires_at: what somebody decided for its batch, in place of that.
        is_revoked: it was ended by itself or with its batch.
        is_completed: its form was sent, or its platform said so.
    """

    is_valid: bool = False
    was_sent: bool = False
    is_approved: bool = False
    sent_at: datetime | None = None
    link_days: int | None = None
    batch_expires_at: datetime | None = None
    is_revoked: bool = False
    is_completed: bool = False


NOTHING_KNOWN = Facts()
"""Of a link that was never made."""


def standing(facts: Facts, *, now: datetime) -> Standing:
    """What a link shows now."""
    if not (facts.is_valid and (facts.is_approved or facts.was_sent)) or facts.is_revoked:
        return Standing.CLOSED
    if facts.is_completed:
        return Standing.DONE
    ends = expires_at(facts)
    return Standing.CLOSED if ends is not None and ends <= now else Standing.OPEN


def expires_at(facts: Facts) -> datetime | None:
    """When a link ends: the batch's own day, else so many days after it was sent; None for never."""
    if facts.batch_expires_at is not None:
        return facts.batch_expires_at
    if facts.link_days is None or facts.sent_at is None:
        return None
    return facts.sent_at + timedelta(days=facts.link_days)


def lock_after(tries: int) -> timedelta | None:
    """For how long the second factor is locked after so many wrong tries; longer each time, None where it is not."""
    if tries == 0 or tries % TRIES_AT_ONCE:
        return None
    lock = FIRST_LOCK
    for _ in range(tries // TRIES_AT_ONCE - 1):
        lock = min(lock * _LONGER_EACH_TIME, LONGEST_LOCK)
    return lock


def is_scanner(user_agent: str | None) -> bool:
    """Whether a program that opens links by itself says so; who says nothing is taken for one."""
    return not user_agent or SCANNERS.search(user_agent) is not None


def same_factor(item: DataItem, entered: str, known: str, *, definition: ProcessDefinition) -> bool:
    """Whether somebody knows a data item's value, however they spell it; takes the same time wherever they are wrong.

    Args:
        item: the second factor.
        entered: as a person wrote it.
        known: the canonical value; nobody knows an empty one.
        definition: for the region of phone numbers.
    """
    one, other = (_comparable(item, text, definition=definition) for text in (entered, known))
    return hmac.compare_digest(one.encode(), other.encode()) and bool(other)


def _comparable(item: DataItem, text: str, *, definition: ProcessDefinition) -> str:
    """Canonical where it is understood, as written elsewhere; without case and needless spaces."""
    cell = pl.Series([text.strip() or None], dtype=pl.String)
    meant = understand(cell, item, definition=definition)["value"].item()
    return " ".join((meant or text).casefold().split())
