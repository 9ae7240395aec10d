"""`bulk-sender batch`: checking, creating, deciding, watching and downloading batches."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.output import complain, require_place, say, show_json, show_table
from deployments.surroundings import Surroundings, surroundings
from deployments.views import batch_view, detailed_view
from domain.annotation import CHANNELS
from domain.errors import BulkSenderError, FileProblem, NotAllowed, NotFound
from domain.rights import Right
from domain.states import Phase, Status
from models import batches, processes

VIA = "command line"
FOUR_EYES_OFF = "Four-eyes approval is off: whoever creates a batch may approve it too (BULK_SENDER_FOUR_EYES)."
_POLL_SECONDS = 0.3

app = typer.Typer(help="Batches: one recipient file for one process.", no_args_is_help=True)

Id = Annotated[int, typer.Argument(metavar="ID", min=1, max=2**31 - 1, help="The batch's number.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
By = Annotated[str, typer.Option("--by", help="Your email; recorded with the decision.")]
Comment = Annotated[str, typer.Option("--comment", help="Recorded with the decision.")]


class Until(StrEnum):
    """What `wait` waits for."""

    WAITING = "waiting"
    FINISHED = "finished"


class Sort(StrEnum):
    """Columns to sort the list by."""

    CREATED = "created"
    NAME = "name"
    PROCESS = "process"
    SENDER = "sender"
    STATUS = "status"


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="Recipient file, Excel or CSV.")],
    process: Annotated[str, typer.Option("--process", help="Key of a live process.")],
    rows: Annotated[Path | None, typer.Option("--rows", help="Write one JSON object a row here.")] = None,
    bad_rows: Annotated[
        Path | None, typer.Option("--bad-rows", help="Write the rows that cannot be sent here, to correct them.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Judge a file; creates nothing and needs no server."""
    from files.parsing import parser

    parser.start()  # it loads what it needs while this process does
    from deployments.checking import check_file

    with surroundings().database.read() as session:
        definition = processes.definition_of(processes.live(session, process))
    if not file.is_file():
        raise NotFound(f"There is no file {file}. Check the path.")
    if bad_rows is not None:
        require_place(bad_rows)
    try:
        found = check_file(surroundings(), file, definition, rows_to=rows, bad_rows_to=bad_rows)
    except FileProblem as problem:
        if not as_json:
            raise
        show_json(
            {
                "file_error": {"code": problem.code.value, "message": str(problem)},
                "counts": {"rows": 0, "valid": 0, "invalid": 0, "warnings": 0},
                "problems": [],
            }
        )
        raise typer.Exit(1) from problem
    if as_json:
        show_json({"file_error": None, **found})
        return
    counts = found["counts"]
    say(
        f"{file.name}: {counts['rows']:,} rows, {counts['valid']:,} can be sent, {counts['invalid']:,} cannot, "
        f"{counts['warnings']:,} with a warning."
    )
    for note in found["notes"]:
        say(note)
    _show_problems(found["problems"])
    if counts["invalid"] and bad_rows is None:
        say("Get the rows that cannot be sent in a file to correct: add --bad-rows FILE")
    elif bad_rows is not None:
        say(f"Written: {bad_rows}" if counts["invalid"] else f"No row must be corrected; {bad_rows} is not written.")


