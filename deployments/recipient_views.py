"""What people are told of single recipients: a page of a batch, one of them whole, one person in all batches."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl
from sqlmodel import Session

from deployments.surroundings import Surroundings
from domain.annotation import NO_VISITS, Stage, annotate
from domain.columns import recognise
from domain.deliveries import Kind, Saying, reason
from domain.errors import FileProblem, NotFound
from domain.frames import MESSAGES, PROBLEMS, RECIPIENTS_FIXED, ROW, VISITS, column, item_column
from domain.phone_numbers import normalised_phone
from domain.processes import ProcessDefinition
from domain.rendering import as_read
from domain.samples import title
from domain.states import Phase
from files.layouts import Layout
from models import batches, finding, processes, recipient_pages, requests, suppressions, visits
from models.recipient_pages import Filter
from models.tables import Batch, Receipt, Recipient, Suppression, Visit
from tasks.surroundings import now

PAGE = 50
MOST_FOUND = 60
_ROW = re.compile(r"\d{1,9}")
_STRETCH = 20_000
"""Rows that are looked at before the clock is."""
_MOST_SECONDS = 0.06


@dataclass(frozen=True, slots=True)
class Line:
    """One recipient as a table shows them; the words are those of the result file."""

    row: int
    email: str | None
    phone: str | None
    valid: bool
    status: str
    detail: str | None
    channel: str | None
    sent_at: datetime | None
    delivery: str | None
    delivery_detail: str | None
    delivery_at: datetime | None
    opened_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Page:
    """Some recipients of a batch.

    Attributes:
        lines: at most `PAGE`.
        next_after: past which row the next ones stand; None where these are the last.
        is_cut: the page is not full, because a page's time was over before all rows were looked at.
    """

    lines: list[Line]
    next_after: int | None
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Value:
    """One data item of a recipient, as people read it."""

    title: str
    text: str
    problem: str | None
    is_wrong: bool


@dataclass(frozen=True, slots=True)
class Said:
    """One receipt in words."""

    at: datetime
    received_at: datetime
    channel: str
    kind: str
    why: str | None


@dataclass(frozen=True, slots=True)
class Whole:
    """All that is known of one recipient."""

    line: Line
    values: list[Value]
    problems: list[str]
    """Of the row as a whole."""
    said: list[Said]
    visit: Visit | None


@dataclass(frozen=True, slots=True)
class Hit:
    """One person in one batch."""

    batch_id: int
    batch: str
    process: str
    created_at: datetime
    status: str
    line: Line


@dataclass(frozen=True, slots=True)
class Search:
    """What came of looking for a person.

    Attributes:
        addresses: what was looked for, as it is kept.
        hits: newest batch first.
        suppressions: why they are not written to.
        is_cut: there are more.
    """

    addresses: tuple[str, ...]
    hits: list[Hit]
    suppressions: list[Suppression]
    is_cut: bool = False


def page(
    around: Surroundings, batch_id: int, shown: Filter, *, after: int = 0, search: str = "", size: int = PAGE
) -> Page:
    """One page of the recipients of a batch, by row.

    Args:
        around: settings, database, storage.
        batch_id: the batch.
        shown: a filter; all are searched where something is searched.
        after: the last row of the page before.
        search: a row's number, else a part of an address in any case.
        size: how many at most.
    """
    with around.database.read() as session:
        batch = batches.by_id(session, batch_id)
        if search:
            numbers, looked_to = found_rows(around, session, batch, search, after=after, limit=size + 1), None
        else:
            numbers, looked_to = _rows(session, batch, shown, after=after, size=size)
        lines = _lines(around, session, batch, numbers[:size])
    if len(numbers) > size:
        return Page(lines, numbers[size - 1])
    return Page(lines, looked_to, is_cut=looked_to is not None)


def _rows(session: Session, batch: Batch, shown: Filter, *, after: int, size: int) -> tuple[list[int], int | None]:
    """Rows for one page and one more; and the row up to which was looked, where that is not the last."""
    batch_id = batches.id_of(batch)
    last = recipient_pages.last_row(session, batch_id)
    nobody = (shown is Filter.SENT and not batch.sent) or (shown is Filter.BAD and not batch.invalid)
    if nobody or (shown is Filter.WAITING and batch.phase == Phase.FINISHED):
        return [], None
    step = _STRETCH if shown in recipient_pages.UNINDEXED else max(last, 1)
    found: list[int] = []
    began, to = time.monotonic(), after
    while to < last and len(found) <= size:
        if to > after and time.monotonic() - began > _MOST_SECONDS:
            return found, to
        limit = size + 1 - len(found)
        found += recipient_pages.rows(session, batch_id, shown, after=to, to=to + step, limit=limit)
        to += step
    return found, None


def found_rows(
    around: Surroundings, session: Session, batch: Batch, search: str, *, after: int = 0, limit: int
) -> list[int]:
    """Rows that a search finds: the one of that number, else those that have it in an address; reads the whole list."""
    wanted = search.strip().lower()
    if _ROW.fullmatch(wanted) and recipient_pages.recipients(session, batches.id_of(batch), [int(wanted)]):
        return [int(wanted)] if int(wanted) > after else []
    if not wanted or batch.recipients_key is None:
        return []
    digits = re.sub(r"[\s().\-/]", "", wanted)
    is_there = pl.col("email").str.to_lowercase().str.contains(wanted, literal=True)
    if re.fullmatch(r"\+?\d{3,}", digits):
        # As they are dialled at home, numbers begin with a 0 that E.164 does not have.
        is_there = is_there | pl.col("phone").str.contains(digits.removeprefix("0"), literal=True)
    with around.storage.local(batch.recipients_key) as path:
        addresses = pl.scan_parquet(path).select(ROW, "email", "phone")
        found = addresses.filter((pl.col(ROW) > after) & is_there).select(ROW).head(limit).collect()
    return found[ROW].to_list()


def whole(around: Surroundings, batch_id: int, row: int) -> Whole:
    """All that is known of one recipient.

    Raises:
        NotFound: the batch has no such row.
    """
    with around.database.read() as session:
        batch = batches.by_id(session, batch_id)
        lines = _lines(around, session, batch, [row])
        if not lines:
            raise NotFound(f"Batch {batch_id} has no row {row}. Look for it among its recipients.")
        definition = processes.definition_of(processes.version_by_id(session, batch.process_version_id))
        receipts = recipient_pages.receipts(session, batch_id, row)
        said = [_said(one) for one in receipts]
        visit = visits.of_rows(session, batch_id, [row]).get(row)
        if visit is not None:
            session.expunge(visit)
        problems = _at_rest(around, batch.problems_key, [row], PROBLEMS)
        values = _values(around, batch.recipients_key, row)
        written = _cells(around, batch, definition, row) if problems.height else {}
    of_row = problems.filter(pl.col("item").is_null())["message"].to_list()
    return Whole(lines[0], _items(definition, values, written, problems), of_row, said, visit)


def first_valid_row(around: Surroundings, batch_id: int) -> int | None:
    """The first row that can be written to; None where no row is known to be one."""
    with around.database.read() as session:
        for shown in (Filter.WAITING, Filter.SENT, Filter.NOT_SENT):
            if found := _rows(session, batches.by_id(session, batch_id), shown, after=0, size=1)[0]:
                return found[0]
    return None


def _items(
    definition: ProcessDefinition,
    values: dict[str, str | None],
    written: dict[str, str | None],
    problems: pl.DataFrame,
) -> list[Value]:
    found = []
    for item in definition.data_items:
        own = problems.filter(item=item.name)
        said = " ".join(own["message"].to_list()) or None
        understood = values.get(item_column(item.name))
        text = as_read(item, understood) if understood else written.get(item.name) or ""
        found.append(Value(title(item.name), text, said, is_wrong="error" in own["severity"].to_list()))
    return found


def _said(one: Receipt) -> Said:
    kind = Kind(one.kind)
    why = reason(Saying(one.event_id, kind, one.provider_id, one.code, one.at))
    return Said(one.at, one.received_at, one.channel, kind.replace("_", " ").capitalize(), why)


def _lines(
    around: Surroundings, session: Session, batch: Batch, numbers: Sequence[int], *, whole: bool = True
) -> list[Line]:
    """Recipients in the words of the result file.

    Args:
        around: storage.
        session: a transaction.
        batch: their batch.
        numbers: their rows.
        whole: with what the check said of them, which is read from the storage.
    """
    if not numbers:
        return []
    batch_id = batches.id_of(batch)
    people = recipient_pages.recipients(session, batch_id, numbers)
    frame = pl.DataFrame(
        [(one.row, one.valid, one.email, one.phone) for one in people], schema=RECIPIENTS_FIXED, orient="row"
    )
    stopped = batch.phase == Phase.STOPPED
    is_planned = requests.has_plan(session, batch_id)
    stage: Stage = "send" if is_planned or stopped else "check"
    messages = pl.DataFrame(schema=MESSAGES)
    seen = NO_VISITS
    if is_planned:
        since = now() - timedelta(days=around.settings.delivery_days)
        messages = recipient_pages.messages(session, batch_id, numbers, stopped=stopped, silent_since=since)
        seen = _visits(visits.of_rows(session, batch_id, numbers))
    elif stopped:
        messages = _stopped(people)
    problems = _at_rest(around, batch.problems_key if whole else None, numbers, PROBLEMS)
    statuses = annotate(frame, problems, messages, stage=stage, visits=seen)
    return [_line(one, told) for one, told in zip(people, statuses.iter_rows(named=True), strict=True)]


def _stopped(people: Sequence[Recipient]) -> pl.DataFrame:
    """MESSAGES of a batch that was rejected before any was laid out."""
    lines = [
        (one.row, "email" if one.email else "sms", "stopped", None, None, None, None, None)
        for one in people
        if one.valid
    ]
    return pl.DataFrame(lines, schema=MESSAGES, orient="row")


def _visits(known: dict[int, Visit]) -> pl.DataFrame:
    lines = [
        (row, *(_written(at) for at in (one.opened_at, one.started_at, one.completed_at))) for row, one in known.items()
    ]
    return pl.DataFrame(lines, schema=VISITS, orient="row")


def _written(at: datetime | None) -> str | None:
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _line(one: Recipient, told: dict[str, str | None]) -> Line:
    return Line(
        row=one.row,
        email=one.email,
        phone=one.phone,
        valid=one.valid,
        status=told["Sending Status"] or "",
        detail=told["Status Detail"],
        channel=told["Channel"],
        delivery=told["Delivery"],
        delivery_detail=told["Delivery Detail"],
        sent_at=_moment(told["Sent At"]),
        delivery_at=_moment(told["Delivery At"]),
        opened_at=_moment(told["Opened At"]),
        started_at=_moment(told["Started At"]),
        completed_at=_moment(told["Completed At"]),
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _at_rest(
    around: Surroundings, key: str | None, numbers: Sequence[int], schema: dict[str, type[pl.DataType]]
) -> pl.DataFrame:
    """The lines of some rows of a kept frame; reads only the groups that may hold them."""
    if key is None:
        return pl.DataFrame(schema=schema)
    wanted = pl.Series(ROW, sorted(numbers), pl.UInt32)
    with around.storage.local(key) as path:
        between = pl.scan_parquet(path).filter(pl.col(ROW).is_between(wanted[0], wanted[-1]))
        return between.filter(pl.col(ROW).is_in(wanted.implode())).collect()


def _values(around: Surroundings, key: str | None, row: int) -> dict[str, str | None]:
    found = _at_rest(around, key, [row], RECIPIENTS_FIXED)
    return found.row(0, named=True) if found.height else {}


def _cells(around: Surroundings, batch: Batch, definition: ProcessDefinition, row: int) -> dict[str, str | None]:
    """The cells of a row by data item, as they stand in the file: what was not understood is nowhere else."""
    if batch.layout is None or batch.rows_key is None:
        return {}
    try:
        columns = recognise(Layout.from_json(batch.layout).header, definition, file_name=batch.file_name)
    except FileProblem:  # a file of another process was never judged
        return {}
    found = _at_rest(around, batch.rows_key, [row], {ROW: pl.UInt32})
    cells = found.row(0, named=True) if found.height else {}
    return {name: cells.get(column(place)) for name, place in columns.of_item.items()}


def find_people(around: Surroundings, asked: str) -> Search:
    """One person in all batches, by a whole email address in any case, or a phone number.

    A number without a country code is read as it is dialled in each country that a process is for.
    """
    asked = asked.strip()
    with around.database.read() as session:
        addresses = (asked.lower(),) if "@" in asked else tuple(_numbers(session, asked))
        found = [hit for address in addresses for hit in finding.with_address(session, address, most=MOST_FOUND + 1)]
        held = [one for address in addresses for one in suppressions.listed(session, address=address)]
        for one in held:
            session.expunge(one)
        hits = [
            Hit(
                batches.id_of(batch),
                batch.name,
                version.name,
                batch.created_at,
                "Archived" if batch.archived_at else batch.status,
                _lines(around, session, batch, [recipient.row], whole=False)[0],
            )
            for recipient, batch, version in found[:MOST_FOUND]
        ]
    return Search(addresses, hits, held, is_cut=len(found) > MOST_FOUND)


def _numbers(session: Session, asked: str) -> list[str]:
    regions = dict.fromkeys(
        processes.definition_of(version).default_region for version in processes.newest_versions(session)
    )
    numbers = (normalised_phone(asked, region=region) for region in regions)
    return list(dict.fromkeys(number for number in numbers if number is not None))
