"""The whole life of batches as two people live it: in a browser, on an installation that begins empty; and four eyes on every road."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browsers import browser, press, tab_to
from tests.whole.installation import APPROVER, OPERATOR, PROCESS, Installation
from tests.whole.people import crowd, people, read_csv, write_csv
from tests.whole.test_prefect_ui import field

__all__ = ["browser"]

pytestmark = [pytest.mark.whole, pytest.mark.browser, pytest.mark.timeout(600)]

PASSWORD = "quite a long password"
ADMIN = "admin@acme.test"
PATIENCE_MS = 120_000
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation on which nobody ever was."""
    made = Installation(tmp_path_factory.mktemp("screen") / "home")
    try:
        made.start()
        yield made
        made.stop()
    finally:
        made.end()


def window(browser: Browser, installation: Installation) -> Page:
    """A browser of somebody's own."""
    page = browser.new_context(base_url=installation.web).new_page()
    page.set_default_timeout(PATIENCE_MS)
    return page


def enter(page: Page, email: str) -> None:
    page.goto("/sign-in")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Batches", exact=True)).to_be_visible()


def create(page: Page, file: Path, *, name: str) -> None:
    """Create New Batch, as far as its page."""
    page.get_by_role("link", name="Create New Batch").first.click()
    page.get_by_label("Upload csv/excel File").set_input_files(file)
    page.get_by_role("button", name="Next").click()
    page.get_by_label("Batch Name").fill(name)
    page.get_by_role("button", name="Create", exact=True).click()
    page.get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_text("Waiting for a decision")).to_be_visible()


def number(page: Page) -> int:
    """The batch whose page is open."""
    found = re.search(r"/batches/(\d+)", page.url)
    assert found is not None
    return int(found[1])


@pytest.fixture(scope="module")
def staffed(empty: Installation, browser: Browser) -> Installation:
    """The first user made at the address that `up` says, and the others by them; one live process."""
    empty.run("process", "deploy", PROCESS)
    address = re.search(r"http\S+/set-up/\w+", empty.said)
    assert address is not None
    page = window(browser, empty)
    page.goto(address[0])
    page.get_by_label("Email").fill(ADMIN)
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_label("The same again").fill(PASSWORD)
    page.get_by_role("button", name="Make the user").click()
    for email, role in ((OPERATOR, "operator"), (APPROVER, "approver")):
        page.goto("/users")
        page.get_by_label("Email", exact=True).fill(email)
        page.get_by_label(role, exact=True).check()
        page.get_by_label("New password", exact=True).fill(PASSWORD)
        page.get_by_label("The same again").fill(PASSWORD)
        page.get_by_role("button", name="Make the user").click()
        expect(page.get_by_role("status").filter(has_text=f"{email} may sign in now")).to_be_visible()
    page.context.close()
    return empty


def test_two_people_take_a_batch_from_its_file_to_the_archive(
    staffed: Installation, browser: Browser, tmp_path: Path
) -> None:
    persons = people("email", "phone", "both", "nameless", "email", tag="spring", block=60)
    operator, approver = window(browser, staffed), window(browser, staffed)
    enter(operator, OPERATOR)
    create(operator, write_csv(tmp_path / "march.csv", persons), name="Spring letters")
    expect(operator.get_by_role("button", name=re.compile("^Approve"))).to_have_count(0)

    # One row has no name: corrected in the file that the page gives.
    with operator.expect_download() as loaded:
        operator.get_by_role("link", name="Download the 1 row to correct").click()
    loaded.value.save_as(tmp_path / "bad.csv")
    text = (tmp_path / "bad.csv").read_text(encoding="utf-8-sig").splitlines()
    (tmp_path / "corrected.csv").write_text("\n".join([text[0], "Ada" + text[1]]), encoding="utf-8")
    operator.get_by_label("Corrected rows").set_input_files(tmp_path / "corrected.csv")
    operator.get_by_role("button", name="Upload corrections").click()
    expect(operator.get_by_text("No problem was found.")).to_be_visible()

    enter(approver, APPROVER)
    approver.get_by_role("link", name="Spring letters", exact=True).click()
    approver.get_by_label("Comment").fill("as agreed")
    approver.get_by_role("button", name="Approve 5 recipients").click()
    expect(approver.get_by_role("heading", name="5/5 Sent")).to_be_visible()
    expect(operator.get_by_role("heading", name="5/5 Sent")).to_be_visible()  # without touching it
    batch_id = number(approver)
    staffed.wait(batch_id)

    approver.goto(f"/batches/{batch_id}")
    expect(approver.get_by_text(f"Approved by {APPROVER}")).to_be_visible()
    with approver.expect_download() as loaded:
        approver.get_by_role("link", name="Download the result file").click()
    loaded.value.save_as(tmp_path / "result.csv")
    assert [row["Sending Status"] for row in read_csv(tmp_path / "result.csv")] == ["Sent"] * 5
    assert len(staffed.arrived(persons)) == 7

    approver.get_by_role("link", name="Archive").click()
    approver.get_by_role("button", name="Archive").click()
    approver.goto("/")
    expect(approver.get_by_role("link", name="Spring letters", exact=True)).to_have_count(0)
    approver.get_by_label("Archived").check()
    expect(approver.get_by_role("link", name="Spring letters", exact=True)).to_be_visible()


