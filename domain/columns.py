"""Which column of an uploaded file is which data item, and when a file is not for this process at all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from domain.errors import FileErrorCode, FileProblem
from domain.processes import DataItem, ProcessDefinition
from domain.titles import folded

MOST_NAMED = 12
ALIKE = 0.55
"""Of difflib's ratio: `E-mail address` is near to `email`, `Name` to `first_name`, `Note` to nothing."""
LIKE_DATA = re.compile(r"@|\d{5}")
"""An address or a number: a file without a header shows its first recipient there, whom no message may name."""
LONGEST_HEADER = 40


@dataclass(frozen=True, slots=True)
class Columns:
    """Where each data item stands in the file.

    Attributes:
        of_item: data item name -> index of its column, in the order of the definition; an item without a
            column is left out.
        extra: header texts of the columns that are no data item, in file order; kept, never used.
        absent: names of the items without a column, in the order of the definition.
    """

    of_item: Mapping[str, int]
    extra: tuple[str, ...]
    absent: tuple[str, ...]


def recognise(
    header: Sequence[str | None],
    definition: ProcessDefinition,
    *,
    file_name: str,
    file_process: str | None = None,
    others: Sequence[ProcessDefinition] = (),
) -> Columns:
    """Match header texts to data items, ignoring case, spaces, `_`, `-` and invisible characters.

    Args:
        header: the exact texts; None or blank for a column without a title.
        definition: the process that the file was uploaded for.
        file_name: what to call the file in messages.
        file_process: key of the process that the file says it was made for, if it says so.
        others: processes that the file may belong to instead.

    Raises:
        FileProblem: DIFFERENT_PROCESS when the file belongs to another process, lacks a required
            column or has no column with an address; UNREADABLE when a data item has two columns.
    """
    if file_process is not None and file_process != definition.key:
        raise FileProblem(
            FileErrorCode.DIFFERENT_PROCESS,
            f"{file_name} was made for the process {_called(file_process, others)}, not for {definition.name} ({definition.key}). "
            f"Choose that process, or fill in the example file of {definition.name}.",
        )
    found = _found(header, definition, file_name=file_name)
    columns = Columns(
        of_item={item.name: found[item.name] for item in definition.data_items if item.name in found},
        extra=tuple(text or "" for index, text in enumerate(header) if index not in found.values()),
        absent=tuple(item.name for item in definition.data_items if item.name not in found),
    )
    _refuse_what_is_missing(columns, definition, header=header, file_name=file_name, others=others)
    return columns


def _called(key: str, others: Sequence[ProcessDefinition]) -> str:
    """A process as people know it."""
    return next((f"{other.name} ({key})" for other in others if other.key == key), key)


def titles(definition: ProcessDefinition) -> tuple[str, ...]:
    """What the columns of a file for this process may be called."""
    return tuple(item.name for item in definition.data_items)


def address_items(definition: ProcessDefinition) -> tuple[DataItem, ...]:
    """The items that hold an address which the start phase can write to.

    Without any start output nothing can be sent; then every address counts, so that a file can still be judged.
    """
    start = definition.start
    without_start = start.email is None and start.sms is None
    email = definition.email_item if start.email or without_start else None
    phone = definition.phone_item if start.sms or without_start else None
    return tuple(item for item in (email, phone) if item is not None)


def _found(header: Sequence[str | None], definition: ProcessDefinition, *, file_name: str) -> dict[str, int]:
    """Data item name -> column index."""
    names = {folded(item.name): item.name for item in definition.data_items}
    found: dict[str, int] = {}
    for index, text in enumerate(header):
        name = names.get(folded(text)) if text else None
        if name is None:
            continue
        if name in found:
            raise FileProblem(
                FileErrorCode.UNREADABLE,
                f"{file_name} has two columns for {name} (columns {found[name] + 1} and {index + 1}). "
                "Delete or rename one of them and upload the file again.",
            )
        found[name] = index
    return found


