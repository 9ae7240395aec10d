"""Whatever is wrong with what a person gives is one sentence, exit code 1, and leaves nothing behind."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.running import Run
from tests.factories import MOTOR

IsUntouched = Callable[[], bool]

HEADER = "first_name,last_name,email,phone,policy_number,renewal_date,premium,cover,paperless\n"
ROW = "Ada,Lovelace,ada@example.com,,0001,2027-01-05,120.5,Comprehensive,yes\n"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
PDF = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n%%EOF\n"


def archive() -> bytes:
    """A ZIP file that is no workbook."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as writing:
        writing.writestr("hello.txt", "hello")
    return packed.getvalue()


BAD_FILES = {
    "a picture": (PNG, "not_csv_or_excel"),
    "a PDF": (PDF, "not_csv_or_excel"),
    "a ZIP file": (archive(), "not_csv_or_excel"),
    "nothing": (b"", "empty"),
    "blank lines": (b"\n\n\n", "empty"),
    "a header alone": (HEADER.encode(), "empty"),
    "another process": (b"patient,ward,surgeon,operation\nP1,4,S2,hip\n", "different_process"),
    "an open quote": ((HEADER + 'Ada,"Love\n').encode(), "unreadable"),
    "letters that may be others": ((HEADER + ROW).replace("Ada", "Zoë").encode("latin-1"), "unreadable"),
    "two megabytes": ((HEADER + ROW * 30_000).encode(), "too_large"),
}


@pytest.mark.parametrize("what", BAD_FILES)
def test_a_bad_file_is_refused_for_people_and_for_programs(
    what: str, motor: Run, tmp_path: Path, is_untouched: IsUntouched
) -> None:
    content, code = BAD_FILES[what]
    file = tmp_path / "list.csv"
    file.write_bytes(content)
    limit = {"UPLOAD_MEGABYTES": "1"}

    refusal = motor("batch", "check", file, "--process", "motor-renewal", **limit).refusal
    assert refusal.startswith("list.csv")
    told = motor("batch", "check", file, "--process", "motor-renewal", "--json", **limit)
    assert (told.code, told.err) == (1, "")
    assert told.content == {
        "file_error": {"code": code, "message": refusal},
        "counts": {"rows": 0, "valid": 0, "invalid": 0, "warnings": 0},
        "problems": [],
    }
    assert is_untouched()


@pytest.mark.parametrize("name", ["missing.csv", "folder"])
def test_a_file_that_is_not_there_is_named(name: str, motor: Run, tmp_path: Path, is_untouched: IsUntouched) -> None:
    (tmp_path / "folder").mkdir()
    for command in (["check"], ["create", "--sender", "operator@acme.test"]):
        refusal = motor("batch", *command, tmp_path / name, "--process", "motor-renewal").refusal
        assert str(tmp_path / name) in refusal
    assert is_untouched()
    assert name in motor("process", "deploy", tmp_path / name).refusal


def test_an_unknown_process_is_named_with_those_that_are_known(
    motor: Run, tmp_path: Path, is_untouched: IsUntouched
) -> None:
    file = tmp_path / "list.csv"
    file.write_text(HEADER + ROW)
    for command in (
        ["batch", "check", file, "--process", "moter-renewal"],
        ["batch", "create", file, "--process", "moter-renewal", "--sender", "operator@acme.test"],
        ["process", "example", "moter-renewal", "--output", tmp_path / "example.xlsx"],
    ):
        refusal = motor(*command).refusal
        assert "'moter-renewal'" in refusal
        assert "motor-renewal" in refusal.replace("moter-renewal", "")
    assert is_untouched()
    assert not (tmp_path / "example.xlsx").exists()


def test_a_draft_cannot_be_sent(run: Run, tmp_path: Path, is_untouched: IsUntouched) -> None:
    file = tmp_path / "list.csv"
    file.write_text(HEADER + ROW)
    assert run("process", "deploy", MOTOR, "--draft").code == 0
    for command in (["check"], ["create", "--sender", "operator@acme.test"]):
        assert "draft" in run("batch", *command, file, "--process", "motor-renewal").refusal
    assert "draft" in run("process", "example", "motor-renewal", "--output", tmp_path / "example.csv").refusal
    assert is_untouched()


