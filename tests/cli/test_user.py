"""`user` and `key`: who may sign in, and which programs act for them; and `--by` once there are users."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from domain.proofs import digest
from tests.cli.running import Ended, Run

PASSWORD = "quite a long password"


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The password on standard input, for every command of a test."""

    class Forever(io.StringIO):
        def readline(self, _size: int | None = -1) -> str:  # type: ignore[override]  # as a pipe that never ends
            return PASSWORD + "\n"

    monkeypatch.setattr(sys, "stdin", Forever())


def make(run: Run, email: str, role: str) -> Ended:
    return run("user", "add", email, "--role", role, "--password-stdin", "--json")


@pytest.mark.usefixtures("typed")
def test_users_are_made_listed_changed_and_disabled(run: Run) -> None:
    assert run("user", "list").out.startswith("There is no user")

    made = make(run, "Ann@Acme.example", "operator").content
    make(run, "root@acme.example", "admin")

    assert (made["email"], made["role"], made["has_password"], made["disabled_at"]) == (
        "ann@acme.example",
        "operator",
        True,
        None,
    )
    assert run("user", "role", "ann@acme.example", "approver", "--json").content["role"] == "approver"
    assert run("user", "disable", "ann@acme.example", "--json").content["disabled_at"] is not None
    assert [one["email"] for one in run("user", "list", "--json").content] == ["ann@acme.example", "root@acme.example"]
    assert run("user", "enable", "ann@acme.example", "--json").content["disabled_at"] is None
    assert run("user", "password", "ann@acme.example", "--password-stdin").code == 0
    assert "$argon2" not in run("user", "list", "--json").out


@pytest.mark.usefixtures("typed")
def test_somebody_who_signs_in_elsewhere_needs_no_password(run: Run) -> None:
    made = run("user", "add", "ann@acme.example", "--role", "analyst", "--no-password", "--json").content

    assert made["has_password"] is False
    assert run("user", "add", "b@acme.example", "--role", "analyst", "--no-password", "--password-stdin").code == 2


@pytest.mark.usefixtures("typed")
def test_what_is_refused_is_said_in_one_sentence(run: Run) -> None:
    make(run, "ann@acme.example", "admin")

    assert "already" in run("user", "add", "ANN@acme.example", "--role", "admin", "--password-stdin").refusal
    assert "not an email" in run("user", "add", "nobody", "--role", "admin", "--password-stdin").refusal
    assert "no user bob@" in run("user", "disable", "bob@acme.example").refusal
    assert "last active admin" in run("user", "disable", "ann@acme.example").refusal
    assert "last active admin" in run("user", "role", "ann@acme.example", "analyst").refusal
    assert run("user", "add", "c@acme.example", "--role", "king").code == 2
    assert [(one["role"], one["disabled_at"]) for one in run("user", "list", "--json").content] == [("admin", None)]


def test_a_short_password_makes_nobody(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("short\n"))

    assert "fewer than 12" in run("user", "add", "a@acme.example", "--role", "admin", "--password-stdin").refusal
    assert run("user", "list", "--json").content == []


def test_a_password_is_asked_twice_and_not_shown(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    answers = iter([PASSWORD, PASSWORD, PASSWORD, "another long password"])
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("cli.user.getpass", lambda _prompt: next(answers))

    made = run("user", "add", "a@acme.example", "--role", "admin")

    assert made.code == 0
    assert PASSWORD not in made.out + made.err
    assert "differ" in run("user", "add", "b@acme.example", "--role", "admin").refusal


def test_without_a_terminal_a_password_comes_by_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())

    assert "--password-stdin" in run("user", "add", "a@acme.example", "--role", "admin").refusal


@pytest.mark.usefixtures("typed")
def test_a_key_is_shown_once_and_kept_as_a_hash(run: Run, home: Path) -> None:
    make(run, "ann@acme.example", "operator")
    assert run("key", "list").out.startswith("There is no key")

    made = run("key", "add", "nightly", "--user", "Ann@acme.example", "--json").content
    shown = run("key", "add", "weekly", "--user", "ann@acme.example")

    assert (made["name"], made["user"]) == ("nightly", "ann@acme.example")
    assert made["key"].startswith("bsk_")
    assert shown.out.startswith("bsk_")
    assert shown.out.count("\n") == 1  # so that a program can take it
    assert "only time" in shown.err
    listed = run("key", "list", "--json")
    assert [(one["name"], one["holds"]) for one in listed.content] == [("nightly", True), ("weekly", True)]
    kept = b"".join(path.read_bytes() for path in home.glob("bulk-sender.db*"))
    assert made["key"].encode() not in kept
    assert digest(made["key"]).encode() in kept


@pytest.mark.usefixtures("typed")
def test_a_key_is_revoked_by_name_or_with_its_user(run: Run) -> None:
    make(run, "root@acme.example", "admin")
    make(run, "ann@acme.example", "operator")
    for name in ("nightly", "weekly"):
        run("key", "add", name, "--user", "ann@acme.example")

    assert run("key", "revoke", "nightly", "--json").content == {"name": "nightly", "holds": False}
    assert [one["holds"] for one in run("key", "list", "--json").content] == [False, True]
    run("user", "disable", "ann@acme.example")

    assert [one["holds"] for one in run("key", "list", "--json").content] == [False, False]
    assert "no key monthly" in run("key", "revoke", "monthly").refusal
    assert "is disabled" in run("key", "add", "third", "--user", "ann@acme.example").refusal
    assert "already" in run("key", "add", "weekly", "--user", "root@acme.example").refusal


@pytest.mark.usefixtures("typed")
@pytest.mark.parametrize(
    "command",
    [
        ("batch", "approve", 7),
        ("batch", "reject", 7),
        ("batch", "pause", 7),
        ("batch", "resume", 7),
        ("batch", "settle", 7, "--as", "sent"),
    ],
)
def test_once_there_are_users_a_decision_needs_one_with_the_right(run: Run, command: tuple[str | int, ...]) -> None:
    before = run(*command, "--by", "ann@acme.example")
    make(run, "ann@acme.example", "operator")
    make(run, "bob@acme.example", "approver")

    assert "There is no batch 7" in before.refusal or "Prefect" in before.refusal
    assert "ann@acme.example is an operator and may not" in run(*command, "--by", "ann@acme.example").refusal
    assert "stranger@acme.example is no active user" in run(*command, "--by", "stranger@acme.example").refusal
    assert "may not" not in run(*command, "--by", "Bob@acme.example").refusal


@pytest.mark.usefixtures("typed")
def test_once_there_are_users_a_batch_is_created_and_corrected_by_one_with_the_right(
    motor: Run, tmp_path: Path
) -> None:
    file = tmp_path / "people.csv"
    file.write_text("x\n1\n")
    make(motor, "bob@acme.example", "approver")

    for command in (
        ("batch", "create", file, "--process", "motor-renewal", "--sender", "bob@acme.example"),
        ("batch", "correct", 7, file, "--by", "bob@acme.example"),
    ):
        assert "may not create or correct batches" in motor(*command).refusal
    suppress = ("suppression", "add", "x@mail.example.com", "--channel", "email", "--by")
    assert "no active user" in motor(*suppress, "stranger@acme.example").refusal
    assert motor(*suppress, "bob@acme.example").code == 0
