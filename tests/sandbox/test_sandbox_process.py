"""The process: it starts with one line, ends cleanly, says what is wrong, and loses nothing that it answered for."""

import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

Start = Callable[..., tuple["subprocess.Popen[str]", str]]
Mail = Callable[..., dict[str, Any]]

ROOT = Path(__file__).parents[2]
SID = "AC" + "0" * 32


FIRST_VERSION = """
CREATE TABLE requests (
    id INTEGER PRIMARY KEY, provider TEXT NOT NULL, key TEXT NOT NULL UNIQUE, sender TEXT NOT NULL,
    subject TEXT NOT NULL, text TEXT NOT NULL, html TEXT NOT NULL, details TEXT NOT NULL, at REAL NOT NULL
) STRICT;
CREATE TABLE messages (
    id INTEGER PRIMARY KEY, request_id INTEGER NOT NULL REFERENCES requests, provider TEXT NOT NULL,
    position INTEGER NOT NULL, role TEXT NOT NULL, recipient TEXT NOT NULL COLLATE NOCASE, name TEXT NOT NULL,
    subject TEXT, substitutions TEXT, custom_args TEXT, details TEXT, batch TEXT,
    state TEXT NOT NULL, reason TEXT NOT NULL, is_received INTEGER NOT NULL, updated_at REAL NOT NULL
) STRICT;
CREATE TABLE suppressions (
    provider TEXT NOT NULL, address TEXT NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (provider, address)
) STRICT;
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
INSERT INTO requests VALUES (1, 'sendgrid', 'key', 'a@b.example', 'Hello', 'Text', '', '{}', 1700000000.0);
INSERT INTO messages VALUES (1, 1, 'sendgrid', 0, 'to', 'ana@mail.example', '', NULL, NULL, NULL, NULL, NULL,
    'received', '', 1, 1700000000.0);
INSERT INTO suppressions VALUES ('sendgrid', 'x@b.example', 'Invalid');
INSERT INTO settings VALUES ('faults', '{"seed": 2, "sendgrid": [], "twilio": [], "drawn": {}}');
INSERT INTO settings VALUES ('settings', '{"verified_senders": [], "delivery_seconds": 1.0}');
"""


def client_of(url: str, key: str = "SG.sandbox") -> httpx.Client:
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=10, trust_env=False)


def run(*options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "sandbox", *options], cwd=ROOT, capture_output=True, text=True, timeout=20, check=False
    )


def test_a_kill_right_after_the_answer_loses_nothing(start: Start, mail: Mail, tmp_path: Path) -> None:
    """What was answered is in the file: a sender may take the answer for the truth."""
    people = [f"p{number}@mail.example" for number in range(300)]
    process, url = start(tmp_path)
    with client_of(url) as client:
        key = client.post("/v3/mail/send", json=mail(*people)).headers["X-Message-Id"]
        process.kill()
    process.wait()
    _, url = start(tmp_path)
    with client_of(url) as client:
        found = client.get("/sandbox/messages", params={"request": key, "limit": 1000}).json()["messages"]
        assert [one["to"] for one in reversed(found)] == people
        assert client.get("/sandbox/counts").json()["sendgrid"] == {
            "requests": 1,
            "accepted": 1,
            "messages": 300,
            "dropped": 0,
        }


def test_a_stop_is_clean_and_a_start_finds_everything_again(start: Start, mail: Mail, tmp_path: Path) -> None:
    process, url = start(tmp_path, "--seed", "5")
    plan = {"seed": 5, "sendgrid": [{"kind": "credits", "left": 9}], "twilio": [{"kind": "429", "next": 2}]}
    lists = {"sendgrid": [{"address": "a@b.example", "reason": "Invalid"}], "twilio": []}
    settings = {"verified_senders": ["@acme.example"], "delivery_seconds": None}
    fates = {"seed": 4, "addresses": {"x@b.example": "spam"}, "sendgrid": {"open": 0.5}, "twilio": {}}
    with client_of(url) as client:
        client.put("/sandbox/faults", json=plan).raise_for_status()
        client.put("/sandbox/suppressions", json=lists).raise_for_status()
        settings = client.put("/sandbox/settings", json=settings).raise_for_status().json()
        client.put("/sandbox/fates", json=fates).raise_for_status()
        assert client.post("/v3/mail/send", json=mail("a@b.example", "c@b.example")).status_code == 202
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "", "")

    _, url = start(tmp_path)
    with client_of(url) as client:
        assert client.get("/sandbox/faults").json() == {**plan, "sendgrid": [{"kind": "credits", "left": 8}]}
        assert client.get("/sandbox/suppressions").json() == lists
        assert client.get("/sandbox/settings").json() == settings
        assert client.get("/sandbox/fates").json() == fates
        assert [one["to"] for one in client.get("/sandbox/messages").json()["messages"]] == ["c@b.example"]


