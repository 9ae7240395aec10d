"""Batches in the ledger, and what the commands say of their bad rows; Prefect is played."""

from __future__ import annotations

import csv
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from settings import load
from tasks.ingest import ingest
from tasks.surroundings import surround
from tasks.validate import validate
from tests.cli.running import Run
from tests.factories import add_batch, process
from tests.servers import Answer, nowhere, serving

LIST = "first_name,email,phone\nAnn,ann@mail.example,\n,bob@mail.example,\nCid,cid@mail.example,\n"
WHO = ["--by", "operator@acme.test"]


@pytest.fixture
def prefect() -> Iterator[str]:
    with serving(Answer(200, body=json.dumps({"id": "run"}).encode())) as server:
        yield server.url


def waiting(home: Path, content: str = LIST) -> int:
    """A batch of a list, checked, as its run leaves it."""
    around = surround(load(home=home))
    path, uid = home.parent / "list.csv", uuid.uuid4().hex
    path.write_text(content)
    batch_id = add_batch(
        around.database,
        definition=process(),
        uid=uid,
        name="Spring",
        file_name="list.csv",
        upload_key=around.storage.put(f"batches/{uid}/upload.csv", path),
    )
    ingest(around, batch_id)
    validate(around, batch_id)
    around.database.close()
    return batch_id


def fill_in(path: Path, name: str) -> None:
    with path.open(newline="") as file:
        lines = list(csv.reader(file))
    lines[1][0] = name
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(lines)


def test_bad_rows_are_taken_out_corrected_and_put_back(run: Run, home: Path, tmp_path: Path, prefect: str) -> None:
    batch_id, bad = waiting(home), tmp_path / "bad.csv"
    shown = run("batch", "show", batch_id).out
    assert shown.endswith(
        f"Get the rows that cannot be sent in a file to correct: bulk-sender batch problems {batch_id} --output FILE\n"
    )
    taken = run("batch", "problems", batch_id, "--output", bad)
    assert (taken.code, taken.out) == (
        0,
        f"Written: {bad} (1 row). Correct its cells, then upload it: bulk-sender batch correct {batch_id} {bad} --by EMAIL\n",
    )
    assert bad.read_text().splitlines()[1] == ",bob@mail.example,,Row 3: first_name is empty; fill it in."
    again = run("batch", "problems", batch_id, "--output", bad, "--json").content
    assert again == {"id": batch_id, "output": str(bad), "rows": 1}

    unchanged = run("batch", "correct", batch_id, bad, *WHO, PREFECT_API_URL=prefect)
    assert unchanged.out == (
        f"Batch {batch_id} has these rows already; nothing was changed. Correct the cells of bad.csv first.\n"
    )
    fill_in(bad, "Bob")
    done = run("batch", "correct", batch_id, bad, *WHO, PREFECT_API_URL=prefect)
    assert done.out == (
        f"Batch {batch_id} has 1 row corrected and is checked again, then it waits for approval again: "
        f"bulk-sender batch wait {batch_id} --until waiting\n"
    )
    view = run("batch", "show", batch_id, "--json").content
    assert (view["phase"], view["status"], view["revision"]) == ("checking", "Pending Approval", 1)
    assert "Corrections" in run("batch", "show", batch_id).out
    assert "is still being checked" in run("batch", "correct", batch_id, bad, *WHO, PREFECT_API_URL=prefect).refusal


def test_a_correction_for_programs_is_the_batch(run: Run, home: Path, tmp_path: Path, prefect: str) -> None:
    batch_id, bad = waiting(home), tmp_path / "bad.csv"
    run("batch", "problems", batch_id, "--output", bad)
    fill_in(bad, "Bob")

    view = run("batch", "correct", batch_id, bad, *WHO, "--json", PREFECT_API_URL=prefect).content

    assert (view["id"], view["phase"], view["revision"]) == (batch_id, "checking", 1)


def test_a_file_that_does_not_fit_is_refused_in_one_sentence(
    run: Run, home: Path, tmp_path: Path, prefect: str
) -> None:
    batch_id, file = waiting(home), tmp_path / "fixed.csv"
    file.write_text(LIST)
    assert run("batch", "correct", batch_id, file, *WHO, PREFECT_API_URL=prefect).refusal.startswith(
        f"fixed.csv has no column Problem, which says which row of batch {batch_id} each line corrects."
    )
    missing = run("batch", "correct", batch_id, tmp_path / "none.csv", *WHO, PREFECT_API_URL=prefect).refusal
    assert missing == f"There is no file {tmp_path / 'none.csv'}. Check the path."
    assert "'nobody'" in run("batch", "correct", batch_id, file, "--by", "nobody").refusal


def test_without_a_server_nothing_is_corrected(run: Run, home: Path, tmp_path: Path) -> None:
    batch_id, bad = waiting(home), tmp_path / "bad.csv"
    run("batch", "problems", batch_id, "--output", bad)
    fill_in(bad, "Bob")

    assert "does not answer" in run("batch", "correct", batch_id, bad, *WHO, PREFECT_API_URL=nowhere()).refusal
    assert run("batch", "show", batch_id, "--json").content["revision"] == 0


def test_a_batch_without_bad_rows_has_no_file_of_them(run: Run, home: Path, tmp_path: Path) -> None:
    batch_id, bad = waiting(home, LIST.replace("\n,", "\nBob,")), tmp_path / "bad.csv"
    assert "batch problems" not in run("batch", "show", batch_id).out
    refusal = run("batch", "problems", batch_id, "--output", bad).refusal
    assert refusal == f"Batch {batch_id} has no bad row, so there is nothing to correct."
    assert not bad.exists()


def test_check_and_show_say_that_a_list_was_uploaded_already(run: Run, home: Path, tmp_path: Path) -> None:
    first, second = waiting(home), waiting(home)
    said = f"The same list was uploaded already, as batch {first} (Spring, 1 March 2026; 0 of 3 sent)."
    kinds = run("batch", "show", second, "--json").content["problems"]
    assert [kinds[0][name] for name in ("code", "message", "count", "rows")] == ["same_content", said, 3, []]
    assert "The same list was uploaded already" in run("batch", "show", second).out
    file = tmp_path / "renamed.csv"
    file.write_text(LIST.replace(",", ";"))
    found = run("batch", "check", file, "--process", "small", "--json").content
    assert found["problems"][0]["message"].startswith(f"The same list was uploaded already, as batch {second} (")
    assert found["counts"]["warnings"] == 0
