"""A list of recipients as programs send it: a file in a multipart form, or rows as JSON, which become a CSV file."""

from __future__ import annotations

import csv
import hashlib
import re
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field, ValidationError

from console.api import problems
from console.api.problems import Refused, Wrong
from console.api.shapes import Name
from console.api.strict import JSON, media_type, read_json
from console.api.texts import Asked, Comment, Key
from console.receiving import NotTaken, Received, receive
from deployments.surroundings import Surroundings
from domain.processes import ITEM_NAME, ProcessDefinition
from files.fetching import clean_name
from models import processes

FORM = "multipart/form-data"
MOST_ROWS = 100_000
"""As JSON; a file may have more."""
_MEGABYTE = 1024 * 1024
_ROWS_FILE = "rows.csv"
_NOT_TAKEN = {408: problems.TOO_SLOW, 413: problems.TOO_LARGE}

Cell = Annotated[str, Field(max_length=100_000, pattern=r"^[^\x00]*$")] | bool | int | float | None


class _Form(BaseModel):
    """The fields of a form beside its file."""

    model_config = {"extra": "forbid"}


class FileForm(_Form):
    """A file of recipients."""

    file: Annotated[str, Field(json_schema_extra={"format": "binary"}, description="Excel or CSV.")]
    process: Key


class BatchForm(FileForm):
    """A file of recipients that becomes a batch."""

    name: Name = ""


class CorrectionForm(_Form):
    """The file of a batch's bad rows, corrected."""

    file: Annotated[str, Field(json_schema_extra={"format": "binary"}, description="As `bad-rows` gave it.")]
    comment: Comment = ""


class Rows(Asked):
    """Recipients, each an object with values by the names of the process's data items."""

    process: Annotated[Key, Field(description="The key of a live process.", examples=["motor-renewal"])]
    rows: Annotated[
        list[Annotated[dict[Annotated[str, Field(pattern=ITEM_NAME)], Cell], Field(max_length=1000)]],
        Field(
            min_length=1,
            max_length=MOST_ROWS,
            description="Numbers are taken as they are written; null is an empty cell. The first one is row 2, as in a file "
            "below its header.",
            examples=[[{"first_name": "Ann", "email": "ann@mail.example", "renewal_date": "2030-01-31"}]],
        ),
    ]


class BatchRows(Rows):
    """Recipients that become a batch."""

    name: Name = ""


@dataclass(frozen=True, slots=True)
class Upload:
    """A list of recipients on this machine's disk, for as long as it is dealt with.

    Attributes:
        path: the file.
        file_name: what people call it; safe to show and to save under.
        sha256: of its bytes.
        fields: what came beside it.
    """

    path: Path
    file_name: str
    sha256: str
    fields: Mapping[str, str]

    @property
    def told(self) -> list[object]:
        """All that came, to tell it from another."""
        return [self.sha256, self.file_name, sorted(self.fields.items())]


def documented(form: type[BaseModel], rows: type[BaseModel] | None = None) -> dict[str, Any]:
    """The `openapi_extra` of a route that takes an upload; the models are added to the document's components."""
    content = {FORM: {"schema": {"$ref": f"#/components/schemas/{form.__name__}"}}}
    if rows is not None:
        content[JSON] = {"schema": {"$ref": f"#/components/schemas/{rows.__name__}"}}
    return {"requestBody": {"required": True, "content": content}}


@asynccontextmanager
async def uploaded(
    request: Request, around: Surroundings, form: type[BaseModel], rows: type[Rows] | None = None
) -> AsyncIterator[Upload]:
    """What a request brings, in a folder that is gone after the block.

    Args:
        request: its body was not read yet.
        around: where to put it, and the processes.
        form: the fields of a multipart form.
        rows: the JSON that is taken instead; None for none.

    Raises:
        Refused: it is neither, or not as it must be.
    """
    place = around.settings.home / "scratch"
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place, ignore_cleanup_errors=True) as folder:
        match media_type(request):
            case "multipart/form-data":
                yield await _of_form(request, around, form, Path(folder))
            case "application/json" if rows is not None:
                body = await request.body()
                yield await run_in_threadpool(_of_rows, around, body, rows, Path(folder))
            case _:
                taken = f"{FORM} with a file" + (f" or {JSON} with rows" if rows is not None else "")
                raise Refused(problems.NOT_THIS_FORM, f"This takes {taken}, and Content-Type must say which.")


async def _of_form(request: Request, around: Surroundings, form: type[BaseModel], folder: Path) -> Upload:
    came, received = folder / "came", Received()
    most = around.settings.upload_megabytes * _MEGABYTE
    try:
        await receive(request, came, into=received, most_bytes=most, may_come=lambda _: None)
    except NotTaken as refusal:
        raise Refused(_NOT_TAKEN.get(refusal.status, problems.UNREADABLE), str(refusal)) from None
    if not received.file_name:
        raise Refused(
            problems.INVALID,
            "The form must have one file, in the field `file`, with a file name.",
            errors=[Wrong(where="body/file", detail="A file is required.")],
        )
    known = _judged(form, {**received.fields, "file": ""})
    name = clean_name(re.split(r"[/\\]", received.file_name)[-1])
    path = folder / "upload" / name
    path.parent.mkdir()
    came.rename(path)
    digest = await run_in_threadpool(_digest, path)
    return Upload(path, name, digest, {key: str(value) for key, value in known.model_dump(exclude={"file"}).items()})


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _of_rows(around: Surroundings, body: bytes, model: type[Rows], folder: Path) -> Upload:
    asked = _judged(model, read_json(body, as_written=True))
    with around.database.read() as session:
        definition = processes.definition_of(processes.live(session, asked.process))
    _require_known(asked.rows, definition)
    path = folder / _ROWS_FILE
    write_rows(asked.rows, definition, path)
    digest = _digest(path)
    fields = {name: str(value) for name, value in asked.model_dump(exclude={"rows"}).items()}
    return Upload(path, _ROWS_FILE, digest, fields)


def _require_known(rows: Sequence[Mapping[str, object]], definition: ProcessDefinition) -> None:
    """A name that is misspelt must not become an empty cell."""
    known = {item.name for item in definition.data_items}
    unknown = ((place, name) for place, row in enumerate(rows) for name in row if name not in known)
    if (first := next(unknown, None)) is not None:
        place, name = first
        raise Refused(
            problems.INVALID,
            f"{definition.name} has no data item of that name. It has: {', '.join(sorted(known))}.",
            errors=[Wrong(where=f"body/rows/{place}/{name}", detail="There is no such data item.")],
        )


def write_rows(rows: Sequence[Mapping[str, Any]], definition: ProcessDefinition, path: Path) -> None:
    """Write rows as a CSV file with a column for each data item; every cell is text in quotes."""
    names = [item.name for item in definition.data_items]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(names)
        writer.writerows([_text(row.get(name)) for name in names] for row in rows)


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case _:
            return str(value)


def _judged(model: type[Any], found: object) -> Any:  # noqa: ANN401  an instance of the model
    try:
        return model.model_validate(found)
    except ValidationError as fault:
        raise Refused(
            problems.INVALID,
            "The body is not as it must be; `errors` says where. Correct it.",
            errors=[problems.wrong(("body", *one["loc"]), one["msg"]) for one in fault.errors()[:20]],
        ) from None
