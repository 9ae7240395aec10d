"""`bulk-sender suppression`: the addresses that must not be written to."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from cli.output import say, show_json, show_table
from deployments.surroundings import surroundings
from domain.errors import NotFound
from domain.rights import Right
from domain.suppressions import Mark, SuppressionKind
from models import suppressions
from models.tables import Suppression


class Channel(StrEnum):
    """Where an address is written to."""

    EMAIL = "email"
    SMS = "sms"


app = typer.Typer(help="Addresses that must not be written to.", no_args_is_help=True)

Address = Annotated[str, typer.Argument(help="Email address, or phone number with its country code.")]
On = Annotated[Channel, typer.Option("--channel", help="email or sms.")]
By = Annotated[str, typer.Option("--by", help="Your email; recorded.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.command("list")
def list_(
    channel: Annotated[Channel | None, typer.Option("--channel", help="Only email or sms.")] = None,
    as_json: AsJson = False,
) -> None:
    """List them, newest first."""
    with surroundings().database.read() as session:
        found = [_as_json(one) for one in suppressions.listed(session, channel=channel.value if channel else None)]
    if as_json:
        show_json(found)
        return
    if not found:
        say("No address is suppressed.")
        return
    show_table(
        ("Channel", "Address", "Why", "Since", "Batch", "Row", "By"),
        [
            (
                one["channel"],
                one["address"],
                str(one["kind"]).replace("_", " "),
                str(one["at"])[:16].replace("T", " "),
                one["batch"] or "",
                one["row"] or "",
                one["by"] or "",
            )
            for one in found
        ],
    )


@app.command()
def add(address: Address, channel: On, by: By, as_json: AsJson = False) -> None:
    """Let an address not be written to, in any batch that is checked or sent from now on."""
    from deployments import acts

    around, address = surroundings(), _normalised(address, channel)
    person = acts.acting(around, by, Right.SUPPRESS, what="The operator", via="command line").email
    with around.database.write() as session:
        entered = Mark(channel.value, address, SuppressionKind.ENTERED, datetime.now(UTC), by=person)
        suppressions.mark(session, [entered])
    _done(address, channel, "is not written to any more", as_json=as_json)


@app.command()
def remove(address: Address, channel: On, by: By, as_json: AsJson = False) -> None:
    """Let an address be written to again, whatever put it on the list; the provider may still refuse it."""
    from deployments import acts

    around, address = surroundings(), _normalised(address, channel)
    person = acts.acting(around, by, Right.SUPPRESS, what="The operator", via="command line").email
    with around.database.write() as session:
        if not suppressions.remove(session, channel.value, address, by=person, now=datetime.now(UTC)):
            raise NotFound("That address is not suppressed. See which are: bulk-sender suppression list")
    _done(address, channel, "may be written to again", as_json=as_json)


def _normalised(address: str, channel: Channel) -> str:
    from domain.email_addresses import normalised_email
    from domain.phone_numbers import normalised_phone

    found = normalised_email(address) if channel is Channel.EMAIL else normalised_phone(address, region="ZZ")
    if found is None:
        what = "an email address" if channel is Channel.EMAIL else "a phone number with its country code"
        raise NotFound(f"That is not {what}. Give one as it would be written to.")
    return found


def _done(address: str, channel: Channel, what: str, *, as_json: bool) -> None:
    if as_json:
        show_json({"channel": channel.value, "address": address})
    else:
        say(f"The address {what}.")


def _as_json(one: Suppression) -> dict[str, object]:
    return {
        "channel": one.channel,
        "address": one.address,
        "kind": one.kind,
        "at": one.at.isoformat() if one.at else None,
        "batch": one.batch_id,
        "row": one.row,
        "by": one.by,
    }
