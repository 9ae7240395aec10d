"""`bulk-sender user`: who may sign in, and what they may do. Whoever has a shell here is trusted to say so."""

from __future__ import annotations

import sys
from getpass import getpass
from typing import Annotated

import typer

from cli.output import say, show_json, show_table
from deployments.surroundings import surroundings
from domain.errors import NotAllowed
from domain.rights import Role, known_as
from models import accounts
from models.tables import Account

app = typer.Typer(help="Users: who may sign in, and what they may do.", no_args_is_help=True)

ROLES = f"One of: {', '.join(Role)}."
Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The user's email.")]
As = Annotated[Role, typer.Option("--role", help=ROLES)]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input, for programs.")
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.command()
def add(
    email: Email,
    role: As,
    password_stdin: FromStdin = False,
    no_password: Annotated[
        bool, typer.Option("--no-password", help="They sign in through OpenID Connect only.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a user; asks for their password twice."""
    from deployments import accounts as people

    if no_password and password_stdin:
        raise typer.BadParameter("Give --password-stdin or --no-password, not both.")
    around = surroundings()
    password = None if no_password else _password(from_stdin=password_stdin)
    people.add_user(around, email, role, password=password)
    _done(email, f"is made, as {role}", as_json=as_json)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the users."""
    with surroundings().database.read() as session:
        found = [_as_json(account) for account in accounts.listed(session)]
    if as_json:
        show_json(found)
        return
    if not found:
        say("There is no user. Make the first: bulk-sender user add EMAIL --role admin")
        return
    show_table(
        ("Email", "Role", "Signs in", "Since", "Disabled"),
        [
            (
                one["email"],
                one["role"],
                "with a password" if one["has_password"] else "with OpenID Connect",
                _moment(one["created_at"]),
                _moment(one["disabled_at"]),
            )
            for one in found
        ],
    )


@app.command()
def role(
    email: Email,
    new: Annotated[Role, typer.Argument(metavar="ROLE", help=ROLES)],
    as_json: AsJson = False,
) -> None:
    """Give a user another role; it holds at once."""
    from deployments import accounts as people

    people.change_role(surroundings(), email, new)
    _done(email, f"is {new} now", as_json=as_json)


@app.command()
def password(email: Email, password_stdin: FromStdin = False, as_json: AsJson = False) -> None:
    """Give a user another password; they are signed out everywhere."""
    from deployments import accounts as people

    around = surroundings()
    with around.database.read() as session:
        accounts.by_email(session, email)
    people.change_password(around, email, _password(from_stdin=password_stdin))
    _done(email, "has another password and is signed out everywhere", as_json=as_json)


@app.command()
def disable(email: Email, as_json: AsJson = False) -> None:
    """Let a user not sign in any more; their sign-ins, keys and codes end at once."""
    from deployments import accounts as people

    people.disable_user(surroundings(), email)
    _done(email, "is disabled", as_json=as_json)


@app.command()
def enable(email: Email, as_json: AsJson = False) -> None:
    """Let a disabled user sign in again."""
    from deployments import accounts as people

    people.enable_user(surroundings(), email)
    _done(email, "may sign in again", as_json=as_json)


def _password(*, from_stdin: bool) -> str:
    """The password, without showing it.

    Raises:
        NotAllowed: the two that were typed differ, or there is nobody to type.
    """
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise NotAllowed("There is no terminal to ask for a password. Give it with --password-stdin.")
    first = getpass("Password: ")
    if getpass("The same again: ") != first:
        raise NotAllowed("The two passwords differ. Type the same one twice.")
    return first


def _done(email: str, what: str, *, as_json: bool) -> None:
    if not as_json:
        say(f"The user {known_as(email)} {what}.")
        return
    with surroundings().database.read() as session:
        show_json(_as_json(accounts.by_email(session, email)))


def _as_json(account: Account) -> dict[str, object]:
    return {
        "email": account.email,
        "role": account.role,
        "has_password": account.password_hash is not None,
        "created_at": account.created_at.isoformat(),
        "disabled_at": account.disabled_at.isoformat() if account.disabled_at else None,
    }


def _moment(value: object) -> str:
    return str(value)[:16].replace("T", " ") if value else ""
