"""`bulk-sender link`: ending personal links, one by one or a whole batch."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from cli.batch import VIA, AsJson, Comment, Id
from cli.output import say, show_json
from deployments.surroundings import surroundings
from domain.rights import Right

app = typer.Typer(help="Personal links that were sent.", no_args_is_help=True)

By = Annotated[str, typer.Option("--by", help="Your email; recorded.")]


@app.command()
def revoke(
    batch_id: Id,
    by: By,
    row: Annotated[
        list[int] | None, typer.Option("--row", min=1, help="Only this recipient's link; may be given again.")
    ] = None,
    comment: Comment = "",
    as_json: AsJson = False,
) -> None:
    """End links for good: whoever comes with one sees that it cannot be opened."""
    from deployments import acts

    around = surroundings()
    who = acts.acting(around, by, Right.REVOKE, what="The operator", via=VIA, comment=comment)
    ended = acts.revoke_links(around, batch_id, row or None, who=who)
    if as_json:
        show_json({"id": batch_id, "revoked": ended})
    elif ended == 0:
        say("They were revoked before; nothing changed.")
    else:
        say(f"{ended:,} link{'' if ended == 1 else 's'} of batch {batch_id} cannot be opened any more.")


@app.command()
def expire(
    batch_id: Id,
    on: Annotated[
        datetime, typer.Option("--on", formats=["%Y-%m-%d"], help="The last day on which they can be opened, in UTC.")
    ],
    by: By,
    comment: Comment = "",
    as_json: AsJson = False,
) -> None:
    """Set the last day of a batch's links, in place of what the process says."""
    from deployments import acts

    around = surroundings()
    who = acts.acting(around, by, Right.REVOKE, what="The operator", via=VIA, comment=comment)
    ends = acts.expire_links(around, batch_id, on.date(), who=who)
    if as_json:
        show_json({"id": batch_id, "links_expire_at": ends.isoformat()})
    else:
        say(f"The links of batch {batch_id} can be opened until the end of {on:%Y-%m-%d}, UTC.")
