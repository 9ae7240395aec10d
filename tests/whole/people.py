"""Recipients who do not exist, and what must become of each; plain functions, nothing hidden."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

import xlsxwriter

Kind = Literal["email", "phone", "both", "nameless", "unreachable"]

SURNAME = "Quibblewick"
DOMAIN = "quibble-marker.example"
"""Stand in every file, so that one search finds what leaked."""
PHONE_MARK = "7400"

HEADER = (
    "First Name", "last_name", "E-Mail", "phone", "Policy-Number", "renewal_date", "premium", "cover", "paperless",
    "Our note",
)  # fmt: skip
FIRST_ROW = 2
CHANNELS: dict[Kind, frozenset[str]] = {
    "email": frozenset({"Email"}),
    "phone": frozenset({"SMS"}),
    "both": frozenset({"Email", "SMS"}),
    "nameless": frozenset(),
    "unreachable": frozenset(),
}


@dataclass(frozen=True, slots=True)
class Person:
    """One row, and where its messages must arrive."""

    row: int
    first_name: str
    email: str
    phone: str
    policy: str
    renewal: date
    premium: float
    kind: Kind

    @property
    def cells(self) -> list[str]:
        """The row as text."""
        return [
            self.first_name, SURNAME, self.email, self.phone, self.policy, self.renewal.isoformat(),
            f"{self.premium:g}", "Third party", "yes", f"Zoë, “{self.row}”",
        ]  # fmt: skip

    @property
    def channels(self) -> frozenset[str]:
        """By which channels this person gets the link, as the result file calls them."""
        return CHANNELS[self.kind]

    @property
    def phone_e164(self) -> str:
        """The number as a provider is told it."""
        return "+44" + self.phone.removeprefix("0").replace(" ", "")


def people(*kinds: Kind, tag: str, block: int) -> list[Person]:
    """One person for each kind; `tag` and `block` keep the addresses of one batch apart from all others."""
    return [_person(kind, number, tag=tag, block=block) for number, kind in enumerate(kinds)]


def crowd(number: int, *, tag: str, block: int) -> list[Person]:
    """All kinds, mixed; a few of them cannot be sent."""
    good: tuple[Kind, ...] = ("email", "phone", "both")
    bad: dict[int, Kind] = {20: "nameless", 45: "unreachable"}
    return people(*(bad.get(place % 50, good[place % 3]) for place in range(number)), tag=tag, block=block)


def _person(kind: Kind, number: int, *, tag: str, block: int) -> Person:
    return Person(
        row=number + FIRST_ROW,
        first_name="" if kind == "nameless" else f"Ada{number}",
        email="not-an-address" if kind == "unreachable" else f"p{number}@{tag}.{DOMAIN}" if kind != "phone" else "",
        phone=f"0{PHONE_MARK} {block:02d}{number:04d}" if kind in {"phone", "both", "nameless"} else "",
        policy=f"{tag}-{number:06d}",
        renewal=date(2027, 1, 1) + timedelta(days=number % 90),
        premium=100 + number / 4,
        kind=kind,
    )


def write_csv(path: Path, persons: list[Person]) -> Path:
    """As a person's spreadsheet program writes it."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows(person.cells for person in persons)
    return path


def write_xlsx(path: Path, persons: list[Person]) -> Path:
    """With real dates and numbers in its cells."""
    with xlsxwriter.Workbook(path, {"default_date_format": "dd/mm/yyyy"}) as workbook:
        sheet = workbook.add_worksheet("Customers")
        sheet.write_row(0, 0, HEADER)
        for person in persons:
            line = person.row - 1
            for place, cell in enumerate(person.cells):
                sheet.write_string(line, place, cell)
            sheet.write_datetime(line, HEADER.index("renewal_date"), person.renewal)
            sheet.write_number(line, HEADER.index("premium"), person.premium)
    return path


def read_csv(path: Path) -> list[dict[str, str]]:
    """Rows of a result file, by title."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))
