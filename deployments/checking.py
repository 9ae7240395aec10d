"""Judging a file without making a batch of it."""

from __future__ import annotations

from pathlib import Path

import orjson

from domain.findings import Found, summarise, to_objects
from domain.processes import ProcessDefinition
from tasks.ingest import limits, read_for
from tasks.surroundings import Surroundings
from tasks.validate import judge_rows


def check_file(around: Surroundings, path: Path, definition: ProcessDefinition, *, rows_to: Path | None) -> Found:
    """What a batch of this file would look like.

    Args:
        around: settings.
        path: the recipient file.
        definition: the process.
        rows_to: where to write one JSON object a row, in file order; None for nowhere.

    Raises:
        FileProblem: it cannot be used as a whole.
    """
    table = read_for(definition, path, file_name=path.name, limits=limits(around))
    judged = judge_rows(table.rows, table.layout, definition, file_name=path.name, link_length=around.links.length)
    if rows_to is not None:
        with rows_to.open("wb") as file:
            for row in to_objects(judged):
                file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
    return summarise(judged)
