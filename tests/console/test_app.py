"""The web app: what a link shows, what it never does, and who may fetch a result."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import polars as pl
import pytest

from domain.links import Place
from domain.rights import Role
from domain.signing import result_url
from tasks.surroundings import Surroundings
from tests import factories
from tests.console.conftest import on_both_databases
from tests.console.web import client, cookie, serving

HOSTILE = '<script>alert(1)</script> & "Ελένη"'


@pytest.fixture
def web(around: Surroundings) -> Iterator[httpx.Client]:
    """The app on a real socket."""
    with serving(around) as address, client(address) as browser:
        yield browser


def _sendable(around: Surroundings) -> int:
    frame = factories.people(emails=2, invalid=1)
    return factories.sendable(around, frame.with_columns(pl.lit(HOSTILE).alias("item:first_name")))


def test_a_link_shows_its_own_persons_values_and_escapes_them(around: Surroundings, web: httpx.Client) -> None:
    batch_id = _sendable(around)

    page = web.get(f"/l/{around.links.token(Place(batch_id, 3))}")

    assert page.status_code == 200
    assert "person1@mail.example" in page.text
    assert "person0@mail.example" not in page.text
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text
    assert "Ελένη" in page.text


def test_opening_a_link_changes_nothing(around: Surroundings, web: httpx.Client) -> None:
    """Mail scanners open links; nothing may be consumed by a GET."""
    batch_id = _sendable(around)
    before = factories.batch(around.database, batch_id).model_dump()
    address = f"/l/{around.links.token(Place(batch_id, 2))}"

    pages = [web.get(address).text for _ in range(3)]

    assert len(set(pages)) == 1
    assert factories.batch(around.database, batch_id).model_dump() == before


def test_whoever_has_no_valid_link_learns_nothing(around: Surroundings, web: httpx.Client) -> None:
    batch_id = _sendable(around)
    token = around.links.token(Place(batch_id, 2))
    wrong = [
        ("A" if token[0] != "A" else "B") + token[1:],
        around.links.token(Place(batch_id, 4)),  # a row that was refused
        around.links.token(Place(batch_id, 999)),
        "x",
        "é" * 32,
    ]

    pages = [web.get(f"/l/{one}") for one in wrong]

    assert {page.status_code for page in pages} == {404}
    assert len({page.text for page in pages}) == 1


def test_pages_may_not_be_kept_framed_or_run_scripts_of_others(around: Surroundings, web: httpx.Client) -> None:
    batch_id = _sendable(around)

    headers = web.get(f"/l/{around.links.token(Place(batch_id, 2))}").headers

    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert "noindex" in headers["x-robots-tag"]
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


def test_a_result_is_fetched_with_its_signature_only(around: Surroundings, web: httpx.Client) -> None:
    batch_id = _sendable(around)
    address = result_url(around.settings.secret, base="", batch_id=batch_id)
    other = result_url(around.settings.secret, base="", batch_id=batch_id + 1).rsplit("/", 1)[1]

    assert web.get(f"/results/{batch_id}/{other}").status_code == 404
    assert web.get(f"/results/{batch_id}/{'0' * 32}").status_code == 404
    # Signed rightly, it gets as far as the file, which this batch does not have.
    refused = web.get(address)
    assert refused.status_code == 409
    assert "no result" in refused.text


@on_both_databases
def test_health_says_whether_the_database_answers(web: httpx.Client) -> None:
    assert web.get("/health").json() == {"status": "ok"}


def test_home_says_that_nothing_is_really_sent(around: Surroundings, web: httpx.Client) -> None:
    web.cookies.set(*cookie(around, Role.ANALYST))

    assert "nothing is really sent" in web.get("/").text
