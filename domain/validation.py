"""Judging a file's rows by the rules of `domain.rules`, and what that says of the whole file.

A bad row is data: it comes back with its problems and is never dropped. Which column is which item is
decided in `domain.columns`, what a single cell means in `domain.understanding`, what is told of it all
in `domain.findings`; this module offers them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date

import polars as pl

from domain.columns import Columns, address_items, recognise
from domain.findings import Judged, summarise, to_objects
from domain.frames import PROBLEMS, ROW, column, item_column
from domain.open_links import Links, open_in
from domain.processes import LINK, PLACEHOLDER, DataItem, ItemType, ProcessDefinition
from domain.rendering import as_read, fill
from domain.rules import MOST_EMAIL_BYTES, MOST_SMS_CHARACTERS, RULES, Rule, Severity
from domain.samples import sample_phone, sample_values
from domain.understanding import Remark, understand

__all__ = ["RULES", "Columns", "Judged", "Rule", "Severity", "judge", "recognise", "summarise", "to_objects"]

LINK_LENGTH = 120
EXAMPLE_DAY = date(2030, 1, 31)
GIVEN = "given:"
REMARK = "remark:"
SENT = "sent:"
NAMESAKE = "namesake:"
REPEATED = "repeated:"
SMS_CHARACTERS = "sms_characters"
PLACE = ("rule", "place")
NO_ROW = pl.lit(None, pl.UInt32)
NO_TEXT = pl.lit(None, pl.String)
NEVER = pl.lit(value=False)


def judge(
    rows: pl.DataFrame,
    columns: Columns,
    definition: ProcessDefinition,
    *,
    link_length: int = LINK_LENGTH,
    open_links: Iterable[Links] = (),
) -> Judged:
    """Understand every cell and name every broken rule.

    Args:
        rows: ROWS, n rows in file order.
        columns: where each data item stands.
        definition: types, requirements, and what the start phase sends.
        link_length: characters of a personal link, for the length of an SMS.
        open_links: who has an open link of another batch, newest batch first.
    """
    facts = _facts(_understood(rows, columns, definition), definition, link_length=link_length)
    errors = _broken(facts, definition, severity=Severity.ERROR)
    recipients = _recipients(facts, definition, refused=errors[ROW])
    facts = facts.with_columns(*_namesakes(recipients, facts, definition), open_in(recipients, open_links))
    warnings = _broken(facts, definition, severity=Severity.WARNING)
    problems = pl.concat([errors, warnings]).sort(ROW, *PLACE).select(list(PROBLEMS))
    return Judged(recipients=recipients, problems=problems)


def _understood(rows: pl.DataFrame, columns: Columns, definition: ProcessDefinition) -> pl.DataFrame:
    """`row`, and for each item `given:` (stripped, null where empty), `item:` (null where not understood), `remark:`, `sent:`."""
    texts = _given(rows, columns, definition)
    cells = [texts[ROW]]
    for item in definition.data_items:
        text = texts[GIVEN + item.name]
        meant = understand(text, item, definition=definition)
        value, remark = meant["value"].alias(item_column(item.name)), meant["remark"].alias(REMARK + item.name)
        given = _without_placeholders(text, value, remark).alias(GIVEN + item.name)
        cells += [given, value, remark, _sent(value, given).alias(SENT + item.name)]
    return pl.DataFrame(cells)


def _given(rows: pl.DataFrame, columns: Columns, definition: ProcessDefinition) -> pl.DataFrame:
    """`row`, and `given:` of each item: its text without the spaces around it, null where nothing is left or the file has no column."""
    found = {GIVEN + name: pl.col(column(place)) for name, place in columns.of_item.items()}
    # Files come in pieces, and every step that looks at two columns would first make one piece of each.
    cells = rows.select(ROW, **found).rechunk()
    names = (GIVEN + item.name for item in definition.data_items)
    return cells.select(ROW, *(_stripped(cells[name]) if name in found else NO_TEXT.alias(name) for name in names))


def _stripped(cells: pl.Series) -> pl.Series:
    """The cells without the spaces around them, null where nothing is left; they themselves where none has any."""
    stripped = cells.str.strip_chars()
    if stripped.str.len_bytes().sum() == cells.str.len_bytes().sum() and not (cells == "").any():
        return cells
    return stripped.set(stripped == "", None)


def _sent(value: pl.Series, given: pl.Series) -> pl.Series:
    """An item's values as they are sent: canonical where they were understood, as given elsewhere."""
    if value.null_count() == given.null_count():
        return value
    others = (value.is_null() & given.is_not_null()).arg_true()
    return value.clone().scatter(others, given.gather(others))


