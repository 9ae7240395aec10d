"""Commands of the books: what is unresolved, a person's decision about it, the reconciliation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.states import Phase, RequestState
from models import batches, requests
from models.requests import Answer
from settings import load
from tasks.reconcile import reconcile
from tasks.surroundings import surround
from tests.cli.running import Run
from tests.factories import NOW, people, sendable
from tests.servers import Answer as HttpAnswer
from tests.servers import nowhere, serving
from tests.tasks.test_send import DOUBT, Provider, at_once
from tests.tasks.test_send import run as send

__all__ = ["at_once"]
WHO = ["--by", "boss@acme.test"]


@pytest.fixture
def prefect() -> Iterator[str]:
    with serving(HttpAnswer(200, body=json.dumps({"id": "run"}).encode())) as server:
        yield server.url


@pytest.fixture
def unresolved(home: Path) -> int:
    """A finished batch: two emails of which nobody knows, an SMS that was sent, a row that cannot be used."""
    around = surround(load(home=home))
    batch_id = sendable(around, people(emails=2, sms=1, invalid=1))
    send(around, batch_id, Provider(DOUBT))
    send(around, batch_id, Provider(), chunk=1)
    with around.database.write() as session:
        requests.settle(session, batch_id, [Answer(0, RequestState.UNRESOLVED, detail="Nothing was found.")], now=NOW)
    assert reconcile(around, batch_id) is Phase.FINISHED
    around.database.close()
    return batch_id


def test_what_is_unresolved_is_named_with_its_evidence(run: Run, unresolved: int) -> None:
    found = run("batch", "unresolved", unresolved, "--json").content
    assert [(one["request"], one["state"], one["channel"], one["rows"]) for one in found] == [
        (0, "unresolved", "email", [2, 3])
    ]
    said = run("batch", "unresolved", unresolved).out
    assert "2, 3" in said
    assert f"bulk-sender batch settle {unresolved} --as sent" in said


def test_a_person_may_count_it_as_sent(run: Run, home: Path, unresolved: int) -> None:
    said = run("batch", "settle", unresolved, "--as", "sent", *WHO).out
    assert said == f"1 unresolved requests of batch {unresolved} count as sent now.\n"
    counts = run("batch", "show", unresolved, "--json").content["counts"]
    assert (counts["sent"], counts["unresolved"]) == (3, 0)
    assert run("batch", "unresolved", unresolved).out == f"Batch {unresolved} has nothing unresolved.\n"
    with surround(load(home=home)).database.read() as session:
        act = batches.decisions(session, unresolved)[-1]
        assert (act.act, act.by, act.comment) == ("settle", "boss@acme.test", "(as sent: requests 0)")


def test_a_person_may_send_it_once_more(run: Run, unresolved: int, prefect: str) -> None:
    found = run("batch", "settle", unresolved, "--as", "resend", "--json", *WHO, PREFECT_API_URL=prefect).content
    assert found == {"id": unresolved, "settled": 1, "as": "resend"}
    view = run("batch", "show", unresolved, "--json").content
    assert (view["phase"], view["counts"]["pending"], view["counts"]["sent"]) == ("sending", 2, 1)


def test_nothing_is_sent_again_that_nobody_could_send(run: Run, unresolved: int) -> None:
    refusal = run("batch", "settle", unresolved, "--as", "resend", *WHO, PREFECT_API_URL=nowhere()).refusal
    assert "does not answer" in refusal
    assert run("batch", "show", unresolved, "--json").content["counts"]["unresolved"] == 2


def test_what_is_not_unresolved_cannot_be_decided_about(run: Run, unresolved: int) -> None:
    other = run("batch", "settle", unresolved, "--as", "sent", "--request", 1, *WHO).refusal
    assert other.startswith(f"Request 1 of batch {unresolved} is not unresolved.")
    run("batch", "settle", unresolved, "--as", "sent", *WHO)
    assert "nothing unresolved" in run("batch", "settle", unresolved, "--as", "sent", *WHO).refusal
    assert run("batch", "settle", unresolved, "--as", "lost", *WHO).code == 2


def test_the_books_account_for_every_row(run: Run, unresolved: int) -> None:
    books = run("batch", "reconciliation", unresolved, "--json").content
    assert (books["rows"], books["balances"], books["closed"]) == (4, True, True)
    email, sms = books["channels"]["email"], books["channels"]["sms"]
    assert (email["unresolved"], email["no_address"], email["rejected"]) == (2, 1, 1)
    assert (sms["sent"], sms["no_address"], sms["rejected"]) == (1, 2, 1)
    assert "4 of 4" in run("batch", "reconciliation", unresolved).out


def test_only_a_batch_that_is_being_sent_can_be_paused(run: Run, unresolved: int) -> None:
    refusal = run("batch", "pause", unresolved, *WHO).refusal
    assert refusal == f"Batch {unresolved} is finished, not sending; there is nothing to pause."
