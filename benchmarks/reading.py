# ruff: noqa: S603, T201  the measures run in children, and the table is printed
"""What reading an uploaded file costs beside the bare library: `python -m benchmarks.reading --rows 100000`.

Each measure runs in a process of its own that has imported what it needs, the measures in turns, so that a slow spell
of the machine hits them all. CPU seconds and the peak of memory are those of the process and of the parser with its
copies; memory that both see, as the rows are, counts twice. `warm`: the parser runs already, as it does after the first
file that a process reads. `cold`: it is started for this file, as for `batch check`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from statistics import median
from xml.sax.saxutils import escape

import fastexcel
import polars as pl

from benchmarks.lists import write_list
from files import parsing
from files.reading import Limits, read

ROOMY = Limits(bytes=1_000_000_000, seconds=600)
KIBIBYTE = 1024
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
COUNTING_PARSER = """
import os, resource, sys
from files import parse
log = open(sys.argv[1], "a", buffering=1)
def waitpid(pid, options):
    pid, status, usage = os.wait4(pid, options)
    own = resource.getrusage(resource.RUSAGE_SELF)
    if pid:
        print(own.ru_utime + own.ru_stime, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, file=log)
    return pid, status
os.waitpid = waitpid
parse.main()
"""
"""The parser, which notes what it has cost itself so far, and what the copy that has just ended cost."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run took: seconds, and mebibytes at most."""

    cpu: float
    wall: float
    memory: float


@dataclass(frozen=True, slots=True)
class Measure:
    """A file, who reads it, and whether the parser runs before that."""

    file: str
    reader: str

    @property
    def name(self) -> str:
        """As `--only` takes it."""
        return f"{self.file}: {self.reader}"


FILES = ("plain.csv", "quoted.csv", "mixed.csv", "list.xlsx")
READERS = ("bare", "warm", "cold")
MEASURES = tuple(Measure(file, reader) for file in FILES for reader in READERS)


def write_files(folder: Path, *, rows: int) -> None:
    """The same list four times: without quotes, with quotes everywhere, where they are needed, and as a workbook."""
    write_list(folder / "plain.csv", rows=rows)
    cells = pl.read_csv(folder / "plain.csv", infer_schema=False)
    cells.write_csv(folder / "quoted.csv", quote_style="always")
    branch = pl.format('{}, "{}"', "Branch", "Agent").alias("Branch")
    cells.with_columns(
        pl.when(pl.int_range(pl.len()) % 4 == 0).then(branch).otherwise("Branch").alias("Branch")
    ).write_csv(folder / "mixed.csv")
    _write_workbook(folder / "list.xlsx", cells)


def _write_workbook(path: Path, cells: pl.DataFrame) -> None:
    """As Excel writes it, each text once in a table of shared strings; the library for it would take minutes."""
    places: dict[str, int] = {}
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    related = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet:
            sheet.write(f"<worksheet {main}><sheetData>".encode())
            for number, texts in enumerate([tuple(cells.columns), *cells.iter_rows()], 1):
                line = [
                    f'<c r="{LETTERS[place]}{number}" t="s"><v>{places.setdefault(text, len(places))}</v></c>'
                    for place, text in enumerate(texts)
                ]
                sheet.write(f'<row r="{number}">{"".join(line)}</row>'.encode())
            sheet.write(b"</sheetData></worksheet>")
        strings = "".join(f"<si><t>{escape(text)}</t></si>" for text in places)
        archive.writestr("xl/sharedStrings.xml", f"<sst {main}>{strings}</sst>")
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook {main} xmlns:r="{related}"><sheets><sheet name="List" sheetId="1" r:id="r1"/></sheets></workbook>',
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{package}/relationships">'
            f'<Relationship Id="r1" Type="{related}/worksheet" Target="worksheets/sheet1.xml"/>'
            f'<Relationship Id="r2" Type="{related}/sharedStrings" Target="sharedStrings.xml"/></Relationships>',
        )
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{package}/relationships">'
            f'<Relationship Id="r1" Type="{related}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
        archive.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{package}/content-types"><Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
            f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{kind}.worksheet+xml"/>'
            f'<Override PartName="/xl/sharedStrings.xml" ContentType="{kind}.sharedStrings+xml"/></Types>',
        )


