"""Finding one person in all batches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from domain.rights import Role
from domain.splitting import EMAIL
from domain.suppressions import Mark, SuppressionKind
from files.storage import Storage
from models import history, suppressions
from models.database import Database
from settings import load
from tasks.surroundings import Surroundings
from tests import factories
from tests.console.batches_with_people import HOSTILE
from tests.console.web import serving, signed_in
from tests.factories import NOW


@pytest.fixture
def around(sqlite_url: str, tmp_path: Path) -> Surroundings:
    """The queries behind the page are tested on both databases, in tests/models."""
    settings = load(home=tmp_path / "home", database_url=sqlite_url)
    return Surroundings(settings, Database(sqlite_url), Storage(settings.storage))


@pytest.fixture
def address(around: Surroundings) -> Iterator[str]:
    with serving(around) as address:
        yield address


def test_a_person_is_found_in_all_batches_newest_first(around: Surroundings, address: str) -> None:
    older, newer = (factories.sendable(around, factories.people(emails=2)) for _ in range(2))
    browser = signed_in(around, address, Role.ANALYST)

    page = browser.get("/people", params={"q": " Person1@MAIL.example"}).text

    assert page.index(f'href="/batches/{newer}/recipients/3"') < page.index(f'href="/batches/{older}/recipients/3"')
    assert "person0@" not in page
    with around.database.read() as session:
        assert [one.comment for one in history.newest(session, newer, limit=5)] == ["row 3"]


@pytest.mark.parametrize("asked", ["07700 900001", "+44 7700 900001", "+447700900001"])
def test_a_phone_number_is_read_as_it_is_dialled(around: Surroundings, address: str, asked: str) -> None:
    frame = factories.people(sms=2).with_columns(pl.Series("phone", ["+447400123456", "+447400123457"]))
    batch_id = factories.sendable(around, frame)
    browser = signed_in(around, address, Role.ANALYST)

    page = browser.get(
        "/people", params={"q": asked.replace("7700 900001", "7400 123457").replace("7700900001", "7400123457")}
    ).text

    assert f'href="/batches/{batch_id}/recipients/3"' in page
    assert f'href="/batches/{batch_id}/recipients/2"' not in page


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("nobody@mail.example", "Nobody with this address"),
        ("person", "neither an email address nor a phone number"),
        (HOSTILE, "neither an email address nor a phone number"),
        ("%@mail.example", "Nobody with this address"),
        ("", "Find a person"),
    ],
)
def test_who_is_not_found_is_said_to_be_so(around: Surroundings, address: str, asked: str, said: str) -> None:
    factories.sendable(around, factories.people(emails=1))
    browser = signed_in(around, address, Role.ANALYST)

    page = browser.get("/people", params={"q": asked})

    assert page.status_code == 200
    assert said in page.text
    assert "<script>document" not in page.text
    assert "/recipients/" not in page.text


def test_a_suppressed_address_is_said_to_be_so(around: Surroundings, address: str) -> None:
    with around.database.write() as session:
        suppressions.mark(session, [Mark(EMAIL, "ana@mail.example", SuppressionKind.OPTED_OUT, NOW)])
    browser = signed_in(around, address, Role.ANALYST)

    page = browser.get("/people", params={"q": "Ana@mail.example"}).text

    assert "is suppressed" in page
    assert "who is suppressed is left out of a batch" in page
