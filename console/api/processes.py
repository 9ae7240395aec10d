"""Processes: which there are, what a recipient's row must hold, and an example file."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi import Path as InPath
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from console.api import problems
from console.api.door import needs, says
from console.api.files import DOWNLOAD, download
from console.api.strict import StrictRoute
from console.api.texts import NO_ZERO
from deployments.surroundings import Surroundings
from domain.errors import NotFound
from domain.processes import ItemType
from domain.rights import Right
from files.examples import write_example_csv, write_example_xlsx
from models import processes
from models.tables import ProcessVersion

ProcessKey = Annotated[str, InPath(min_length=1, max_length=200, pattern=NO_ZERO, examples=["motor-renewal"])]


class FileFormat(StrEnum):
    """What an example file can be."""

    XLSX = "xlsx"
    CSV = "csv"


class DataItem(BaseModel):
    """A typed value of each recipient: one column of a file."""

    name: str = Field(examples=["renewal_date"])
    type: ItemType
    required: bool
    choices: list[str] = Field(description="Of a choice.")
    format: str | None = Field(description="Of a date: how files may write it beside YYYY-MM-DD, by strptime.")


class Process(BaseModel):
    """A digital process that recipients open by link."""

    key: str = Field(examples=["motor-renewal"])
    name: str
    version: int
    live: bool = Field(description="Whether batches can be made for it; else it is a draft.")
    deployed_at: datetime | None
    channels: list[str] = Field(
        description="On which it sends its link; none if nothing can be sent.", examples=[["email"]]
    )
    data_items: list[DataItem]


class Processes(BaseModel):
    """All processes, by key."""

    items: list[Process]


def routes(around: Surroundings) -> APIRouter:
    """`/processes`."""
    router = APIRouter(prefix="/processes", tags=["processes"], route_class=StrictRoute)
    reads = [Depends(needs(Right.READ))]

    @router.get("", summary="List the processes", description=says(Right.READ), dependencies=reads)
    def list_processes() -> Processes:
        with around.database.read() as session:
            return Processes(items=[_process(version) for version in processes.newest_versions(session)])

    @router.get(
        "/{key}",
        summary="Show a process",
        description=f"Its newest live version, or its newest draft. {says(Right.READ)}",
        dependencies=reads,
    )
    def show_process(key: ProcessKey) -> Process:
        with around.database.read() as session:
            for version in processes.newest_versions(session):
                if version.key == key:
                    return _process(version)
        raise NotFound(f"There is no process {key!r}. See which there are: GET /processes")

    @router.get(
        "/{key}/example",
        summary="Get an example file",
        description=f"With the columns of a live process and one row that shows what may stand in them; that row is never "
        f"sent. {says(Right.READ)}",
        dependencies=reads,
        response_class=FileResponse,
        responses=DOWNLOAD | problems.errors(problems.NOT_ALLOWED),
    )
    def example(key: ProcessKey, format: Annotated[FileFormat, Query()] = FileFormat.XLSX) -> FileResponse:  # noqa: A002  as the address calls it
        with around.database.read() as session:
            version = processes.live(session, key)
            definition, number = processes.definition_of(version), version.version

        def write(folder: Path) -> tuple[Path, str]:
            path = folder / f"example.{format}"
            if format is FileFormat.CSV:
                write_example_csv(definition, path)
            else:
                write_example_xlsx(definition, number, path)
            return path, f"{definition.key}-example.{format}"

        return download(write)

    return router


def _process(version: ProcessVersion) -> Process:
    definition = processes.definition_of(version)
    return Process(
        key=version.key,
        name=version.name,
        version=version.version,
        live=version.deployed_at is not None,
        deployed_at=version.deployed_at,
        channels=sorted(definition.channels),
        data_items=[
            DataItem(
                name=item.name, type=item.type, required=item.required, choices=list(item.choices), format=item.format
            )
            for item in definition.data_items
        ],
    )
