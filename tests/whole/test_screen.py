"""The whole life of batches as two people live it: in a browser, on an installation that begins empty; and four eyes on every road."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import openpyxl
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browsers import browser
from tests.whole.installation import APPROVER, OPERATOR, PROCESS, Installation, until
from tests.whole.people import crowd, people, write_csv
from tests.whole.test_prefect_ui import field

__all__ = ["browser"]

pytestmark = [pytest.mark.whole, pytest.mark.browser]

PASSWORD = "quite a long password"
ADMIN = "admin@acme.test"
PATIENCE_MS = 60_000
SLOW = {"twilio": [{"kind": "latency", "rate": 1, "seconds": 2}]}


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