def _without_placeholders(given: pl.Series, value: pl.Series, remark: pl.Series) -> pl.Series:
    """What stands for an address that is not there was not given."""
    if remark.null_count() == remark.len():
        return given
    places = ((remark == Remark.PLACEHOLDER.value) & value.is_null()).fill_null(value=False).arg_true()
    return given.scatter(places, None) if places.len() else given


def _facts(cells: pl.DataFrame, definition: ProcessDefinition, *, link_length: int) -> pl.DataFrame:
    """The cells, and what the rules of whole rows look at."""
    usable = [pl.col(item_column(item.name)).is_not_null() for item in address_items(definition)]
    known = cells.with_columns(
        is_sample=_is_sample(cells, definition),
        has_address=pl.any_horizontal(NEVER, *usable),
        email_bytes=_email_bytes(cells, definition),
    )
    known = known.with_columns(
        _sms_characters(known, definition, link_length=link_length), *_repeated(known, definition)
    )
    return known.with_columns(_twins(known, definition))


def _is_sample(cells: pl.DataFrame, definition: ProcessDefinition) -> pl.Series:
    """The row still says what only the example row says: its texts and its email address.

    The other cells do not count, because a spreadsheet program may have rewritten the sample's date or number.
    Cell by cell over the rows that are still in question, which soon are few.
    """
    samples = sample_values(definition)
    telling = {item.name for item in definition.data_items if item.type in (ItemType.TEXT, ItemType.EMAIL)}
    names = [name for name in samples if name in telling] or list(samples)
    alike = cells.select(ROW, *(GIVEN + name for name in names))
    for name in names:
        alike = alike.filter(pl.col(GIVEN + name).is_null() | (pl.col(GIVEN + name) == samples[name]))
    alike = alike.filter(pl.any_horizontal(pl.col(GIVEN + name).is_not_null() for name in names))
    return cells[ROW].is_in(alike[ROW].implode())


def _email_bytes(cells: pl.DataFrame, definition: ProcessDefinition) -> pl.Series:
    """Bytes of all values of a row that gets an email, 0 for other rows, and where no row can come over the limit."""
    item, names = definition.email_item, [each.name for each in definition.data_items]
    if definition.start.email is None or item is None or _most_bytes(cells, names) <= MOST_EMAIL_BYTES:
        return pl.Series([0], dtype=pl.UInt64).new_from_index(0, cells.height)
    sizes = [pl.col(SENT + name).str.len_bytes().cast(pl.UInt64) for name in names]
    known = pl.when(pl.col(item_column(item.name)).is_not_null()).then(pl.sum_horizontal(sizes)).otherwise(0)
    return cells.select(known.alias("email_bytes")).to_series()


def _most_bytes(cells: pl.DataFrame, names: Sequence[str]) -> int:
    """Of these items together, no row has more."""
    longest = (
        pl.col(SENT + name).str.len_bytes().max().cast(pl.UInt64).alias(str(place)) for place, name in enumerate(names)
    )
    return int(cells.select(longest).sum_horizontal().item() or 0) if names else 0


def _sms_characters(cells: pl.DataFrame, definition: ProcessDefinition, *, link_length: int) -> pl.Series:
    """Characters of the rendered SMS of a row that gets one, 0 for other rows.

    Rows that may come over the limit are rendered; of the others it is enough that they cannot.
    """
    sms, item = definition.start.sms, definition.phone_item
    nothing = pl.Series(SMS_CHARACTERS, [0], pl.UInt64)
    if sms is None or item is None:
        return nothing.new_from_index(0, cells.height)
    places = PLACEHOLDER.findall(sms.text)
    fixed = len(PLACEHOLDER.sub("", sms.text)) + places.count(LINK) * link_length
    items = {each.name: each for each in definition.data_items}
    values = [name for name in places if name != LINK]
    fixed += sum(_longer_as_read(items[name]) for name in values)
    if fixed + _most_bytes(cells, values) <= MOST_SMS_CHARACTERS:
        return nothing.new_from_index(0, cells.height)
    lengths = [pl.col(SENT + name).str.len_chars().cast(pl.UInt64) for name in values]
    most = pl.when(pl.col(item_column(item.name)).is_not_null()).then(
        pl.sum_horizontal(pl.lit(fixed, pl.UInt64), *lengths)
    )
    known = cells.select(most.fill_null(0).alias(SMS_CHARACTERS)).to_series()
    long = (known > MOST_SMS_CHARACTERS).arg_true()
    if long.is_empty():
        return known
    people = cells[long].select(pl.col(SENT + name).fill_null("").alias(name) for name in items).iter_rows(named=True)
    link = "x" * link_length
    texts = (
        fill(sms.text, {name: as_read(items[name], text) for name, text in one.items()} | {LINK: link})
        for one in people
    )
    return known.scatter(long, pl.Series(list(map(len, texts)), dtype=pl.UInt64))


