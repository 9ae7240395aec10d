"""What the check says of earlier batches: the same list, and people who have an open link already."""

from __future__ import annotations

import uuid
from pathlib import Path

import polars as pl
import pytest
import xlsxwriter
from sqlalchemy import update
from sqlmodel import col

from deployments.checking import check_file
from models import batches
from models.tables import Recipient
from tasks.approval import invitation
from tasks.ingest import ingest
from tasks.surroundings import Surroundings
from tasks.validate import validate
from tests.factories import NOW, add_batch, batch, process

HEADER = ["first_name", "email", "phone"]
LIST = [["Ann", "ann@mail.example", ""], ["Bob", "", "07400 123456"], ["", "cid@mail.example", ""]]


def csv_file(folder: Path, lines: list[list[str]], *, name: str = "list.csv", separator: str = ",") -> Path:
    path = folder / name
    path.write_text("\n".join(separator.join(line) for line in [HEADER, *lines]) + "\n")
    return path


def xlsx_file(folder: Path, lines: list[list[str]]) -> Path:
    path = folder / "other name.xlsx"
    with xlsxwriter.Workbook(path) as workbook:
        sheet = workbook.add_worksheet()
        for row, line in enumerate([HEADER, *lines]):
            sheet.write_row(row, 0, line)
    return path


def checked(
    around: Surroundings, path: Path, *, key: str = "small", version: str = "Small", name: str = "March"
) -> int:
    """A batch of a file, as the check leaves it."""
    uid = uuid.uuid4().hex
    batch_id = add_batch(
        around.database,
        definition=process(key=key, name=version),
        uid=uid,
        name=name,
        file_name=path.name,
        upload_key=around.storage.put(f"batches/{uid}/upload", path),
    )
    ingest(around, batch_id)
    assert validate(around, batch_id)
    return batch_id


def send(around: Surroundings, batch_id: int, *rows: int) -> None:
    """As if a provider had accepted the links of these rows."""
    with around.database.write() as session:
        session.execute(
            update(Recipient)
            .where(col(Recipient.batch_id) == batch_id, col(Recipient.row).in_(rows))
            .values(sent_at=NOW)
        )
        batches.note(session, batch_id, sent=len(rows))


def kinds(around: Surroundings, batch_id: int) -> dict[str, tuple[int, list[int]]]:
    return {kind["code"]: (kind["count"], kind["rows"]) for kind in batch(around.database, batch_id).problems or []}


def row_problems(around: Surroundings, batch_id: int, code: str) -> list[tuple[int, str]]:
    key = batch(around.database, batch_id).problems_key
    assert key is not None
    with around.storage.local(key) as path:
        return pl.read_parquet(path).filter(code=code).select("row", "message").rows()


@pytest.mark.parametrize("version", ["Small", "Small as it is called now"])
def test_the_same_list_is_found_in_any_format_under_any_name(
    around: Surroundings, tmp_path: Path, version: str
) -> None:
    first = checked(around, csv_file(tmp_path, LIST), name="Spring")
    send(around, first, 2, 3)

    second = checked(around, xlsx_file(tmp_path, LIST), version=version)

    assert kinds(around, first).get("same_content") is None
    assert kinds(around, second)["same_content"] == (3, [])
    said = f"The same list was uploaded already, as batch {first} (Spring, 1 March 2026; 2 of 3 sent)."
    assert said in [kind["message"] for kind in batch(around.database, second).problems or []]
    assert batch(around.database, first).content_sha256 == batch(around.database, second).content_sha256


@pytest.mark.parametrize("other", [LIST[:2], LIST[::-1], [*LIST, ["Dan", "dan@mail.example", ""]]])
def test_another_list_is_not_the_same(around: Surroundings, tmp_path: Path, other: list[list[str]]) -> None:
    checked(around, csv_file(tmp_path, LIST))

    assert "same_content" not in kinds(around, checked(around, csv_file(tmp_path, other)))


def test_lists_of_other_processes_do_not_count(around: Surroundings, tmp_path: Path) -> None:
    send(around, checked(around, csv_file(tmp_path, LIST), key="other"), 2, 3)

    found = kinds(around, checked(around, csv_file(tmp_path, LIST)))

    assert not {"same_content", "open_link"} & set(found)


def test_people_with_an_open_link_are_warned_about_with_their_batch(around: Surroundings, tmp_path: Path) -> None:
    old = checked(around, csv_file(tmp_path, LIST))
    send(around, old, 2, 3)
    lines = [
        ["New", "new@mail.example", ""],
        ["Anna", "ANN@mail.example", ""],
        ["", "ann@mail.example", ""],
        ["Rob", "rob@mail.example", "+447400123456"],
    ]

    new = checked(around, csv_file(tmp_path, lines), version="Small as it is called now")

    said = f"This person already has an open link for this process, from batch {old}."
    assert row_problems(around, new, "open_link") == [(3, said), (5, said)]
    assert kinds(around, new)["open_link"] == (2, [3, 5])
    found = batch(around.database, new)
    assert (found.valid, found.warnings) == (3, 2), "they are sent, unless somebody decides otherwise"
    shown = invitation(around, new, refusal=None)
    assert "already has an open link for this process, from an earlier batch. | 2 | 3, 5 |" in shown


def test_of_a_batch_that_was_sent_in_part_only_those_who_were_sent_to_count(
    around: Surroundings, tmp_path: Path
) -> None:
    old = checked(around, csv_file(tmp_path, LIST))
    send(around, old, 3)

    assert kinds(around, checked(around, csv_file(tmp_path, LIST)))["open_link"] == (1, [3])


def test_the_newest_batch_that_wrote_to_a_person_is_named(around: Surroundings, tmp_path: Path) -> None:
    first = checked(around, csv_file(tmp_path, LIST))
    second = checked(around, csv_file(tmp_path, LIST[:1]))
    send(around, first, 2, 3)
    send(around, second, 2)

    third = checked(around, csv_file(tmp_path, LIST))

    named = [said.rsplit(" ", 1)[-1] for _, said in row_problems(around, third, "open_link")]
    assert named == [f"{second}.", f"{first}."]


def test_a_person_twice_in_one_batch_has_no_open_link(around: Surroundings, tmp_path: Path) -> None:
    twice = checked(around, csv_file(tmp_path, [LIST[0], ["Anna", *LIST[0][1:]]]))

    assert set(kinds(around, twice)) == {"same_address"}


def test_a_check_without_a_batch_says_the_same(around: Surroundings, tmp_path: Path) -> None:
    old = checked(around, csv_file(tmp_path, LIST), name="Spring")
    send(around, old, 2, 3)
    rows, bad_rows = tmp_path / "rows.jsonl", tmp_path / "bad.csv"
    path = csv_file(tmp_path, LIST, name="again.csv", separator=";")

    found = check_file(around, path, process(), rows_to=rows, bad_rows_to=bad_rows)

    assert found["counts"] == {"rows": 3, "valid": 2, "invalid": 1, "warnings": 2}
    assert [(kind["code"], kind["count"], kind["rows"]) for kind in found["problems"]] == [
        ("same_content", 3, []),
        ("required_missing", 1, [4]),
        ("open_link", 2, [2, 3]),
    ]
    assert rows.read_text().count(f"from batch {old}.") == 2
    assert bad_rows.read_text().splitlines() == [
        "first_name;email;phone;Problem",
        ';cid@mail.example;;"Row 4: first_name is empty; fill it in."',
    ]
