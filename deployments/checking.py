"""Judging a file without making a batch of it."""

from __future__ import annotations

from pathlib import Path

import orjson

from domain.annotation import bad_rows
from domain.columns import notes, recognise
from domain.content import content_sha256
from domain.findings import Found, summarise, to_objects
from domain.processes import ProcessDefinition
from files.results import write_bad_rows
from models import processes
from tasks.earlier import links_of_others, same_list
from tasks.ingest import limits, read_for
from tasks.surroundings import Surroundings
from tasks.validate import judge_rows, without_suppressed


def check_file(
    around: Surroundings,
    path: Path,
    definition: ProcessDefinition,
    *,
    rows_to: Path | None = None,
    bad_rows_to: Path | None = None,
) -> Found:
    """What a batch of this file would look like beside all batches there are.

    Args:
        around: settings, database, storage.
        path: the recipient file.
        definition: the process.
        rows_to: where to write one JSON object a row, in file order; None for nowhere.
        bad_rows_to: where to write the rows that must be corrected, as the file has them; nothing is written
            if there are none.

    Raises:
        FileProblem: it cannot be used as a whole.
    """
    with around.database.read() as session:
        others = processes.others_live(session, definition.key)
    table = read_for(definition, path, file_name=path.name, limits=limits(around), others=others)
    judged = judge_rows(
        table.rows,
        table.layout,
        definition,
        file_name=path.name,
        link_length=around.links.length,
        open_links=links_of_others(around, definition.key),
    )
    judged = without_suppressed(around, judged, definition)
    if rows_to is not None:
        with rows_to.open("wb") as file:
            for row in to_objects(judged):
                file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
    layout = table.layout
    said = notes(
        recognise(layout.header, definition, file_name=path.name),
        header_row=layout.header_row,
        sheet=layout.sheet,
        other_sheets=layout.other_sheets,
    )
    found = summarise(judged, notes=said)
    if bad_rows_to is not None and found["counts"]["invalid"]:
        write_bad_rows(table.rows, bad_rows(judged.problems), layout=table.layout, path=bad_rows_to)
    same = same_list(around, definition.key, content_sha256(judged.recipients), rows=found["counts"]["rows"])
    return Found(counts=found["counts"], problems=[*same, *found["problems"]], notes=said)
