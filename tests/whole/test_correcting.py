"""A batch whose bad rows are corrected while it waits: checked again, approved as it is then, and sent to everyone."""

from __future__ import annotations

import csv
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.whole.installation import APPROVER, OPERATOR, Installation, until
from tests.whole.people import HEADER, people, read_csv, write_csv

pytestmark = [pytest.mark.whole, pytest.mark.timeout(600)]


def answer(installation: Installation, run_id: str) -> str:
    """Approve on the form of a run, as the Prefect UI does; gives what the server says of it once it has the time."""
    run_input = {"decision": "Approve", "email": APPROVER, "comment": "seen"}
    url = f"{installation.prefect}/api/flow_runs/{run_id}/resume"

    def ask() -> str | None:
        answered = installation.http.post(url, json={"run_input": run_input})
        return answered.json()["status"] if answered.is_success else None

    return until(ask, what="answer to a form")


def test_corrected_rows_are_checked_approved_and_sent(installation: Installation, tmp_path: Path) -> None:
    persons = people("email", "nameless", "phone", "unreachable", tag="corrected", block=60)
    batch_id, old_run = installation.waiting(write_csv(tmp_path / "list.csv", persons))
    bad = tmp_path / "bad.csv"
    assert installation.ask("batch", "problems", batch_id, "--output", bad)["rows"] == 2

    lines = read_csv(bad)
    assert [line["Problem"].split(":")[0] for line in lines] == ["Row 3", "Row 5"]
    lines[0]["First Name"], lines[1]["E-Mail"] = "Ada1", persons[3].email.replace("not-an-address", "mended@b.example")
    with bad.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, [*HEADER, "Problem"])
        writer.writeheader()
        writer.writerows(lines)
    view = installation.ask("batch", "correct", batch_id, bad, "--by", OPERATOR)
    new_run = view["flow_run_id"]
    assert (view["revision"], new_run == old_run) == (1, False)
    until(lambda: installation.run_state(old_run) == "Cancelled", what="end of the old run")
    assert answer(installation, old_run) != "ACCEPT", "nobody can answer the form of the old rows"

    view = installation.wait(batch_id, "waiting")
    assert (view["phase"], view["status"], view["counts"]["invalid"]) == ("waiting", "Pending Approval", 0)
    installation.await_form(new_run)
    assert answer(installation, new_run) == "ACCEPT"
    view = installation.wait(batch_id)
    assert (view["phase"], view["counts"]["sent"], view["counts"]["rows"]) == ("finished", 4, 4)

    arrived = installation.arrived(persons)
    assert {len(messages) for messages in arrived.values()} == {1}
    assert len(arrived) == 4
    rows = read_csv(installation.download(batch_id, tmp_path / "result.csv"))
    assert [row["Sending Status"] for row in rows] == ["Sent"] * 4
    assert [rows[1]["First Name"], rows[3]["E-Mail"]] == ["Ada1", "mended@b.example"]

    checked = installation.ask("batch", "check", tmp_path / "list.csv", "--process", "motor-renewal")
    assert {kind["code"]: kind["rows"] for kind in checked["problems"]}["open_link"] == [2, 4]


def test_an_answer_about_rows_that_were_corrected_since_is_asked_for_again(
    installation: Installation, tmp_path: Path
) -> None:
    """A run that could not be cancelled still has the form of the old rows."""
    persons = people("email", "phone", tag="asked-again", block=61)
    batch_id, run_id = installation.waiting(write_csv(tmp_path / "list.csv", persons))
    with closing(sqlite3.connect(installation.home / "bulk-sender.db")) as ledger, ledger:
        ledger.execute("UPDATE batch SET revision = 1 WHERE id = ?", [batch_id])

    assert answer(installation, run_id) == "ACCEPT"
    until(lambda: installation.run_state(run_id) != "Suspended", what="end of the suspension")
    installation.await_form(run_id)
    assert installation.show(batch_id)["status"] == "Pending Approval"

    until(lambda: answer(installation, run_id) == "ACCEPT", what="an accepted answer")
    assert installation.wait(batch_id)["counts"]["sent"] == 2
