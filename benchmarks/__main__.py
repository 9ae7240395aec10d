"""One table of everything that has a goal: `python -m benchmarks`, some twenty minutes on two cores."""

from __future__ import annotations

from benchmarks.measure import main

MODULES = ("benchmarks.check", "benchmarks.recipient_csv", "benchmarks.inserting", "benchmarks.results")

if __name__ == "__main__":
    main(*MODULES, rows=(100_000, 1_000_000))