def _bare(path: Path) -> pl.DataFrame:
    if path.suffix == ".csv":
        return pl.read_csv(path, infer_schema=False)
    return fastexcel.read_excel(path).load_sheet(0, dtypes="string").to_polars()


def _product(path: Path) -> pl.DataFrame:
    return read(path, file_name=path.name, limits=ROOMY).rows


def cost_of(measure: Measure, path: Path) -> Cost:
    """One reading, here and in the parser."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        log.touch()
        parsing.PARSER = (sys.executable, "-P", "-c", COUNTING_PARSER, str(log))
        if measure.reader == "warm":
            tiny = Path(folder) / "tiny.csv"
            tiny.write_text("a,b\n1,2\n")
            _product(tiny)
        before = _parser_costs(log, readings=int(measure.reader == "warm"))
        read: Callable[[Path], pl.DataFrame] = _bare if measure.reader == "bare" else _product
        cpu, wall = _own_seconds(), time.perf_counter()
        rows = read(path)
        wall, cpu = time.perf_counter() - wall, _own_seconds() - cpu
        after = _parser_costs(log, readings=len(before) + int(measure.reader != "bare"))
    memory = _own_peak()
    if after:
        cpu += after[-1][0] - (before[-1][0] if before else 0) + after[-1][1]
        memory += after[-1][2]
    assert rows.height > 1  # noqa: S101 - and the rows live until here
    return Cost(cpu=cpu, wall=wall, memory=memory / KIBIBYTE)


def _own_peak() -> float:
    """In KiB; the usual call would tell that of the process that started this one, were it larger."""
    status = Path("/proc/self/status").read_text()
    return float(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")))


def _own_seconds() -> float:
    usage = getrusage(RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _parser_costs(log: Path, *, readings: int) -> list[list[float]]:
    """What the parser noted of so many readings; it does so just after its copy has answered."""
    while log.read_text().count("\n") < readings:
        time.sleep(0.001)
    return [[float(number) for number in line.split()] for line in log.read_text().splitlines()]


def cost_in_a_child(measure: Measure, folder: Path) -> Cost:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.reading", "--only", measure.name, "--folder", str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Cost(**json.loads(done.stdout))


def results(costs: dict[Measure, list[Cost]]) -> list[dict[str, str | float]]:
    """One object a measure: medians, and how many times the bare library's they are."""
    middle = {
        measure: {name: median(asdict(cost)[name] for cost in runs) for name in ("cpu", "wall", "memory")}
        for measure, runs in costs.items()
    }
    found: list[dict[str, str | float]] = []
    for measure, own in middle.items():
        bare = middle[Measure(measure.file, "bare")]
        ratios = {f"{name}_ratio": own[name] / bare[name] for name in ("cpu", "wall")}
        found.append({"file": measure.file, "reader": measure.reader, **own, **ratios})
    return found


def table(found: list[dict[str, str | float]]) -> list[str]:
    """The results as lines."""
    lines = [f"{'':20}{'CPU s':>9}{'ratio':>8}{'wall s':>9}{'ratio':>8}{'peak MiB':>10}"]
    lines += [
        f"{line['file']!s:13}{line['reader']!s:7}{line['cpu']:9.3f}{line['cpu_ratio']:8.2f}{line['wall']:9.3f}{line['wall_ratio']:8.2f}{line['memory']:10.0f}"
        for line in found
    ]
    return lines


def main() -> None:
    """Print the table or its JSON; a child prints its cost."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--json", action="store_true")
    options.add_argument("--only", help="one measure, here, over the files in --folder; prints JSON")
    options.add_argument("--folder", type=Path)
    given = options.parse_args()
    if given.only:
        measure = next(measure for measure in MEASURES if measure.name == given.only)
        print(json.dumps(asdict(cost_of(measure, given.folder / measure.file))))
        return
    found = {}
    for rows in given.rows:
        with tempfile.TemporaryDirectory() as folder:
            write_files(Path(folder), rows=rows)
            rounds = [
                {measure: cost_in_a_child(measure, Path(folder)) for measure in MEASURES} for _ in range(given.rounds)
            ]
        found[rows] = results({measure: [costs[measure] for costs in rounds] for measure in MEASURES})
        if not given.json:
            print(f"{rows:,} rows x 12 columns, median of {given.rounds} rounds")
            print(*table(found[rows]), "", sep="\n")
    if given.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
