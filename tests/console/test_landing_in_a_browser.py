"""The page behind a link in a real browser: by keyboard, on a phone, with and without script."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlmodel import select

from files.storage import Storage
from models.database import Database
from models.tables import Submission
from settings import load
from tasks.surroundings import Surroundings
from tests.browsers import browser, hard_to_read
from tests.console.people_with_links import VALUES, marks, path, sent
from tests.console.web import serving

__all__ = ["browser"]

pytestmark = pytest.mark.browser

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
PHONE = {"width": 320, "height": 640}


@pytest.fixture
def around(sqlite_url: str, tmp_path: Path) -> Surroundings:
    """A browser sees no difference between databases, so one is enough."""
    settings = load(home=tmp_path / "home", database_url=sqlite_url)
    return Surroundings(settings, Database(sqlite_url), Storage(settings.storage))


@pytest.fixture
def address(around: Surroundings) -> Iterator[str]:
    with serving(around) as address:
        yield address


def visitor(browser: Browser, *, script: bool = True, dark: bool = False) -> Page:
    """Somebody with a phone; headless Chromium names itself as scanners do."""
    context = browser.new_context(
        viewport={"width": PHONE["width"], "height": PHONE["height"]},
        user_agent=FIREFOX,
        java_script_enabled=script,
        color_scheme="dark" if dark else "light",
    )
    context.set_default_timeout(15_000)
    return context.new_page()


def test_a_form_is_corrected_and_sent_by_keyboard_alone(around: Surroundings, browser: Browser, address: str) -> None:
    place = sent(around)
    page = visitor(browser)
    page.goto(address + path(around, place))
    page.wait_for_load_state("networkidle")
    assert marks(around, place) == "", "to load it is no human act"
    assert hard_to_read(page) == []

    with page.expect_response("**/opened"):
        page.keyboard.press("Tab")
    expect(page.get_by_label("Given name")).to_be_focused()
    with page.expect_response("**/started"):
        page.keyboard.press("Control+A")
        page.keyboard.press("Delete")
    assert marks(around, place) == "os"
    page.keyboard.press("Enter")

    expect(page.get_by_role("alert")).to_be_focused()
    assert hard_to_read(page) == []
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Given name")).to_be_focused()
    page.keyboard.type("Ada")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="Thank you, we have it")).to_be_visible()
    assert hard_to_read(page) == []
    with around.database.read() as session:
        assert session.exec(select(Submission.answers)).all() == [{**VALUES, "first_name": "Ada"}]


def test_without_script_a_form_can_be_sent_just_the_same(around: Surroundings, browser: Browser, address: str) -> None:
    place = sent(around, second_factor="born")
    page = visitor(browser, script=False)
    page.goto(address + path(around, place))
    page.get_by_label("Born").fill("1980-02-01")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_label("Email")).to_have_value("zoe@mail.example")
    page.get_by_role("radio", name="No", exact=True).check()
    page.get_by_role("button", name="Send").click()

    expect(page.get_by_role("heading", name="Thank you, we have it")).to_be_visible()
    with around.database.read() as session:
        assert session.exec(select(Submission.answers)).all() == [{**VALUES, "paperless": "false"}]


@pytest.mark.parametrize("dark", [False, True])
def test_every_page_behind_a_link_is_without_faults(
    around: Surroundings, browser: Browser, address: str, *, dark: bool
) -> None:
    place = sent(around, second_factor="born", right_to_left=True, lang="he")
    page = visitor(browser, dark=dark)

    page.goto(address + "/l/none")
    found = [hard_to_read(page)]
    page.goto(address + path(around, place))
    found.append(hard_to_read(page))
    page.get_by_label("Born").fill("1980-02-02")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("That is not what we have")).to_be_visible()
    found.append(hard_to_read(page))
    page.get_by_label("Born").fill("1980-02-01")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_label("Given name")).to_be_visible()
    found.append(hard_to_read(page))

    assert found == [[]] * 4


def test_a_platform_is_reached_through_the_second_factor(around: Surroundings, browser: Browser, address: str) -> None:
    """A browser asks the policy of the page with the question about every address that its answer leads to."""
    elsewhere = address.replace("127.0.0.1", "localhost") + "/health"
    page = visitor(browser)
    page.goto(address + path(around, sent(around, second_factor="born", start_url=elsewhere)))
    page.get_by_label("Born").fill("1980-02-01")
    page.get_by_role("button", name="Continue").click()

    page.wait_for_url(elsewhere + "?code=*")
    assert page.evaluate("document.referrer") == ""
