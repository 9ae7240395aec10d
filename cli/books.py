"""`bulk-sender batch`, the part that accounts for people: the books, and what is unresolved in them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from cli.batch import VIA, AsJson, By, Comment, Id
from cli.output import complain, say, show_json, show_table
from deployments.surroundings import surroundings
from deployments.views import doubts_view
from domain.annotation import CHANNELS
from domain.reconciliation import WORDS
from domain.rights import Right
from models import batches, processes
from models.reconciliation import reconcile

_ROWS_SHOWN = 12


def reconciliation(batch_id: Id, as_json: AsJson = False) -> None:
    """Account for every row of the file, channel by channel."""
    with surroundings().database.read() as session:
        batch = batches.by_id(session, batch_id)
        definition = processes.definition_of(processes.version_by_id(session, batch.process_version_id))
        books = reconcile(session, batch, channels=definition.channels)
    if as_json:
        show_json(
            {
                "rows": books.rows,
                "balances": books.balances,
                "closed": books.is_closed,
                "channels": {channel: asdict(account) for channel, account in books.channels.items()},
            }
        )
        return
    accounts = list(books.channels.values())
    show_table(
        ("", *(CHANNELS[channel] for channel in books.channels)),
        [
            *(
                (word, *(f"{getattr(account, part):,}" for account in accounts))
                for part, word in WORDS.items()
                if any(getattr(account, part) for account in accounts)
            ),
            ("All rows", *(f"{account.total:,} of {books.rows:,}" for account in accounts)),
        ],
    )
    if not books.balances:
        complain(f"The books of batch {batch_id} do not balance. Keep its database as it is and report this.")
        raise typer.Exit(1)


def unresolved(batch_id: Id, as_json: AsJson = False) -> None:
    """List what may or may not have been sent, whom it is for, and what was found out about it."""
    with surroundings().database.read() as session:
        batches.by_id(session, batch_id)
        found = doubts_view(session, batch_id)
    if as_json:
        show_json(found)
        return
    if not found:
        say(f"Batch {batch_id} has nothing unresolved.")
        return
    show_table(
        ("Request", "State", "Channel", "Rows", "Asked at", "What happened", "Looked up"),
        [
            (
                one["request"],
                one["state"].replace("_", " "),
                CHANNELS[one["channel"]],
                _some(one["rows"]),
                (one["asked_at"] or "")[:19].replace("T", " "),
                one["detail"] or "",
                _read(one["lookups"]),
            )
            for one in found
        ],
    )
    if any(one["state"] == "unresolved" for one in found):
        say(
            f"Decide about the unresolved ones: bulk-sender batch settle {batch_id} --as sent --by EMAIL, or --as resend "
            "to send them once more, by which some may get theirs twice."
        )
    if any(one["state"] == "in_doubt" for one in found):
        say("What is in doubt is still being looked up.")


def settle(
    batch_id: Id,
    decided: Annotated[
        str, typer.Option("--as", metavar="sent|resend", help="sent: count as sent. resend: send once more.")
    ],
    by: By,
    request: Annotated[
        list[int] | None, typer.Option("--request", help="Only this request; may be given again.")
    ] = None,
    comment: Comment = "",
    as_json: AsJson = False,
) -> None:
    """Decide about what is unresolved; the decision is recorded."""
    from deployments import acts

    if decided not in set(acts.Settled):
        raise typer.BadParameter(f"{decided!r} is neither sent nor resend.", param_hint="--as")
    how = acts.Settled(decided)
    around = surroundings()
    who = acts.acting(around, by, Right.DECIDE, what="The approver", via=VIA, comment=comment)
    number = acts.settle(around, batch_id, how, numbers=request or [], who=who)
    if as_json:
        show_json({"id": batch_id, "settled": number, "as": decided})
    elif how is acts.Settled.SENT:
        say(f"{number:,} unresolved requests of batch {batch_id} count as sent now.")
    else:
        say(f"{number:,} unresolved requests of batch {batch_id} are sent once more.")


def _some(rows: list[int]) -> str:
    more = f" and {len(rows) - _ROWS_SHOWN:,} more" if len(rows) > _ROWS_SHOWN else ""
    return ", ".join(map(str, rows[:_ROWS_SHOWN])) + more


def _read(lookups: list[dict[str, object]]) -> str:
    if not lookups:
        return "not yet"
    last = lookups[-1]
    answer = {True: "found", False: "not found", None: "no answer"}[last["found"]]  # type: ignore[index]
    return f"{len(lookups)} times in {last['source']}, last {answer}"
