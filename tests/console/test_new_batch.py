"""Create New Batch: what can be chosen, what becomes of a file, and that one upload is one batch."""

from __future__ import annotations

import dataclasses
import html
import io
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import httpx
import pytest

from deployments.uploads import sweep
from domain.rights import Role
from models import batches, processes, uploads
from settings import load
from tasks.surroundings import Surroundings, now
from tests import factories
from tests.console.conftest import on_both_databases
from tests.console.web import TLS, csrf, serving, signed_in
from tests.factories import NOW, race
from tests.servers import Answer, nowhere
from tests.servers import serving as playing

PREFECT = Answer(200, body=json.dumps({"id": "a-run", "state": {"type": "SCHEDULED"}}).encode())
LIST = "first_name,email,phone\nAnn,ann@mail.example,\nBob,bob@mail.example,+447400123456\n"
MEGABYTE = 1024 * 1024


@pytest.fixture
def around(around: Surroundings) -> Iterator[Surroundings]:
    """With Prefect's server there, a limit that a test can reach, and one live process."""
    with playing(PREFECT) as server:
        yield beside(around, server.url)


def beside(around: Surroundings, prefect: str) -> Surroundings:
    settings = load(
        home=around.settings.home, database_url=around.database.url, prefect_api_url=prefect, upload_megabytes=1
    )
    factories.deploy(around.database, factories.process())
    return dataclasses.replace(around, settings=settings)


@pytest.fixture
def address(around: Surroundings) -> Iterator[str]:
    with serving(around) as address:
        yield address


@pytest.fixture
def operator(around: Surroundings, address: str) -> httpx.Client:
    return signed_in(around, address, Role.OPERATOR)


def upload(browser: httpx.Client, content: str | bytes, *, name: str = "march.csv", **fields: str) -> httpx.Response:
    """Choose a file and press Next."""
    data = {"csrf": csrf(browser), "process": "small", **fields}
    return browser.post("/batches/new", data=data, files={"file": (name, io.BytesIO(_bytes(content)))})


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


def checked(browser: httpx.Client, answer: httpx.Response) -> str:
    """The check's page of an upload, once it is there."""
    assert answer.status_code == 303, answer.text
    return when(browser, answer.headers["location"], lambda page: "Checking the file" not in page.text).text


