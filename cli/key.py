"""`bulk-sender key`: the keys with which programs act as a user."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.output import complain, say, show_json, show_table
from deployments.surroundings import surroundings
from domain.rights import known_as
from models import accounts

app = typer.Typer(help="API keys: programs that act as a user.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="What the history calls the program.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.command()
def add(
    name: Name,
    user: Annotated[str, typer.Option("--user", metavar="EMAIL", help="As whom it acts, with their rights.")],
    as_json: AsJson = False,
) -> None:
    """Make a key; it is shown once and cannot be shown again."""
    from deployments import accounts as people

    key = people.add_key(surroundings(), name, email=user)
    if as_json:
        show_json({"name": name.strip(), "user": known_as(user), "key": key})
        return
    say(key)
    complain(
        f"This is the only time that the key {name.strip()} is shown. It acts as {known_as(user)}: Authorization: Bearer …"
    )


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the keys; never the keys themselves."""
    with surroundings().database.read() as session:
        found = [
            {
                "name": key.name,
                "user": account.email,
                "created_at": key.created_at.isoformat(),
                "used_at": key.used_at.isoformat() if key.used_at else None,
                "revoked_at": key.revoked_at.isoformat() if key.revoked_at else None,
                "holds": key.revoked_at is None and account.disabled_at is None,
            }
            for key, account in accounts.keys(session)
        ]
    if as_json:
        show_json(found)
        return
    if not found:
        say("There is no key. Make one: bulk-sender key add NAME --user EMAIL")
        return
    show_table(
        ("Name", "Acts as", "Made", "Last used", "Holds"),
        [
            (one["name"], one["user"], _moment(one["created_at"]), _moment(one["used_at"]), _yes(holds=one["holds"]))
            for one in found
        ],
    )


@app.command()
def revoke(name: Name, as_json: AsJson = False) -> None:
    """Let a key hold no longer, at once."""
    from deployments import accounts as people

    people.revoke_key(surroundings(), name)
    if as_json:
        show_json({"name": name.strip(), "holds": False})
    else:
        say(f"The key {name.strip()} holds no longer.")


def _moment(value: object) -> str:
    return str(value)[:16].replace("T", " ") if value else ""


def _yes(*, holds: object) -> str:
    return "yes" if holds else "no"