def test_interrupt_ends_it_even_while_a_request_hangs(start: Start, mail: Mail, tmp_path: Path) -> None:
    process, url = start(tmp_path)
    with client_of(url) as client:
        client.put("/sandbox/faults", json={"sendgrid": [{"kind": "hang_after", "seconds": 600}]}).raise_for_status()
        with pytest.raises(httpx.ReadTimeout):
            client.post("/v3/mail/send", json=mail(), timeout=0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "", "")


def test_the_start_line_comes_with_own_credentials_and_address(start: Start, mail: Mail, tmp_path: Path) -> None:
    sid = "AC" + "5" * 32
    options = ("--api-key", "SG.mine", "--account-sid", sid, "--auth-token", "t", "--public-url", "https://s.example/")
    _, url = start(tmp_path / "new" / "folder", *options)
    with client_of(url, "SG.mine") as client:
        assert client.get("/v3/scopes").status_code == 200
        assert client.get(f"/2010-04-01/Accounts/{sid}.json", auth=(sid, "t")).status_code == 200
        assert client.get(f"/2010-04-01/Accounts/{SID}.json", auth=(SID, "sandbox")).status_code == 401
        assert client.get("/sandbox/health").json()["url"] == "https://s.example"
        assert "https://s.example" in client.get("/").text
    with client_of(url) as client:
        assert client.post("/v3/mail/send", json=mail()).status_code == 401


def test_a_taken_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = run("--port", port, "--home", str(tmp_path))
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"sandbox cannot listen on 127.0.0.1 port {port}")
    assert ended.stderr.count("\n") == 1
    assert "--port" in ended.stderr


def test_a_home_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    home = tmp_path / "file"
    home.write_text("x")
    ended = run("--port", "0", "--home", str(home))
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.count("\n") == 1
    assert "--home" in ended.stderr


def test_a_file_that_is_no_database_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "sandbox.db").write_text("not a database, but long enough to be taken for one" * 100)
    ended = run("--port", "0", "--home", str(tmp_path))
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)


@pytest.mark.parametrize(
    "options",
    [("--port", "x"), ("--time-scale", "0"), ("--time-scale", "x"), ("--sendgrid-webhook-url", "mailto:a@b.c")],
)
def test_wrong_usage_is_2(options: tuple[str, str], tmp_path: Path) -> None:
    assert run("--home", str(tmp_path), *options).returncode == 2


def test_a_file_of_an_earlier_version_is_taken_up(start: Start, mail: Mail, tmp_path: Path) -> None:
    """The first version had no column for times and fates."""
    with closing(sqlite3.connect(tmp_path / "sandbox.db")) as db:
        db.executescript(FIRST_VERSION)
    _, url = start(tmp_path)
    with client_of(url) as client:
        assert client.post("/v3/mail/send", json=mail("bob@mail.example")).status_code == 202
        found = client.get("/sandbox/messages").json()["messages"]
        assert [one["to"] for one in found] == ["bob@mail.example", "ana@mail.example"]
        assert client.get("/sandbox/suppressions").json()["sendgrid"] == [
            {"address": "x@b.example", "reason": "Invalid"}
        ]


def test_it_imports_nothing_of_the_product() -> None:
    """It stands alone: a bug of the product must not hide in its stand-in."""
    rooms = {"channels", "cli", "console", "deployments", "domain", "files", "flows", "models", "settings", "tasks"}
    code = "import sys, sandbox.server; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(loaded.split()) & (rooms | {"prefect", "polars", "sqlmodel", "sqlalchemy"}) == set()