@app.command()
def create(
    file: Annotated[Path, typer.Argument(help="Recipient file, Excel or CSV.")],
    process: Annotated[str, typer.Option("--process", help="Key of a live process.")],
    sender: Annotated[str, typer.Option("--sender", help="Sender Email: who creates the batch.")],
    name: Annotated[str | None, typer.Option("--name", help="The file's name if it is not given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a batch of a file; it is checked and then waits for approval."""
    from deployments import acts

    around = surroundings()
    who = acts.acting(around, sender, Right.CREATE, what="The sender", via=VIA)
    batch_id = acts.create(around, file, process_key=process, sender=sender, name=name, who=who)
    if as_json:
        show_json(_view(batch_id))
    else:
        say(
            f"Batch {batch_id} is created and is being checked. Then approve it: bulk-sender batch approve {batch_id} --by EMAIL"
        )


@app.command("list")
def list_(
    status: Annotated[
        list[str] | None,
        typer.Option("--status", help="Approved, Pending Approval, Admin Rejection, Archived; may be given again."),
    ] = None,
    search: Annotated[str, typer.Option("--search", help="Part of the batch's name.")] = "",
    sort: Annotated[Sort, typer.Option("--sort", help="Column.")] = Sort.CREATED,
    as_json: AsJson = False,
) -> None:
    """List batches; all but the archived ones unless --status says otherwise."""
    wanted = [_status(one) for one in status] if status else [one.value for one in Status]
    with surroundings().database.read() as session:
        found = [
            batch_view(session, batch, version)
            for batch, version in batches.matching(session, statuses=wanted, search=search, sort=sort)
        ]
    if as_json:
        show_json(found)
        return
    if not found:
        say("No batch matches. Create one: bulk-sender batch create FILE --process KEY --sender EMAIL")
        return
    show_table(
        ("ID", "Batch Name", "Process", "Sender Email", "Created", "Sent", "Status", "Phase"),
        [
            (
                one["id"],
                one["name"],
                one["process_name"],
                one["sender"],
                one["created_at"][:16].replace("T", " "),
                f"{one['counts']['sent']:,}/{one['counts']['rows']:,}",
                "Archived" if one["archived"] else one["status"],
                one["phase"],
            )
            for one in found
        ],
    )


@app.command()
def show(batch_id: Id, as_json: AsJson = False) -> None:
    """Show one batch."""
    around = surroundings()
    with around.database.read() as session:
        batch = batches.by_id(session, batch_id)
        version = processes.version_by_id(session, batch.process_version_id)
        days = around.settings.delivery_days
        view = detailed_view(session, batch, version, delivery_days=days, now=datetime.now(UTC))
    if as_json:
        show_json(view)
        return
    counts = view["counts"]
    show_table(
        ("", view["name"]),
        [
            ("Batch", view["id"]),
            ("Process", f"{view['process_name']} ({view['process']}), version {view['version']}"),
            ("Sender Email", view["sender"]),
            ("Created", view["created_at"]),
            ("Status", view["status"] + (", archived" if view["archived"] else "")),
            ("Phase", view["phase"] + (f": {view['reason']}" if view["reason"] else "")),
            *([("Written to twice", f"{view['duplicates']:,} recipients")] if view["duplicates"] else []),
            ("Sent", f"{counts['sent']:,}/{counts['rows']:,}"),
            *(
                (name.replace("_", " ").capitalize(), f"{number:,}")
                for name, number in counts.items()
                if name != "sent"
            ),
            *((f"{CHANNELS[channel]} delivery", _deliveries(found)) for channel, found in view["deliveries"].items()),
            ("File", view["file"]),
            *([("Corrections", view["revision"])] if view["revision"] else []),
            ("Flow run", view["flow_run_id"] or ""),
        ],
    )
    _show_problems(view["problems"])
    if counts["invalid"]:
        say(
            f"Get the rows that cannot be sent in a file to correct: bulk-sender batch problems {batch_id} --output FILE"
        )


@app.command()
def wait(
    batch_id: Id,
    until: Annotated[Until, typer.Option("--until", help="What to wait for.")] = Until.FINISHED,
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds; then exit code 1.")] = 3600.0,
    as_json: AsJson = False,
) -> None:
    """Wait until a batch waits for approval, or until it is finished or stopped."""
    told: list[str] = []

    def tick(view: dict[str, Any]) -> None:
        undecided = view["phase"] == Phase.WAITING and view["status"] == Status.PENDING_APPROVAL
        if undecided and until is Until.FINISHED and not told:
            told.append(f"Batch {batch_id} waits for approval: bulk-sender batch approve {batch_id} --by EMAIL")
            complain(told[0])

    wait_for(surroundings(), batch_id, until=until, timeout_seconds=timeout, tick=tick)
    if as_json:
        show_json(_view(batch_id))
    else:
        view = _view(batch_id)
        say(f"Batch {batch_id} is {view['phase']}: {view['counts']['sent']:,}/{view['counts']['rows']:,} sent.")


@app.command()
def approve(batch_id: Id, by: By, comment: Comment = "", as_json: AsJson = False) -> None:
    """Approve a batch: it is sent."""
    from deployments import acts

    around = surroundings()
    who = acts.acting(around, by, Right.DECIDE, what="The approver", via=VIA, comment=comment)
    acts.approve(around, batch_id, who=who)
    if not around.settings.four_eyes:
        complain(FOUR_EYES_OFF)
    _done(batch_id, "is approved; its links go out now", as_json=as_json)


@app.command()
def reject(batch_id: Id, by: By, comment: Comment = "", as_json: AsJson = False) -> None:
    """Reject a batch: what has not left will not."""
    from deployments import acts

    around = surroundings()
    who = acts.acting(around, by, Right.DECIDE, what="The approver", via=VIA, comment=comment)
    acts.reject(around, batch_id, who=who)
    _done(batch_id, f"is rejected; {acts.how_far(around, batch_id)}", as_json=as_json)


@app.command()
def pause(batch_id: Id, by: By, comment: Comment = "", as_json: AsJson = False) -> None:
    """Halt a batch in mid-send, until it is resumed."""
    from deployments import acts

    around = surroundings()
    who = acts.acting(around, by, Right.PAUSE, what="The approver", via=VIA, comment=comment)
    acts.pause(around, batch_id, who=who)
    sent = acts.how_far(around, batch_id)
    _done(batch_id, f"is paused; {sent}. Let it go on: bulk-sender batch resume {batch_id} --by EMAIL", as_json=as_json)


@app.command()
def resume(batch_id: Id, by: By, comment: Comment = "", as_json: AsJson = False) -> None:
    """Let a paused batch go on with what is pending."""
    from deployments import acts

    around = surroundings()
    who = acts.acting(around, by, Right.PAUSE, what="The approver", via=VIA, comment=comment)
    acts.resume(around, batch_id, who=who)
    _done(batch_id, "goes on", as_json=as_json)


@app.command()
def archive(batch_id: Id, by: By, comment: Comment = "", as_json: AsJson = False) -> None:
    """Hide a batch that is not being sent."""
    from deployments import acts

    around = surroundings()
    who = acts.acting(around, by, Right.ARCHIVE, what="The operator", via=VIA, comment=comment)
    acts.archive(around, batch_id, who=who)
    _done(batch_id, "is archived", as_json=as_json)


@app.command()
def download(
    batch_id: Id, output: Annotated[Path, typer.Option("--output", help="Where to write it.")], as_json: AsJson = False
) -> None:
    """Write the operator's file with the sending status of each row, as it stands now."""
    from deployments.results import write_file

    require_place(output)
    write_file(surroundings(), batch_id, output)
    if as_json:
        show_json({"id": batch_id, "output": str(output)})
    else:
        say(f"Written: {output}")


@app.command()
def problems(
    batch_id: Id, output: Annotated[Path, typer.Option("--output", help="Where to write it.")], as_json: AsJson = False
) -> None:
    """Write the rows that cannot be sent, in the operator's format with what is wrong, to be corrected there."""
    from deployments.results import write_problems

    require_place(output)
    number = write_problems(surroundings(), batch_id, output)
    if as_json:
        show_json({"id": batch_id, "output": str(output), "rows": number})
        return
    waits = _view(batch_id)["phase"] == Phase.WAITING
    upload = f"correct {batch_id} {output} --by EMAIL" if waits else f"create {output} --process KEY --sender EMAIL"
    say(f"Written: {output} ({_rows(number)}). Correct its cells, then upload it: bulk-sender batch {upload}")


@app.command()
def correct(
    batch_id: Id,
    file: Annotated[Path, typer.Argument(help="The file of its bad rows, corrected.")],
    by: By,
    comment: Comment = "",
    as_json: AsJson = False,
) -> None:
    """Replace rows of a batch that waits by corrected ones; it is checked again and waits for approval again."""
    from deployments import acts

    around = surroundings()
    who = acts.acting(around, by, Right.CREATE, what="The operator", via=VIA, comment=comment)
    changed = acts.correct(around, batch_id, file, who=who)
    if as_json:
        show_json(_view(batch_id))
    elif changed:
        say(
            f"Batch {batch_id} has {_rows(changed)} corrected and is checked again, then it waits for approval again: "
            f"bulk-sender batch wait {batch_id} --until waiting"
        )
    else:
        say(f"Batch {batch_id} has these rows already; nothing was changed. Correct the cells of {file.name} first.")


def wait_for(
    around: Surroundings, batch_id: int, *, until: Until, timeout_seconds: float, tick: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Look at a batch until it has come as far as asked; `tick` sees every look.

    Raises:
        NotAllowed: it will not come that far by itself, or not in time.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        view = _view(batch_id, around)
        tick(view)
        phase = Phase(view["phase"])
        if phase is Phase.FAILED:
            raise NotAllowed(f"Batch {batch_id} failed: {view['reason']}")
        if phase is not Phase.CHECKING and until is Until.WAITING:
            return view
        if phase in {Phase.FINISHED, Phase.STOPPED}:
            return view
        if phase is Phase.PAUSED and until is Until.FINISHED:
            raise NotAllowed(f"Batch {batch_id} is paused: {view['reason']}")
        if time.monotonic() >= deadline:
            raise NotAllowed(_too_long(batch_id, view, timeout_seconds))
        time.sleep(_POLL_SECONDS)


def _too_long(batch_id: int, view: Mapping[str, Any], timeout_seconds: float) -> str:
    counts = view["counts"]
    if view["phase"] == Phase.SETTLING:
        return (
            f"Batch {batch_id} is settling: everything was tried, and whether {counts['in_doubt']:,} recipients were reached "
            f"is in doubt. They are named in the result file and are not sent again."
        )
    return (
        f"Batch {batch_id} is still {view['phase']} after {timeout_seconds:g} seconds, with {counts['sent']:,}/{counts['rows']:,} sent. "
        "Wait longer, or see that everything is running (bulk-sender up)."
    )


def _view(batch_id: int, around: Surroundings | None = None) -> dict[str, Any]:
    with (around or surroundings()).database.read() as session:
        batch = batches.by_id(session, batch_id)
        return batch_view(session, batch, processes.version_by_id(session, batch.process_version_id))


def _done(batch_id: int, what: str, *, as_json: bool) -> None:
    if as_json:
        show_json(_view(batch_id))
    else:
        say(f"Batch {batch_id} {what}.")


def _rows(number: int) -> str:
    return f"{number:,} row{'s' if number != 1 else ''}"


def _status(text: str) -> str:
    known = [*(one.value for one in Status), batches.ARCHIVED]
    for one in known:
        if one.casefold().replace(" ", "") == text.casefold().replace(" ", "").replace("_", "").replace("-", ""):
            return one
    raise BulkSenderError(f"There is no status {text!r}. Choose from: {', '.join(known)}.")


def _deliveries(found: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {delivery.replace('_', ' ')}" for delivery, number in found.items() if number)


def _show_problems(problems: Sequence[Mapping[str, Any]]) -> None:
    if problems:
        show_table(
            ("Problem", "Rows", "First rows"),
            [(kind["message"], f"{kind['count']:,}", ", ".join(str(row) for row in kind["rows"])) for kind in problems],
        )
