"""A batch's pages in a real browser: for everybody to read, on a phone, by keyboard, moving by themselves; nothing of a file runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from domain.rights import Role
from domain.states import Phase, RequestState, Status
from files.storage import Storage
from models.database import Database
from settings import load
from tasks.surroundings import Surroundings
from tests import factories
from tests.browsers import browser, hard_to_read
from tests.console.batches_with_people import (
    HOSTILE,
    RIGHT_TO_LEFT,
    created,
    laid_out,
    rows_of,
    sent,
    set_columns,
    with_prefect,
)
from tests.console.web import cookie, serving

__all__ = ["browser"]

pytestmark = pytest.mark.browser

PICTURES = os.environ.get("PICTURES")
"""A folder for pictures of every page, for people who want to look at them."""


@dataclass(frozen=True)
class Place:
    """The screen, and batches in it."""

    around: Surroundings
    address: str
    waiting: int
    sending: int
    finished: int


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A browser sees no difference between databases, so one is enough; and one set of batches for all tests."""
    folder = tmp_path_factory.mktemp("screen")
    database = Database(f"sqlite:///{folder / 'bulk-sender.db'}")
    database.migrate()
    settings = load(home=folder / "home", database_url=database.url)
    with with_prefect(Surroundings(settings, database, Storage(settings.storage))) as (around, _):
        people = [(RIGHT_TO_LEFT, "a@mail.example", "07400123456"), (HOSTILE, "b@mail.example", "")]
        definition = factories.process()
        waiting = created(around, folder, [*people, ("Ana", "no address", "")], name="Waiting", definition=definition)
        sending, finished = (
            created(around, folder, rows_of(number), name=name, definition=definition)
            for name, number in (("Sending", 2001), ("Finished", 1001))
        )
        for batch_id in (sending, finished):
            laid_out(around, batch_id)
            sent(around, batch_id, 0, RequestState.ACCEPTED)
        sent(around, finished, 1, RequestState.UNRESOLVED, detail="The connection broke.")
        set_columns(around, "batch", f"id = {finished}", phase="finished")
        set_columns(around, "message", f"batch_id = {finished} AND row < 900", delivery="delivered")
        set_columns(around, "message", f"batch_id = {finished} AND row BETWEEN 900 AND 920", delivery="bounced")
        with serving(around) as address:
            yield Place(around, address, waiting, sending, finished)
    database.close()


def window(
    browser: Browser,
    place: Place,
    role: Role = Role.ADMIN,
    *,
    width: int = 1280,
    scheme: Literal["light", "dark"] = "light",
    script: bool = True,
) -> BrowserContext:
    """A window in which somebody of that role is signed in."""
    found = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        java_script_enabled=script,
        base_url=place.address,
    )
    found.set_default_timeout(15_000)
    name, value = cookie(place.around, role)
    found.add_cookies([{"name": name, "value": value, "url": place.address}])
    return found


def complaints(page: Page) -> list[str]:
    """What a page complains of in the console, such as anything that the content policy stopped."""
    found: list[str] = []
    page.on("console", lambda message: found.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda fault: found.append(str(fault)))
    return found


def paths(place: Place) -> list[str]:
    return [
        f"/batches/{place.waiting}",
        f"/batches/{place.sending}",
        f"/batches/{place.finished}",
        f"/batches/{place.waiting}/recipients",
        f"/batches/{place.finished}/recipients?status=unresolved",
        f"/batches/{place.waiting}/recipients/2",
        f"/batches/{place.waiting}/recipients/4",
        f"/batches/{place.waiting}/recipients/2/form",
        f"/batches/{place.finished}/reconciliation",
        f"/batches/{place.finished}/unresolved",
        f"/batches/{place.waiting}/history",
        "/people?q=a@mail.example",
    ]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_everybody_can_read_every_page(
    browser: Browser, place: Place, width: int, scheme: Literal["light", "dark"]
) -> None:
    found = {}
    with window(browser, place, width=width, scheme=scheme) as opened:
        page = opened.new_page()
        said = complaints(page)
        for number, path in enumerate(paths(place)):
            page.goto(path)
            found[path] = hard_to_read(page)
            if PICTURES:
                page.screenshot(path=f"{PICTURES}/{number:02}-{width}-{scheme}.png", full_page=True)

    assert {path: faults for path, faults in found.items() if faults} == {}
    # axe asks for what the frame does not let anybody do.
    assert [one for one in said if "sandbox" not in one.lower()] == []


def test_nothing_of_a_file_runs(browser: Browser, place: Place) -> None:
    with window(browser, place) as opened:
        page = opened.new_page()
        for path in (f"/batches/{place.waiting}/recipients/3", f"/batches/{place.waiting}/recipients/3/form"):
            page.goto(path)
            page.wait_for_load_state("networkidle")
            assert "owned" not in page.title()
        page.goto(f"/batches/{place.waiting}/recipients/3")
        frame = page.frame_locator("iframe.sheet")
        expect(frame.locator("a")).to_contain_text("<script>")
        assert all(one.evaluate("document.title") != "owned" for one in page.frames if one == page.main_frame)


def test_messages_are_looked_up_in_the_page_by_keyboard(browser: Browser, place: Place) -> None:
    with window(browser, place) as opened:
        page = opened.new_page()
        page.goto(f"/batches/{place.waiting}")
        page.get_by_label("Row number, or part of an address").focus()
        page.keyboard.type("a@mail")
        page.keyboard.press("Enter")
        expect(page.locator("#messages")).to_contain_text(f"Dear {RIGHT_TO_LEFT}")
        assert page.url.endswith(f"/batches/{place.waiting}")


def test_the_send_moves_by_itself_and_the_page_changes_with_its_phase(browser: Browser, place: Place) -> None:
    with window(browser, place) as opened:
        page = opened.new_page()
        page.goto(f"/batches/{place.sending}")
        expect(page.locator("#progress-title")).to_have_text("1,000/2,001 Sent")
        sent(place.around, place.sending, 1, RequestState.ACCEPTED)
        expect(page.locator("#progress-title")).to_have_text("2,000/2,001 Sent")
        page.get_by_role("button", name="Pause").click()
        expect(page.locator("#notices")).to_contain_text("2,000 of 2,001 had been sent")
        page.get_by_role("button", name="Resume").click()
        expect(page.get_by_role("button", name="Pause")).to_be_visible()
        set_columns(place.around, "batch", f"id = {place.sending}", phase=Phase.FINISHED.value)
        expect(page.get_by_role("button", name="Pause")).to_have_count(0)


def test_a_batch_is_rejected_without_script(browser: Browser, place: Place, tmp_path: Path) -> None:
    batch_id = created(place.around, tmp_path, rows_of(1), name="Wrong", definition=factories.process())
    with window(browser, place, Role.APPROVER, script=False) as opened:
        page = opened.new_page()
        page.goto(f"/batches/{batch_id}")
        page.get_by_label("Comment").fill("not this one")
        page.get_by_role("button", name="Reject").click()
        expect(page.locator(".badge").first).to_have_text(Status.ADMIN_REJECTION.value)
        expect(page.get_by_text("not this one")).to_be_visible()