def test_without_a_server_no_batch_is_made(motor: Run, tmp_path: Path, is_untouched: IsUntouched) -> None:
    file = tmp_path / "list.csv"
    file.write_text(HEADER + ROW)
    refusal = motor("batch", "create", file, "--process", "motor-renewal", "--sender", "operator@acme.test").refusal
    assert "does not answer" in refusal
    assert "bulk-sender up" in refusal
    assert motor("batch", "list", "--json").content == []
    assert is_untouched()


@pytest.mark.parametrize(
    "command",
    [
        ["show", 7],
        ["wait", 7],
        ["approve", 7, "--by", "approver@acme.test"],
        ["reject", 7, "--by", "approver@acme.test"],
        ["resume", 7, "--by", "approver@acme.test"],
        ["archive", 7, "--by", "approver@acme.test"],
        ["download", 7, "--output", "result.csv"],
        ["problems", 7, "--output", "result.csv"],
        ["correct", 7, "fixed.csv", "--by", "operator@acme.test"],
    ],
    ids=lambda command: command[0],
)
def test_an_unknown_batch_is_named(command: list[str | int], run: Run) -> None:
    assert run("batch", *command).refusal.startswith("There is no batch 7.")
    assert not Path("result.csv").exists()


@pytest.mark.parametrize("command", ["approve", "reject", "resume", "archive"])
def test_who_decides_must_be_an_email_address(command: str, run: Run) -> None:
    assert "'nobody'" in run("batch", command, 7, "--by", "nobody").refusal


