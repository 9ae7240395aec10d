"""What the commands that need no server print, for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import Run
from tests.factories import MOTOR

LIST = (
    "First Name,last_name,E-MAIL,phone,policy number,renewal-date,premium,cover,paperless,Our note\n"
    "Ada,Lovelace,ada@EXAMPLE.com,07400 123456,0001,31.01.2027,120.5,comprehensive,yes,x\n"
    ",,,,,,,,,\n"
    ",Hopper,grace@example.com,,0002,2027-02-01,,,,\n"
    "Alan,Turing,not-an-address,,0003,2027-02-01,1,Third party,no,\n"
    "Mary,Shelley,mary@example.com,12345,0004,2027-02-01,1,Third party,no,\n"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "list.csv"
    path.write_text(LIST)
    return path


def test_check_prints_the_contract(motor: Run, file: Path) -> None:
    ended = motor("batch", "check", file, "--process", "motor-renewal", "--json")
    assert (ended.code, ended.err) == (0, "")
    found = ended.content
    assert list(found) == ["file_error", "counts", "problems", "notes"]
    assert found["notes"] == ["Not used, but kept to the result file: Our note."]
    assert found["file_error"] is None
    assert found["counts"] == {"rows": 4, "valid": 2, "invalid": 2, "warnings": 1}
    assert all(list(kind) == ["code", "message", "count", "rows"] for kind in found["problems"])
    assert {kind["code"]: (kind["count"], kind["rows"]) for kind in found["problems"]} == {
        "required_missing": (1, [4]),
        "email_invalid": (1, [5]),
        "phone_invalid": (1, [6]),
        "no_address": (1, [5]),
    }


def test_check_writes_one_object_a_row_in_file_order(motor: Run, file: Path, tmp_path: Path) -> None:
    output = tmp_path / "rows.jsonl"
    motor("batch", "check", file, "--process", "motor-renewal", "--rows", output)
    rows = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert [row["row"] for row in rows] == [2, 4, 5, 6], "blank rows are left out"
    assert rows[0] == {
        "row": 2,
        "valid": True,
        "email": "ada@example.com",
        "phone": "+447400123456",
        "values": {
            "first_name": "Ada",
            "last_name": "Lovelace",
            "email": "ada@example.com",
            "phone": "+447400123456",
            "policy_number": "0001",
            "renewal_date": "2027-01-31",
            "premium": "120.5",
            "cover": "Comprehensive",
            "paperless": "true",
        },
        "problems": [],
    }
    assert [(row["valid"], row["email"], row["phone"]) for row in rows[1:]] == [
        (False, None, None),
        (False, None, None),
        (True, "mary@example.com", None),
    ]
    assert [
        [(problem["item"], problem["code"], problem["severity"]) for problem in row["problems"]] for row in rows
    ] == [
        [],
        [("first_name", "required_missing", "error")],
        [("email", "email_invalid", "error"), (None, "no_address", "error")],
        [("phone", "phone_invalid", "warning")],
    ]
    assert all(list(problem) == ["item", "code", "message", "severity"] for row in rows for problem in row["problems"])


def test_check_tells_people_the_same(motor: Run, file: Path, home: Path) -> None:
    ended = motor("batch", "check", file, "--process", "motor-renewal")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("list.csv: 4 rows, 2 can be sent, 2 cannot, 1 with a warning.\n")
    assert "first_name is empty; fill it in." in ended.out
    assert motor("batch", "list", "--json").content == []
    assert not (home / "files").exists() or not any((home / "files").iterdir())


def test_check_gives_the_bad_rows_to_correct(motor: Run, file: Path, tmp_path: Path) -> None:
    output = tmp_path / "bad.csv"
    told = motor("batch", "check", file, "--process", "motor-renewal")
    assert told.out.endswith("Get the rows that cannot be sent in a file to correct: add --bad-rows FILE\n")

    ended = motor("batch", "check", file, "--process", "motor-renewal", "--bad-rows", output)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.endswith(f"Written: {output}\n")
    lines = output.read_text().splitlines()
    original = LIST.splitlines()
    assert lines[0] == f"{original[0]},Problem"
    assert [line.startswith(row) for line, row in zip(lines[1:], original[3:5], strict=True)] == [True, True]
    assert "Row 4: first_name is empty" in lines[1]
    assert "Row 5: email is not an email address" in lines[2]

    found = motor("batch", "check", file, "--process", "motor-renewal", "--bad-rows", output, "--json")
    assert found.content["counts"]["invalid"] == len(lines) - 1


def test_check_of_a_good_file_writes_no_bad_rows(motor: Run, tmp_path: Path) -> None:
    file, output = tmp_path / "good.csv", tmp_path / "bad.csv"
    file.write_text("\n".join(LIST.splitlines()[:2]) + "\n")

    ended = motor("batch", "check", file, "--process", "motor-renewal", "--bad-rows", output)

    assert ended.out.endswith(f"No row must be corrected; {output} is not written.\n")
    assert not output.exists()


@pytest.mark.parametrize("format_", ["csv", "xlsx"])
def test_an_example_file_is_for_its_process_and_its_row_is_never_sent(format_: str, motor: Run, tmp_path: Path) -> None:
    output = tmp_path / f"example.{format_}"
    written = motor("process", "example", "motor-renewal", "--format", format_, "--output", output)
    assert (written.code, written.err) == (0, "")
    assert str(output) in written.out
    found = motor("batch", "check", output, "--process", "motor-renewal", "--json").content
    assert found["counts"] == {"rows": 1, "valid": 0, "invalid": 1, "warnings": 0}
    assert [(kind["code"], kind["rows"]) for kind in found["problems"]] == [("sample_row", [2])]


def test_a_process_goes_from_draft_to_live_and_gets_versions(run: Run, tmp_path: Path) -> None:
    draft = run("process", "deploy", MOTOR, "--draft", "--json").content
    assert (draft["key"], draft["version"], draft["live"], draft["deployed_at"]) == ("motor-renewal", 1, False, None)
    live = run("process", "deploy", MOTOR, "--json").content
    assert (live["version"], live["live"]) == (1, True)
    assert run("process", "deploy", MOTOR, "--json").content == live, "the same again changes nothing"

    changed = tmp_path / "motor.yaml"
    changed.write_text(MOTOR.read_text().replace("name: Motor policy renewal", "name: Car policy renewal"))
    assert run("process", "deploy", changed, "--draft", "--json").content["version"] == 2
    assert [one["version"] for one in run("process", "list", "--json").content] == [1], "a draft replaces no live one"
    assert run("process", "deploy", changed, "--json").content["live"] is True
    listed = run("process", "list", "--json").content
    assert [(one["version"], one["name"]) for one in listed] == [(2, "Car policy renewal")]
    assert "Car policy renewal" in run("process", "list").out


def test_empty_lists_say_what_to_do(run: Run) -> None:
    assert "bulk-sender process deploy" in run("process", "list").out
    assert "bulk-sender batch create" in run("batch", "list").out
    assert run("process", "list", "--json").content == []
    assert run("batch", "list", "--status", "pending approval", "--status", "ARCHIVED", "--json").content == []


@pytest.mark.parametrize("command", [[], ["batch"], ["process"]], ids=" ".join)
def test_help_names_every_command(command: list[str], run: Run) -> None:
    ended = run(*command, "--help")
    names = {
        "": ["demo", "up", "process", "batch"],
        "process": ["deploy", "list", "example"],
        "batch": [
            *("check", "create", "list", "show", "wait", "approve", "reject", "archive", "download", "resume"),
            *("problems", "correct"),
        ],
    }
    assert (ended.code, ended.err) == (0, "")
    assert all(name in ended.out for name in names[" ".join(command)])
