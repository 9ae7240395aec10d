"""Keeping the product running: Prefect's server, a worker, the web app and the sandbox as child processes.

Started in order, watched, restarted when they die, and stopped in the reverse of what would lose work:
the worker first, which ignores its first SIGTERM, and the server last.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from deployments.names import POOL
from deployments.prefect_api import PrefectApi
from domain.errors import ServiceMissing, SettingsProblem
from settings import PREFIX, SANDBOX_SENDGRID_KEY, SANDBOX_TWILIO_SID, SANDBOX_TWILIO_TOKEN, Settings

_START_SECONDS = 90.0
_POLL_SECONDS = 0.1
_STOP_SECONDS = 5.0
_QUICK_DEATH_SECONDS = 10.0
_QUICK_DEATHS = 5

Tell = Callable[[str], None]


@dataclass(slots=True)
class Child:
    """One process that is kept running."""

    name: str
    command: list[str]
    health: str | None = None
    """An address that answers 200 once it is up."""
    signals: tuple[signal.Signals, ...] = (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL)
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    deaths: int = field(default=0)


class Supervisor:
    """Starts, watches and stops the processes of one installation."""

    def __init__(self, settings: Settings, *, tell: Tell) -> None:
        """Prepare; nothing runs before `running`."""
        self._settings = settings
        self._tell = tell
        self._logs = settings.home.resolve() / "logs"
        self._children = _children(settings)
        self._remembered = settings.home.resolve() / "processes.json"

    @contextlib.contextmanager
    def running(self) -> Iterator[Supervisor]:
        """Everything up and ready inside the block; all of it stopped after it, whatever happens.

        Raises:
            SettingsProblem: a port is taken.
            ServiceMissing: a process did not come up; the message names its log.
        """
        self._logs.mkdir(parents=True, exist_ok=True)
        self._end_leftovers()
        self._refuse_taken_ports()
        try:
            self._start()
            yield self
        finally:
            self._tell("Stopping …")
            self.stop()

    def watch(self, until: Callable[[], bool]) -> None:
        """Restart whatever dies, until told to end.

        Raises:
            ServiceMissing: one process dies again and again.
        """
        while not until():
            for child in self._children:
                if child.process is not None and child.process.poll() is not None:
                    self._revive(child)
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """Stop every process in order, with all that it started, and wait for its end."""
        for child in reversed(self._children):
            if child.process is not None:
                _end(child.process, child.signals)
                child.process = None
        self._remembered.unlink(missing_ok=True)

    def _start(self) -> None:
        *services, worker = self._children
        for child in services:
            self._spawn(child)
        set_up = self._load_setup()
        for child in services:
            self._await_health(child)
        # The pool first: then the worker can start beside the rest of the setting up.
        PrefectApi(self._settings.prefect_url).make_pool(POOL)
        self._spawn(worker)
        try:
            asyncio.run(set_up(self._settings))
        except Exception as fault:
            with (self._logs / "setup.log").open("a") as log:
                log.write("".join(traceback.format_exception(fault)))
            raise ServiceMissing(
                f"Prefect's server could not be set up. The log says why: {self._logs / 'setup.log'}"
            ) from fault

    def _load_setup(self) -> Callable[[Settings], Coroutine[None, None, None]]:
        """Import Prefect while its server starts: both take seconds, and there is more than one core."""
        os.environ.update(environment(self._settings))  # Prefect reads it when it is imported
        from deployments.setup import set_up  # noqa: PLC0415  see above

        return set_up

    def _spawn(self, child: Child) -> None:
        with (self._logs / f"{child.name}.log").open("ab") as log:
            child.process = subprocess.Popen(
                child.command,
                env=environment(self._settings),
                cwd=self._settings.home,  # where no .env lies that would say otherwise
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us, who stop the others in order
            )
        child.started = time.monotonic()
        self._remember()

    def _remember(self) -> None:
        """Write down which processes are ours, for the next start after this one was killed."""
        alive = [child.process.pid for child in self._children if child.process is not None]
        found = []
        for pid in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                found.append([pid, psutil.Process(pid).create_time()])
        part = self._remembered.with_suffix(".part")
        part.write_text(json.dumps(found))
        part.replace(self._remembered)

    def _end_leftovers(self) -> None:
        """End what an `up` that was killed has left running in this data folder."""
        try:
            found = json.loads(self._remembered.read_text())
        except (OSError, ValueError):
            return
        for pid, created in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(pid)
                if process.create_time() == created:  # else the number belongs to somebody else by now
                    _end_family(process)
        self._remembered.unlink(missing_ok=True)

    def _await_health(self, child: Child) -> None:
        if child.health is None:
            return
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if child.process is not None and child.process.poll() is not None:
                break
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(child.health, timeout=2.0, trust_env=False).is_success:
                    return
            time.sleep(_POLL_SECONDS)
        raise ServiceMissing(f"{child.name} did not come up. Its log says why: {self._logs / child.name}.log")

    def _revive(self, child: Child) -> None:
        quick = time.monotonic() - child.started < _QUICK_DEATH_SECONDS
        child.deaths = child.deaths + 1 if quick else 1
        if child.deaths > _QUICK_DEATHS:
            raise ServiceMissing(
                f"{child.name} ends as soon as it starts. Its log says why: {self._logs / child.name}.log"
            )
        if child.process is not None:
            _end(child.process, (signal.SIGKILL,))
        self._tell(f"{child.name} had ended; starting it again")
        self._spawn(child)

    def _refuse_taken_ports(self) -> None:
        for name in _ports(self._settings):
            port = getattr(self._settings, name)
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((self._settings.host, port))
                except OSError as fault:
                    raise SettingsProblem(
                        f"Port {port} is taken. Stop what uses it, or set {PREFIX}{name.upper()} to a free one."
                    ) from fault


def environment(settings: Settings) -> dict[str, str]:
    """The environment of every process of this installation, flow runs among them."""
    home = settings.home.resolve()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return {
        **inherited,
        **settings.as_environment(),
        # Runs are started as `python -m …`, by our own Python.
        "PATH": os.pathsep.join(filter(None, (str(Path(sys.executable).parent), os.environ.get("PATH")))),
        "PREFECT_API_URL": settings.prefect_url,
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_PROFILES_PATH": str(home / "prefect" / "profiles.toml"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_UI_API_URL": settings.prefect_url,
        # One task run costs the server 7 ms of CPU instead of 40 when they are recorded in batches.
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PREFECT_WORKER_PREFETCH_SECONDS": "5",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        "PREFECT_LOGGING_LEVEL": "INFO",
        "PYTHONUNBUFFERED": "1",
    }


def _ports(settings: Settings) -> list[str]:
    own_server = ["prefect_port"] if settings.prefect_api_url is None else []
    return [*own_server, "web_port", *(["sandbox_port"] if settings.needs_sandbox else [])]


def _children(settings: Settings) -> list[Child]:
    """In order of start; the worker last."""
    python, host = sys.executable, settings.host
    prefect = [python, "-m", "prefect"]
    children = []
    if settings.prefect_api_url is None:
        serve = [python, "-m", "deployments.prefect_server", "server", "start"]
        serve += ["--host", host, "--port", str(settings.prefect_port)]
        children.append(Child("prefect-server", serve, health=f"{settings.prefect_url}/health"))
    if settings.needs_sandbox:
        play = [python, "-m", "sandbox", "--host", "127.0.0.1", "--port", str(settings.sandbox_port)]
        play += ["--home", str(settings.home.resolve() / "sandbox"), "--api-key", SANDBOX_SENDGRID_KEY]
        play += ["--sendgrid-webhook-url", f"http://127.0.0.1:{settings.web_port}/webhooks/sendgrid"]
        play += ["--account-sid", SANDBOX_TWILIO_SID, "--auth-token", SANDBOX_TWILIO_TOKEN]
        children.append(Child("sandbox", play, health=f"{settings.sandbox_url}/sandbox/health"))
    web = f"http://127.0.0.1:{settings.web_port}/health"
    children.append(Child("web", [python, "-m", "console"], health=web))
    children.append(Child("worker", [*prefect, "worker", "start", "--pool", POOL, "--type", "process"]))
    return children


def _end(process: subprocess.Popen[bytes], signals: tuple[signal.Signals, ...]) -> None:
    """End a process and everything that it started, politely first."""
    family = _family(process.pid)
    for number in signals:
        if process.poll() is not None:
            break
        process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
    _kill(family)


def _end_family(process: psutil.Process) -> None:
    _kill([process, *_family(process.pid)])


def _family(pid: int) -> list[psutil.Process]:
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=_STOP_SECONDS)