def test_who_sends_must_be_an_email_address(motor: Run, tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text(HEADER + ROW)
    created = motor("batch", "create", file, "--process", "motor-renewal", "--sender", "nobody")
    assert "'nobody'" in created.refusal


def test_an_unknown_status_is_named_with_those_that_are_known(run: Run) -> None:
    refusal = run("batch", "list", "--status", "Approved", "--status", "Sent").refusal
    assert "'Sent'" in refusal
    assert all(one in refusal for one in ("Approved", "Pending Approval", "Admin Rejection", "Archived"))


@pytest.mark.parametrize(
    ("find", "instead", "line"),
    [
        ("default_region: GB", "default_region: XX", None),
        ("default_region: GB", "default_region: GB\nregion: GB", 4),
        ("type: email}", "type: mail}", 7),
        ("{{ first_name }}, your policy", "{{ firstname }}, your policy", None),
        ("  - phase: review", "  - phase: [review", None),
        ("name: Motor policy renewal", "name: [", 4),
    ],
)
def test_a_bad_definition_is_refused_with_its_line(
    find: str, instead: str, line: int | None, run: Run, tmp_path: Path
) -> None:
    text = MOTOR.read_text()
    assert find in text
    file = tmp_path / "mine.yaml"
    file.write_text(text.replace(find, instead))
    refusal = run("process", "deploy", file).refusal
    assert refusal.startswith("mine.yaml, line ")
    assert line is None or f"line {line}:" in refusal
    assert run("process", "list", "--json").content == []


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"", b"just a sentence", b"- a\n- list\n"])
def test_what_is_no_definition_is_refused(content: bytes, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(content)
    assert "mine.yaml" in run("process", "deploy", file).refusal


BAD_SETTINGS = {
    "half of Twilio": ({"TWILIO_ACCOUNT_SID": "AC1"}, "BULK_SENDER_TWILIO_AUTH_TOKEN"),
    "other half of Twilio": ({"TWILIO_AUTH_TOKEN": "t"}, "BULK_SENDER_TWILIO_ACCOUNT_SID"),
    "a host without a key": ({"SENDGRID_HOST": "http://127.0.0.1:1"}, "BULK_SENDER_SENDGRID_API_KEY"),
    "a real key without a public address": ({"SENDGRID_API_KEY": "SG.x"}, "BULK_SENDER_PUBLIC_URL"),
    "no scheme": ({"PUBLIC_URL": "links.acme.test"}, "BULK_SENDER_PUBLIC_URL"),
    "another scheme": ({"PREFECT_API_URL": "ftp://127.0.0.1/api"}, "BULK_SENDER_PREFECT_API_URL"),
    "a port that is a word": ({"WEB_PORT": "http"}, "BULK_SENDER_WEB_PORT"),
    "a port that is too high": ({"WEB_PORT": "65536"}, "BULK_SENDER_WEB_PORT"),
    "no megabytes": ({"UPLOAD_MEGABYTES": "0"}, "BULK_SENDER_UPLOAD_MEGABYTES"),
    "a short secret": ({"SECRET_KEY": "short"}, "BULK_SENDER_SECRET_KEY"),
}


@pytest.mark.parametrize("what", BAD_SETTINGS)
def test_a_bad_setting_is_named(what: str, run: Run, home: Path) -> None:
    settings, named = BAD_SETTINGS[what]
    for command in (["batch", "list"], ["up"]):
        refusal = run(*command, **settings).refusal
        assert named in refusal
        assert "SG.x" not in refusal
    assert not home.exists()


def test_a_data_folder_that_is_a_file_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("x")
    assert str(tmp_path / "taken") in run("batch", "list", HOME=str(tmp_path / "taken")).refusal


def test_a_database_that_cannot_be_opened_is_named_without_its_password(run: Run) -> None:
    refusal = run("batch", "list", DATABASE_URL="postgresql://somebody:pa55word@127.0.0.1:9/ledger").refusal
    assert "127.0.0.1:9/ledger" in refusal
    assert "pa55word" not in refusal


def test_a_storage_that_does_not_exist_is_named(run: Run) -> None:
    assert "BULK_SENDER_STORAGE_URL" in run("batch", "list", STORAGE_URL="nowhere://x").refusal


def test_an_output_folder_that_is_not_there_is_named(motor: Run, tmp_path: Path) -> None:
    file, nowhere = tmp_path / "list.csv", tmp_path / "nowhere"
    file.write_text(HEADER + ROW)
    for command in (
        ["process", "example", "motor-renewal", "--output", nowhere / "example.xlsx"],
        ["process", "example", "motor-renewal", "--format", "csv", "--output", nowhere / "example.csv"],
        ["batch", "download", 1, "--output", nowhere / "result.csv"],
        ["batch", "problems", 1, "--output", nowhere / "bad.csv"],
        ["batch", "check", file, "--process", "motor-renewal", "--bad-rows", nowhere / "bad.csv"],
        ["batch", "check", file, "--process", "motor-renewal", "--rows", nowhere / "rows.jsonl"],
    ):
        assert str(nowhere) in motor(*command).refusal
    assert not nowhere.exists()


def test_an_output_that_is_a_folder_is_named(motor: Run, tmp_path: Path) -> None:
    file, folder = tmp_path / "list.csv", tmp_path / "folder"
    file.write_text(HEADER + ROW)
    folder.mkdir()
    for command in (
        ["process", "example", "motor-renewal", "--output", folder],
        ["process", "example", "motor-renewal", "--format", "csv", "--output", folder],
        ["batch", "check", file, "--process", "motor-renewal", "--rows", folder],
        ["batch", "check", file, "--process", "motor-renewal", "--bad-rows", folder],
    ):
        assert str(folder) in motor(*command).refusal
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "command",
    [
        ["batch", "check"],
        ["batch", "show", "seven"],
        ["batch", "show", "9" * 20],
        ["batch", "wait", "1", "--until", "tomorrow"],
        ["batch", "wait", "1", "--timeout", "soon"],
        ["batch", "list", "--sort", "colour"],
        ["batch", "approve", "1"],
        ["batch", "correct", "1", "fixed.csv"],
        ["process", "example", "motor-renewal", "--format", "pdf", "--output", "x"],
        ["process", "destroy"],
        ["upp"],
        ["up", "--quietly"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2(command: list[str], run: Run, home: Path) -> None:
    ended = run(*command)
    assert (ended.code, ended.out) == (2, "")
    assert "Usage: " in ended.err
    assert not home.exists()


def test_the_installed_command_refuses_in_the_same_way(tmp_path: Path) -> None:
    """The sentence must be the only thing on standard error, whatever libraries would like to say there."""
    command = Path(sys.executable).parent / "bulk-sender"
    ended = subprocess.run(
        [command, "batch", "show", "7", "--json"],
        env={"BULK_SENDER_HOME": str(tmp_path / "home")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "There is no batch 7. See which there are: bulk-sender batch list\n"
