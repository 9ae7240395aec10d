"""`bulk-sender demo` and `bulk-sender up`: everything started, and stopped again."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.prompt import Confirm

from cli.batch import FOUR_EYES_OFF, VIA, Until, wait_for
from cli.output import console, say, show_json, show_table
from deployments.surroundings import Surroundings, surround
from domain.errors import NotAllowed
from domain.processes import read_definition
from domain.rights import Right, Role, roles_with
from domain.states import Phase
from models import processes
from settings import Settings, load

EXAMPLE = Path(__file__).parent.parent / "processes" / "motor-renewal.yaml"
_DEMO_ROWS, _DEMO_SEED = 1000, 7
_DEMO_PEOPLE = {role: f"{role}@example.com" for role in roles_with(Right.READ)}
_WAIT_SECONDS = 300.0
_END_SECONDS = 30.0


def up() -> None:
    """Run everything until Ctrl-C: Prefect's server, a worker, the web app, and the sandbox if no credentials are set."""
    from deployments.recovery import go_on
    from deployments.supervisor import Supervisor

    settings = load()
    ended: list[int] = []
    with _signals(ended), _interruptible():
        around = surround(settings)
        with Supervisor(settings, tell=say).running() as supervisor:
            _say_where(settings)
            _say_how_to_sign_in(around)
            for batch_id in go_on(around):
                say(f"Batch {batch_id} goes on.")
            say("Everything is running. Ctrl-C stops it.")
            supervisor.watch(lambda: bool(ended))


