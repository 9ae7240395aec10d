"""The process's own platform: it gets the values behind a link once, by a code and a key, and says how far people came."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from deployments import accounts
from domain.links import Place
from domain.rights import Role
from models import batches, visits
from models.tables import Submission
from tasks.surroundings import Surroundings
from tests import factories
from tests.console.conftest import on_both_databases
from tests.console.people_with_links import VALUES, marks, path, sent
from tests.console.web import client, serving, user

START = {"start_url": "https://forms.acme.example/start"}
EXCHANGE, STARTED, COMPLETE = (f"/api/v1/links/{name}" for name in ("exchange", "started", "complete"))


@pytest.fixture
def web(around: Surroundings) -> Iterator[httpx.Client]:
    """The app on a real socket; the platform's key goes with every request."""
    key = accounts.add_key(around, "forms", email=user(around, Role.PLATFORM))
    with serving(around) as address, client(address) as platform:
        platform.headers["authorization"] = f"Bearer {key}"
        yield platform


def code(around: Surroundings, web: httpx.Client, place: Place) -> str:
    """What the person's browser brings to the platform."""
    query = parse_qs(urlsplit(web.get(path(around, place)).headers["location"]).query)
    return query["code"][0]


def test_a_code_is_exchanged_for_the_values_behind_the_link(around: Surroundings, web: httpx.Client) -> None:
    place = sent(around, link_days=30, **START)

    answer = web.post(EXCHANGE, json={"code": code(around, web, place)})

    assert answer.status_code == 200
    told = answer.json()
    assert (told["process"], told["version"], told["values"]) == ("renewal", 1, VALUES)
    assert datetime.fromisoformat(told["expires_at"]) > datetime.now(UTC) + timedelta(days=29)
    assert told["recipient"] == around.links.reference(place)
    assert web.get(f"/l/{told['recipient']}").status_code == 404, "it opens nothing"
    assert marks(around, place) == "", "a scanner may have followed the link to the platform"


@on_both_databases
def test_a_code_is_exchanged_once_also_by_many_at_once(around: Surroundings, web: httpx.Client) -> None:
    one = code(around, web, sent(around, **START))

    answers = factories.race(*[lambda: web.post(EXCHANGE, json={"code": one}, timeout=30).status_code] * 4)

    assert sorted(map(str, answers)) == ["200", "404", "404", "404"]


@on_both_databases
def test_a_code_that_is_wrong_old_or_of_a_link_that_ended_is_refused_in_the_same_words(
    around: Surroundings, web: httpx.Client
) -> None:
    now = datetime.now(UTC)
    place, revoked, done, over = (sent(around, **START) for _ in range(4))
    codes = [code(around, web, one) for one in (revoked, done, over)]
    with around.database.write() as session:
        visits.revoke(session, revoked.batch_id, [revoked.row], now=now)
        visits.complete(session, done, None, now=now)
        batches.note(session, over.batch_id, links_expire_at=now)
    good = code(around, web, place)
    forged = [
        around.links.code(place, expires_at=now - timedelta(seconds=1), nonce=b"12345678"),
        good[:-1] + ("A" if good[-1] != "A" else "B"),
        good + "=",
        around.links.token(place),
        around.links.reference(place),
        "x",
        "é" * 48,
    ]

    answers = [web.post(EXCHANGE, json={"code": one}) for one in (*codes, *forged)]

    assert {(answer.status_code, answer.content) for answer in answers} == {(404, answers[0].content)}
    assert answers[0].headers["content-type"] == "application/problem+json"
    assert web.post(EXCHANGE, json={"code": good}).status_code == 200


@on_both_databases
def test_a_platform_reports_once_and_again(around: Surroundings, web: httpx.Client) -> None:
    place = sent(around, **START)
    report = {"recipient": around.links.reference(place)}

    started = [web.post(STARTED, json=report).json() for _ in range(2)]
    assert marks(around, place) == "os"
    done = [web.post(COMPLETE, json=report) for _ in range(2)]

    assert started[0] == started[1]
    assert [answer.status_code for answer in done] == [200, 200]
    assert done[0].json() == done[1].json()
    assert marks(around, place) == "osc"
    assert web.get(path(around, place)).status_code == 404, "the link was used"
    with around.database.read() as session:
        kept = session.get(Submission, (place.batch_id, place.row))
        assert kept is not None
        assert kept.answers is None


def test_only_recipients_of_a_process_with_a_platform_are_known_to_one(around: Surroundings, web: httpx.Client) -> None:
    own, other = sent(around), sent(around, **START)
    unknown = [
        around.links.reference(own),
        around.links.reference(Place(other.batch_id, 99)),
        around.links.token(other),
        code(around, web, other),
        "x",
    ]

    for address in (STARTED, COMPLETE):
        assert {web.post(address, json={"recipient": one}).status_code for one in unknown} == {404}
    assert marks(around, own) + marks(around, other) == ""


@pytest.mark.parametrize("address", [EXCHANGE, STARTED, COMPLETE])
def test_without_a_platforms_key_nothing_is_given_or_taken(
    around: Surroundings, web: httpx.Client, address: str
) -> None:
    place = sent(around, **START)
    one = code(around, web, place)
    body = {"code": one} if address == EXCHANGE else {"recipient": around.links.reference(place)}
    analyst = accounts.add_key(around, "report", email=user(around, Role.ANALYST))
    wrong = {"": 401, "Bearer": 401, "Bearer bsk_wrong": 401, "Basic eDp5": 401, f"Bearer {analyst}": 403}

    for header, status in wrong.items():
        answer = web.post(address, json=body, headers={"authorization": header})
        assert (header, answer.status_code) == (header, status)
        assert "zoe" not in answer.text

    accounts.revoke_key(around, "forms")
    assert web.post(address, json=body).status_code == 401
    assert marks(around, place) == ""
