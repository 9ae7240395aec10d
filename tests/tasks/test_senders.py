"""Sending by processes of their own: everybody is written to once, whichever of them is killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs

import psutil
import pytest

from tasks.accounts import Accounts
from tasks.senders import Senders
from tasks.split import is_large
from tasks.surroundings import Surroundings
from tests.factories import add_batch, batch, people, process, sendable
from tests.servers import Answer, Asked, Server, serving

PEOPLE = 7
STARTS = """
import sys
from tasks.accounts import Accounts
from tasks.senders import Senders
with Senders(2).started(Accounts(**{"email_host": "", "email_key": "", "sms_host": "", "sms_account": "", "sms_token": ""}), apart=True):
    print("started", flush=True)
    sys.stdin.read()
"""


def accounts(host: str) -> Accounts:
    return Accounts(email_host=host, email_key="SG.x", sms_host=host, sms_account="AC" + "1" * 32, sms_token="x")


@contextmanager
def provider() -> Iterator[Server]:
    def answer(asked: Asked) -> Answer:
        if asked.path == "/v3/mail/send":
            return Answer(202, {"X-Message-Id": "id"})
        return Answer(201, body=json.dumps({"sid": f"SM{abs(hash(asked.body)):032x}"[:34]}).encode())

    with serving(answer) as server:
        yield server


def reached(server: Server) -> Counter[str]:
    return Counter(parse_qs(asked.body.decode())["To"][0] for asked in server.asked)


def senders_of(process: int) -> list[psutil.Process]:
    """The processes that send for a process, and the one that they were copied from."""
    family = psutil.Process(process).children(recursive=True)
    return [one for one in family if "tasks.sender" in one.cmdline()]


class Permits:
    """Lets three requests go at a time, and remembers the channel."""

    def __init__(self) -> None:
        self.channels: set[str] = set()
        self.allowed = 0

    def __call__(self, channel: str) -> Permits:
        self.channels.add(channel)
        return self

    async def take(self, number: int) -> int:
        allowed = min(3, number)
        self.allowed += allowed
        return allowed


@pytest.fixture
def inherited(around: Surroundings, monkeypatch: pytest.MonkeyPatch) -> Surroundings:
    """Surroundings that a process finds in its environment."""
    for name, value in around.settings.as_environment().items():
        monkeypatch.setenv(name, value)
    return around


def test_a_chunk_is_sent_by_another_process_with_the_permits_of_this_one(inherited: Surroundings) -> None:
    batch_id, permits, senders = sendable(inherited, people(sms=PEOPLE)), Permits(), Senders(1)

    with provider() as server, senders.started(accounts(server.url), apart=True):
        assert senders_of(os.getpid())
        ended = senders.send_chunk(inherited, batch_id, 0, permits=lambda channel: permits(channel).take)
        again = senders.send_chunk(inherited, batch_id, 0, permits=lambda channel: permits(channel).take)

    assert ended == {"accepted": PEOPLE}
    assert again == {}
    assert len(reached(server)) == PEOPLE
    assert set(reached(server).values()) == {1}
    assert permits.channels == {"sms"}
    assert permits.allowed >= PEOPLE
    assert batch(inherited.database, batch_id).sent == PEOPLE
    assert senders_of(os.getpid()) == []


def test_processes_that_were_killed_are_replaced(inherited: Surroundings) -> None:
    batch_id, permits, senders = sendable(inherited, people(sms=PEOPLE)), Permits(), Senders(2)

    with provider() as server, senders.started(accounts(server.url), apart=True):
        for process in senders_of(os.getpid()):
            process.kill()
        senders.send_chunk(inherited, batch_id, 0, permits=lambda channel: permits(channel).take)

    assert set(reached(server).values()) == {1}
    assert len(reached(server)) == PEOPLE


def test_no_sender_outlives_a_run_that_was_killed() -> None:
    """Else it would go on with a batch that somebody stops, and hold what the next run needs."""
    run = subprocess.Popen([sys.executable, "-c", STARTS], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert run.stdout is not None
    assert run.stdout.readline() == b"started\n"
    senders = senders_of(run.pid)
    assert senders

    run.kill()
    run.communicate()

    assert psutil.wait_procs(senders, timeout=60)[1] == []


def test_a_small_batch_is_sent_by_this_process(around: Surroundings) -> None:
    batch_id, permits, senders = sendable(around, people(emails=PEOPLE)), Permits(), Senders(2)

    with provider() as server, senders.started(accounts(server.url), apart=is_large(around, batch_id)):
        ended = senders.send_chunk(around, batch_id, 0, permits=lambda channel: permits(channel).take)
        assert senders_of(os.getpid()) == []

    assert ended == {"accepted": 1}


@pytest.mark.parametrize(("valid", "large"), [(5_000, False), (5_001, True)])
def test_a_batch_is_large_by_its_valid_recipients(around: Surroundings, valid: int, large: bool) -> None:
    assert is_large(around, add_batch(around.database, definition=process(), valid=valid)) is large
