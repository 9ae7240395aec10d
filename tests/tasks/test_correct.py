"""Bad rows leave in a file and come back corrected: in their places, judged again, and never over newer ones."""

from __future__ import annotations

import csv
import uuid
from pathlib import Path

import fastexcel
import polars as pl
import pytest
import xlsxwriter

from domain.errors import FileProblem, NotAllowed
from domain.states import Phase, Status
from models import batches
from tasks.approval import Approval, Decision, decide, invitation, link_print, revision_to_decide
from tasks.correct import keep_correction, read_correction
from tasks.ingest import ingest
from tasks.report import write_file, write_problems
from tasks.split import split_batch
from tasks.surroundings import Surroundings
from tasks.validate import validate
from tests.factories import act, add_batch, batch, process

LINES = [
    ["first_name", "email", "phone", "Our note"],
    ["Ann", "ann@mail.example", "", "007"],
    ["", "bob@mail.example", "", "=1+1"],
    ["Cid", "cid", "", "x, y"],
]


def write(path: Path, lines: list[list[str]]) -> Path:
    """As a person's spreadsheet program does."""
    if path.suffix == ".csv":
        with path.open("w", newline="") as file:
            csv.writer(file, delimiter=";").writerows(lines)
    else:
        with xlsxwriter.Workbook(path, {"strings_to_formulas": False}) as workbook:
            sheet = workbook.add_worksheet("My list")
            for row, line in enumerate(lines):
                sheet.write_row(row, 0, line)
    return path


def read(path: Path) -> list[list[str]]:
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return list(csv.reader(file, delimiter=";"))
    sheet = fastexcel.read_excel(path).load_sheet(0, header_row=None, dtypes="string").to_polars()
    return [[cell or "" for cell in row] for row in sheet.rows()]


def waiting(around: Surroundings, tmp_path: Path, *, suffix: str = ".csv", lines: list[list[str]] = LINES) -> int:
    path, uid = write(tmp_path / f"list{suffix}", lines), uuid.uuid4().hex
    batch_id = add_batch(
        around.database,
        definition=process(),
        uid=uid,
        file_name=path.name,
        upload_key=around.storage.put(f"batches/{uid}/upload{suffix}", path),
    )
    ingest(around, batch_id)
    assert validate(around, batch_id)
    return batch_id


def correct(around: Surroundings, batch_id: int, path: Path) -> int:
    """What the act does, without its run; gives how many rows changed."""
    correction = read_correction(around, batch_id, path)
    rows_key = keep_correction(around, correction, path)
    with around.database.write() as session:
        batches.correct(
            session,
            batch_id,
            act("operator@acme.example"),
            seen_revision=correction.revision,
            rows_key=rows_key,
            file_sha256=correction.file_sha256,
        )
    return correction.changed


def bad_rows(around: Surroundings, batch_id: int, tmp_path: Path, *, suffix: str = ".csv") -> list[list[str]]:
    path = tmp_path / f"bad{suffix}"
    assert write_problems(around, batch_id, path) == len(read(path)) - 1
    return read(path)


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_bad_rows_come_back_corrected_in_their_places(around: Surroundings, tmp_path: Path, suffix: str) -> None:
    batch_id = waiting(around, tmp_path, suffix=suffix)
    header, bob, cid = bad_rows(around, batch_id, tmp_path, suffix=suffix)
    assert header == [*LINES[0], "Problem"]
    assert bob == [*LINES[2], "Row 3: first_name is empty; fill it in."]
    assert cid[:4] == LINES[3]
    assert cid[4].startswith("Row 4: email is not an email address")

    bob[0], cid[1] = "Bob", "cid@mail.example"
    assert correct(around, batch_id, write(tmp_path / f"fixed{suffix}", [header, cid, bob])) == 2
    assert batch(around.database, batch_id).phase == Phase.CHECKING
    ingest(around, batch_id)
    assert validate(around, batch_id)

    found = batch(around.database, batch_id)
    assert (found.phase, found.row_count, found.valid, found.invalid, found.revision) == (Phase.WAITING, 3, 3, 0, 1)
    result = tmp_path / f"result{suffix}"
    write_file(around, batch_id, result)
    assert [line[:4] for line in read(result)] == [LINES[0], LINES[1], bob[:4], cid[:4]]
    with pytest.raises(NotAllowed, match="has no bad row, so there is nothing to correct"):
        write_problems(around, batch_id, tmp_path / "none.csv")
    assert not (tmp_path / "none.csv").exists()


def test_what_was_there_before_and_the_corrected_file_are_kept(around: Surroundings, tmp_path: Path) -> None:
    batch_id = waiting(around, tmp_path)
    before = batch(around.database, batch_id)
    header, bob, _ = bad_rows(around, batch_id, tmp_path)
    fixed = write(tmp_path / "fixed.csv", [header, ["Bob", *bob[1:]]])

    correct(around, batch_id, fixed)
    validate(around, batch_id)

    after = batch(around.database, batch_id)
    keys = [(one.rows_key, one.recipients_key, one.problems_key) for one in (before, after)]
    kept = [key for both in keys for key in both if key is not None]
    assert len(set(kept)) == 6
    for key in kept:
        with around.storage.local(key) as path:
            assert pl.read_parquet(path).height >= 1
    assert after.rows_key is not None
    with around.storage.local(after.rows_key.replace("rows.parquet", "upload.csv")) as path:
        assert path.read_bytes() == fixed.read_bytes()


