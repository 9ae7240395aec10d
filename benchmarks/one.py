# ruff: noqa: T201  its parent reads what it prints
"""One side of one comparison, in this process; prints what it cost as JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.measure import OURS, Missing, cost_of, of_module


def main(module: str, stage: str, side: str, path: str) -> None:
    """Measure it, or say what is missing."""
    comparison = next(each for each in of_module(module) if each.stage == stage)
    prepare = comparison.ours if side == OURS else comparison.bare
    if prepare is None:
        return
    try:
        print(json.dumps(asdict(cost_of(prepare, Path(path)))))
    except Missing as fault:
        print(json.dumps({"missing": str(fault)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
