"""Judging a file without making a batch of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import orjson

from domain.annotation import bad_rows
from domain.columns import Columns, notes, recognise
from domain.content import content_sha256
from domain.findings import Found, Judged, summarise, to_objects
from domain.processes import ProcessDefinition
from files.reading import Table
from files.results import write_bad_rows
from models import processes
from tasks.earlier import links_of_others, same_list
from tasks.ingest import limits, read_for
from tasks.surroundings import Surroundings
from tasks.validate import judge_rows, without_suppressed


@dataclass(frozen=True, slots=True)
class Checked:
    """A file that was judged, with everything that the judgement speaks of.

    Attributes:
        table: what was read.
        columns: where each data item stands.
        judged: what became of its rows.
        found: the same in counts and sentences.
    """

    table: Table
    columns: Columns
    judged: Judged
    found: Found


def check(
    around: Surroundings, path: Path, definition: ProcessDefinition, *, file_name: str, with_others: bool = True
) -> Checked:
    """What a batch of this file would look like beside all batches there are.

    Args:
        around: settings, database, storage.
        path: the recipient file.
        definition: the process.
        file_name: what people call the file.
        with_others: whether the table has the columns too that are none of the process's.

    Raises:
        FileProblem: it cannot be used as a whole.
    """
    with around.database.read() as session:
        others = processes.others_live(session, definition.key)
    table = read_for(
        definition, path, file_name=file_name, limits=limits(around), others=others, with_others=with_others
    )
    layout = table.layout
    judged = judge_rows(
        table.rows,
        layout,
        definition,
        file_name=file_name,
        link_length=around.links.length,
        open_links=links_of_others(around, definition.key),
    )
    judged = without_suppressed(around, judged, definition)
    columns = recognise(layout.header, definition, file_name=file_name)
    said = notes(
        columns,
        header_row=layout.header_row,
        sheet=layout.sheet,
        other_sheets=layout.other_sheets,
        encoding=layout.older_encoding,
    )
    found = summarise(judged, notes=said)
    same = same_list(around, definition.key, content_sha256(judged.recipients), rows=found["counts"]["rows"])
    found = Found(counts=found["counts"], problems=[*same, *found["problems"]], notes=said)
    return Checked(table, columns, judged, found)


def check_file(
    around: Surroundings,
    path: Path,
    definition: ProcessDefinition,
    *,
    rows_to: Path | None = None,
    bad_rows_to: Path | None = None,
) -> Found:
    """`check`, with what it found written to files.

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
    checked = check(around, path, definition, file_name=path.name, with_others=bad_rows_to is not None)
    if rows_to is not None:
        with rows_to.open("wb") as file:
            for row in to_objects(checked.judged):
                file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
    if bad_rows_to is not None and checked.found["counts"]["invalid"]:
        write_bad(checked, bad_rows_to)
    return checked.found


def write_bad(checked: Checked, path: Path) -> None:
    """Write the rows that must be corrected, as the file has them."""
    write_bad_rows(checked.table.rows, bad_rows(checked.judged.problems), layout=checked.table.layout, path=path)
