# ruff: noqa: S311  chance fills the file
"""A list of recipients as operators have them: plain addresses, and one in a hundred odd, one wrong."""

from __future__ import annotations

from pathlib import Path
from random import Random

from domain.processes import ProcessDefinition, read_definition

PROCESS = Path(__file__).parents[1] / "processes" / "motor-renewal.yaml"
DOMAINS = ("example.com", "mail.example.co.uk", "web.de", "Example.org")
EXTRA = ("Branch", "Note", "Agent")
ODD_EVERY = 100
"""One address in so many is not plain, and as many are wrong."""


def write_list(path: Path, *, rows: int) -> None:
    """A list for the process that ships with the product: 12 columns of text, no address twice, the same each time."""
    chance = Random(7)
    title = [item.name for item in example_process().data_items]
    lines = [",".join([*title, *EXTRA])]
    lines += [",".join(_recipient(number, chance)) for number in range(rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _recipient(number: int, chance: Random) -> list[str]:
    return [
        f"Anna{number % 97}",
        f"Smith{number % 1009}",
        _email(number),
        _phone(number, chance),
        f"P-{number:08d}",
        f"{1 + number % 28:02d}.{1 + number % 12:02d}.2030",
        f"{chance.randrange(100_000) / 100:.2f}",
        "Comprehensive" if number % 3 else "third party",
        "yes" if number % 2 else "no",
        f"Branch {number % 11}",
        "renewed last year",
        f"A{number % 53}",
    ]


def _email(number: int) -> str:
    if number % ODD_EVERY == 0:
        return f"änna{number}@example.com"
    if number % ODD_EVERY == 1:
        return f"anna{number}@example"
    return f"anna.smith{number}@{DOMAINS[number % len(DOMAINS)]}"


def _phone(number: int, chance: Random) -> str:
    mobile = f"7{chance.choice('45789')}{chance.randrange(10**8):08d}"
    if number % ODD_EVERY == 0:
        return f"0{mobile} ext. {number}"
    if number % ODD_EVERY == 1:
        return f"0{mobile[:7]}"
    forms = (
        f"+44{mobile}",
        f"0{mobile}",
        f"0{mobile[:4]} {mobile[4:]}",
        f"+44 (0){mobile[:4]} {mobile[4:7]}-{mobile[7:]}",
    )
    return forms[number % len(forms)]


def example_process() -> ProcessDefinition:
    """The process that ships with the product."""
    return read_definition(PROCESS.read_text(encoding="utf-8"), name=PROCESS.name)
