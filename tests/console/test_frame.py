"""What holds for every page: static files that browsers keep, notices that are shown once, errors, numbers and times."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

import console
from console.app import make_app
from console.pages import count, first_rows, number, size, static, time
from domain.rights import Role
from domain.states import Phase
from files.storage import Storage
from models import batches
from models.database import Database
from settings import load
from tasks.surroundings import Surroundings
from tests.console.web import client, cookie, csrf, serving, signed_in
from tests.factories import batch_in

TEMPLATES = Path(console.__file__).parent / "templates"


@pytest.fixture
def around(sqlite_url: str, tmp_path: Path) -> Iterator[Surroundings]:
    """Nothing here depends on the kind of database."""
    settings = load(home=tmp_path / "home", database_url=sqlite_url)
    database = Database(sqlite_url)
    yield Surroundings(settings, database, Storage(settings.storage))
    database.close()


@pytest.fixture
def address(around: Surroundings) -> Iterator[str]:
    with serving(around) as address:
        yield address


def test_a_static_file_is_kept_for_good_under_the_address_of_its_content_only(address: str) -> None:
    browser = client(address)

    kept = browser.get(static("console.css"))
    other = browser.get("/static/console.css?v=0123456789abcdef")
    plain = browser.get("/static/console.css")

    assert "immutable" in kept.headers["cache-control"]
    assert other.headers["cache-control"] == plain.headers["cache-control"] == "no-cache"
    assert browser.get("/static/console.css", headers={"If-None-Match": plain.headers["etag"]}).status_code == 304
    assert browser.get("/static/..%2fpages.py").status_code == 404


def test_every_static_file_that_a_page_names_is_there(around: Surroundings, address: str) -> None:
    page = signed_in(around, address, Role.ADMIN).get("/").text
    named = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', page))

    assert len(named) == 4
    assert {client(address).get(name).status_code for name in named} == {200}


def test_no_template_holds_what_the_content_policy_forbids() -> None:
    """No inline style or script, no handler in an attribute, and nothing that escapes escaping."""
    for template in TEMPLATES.glob("*.html"):
        text = template.read_text()
        assert not re.search(r"\sstyle=|<style|\son[a-z]+=|javascript:|\|\s*safe\b|autoescape false", text), (
            template.name
        )
        assert all("src=" in script for script in re.findall(r"<script[^>]*>", text)), template.name


BEFORE_ANYBODY_IS_SIGNED_IN = {"sign_in.html", "set_up.html"}


def test_every_form_that_posts_carries_the_token() -> None:
    """Recipients' pages, whose names begin with link_, and those that sign in have nobody's token to carry."""
    for template in TEMPLATES.glob("*.html"):
        if template.name in BEFORE_ANYBODY_IS_SIGNED_IN or template.name.startswith("link_"):
            continue
        for form in re.findall(r'<form[^>]*method="post".*?</form>', template.read_text(), re.DOTALL):
            assert 'name="csrf"' in form, template.name


def test_a_notice_is_shown_once_and_is_text(around: Surroundings, address: str) -> None:
    batch_id = batch_in(around.database, Phase.FINISHED, name="<i>March</i>")
    browser = signed_in(around, address, Role.APPROVER)
    browser.post(f"/batches/{batch_id}/archive", data={"csrf": csrf(browser)})

    first, second = browser.get("/").text, browser.get("/").text

    assert 'class="notice good"' in first
    assert "&lt;i&gt;March&lt;/i&gt; is archived" in first
    assert 'class="notice' not in second


@pytest.mark.parametrize("value", ["", "x", "e30=", "W10=", "WyJnb29kIl0=", "WyJldmlsIiwgIngiXQ==", "é"])
def test_a_notice_that_we_did_not_leave_is_none(around: Surroundings, address: str, value: str) -> None:
    name, token = cookie(around, Role.ANALYST)

    page = client(address).get(
        "/", headers=[(b"Cookie", f"{name}={token}; bulk-sender-notice={value}".encode("latin-1"))]
    )

    assert page.status_code == 200
    assert 'class="notice' not in page.text


@pytest.mark.parametrize(
    ("path", "status"),
    [("/nothing", 404), ("/batches/99", 404), ("/batches/x/reject", 404), ("/?page=x", 404), ("/sign-out", 405)],
)
def test_an_error_is_a_page_with_a_next_step(around: Surroundings, address: str, path: str, status: int) -> None:
    page = signed_in(around, address, Role.ADMIN).get(path)

    assert page.status_code == status
    assert "<h1>" in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Batch 5 is still being checked. Wait for it: bulk-sender batch wait 5", "Wait for it.</p>"),
        ("Its run was cancelled. Let it go on: bulk-sender batch resume 5 --by EMAIL", "Let it go on.</p>"),
        ("There is none: bulk-sender user list; make one: bulk-sender user add EMAIL", "There is none; make one.</p>"),
        ("Prefect does not answer.", "Prefect does not answer.</p>"),
    ],
)
def test_a_page_names_no_command(around: Surroundings, address: str, said: str, shown: str) -> None:
    batch_id = batch_in(around.database, Phase.PAUSED)
    with around.database.write() as session:
        batches.by_id(session, batch_id).reason = said

    page = signed_in(around, address, Role.APPROVER).get(f"/batches/{batch_id}").text

    assert shown in page
    assert "bulk-sender batch" not in page
    assert "bulk-sender user" not in page


def test_what_breaks_is_logged_without_a_word_of_what_it_held(
    around: Surroundings, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(around)

    @app.get("/broken/{word}")
    def _broken(word: str) -> None:
        raise RuntimeError(word)

    async def look() -> httpx.Response:
        served = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=served, base_url="http://screen") as browser:
            return await browser.get("/broken/ann@mail.example")

    with caplog.at_level(logging.ERROR):
        page = asyncio.run(look())

    assert page.status_code == 500
    assert "tell an administrator" in page.text
    assert "ann@mail.example" not in page.text + caplog.text
    assert "/broken/{word} failed (RuntimeError)" in caplog.text


def test_the_screen_says_that_nothing_is_really_sent_and_that_four_eyes_is_off(around: Surroundings) -> None:
    loose = dataclasses.replace(
        around, settings=load(home=around.settings.home, database_url=around.database.url, four_eyes=False)
    )
    with serving(loose) as address:
        page = signed_in(loose, address, Role.ANALYST).get("/").text

    assert "nothing is really sent" in page
    assert loose.settings.sandbox_url in page
    assert "Four-eyes approval is off" in page


def test_nobody_is_offered_what_they_may_not_do(around: Surroundings, address: str) -> None:
    assert 'href="/batches/new"' in signed_in(around, address, Role.OPERATOR).get("/").text
    assert 'href="/batches/new"' not in signed_in(around, address, Role.ANALYST).get("/").text


def test_numbers_sizes_and_times_are_as_people_read_them() -> None:
    assert number(1234567) == "1,234,567"
    assert [count(1, "row"), count(1200, "row"), count(2, "batch", "batches")] == ["1 row", "1,200 rows", "2 batches"]
    assert [size(0), size(999), size(1000), size(999_600), size(12_345_678)] == [
        "0 bytes",
        "999 bytes",
        "1 kB",
        "1 MB",
        "12.3 MB",
    ]
    assert [first_rows([], 0), first_rows([7], 1), first_rows([2, 5], 2), first_rows([2, 5], 9)] == [
        "",
        "Row 7.",
        "Rows 2 and 5.",
        "Rows 2, 5, …",
    ]
    shown = time(datetime(2026, 3, 1, 12, 0, tzinfo=UTC))
    assert 'datetime="2026-03-01T12:00:00+00:00"' in shown
    assert "UTC" in shown
    assert time(None) == "–"  # noqa: RUF001  a dash is meant
