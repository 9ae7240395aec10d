# ruff: noqa: S603, T201  the measures run in children, and the table is printed
"""How everything here is measured: ours beside the bare library, each in a process of its own, in turns.

These machines drift, so only a ratio of one run means something. CPU seconds are of the process, of those that it
started and of a server that it speaks to; memory is the most that one of them held, preparation included.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from statistics import median
from typing import Literal

import psutil

from benchmarks.lists import write_list

KIBIBYTE = 1024
SAMPLED_SECONDS = 0.02
PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
MOST_MEMORY_MIB = 1_600
OURS, BARE = "ours", "bare"
TITLES = ("stage", "rows", "beside", "ours, rows/s", "bare, rows/s", "ratio", "goal", "met", "CPU s", "wall s", "peak MiB")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run took: seconds, and mebibytes at most."""

    cpu: float
    wall: float
    memory: float = 0.0


class Missing(Exception):
    """What a job stands beside is not on this machine; says how to have it."""


def _nowhere() -> float:
    return 0.0


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be timed, prepared.

    Attributes:
        run: does it.
        elsewhere: CPU seconds so far of a server that works for it.
    """

    run: Callable[[], object]
    elsewhere: Callable[[], float] = _nowhere


Prepare = Callable[[Path], Job]
"""Takes the list of recipients, reads what it needs, and gives the job."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A stage of ours and the same work by the bare library.

    Attributes:
        stage: what it is called, once in its module.
        library: what it stands beside; "" where nothing else does this.
        at_most: the goal: CPU seconds of ours in those of the bare library.
        at_least: or the goal the other way round: how often ours fits into those of the bare library.
        bare_rows: so many rows the bare library does in a time that people wait for.
        clock: `cpu`, or `wall` where both mostly wait for somebody else.
    """

    stage: str
    ours: Prepare
    bare: Prepare | None = None
    library: str = ""
    at_most: float | None = None
    at_least: float | None = None
    bare_rows: int = sys.maxsize
    clock: Literal["cpu", "wall"] = "cpu"

    @property
    def goal(self) -> str:
        """As people read it."""
        if self.at_most is not None:
            return f"≤ {self.at_most:g}x"
        return f"≥ {self.at_least:g}x" if self.at_least is not None else ""

    def ratio(self, ours: float, bare: float) -> float:
        """In the direction of the goal."""
        return ours / bare if self.at_least is None else bare / ours

    def met(self, ratio: float | None, *, memory: float) -> str:
        """Whether the goal is reached and the memory kept, as people read it."""
        slow = ratio is not None and self.at_most is not None and ratio > self.at_most
        few = ratio is not None and self.at_least is not None and ratio < self.at_least
        if slow or few or memory > MOST_MEMORY_MIB:
            return "**no**"
        return "yes" if ratio is not None else "-"


def cost_of(prepare: Prepare, path: Path) -> Cost:
    """Run one job here, once: regexes and metadata are loaded within, as for the first file of a day."""
    job = prepare(path)
    cpu, wall = _cpu_seconds() + job.elsewhere(), time.perf_counter()
    job.run()
    return Cost(cpu=_cpu_seconds() + job.elsewhere() - cpu, wall=time.perf_counter() - wall)


def _cpu_seconds() -> float:
    """Of this process and all below it, those that have ended included."""
    ended = sum(usage.ru_utime + usage.ru_stime for usage in map(getrusage, (RUSAGE_SELF, RUSAGE_CHILDREN)))
    return ended + sum(sum(process.cpu_times()[:4]) for process in psutil.Process().children(recursive=True))


def _in_a_child(module: str, stage: str, side: str, path: Path) -> Cost:
    command = [sys.executable, "-m", "benchmarks.one", module, stage, side, str(path)]
    memory = 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        while child.poll() is None:
            memory = max(memory, _most_memory(child.pid))
            time.sleep(SAMPLED_SECONDS)
        output = child.stdout.read() if child.stdout else ""
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)
    told = json.loads(output.splitlines()[-1])
    if "missing" in told:
        raise Missing(told["missing"])
    return Cost(**told | {"memory": memory})


def _most_memory(pid: int) -> float:
    """The most that the process or one below it has held so far, while it lives."""
    most = 0.0
    with suppress(psutil.Error):
        first = psutil.Process(pid)
        for process in (first, *first.children(recursive=True)):
            with suppress(OSError):
                peak = PEAK.search(Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8"))
                most = max(most, int(peak[1]) / KIBIBYTE if peak else 0.0)
    return most


def of_module(name: str) -> Sequence[Comparison]:
    """The comparisons of a module."""
    found: Sequence[Comparison] = importlib.import_module(name).COMPARISONS
    return found


def line(module: str, comparison: Comparison, path: Path, *, rows: int, rounds: int) -> tuple[str, ...]:
    """Measure one stage and give its line of the table: medians."""
    with_bare = comparison.bare is not None and rows <= comparison.bare_rows
    sides = [BARE, OURS] if with_bare else [OURS]
    costs: dict[str, list[Cost]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side in tuple(sides):
            try:
                costs[side].append(_in_a_child(module, comparison.stage, side, path))
            except Missing as fault:
                print(f"{comparison.stage}: {fault}", file=sys.stderr)
                sides.remove(side)
    with_bare = BARE in sides
    seconds = {side: median(getattr(cost, comparison.clock) for cost in costs[side]) for side in sides}
    memory = median(cost.memory for cost in costs[OURS])
    ratio = comparison.ratio(seconds[OURS], seconds[BARE]) if with_bare else None
    return (
        comparison.stage,
        f"{rows:,}",
        comparison.library,
        f"{rows / seconds[OURS]:,.0f}",
        f"{rows / seconds[BARE]:,.0f}" if with_bare else "-",
        "-" if ratio is None else f"{ratio:.2f}" if ratio < 10 else f"{ratio:.1f}",  # noqa: PLR2004  two digits that mean something
        comparison.goal,
        comparison.met(ratio, memory=memory),
        f"{median(cost.cpu for cost in costs[OURS]):.2f}",
        f"{median(cost.wall for cost in costs[OURS]):.2f}",
        f"{memory:,.0f}",
    )


def lines(modules: Sequence[str], *, rows: int, rounds: int, only: str) -> Iterator[tuple[str, ...]]:
    """Every stage of some modules whose name has `only` in it, over one list of recipients."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recipients.csv"
        write_list(path, rows=rows)
        for module in modules:
            for comparison in of_module(module):
                if only in comparison.stage:
                    yield line(module, comparison, path, rows=rows, rounds=rounds)


def main(*modules: str, rows: Sequence[int] = (100_000,)) -> None:
    """Print the table of some modules, in Markdown, as it grows."""
    options = argparse.ArgumentParser(description=importlib.import_module(modules[0]).__doc__)
    options.add_argument("--rows", type=int, nargs="+", default=list(rows))
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--only", default="", help="part of a stage's name")
    options.add_argument(
        "--notifications-utils", type=Path, help="folder that GOV.UK Notify's package is imported from"
    )
    given = options.parse_args()
    if given.notifications_utils:
        os.environ["NOTIFICATIONS_UTILS"] = str(given.notifications_utils.resolve())
    _print(TITLES)
    _print(["---"] * len(TITLES))
    for count in given.rows:
        for cells in lines(modules, rows=count, rounds=given.rounds, only=given.only):
            _print(cells)


def _print(cells: Sequence[str]) -> None:
    print("|", " | ".join(cells), "|", flush=True)
