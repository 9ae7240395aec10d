"""A batch's page: what was uploaded, the check, the decision, the send, the books, the history, the files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from console import charts
from deployments.standing import Paces, Standings
from domain.rights import Role
from domain.states import Phase, RequestState, Status
from files.storage import Storage
from models import batches, history
from models.database import Database
from settings import load
from tasks.surroundings import Surroundings
from tests import factories
from tests.console.batches_with_people import (
    HOSTILE,
    OPERATOR,
    RIGHT_TO_LEFT,
    answered,
    created,
    laid_out,
    left,
    rows_of,
    sent,
    set_columns,
    with_prefect,
    written,
)
from tests.console.web import client, csrf, email_of, serving, signed_in
from tests.factories import batch, batch_in
from tests.servers import Server


@pytest.fixture
def around(sqlite_url: str, tmp_path: Path) -> Surroundings:
    """The queries behind the pages are tested on both databases, in tests/models."""
    settings = load(home=tmp_path / "home", database_url=sqlite_url)
    return Surroundings(settings, Database(sqlite_url), Storage(settings.storage))


@pytest.fixture
def prefect(around: Surroundings) -> Iterator[tuple[Surroundings, Server]]:
    with with_prefect(around) as both:
        yield both


@pytest.fixture
def ready(prefect: tuple[Surroundings, Server]) -> Surroundings:
    """Where runs can be started."""
    return prefect[0]


@pytest.fixture
def address(ready: Surroundings) -> Iterator[str]:
    with serving(ready) as address:
        yield address


def post(browser: httpx.Client, path: str, page: str, **fields: str) -> httpx.Response:
    """Post a form of a page, and see what the next page says."""
    answer = browser.post(path, data={"csrf": csrf(browser, page), **fields})
    assert answer.status_code == 303, answer.text
    return browser.get(answer.headers["location"])


def acts_of(around: Surroundings, batch_id: int) -> list[tuple[str, str, str]]:
    with around.database.read() as session:
        return [(one.act, one.by, one.comment) for one in batches.decisions(session, batch_id)]


def test_every_cell_of_an_upload_is_text_wherever_it_shows(ready: Surroundings, address: str, tmp_path: Path) -> None:
    rows = [(HOSTILE, "ana@mail.example", ""), (HOSTILE, HOSTILE, HOSTILE), (RIGHT_TO_LEFT, "b@mail.example", "")]
    batch_id = created(ready, tmp_path, rows, name=HOSTILE)
    browser = signed_in(ready, address, Role.ADMIN)

    here = f"/batches/{batch_id}"
    paths = [
        "",
        "/recipients",
        "/recipients?q=<script>",
        "/recipients/2",
        "/recipients/3",
        "/recipients/2/form",
        "/history",
    ]
    for path in [*(here + path for path in paths), "/people?q=" + "<script>@mail.example"]:
        page = browser.get(path)
        assert page.status_code == 200, path
        assert "<script>document" not in page.text, path
        assert "<img src=x" not in page.text, path

    page = browser.get(f"{here}/recipients/2/email")
    assert "<script>" not in page.text
    policy = page.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "script-src" not in policy
    assert "allow-scripts" not in policy


def test_the_page_says_what_was_uploaded_and_what_the_check_found(
    ready: Surroundings, address: str, tmp_path: Path
) -> None:
    batch_id = created(ready, tmp_path, [*rows_of(2), ("Ana", "no address", "")])
    browser = signed_in(ready, address, Role.APPROVER)

    page = browser.get(f"/batches/{batch_id}").text

    known = batch(ready.database, batch_id)
    for part in ("march.csv", known.file_sha256, OPERATOR, "separated by commas", "version 1"):
        assert part in page
    assert f'href="/batches/{batch_id}/recipients/4"' in page
    assert "Download the 1 row to correct" in page


def test_who_may_not_approve_reads_why(ready: Surroundings, address: str, tmp_path: Path) -> None:
    batch_id = created(ready, tmp_path, rows_of(1))
    here = f"/batches/{batch_id}"

    approver = signed_in(ready, address, Role.APPROVER).get(here).text
    assert f'action="{here}/approve"' in approver
    assert 'name="revision" value="0"' in approver
    assert "Code for the Prefect UI" in approver

    operator = signed_in(ready, address, Role.OPERATOR, email=OPERATOR).get(here).text
    assert f'action="{here}/approve"' not in operator
    assert "may not approve" in operator

    creator = signed_in(ready, address, Role.ADMIN, email="boss@acme.example")
    set_columns(ready, "batch", f"id = {batch_id}", sender="boss@acme.example")
    page = creator.get(here).text
    assert f'action="{here}/approve"' not in page
    assert re.search(r'class="notice">[^<]*boss@acme.example', page)


def test_corrections_are_uploaded_on_the_page_and_void_what_was_shown(
    ready: Surroundings, address: str, tmp_path: Path
) -> None:
    batch_id = created(ready, tmp_path, [*rows_of(1), ("Ana", "no address", "")])
    here = f"/batches/{batch_id}"
    approver = signed_in(ready, address, Role.APPROVER)
    shown = approver.get(here).text
    operator = signed_in(ready, address, Role.OPERATOR, email=OPERATOR)
    bad = operator.get(f"{here}/problems")
    assert bad.status_code == 200
    corrected = bad.text.replace("no address", "ana@mail.example")

    answer = operator.post(
        f"{here}/correct", data={"csrf": csrf(operator, here)}, files={"file": ("../march.csv", corrected.encode())}
    )

    assert answer.status_code == 303
    assert "1 row is corrected" in operator.get(here).text
    assert batch(ready.database, batch_id).revision == 1
    assert batch(ready.database, batch_id).phase == Phase.CHECKING
    field = re.search(r'name="revision" value="(\d+)"', shown)
    assert field is not None
    said = post(approver, f"{here}/approve", here, revision=field[1], next=here).text
    assert "was corrected after you were shown it" in said
    assert batch(ready.database, batch_id).status == Status.PENDING_APPROVAL


def test_a_correction_without_the_forms_token_is_not_taken(ready: Surroundings, address: str, tmp_path: Path) -> None:
    batch_id = created(ready, tmp_path, [*rows_of(1), ("Ana", "no address", "")])
    operator = signed_in(ready, address, Role.OPERATOR, email=OPERATOR)
    path = written(tmp_path / "more.csv", rows_of(3))

    answer = operator.post(f"/batches/{batch_id}/correct", files={"file": path.read_bytes()})

    assert answer.status_code == 403
    assert batch(ready.database, batch_id).revision == 0


def test_a_file_that_corrects_nothing_is_refused_on_the_page(ready: Surroundings, address: str, tmp_path: Path) -> None:
    batch_id = created(ready, tmp_path, [*rows_of(1), ("Ana", "no address", "")])
    operator = signed_in(ready, address, Role.OPERATOR, email=OPERATOR)
    here = f"/batches/{batch_id}"

    answer = operator.post(
        f"{here}/correct", data={"csrf": csrf(operator, here)}, files={"file": ("x.csv", b"colour\nred\n")}
    )

    assert answer.status_code == 303
    assert 'class="notice bad"' in operator.get(here).text
    assert batch(ready.database, batch_id).revision == 0


def test_a_send_is_paused_resumed_and_rejected_half_way(ready: Surroundings, address: str, tmp_path: Path) -> None:
    batch_id = created(ready, tmp_path, rows_of(1001))
    laid_out(ready, batch_id)
    sent(ready, batch_id, 0, RequestState.ACCEPTED)
    approver = signed_in(ready, address, Role.APPROVER)
    here = f"/batches/{batch_id}"

    said = post(approver, f"{here}/pause", here).text
    assert "Paused. 1,000 of 1,001 had been sent." in said
    assert f'action="{here}/resume"' in said
    said = post(approver, f"{here}/resume", here).text
    assert "It goes on" in said
    said = post(approver, f"{here}/reject", here, revision="0", next=here, comment="wrong list").text

    assert "1,000/1,001 Sent" in said
    assert re.search(r'<dt>Stopped</dt>\s*<dd class="figure">\s*1\s*</dd>', said)
    assert [act for act, _, _ in acts_of(ready, batch_id)][-3:] == ["pause", "resume", "reject"]
    assert acts_of(ready, batch_id)[-1] == ("reject", email_of(Role.APPROVER), "wrong list")


def test_what_is_on_the_way_when_a_batch_is_rejected_is_said_until_it_is_answered(
    ready: Surroundings, address: str, tmp_path: Path
) -> None:
    batch_id = created(ready, tmp_path, rows_of(1001))
    laid_out(ready, batch_id)
    sent(ready, batch_id, 0, RequestState.ACCEPTED)
    left(ready, batch_id, 1)
    approver = signed_in(ready, address, Role.APPROVER)
    here = f"/batches/{batch_id}"

    said = post(approver, f"{here}/reject", here, revision="0", next=here).text
    assert "is rejected; 1,000 of 1,001 had been sent, and 1 message was on its way. Nothing more leaves." in said
    assert "1 message is on the way" in said
    assert f'hx-get="{here}/progress' in said

    answered(ready, batch_id, 1, RequestState.ACCEPTED)
    now = approver.get(here).text
    assert "1,001/1,001 Sent" in now
    assert "on the way" not in now
    assert f'hx-get="{here}/progress' not in now


def test_progress_asks_again_only_while_the_batch_moves(ready: Surroundings, address: str) -> None:
    sending = batch_in(ready.database, Phase.SENDING)
    finished = batch_in(ready.database, Phase.FINISHED)
    browser = signed_in(ready, address, Role.ANALYST)

    assert 'hx-trigger="every 2s"' in browser.get(f"/batches/{sending}").text
    assert 'hx-trigger="every 2s"' not in browser.get(f"/batches/{finished}").text
    part = browser.get(f"/batches/{sending}/progress?was=sending.approved.0")
    assert part.status_code == 200
    assert "<html" not in part.text
    moved_on = browser.get(f"/batches/{sending}/progress?was=waiting.approved.0")
    assert (moved_on.status_code, moved_on.headers["hx-refresh"]) == (204, "true")


def test_what_is_unresolved_is_settled_request_by_request(ready: Surroundings, address: str, tmp_path: Path) -> None:
    batch_id = created(ready, tmp_path, rows_of(2001))
    laid_out(ready, batch_id)
    sent(ready, batch_id, 0, RequestState.ACCEPTED)
    for number in (1, 2):
        sent(ready, batch_id, number, RequestState.UNRESOLVED, detail="The connection broke.")
    set_columns(ready, "batch", f"id = {batch_id}", phase="finished")
    here = f"/batches/{batch_id}"
    approver = signed_in(ready, address, Role.APPROVER)

    page = approver.get(f"{here}/unresolved").text
    assert "The connection broke." in page
    assert "and 988 more" in page
    assert "Nothing was chosen" in post(approver, f"{here}/settle", here, **{"as": "sent"}).text
    said = post(
        approver, f"{here}/settle", here, **{"as": "sent", "request": "1", "comment": "seen at the provider"}
    ).text
    assert "1 request is counted as sent" in said
    assert batch(ready.database, batch_id).sent == 2000
    said = post(approver, f"{here}/settle", here, **{"as": "resend", "every": "true"}).text
    assert "1 request is sent once more" in said
    assert batch(ready.database, batch_id).phase == Phase.SENDING

    analyst = signed_in(ready, address, Role.ANALYST)
    assert 'name="as"' not in analyst.get(f"{here}/unresolved").text
    refused = analyst.post(f"{here}/settle", data={"csrf": csrf(analyst), "as": "sent", "every": "true"})
    assert refused.status_code == 403


def test_the_books_are_a_table_and_a_file(ready: Surroundings, address: str, tmp_path: Path) -> None:
    batch_id = created(ready, tmp_path, [*rows_of(3), ("Ana", "no address", "")])
    laid_out(ready, batch_id)
    sent(ready, batch_id, 0, RequestState.ACCEPTED)
    browser = signed_in(ready, address, Role.ANALYST)

    page = browser.get(f"/batches/{batch_id}/reconciliation").text
    assert "Every row of the file is accounted for" in page
    assert ">4 of 4<" in page
    books = browser.get(f"/batches/{batch_id}/reconciliation.json").json()
    assert books["balances"]
    assert books["channels"]["email"]["sent"] == 3
    assert books["channels"]["email"]["rejected"] == 1


@pytest.mark.parametrize("what", ["original", "result", "problems"])
def test_files_are_downloaded_by_who_may_and_it_is_written_down(
    ready: Surroundings, address: str, tmp_path: Path, what: str
) -> None:
    batch_id = created(ready, tmp_path, [*rows_of(1), ("Ana", "no address", "")])
    browser = signed_in(ready, address, Role.ANALYST)

    first, second = (browser.get(f"/batches/{batch_id}/{what}") for _ in range(2))

    assert first.status_code == 200
    assert "attachment" in first.headers["content-disposition"]
    assert first.text == second.text
    assert "Ana" in first.text
    noted = [(by, act) for act, by, _ in acts_of(ready, batch_id) if act == history.DOWNLOADED]
    assert noted == [(email_of(Role.ANALYST), history.DOWNLOADED)]


def test_the_history_names_who_did_what_and_where(ready: Surroundings, address: str, tmp_path: Path) -> None:
    batch_id = created(ready, tmp_path, rows_of(1))
    browser = signed_in(ready, address, Role.APPROVER)
    post(browser, f"/batches/{batch_id}/reject", f"/batches/{batch_id}", revision="0", comment=HOSTILE)
    browser.get(f"/batches/{batch_id}/recipients/2")

    page = browser.get(f"/batches/{batch_id}/history").text

    assert "Rejected" in page
    assert "web screen" in page
    assert "&lt;script&gt;" in page
    assert "Looked at a recipient" in page
    assert page.index("Rejected") < page.index("Looked at a recipient")


@pytest.mark.parametrize(
    "path", ["", "/history", "/recipients", "/reconciliation", "/unresolved", "/progress", "/standing"]
)
def test_nobody_sees_anything_who_is_not_signed_in(ready: Surroundings, address: str, path: str) -> None:
    batch_id = batch_in(ready.database, Phase.WAITING)

    with client(address) as nobody:
        answer = nobody.get(f"/batches/{batch_id}{path}")

    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in")


def test_a_batch_that_is_not_there_is_said_to_be_so(ready: Surroundings, address: str) -> None:
    browser = signed_in(ready, address, Role.ANALYST)

    assert browser.get("/batches/999").status_code == 404
    assert browser.get("/batches/999/recipients").status_code == 404
    assert browser.get("/batches/99999999999").status_code == 404


def test_the_pace_is_that_of_the_last_minute() -> None:
    at = [0.0]
    paces = Paces(clock=lambda: at[0])

    assert paces.of(1, done=0) is None
    at[0] = 10.0
    assert paces.of(1, done=500) == 50
    at[0] = 100.0
    assert paces.of(1, done=500) is None
    at[0] = 110.0
    assert paces.of(1, done=600) == 10


def test_a_large_batch_is_counted_beside_the_page(around: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    batch_id = factories.planned(around.database, factories.people(emails=3))
    standings = Standings(around)
    monkeypatch.setattr("deployments.standing.SMALL", 2)
    waiting: list[object] = []
    monkeypatch.setattr(standings, "_beside", waiting.append)

    assert standings.of(batch_id, recipients=3) is None
    assert standings.of(batch_id, recipients=3) is None
    assert len(waiting) == 1
    waiting[0]()  # type: ignore[operator]  # an act

    found = standings.of(batch_id, recipients=3)
    assert found is not None
    assert found.books.channels["email"].pending == 3


def test_a_bar_shows_what_is_there_however_little() -> None:
    parts = charts.stacked([("Sent", 999_999, "good"), ("Not sent", 1, "bad"), ("In doubt", 0, "warn")])

    assert [part.label for part in parts] == ["Sent", "Not sent"]
    assert parts[1].length > 3
    assert round(sum(part.length for part in parts)) == charts.WIDTH
    assert [part.percent for part in parts] == ["over 99.9 %", "under 0.1 %"]
