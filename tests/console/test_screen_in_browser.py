"""The list and Create New Batch in a real browser: by keyboard alone, while things move, and for everybody to read."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from deployments import accounts
from domain.rights import Role
from domain.states import Phase
from files.storage import Storage
from models import batches
from models.database import Database
from settings import load
from tasks.surroundings import Surroundings
from tests import factories
from tests.browsers import browser, hard_to_read, tab_to
from tests.console.web import cookie, email_of, serving, user
from tests.factories import NOW, batch_in
from tests.servers import Answer
from tests.servers import serving as playing

__all__ = ["browser"]

pytestmark = pytest.mark.browser

PREFECT = Answer(200, body=json.dumps({"id": "a-run", "state": {"type": "RUNNING"}, "status": "ACCEPT"}).encode())
LIST = "first_name,email,phone\nAnn,ann@mail.example,\nBob,bob@mail.example,+447400123456\n,nonsense,\n"


@pytest.fixture
def around(sqlite_url: str, tmp_path: Path) -> Iterator[Surroundings]:
    """A browser sees no difference between databases, so one is enough."""
    database = Database(sqlite_url)
    with playing(PREFECT) as prefect:
        settings = load(home=tmp_path / "home", database_url=sqlite_url, prefect_api_url=prefect.url)
        yield Surroundings(settings, database, Storage(settings.storage))
    database.close()


@pytest.fixture
def address(around: Surroundings) -> Iterator[str]:
    with serving(around) as address:
        yield address


def opened(
    browser: Browser,
    around: Surroundings,
    address: str,
    role: Role,
    *,
    width: int = 1280,
    scheme: Literal["light", "dark"] = "light",
    script: bool = True,
) -> BrowserContext:
    """A window in which somebody of that role is signed in."""
    window = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=script, base_url=address
    )
    name, value = cookie(around, role)
    window.add_cookies([{"name": name, "value": value, "url": address}])
    return window


def faults(page: Page) -> list[str]:
    """What a page complains of in the console, such as anything that the content policy stopped."""
    found: list[str] = []
    page.on("console", lambda message: found.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda fault: found.append(str(fault)))
    return found


def test_a_batch_is_created_by_keyboard_alone(
    browser: Browser, around: Surroundings, address: str, tmp_path: Path
) -> None:
    factories.deploy(around.database, factories.process())
    factories.deploy(around.database)
    source = tmp_path / "march.csv"
    source.write_text(LIST)
    with opened(browser, around, address, Role.OPERATOR) as window:
        page = window.new_page()
        # Choosers are handed to the test from here on: asked for only with the key, that may come after it.
        page.on("filechooser", lambda _: None)
        complaints = faults(page)
        page.goto("/")
        tab_to(page, "Skip to content")
        page.keyboard.press("Enter")
        tab_to(page, "+ Create New Batch")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Create New Batch")).to_be_visible()
        tab_to(page, "Select A Process")
        page.keyboard.type("Small")
        # What was chosen is put into the page after its address has changed, and takes the focus from what it replaces.
        expect(page.get_by_role("link", name="CSV", exact=True)).to_have_attribute("href", re.compile("process=small"))
        tab_to(page, "Upload csv/excel File")
        with page.expect_file_chooser() as chooser:
            page.keyboard.press("Enter")
        chooser.value.set_files(source)
        expect(page.get_by_label("File name")).to_have_value("march.csv")
        tab_to(page, "Next")
        page.keyboard.press("Enter")
        expect(page.get_by_label("Batch Name")).to_have_value("march", timeout=30_000)
        expect(page.locator("td.wrong")).to_have_count(2)
        tab_to(page, "Batch Name")
        page.keyboard.type("Spring")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(r"/$"), timeout=30_000)

        expect(page.get_by_role("row", name=re.compile("Spring.*Checking the file"))).to_be_visible()
        expect(page.get_by_role("status").filter(has_text="Spring was created")).to_be_visible()
        assert complaints == []


def test_a_batch_is_created_without_any_script(
    browser: Browser, around: Surroundings, address: str, tmp_path: Path
) -> None:
    factories.deploy(around.database, factories.process())
    source = tmp_path / "march.csv"
    source.write_text(LIST)
    with opened(browser, around, address, Role.OPERATOR, script=False) as window:
        page = window.new_page()
        page.goto("/batches/new")
        page.get_by_label("Upload csv/excel File").set_input_files(source)
        page.get_by_role("button", name="Next").click()
        page.get_by_role("button", name="Create").click(timeout=30_000)  # the page looks again by itself
        page.wait_for_url(re.compile(r"/batches/\d+$"), timeout=30_000)

    with around.database.read() as session:
        assert batches.how_many(session, statuses=["Pending Approval"]) == 1


def test_a_file_dropped_on_the_page_is_the_one_that_is_uploaded(
    browser: Browser, around: Surroundings, address: str
) -> None:
    factories.deploy(around.database, factories.process())
    with opened(browser, around, address, Role.OPERATOR) as window:
        page = window.new_page()
        page.goto("/batches/new")
        page.evaluate(
            """list => {
                const carried = new DataTransfer();
                carried.items.add(new File([list], "dropped.csv"));
                document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: carried, bubbles: true, cancelable: true}));
            }""",
            LIST,
        )
        expect(page.get_by_label("File name")).to_have_value("dropped.csv")
        page.get_by_role("button", name="Next").click()

        expect(page.get_by_label("Batch Name")).to_have_value("dropped", timeout=30_000)


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(
    browser: Browser, around: Surroundings, tmp_path: Path
) -> None:
    factories.deploy(around.database, factories.process())
    settings = load(home=around.settings.home, database_url=around.database.url, upload_megabytes=1)
    source = tmp_path / "large.csv"
    source.write_bytes(b"a" * 3_000_000)
    small = dataclasses.replace(around, settings=settings)
    with serving(small) as address, opened(browser, small, address, Role.OPERATOR) as window:
        page = window.new_page()
        page.goto("/batches/new")
        page.get_by_label("Upload csv/excel File").set_input_files(source)
        page.get_by_role("button", name="Next").click()

        expect(page.get_by_role("alert")).to_contain_text("at most 1 MB can be uploaded")


def test_the_bar_moves_and_the_acts_change_by_themselves(browser: Browser, around: Surroundings, address: str) -> None:
    batch_id = batch_in(around.database, Phase.SENDING, row_count=4, valid=4)
    with opened(browser, around, address, Role.APPROVER) as window:
        page = window.new_page()
        complaints = faults(page)
        page.goto("/")
        expect(page.get_by_text("0/4")).to_be_visible()
        page.get_by_label("More for March").click()
        with around.database.write() as session:
            batches.note(session, batch_id, sent=3)
        expect(page.get_by_text("3/4")).to_be_visible(timeout=15_000)
        expect(page.get_by_role("link", name="Reject")).to_be_visible()  # the open menu stayed open
        with around.database.write() as session:
            batches.note(session, batch_id, sent=4, phase=Phase.FINISHED.value)

        expect(page.get_by_text("Done")).to_be_visible(timeout=15_000)
        page.get_by_label("More for March").click()
        expect(page.get_by_role("link", name="Archive")).to_be_visible()
        expect(page.get_by_role("link", name="Reject")).to_have_count(0)
        assert complaints == []


def test_ticking_a_box_filters_at_once_and_stands_in_the_address(
    browser: Browser, around: Surroundings, address: str
) -> None:
    batch_in(around.database, Phase.WAITING, name="waits")
    batch_in(around.database, Phase.FINISHED, name="hidden", archived_at=NOW)
    with opened(browser, around, address, Role.ANALYST) as window:
        page = window.new_page()
        page.goto("/")
        expect(page.get_by_role("link", name="waits")).to_be_visible()
        page.get_by_label("Archived").check()
        expect(page.get_by_role("link", name="hidden")).to_be_visible()
        shown = page.url
        page.get_by_label("Search by batch name").fill("wai")
        expect(page.get_by_role("link", name="hidden")).to_have_count(0)
        assert "search=wai" in page.url

        page.go_back()
        expect(page.get_by_role("link", name="hidden")).to_be_visible()
        assert page.url == shown
        page.goto(shown)
        expect(page.get_by_role("link", name="hidden")).to_be_visible()


def test_times_are_in_the_readers_own_zone(browser: Browser, around: Surroundings, address: str) -> None:
    batch_in(around.database, Phase.WAITING, created_at=NOW)  # noon in UTC
    with browser.new_context(base_url=address, timezone_id="Asia/Tokyo", locale="en-GB") as window:
        name, value = cookie(around, Role.ANALYST)
        window.add_cookies([{"name": name, "value": value, "url": address}])
        page = window.new_page()
        page.goto("/")

        expect(page.locator("td time")).to_have_text("1 Mar 2026, 21:00")
        expect(page.locator("td time")).to_have_attribute("title", re.compile(r"GMT\+9|JST"))


def seeded(around: Surroundings) -> None:
    """A batch in every phase, one hidden, and a process that is a draft."""
    version = factories.deploy(around.database, factories.process())
    for phase in Phase:
        batch_in(around.database, phase, name=f"is {phase}", process_version_id=version, sent=phase is Phase.FINISHED)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (320, "dark")])
def test_everybody_can_read_the_pages(
    browser: Browser, around: Surroundings, address: str, tmp_path: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    """No violation that axe-core finds, and nothing wider than the window, on a desk and on a phone."""
    seeded(around)
    source = tmp_path / "march.csv"
    source.write_text(LIST)
    checks = {}
    with opened(browser, around, address, Role.ADMIN, width=width, scheme=scheme) as window:
        page = window.new_page()
        for path in ("/", "/?search=nothing", "/batches/new", "/batches/2/reject", "/nothing"):
            page.goto(path)
            checks[path] = hard_to_read(page)
        page.goto("/")
        page.get_by_label("More for is waiting").click()
        checks["menu"] = hard_to_read(page)
        page.goto("/batches/new")
        page.get_by_label("Upload csv/excel File").set_input_files(source)
        page.get_by_role("button", name="Next").click()
        expect(page.get_by_label("Batch Name")).to_be_visible(timeout=30_000)
        checks["check"] = hard_to_read(page)

    assert checks == {where: [] for where in checks}


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (320, "dark")])
def test_everybody_can_read_the_pages_about_people(
    browser: Browser, around: Surroundings, address: str, width: int, scheme: Literal["light", "dark"]
) -> None:
    """From before there is anybody to users, keys and codes."""
    checks: dict[str, list[str]] = {}
    with browser.new_context(base_url=address, color_scheme=scheme, viewport={"width": width, "height": 900}) as window:
        page = window.new_page()
        page.goto("/")
        checks["begin"] = hard_to_read(page)
        page.goto(urlsplit(accounts.set_up_address(around) or "").path)
        checks["set up"] = hard_to_read(page)
    user(around, Role.ANALYST)
    accounts.add_key(around, "nightly", email=email_of(Role.ANALYST))
    with opened(browser, around, address, Role.ADMIN, width=width, scheme=scheme) as window:
        page = window.new_page()
        for path in ("/users", "/account"):
            page.goto(path)
            checks[path] = hard_to_read(page)
        page.get_by_role("button", name="Code for the Prefect UI").click()
        expect(page.get_by_role("status").first).to_be_attached()
        checks["code"] = hard_to_read(page)
        window.clear_cookies()
        page.goto("/sign-in")
        page.get_by_label("Email").fill(email_of(Role.ADMIN))
        page.get_by_label("Password").fill("not the password")
        page.get_by_role("button", name="Sign in").click()
        checks["sign in"] = hard_to_read(page)

    assert checks == {where: [] for where in checks}