def _longer_as_read(item: DataItem) -> int:
    """By how many characters a day may be longer in the process's format than in ISO."""
    if item.type is not ItemType.DATE or item.format is None:
        return 0
    written = (
        date(EXAMPLE_DAY.year, month, day).strftime(item.format) for month in range(1, 13) for day in range(1, 29)
    )
    return max(0, max(map(len, written)) - len(EXAMPLE_DAY.isoformat()))


def _repeated(cells: pl.DataFrame, definition: ProcessDefinition) -> Iterator[pl.Series]:
    """For each address, `repeated:<item>`: false in rows that are alone with theirs, whatever its case.

    Comparing all rows with each other is dear, so these few questions find the few that may be alike; that
    different addresses may have one hash does no harm.
    """
    for item in _addresses(definition).values():
        address = cells[SENT + item.name]
        folded = address.str.to_lowercase() if item.type is ItemType.EMAIL else address
        yield _is_repeated(folded.hash()).alias(REPEATED + item.name)


def _is_repeated(hashes: pl.Series) -> pl.Series:
    """Which of them stand there twice; in their order, because a table of all takes ten times the memory."""
    ordered = hashes.sort()
    repeated = ordered.filter(ordered == ordered.shift()).unique()
    return hashes.is_in(repeated.implode())


def _twins(facts: pl.DataFrame, definition: ProcessDefinition) -> pl.Series:
    """`twin`: the first row with the same values in all items, null in that row itself."""
    names = [SENT + item.name for item in definition.data_items]
    repeated = [pl.col(REPEATED + item.name) for item in _addresses(definition).values()]
    likely = facts.filter(pl.all_horizontal(~pl.col("is_sample"), *repeated)).select(ROW, *names)
    likely = likely.filter(likely.select(names).hash_rows().is_duplicated())
    return _first(facts, likely.select(ROW, first=pl.col(ROW).min().over(names))).alias("twin")


def _namesakes(recipients: pl.DataFrame, facts: pl.DataFrame, definition: ProcessDefinition) -> Iterator[pl.Series]:
    """For each address that is written to, `namesake:<item>`: the first valid row with the same one."""
    for address, item in _addresses(definition).items():
        likely = recipients.select(ROW, address).filter(facts[REPEATED + item.name] & recipients[address].is_not_null())
        same = pl.col(address).str.to_lowercase()
        yield _first(facts, likely.select(ROW, first=pl.col(ROW).min().over(same))).alias(NAMESAKE + item.name)


def _addresses(definition: ProcessDefinition) -> dict[str, DataItem]:
    """Column of RECIPIENTS -> the item that it comes from."""
    items = {"email": definition.email_item, "phone": definition.phone_item}
    return {name: item for name, item in items.items() if item is not None}


def _first(facts: pl.DataFrame, alike: pl.DataFrame) -> pl.Series:
    """`first` of the rows that are not themselves the first, null in the others."""
    later = alike.filter(pl.col("first") < pl.col(ROW))
    return facts.select(ROW).join(later, on=ROW, how="left", maintain_order="left")["first"]


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
        *(pl.col(SENT + item.name).alias(item_column(item.name)) for item in definition.data_items),
    )


def _broken(facts: pl.DataFrame, definition: ProcessDefinition, *, severity: Severity) -> pl.DataFrame:
    """PROBLEMS of one severity in no order, with `rule` and `place` to order them by."""
    found = [pl.DataFrame(schema={**PROBLEMS, "rule": pl.Int32, "place": pl.Int32})]
    for place, item in enumerate((*definition.data_items, None)):
        rules = [
            (index, rule) for index, rule in enumerate(RULES) if rule.severity is severity and _looks_at(rule, item)
        ]
        if not rules:
            continue
        view = _view(facts, definition, item=item)
        broken = view.select(_applies(rule).fill_null(value=False).alias(str(index)) for index, rule in rules)
        for index, rule in rules:
            rows = broken[str(index)]
            if rows.any():
                order = (index, place)
                found.append(_problems(view.filter(rows), rule, item=item, definition=definition, order=order))
    return pl.concat(found)


def _looks_at(rule: Rule, item: DataItem | None) -> bool:
    """A rule looks at the whole row, or at each item of its types."""
    return not rule.types if item is None else item.type in rule.types


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
        remark=REMARK + item.name,
        required=pl.lit(item.required),
        is_texted=pl.lit(definition.start.sms is not None and item == definition.phone_item),
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