def _refuse_what_is_missing(
    columns: Columns,
    definition: ProcessDefinition,
    *,
    header: Sequence[str | None],
    file_name: str,
    others: Sequence[ProcessDefinition],
) -> None:
    missing = [item.name for item in definition.data_items if item.required and item.name in columns.absent]
    addresses = [item.name for item in address_items(definition)]
    sought = missing or addresses
    if missing:
        lack = f"has no column for {_listed(missing, last='and')}, which {definition.name} needs"
    elif not any(name in columns.of_item for name in addresses):
        lack = f"has no column for {_listed(addresses, last='or')}, so nobody could be written to"
    else:
        return
    fitting = _fitting(header, columns, others)
    if fitting is not None:
        raise FileProblem(
            FileErrorCode.DIFFERENT_PROCESS,
            f"{file_name} {lack}. It has the columns of {fitting.name} ({fitting.key}). "
            f"Choose that process, or fill in the example file of {definition.name}.",
        )
    raise FileProblem(
        FileErrorCode.DIFFERENT_PROCESS,
        f"{file_name} {lack} (found: {_titles(header)}).{_nearest(sought, columns)} "
        f"Download the example file of {definition.name} and use its column titles.",
    )


def _fitting(
    header: Sequence[str | None], columns: Columns, others: Sequence[ProcessDefinition]
) -> ProcessDefinition | None:
    """The process that has most of these columns, if all that it requires are there and more than of the chosen one."""
    present = {folded(text) for text in header if text}
    best, most = None, len(columns.of_item)
    for other in others:
        found = sum(folded(item.name) in present for item in other.data_items)
        complete = all(folded(item.name) in present for item in other.data_items if item.required)
        addressed = any(folded(item.name) in present for item in address_items(other))
        if complete and addressed and found > most:
            best, most = other, found
    return best


def _nearest(sought: Sequence[str], columns: Columns) -> str:
    """A sentence on the extra columns that may be meant; none where a title may be somebody's data."""
    if any(LIKE_DATA.search(title) for title in columns.extra):
        return ""
    titles_ = {folded(title): title for title in reversed(columns.extra) if folded(title)}
    near = [(name, get_close_matches(folded(name), titles_, n=1, cutoff=ALIKE)) for name in sought]
    meant = [f"{_shown(titles_[found[0]])} (for {name})" for name, found in near if found]
    return f" Nearest to it: {', '.join(meant)}." if meant else ""


def _listed(names: Sequence[str], *, last: str) -> str:
    """`a, b and c`."""
    return f" {last} ".join(part for part in (", ".join(names[:-1]), names[-1]) if part) if names else "an address"


def _titles(header: Sequence[str | None]) -> str:
    """The header as a person would read it out, shortened, and without what looks like somebody's data."""
    shown = [_shown(text) for text in header if text and text.strip()]
    if any(LIKE_DATA.search(text or "") for text in header):
        return "data instead of titles in the first row"
    return named(shown) if shown else "no titles at all"


def named(texts: Sequence[str]) -> str:
    """The first of many texts and how many there are more."""
    more = f" and {len(texts) - MOST_NAMED} more" if len(texts) > MOST_NAMED else ""
    return ", ".join(texts[:MOST_NAMED]) + more


def _shown(text: str) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= LONGEST_HEADER else one_line[:LONGEST_HEADER] + "…"


def notes(
    columns: Columns,
    *,
    header_row: int = 1,
    sheet: str | None = None,
    other_sheets: Sequence[str] = (),
    encoding: str | None = None,
) -> list[str]:
    """What is to be said of a file that can be used: columns, sheets and rows that are not.

    Args:
        columns: where each data item stands.
        header_row: the row of the titles, as the operator sees it.
        sheet: the worksheet that was read; None for a CSV.
        other_sheets: worksheets that hold something and were not read.
        encoding: what a text is in, if only its letters say so.
    """
    return [
        *_reading_notes(header_row=header_row, sheet=sheet, other_sheets=other_sheets, encoding=encoding),
        *_column_notes(columns),
    ]


def _reading_notes(
    *, header_row: int, sheet: str | None, other_sheets: Sequence[str], encoding: str | None
) -> Iterator[str]:
    if sheet is not None and other_sheets:
        yield f"The sheet {_shown(sheet)} was read, not {_listed(list(map(_shown, other_sheets)), last='and')}."
    if header_row > 1:
        yield f"The titles stand in row {header_row}; what is above them is kept."
    if encoding is not None:
        yield f"The letters were read as {encoding}, the only encoding in which they make sense."


def _column_notes(columns: Columns) -> Iterator[str]:
    extra = [_shown(title) for title in columns.extra if title.strip()]
    if extra:
        hidden = any(LIKE_DATA.search(title) for title in extra)
        which = f"{len(extra)} columns" if hidden else named(extra)
        yield f"Not used, but kept to the result file: {which}."
    if columns.absent:
        yield f"Empty for everybody, because the file has no column for it: {named(columns.absent)}."
