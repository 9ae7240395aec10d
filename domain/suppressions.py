"""Addresses that must not be written to: what brings that about, what ends it, and what it means for a list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

import polars as pl

from domain.deliveries import Kind, Saying
from domain.findings import Judged
from domain.frames import PROBLEMS, ROW
from domain.processes import DataItem, ProcessDefinition
from domain.rules import SUPPRESSED, Severity
from domain.splitting import EMAIL, SMS


class SuppressionKind(StrEnum):
    """Why an address must not be written to, the gravest last."""

    BOUNCED = "bounced"
    """An earlier message was refused for good."""
    ENTERED = "entered"
    """A person put it on the list."""
    OPTED_OUT = "opted_out"
    """Its owner wants no more."""
    REPORTED = "reported"
    """Its owner called an earlier message spam."""


WORDS: Mapping[SuppressionKind, str] = MappingProxyType(
    {
        SuppressionKind.BOUNCED: "an earlier message was refused for good",
        SuppressionKind.ENTERED: "it was put on the list of suppressions",
        SuppressionKind.OPTED_OUT: "the person opted out",
        SuppressionKind.REPORTED: "the person reported an earlier message as spam",
    }
)


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing that suppresses an address, or that ends it; the later of both holds.

    Attributes:
        channel: email or sms.
        address: as recipients' addresses are normalised.
        kind: of the suppression.
        at: when it happened.
        ends: whether it ends the suppression.
        batch_id: the batch whose message brought it about.
        row: the recipient there.
        by: the person who entered or removed it.
    """

    channel: str
    address: str
    kind: SuppressionKind
    at: datetime
    ends: bool = False
    batch_id: int | None = None
    row: int | None = None
    by: str | None = None


# What SendGrid drops for an earlier bounce, report or opt-out, it would drop again. Twilio's 30004 is not
# here: a carrier that blocks this sender or this text may let the next one through.
_BY_CODE: Mapping[str, SuppressionKind] = MappingProxyType(
    {
        "unsubscribed": SuppressionKind.OPTED_OUT,
        "21610": SuppressionKind.OPTED_OUT,
        "reported_before": SuppressionKind.REPORTED,
        "bounced_before": SuppressionKind.BOUNCED,
        "invalid": SuppressionKind.BOUNCED,
        "30005": SuppressionKind.BOUNCED,
        "30006": SuppressionKind.BOUNCED,
    }
)
_BY_KIND: Mapping[Kind, SuppressionKind] = MappingProxyType(
    {
        Kind.BOUNCED: SuppressionKind.BOUNCED,
        Kind.REPORTED: SuppressionKind.REPORTED,
        Kind.OPTED_OUT: SuppressionKind.OPTED_OUT,
        Kind.OPTED_IN: SuppressionKind.OPTED_OUT,
    }
)
_REFUSALS = frozenset({Kind.DROPPED, Kind.UNDELIVERED, Kind.FAILED})


def suppression_of(said: Saying) -> SuppressionKind | None:
    """What a receipt suppresses; of `OPTED_IN`, what it ends."""
    if said.kind in _REFUSALS:
        return _BY_CODE.get(said.code or "")
    return _BY_KIND.get(said.kind)


def leave_out(judged: Judged, suppressed: pl.DataFrame, definition: ProcessDefinition) -> Judged:
    """Take suppressed addresses from the recipients, and say so of each row.

    A row with another address is sent there, with a warning; one without is not valid. The
    values of its items stay as they are.

    Args:
        judged: the rows as the rules judged them.
        suppressed: SUPPRESSIONS.
        definition: names the items that hold the addresses.
    """
    spared, held = judged.recipients, []
    for channel, item in ((EMAIL, definition.email_item), (SMS, definition.phone_item)):
        if item is not None:
            found = held_back(spared, suppressed, channel=channel)
            spared = without(spared, found, channel=channel)
            held.append((item, found))
    if all(found.is_empty() for _, found in held):
        return judged
    reached = pl.any_horizontal(pl.col("email", "phone").is_not_null())
    spared = spared.with_columns(valid=pl.col("valid") & reached)
    valid = spared.select(ROW, "valid")
    problems = pl.concat([judged.problems, *(_problems(found.join(valid, on=ROW), item) for item, found in held)])
    return Judged(recipients=spared, problems=problems.sort(ROW, maintain_order=True))


def _problems(held: pl.DataFrame, item: DataItem) -> pl.DataFrame:
    """PROBLEMS of rows whose address is held back: a warning where the row is still valid."""
    before, after = SUPPRESSED.of_row.format(item=item.name, why="\0").split("\0")
    severity = pl.when("valid").then(pl.lit(Severity.WARNING.value)).otherwise(pl.lit(Severity.ERROR.value))
    return held.select(
        ROW,
        item=pl.lit(item.name),
        code=pl.lit(SUPPRESSED.code),
        message=pl.concat_str(pl.lit(before), "why", pl.lit(after)),
        severity=severity,
    ).select(list(PROBLEMS))


def held_back(recipients: pl.DataFrame, suppressed: pl.DataFrame, *, channel: str) -> pl.DataFrame:
    """The recipients whose address on a channel is suppressed.

    Args:
        recipients: RECIPIENTS.
        suppressed: SUPPRESSIONS.
        channel: email or sms.

    Returns:
        `row, why`, in the order of the recipients; `why` names the kind and the day.
    """
    words = {kind.value: text for kind, text in WORDS.items()}
    why = suppressed.filter(channel=channel).select(
        "address",
        why=pl.concat_str(
            pl.col("kind").replace_strict(words, return_dtype=pl.String), pl.lit(" on "), pl.col("on").cast(pl.String)
        ),
    )
    address = pl.col(_address(channel))
    asked = recipients.filter(address.is_not_null()).select(ROW, address=address.str.to_lowercase())
    return asked.join(why, on="address", how="inner", maintain_order="left").select(ROW, "why")


def without(recipients: pl.DataFrame, held: pl.DataFrame, *, channel: str) -> pl.DataFrame:
    """The recipients, with no address on a channel where it is held back."""
    address = _address(channel)
    return recipients.with_columns(pl.when(~pl.col(ROW).is_in(held[ROW].implode())).then(address).alias(address))


def _address(channel: str) -> str:
    return "email" if channel == EMAIL else "phone"
