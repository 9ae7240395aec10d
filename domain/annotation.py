"""What the operator reads beside each row of their own file: sent or not, why, by which channel, when; delivered or not."""

from __future__ import annotations

from typing import Literal

import polars as pl

from domain.frames import PROBLEM, ROW, STATUSES, VISITS
from domain.rules import Severity

Stage = Literal["check", "send"]

CHANNELS = {"email": "Email", "sms": "SMS"}
STATES = {
    "accepted": "Sent",
    "in_doubt": "In doubt",
    "unresolved": "Unresolved",
    "pending": "Waiting",
    "stopped": "Stopped",
    "held": "Held",
    "failed": "Not sent",
}
"""State of a message -> what its row says. Of several messages the first in this order speaks for the row."""
REASONS = {
    "failed": "not sent",
    "in_doubt": "sent, but the provider's answer was lost; it is being looked up",
    "unresolved": "perhaps sent; nothing could be found out about it",
    "pending": "waiting to be sent",
    "stopped": "not sent, because the batch was rejected before",
    "held": "not written to",
}
"""What the detail says where nothing better is known."""
DELIVERIES = {
    "delivered": "Delivered",
    "accepted": "Waiting for a report",
    "deferred": "Delayed",
    "silent": "Sent; no report of delivery",
    "opted_out": "Opted out",
    "bounced": "Bounced",
    "undelivered": "Undelivered",
    "dropped": "Dropped",
    "failed": "Failed",
}
"""Delivery of an accepted message -> what its row says. Of several messages the first in this order speaks."""
ROW_OF_PROBLEM = r"^Row (\d+): "
"""The number of the row in the text of its problem."""


NO_VISITS = pl.DataFrame(schema=VISITS)


def annotate(
    recipients: pl.DataFrame,
    problems: pl.DataFrame,
    messages: pl.DataFrame,
    *,
    stage: Stage,
    visits: pl.DataFrame = NO_VISITS,
) -> pl.DataFrame:
    """Put what is known of each row into words.

    Args:
        recipients: RECIPIENTS, n rows.
        problems: PROBLEMS of these rows.
        messages: MESSAGES, at most one per recipient and channel; a valid row without any is waiting. Not read
            at the stage `check`.
        stage: `check` before anything may be sent (Ready, Problem), `send` from the approval on.
        visits: VISITS, at most one per row. Not read at the stage `check`.

    Returns:
        STATUSES, the same n rows in the same order; no text begins like a formula.
    """
    known = _of_rows(recipients, problems)
    if stage == "check":
        status = pl.when("valid").then(pl.lit("Ready")).otherwise(pl.lit("Problem"))
        nothing = pl.lit(None, pl.String)
        return _statuses(known, status, pl.col("problems"), *[nothing] * 8)
    known = known.join(_of_messages(messages), on=ROW, how="left", maintain_order="left")
    known = known.join(visits, on=ROW, how="left", maintain_order="left")
    ranked = pl.col("rank").replace_strict(dict(enumerate(STATES.values())), default=None, return_dtype=pl.String)
    unsent = pl.when("valid").then(pl.lit("Waiting")).otherwise(pl.lit("Not sent"))
    detail = pl.concat_str("problems", "details", separator=" ", ignore_nulls=True)
    delivery = pl.col("step").replace_strict(dict(enumerate(DELIVERIES.values())), default=None, return_dtype=pl.String)
    told = (pl.col(name) for name in ("channels", "sent_at"))
    reported = (pl.col(name) for name in ("delivery_details", "delivery_at"))
    did = (pl.col(name) for name in list(VISITS)[1:])
    return _statuses(known, pl.coalesce(ranked, unsent), detail, *told, delivery, *reported, *did)


def bad_rows(problems: pl.DataFrame) -> pl.DataFrame:
    """Say of each row that is not valid what must be corrected; a warning is no reason.

    Args:
        problems: PROBLEMS, ordered by row.

    Returns:
        BAD_ROWS, in the same order; `ROW_OF_PROBLEM` finds the row's number in its text.
    """
    errors = problems.filter(severity=Severity.ERROR.value).group_by(ROW, maintain_order=True)
    said = errors.agg(pl.col("message").str.join(" "))
    return said.select(ROW, pl.format("Row {}: {}", ROW, "message").alias(PROBLEM))


def _of_rows(recipients: pl.DataFrame, problems: pl.DataFrame) -> pl.DataFrame:
    """`row`, `valid` and the sentences of its problems."""
    said = problems.group_by(ROW, maintain_order=True).agg(pl.col("message").str.join(" ").alias("problems"))
    return recipients.select(ROW, "valid").join(said, on=ROW, how="left", maintain_order="left")


def _of_messages(messages: pl.DataFrame) -> pl.DataFrame:
    """One line a row: what was sent, and how far it has come.

    `rank` of the best state, `details`, `channels` that were accepted, first `sent_at`; `step` of the best
    delivery, `delivery_details`, and when the best came about.
    """
    channel = pl.col("channel").replace_strict(CHANNELS, default=pl.col("channel"))
    why = pl.coalesce("detail", pl.col("state").replace_strict(REASONS, default=None, return_dtype=pl.String))
    accepted = pl.col("state") == "accepted"
    ranks = {state: rank for rank, state in enumerate(STATES)}
    steps = {delivery: step for step, delivery in enumerate(DELIVERIES)}
    delivery = pl.when(accepted | pl.col("delivery").is_not_null()).then(pl.col("delivery").fill_null("accepted"))
    told = messages.select(
        ROW,
        "channel",
        rank=pl.col("state").replace_strict(ranks, return_dtype=pl.Int64),
        detail=pl.when(~accepted).then(pl.concat_str(channel, pl.lit(": "), _sentence(why))),
        accepted=pl.when(accepted).then(channel),
        sent_at=pl.when(accepted).then("sent_at"),
        step=delivery.replace_strict(steps, return_dtype=pl.Int64),
        delivery_detail=pl.concat_str(channel, pl.lit(": "), _sentence(pl.col("delivery_detail"))),
        delivery_at=pl.when(~pl.col("delivery").is_in(["accepted", "silent"])).then("delivery_at"),
    )
    several = told[ROW].is_duplicated()
    best = pl.col("step") == pl.col("step").min()
    # Almost always one message a row: only the others are worth a group each.
    grouped = told.filter(several).sort(ROW, "channel", maintain_order=True).group_by(ROW, maintain_order=True)
    together = grouped.agg(
        pl.col("rank").min(),
        pl.col("detail").drop_nulls().str.join(" ").alias("details"),
        pl.col("accepted").drop_nulls().str.join(", ").alias("channels"),
        pl.col("sent_at").min(),
        pl.col("delivery_detail").drop_nulls().str.join(" ").alias("delivery_details"),
        pl.col("delivery_at").filter(best).min(),
        pl.col("step").min(),
    )
    names = {"detail": "details", "accepted": "channels", "delivery_detail": "delivery_details"}
    alone = told.filter(~several).rename(names).select(together.columns)
    return pl.concat([alone, together])


def _sentence(text: pl.Expr) -> pl.Expr:
    """With a full stop, unless it ends like a sentence."""
    return pl.when(text.str.contains(r"[.!?…]$")).then(text).otherwise(text + ".")


def _statuses(known: pl.DataFrame, *texts: pl.Expr) -> pl.DataFrame:
    """STATUSES of these texts, one a column."""
    named = zip(list(STATUSES)[1:], texts, strict=True)
    return known.select(ROW, *(pl.when(text != "").then(text).alias(name) for name, text in named))
