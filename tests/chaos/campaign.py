"""One batch driven through kills and faults until nothing more can be done for it; then the truth is counted."""

from __future__ import annotations

import multiprocessing
import random
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from signal import SIGKILL
from typing import Any

import httpx
import polars as pl
from sqlalchemy import exists
from sqlmodel import col, func, select

from domain.splitting import EMAIL
from domain.states import MessageState, Phase, RequestState
from files.storage import Storage
from models import batches
from models.database import Database
from models.tables import Batch, Lookup, Message, Recipient, Request
from tasks.ingest import keep_rows, limits, read_for
from tasks.surroundings import Surroundings
from tests import factories
from tests.chaos.steps import EVERYTHING, MOMENT, STEPS, Role
from tests.chaos.worker import BROKEN, Life, Place, live

ROOT = Path(__file__).parents[2]
SLOTS: tuple[Role, ...] = ("sender", "sender", "sweeper")
"""Two workers at the same batch, and the sweep."""
STANDSTILL_SECONDS = 60.0
PAUSE_SECONDS = 0.05
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.chaos.worker"])

FAULTS: list[dict[str, Any]] = [
    {"kind": "429", "fraction": 0.05, "retry_after": 0},
    {"kind": "5xx_before", "fraction": 0.04},
    {"kind": "5xx_after", "fraction": 0.06},
    {"kind": "reset_before", "fraction": 0.04},
    {"kind": "reset_after", "fraction": 0.06},
    {"kind": "half_answer", "fraction": 0.04},
    {"kind": "hang_before", "fraction": 0.02, "seconds": 3},
    {"kind": "hang_after", "fraction": 0.03, "seconds": 3},
    {"kind": "slow_accept", "fraction": 0.02, "seconds": 2.5},
    {"kind": "slow", "fraction": 0.2, "latency_ms": 60},
    {"kind": "5xx_before", "fraction": 0.1, "on": "read"},
    {"kind": "reset_before", "fraction": 0.1, "on": "read"},
]
"""Every way in which a call can end without saying what it did, beside each other."""


@contextmanager
def playing(home: Path) -> Iterator[str]:
    """The real sandbox process for as long as the block lasts; gives its address."""
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--home", str(home)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[3]
        settings = {"activity_per_minute": 1_000_000, "activity_lag_seconds": 0.5, "list_lag_seconds": 0.5}
        httpx.put(f"{url}/sandbox/settings", json=settings, trust_env=False).raise_for_status()
        yield url
    finally:
        process.kill()
        process.wait()


@dataclass
class Tally:
    """What came of many rounds; shared by the threads that play them."""

    kills: Counter[str] = field(default_factory=Counter)
    recipients: int = 0
    messages: int = 0
    doubled: int = 0
    lost: int = 0
    doubts: int = 0
    unresolved: int = 0
    batches: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def killed(self, step: str) -> None:
        with self._lock:
            self.kills[step] += 1

    def draw(self, role: Role, phase: Phase, chance: random.Random) -> str:
        """A step that such a process may come by, one of those that were met most rarely so far."""
        open_to = [name for name, step in STEPS.items() if role in step.roles and phase in step.phases]
        with self._lock:
            open_to.sort(key=lambda name: self.kills[name] + chance.random() * 3)
        return chance.choice([*open_to[:5], MOMENT])

    def add(self, truth: Truth) -> None:
        with self._lock:
            self.batches += 1
            self.recipients += truth.recipients
            self.messages += truth.messages
            self.doubled += len(truth.doubled)
            self.lost += len(truth.lost)
            self.doubts += truth.doubts
            self.unresolved += truth.unresolved


@dataclass(frozen=True)
class Truth:
    """What the ledger says beside what people received.

    Attributes:
        recipients: people to write to.
        messages: messages for them, one a channel.
        doubled: messages that reached somebody more than once.
        lost: messages that did not arrive and that the ledger does not name: it says sent, or nothing at all.
        misjudged: messages that arrived although the ledger calls them refused.
        doubts: requests of which nobody knew for a while whether they were accepted.
        unresolved: messages that are left to a person, named.
        complaints: counts of the ledger that are not what they must be.
    """

    recipients: int
    messages: int
    doubled: list[str]
    lost: list[str]
    misjudged: list[str]
    doubts: int
    unresolved: int
    complaints: list[str]


