"""`bulk-sender process`: deploying processes and making their example files."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.output import require_place, say, show_json, show_table
from deployments.form import offer_processes
from deployments.surroundings import surroundings
from domain.errors import NotFound, ServiceMissing
from domain.processes import read_definition
from models import processes
from models.tables import ProcessVersion

app = typer.Typer(help="Digital processes: what a batch is sent for.", no_args_is_help=True)


class FileFormat(StrEnum):
    """What an example file can be."""

    XLSX = "xlsx"
    CSV = "csv"


@app.command()
def deploy(
    file: Annotated[Path, typer.Argument(help="Process definition, YAML.")],
    draft: Annotated[bool, typer.Option("--draft", help="Keep it out of production.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Deploy a process definition as a new version, to production or as a draft."""
    if not file.is_file():
        raise NotFound(f"There is no file {file}. Check the path.")
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as fault:
        raise NotFound(f"{file} is not UTF-8 text, so it is no process definition.") from fault
    definition = read_definition(text, name=file.name)
    with surroundings().database.write() as session:
        version = _as_json(processes.deploy(session, definition, draft=draft, now=datetime.now(UTC)))
    with suppress(ServiceMissing):  # at its next start, `up` does so
        offer_processes(surroundings())
    if as_json:
        show_json(version)
    else:
        state = "live" if version["live"] else "a draft"
        say(f"{version['name']} ({version['key']}), version {version['version']}, is {state}.")


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """List the processes."""
    with surroundings().database.read() as session:
        found = [_as_json(version) for version in processes.newest_versions(session)]
    if as_json:
        show_json(found)
        return
    if not found:
        say("No process is deployed yet. Deploy one: bulk-sender process deploy FILE")
        return
    show_table(
        ("Key", "Name", "Version", "State"),
        [(one["key"], one["name"], one["version"], "live" if one["live"] else "draft") for one in found],
    )


@app.command()
def example(
    key: Annotated[str, typer.Argument(help="The process.")],
    output: Annotated[Path, typer.Option("--output", help="Where to write it.")],
    format_: Annotated[FileFormat, typer.Option("--format", help="Excel or CSV.")] = FileFormat.XLSX,
) -> None:
    """Write the example file of a live process, to be filled in with recipients."""
    from files.examples import write_example_csv, write_example_xlsx

    with surroundings().database.read() as session:
        version = processes.live(session, key)
        definition, number = processes.definition_of(version), version.version
    require_place(output)
    if format_ is FileFormat.CSV:
        write_example_csv(definition, output)
    else:
        write_example_xlsx(definition, number, output)
    say(f"Written: {output}. Fill it in below the sample row; that row is never sent.")


def _as_json(version: ProcessVersion) -> dict[str, object]:
    return {
        "key": version.key,
        "name": version.name,
        "version": version.version,
        "live": version.deployed_at is not None,
        "created_at": version.created_at.isoformat(),
        "deployed_at": version.deployed_at.isoformat() if version.deployed_at else None,
    }