def demo(
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Where to keep what it makes; a new temporary one if not given.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Approve without asking.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Send one whole batch on the sandbox, from the recipient file to the result file; nothing is really sent."""
    from deployments.supervisor import Supervisor

    began = time.monotonic()
    home = (folder or Path(tempfile.mkdtemp(prefix="bulk-sender-demo-"))).resolve()
    settings = _demo_settings(home)
    tell = (lambda _text: None) if as_json else say
    ended: list[int] = []
    with _signals(ended), _interruptible():
        home.mkdir(parents=True, exist_ok=True)
        around = surround(settings)
        passwords = _demo_users(around)
        tell("Starting Prefect's server, a worker, the web app and the sandbox …")
        with Supervisor(settings, tell=tell).running():
            view = _demo_batch(around, home, yes=yes or as_json, quiet=as_json)
        _report(view, settings, home, passwords, as_json=as_json, seconds=time.monotonic() - began)
    counts = view["counts"]
    accounted = counts["sent"] + counts["failed"] + counts["invalid"]
    if view["phase"] == Phase.FINISHED and accounted != counts["rows"]:
        raise NotAllowed(f"{counts['rows'] - accounted:,} rows are not accounted for. See: {home / 'logs'}")


def _demo_batch(around: Surroundings, home: Path, *, yes: bool, quiet: bool) -> dict[str, Any]:
    """The main job, as an operator and an approver do it."""
    from cli.demo_recipients import write_demo_file
    from deployments import acts, results
    from deployments.checking import check_file
    from deployments.form import offer_processes
    from deployments.prefect_api import PrefectApi

    tell = (lambda _text: None) if quiet else say
    definition = read_definition(EXAMPLE.read_text(encoding="utf-8"), name=EXAMPLE.name)
    with around.database.write() as session:
        processes.deploy(session, definition, draft=False, now=datetime.now(UTC))
    offer_processes(around)
    file = home / "recipients.xlsx"
    write_demo_file(file, rows=_DEMO_ROWS, seed=_DEMO_SEED)
    found = check_file(around, file, definition, rows_to=None)
    counts = found["counts"]
    tell(
        f"Checked {file.name}: {counts['rows']:,} rows, {counts['valid']:,} can be sent, {counts['invalid']:,} cannot."
    )
    if not quiet:
        show_table(
            ("Problem", "Rows", "First rows"),
            [(kind["message"], kind["count"], ", ".join(map(str, kind["rows"]))) for kind in found["problems"]],
        )
    operator = acts.Person(_DEMO_PEOPLE[Role.OPERATOR], VIA)
    batch_id = acts.create(
        around, file, process_key=definition.key, sender=operator.email, name="Demo: motor renewals", who=operator
    )
    tell(f"Batch {batch_id} is created; Prefect checks it and waits for approval …")
    wait_for(around, batch_id, until=Until.WAITING, timeout_seconds=_WAIT_SECONDS, tick=lambda _view: None)
    who = acts.Person(_DEMO_PEOPLE[Role.APPROVER], VIA, "decided in the demo")
    if (
        not yes
        and sys.stdin.isatty()
        and not Confirm.ask(f"Send {counts['valid']:,} people their link (on the sandbox)?")
    ):
        acts.reject(around, batch_id, who=who)
    else:
        acts.approve(around, batch_id, who=who)
    view = _watch(around, batch_id, total=counts["valid"], quiet=quiet)
    results.write_file(around, batch_id, home / "recipients-result.xlsx")
    PrefectApi(around.settings.prefect_url).wait_for_end(view["flow_run_id"], wait_seconds=_END_SECONDS)
    return view


def _watch(around: Surroundings, batch_id: int, *, total: int, quiet: bool) -> dict[str, Any]:
    """Follow the send with a bar until every recipient is dealt with."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console(), disable=quiet) as progress:
        bar = progress.add_task("Sending", total=total)

        def tick(view: dict[str, Any]) -> None:
            progress.update(
                bar, completed=view["counts"]["sent"] + view["counts"]["failed"], description=view["phase"].capitalize()
            )

        return wait_for(around, batch_id, until=Until.FINISHED, timeout_seconds=_WAIT_SECONDS, tick=tick)


def _demo_users(around: Surroundings) -> dict[str, str]:
    """One user per role, unless an earlier demo made them in this folder; gives the passwords of those that were made."""
    from deployments import accounts

    if accounts.any_user(around):
        return {}
    made = {}
    for role, email in _DEMO_PEOPLE.items():
        made[email] = secrets.token_urlsafe(12)
        accounts.add_user(around, email, role, password=made[email])
    return made


def _report(
    view: dict[str, Any], settings: Settings, home: Path, passwords: dict[str, str], *, as_json: bool, seconds: float
) -> None:
    places = {
        "result": str(home / "recipients-result.xlsx"),
        "recipients": str(home / "recipients.xlsx"),
        "screen": settings.links_base,
        "outbox": settings.sandbox_url,
        "prefect": f"http://127.0.0.1:{settings.prefect_port}",
    }
    if as_json:
        show_json({**view, **places, "users": passwords, "seconds": round(seconds, 1)})
        return
    counts = view["counts"]
    show_table(
        ("What happened", "Recipients"),
        [
            ("Sent", f"{counts['sent']:,}"),
            ("Refused by the provider", f"{counts['failed']:,}"),
            ("Not sent: problems in the row", f"{counts['invalid']:,}"),
            ("Not sent: stopped", f"{counts['pending']:,}"),
            ("In doubt", f"{counts['in_doubt'] + counts['unresolved']:,}"),
            ("Rows in the file", f"{counts['rows']:,}"),
        ],
        title=f"{view['name']}: {view['status']}, {view['phase']}, {seconds:.0f} seconds",
    )
    say(f"Result file: {places['result']}")
    say(
        "Everything that was started is stopped. Nothing was really sent. To look at the web screen, the outbox and Prefect's UI, start it again:"
    )
    ports = f"BULK_SENDER_PREFECT_PORT={settings.prefect_port} BULK_SENDER_WEB_PORT={settings.web_port} BULK_SENDER_SANDBOX_PORT={settings.sandbox_port}"
    say(f"  BULK_SENDER_HOME={home} {ports} .venv/bin/bulk-sender up")
    say(f"  Web screen: {places['screen']}   Outbox: {places['outbox']}   Prefect UI: {places['prefect']}")
    if passwords:
        show_table(("Sign in as", "Password"), list(passwords.items()), title="Users of the web screen, one per role")
    else:
        say("The users of the web screen are those of the first demo in this folder. Others: bulk-sender user add")


def _demo_settings(home: Path) -> Settings:
    """Settings that nothing of the environment can turn into a real send."""
    ports = _free_ports(3)
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        del os.environ[name]  # a server or database of the user's own is not for throwing away
    plain: dict[str, object] = {name: None for name, field in Settings.model_fields.items() if field.default is None}
    return load(
        **plain,
        password_sign_in=True,
        home=home,
        host="127.0.0.1",
        prefect_port=ports[0],
        web_port=ports[1],
        sandbox_port=ports[2],
    )


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(number)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def _say_where(settings: Settings) -> None:
    rows = [
        ("Web screen", f"http://{settings.host}:{settings.web_port}"),
        ("Prefect UI", settings.prefect_url.removesuffix("/api")),
    ]
    if settings.needs_sandbox:
        rows.append(("Sandbox outbox", settings.sandbox_url))
    rows.append(("Data and logs", str(settings.home.resolve())))
    show_table(("What", "Where"), rows)
    for channel, real, host in (
        ("Email", settings.email_is_real, settings.sendgrid_host or "SendGrid"),
        ("SMS", settings.sms_is_real, settings.twilio_host or "Twilio"),
    ):
        say(
            f"{channel} is sent through {host}."
            if real
            else f"{channel} goes to the sandbox: no credentials are set, nothing is really sent."
        )


def _say_how_to_sign_in(around: Surroundings) -> None:
    from deployments.accounts import set_up_address

    if (address := set_up_address(around)) is not None:
        say(f"Nobody can sign in yet. Make the first user (once, then this address ends): {address}")
    if not around.settings.four_eyes:
        say(FOUR_EYES_OFF)


@contextlib.contextmanager
def _signals(ended: list[int]) -> Iterator[None]:
    """Let SIGTERM end things as Ctrl-C does; a second one is not lost in the middle of stopping."""

    def end(number: int, _frame: object) -> None:
        first = not ended
        ended.append(number)
        if first:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C is a wish, not a failure; what was started is stopped before this is reached."""
    try:
        yield
    except KeyboardInterrupt:
        say("Stopped.")
        raise typer.Exit(130) from None