def test_a_send_is_paused_resumed_and_rejected_half_way_by_keyboard_alone(
    staffed: Installation, browser: Browser, tmp_path: Path
) -> None:
    persons = crowd(600, tag="halves", block=61)
    operator, approver = window(browser, staffed), window(browser, staffed)
    enter(operator, OPERATOR)
    create(operator, write_csv(tmp_path / "halves.csv", persons), name="Halves")
    batch_id = number(operator)
    staffed.set_faults(twilio=[{"kind": "slow", "latency_ms": 3000}])

    enter(approver, APPROVER)
    tab_to(approver, "Skip to content")
    press(approver, "Halves")
    expect(approver.get_by_role("heading", name="Halves")).to_be_visible()
    press(approver, "Approve")
    expect(approver.get_by_role("button", name="Pause")).to_be_visible()
    press(approver, "Pause")
    expect(approver.get_by_text("Paused by a person.")).to_be_visible()
    press(approver, "Resume")
    expect(approver.get_by_role("button", name="Pause")).to_be_visible()
    press(approver, "Reject")
    expect(approver.get_by_label("Comment")).to_be_visible()
    tab_to(approver, "Comment")
    approver.keyboard.type("wrong list")
    press(approver, "Reject")
    expect(approver.get_by_text("Admin Rejection").first).to_be_visible()

    staffed.await_end(staffed.show(batch_id)["flow_run_id"])  # the last answers have come
    staffed.set_faults()
    view = staffed.show(batch_id)
    arrived = staffed.arrived(persons)
    assert view["phase"] == "stopped"
    assert 0 < view["counts"]["pending"] < view["counts"]["valid"]
    assert {len(messages) for messages in arrived.values()} == {1}
    assert view["counts"]["sent"] == sum(
        bool({person.email, person.phone_e164} & arrived.keys()) for person in persons if person.channels
    )


def test_nobody_approves_their_own_batch_on_any_road(staffed: Installation, browser: Browser, tmp_path: Path) -> None:
    """The admin has every right, and created it."""
    admin, approver = window(browser, staffed), window(browser, staffed)
    enter(admin, ADMIN)
    create(admin, write_csv(tmp_path / "own.csv", people("email", tag="own", block=62)), name="Own")
    batch_id = number(admin)
    csrf = admin.locator("input[name=csrf]").first.input_value()
    key = staffed.ask("key", "add", "nightly", "--user", ADMIN)["key"]

    # The screen: no button, and the post behind it is refused.
    expect(admin.get_by_role("button", name=re.compile("^Approve"))).to_have_count(0)
    posted = admin.request.post(f"{staffed.web}/batches/{batch_id}/approve", form={"csrf": csrf, "revision": "0"})
    # The API.
    called = staffed.http.post(
        f"{staffed.web}/api/v1/batches/{batch_id}/approve",
        json={"revision": 0},
        headers={"Authorization": f"Bearer {key}"},
    )
    # The command line.
    typed = staffed.run("batch", "approve", batch_id, "--by", ADMIN, code=1)
    # The Prefect UI: without a code, with one of their own, and with the approver's.
    run = f"{staffed.prefect}/runs/flow-run/{staffed.show(batch_id)['flow_run_id']}"
    answer_form(admin, run, code="")
    answer_form(admin, run, code=code_of(admin, batch_id), refusal="A code is needed")
    view = staffed.show(batch_id)

    assert ("created" in posted.text(), called.status_code, "created" in called.text) == (True, 409, True)
    assert "created" in typed.stderr
    assert (view["status"], view["counts"]["sent"]) == ("Pending Approval", 0)

    enter(approver, APPROVER)
    answer_form(admin, run, code=code_of(approver, batch_id), refusal="created")
    assert staffed.wait(batch_id)["counts"]["sent"] == 1
    approver.goto(f"/batches/{batch_id}")
    expect(approver.get_by_text(f"Approved by {APPROVER}")).to_be_visible()


def code_of(page: Page, batch_id: int) -> str:
    """A code from the batch's page, or made without its button."""
    page.goto(f"/batches/{batch_id}")
    csrf = page.locator("input[name=csrf]").first.input_value()
    made = page.request.post(f"{page.url}/code", form={"csrf": csrf})
    found = re.search(r'class="figure">([^<]+)<', made.text())
    assert found is not None, made.text()
    return found[1]


def answer_form(page: Page, run: str, *, code: str, refusal: str = "") -> None:
    """Approve on the form of the Prefect UI, once it is there and says why the answer before was refused."""
    page.goto(run)
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    form = page.get_by_role("dialog")
    expect(form.get_by_text(refusal or "What people will read").first).to_be_attached()
    field(form, "Decision").get_by_role("button").press("ArrowDown")
    page.get_by_role("option", name="Approve", exact=True).click()
    field(form, "Your code").get_by_role("textbox").fill(code)
    form.get_by_role("button", name="Submit").click()
    expect(form).to_be_hidden()