def when(browser: httpx.Client, path: str, is_so: Callable[[httpx.Response], bool]) -> httpx.Response:
    """Look at a page until it is as it shall become."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        page = browser.get(path)
        if is_so(page):
            return page
        threading.Event().wait(0.05)
    message = f"{path} did not become so"
    raise AssertionError(message)


def create(browser: httpx.Client, path: str, **fields: str) -> httpx.Response:
    return browser.post(path, data={"csrf": csrf(browser), **fields})


def made(browser: httpx.Client, path: str) -> int:
    """The batch that an upload becomes."""
    page = when(browser, path, lambda page: page.status_code == 303)
    return int(page.headers["location"].rsplit("/", 1)[1])


def how_many(around: Surroundings) -> int:
    with around.database.read() as session:
        return batches.how_many(session, statuses=["Pending Approval"])


# Choosing


def test_only_live_processes_can_be_chosen_and_the_page_says_which_are_missing(
    around: Surroundings, operator: httpx.Client
) -> None:
    with around.database.write() as session:
        processes.deploy(session, factories.process(key="claims", name="Claims"), draft=True, now=NOW)

    page = operator.get("/batches/new").text

    assert re.findall(r'<option value="([^"]+)"', page) == ["small"]
    assert "drafts and were not deployed to production" in page
    assert "Claims" in page


def test_without_any_process_the_page_says_how_to_deploy_one(around: Surroundings) -> None:
    with around.database.write() as session:
        for version in processes.newest_versions(session):
            session.delete(version)
    with serving(around) as address:
        page = signed_in(around, address, Role.OPERATOR).get("/batches/new").text

    assert "bulk-sender process deploy" in page
    assert "<select" not in page


@pytest.mark.parametrize(("kind", "start"), [("xlsx", b"PK"), ("csv", b"\xef\xbb\xbffirst_name,email,phone")])
def test_the_example_file_is_downloaded(operator: httpx.Client, kind: str, start: bytes) -> None:
    answer = operator.get(f"/batches/new/example?process=small&format={kind}")

    assert answer.content.startswith(start)
    assert f"small.{kind}" in answer.headers["content-disposition"]
    assert operator.get("/batches/new/example?process=other").status_code == 404


def test_who_may_not_create_gets_no_further(around: Surroundings, address: str) -> None:
    approver = signed_in(around, address, Role.APPROVER)

    assert approver.get("/batches/new").status_code == 403
    assert upload(approver, LIST).status_code == 403


# The check


@on_both_databases
def test_a_good_list_is_checked_named_and_created_once(around: Surroundings, operator: httpx.Client) -> None:
    answer = upload(operator, LIST)
    page = checked(operator, answer)
    path = answer.headers["location"]

    assert re.search(r'name="name"\s+value="march"', page)
    assert re.search(r"<dt>SMS segments</dt>\s*<dd>\s*<span class=\"figure\">1<", page)
    create(operator, path, name="Spring")
    batch_id = made(operator, path)

    with around.database.read() as session:
        batch = batches.by_id(session, batch_id)
        assert (batch.name, batch.sender, batch.file_name, batch.row_count) == (
            "Spring",
            "operator@acme.example",
            "march.csv",
            2,
        )
        assert path.endswith(batch.uid)


def test_a_bad_cell_is_shown_where_it_stands_and_all_bad_rows_can_be_had(operator: httpx.Client) -> None:
    answer = upload(operator, "first_name,email,phone\n<b>Ann</b>,ann@mail.example,\n,nonsense<script>,\n")
    page = checked(operator, answer)

    assert re.search(r'<th scope="row">\s*3', page)
    wrong = re.findall(
        r'<td class="wrong">\s*<span dir="auto" class="cell">([^<]*)</span>\s*<span class="why">([^<]*)', page
    )
    assert [cell for cell, _ in wrong] == ["", "nonsense&lt;script&gt;"]
    assert "fill it in" in wrong[0][1]
    rows = operator.get(answer.headers["location"] + "/bad-rows")
    assert rows.text.splitlines()[0].endswith("Problem")
    assert "Row 3:" in rows.text
    assert "march-problems.csv" in rows.headers["content-disposition"]


@pytest.mark.parametrize(
    ("content", "name", "code", "says"),
    [
        ("a,b\n1,2\n", "march.csv", "different_process", "example file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "picture.csv", "not_csv_or_excel", "picture.csv"),
        (b"", "march.csv", "empty", "Save the list again"),
        ("first_name,email,phone\n", "march.csv", "empty", "march.csv"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_its_place(
    operator: httpx.Client, content: str | bytes, name: str, code: str, says: str
) -> None:
    page = checked(operator, upload(operator, content, name=name))

    assert f'data-code="{code}"' in page
    assert says in page
    assert 'type="file"' in page, "another file can be uploaded at once"
    assert "Batch Name" not in page


def test_a_file_may_be_renamed_and_keeps_its_ending(operator: httpx.Client) -> None:
    page = checked(operator, upload(operator, LIST, name="x.csv", file_name="Spring ../../offer"))

    assert "Spring .._.._offer.csv" in page


# Too much, or not what a page of ours sends


def test_a_file_that_says_it_is_too_large_is_refused_before_it_comes(operator: httpx.Client) -> None:
    host, port = str(operator.base_url.host), operator.base_url.port
    cookie = "; ".join(f"{one.name}={one.value}" for one in operator.cookies.jar)
    head = (
        f"POST /batches/new HTTP/1.1\r\nHost: {host}:{port}\r\nCookie: {cookie}\r\nX-CSRF-Token: {csrf(operator)}\r\n"
        f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {int(1.5 * MEGABYTE)}\r\n\r\n"
    )
    with socket.create_connection((host, port or 80), timeout=30) as connection:
        connection.sendall(head.encode())
        # Not a byte of the body was sent.
        answer = connection.recv(65536).decode()

    assert answer.startswith("HTTP/1.1 413")


def test_a_body_that_grows_too_large_is_broken_off_and_nothing_is_kept(
    around: Surroundings, operator: httpx.Client
) -> None:
    token = csrf(operator)

    def endless() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="process"\r\n\r\nsmall\r\n'
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
        for _ in range(64):
            yield b"a" * 65536

    headers = {"X-CSRF-Token": token, "Content-Type": "multipart/form-data; boundary=x"}
    try:
        answer = operator.post("/batches/new", content=endless(), headers=headers)
    except httpx.TransportError:
        pass  # the server hung up in mid-body
    else:
        assert answer.status_code == 413
        assert "the most that can be uploaded" in answer.text or "too large" in answer.text

    kept = [path for path in around.settings.home.rglob("*") if path.is_file() and "db" not in path.name]
    assert not [path for path in kept if "incoming" in path.parts or "uploads" in path.parts]


def test_a_forged_upload_is_refused_before_its_file_is_read(around: Surroundings, operator: httpx.Client) -> None:
    answer = operator.post(
        "/batches/new", data={"csrf": "0" * 64, "process": "small"}, files={"file": ("march.csv", LIST.encode())}
    )

    assert answer.status_code == 403
    assert not list((around.settings.home / "files").rglob("uploads/*"))


@pytest.mark.parametrize(
    "body",
    [b"", b"--x", b"--x\r\n\r\n", b"--y\r\nContent-Disposition: form-data\r\n\r\n", b"\x00" * 100, b"--x--\r\n"],
)
def test_a_body_that_is_no_form_is_refused(operator: httpx.Client, body: bytes) -> None:
    headers = {"X-CSRF-Token": csrf(operator), "Content-Type": "multipart/form-data; boundary=x"}

    assert operator.post("/batches/new", content=body, headers=headers).status_code == 422


def test_nobody_sees_what_somebody_else_uploaded(around: Surroundings, address: str, operator: httpx.Client) -> None:
    path = upload(operator, LIST).headers["location"]
    other = signed_in(around, address, Role.OPERATOR, email="other@acme.example")

    assert other.get(path).status_code == 404
    assert other.get(path + "/bad-rows").status_code == 404
    assert create(other, path, name="mine").status_code == 404


# One batch


@on_both_databases
def test_the_same_file_again_is_the_same_upload_until_it_is_a_batch(operator: httpx.Client) -> None:
    first = upload(operator, LIST)
    checked(operator, first)
    again = upload(operator, LIST)
    create(operator, first.headers["location"], name="March")
    made(operator, first.headers["location"])
    later = upload(operator, LIST)
    page = checked(operator, later)

    assert again.headers["location"] == first.headers["location"]
    assert later.headers["location"] != first.headers["location"]
    assert "Create another batch of the same list" in page


@on_both_databases
def test_the_same_list_once_more_must_be_wanted(around: Surroundings, operator: httpx.Client) -> None:
    first = upload(operator, LIST).headers["location"]
    when(operator, first, lambda page: "Batch Name" in page.text)
    create(operator, first)
    made(operator, first)
    second = upload(operator, LIST).headers["location"]
    when(operator, second, lambda page: "Batch Name" in page.text)

    create(operator, second)
    refused = operator.get(second).text
    assert "Nothing was created" in refused
    assert how_many(around) == 1

    create(operator, second, again="yes")
    made(operator, second)
    assert how_many(around) == 2


@on_both_databases
def test_a_double_click_a_reload_and_the_back_button_make_one_batch(
    around: Surroundings, address: str, operator: httpx.Client
) -> None:
    path = upload(operator, LIST).headers["location"]
    when(operator, path, lambda page: "Batch Name" in page.text)
    token = csrf(operator)

    def click() -> int:
        with httpx.Client(base_url=address, cookies=operator.cookies, trust_env=False, verify=TLS, timeout=60) as tab:
            return tab.post(path, data={"csrf": token, "name": "March"}).status_code

    assert race(click, click, click) == [303, 303, 303]
    batch_id = made(operator, path)
    assert create(operator, path, name="March").headers["location"] == f"/batches/{batch_id}"
    assert how_many(around) == 1


@on_both_databases
def test_two_web_processes_make_one_batch(around: Surroundings, operator: httpx.Client) -> None:
    """Each has threads of its own; the database decides which of them works on an upload."""
    path = upload(operator, LIST).headers["location"]
    when(operator, path, lambda page: "Batch Name" in page.text)
    with serving(around) as elsewhere:
        other = signed_in(around, elsewhere, Role.OPERATOR)

        codes = race(lambda: create(operator, path).status_code, lambda: create(other, path).status_code)
        batch_id = made(other, path)

    assert codes == [303, 303]
    assert made(operator, path) == batch_id
    assert how_many(around) == 1


def test_where_prefect_is_away_the_page_says_so_and_it_can_be_tried_again(around: Surroundings) -> None:
    alone = dataclasses.replace(
        around,
        settings=load(home=around.settings.home, database_url=around.database.url, prefect_api_url=nowhere()),
    )
    with serving(alone) as address:
        operator = signed_in(alone, address, Role.OPERATOR)
        path = upload(operator, LIST).headers["location"]
        when(operator, path, lambda page: "Batch Name" in page.text)
        create(operator, path, name="Spring")
        page = when(operator, path, lambda page: "was not created" in page.text).text

    assert "does not answer" in page
    assert 'value="Spring"' in page
    with serving(around) as address:  # it is back
        operator = signed_in(around, address, Role.OPERATOR)
        create(operator, path, name="Spring")
        made(operator, path)


@on_both_databases
def test_an_upload_whose_web_process_died_is_checked_by_the_next(around: Surroundings) -> None:
    with serving(around) as address:
        operator = signed_in(around, address, Role.OPERATOR)
        path = upload(operator, LIST).headers["location"]
        when(operator, path, lambda page: "Batch Name" in page.text)
    uid = path.rsplit("/", 1)[1]
    with around.database.write() as session:
        uploads.hold(session, uid, by="dead", now=now(), until=now() - timedelta(seconds=1))
        upload_ = uploads.find(session, uid)
        assert upload_ is not None
        upload_.checked_at = None
        session.add(upload_)
    with serving(around) as address:
        operator = signed_in(around, address, Role.OPERATOR)

        when(operator, path, lambda page: "Batch Name" in page.text)


@on_both_databases
def test_uploads_that_became_nothing_are_forgotten(around: Surroundings, operator: httpx.Client) -> None:
    path = upload(operator, LIST).headers["location"]
    when(operator, path, lambda page: "Batch Name" in page.text)

    assert sweep(around, now() - timedelta(days=1)) == 0
    assert operator.get(path).status_code == 200
    assert sweep(around, now() + timedelta(seconds=1)) == 1

    assert operator.get(path).status_code == 404
    assert not [one for one in (around.settings.home / "files").rglob("*") if one.is_file()]


def test_a_waiting_page_goes_on_without_a_script(around: Surroundings, operator: httpx.Client) -> None:
    answer = upload(operator, LIST)
    with around.database.write() as session:
        uid = answer.headers["location"].rsplit("/", 1)[1]
        upload_ = uploads.find(session, uid)
        assert upload_ is not None
        upload_.checked_at = None
        uploads.hold(session, uid, by="busy", now=now() + timedelta(hours=1), until=now() + timedelta(hours=2))
        session.add(upload_)

    page = html.unescape(operator.get(answer.headers["location"]).text)

    assert "Checking the file" in page
    assert '<meta http-equiv="refresh"' in page
