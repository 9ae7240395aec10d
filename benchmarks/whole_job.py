# ruff: noqa: S603, T201  the product is run as people run it, and the table is printed
"""The whole job as an operator sees it: from `batch create` of a CSV to its result file, everything running.

`python -m benchmarks.whole_job --rows 100000 1000000`: Prefect, ledger and recovery are on, and the provider
accepts at once, so what is measured is ours. Memory is the most that any one process held.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from benchmarks.lists import PROCESS, write_list

COMMAND = str(Path(sys.executable).parent / "bulk-sender")
READY = "Everything is running"
START_SECONDS, JOB_SECONDS = 120, 1800
MEBIBYTE = 1024 * 1024
UNLIMITED = 100_000
RATE_SECONDS = 60


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens on."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(number)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


class Installation:
    """Everything that `bulk-sender up` runs, in a folder of its own, and a provider that is always well."""

    def __init__(self, folder: Path, *, database_url: str | None, sms_per_second: int = UNLIMITED) -> None:
        """Prepare; nothing runs before `running`."""
        prefect, web, sandbox, self.provider = free_ports(4)
        self.folder = folder
        provider = f"http://127.0.0.1:{self.provider}"
        self.environment = os.environ | {
            "BULK_SENDER_HOME": str(folder / "home"),
            "BULK_SENDER_PREFECT_PORT": str(prefect),
            "BULK_SENDER_WEB_PORT": str(web),
            "BULK_SENDER_SANDBOX_PORT": str(sandbox),
            "BULK_SENDER_SENDGRID_API_KEY": "SG.instant",
            "BULK_SENDER_SENDGRID_HOST": provider,
            "BULK_SENDER_TWILIO_ACCOUNT_SID": "AC" + "1" * 32,
            "BULK_SENDER_TWILIO_AUTH_TOKEN": "instant",
            "BULK_SENDER_TWILIO_HOST": provider,
            "BULK_SENDER_EMAIL_REQUESTS_PER_SECOND": "10000",
            "BULK_SENDER_SMS_PER_SECOND": str(sms_per_second),
        }
        if database_url:
            self.environment["BULK_SENDER_DATABASE_URL"] = database_url
        self.most: dict[int, tuple[str, float]] = {}
        self.cpu: dict[int, float] = {}

    @contextlib.contextmanager
    def running(self) -> Iterator[Installation]:
        """Provider and product up inside the block."""
        log = self.folder / "up.log"
        with contextlib.ExitStack() as stack:
            instant = subprocess.Popen([sys.executable, "-m", "benchmarks.instant", str(self.provider)])
            stack.callback(instant.kill)
            with log.open("w") as output:
                up = subprocess.Popen(
                    [COMMAND, "up"], env=self.environment, stdout=output, stderr=output, start_new_session=True
                )
            stack.callback(self._stop, up)
            deadline = time.monotonic() + START_SECONDS
            while READY not in log.read_text():
                if up.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(log.read_text())
                time.sleep(0.2)
            over = threading.Event()
            watch = threading.Thread(target=self._watch, args=(up.pid, over))
            watch.start()
            stack.callback(watch.join)
            stack.callback(over.set)
            yield self

    def run(self, *arguments: str) -> Any:  # noqa: ANN401  whatever JSON the command prints
        """One command, as a person runs it."""
        done = subprocess.run(
            [COMMAND, *arguments, "--json"], env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(arguments[:2])}: {done.stderr}")
        return json.loads(done.stdout)

    def taken(self) -> dict[str, int]:
        """What the provider counted."""
        found: dict[str, int] = httpx.get(f"http://127.0.0.1:{self.provider}/taken", trust_env=False).json()
        return found

    def _watch(self, pid: int, over: threading.Event) -> None:
        while not over.wait(0.1):
            with contextlib.suppress(psutil.Error):
                for process in psutil.Process(pid).children(recursive=True):
                    with contextlib.suppress(psutil.Error, IndexError):
                        held = process.memory_info().rss / MEBIBYTE
                        name = " ".join(process.cmdline()[1:4])
                        self.most[process.pid] = (name, max(held, self.most.get(process.pid, ("", 0.0))[1]))
                        self.cpu[process.pid] = sum(process.cpu_times()[:2])

    def _stop(self, up: subprocess.Popen[bytes]) -> None:
        up.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            up.wait(60)


class Rate:
    """How many SMS a second the provider takes over a minute of a send, from the second after its first."""

    def __init__(self, installation: Installation) -> None:
        """Begin to look."""
        self._installation = installation
        self._before = installation.taken()["sms"]
        self._seen: list[tuple[float, int]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(0.05):
            taken = self._installation.taken()["sms"]
            if taken > self._before:
                self._seen.append((time.monotonic(), taken))

    def found(self) -> float:
        """SMS a second.

        Raises:
            SystemExit: the send was over before the minute was.
        """
        self._over.set()
        self._thread.join()
        first, last = self._seen[0][0] + 1, self._seen[0][0] + 1 + RATE_SECONDS
        minute = [seen for seen in self._seen if first <= seen[0] <= last]
        if minute[0][1] == self._seen[-1][1] or self._seen[-1][1] == minute[-1][1]:
            raise SystemExit(f"the send took less than {RATE_SECONDS + 1} seconds; take more rows")
        (began, taken), (ended, taken_then) = minute[0], minute[-1]
        return (taken_then - taken) / (ended - began)


def deploy(installation: Installation, channel: str) -> str:
    """The example process with one output only; gives its key."""
    definition = yaml.safe_load(PROCESS.read_text(encoding="utf-8"))
    definition["key"] = f"only-{channel}"
    for step in definition["workflow"]:
        if step["phase"] == "start":
            step["output"] = {channel: step["output"][channel]}
    path = installation.folder / f"{channel}.yaml"
    path.write_text(yaml.safe_dump(definition), encoding="utf-8")
    installation.run("process", "deploy", str(path))
    return str(definition["key"])


def job(installation: Installation, rows: int, channel: str) -> tuple[str, ...]:
    """One batch from file to result file; a line of the table."""
    path = installation.folder / f"list-{rows}.csv"
    write_list(path, rows=rows)
    key = deploy(installation, channel)
    before, cpu = installation.taken(), sum(installation.cpu.values())
    marks = [time.monotonic()]

    def mark() -> None:
        marks.append(time.monotonic())

    batch = str(installation.run("batch", "create", str(path), "--process", key, "--sender", "a@b.example")["id"])
    mark()
    installation.run("batch", "wait", batch, "--until", "waiting", "--timeout", str(JOB_SECONDS))
    mark()
    installation.run("batch", "approve", batch, "--by", "c@d.example")
    found = installation.run("batch", "wait", batch, "--until", "finished", "--timeout", str(JOB_SECONDS))
    mark()
    result = installation.folder / f"result-{rows}.csv"
    installation.run("batch", "download", batch, "--output", str(result))
    mark()
    seconds = marks[-1] - marks[0]
    taken = sum(installation.taken().values()) - sum(before.values())
    if taken != found["counts"]["sent"]:
        raise SystemExit(f"the provider took {taken:,}, the ledger says {found['counts']['sent']:,}")
    name, most = max(installation.most.values(), key=lambda held: held[1])
    steps = [f"{after - earlier:.1f}" for earlier, after in itertools.pairwise(marks)]
    return (
        f"{rows:,}",
        channel,
        f"{taken:,}",
        *steps,
        f"{seconds:.1f}",
        f"{rows / seconds:,.0f}",
        f"{sum(installation.cpu.values()) - cpu:.0f}",
        f"{most:,.0f} ({name.split('/')[-1][:28]})",
    )


TITLES = ("rows", "channel", "sent", "create s", "check s", "send s", "download s", "all s", "rows/s", "CPU s of up", "most MiB held by one")  # fmt: skip


def main() -> None:
    """Print a line a batch."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    options.add_argument("--channel", choices=["email", "sms"], default="email")
    options.add_argument("--database-url")
    options.add_argument("--sms-per-second", type=int, default=UNLIMITED, help="a set rate; then it is measured")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        installation = Installation(Path(folder), database_url=given.database_url, sms_per_second=given.sms_per_second)
        with installation.running():
            print("| " + " | ".join(TITLES) + " |", "| " + " | ".join("---" for _ in TITLES) + " |", sep="\n")
            for rows in given.rows:
                rate = Rate(installation) if given.sms_per_second != UNLIMITED else None
                print("| " + " | ".join(job(installation, rows, given.channel)) + " |", flush=True)
                if rate is not None:
                    print(
                        f"set: {given.sms_per_second} SMS a second; taken over a minute: {rate.found():.1f}", flush=True
                    )


if __name__ == "__main__":
    main()
