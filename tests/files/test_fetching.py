"""A file that somebody names by its address: what can be read, what may not be, and how that is said."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import BulkSenderError, FileProblem, NotAllowed, NotFound
from files import fetching
from files.fetching import clean_name, fetch
from tests.servers import Answer, Asked, nowhere, serving

LIST = b"first_name\nAnn\n"


def get(address: str, folder: Path, *, limit_bytes: int = 1000, limit_seconds: float = 10.0) -> tuple[bytes, str]:
    home, scratch = folder / "home", folder / "scratch"
    scratch.mkdir(exist_ok=True)
    path, name = fetch(address, scratch, limit_bytes=limit_bytes, limit_seconds=limit_seconds, never_in=home)
    return path.read_bytes(), name


def test_a_path_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "März list.csv").write_bytes(LIST)

    assert get(f" {tmp_path}/März list.csv ", tmp_path) == (LIST, "März list.csv")


def test_a_web_address_and_what_it_leads_to(tmp_path: Path) -> None:
    def answer(asked: Asked) -> Answer:
        if asked.path == "/old":
            return Answer(302, {"Location": "/lists/my%20list.csv?sig=1"})
        return Answer(200, body=LIST)

    with serving(answer) as server:
        assert get(f"{server.url}/lists/my%20list.csv?token=x", tmp_path) == (LIST, "my list.csv")
        assert get(f"{server.url}/old", tmp_path)[0] == LIST


def test_another_store_that_fsspec_knows(tmp_path: Path) -> None:
    fsspec.filesystem("memory").pipe_file("/fetching/list.csv", LIST)

    assert get("memory://fetching/list.csv", tmp_path) == (LIST, "list.csv")


@pytest.mark.parametrize("name", ["secret.key", "prefect/prefect.db"])
def test_the_data_folder_is_never_read(tmp_path: Path, name: str) -> None:
    """Its files would come out in the words of a refusal."""
    secret = tmp_path / "home" / name
    secret.parent.mkdir(parents=True)
    secret.write_text("secret")
    (tmp_path / "list.csv").symlink_to(secret)

    for path in (str(secret), f"{tmp_path}/scratch/../home/{name}", f"{tmp_path}/list.csv"):
        with pytest.raises(NotAllowed, match="data folder"):
            get(path, tmp_path)


@pytest.mark.parametrize(
    "address",
    [
        "list.csv",
        "../list.csv",
        "file:///etc/hostname",
        "local:///etc/hostname",
        "zip://list.csv::http://127.0.0.1/a.zip",
        "simplecache::http://127.0.0.1/list.csv",
        "/proc/self/environ",
        "/dev/zero",
        "/nothing/here.csv",
        "/etc/hostname/x",
        "/tmp",  # noqa: S108  a folder that is there
        "/a\0b",
        "",
        "http://",
        "http://[::1",
        "nonsense://x/y.csv",
        "memory://fetching/none.csv",
        "memory://",
    ],
)
def test_whatever_else_is_refused_in_a_sentence(tmp_path: Path, address: str) -> None:
    with pytest.raises(BulkSenderError, match=r"\.$"):
        get(address, tmp_path)


def test_a_file_over_the_limit_is_not_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(b"x" * 1001)
    with pytest.raises(FileProblem, match="larger than"):
        get(f"{tmp_path}/list.csv", tmp_path)
    for headers in ({}, {"Content-Encoding": "identity"}):
        with serving(Answer(200, headers, b"x" * 1001)) as server, pytest.raises(FileProblem, match="larger than"):
            get(f"{server.url}/list.csv", tmp_path)


def test_a_file_that_is_small_on_its_way_and_large_when_unpacked(tmp_path: Path) -> None:
    import gzip  # noqa: PLC0415  only here

    bomb = gzip.compress(b"x" * 100_000)
    assert len(bomb) < 1000
    with (
        serving(Answer(200, {"Content-Encoding": "gzip"}, bomb)) as server,
        pytest.raises(FileProblem, match="larger than"),
    ):
        get(f"{server.url}/list.csv", tmp_path)


def test_one_that_takes_too_long(tmp_path: Path) -> None:
    with serving(Answer(200, body=LIST)) as server, pytest.raises(FileProblem, match="did not arrive within"):
        get(f"{server.url}/list.csv", tmp_path, limit_seconds=-1.0)


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_an_answer_that_is_no_file(tmp_path: Path, status: int) -> None:
    with serving(Answer(status)) as server, pytest.raises(NotFound, match=f"answered {status}"):
        get(f"{server.url}/list.csv", tmp_path)


def test_a_server_that_is_not_there_or_leads_in_circles(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="cannot be read"):
        get(f"{nowhere()}/list.csv", tmp_path)
    with serving(Answer(302, {"Location": "/again"})) as server, pytest.raises(NotFound, match="in circles"):
        get(f"{server.url}/list.csv", tmp_path)


@pytest.mark.parametrize("leads_to", ["file:///etc/hostname", "ftp://127.0.0.1/list.csv"])
def test_the_web_leads_nowhere_else(tmp_path: Path, leads_to: str) -> None:
    with serving(Answer(302, {"Location": leads_to})) as server, pytest.raises(BulkSenderError):
        get(f"{server.url}/list.csv", tmp_path)


@pytest.mark.parametrize("peer", ["169.254.169.254", "fe80::1%eth0", "::ffff:169.254.169.254"])
def test_what_only_this_machine_can_ask_is_not_read(peer: str) -> None:
    """A cloud's metadata holds keys; what counts is who answers, whatever name it was asked by."""
    import httpx  # noqa: PLC0415  only here

    class Stream:
        def get_extra_info(self, _name: str) -> tuple[str, int]:
            return peer, 80

    response = httpx.Response(
        200, request=httpx.Request("GET", "http://metadata.example/"), extensions={"network_stream": Stream()}
    )
    with pytest.raises(NotAllowed, match="may not be read"):
        fetching._refuse_peer(response)  # noqa: SLF001  no such address can be asked from here


@given(st.text() | st.binary(max_size=300).map(lambda name: name.decode(errors="surrogateescape")))
def test_a_clean_name_is_one_harmless_name(name: str) -> None:
    cleaned = clean_name(name)

    assert cleaned == clean_name(cleaned)
    assert cleaned
    assert len(cleaned.encode()) <= 200
    assert not set(cleaned) & set("/\\\0\n\r\u202e")
    assert cleaned not in {".", ".."}
