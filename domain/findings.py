"""What a check found, for people and for programs: counts, problems by kind, one object a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TypedDict

import polars as pl

from domain.frames import ITEM_PREFIX, ROW
from domain.rules import RULES, SUPPRESSED, Severity

FIRST_ROWS = 5


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of a file's rows.

    Attributes:
        recipients: RECIPIENTS, the same n rows in the same order as the rows that were judged.
        problems: PROBLEMS, ordered by row, then by rule, then by data item.
    """

    recipients: pl.DataFrame
    problems: pl.DataFrame


class Counts(TypedDict):
    """How many rows there are of each sort; `warnings` are the valid rows with at least one warning."""

    rows: int
    valid: int
    invalid: int
    warnings: int


class Kind(TypedDict):
    """One kind of problem, how many rows have it, and the first few of them."""

    code: str
    message: str
    count: int
    rows: list[int]


class Found(TypedDict):
    """What `batch check` prints of a file that could be read; `notes` are sentences on the file as a whole."""

    counts: Counts
    problems: list[Kind]
    notes: list[str]


def summarise(judged: Judged, *, notes: Sequence[str] = ()) -> Found:
    """Count rows, and problems by kind in rule order.

    Args:
        judged: what became of the rows.
        notes: of `domain.columns.notes`.
    """
    valid = judged.recipients.filter("valid").select(ROW)
    warned = judged.problems.filter(severity=Severity.WARNING.value).select(ROW)
    rows = judged.recipients.height
    counts = Counts(
        rows=rows,
        valid=valid.height,
        invalid=rows - valid.height,
        warnings=valid.join(warned, on=ROW, how="semi").height,
    )
    return Found(counts=counts, problems=_kinds(judged), notes=list(notes))


def _kinds(judged: Judged) -> list[Kind]:
    """Problems by code, item and sentence; where a problem differs from row to row, by the sentence for all rows."""
    items = {name.removeprefix(ITEM_PREFIX): place for place, name in enumerate(judged.recipients.columns)}
    rules = (*RULES, SUPPRESSED)
    codes = [rule.code for rule in rules]
    general = {rule.code: rule.sentence for rule in rules if rule.of_row}
    message = pl.when(pl.col("code").is_in(list(general))).then(pl.lit("")).otherwise("message").alias("message")
    kinds = judged.problems.group_by("code", "item", "severity", message)
    counted = kinds.agg(pl.len().alias("count"), pl.col(ROW).sort().head(FIRST_ROWS).alias("rows"))
    ordered = sorted(
        counted.iter_rows(named=True),
        key=lambda kind: (codes.index(kind["code"]), items.get(kind["item"], 0), kind["severity"], kind["message"]),
    )
    return [
        Kind(
            code=kind["code"],
            message=general[kind["code"]].format(item=kind["item"]) if kind["code"] in general else kind["message"],
            count=kind["count"],
            rows=kind["rows"],
        )
        for kind in ordered
    ]


class RowProblem(TypedDict):
    """One problem of one row."""

    item: str | None
    code: str
    message: str
    severity: str


class RowObject(TypedDict):
    """One row as `batch check --rows` writes it."""

    row: int
    valid: bool
    email: str | None
    phone: str | None
    values: dict[str, str | None]
    problems: list[RowProblem]


def to_objects(judged: Judged) -> Iterator[RowObject]:
    """One object a row, in file order; a loop, because each becomes a line of JSON."""
    problems = groupby(judged.problems.iter_rows(named=True), key=itemgetter(ROW))
    row_of_next, next_problems = next(problems, (None, iter(())))
    for recipient in judged.recipients.iter_rows(named=True):
        own: list[RowProblem] = []
        if recipient[ROW] == row_of_next:
            own = [_row_problem(problem) for problem in next_problems]
            row_of_next, next_problems = next(problems, (None, iter(())))
        yield RowObject(
            row=recipient[ROW],
            valid=recipient["valid"],
            email=recipient["email"],
            phone=recipient["phone"],
            values={k.removeprefix(ITEM_PREFIX): v for k, v in recipient.items() if k.startswith(ITEM_PREFIX)},
            problems=own,
        )


def _row_problem(problem: dict[str, str | None]) -> RowProblem:
    return RowProblem(
        item=problem["item"],
        code=problem["code"] or "",
        message=problem["message"] or "",
        severity=problem["severity"] or "",
    )
