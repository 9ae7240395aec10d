# ruff: noqa: S311, S603, T201  chance fills the file, the measures run in children, and the table is printed
"""What reading and checking a list costs beside the bare libraries: `python -m benchmarks.check --rows 100000`.

Each measure runs in a process of its own, in turns with what it is compared to, because these machines drift: only the
ratio of one run means something. CPU seconds are of the process and its children; memory is the most that either held.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from statistics import median

import polars as pl

from domain.columns import recognise
from domain.distinct import once_each
from domain.email_addresses import normalised_email, normalised_emails
from domain.frames import ROW, column
from domain.phone_numbers import is_landline, normalised_phone, normalised_phones
from domain.processes import ProcessDefinition, read_definition
from domain.validation import judge
from files.layouts import Limits
from files.reading import read

PROCESS = Path(__file__).parents[1] / "processes" / "motor-renewal.yaml"
DOMAINS = ("example.com", "mail.example.co.uk", "web.de", "Example.org")
EXTRA = ("Branch", "Note", "Agent")
ODD_EVERY = 100
"""One address in so many is not plain, and as many are wrong."""
EMAIL, PHONE, REGION = 2, 3, "GB"
"""Places of the addresses in the file, and the region of its numbers."""
KIBIBYTE = 1024
ROOMY = Limits(bytes=1_000_000_000, seconds=600)
"""More than may be uploaded: a million of these rows are 136 MB."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run took: seconds, and mebibytes at most."""

    cpu: float
    wall: float
    memory: float


@dataclass(frozen=True, slots=True)
class Measure:
    """Something to measure: `prepare` reads what it needs and gives what is to be timed."""

    name: str
    prepare: Callable[[Path], Callable[[], object]]
    beside: str | None = None
    """The measure whose CPU seconds its own are compared with."""


def write_list(path: Path, *, rows: int) -> None:
    """A list for the process that ships with the product: 12 columns of text, no address twice, the same each time."""
    chance = Random(7)
    title = [item.name for item in _definition().data_items]
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


def _definition() -> ProcessDefinition:
    return read_definition(PROCESS.read_text(encoding="utf-8"), name=PROCESS.name)


def _cells(path: Path, place: int) -> pl.Series:
    return pl.read_csv(path, infer_schema=False, columns=[place]).to_series()


def _reading_bare(path: Path) -> Callable[[], object]:
    return lambda: pl.read_csv(path, infer_schema=False)


def _reading(path: Path) -> Callable[[], object]:
    return lambda: read(path, file_name=path.name, limits=ROOMY)


def _judging(path: Path) -> Callable[[], object]:
    cells, definition = pl.read_csv(path, infer_schema=False), _definition()
    columns = recognise(cells.columns, definition, file_name=path.name)
    rows = cells.rename({name: column(place) for place, name in enumerate(cells.columns)})
    rows = rows.with_row_index(ROW, offset=2)
    return lambda: judge(rows, columns, definition)


def _emails_by_library(path: Path) -> Callable[[], object]:
    cells = _cells(path, EMAIL)
    return lambda: once_each(cells, normalised_email)


def _emails(path: Path) -> Callable[[], object]:
    cells = _cells(path, EMAIL)
    return lambda: normalised_emails(cells)


def _phones_by_library(path: Path) -> Callable[[], object]:
    cells = _cells(path, PHONE)
    return lambda: once_each(cells, lambda text: normalised_phone(text, region=REGION))


def _phones(path: Path) -> Callable[[], object]:
    cells = _cells(path, PHONE)
    return lambda: normalised_phones(cells, region=REGION)


def _landlines(path: Path) -> Callable[[], object]:
    numbers = normalised_phones(_cells(path, PHONE), region=REGION)
    return lambda: is_landline(numbers)


MEASURES = (
    Measure("read CSV: bare polars", _reading_bare),
    Measure("read CSV: files.reading", _reading, beside="read CSV: bare polars"),
    Measure("judge", _judging),
    Measure("emails: email-validator", _emails_by_library),
    Measure("emails: normalised_emails", _emails, beside="emails: email-validator"),
    Measure("phones: phonenumbers", _phones_by_library),
    Measure("phones: normalised_phones", _phones, beside="phones: phonenumbers"),
    Measure("landlines: is_landline", _landlines),
)


def cost_of(measure: Measure, path: Path) -> Cost:
    """Run one measure here, once: regexes and metadata are loaded within, as for the first file of a day."""
    run = measure.prepare(path)
    cpu, wall = _cpu_seconds(), time.perf_counter()
    run()
    most = max(getrusage(who).ru_maxrss for who in (RUSAGE_SELF, RUSAGE_CHILDREN))
    return Cost(cpu=_cpu_seconds() - cpu, wall=time.perf_counter() - wall, memory=most / KIBIBYTE)


def _cpu_seconds() -> float:
    return sum(usage.ru_utime + usage.ru_stime for usage in map(getrusage, (RUSAGE_SELF, RUSAGE_CHILDREN)))


def cost_in_a_child(measure: Measure, path: Path) -> Cost:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.check", "--only", measure.name, "--file", str(path)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Cost(**json.loads(done.stdout))


def table(costs: dict[str, list[Cost]], *, rows: int) -> list[str]:
    """One line a measure: medians, rows a CPU second, and its CPU seconds in those of what it stands beside."""
    lines = [f"{'':28}{'CPU s':>9}{'wall s':>9}{'peak MiB':>10}{'rows/CPU-s':>13}{'ratio':>8}"]
    cpu = {name: median(cost.cpu for cost in runs) for name, runs in costs.items()}
    for measure in MEASURES:
        runs, own = costs[measure.name], cpu[measure.name]
        wall, memory = median(cost.wall for cost in runs), median(cost.memory for cost in runs)
        ratio = f"{own / cpu[measure.beside]:.2f}" if measure.beside else ""
        lines.append(f"{measure.name:28}{own:9.3f}{wall:9.3f}{memory:10.0f}{rows / own:13,.0f}{ratio:>8}")
    return lines


def main() -> None:
    """Print the table; a child prints its cost."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=100_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--only", help="one measure, here, over --file; prints JSON")
    options.add_argument("--file", type=Path)
    given = options.parse_args()
    if given.only:
        measure = next(measure for measure in MEASURES if measure.name == given.only)
        print(json.dumps(asdict(cost_of(measure, given.file))))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recipients.csv"
        write_list(path, rows=given.rows)
        rounds = [{measure.name: cost_in_a_child(measure, path) for measure in MEASURES} for _ in range(given.rounds)]
    costs = {measure.name: [costs[measure.name] for costs in rounds] for measure in MEASURES}
    print(
        f"{given.rows:,} rows x {len(_definition().data_items) + len(EXTRA)} columns, median of {given.rounds} rounds"
    )
    print(*table(costs, rows=given.rows), sep="\n")


if __name__ == "__main__":
    main()
