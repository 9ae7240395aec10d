"""`python -m tests.chaos`: kill processes for a long time, on both databases, and print what came of it as a table."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import threading
import time
import traceback
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from models.database import Database
from tests.chaos.campaign import Round, Tally, playing
from tests.chaos.steps import EVERYTHING, MOMENT, STEPS
from tests.chaos.worker import Place
from tests.conftest import TEMPLATE, Postgres, serving_postgres

PEOPLE, KILLS_A_BATCH = 150, 25


class Campaign:
    """Rounds of several lanes, each with a sandbox of its own, until enough processes were killed."""

    def __init__(self, postgres: Postgres, *, kills: int, seconds: float, seed: int) -> None:
        self.tally = Tally()
        self.wrong: list[str] = []
        self._postgres = postgres
        self._kills = kills
        self._until = time.monotonic() + seconds
        self._seeds = iter(range(seed, sys.maxsize))
        self._lock = threading.Lock()

    def lane(self) -> None:
        with playing(Path(tempfile.mkdtemp(prefix="bulk-sender-chaos-"))) as sandbox:
            while self.tally.kills.total() < self._kills and time.monotonic() < self._until:
                with self._lock:
                    seed = next(self._seeds)
                self._round(seed, sandbox)

    def _round(self, seed: int, sandbox: str) -> None:
        home = Path(tempfile.mkdtemp(prefix="bulk-sender-chaos-"))
        kind = "SQLite" if seed % 2 else "PostgreSQL"
        url = f"sqlite:///{home / 'ledger.db'}" if seed % 2 else self._postgres_url()
        database = Database(url)
        database.migrate()
        database.close()
        began = time.monotonic()
        try:
            truth = Round(Place(home, url, sandbox), seed=seed, people=PEOPLE, tally=self.tally).play(
                kills=KILLS_A_BATCH
            )
        except Exception:  # noqa: BLE001  told at the end; the other rounds go on
            self.wrong.append(f"seed {seed}, {kind}: {traceback.format_exc()}")
            return
        if truth.doubled or truth.lost or truth.misjudged or truth.complaints:
            self.wrong.append(f"seed {seed}, {kind}: {truth}")
        else:
            shutil.rmtree(home)
        self._say(seed, kind, time.monotonic() - began)

    def _postgres_url(self) -> str:
        name = f"chaos_{uuid.uuid4().hex}"
        self._postgres.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        return self._postgres.named(name)

    def _say(self, seed: int, kind: str, seconds: float) -> None:
        tally = self.tally
        with self._lock:
            sys.stderr.write(
                f"batch {tally.batches} ({kind}, seed {seed}, {seconds:.0f} s): {tally.kills.total()}/{self._kills} kills, "
                f"{tally.messages:,} messages, {tally.doubled} doubled, {tally.lost} lost, {tally.unresolved} unresolved\n"
            )
            sys.stderr.flush()


def table(tally: Tally) -> str:
    """What came of it, as docs/chaos.md shows it."""
    lines = ["| killed | times |", "|---|---:|"]
    lines += [f"| {step} | {tally.kills[step]} |" for step in [*STEPS, MOMENT, EVERYTHING]]
    lines += [
        f"| **all** | **{tally.kills.total()}** |",
        "",
        "| batches | recipients | messages | requests in doubt for a while | received twice | lost | unresolved, named |",
        "|---:|---:|---:|---:|---:|---:|---:|",
        f"| {tally.batches} | {tally.recipients:,} | {tally.messages:,} | {tally.doubts:,} | {tally.doubled} | {tally.lost} | {tally.unresolved} |",
    ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=3600.0, help="no new batch is begun after that")
    parser.add_argument("--lanes", type=int, default=3, help="batches side by side")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    given = parser.parse_args()
    with serving_postgres() as postgres:
        campaign = Campaign(postgres, kills=given.kills, seconds=given.seconds, seed=given.seed)
        with ThreadPoolExecutor(given.lanes) as lanes:
            for lane in [lanes.submit(campaign.lane) for _ in range(given.lanes)]:
                lane.result()
    sys.stdout.write(table(campaign.tally) + "\n")
    for wrong in campaign.wrong:
        sys.stderr.write(wrong + "\n")
    return 1 if campaign.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