def test_rows_that_are_still_bad_are_asked_for_again(around: Surroundings, tmp_path: Path) -> None:
    batch_id = waiting(around, tmp_path)
    header, bob, cid = bad_rows(around, batch_id, tmp_path)
    correct(around, batch_id, write(tmp_path / "fixed.csv", [header, ["Bob", *bob[1:]], cid]))
    validate(around, batch_id)

    assert [line[4][:6] for line in bad_rows(around, batch_id, tmp_path)[1:]] == ["Row 4:"]
    assert read_correction(around, batch_id, tmp_path / "fixed.csv").changed == 0, "the same file again"


def test_a_file_that_does_not_fit_changes_nothing(around: Surroundings, tmp_path: Path) -> None:
    batch_id = waiting(around, tmp_path)
    before = batch(around.database, batch_id).model_dump()
    header, bob, _ = bad_rows(around, batch_id, tmp_path)

    for lines, said in (
        ([header[:4], bob[:4]], "has no column Problem"),
        ([header, [*bob[:4], ""]], "new people cannot be added"),
        ([[*header[:3], "Problem"], [*bob[:3], bob[4]]], r"\(missing: Our note\)"),
    ):
        with pytest.raises(FileProblem, match=said):
            read_correction(around, batch_id, write(tmp_path / "fixed.csv", lines))
    (tmp_path / "fixed.csv").write_bytes(b"%PDF-1.7 nothing")
    with pytest.raises(FileProblem, match=r"fixed\.csv"):
        read_correction(around, batch_id, tmp_path / "fixed.csv")
    assert batch(around.database, batch_id).model_dump() == before


def test_a_batch_that_was_not_checked_has_no_bad_rows_to_give(around: Surroundings, tmp_path: Path) -> None:
    batch_id = add_batch(around.database, definition=process())

    with pytest.raises(NotAllowed, match=f"Batch {batch_id} is checking, so its rows were not judged"):
        write_problems(around, batch_id, tmp_path / "bad.csv")


# Against what happens at the same time


def corrected(around: Surroundings, tmp_path: Path) -> int:
    """A batch whose third row was corrected, before it is checked again."""
    batch_id = waiting(around, tmp_path)
    header, bob, _ = bad_rows(around, batch_id, tmp_path)
    correct(around, batch_id, write(tmp_path / "fixed.csv", [header, ["Bob", *bob[1:]]]))
    return batch_id


def form(decision: Decision) -> Approval:
    return Approval(decision=decision, email="boss@acme.example", comment="seen")


@pytest.mark.parametrize("decision", Decision)
def test_an_old_form_decides_nothing_about_corrected_rows(
    around: Surroundings, tmp_path: Path, decision: Decision
) -> None:
    batch_id = waiting(around, tmp_path)
    seen = revision_to_decide(around, batch_id)
    header, bob, _ = bad_rows(around, batch_id, tmp_path)
    correct(around, batch_id, write(tmp_path / "fixed.csv", [header, ["Bob", *bob[1:]]]))

    refusals = [decide(around, batch_id, form(decision), revision=seen)]
    validate(around, batch_id)
    refusals.append(decide(around, batch_id, form(decision), revision=seen))

    assert all("was corrected after you were shown it" in (refusal or "") for refusal in refusals)
    found = batch(around.database, batch_id)
    assert (found.status, found.phase) == (Status.PENDING_APPROVAL, Phase.WAITING)
    assert "this is correction 1" in invitation(around, batch_id, refusal=None)
    assert decide(around, batch_id, form(decision), revision=revision_to_decide(around, batch_id)) is None


def test_nobody_is_asked_about_rows_that_are_being_checked(around: Surroundings, tmp_path: Path) -> None:
    with pytest.raises(NotAllowed, match="was corrected in this moment; its newest run asks about it"):
        revision_to_decide(around, corrected(around, tmp_path))


def test_a_check_that_was_overtaken_by_a_correction_writes_nothing(
    around: Surroundings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow check of the old rows ends after the new ones are in."""
    batch_id = corrected(around, tmp_path)
    stale = batch(around.database, batch_id)
    stale.revision = 0
    with monkeypatch.context() as patch:
        patch.setattr(batches, "by_id", lambda _session, _id: stale)
        assert validate(around, batch_id) is False

    found = batch(around.database, batch_id)
    assert (found.phase, found.valid, found.recipients_key) == (Phase.CHECKING, 0, None)
    assert validate(around, batch_id) is True
    assert batch(around.database, batch_id).valid == 2


def test_what_was_approved_and_then_corrected_is_not_laid_out(around: Surroundings, tmp_path: Path) -> None:
    batch_id = waiting(around, tmp_path)
    header, bob, _ = bad_rows(around, batch_id, tmp_path)
    with around.database.write() as session:
        batches.approve(session, batch_id, act(), link_print=link_print(around))
    correct(around, batch_id, write(tmp_path / "fixed.csv", [header, ["Bob", *bob[1:]]]))

    assert split_batch(around, batch_id) == []
    validate(around, batch_id)
    assert split_batch(around, batch_id) == []

    with around.database.write() as session:
        batches.approve(session, batch_id, act(), link_print=link_print(around))
    assert split_batch(around, batch_id) == [0]
    with pytest.raises(NotAllowed, match="is sending; rows can be corrected only while a batch waits"):
        read_correction(around, batch_id, tmp_path / "fixed.csv")