class Round:
    """One batch in a ledger of its own, and the processes that work on it."""

    def __init__(
        self, place: Place, *, seed: int, people: int, tally: Tally, faults: list[dict[str, Any]] | None = None
    ) -> None:
        self._place = place
        self._seed = seed
        self._chance = random.Random(seed)
        self._tally = tally
        self._people = people
        self._faults = FAULTS if faults is None else faults
        self._database = Database(place.settings.database)
        self._slots: dict[int, tuple[BaseProcess, str | None, float | None]] = {}

    def play(self, *, kills: int) -> Truth:
        """Kill so many processes, then let others finish the work.

        Raises:
            AssertionError: the batch stands still, or a process met an error.
        """
        with httpx.Client(base_url=self._place.sandbox, timeout=20, trust_env=False) as sandbox:
            sandbox.delete("/sandbox/messages").raise_for_status()
            plan = {"seed": self._seed, "sendgrid": self._faults, "twilio": self._faults}
            sandbox.put("/sandbox/faults", json=plan).raise_for_status()
            batch_id = self._create()
            try:
                self._drive(batch_id, kills)
            finally:
                self._end_all()
            truth = self._truth(batch_id, sandbox)
            self._database.close()
        self._tally.add(truth)
        return truth

    def _create(self) -> int:
        """A batch as `batch create` leaves it."""
        settings = self._place.settings
        uid = uuid.uuid4().hex
        numbers = range(self._people)
        file = pl.DataFrame(
            {
                "first_name": [f"Person {number}" for number in numbers],
                "email": [f"p{number}@r{self._seed}.example" if number % 5 else None for number in numbers],
                "phone": [f"+4474001{number:05}" if number % 3 == 0 else None for number in numbers],
            }
        )
        path = Path(settings.home) / "chaos.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        file.write_csv(path)
        around = Surroundings(settings, self._database, Storage(settings.storage))
        small = factories.process()
        table = read_for(small, path, file_name=path.name, limits=limits(around))
        batch = Batch(
            uid=uid,
            process_version_id=factories.deploy(self._database, small),
            name="Chaos",
            sender="sender@acme.example",
            created_at=factories.NOW,
            phase_at=factories.NOW,
            file_name=path.name,
            file_sha256="0" * 64,
            file_bytes=path.stat().st_size,
            upload_key=around.storage.put(f"batches/{uid}/upload.csv", path),
            rows_key=keep_rows(around, uid, table),
            layout=table.layout.to_json(),
            row_count=table.rows.height,
        )
        with self._database.write() as session:
            return batches.id_of(batches.add(session, batch))

    def _drive(self, batch_id: int, kills: int) -> None:
        left, quiet_since, stood = kills, time.monotonic(), ""
        while True:
            before = left
            left -= self._reap()
            phase = self._phase(batch_id)
            for slot, role in enumerate(SLOTS):
                if slot not in self._slots:
                    step = self._tally.draw(role, phase, self._chance) if left > 0 else None
                    self._start(slot, Life(self._place, batch_id, role, step, self._call(step)))
            if left > 0 and self._chance.random() < 0.01:
                left -= self._kill_everything()
            if (stands := self._where(batch_id)) != stood or left != before:
                stood, quiet_since = stands, time.monotonic()
            if self._is_done(batch_id):
                return
            assert time.monotonic() - quiet_since < STANDSTILL_SECONDS, f"seed {self._seed}: {stands}"
            time.sleep(PAUSE_SECONDS)  # the processes do the work, this only looks

    def _call(self, step: str | None) -> int:
        return self._chance.randint(1, STEPS[step].calls) if step is not None and step in STEPS else 1

    def _start(self, slot: int, life: Life) -> None:
        dies_at = time.monotonic() + self._chance.expovariate(2.0) if life.step == MOMENT else None
        process = CONTEXT.Process(target=live, args=(life,))
        process.start()
        self._slots[slot] = (process, life.step, dies_at)

    def _reap(self) -> int:
        """Look after the processes; gives how many were killed since."""
        killed = 0
        for slot, (process, step, dies_at) in list(self._slots.items()):
            if dies_at is not None and time.monotonic() >= dies_at:
                process.kill()
            if process.is_alive():
                continue
            process.join()
            del self._slots[slot]
            assert process.exitcode != BROKEN, f"seed {self._seed}: a process met an error, see above"
            if process.exitcode == -SIGKILL and step is not None:
                self._tally.killed(step)
                killed += 1
        return killed

    def _kill_everything(self) -> int:
        alive = [process for process, _, _ in self._slots.values() if process.is_alive()]
        self._end_all()
        for _ in alive:
            self._tally.killed(EVERYTHING)
        return len(alive)

    def _end_all(self) -> None:
        for process, _, _ in self._slots.values():
            process.kill()
        for process, _, _ in self._slots.values():
            process.join()
        self._slots.clear()

    # What the ledger says

    def _phase(self, batch_id: int) -> Phase:
        with self._database.read() as session:
            return Phase(batches.by_id(session, batch_id).phase)

    def _is_done(self, batch_id: int) -> bool:
        """Whether nothing more can be done for it without a person, and people can see what became of it."""
        with self._database.read() as session:
            batch = batches.by_id(session, batch_id)
            waits = select(Request.number).where(
                Request.batch_id == batch_id,
                col(Request.state).in_([RequestState.NEW, RequestState.INTENT, RequestState.IN_DOUBT]),
            )
            at_end = batch.phase in {Phase.SETTLING, Phase.FINISHED} and batch.result_key is not None
            return at_end and session.exec(waits.limit(1)).first() is None

    def _where(self, batch_id: int) -> str:
        with self._database.read() as session:
            batch = batches.by_id(session, batch_id)
            states = session.exec(
                select(Request.state, func.count()).where(Request.batch_id == batch_id).group_by(Request.state)
            ).all()
            return f"{batch.phase} ({batch.reason}), {states}, result {batch.result_key}"

    def _truth(self, batch_id: int, sandbox: httpx.Client) -> Truth:
        arrived = Counter(message["to"] for message in _received(sandbox))
        with self._database.read() as session:
            batch = batches.by_id(session, batch_id)
            rows = session.exec(
                select(Message, Recipient)
                .join(Recipient, (col(Recipient.batch_id) == Message.batch_id) & (col(Recipient.row) == Message.row))
                .where(Message.batch_id == batch_id)
            ).all()
            state_of = {
                (person.email if message.channel == EMAIL else person.phone) or "": MessageState(message.state)
                for message, person in rows
            }
            valid, counted = batch.valid, batch.sent
            sent = len({message.row for message, _ in rows if message.state == MessageState.ACCEPTED})
            marked = len({message.row for message, person in rows if person.sent_at is not None})
            was_doubted = exists().where(col(Lookup.batch_id) == batch_id, col(Lookup.request) == Request.number)
            doubts = session.exec(
                select(func.count()).select_from(Request).where(Request.batch_id == batch_id, was_doubted)
            ).one()
        expected = sum(bool(number % 5) + (number % 3 == 0) for number in range(self._people))
        found = {
            "messages were laid out": (len(state_of), expected),
            "messages went to nobody of the file": (len(set(arrived) - set(state_of)), 0),
            "recipients are counted as sent": (counted, sent),
            "recipients are marked as sent": (marked, sent),
        }
        named = {MessageState.UNRESOLVED, MessageState.FAILED}
        return Truth(
            recipients=valid,
            messages=len(rows),
            doubled=[address for address, times in arrived.items() if times > 1],
            lost=[address for address, state in state_of.items() if not arrived[address] and state not in named],
            misjudged=[a for a, state in state_of.items() if arrived[a] and state is MessageState.FAILED],
            doubts=doubts,
            unresolved=sum(state is MessageState.UNRESOLVED for state in state_of.values()),
            complaints=[f"{is_so} {what}, not {must}" for what, (is_so, must) in found.items() if is_so != must],
        )


def _received(sandbox: httpx.Client) -> Iterator[dict[str, Any]]:
    offset, page = 0, 1000
    while True:
        answer = sandbox.get("/sandbox/messages", params={"limit": page, "offset": offset})
        found = answer.raise_for_status().json()["messages"]
        yield from found
        if len(found) < page:
            return
        offset += page
