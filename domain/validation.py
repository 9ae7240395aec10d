"""Judging a file's rows by the rules of `domain.rules`, and what that says of the whole file.

A bad row is data: it comes back with its problems and is never dropped. Which column is which item is
decided in `domain.columns`, what a single cell means in `domain.understanding`, what is told of it all
in `domain.findings`; this module offers them all.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import polars as pl

from domain.columns import Columns, address_items, recognise
from domain.findings import Judged, summarise, to_objects
from domain.frames import PROBLEMS, ROW, column, item_column
from domain.processes import LINK, PLACEHOLDER, DataItem, ItemType, ProcessDefinition
from domain.rules import RULES, Rule, Severity
from domain.samples import sample_phone, sample_values
from domain.understanding import understand

__all__ = ["RULES", "Columns", "Judged", "Rule", "Severity", "judge", "recognise", "summarise", "to_objects"]

LINK_LENGTH = 120
EXAMPLE_DAY = date(2030, 1, 31)
GIVEN = "given:"
NAMESAKE = "namesake:"
PLACE = ("rule", "place")
NO_ROW = pl.lit(None, pl.UInt32)
NEVER = pl.lit(value=False)


def judge(
    rows: pl.DataFrame, columns: Columns, definition: ProcessDefinition, *, link_length: int = LINK_LENGTH
) -> Judged:
    """Understand every cell and name every broken rule.

    Args:
        rows: ROWS, n rows in file order.
        columns: where each data item stands.
        definition: types, requirements, and what the start phase sends.
        link_length: characters of a personal link, for the length of an SMS.
    """
    facts = _facts(_understood(rows, columns, definition), definition, link_length=link_length)
    errors = _broken(facts, definition, severity=Severity.ERROR)
    recipients = _recipients(facts, definition, refused=errors[ROW])
    facts = facts.with_columns(*_namesakes(recipients, definition))
    warnings = _broken(facts, definition, severity=Severity.WARNING)
    problems = pl.concat([errors, warnings]).sort(ROW, *PLACE).select(list(PROBLEMS))
    return Judged(recipients=recipients, problems=problems)


def _understood(rows: pl.DataFrame, columns: Columns, definition: ProcessDefinition) -> pl.DataFrame:
    """`row`, and for each item `given:` (stripped, null where empty) and `item:` (null where not understood)."""
    cells = [rows[ROW]]
    for item in definition.data_items:
        index = columns.of_item.get(item.name)
        cell = pl.lit(None, pl.String) if index is None else pl.col(column(index)).str.strip_chars()
        # Not `select`: of a column that the file does not have, that would give one value and not n.
        given = rows.with_columns(pl.when(cell != "").then(cell).alias(item.name)).select(item.name)
        understood = understand(given, item, definition=definition)
        cells += [given[item.name].alias(GIVEN + item.name), understood.alias(item_column(item.name))]
    return pl.DataFrame(cells)


def _facts(cells: pl.DataFrame, definition: ProcessDefinition, *, link_length: int) -> pl.DataFrame:
    """The cells, and what the rules of whole rows look at."""
    usable = [pl.col(item_column(item.name)).is_not_null() for item in address_items(definition)]
    known = cells.with_columns(
        is_sample=_is_sample(definition),
        has_address=pl.any_horizontal(NEVER, *usable),
        email_bytes=_email_bytes(definition),
        sms_characters=_sms_characters(definition, link_length=link_length),
    )
    return known.with_columns(_twins(known, definition))


def _value(name: str) -> pl.Expr:
    """An item's value as it is sent: canonical where it was understood, as given elsewhere."""
    return pl.coalesce(item_column(name), GIVEN + name).alias(item_column(name))


def _is_sample(definition: ProcessDefinition) -> pl.Expr:
    """The row still says what only the example row says: its texts and its email address.

    The other cells do not count, because a spreadsheet program may have rewritten the sample's date or number.
    """
    samples = sample_values(definition)
    telling = {item.name for item in definition.data_items if item.type in (ItemType.TEXT, ItemType.EMAIL)}
    names = [name for name in samples if name in telling] or list(samples)
    cells = [pl.col(GIVEN + name) for name in names]
    same = [cell.is_null() | (cell == samples[name]) for cell, name in zip(cells, names, strict=True)]
    return pl.all_horizontal(same) & pl.any_horizontal(cell.is_not_null() for cell in cells)


def _email_bytes(definition: ProcessDefinition) -> pl.Expr:
    """Bytes of all values of a row that gets an email, 0 for other rows."""
    item = definition.email_item
    if definition.start.email is None or item is None:
        return pl.lit(0)
    sizes = [_value(each.name).str.len_bytes().cast(pl.UInt64) for each in definition.data_items]
    return pl.when(pl.col(item_column(item.name)).is_not_null()).then(pl.sum_horizontal(sizes)).otherwise(0)


def _sms_characters(definition: ProcessDefinition, *, link_length: int) -> pl.Expr:
    """Characters of the rendered SMS of a row that gets one, 0 for other rows."""
    sms, item = definition.start.sms, definition.phone_item
    if sms is None or item is None:
        return pl.lit(0)
    places = PLACEHOLDER.findall(sms.text)
    fixed = len(PLACEHOLDER.sub("", sms.text)) + places.count(LINK) * link_length
    lengths = [_value(name).str.len_chars().cast(pl.UInt64) for name in places if name != LINK]
    rendered = pl.sum_horizontal(pl.lit(fixed, pl.UInt64), *lengths)
    return pl.when(pl.col(item_column(item.name)).is_not_null()).then(rendered).otherwise(0)


