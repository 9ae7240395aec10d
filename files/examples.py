"""Example files of a process: the columns, what may stand in them, and one row that shows it."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from xlsxwriter.format import Format
from xlsxwriter.workbook import Workbook
from xlsxwriter.worksheet import Worksheet

from domain.columns import address_items
from domain.processes import DataItem, ItemType, ProcessDefinition
from domain.samples import sample_phone, sample_values
from files.workbooks import PROCESS_PROPERTY, VERSION_PROPERTY

LAST_ROW = 1_048_575
LONGEST_LIST = 255
"""Characters of a drop-down that holds its own choices; longer ones stand on a sheet of their own."""
NARROWEST, WIDEST = 14, 40
CHOICES_SHEET = "Choices"
YES_NO = ("yes", "no")
TYPES = {
    ItemType.TEXT: "Text",
    ItemType.EMAIL: "Email address",
    ItemType.PHONE: "Phone number",
    ItemType.DATE: "Date",
    ItemType.NUMBER: "Number",
    ItemType.BOOLEAN: "Yes or no",
    ItemType.CHOICE: "One of the choices",
}


def write_example_xlsx(definition: ProcessDefinition, version: int, path: Path) -> None:
    """Write the example workbook; a hidden marker says which process and version it is for."""
    with Workbook(path, {"strings_to_formulas": False, "strings_to_urls": False}) as workbook:
        workbook.set_properties({"title": definition.name})
        workbook.set_custom_property(PROCESS_PROPERTY, definition.key, "text")
        workbook.set_custom_property(VERSION_PROPERTY, str(version), "text")
        sheet = workbook.add_worksheet("Recipients")
        if definition.right_to_left:
            sheet.right_to_left()
        sheet.freeze_panes(1, 0)
        samples = sample_values(definition)
        bold, formats = workbook.add_format({"bold": True, "num_format": "@"}), _formats(workbook)
        for place, item in enumerate(definition.data_items):
            _write_column(sheet, place, item, sample=samples[item.name], bold=bold, format_=formats[item.type])
            sheet.write_comment(0, place, _note(item, definition), {"x_scale": 2, "y_scale": 1.5})
            _restrict(workbook, sheet, place, item)


def write_example_csv(definition: ProcessDefinition, path: Path) -> None:
    """Write the example as CSV, with the mark by which Excel knows that it is UTF-8."""
    samples = sample_values(definition)
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(samples)
        writer.writerow(samples.values())


def _formats(workbook: Workbook) -> dict[ItemType, Format]:
    """Text everywhere, so that Excel keeps leading zeros; dates and numbers as themselves."""
    formats = dict.fromkeys(ItemType, workbook.add_format({"num_format": "@"}))
    formats[ItemType.DATE] = workbook.add_format({"num_format": "yyyy-mm-dd"})
    formats[ItemType.NUMBER] = workbook.add_format({"num_format": "General"})
    return formats


def _write_column(sheet: Worksheet, place: int, item: DataItem, *, sample: str, bold: Format, format_: Format) -> None:
    width = min(max(NARROWEST, len(item.name) + 4, len(sample) + 2), WIDEST)
    sheet.set_column(place, place, width, format_)
    sheet.write_string(0, place, item.name, bold)
    match item.type:
        case ItemType.DATE:
            sheet.write_datetime(1, place, datetime.fromisoformat(sample), format_)
        case ItemType.NUMBER:
            sheet.write_number(1, place, float(sample), format_)
        case _:
            sheet.write_string(1, place, sample, format_)


def _note(item: DataItem, definition: ProcessDefinition) -> str:
    """What the comment on a header says: the type, how to write it, whether it must be filled in."""
    lines = [TYPES[item.type] + ".", _how(item, definition), "Required." if item.required else "May be left empty."]
    addresses = [each.name for each in address_items(definition)]
    if item.name in addresses and len(addresses) > 1 and not item.required:
        lines.append(f"Each row needs {' or '.join(addresses)}.")
    return "\n".join(line for line in lines if line)


def _how(item: DataItem, definition: ProcessDefinition) -> str:
    match item.type:
        case ItemType.DATE:
            shown = date(2030, 1, 31).strftime(item.format) if item.format else ""
            return f"As 2030-01-31{f' or {shown}' if shown else ''}."
        case ItemType.PHONE:
            return f"As {sample_phone(definition.default_region)}, or as dialled in {definition.default_region}."
        case ItemType.NUMBER:
            return "Digits and a point, as 1234.5."
        case ItemType.BOOLEAN:
            return "yes or no."
        case ItemType.CHOICE:
            return ", ".join(item.choices) + "."
        case _:
            return ""


def _restrict(workbook: Workbook, sheet: Worksheet, place: int, item: DataItem) -> None:
    """A drop-down where only some values are possible."""
    values = YES_NO if item.type is ItemType.BOOLEAN else item.choices
    if not values:
        return
    fits = len(",".join(values)) <= LONGEST_LIST and not any("," in value for value in values)
    source: Any = list(values) if fits else _listed(workbook, values, item)
    rule = {
        "validate": "list",
        "source": source,
        "error_title": item.name[:32],
        "error_message": "Choose one of the values of the list.",
    }
    sheet.data_validation(1, place, LAST_ROW, place, rule)


def _listed(workbook: Workbook, values: Sequence[str], item: DataItem) -> str:
    """Put long choices on a hidden sheet and give their range."""
    name = f"{CHOICES_SHEET} {item.name}"[:31]
    sheet = workbook.add_worksheet(name)
    sheet.hide()
    for row, value in enumerate(values):
        sheet.write_string(row, 0, value)
    return f"='{name}'!$A$1:$A${len(values)}"
