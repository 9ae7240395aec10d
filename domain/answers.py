"""What one person enters in a process's form, judged by the rules that hold for the rows of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from domain.processes import DataItem, ProcessDefinition
from domain.rules import RULES, Rule, Severity
from domain.samples import title
from domain.understanding import Remark, understand
from domain.validation import sentence


@dataclass(frozen=True, slots=True)
class Answers:
    """What somebody entered.

    Attributes:
        values: canonical value by data item, None where nothing was entered.
        problems: a sentence by data item, for those that must be corrected.
    """

    values: Mapping[str, str | None]
    problems: Mapping[str, str]


def label(item: DataItem) -> str:
    """What a form calls a data item."""
    return item.label or title(item.name)


def judge_answers(entered: Mapping[str, str], definition: ProcessDefinition) -> Answers:
    """Understand and judge every data item; what is missing counts as empty, what is no data item is left out."""
    values: dict[str, str | None] = {}
    problems: dict[str, str] = {}
    for item in definition.data_items:
        view = _view(entered.get(item.name, ""), item, definition)
        values[item.name] = view["understood"].item()
        if broken := _first_broken(view, item):
            called = item.model_copy(update={"name": label(item)})
            problems[item.name] = sentence(broken, called, definition=definition)
    return Answers(values, problems)


def _view(entered: str, item: DataItem, definition: ProcessDefinition) -> pl.DataFrame:
    """One line with what the rules of an item look at."""
    given = pl.Series([entered.strip() or None], dtype=pl.String)
    meant = understand(given, item, definition=definition)
    # A person can be told that `n/a` is no address; that it counts as empty, or came out of a spreadsheet, is of files.
    remark = meant["remark"].item() if meant["remark"].item() == Remark.AMBIGUOUS else None
    return pl.DataFrame(
        {
            "given": given,
            "understood": meant["value"],
            "remark": [remark],
            "required": [item.required],
            "is_texted": [False],
            "spare": [False],
            "namesake": [None],
        },
        schema_overrides=dict.fromkeys(("given", "understood", "remark"), pl.String) | {"namesake": pl.UInt32},
    )


def _first_broken(view: pl.DataFrame, item: DataItem) -> Rule | None:
    rules = [rule for rule in RULES if item.type in rule.types and rule.severity is Severity.ERROR]
    broken = view.select(rule.broken.fill_null(value=False).alias(str(place)) for place, rule in enumerate(rules)).row(
        0
    )
    return next((rule for rule, is_broken in zip(rules, broken, strict=True) if is_broken), None)
