"""A real browser, for the tests that need one: `from tests.browsers import browser` makes it a fixture of a module.

It lives as long as the module's tests: while it does, no other event loop can run in the same thread.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Error, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium" if Path("/usr/bin/chromium").exists() else shutil.which("chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None and not os.environ.get("CI"):
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


def hard_to_read(page: Page) -> list[str]:
    """What axe-core finds wrong with a page, and whether it is wider than its window."""
    found = [
        f"{one['id']}: {one['help']} ({one['nodes'][0]['html'][:200]})"
        for one in Axe().run(page).response["violations"]
    ]
    too_wide = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    return found + (["wider than the window"] if too_wide else [])


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the element of that name has the focus; begin at the top again where the page is replaced meanwhile."""
    for _ in range(60):
        page.keyboard.press("Tab")
        try:
            focused = page.evaluate(
                "(() => { const one = document.activeElement; return one.getAttribute('aria-label')"
                " ?? one.labels?.[0]?.innerText ?? one.innerText ?? '' })()"
            )
        except Error as problem:
            if "navigation" not in problem.message:
                raise
            page.wait_for_load_state()
            continue
        if " ".join(focused.split()).startswith(name):
            return
    message = f"{name} cannot be reached by Tab"
    raise AssertionError(message)


def press(page: Page, name: str) -> None:
    """Go to the element of that name by Tab, and use it by Enter."""
    tab_to(page, name)
    page.keyboard.press("Enter")