def _twins(facts: pl.DataFrame, definition: ProcessDefinition) -> pl.Series:
    """`twin`: the first row with the same values in all items, null in that row itself.

    Comparing whole rows is dear, so a hash first finds the few that may be alike.
    """
    values = facts.select(ROW, *(_value(item.name) for item in definition.data_items))
    names = values.columns[1:]
    alike = values.filter(pl.struct(names).hash().is_duplicated() & ~facts["is_sample"])
    alike = alike.select(ROW, first=pl.col(ROW).min().over(names)).filter(pl.col("first") < pl.col(ROW))
    return values.join(alike, on=ROW, how="left", maintain_order="left")["first"].alias("twin")


def _namesakes(recipients: pl.DataFrame, definition: ProcessDefinition) -> Iterator[pl.Series]:
    """For each address that is written to, `namesake:<item>`: the first valid row with the same one."""
    for item, address in ((definition.email_item, "email"), (definition.phone_item, "phone")):
        if item is None:
            continue
        same = recipients.select(ROW, same=pl.col(address).str.to_lowercase())
        alike = same.filter(pl.col("same").is_not_null() & pl.col("same").hash().is_duplicated())
        alike = alike.select(ROW, first=pl.col(ROW).min().over("same")).filter(pl.col("first") < pl.col(ROW))
        found = recipients.select(ROW).join(alike, on=ROW, how="left", maintain_order="left")
        yield found["first"].alias(NAMESAKE + item.name)


def _recipients(facts: pl.DataFrame, definition: ProcessDefinition, *, refused: pl.Series) -> pl.DataFrame:
    """RECIPIENTS: rows with an error are not valid, and only addresses that an output of a valid row uses are kept."""
    valid = ~pl.col(ROW).is_in(refused.unique().implode())
    start = definition.start
    used = {
        "email": definition.email_item if start.email else None,
        "phone": definition.phone_item if start.sms else None,
    }
    nobody = pl.lit(None, pl.String)
    addresses = {name: pl.col(item_column(item.name)) if item else nobody for name, item in used.items()}
    return facts.select(
        ROW,
        valid.alias("valid"),
        *(pl.when(valid).then(address).alias(name) for name, address in addresses.items()),
        *(_value(item.name) for item in definition.data_items),
    )


def _broken(facts: pl.DataFrame, definition: ProcessDefinition, *, severity: Severity) -> pl.DataFrame:
    """PROBLEMS of one severity in no order, with `rule` and `place` to order them by."""
    found = [pl.DataFrame(schema={**PROBLEMS, "rule": pl.Int32, "place": pl.Int32})]
    for index, rule in enumerate(RULES):
        if rule.severity is not severity:
            continue
        for place, item in _scopes(rule, definition):
            broken = _view(facts, definition, item=item).filter(_applies(rule))
            if broken.height:
                found.append(_problems(broken, rule, item=item, definition=definition, order=(index, place)))
    return pl.concat(found)


def _scopes(rule: Rule, definition: ProcessDefinition) -> Iterator[tuple[int, DataItem | None]]:
    """What a rule looks at: the whole row once, or each item of its types with its place."""
    if not rule.types:
        yield 0, None
    for place, item in enumerate(definition.data_items):
        if item.type in rule.types:
            yield place, item


def _applies(rule: Rule) -> pl.Expr:
    """A sample row has that one problem only."""
    return rule.broken if rule.code == "sample_row" else rule.broken & ~pl.col("is_sample")


def _view(facts: pl.DataFrame, definition: ProcessDefinition, *, item: DataItem | None) -> pl.DataFrame:
    """The facts under the names that the rules use: of the whole row, or of one item."""
    if item is None:
        return facts
    others = [other for other in address_items(definition) if other.name != item.name]
    is_address = len(others) < len(address_items(definition))
    spare = [pl.col(item_column(other.name)).is_not_null() for other in others if is_address and not item.required]
    namesake = NAMESAKE + item.name
    return facts.select(
        ROW,
        "is_sample",
        given=GIVEN + item.name,
        understood=item_column(item.name),
        required=pl.lit(item.required),
        spare=pl.any_horizontal(NEVER, *spare),
        namesake=namesake if namesake in facts.columns else NO_ROW,
    )


def _problems(
    broken: pl.DataFrame,
    rule: Rule,
    *,
    item: DataItem | None,
    definition: ProcessDefinition,
    order: tuple[int, int],
) -> pl.DataFrame:
    """PROBLEMS of the rows that break one rule, with their order."""
    message = pl.lit(sentence(rule, item, definition=definition))
    if rule.names_row is not None:
        before, after = rule.of_row.format(item=item.name if item else "", row="\0").split("\0")
        message = pl.concat_str(pl.lit(before), pl.col(rule.names_row).cast(pl.String), pl.lit(after))
    return broken.select(
        ROW,
        item=pl.lit(item.name if item else None, pl.String),
        code=pl.lit(rule.code),
        message=message,
        severity=pl.lit(rule.severity.value),
        rule=pl.lit(order[0], pl.Int32),
        place=pl.lit(order[1], pl.Int32),
    )


def sentence(rule: Rule, item: DataItem | None, *, definition: ProcessDefinition) -> str:
    """What the rule says of one item, or of a whole row, of this process."""
    names = [each.name for each in address_items(definition)]
    days = [EXAMPLE_DAY.isoformat()] + ([EXAMPLE_DAY.strftime(item.format)] if item and item.format else [])
    return rule.sentence.format(
        item=item.name if item else "",
        choices=", ".join(item.choices) if item else "",
        date=" or ".join(days),
        phone=sample_phone(definition.default_region),
        no_address=f"Neither {' nor '.join(names)}" if len(names) > 1 else f"No {' '.join(names)}",
    )
