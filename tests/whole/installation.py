"""A whole installation as people have it: `bulk-sender up` in a folder of its own, driven by the command alone."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

from tests.whole.people import Person

PROJECT = Path(__file__).parents[2]
PROCESS = PROJECT / "processes" / "motor-renewal.yaml"
COMMAND = Path(sys.executable).parent / "bulk-sender"
READY = "Everything is running"
START_SECONDS, STOP_SECONDS, BATCH_SECONDS = 120.0, 60.0, 150.0
"""A call to Prefect may have to wait for a minute while its SQLite is locked."""
INTERRUPTED = 130
PAGE = 1000
LINK = re.compile(r"https?://[^\s\"<]+/l/[\w=-]+")
OPERATOR, APPROVER = "operator@acme.test", "approver@acme.test"

Found = TypeVar("Found")


def until(look: Callable[[], Found | None], *, what: str, seconds: float = 100.0) -> Found:
    """Look until there is something to see; the deadline is the only clock of these tests."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            found = look()
            if found:
                return found
        select.select([], [], [], 0.1)
    message = f"{what}: not within {seconds:g} seconds"
    raise AssertionError(message)


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens on at this moment."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(number)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


class Installation:
    """One data folder with its ports; it can be stopped and started again."""

    def __init__(self, home: Path) -> None:
        """Prepare; nothing runs before `start`."""
        prefect, web, sandbox = free_ports(3)
        self.home = home
        self.prefect = f"http://127.0.0.1:{prefect}"
        self.web = f"http://127.0.0.1:{web}"
        self.sandbox = f"http://127.0.0.1:{sandbox}"
        self.environment = {
            **os.environ,
            "BULK_SENDER_HOME": str(home),
            "BULK_SENDER_PREFECT_PORT": str(prefect),
            "BULK_SENDER_WEB_PORT": str(web),
            "BULK_SENDER_SANDBOX_PORT": str(sandbox),
        }
        self.http = httpx.Client(timeout=80, trust_env=False)
        self._up: subprocess.Popen[str] | None = None
        self._output = home.parent / "up.log"

    # Its processes

    def start(self) -> None:
        """Start everything and wait until it says that it runs."""
        with self._output.open("w") as output:
            self._up = subprocess.Popen(
                [COMMAND, "up"], env=self.environment, cwd=self.home.parent, stdout=output, stderr=output, text=True
            )
        until(lambda: READY in self.said or self._has_ended(), what="up", seconds=START_SECONDS)
        assert READY in self.said, self.said

    def stop(self) -> None:
        """Stop everything as Ctrl-C does; nothing of it may be left."""
        assert self._up is not None
        self._up.send_signal(signal.SIGINT)
        code = self._up.wait(STOP_SECONDS)
        left = [process.info["cmdline"] for process in self.processes()]
        assert (code, left) == (INTERRUPTED, []), self.said
        assert "Traceback" not in self.said

    def end(self) -> None:
        """Leave nothing behind, whatever went wrong."""
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.http.close()

    @property
    def said(self) -> str:
        """What `up` printed since its last start."""
        return self._output.read_text()

    def processes(self) -> list[psutil.Process]:
        """All processes that belong to this data folder, but for zombies."""
        found = []
        for process in psutil.process_iter(["pid", "cmdline"]):
            with contextlib.suppress(psutil.Error):
                ours = process.environ().get("BULK_SENDER_HOME") == str(self.home)
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def child(self, *words: str) -> psutil.Process:
        """The process that `up` itself started with these words in its command."""
        assert self._up is not None
        children = psutil.Process(self._up.pid).children()
        return next(child for child in children if all(word in child.cmdline() for word in words))

    def _has_ended(self) -> bool:
        return self._up is None or self._up.poll() is not None

    # People's commands

    def run(self, *arguments: str | Path | int, code: int = 0) -> subprocess.CompletedProcess[str]:
        """One command; it must end with this exit code."""
        done = subprocess.run(
            [COMMAND, *map(str, arguments)],
            env=self.environment,
            cwd=self.home.parent,
            capture_output=True,
            text=True,
            timeout=BATCH_SECONDS + 30,
            check=False,
        )
        assert done.returncode == code, f"{arguments}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def ask(self, *arguments: str | Path | int) -> Any:
        """One command for programs."""
        return json.loads(self.run(*arguments, "--json").stdout)

    def waiting(self, file: Path) -> tuple[int, str]:
        """Make a batch of a file and let it come to where it waits for approval; gives its id and its run's."""
        made = self.ask("batch", "create", file, "--process", "motor-renewal", "--sender", OPERATOR)
        view = self.wait(made["id"], "waiting")
        assert (view["phase"], view["status"]) == ("waiting", "Pending Approval")
        self.await_form(view["flow_run_id"])
        return view["id"], view["flow_run_id"]

    def wait(self, batch_id: int, how_far: str = "finished") -> dict[str, Any]:
        """Wait for a batch by the command."""
        view = self.ask("batch", "wait", batch_id, "--until", how_far, "--timeout", f"{BATCH_SECONDS:g}")
        assert isinstance(view, dict)
        return view

    def show(self, batch_id: int) -> dict[str, Any]:
        """A batch as it stands."""
        view = self.ask("batch", "show", batch_id)
        assert isinstance(view, dict)
        return view

    def approve(self, batch_id: int) -> None:
        """Approve by the command."""
        self.run("batch", "approve", batch_id, "--by", APPROVER, "--comment", "as agreed")

    def sent(self, file: Path) -> dict[str, Any]:
        """Make a batch of a file, approve it, and wait for its end; gives it as it stands then."""
        batch_id, _ = self.waiting(file)
        self.approve(batch_id)
        view = self.wait(batch_id)
        assert (view["phase"], view["status"]) == ("finished", "Approved")
        return view

    def download(self, batch_id: int, output: Path) -> Path:
        """The result file of a batch."""
        self.run("batch", "download", batch_id, "--output", output)
        return output

    def await_end(self, run_id: str) -> None:
        """Wait until a flow run has completed: what it does after the last message is done then, too."""
        until(lambda: self.run_state(run_id) == "Completed", what="end of the run", seconds=150)

    def await_form(self, run_id: str) -> None:
        """Wait until a flow run can be answered: it is suspended after the ledger says so, and has its form after that."""
        url = f"{self.prefect}/api/flow_runs/{run_id}"

        def has_form() -> bool:
            state = self.http.get(url).raise_for_status().json()["state"]
            keys = state["state_details"]["run_input_keyset"] if state["name"] == "Suspended" else None
            return keys is not None and self.http.get(f"{url}/input/{keys['schema']}").is_success

        until(has_form, what="the form of a suspended run", seconds=150)

    # What others see

    def arrived(self, persons: list[Person]) -> dict[str, list[dict[str, Any]]]:
        """Messages that reached these people, by address, oldest first."""
        addresses = {person.email for person in persons} | {person.phone_e164 for person in persons if person.phone}
        newest = self._messages(offset=0)
        while len(newest) % PAGE == 0 and (more := self._messages(offset=len(newest))):
            newest += more
        by_address: dict[str, list[dict[str, Any]]] = {}
        for message in reversed(newest):
            if message["to"] in addresses:
                by_address.setdefault(message["to"], []).append(message)
        return by_address

    def _messages(self, *, offset: int) -> list[dict[str, Any]]:
        answer = self.http.get(f"{self.sandbox}/sandbox/messages", params={"limit": PAGE, "offset": offset})
        found: list[dict[str, Any]] = answer.raise_for_status().json()["messages"]
        return found

    def set_faults(self, **faults: list[dict[str, Any]]) -> None:
        """Switch the providers' faults: these, and no others."""
        self.http.put(f"{self.sandbox}/sandbox/faults", json=faults).raise_for_status()

    def all_of(self, kind: str, **narrowed: Any) -> list[dict[str, Any]]:
        """Every object of a kind that Prefect's server knows."""
        found: list[dict[str, Any]] = []
        while True:
            body = {"limit": 200, "offset": len(found), **narrowed}
            page = self.http.post(f"{self.prefect}/api/{kind}/filter", json=body).raise_for_status().json()
            found += page
            if len(page) < body["limit"]:
                return found

    def events(self) -> Iterator[dict[str, Any]]:
        """Every event of the last day."""
        page = self.http.post(f"{self.prefect}/api/events/filter", json={"limit": 50}).raise_for_status().json()
        while True:
            yield from page["events"]
            if not page["next_page"]:
                return
            page = self.http.get(page["next_page"]).raise_for_status().json()

    def run_state(self, run_id: str) -> str:
        """The name of a flow run's state."""
        answer = self.http.get(f"{self.prefect}/api/flow_runs/{run_id}")
        name: str = answer.raise_for_status().json()["state"]["name"]
        return name


def link_in(message: dict[str, Any]) -> str:
    """The one link that a message holds, the same in each of its texts."""
    links: set[str] = {*LINK.findall(message["text"]), *LINK.findall(message["html"])}
    assert len(links) == 1
    return links.pop()
