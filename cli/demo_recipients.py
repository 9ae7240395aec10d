"""The demo's recipient file: a thousand people who do not exist, in many scripts, with some honest mistakes."""

from __future__ import annotations

import random
from datetime import date, timedelta
from pathlib import Path

import xlsxwriter

NAMES = (
    ("Amelia", "Clarke"), ("Jürgen", "Größmann"), ("Søren", "Ångström"), ("Zoë", "O'Brien"), ("Łukasz", "Żółć"),
    ("José", "Muñoz"), ("Ελένη", "Παπαδοπούλου"), ("Дмитро", "Шевченко"), ("नेहा", "शर्मा"), ("美咲", "佐藤"),
    ("小明", "王"), ("지우", "김"), ("יעל", "כהן"), ("ليلى", "حداد"), ("สมชาย", "ใจดี"), ("Nguyễn", "Thị Hoa"),
)  # fmt: skip
HEADER = (
    "first_name", "last_name", "email", "phone", "policy_number", "renewal_date", "premium", "cover", "paperless",
)  # fmt: skip
COVERS = ("Comprehensive", "Third party")
_ONE_BAD_IN = 50


def write_demo_file(path: Path, *, rows: int, seed: int) -> None:
    """Write an Excel file for the process `motor-renewal`; the same one for the same seed."""
    chance = random.Random(seed)  # noqa: S311  invents people, guards nothing
    with xlsxwriter.Workbook(path, {"constant_memory": True}) as workbook:
        sheet = workbook.add_worksheet("Recipients")
        day_format = workbook.add_format({"num_format": "yyyy-mm-dd"})
        sheet.write_row(0, 0, HEADER, workbook.add_format({"bold": True}))
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, len(HEADER) - 1, 18)
        for number in range(1, rows + 1):
            person = _person(chance, number)
            for place, value in enumerate(person):
                if isinstance(value, date):
                    sheet.write_datetime(number, place, value, day_format)
                elif isinstance(value, float):
                    sheet.write_number(number, place, value)
                else:
                    sheet.write_string(number, place, value)


def _person(chance: random.Random, number: int) -> list[str | float | date]:
    first, last = chance.choice(NAMES)
    email, phone = f"person.{number}@example.com", f"07400 {number:06d}"
    kind = chance.random()
    if kind < 0.4:  # noqa: PLR2004  two in five have email only
        phone = ""
    elif kind < 0.7:  # noqa: PLR2004  three in ten a phone only
        email = ""
    renewal: date | str = date(2026, 12, 1) + timedelta(days=chance.randrange(120))
    cover = chance.choice(COVERS)
    if number % _ONE_BAD_IN == 0:
        mistake = number // _ONE_BAD_IN % 5
        if mistake == 0:
            first = ""
        elif mistake == 1:
            email, phone = "not-an-address", ""
        elif mistake == 2:  # noqa: PLR2004  the third kind
            email, phone = "", "12345"
        elif mistake == 3:  # noqa: PLR2004  the fourth kind
            renewal = "soon"
        else:
            cover = "Everything"
    return [
        first, last, email, phone, f"{number:08d}", renewal, round(chance.uniform(180, 900), 2), cover,
        chance.choice(("yes", "no")),
    ]  # fmt: skip
