"""The batches list: what it shows, in which order, page by page, and what may be done from it."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.rights import Role
from domain.states import Phase, Status
from models import batches
from settings import load
from tasks.surroundings import Surroundings
from tests import factories
from tests.console.conftest import on_both_databases
from tests.console.web import csrf, email_of, serving, signed_in
from tests.factories import NOW, batch, batch_in
from tests.servers import Answer, nowhere
from tests.servers import serving as playing

PREFECT = Answer(200, body=json.dumps({"id": "a-run", "state": {"type": "RUNNING"}, "status": "ACCEPT"}).encode())
"""The deployment is there, and the run never suspends: waking it takes the whole minute."""


@pytest.fixture
def address(around: Surroundings) -> Iterator[str]:
    with serving(around) as address:
        yield address


def names(page: httpx.Response) -> list[str]:
    """The batches on a page, from top to bottom."""
    assert page.status_code == 200
    return re.findall(r'<th scope="row"\s+class="name">\s*<a [^>]*>([^<]*)</a>', page.text)


def several(around: Surroundings, *wanted: dict[str, Any]) -> list[int]:
    """Batches of one process, each created an hour after the one before."""
    version = factories.deploy(around.database)
    return [
        factories.add_batch(
            around.database,
            **{"process_version_id": version, "created_at": NOW + timedelta(hours=place), **columns},
        )
        for place, columns in enumerate(wanted)
    ]


@on_both_databases
def test_archived_batches_are_shown_only_when_that_is_ticked(around: Surroundings, address: str) -> None:
    several(
        around,
        {"name": "waits"},
        {"name": "sent", "status": Status.APPROVED.value, "phase": Phase.FINISHED.value},
        {"name": "refused", "status": Status.ADMIN_REJECTION.value, "phase": Phase.STOPPED.value},
        {"name": "hidden", "status": Status.APPROVED.value, "phase": Phase.FINISHED.value, "archived_at": NOW},
    )
    browser = signed_in(around, address, Role.ANALYST)

    assert names(browser.get("/")) == ["refused", "sent", "waits"]
    assert names(browser.get("/?status=&status=Archived")) == ["hidden"]
    assert names(browser.get("/?status=&status=Approved&status=Archived")) == ["hidden", "sent"]
    assert names(browser.get("/?status=")) == []


@on_both_databases
def test_the_boxes_and_the_search_show_what_the_address_says(around: Surroundings, address: str) -> None:
    several(around, {"name": "March 100%"}, {"name": "Ärzte"}, {"name": "April"})
    browser = signed_in(around, address, Role.ANALYST)

    page = browser.get("/?status=&status=Pending+Approval&search=%C3%A4RZTE")

    assert names(page) == ["Ärzte"]
    assert re.search(r'value="äRZTE"', page.text)
    ticked = re.findall(r'name="status"\s+value="([^"]+)"\s+checked', page.text)
    assert ticked == ["Pending Approval"]
    assert names(browser.get("/?search=100%25")) == ["March 100%"]
    assert names(browser.get("/?search=_")) == []


@pytest.mark.parametrize(
    ("column", "first"),
    [("name", "a"), ("process", "b"), ("sender", "c"), ("created", "a"), ("sent", "b"), ("status", "c")],
)
def test_every_column_sorts_both_ways(around: Surroundings, address: str, column: str, first: str) -> None:
    other = factories.deploy(around.database, factories.process(name="Aardvark"))
    several(
        around,
        {"name": "a", "sender": "z@acme.example", "sent": 5, "row_count": 9},
        {"name": "b", "sender": "y@acme.example", "sent": 0, "row_count": 9, "process_version_id": other},
        {"name": "c", "sender": "x@acme.example", "sent": 7, "row_count": 9, "status": Status.ADMIN_REJECTION.value},
    )
    browser = signed_in(around, address, Role.ANALYST)

    upwards = names(browser.get(f"/?sort={column}&order=asc"))
    downwards = names(browser.get(f"/?sort={column}&order=desc"))

    assert upwards[0] == first
    assert downwards[-1] == first
    assert 'aria-sort="ascending"' in browser.get(f"/?sort={column}&order=asc").text


@on_both_databases
def test_pages_hold_every_batch_once_in_order(around: Surroundings, address: str) -> None:
    several(around, *({"name": f"batch {number:03}"} for number in range(120)))
    browser = signed_in(around, address, Role.ANALYST)

    seen, path = [], "/?sort=name&order=asc"
    while path:
        page = browser.get(path)
        seen += names(page)
        following = re.search(r'href="([^"]+)"\s+rel="next"', page.text)
        path = following[1].replace("&amp;", "&") if following else ""

    assert seen == [f"batch {number:03}" for number in range(120)]
    assert names(browser.get("/?sort=name&order=asc&page=99")) == seen[100:]


def test_an_address_with_nonsense_shows_the_usual_list(around: Surroundings, address: str) -> None:
    several(around, {"name": "one"})
    browser = signed_in(around, address, Role.ANALYST)

    assert names(browser.get("/?sort=password&order=sideways")) == ["one"]
    assert browser.get("/?page=0").status_code == 404


def test_an_empty_list_says_what_to_do(around: Surroundings, address: str) -> None:
    operator = signed_in(around, address, Role.OPERATOR)

    nothing = operator.get("/").text
    several(around, {"name": "one"})
    filtered = operator.get("/?search=two").text

    assert "There are no batches yet" in nothing
    assert 'href="/batches/new"' in nothing
    assert "No batch is shown" in filtered
    assert "“two”" in filtered


def test_a_name_is_text_whatever_it_holds(around: Surroundings, address: str) -> None:
    several(around, {"name": '<img src=x onerror="alert(1)">'})

    page = signed_in(around, address, Role.ANALYST).get("/").text

    assert "<img" not in page
    assert "&lt;img src=x" in page


def test_who_created_a_batch_sees_why_they_cannot_approve_it(around: Surroundings, address: str) -> None:
    batch_id = batch_in(around.database, Phase.WAITING, sender=email_of(Role.ADMIN))
    approve = f'action="/batches/{batch_id}/approve"'

    creator = signed_in(around, address, Role.ADMIN).get("/").text
    other = signed_in(around, address, Role.APPROVER).get("/").text
    operator = signed_in(around, address, Role.OPERATOR).get("/").text

    assert approve not in creator
    assert "somebody else must approve it" in creator
    assert approve in other
    assert approve not in operator
    assert f"/batches/{batch_id}/reject" not in operator


@pytest.mark.parametrize(
    ("phase", "acts"),
    [
        (Phase.CHECKING, set()),
        (Phase.WAITING, {"reject", "archive"}),
        (Phase.SENDING, {"reject"}),
        (Phase.PAUSED, {"reject", "archive"}),
        (Phase.SETTLING, set()),
        (Phase.FINISHED, {"archive"}),
        (Phase.STOPPED, {"archive"}),
        (Phase.FAILED, {"archive"}),
    ],
)
def test_only_what_fits_the_phase_is_offered(around: Surroundings, address: str, phase: Phase, acts: set[str]) -> None:
    batch_id = batch_in(around.database, phase)

    page = signed_in(around, address, Role.APPROVER).get("/").text

    assert set(re.findall(rf'href="/batches/{batch_id}/(reject|archive)\?', page)) == acts


def test_what_moves_is_asked_for_again_and_what_rests_is_not(around: Surroundings, address: str) -> None:
    moving = batch_in(around.database, Phase.SENDING, sent=1, row_count=4, valid=4)
    browser = signed_in(around, address, Role.ANALYST)
    polled = re.search(r'hx-get="(/batches/moving[^"]+)"', browser.get("/").text)
    assert polled is not None
    part = polled[1].replace("&amp;", "&")

    first = browser.get(part).text
    with around.database.write() as session:
        batches.note(session, moving, sent=4, phase=Phase.FINISHED.value)
    last = browser.get(part).text

    assert "1/4" in first
    assert "hx-get" in first
    assert f'id="acts-{moving}"' not in first, "a menu that is open stays open"
    assert "4/4" in last
    assert f'id="acts-{moving}"' in last
    assert "hx-get" not in last


def test_before_approval_the_file_itself_is_downloaded(around: Surroundings, address: str, tmp_path: Path) -> None:
    source = tmp_path / "upload.csv"
    source.write_bytes(b"first_name,email\nAnn,ann@mail.example\n")
    key = around.storage.put("batches/x/upload.csv", source)
    batch_id = batch_in(around.database, Phase.WAITING, upload_key=key, file_name='a"b\r\nc é.csv')

    answer = signed_in(around, address, Role.ANALYST).get(f"/batches/{batch_id}/download")

    assert answer.content == source.read_bytes()
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.fixture
def prefect(around: Surroundings) -> Iterator[Surroundings]:
    """The same surroundings, with a Prefect server that takes its time."""
    with playing(PREFECT) as server:
        settings = load(home=around.settings.home, database_url=around.database.url, prefect_api_url=server.url)
        yield dataclasses.replace(around, settings=settings)


def test_approving_answers_before_the_run_is_awake(prefect: Surroundings) -> None:
    batch_id = batch_in(prefect.database, Phase.WAITING)
    with serving(prefect) as address:
        browser = signed_in(prefect, address, Role.APPROVER)
        token = csrf(browser)

        # The client gives up after five seconds, and waking this run takes a minute.
        answer = browser.post(
            f"/batches/{batch_id}/approve", data={"csrf": token, "revision": "0", "next": "/?search=March"}
        )
        said = browser.get(answer.headers["location"])

    assert (answer.status_code, answer.headers["location"]) == (303, "/?search=March")
    assert batch(prefect.database, batch_id).status == Status.APPROVED
    assert "is approved" in said.text


def test_a_batch_that_was_corrected_meanwhile_is_not_approved(prefect: Surroundings) -> None:
    """Whoever approves must have seen what they approve."""
    batch_id = batch_in(prefect.database, Phase.WAITING, revision=1)
    with serving(prefect) as address:
        browser = signed_in(prefect, address, Role.APPROVER)

        browser.post(f"/batches/{batch_id}/approve", data={"csrf": csrf(browser), "revision": "0"})
        said = browser.get("/")

    assert batch(prefect.database, batch_id).status == Status.PENDING_APPROVAL
    assert "was corrected after you were shown it" in said.text


def test_where_prefect_is_away_nothing_is_approved_and_the_page_says_so(around: Surroundings) -> None:
    settings = load(home=around.settings.home, database_url=around.database.url, prefect_api_url=nowhere())
    alone = dataclasses.replace(around, settings=settings)
    batch_id = batch_in(alone.database, Phase.WAITING)
    with serving(alone) as address:
        browser = signed_in(alone, address, Role.APPROVER)

        browser.post(f"/batches/{batch_id}/approve", data={"csrf": csrf(browser)})
        said = browser.get("/").text

    assert batch(alone.database, batch_id).status == Status.PENDING_APPROVAL
    assert "does not answer" in said


@pytest.mark.parametrize(("act", "status"), [("reject", Status.ADMIN_REJECTION), ("archive", Status.ADMIN_REJECTION)])
def test_rejecting_and_archiving_ask_first_and_keep_the_comment(
    prefect: Surroundings, act: str, status: Status
) -> None:
    batch_id = batch_in(prefect.database, Phase.WAITING)
    with serving(prefect) as address:
        browser = signed_in(prefect, address, Role.APPROVER)

        asked = browser.get(f"/batches/{batch_id}/{act}?next=/%3Fsort%3Dname")
        before = batch(prefect.database, batch_id).status
        answer = browser.post(
            f"/batches/{batch_id}/{act}",
            data={"csrf": csrf(browser), "revision": "0", "comment": " wrong list ", "next": "/?sort=name"},
        )

    assert f"{act.capitalize()} March?" in asked.text
    assert before == Status.PENDING_APPROVAL, "looking at the question changes nothing"
    assert answer.headers["location"] == "/?sort=name"
    assert batch(prefect.database, batch_id).status == status
    with prefect.database.read() as session:
        kept = {one.act: (one.by, one.comment, one.via) for one in batches.decisions(session, batch_id)}
    assert kept[act] == (email_of(Role.APPROVER), "wrong list", "web screen")


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_nobody_is_sent_to_another_site_after_an_act(around: Surroundings, address: str, elsewhere: str) -> None:
    batch_id = batch_in(around.database, Phase.FINISHED)
    browser = signed_in(around, address, Role.APPROVER)

    answer = browser.post(f"/batches/{batch_id}/archive", data={"csrf": csrf(browser), "next": elsewhere})

    assert answer.headers["location"] == "/"


@pytest.mark.parametrize(
    ("role", "act"),
    [(Role.OPERATOR, "approve"), (Role.OPERATOR, "reject"), (Role.ANALYST, "approve"), (Role.ANALYST, "archive")],
)
def test_who_has_not_the_right_changes_nothing(around: Surroundings, address: str, role: Role, act: str) -> None:
    batch_id = batch_in(around.database, Phase.WAITING)
    browser = signed_in(around, address, role)

    answer = browser.post(f"/batches/{batch_id}/{act}", data={"csrf": csrf(browser)})

    assert answer.status_code == 403
    assert "It needs" in answer.text
    assert batch(around.database, batch_id).status == Status.PENDING_APPROVAL
    assert batch(around.database, batch_id).archived_at is None
