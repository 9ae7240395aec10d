"""Which column of an uploaded file is which data item, and when a file is not for this process at all."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from domain.errors import FileErrorCode, FileProblem
from domain.processes import DataItem, ProcessDefinition
from domain.titles import folded

MOST_NAMED = 12
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
    """

    of_item: Mapping[str, int]
    extra: tuple[str, ...]


def recognise(
    header: Sequence[str | None],
    definition: ProcessDefinition,
    *,
    file_name: str,
    file_process: str | None = None,
) -> Columns:
    """Match header texts to data items, ignoring case, spaces, `_`, `-` and invisible characters.

    Args:
        header: the exact texts; None or blank for a column without a title.
        definition: the process that the file was uploaded for.
        file_name: what to call the file in messages.
        file_process: key of the process that the file says it was made for, if it says so.

    Raises:
        FileProblem: DIFFERENT_PROCESS when the file belongs to another process, lacks a required
            column or has no column with an address; UNREADABLE when a data item has two columns.
    """
    if file_process is not None and file_process != definition.key:
        raise FileProblem(
            FileErrorCode.DIFFERENT_PROCESS,
            f"{file_name} was made for the process {file_process}, not for {definition.name} ({definition.key}). "
            f"Choose that process, or fill in the example file of {definition.name}.",
        )
    found = _found(header, definition, file_name=file_name)
    columns = Columns(
        of_item={item.name: found[item.name] for item in definition.data_items if item.name in found},
        extra=tuple(text or "" for index, text in enumerate(header) if index not in found.values()),
    )
    _refuse_what_is_missing(columns, definition, header=header, file_name=file_name)
    return columns


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
    """Data item name -> column index; an exact title wins over one that is only alike."""
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
    columns: Columns, definition: ProcessDefinition, *, header: Sequence[str | None], file_name: str
) -> None:
    missing = [item.name for item in definition.data_items if item.required and item.name not in columns.of_item]
    addresses = [item.name for item in address_items(definition)]
    if missing:
        lack = f"has no column for {_listed(missing, last='and')}, which {definition.name} needs"
    elif not any(name in columns.of_item for name in addresses):
        lack = f"has no column for {_listed(addresses, last='or')}, so nobody could be written to"
    else:
        return
    raise FileProblem(
        FileErrorCode.DIFFERENT_PROCESS,
        f"{file_name} {lack} (found: {_titles(header)}). "
        f"Download the example file of {definition.name} and use its column titles.",
    )


def _listed(names: Sequence[str], *, last: str) -> str:
    """`a, b and c`."""
    return f" {last} ".join(part for part in (", ".join(names[:-1]), names[-1]) if part) if names else "an address"


def _titles(header: Sequence[str | None]) -> str:
    """The header as a person would read it out, shortened, and without what looks like somebody's data."""
    titles = [" ".join(text.split()) for text in header if text and text.strip()]
    if any(LIKE_DATA.search(text) for text in titles):
        return "data instead of titles in the first row"
    short = [text if len(text) <= LONGEST_HEADER else text[:LONGEST_HEADER] + "…" for text in titles[:MOST_NAMED]]
    if not short:
        return "no titles at all"
    return ", ".join(short) + (f" and {len(titles) - MOST_NAMED} more" if len(titles) > MOST_NAMED else "")
