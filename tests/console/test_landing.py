"""The page behind a personal link: what it shows to whom, what it keeps, what it never says."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import update
from sqlmodel import col, select

from deployments import acts, links
from deployments.acts import Person
from domain.link_life import FACTOR_GOOD_FOR
from domain.links import Links, Place
from domain.states import Status
from models import batches, visits
from models.accounts import Stretch
from models.tables import Message, Recipient, Submission, Visit
from tasks.surroundings import Surroundings
from tests import factories
from tests.console.conftest import on_both_databases
from tests.console.people_with_links import VALUES, marks, path, renewal, sent
from tests.console.web import client, serving

WHO = Person("op@acme.example", "test")
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
SENT = {f"item.{name}": text for name, text in VALUES.items()}


@pytest.fixture
def web(around: Surroundings) -> Iterator[httpx.Client]:
    """The app on a real socket, visited by somebody's usual browser."""
    with serving(around) as address, client(address) as browser:
        browser.headers["user-agent"] = FIREFOX
        yield browser


def visit(around: Surroundings, place: Place) -> Visit | None:
    with around.database.read() as session:
        return visits.of_rows(session, place.batch_id, [place.row]).get(place.row)


def submissions(around: Surroundings) -> list[dict[str, str | None] | None]:
    with around.database.read() as session:
        return [one.answers for one in session.exec(select(Submission))]


BEACONS = ("opened", "started")


# What it shows


def test_every_type_has_its_input_filled_in_and_named(around: Surroundings, web: httpx.Client) -> None:
    page = web.get(path(around, sent(around))).text

    for kind, name, value in (
        ("text", "first_name", "Zoë"),
        ("email", "email", "zoe@mail.example"),
        ("tel", "phone", "+447400123456"),
        ("date", "born", "1980-02-01"),
    ):
        assert re.search(
            rf'<input type="{kind}"\s+id="field-{name}"\s+name="item.{name}"\s+value="{re.escape(value)}"', page
        )
        assert f'<label for="field-{name}">' in page
    assert re.search(r'inputmode="decimal"\s+id="field-premium"\s+name="item.premium"\s+value="12.50"', page)
    assert "<option selected>Third party</option>" in page
    assert re.search(r'value="true"[^>]*id="field-paperless"[^>]*checked', page)
    assert "As in your passport." in page
    assert 'aria-describedby="field-first_name-help"' in page
    assert page.count("(required)") == 2


def test_yes_or_no_can_be_required(around: Surroundings, web: httpx.Client) -> None:
    items = [
        item.model_copy(update={"required": item.name == "paperless", "help": "Saves trees."})
        for item in renewal().data_items
    ]

    page = web.get(path(around, sent(around, data_items=tuple(items)))).text

    assert re.search(r'id="field-paperless"\s+checked\s+required>', page)
    assert re.search(r'id="field-paperless-no"\s+required>', page)
    assert "No answer" not in page
    assert re.search(r'<fieldset class="field"\s+aria-describedby="field-paperless-help">', page)


def test_the_process_says_in_what_direction_and_language_it_speaks(around: Surroundings, web: httpx.Client) -> None:
    page = web.get(path(around, sent(around, right_to_left=True, lang="he", name="חידוש"))).text

    assert 'dir="rtl"' in page
    assert re.search(r'<p class="process"\s+dir="auto"\s+lang="he">חידוש', page)


def test_the_page_has_nothing_of_the_operators_screen(around: Surroundings, web: httpx.Client) -> None:
    answer = web.get(path(around, sent(around)))

    assert "console.css" not in answer.text
    assert "Sign" not in answer.text
    assert not answer.cookies
    assert not re.search(r"<script(?![^>]* src=)|style=|javascript:| on\w+=", answer.text)
    assert "zoe" not in str(answer.url)


# What counts as what


def test_looking_changes_nothing_however_often_and_whoever_does_it(around: Surroundings, web: httpx.Client) -> None:
    place = sent(around)
    address = path(around, place)

    for method in ("GET", "HEAD", "GET"):
        assert web.request(method, address).status_code == 200
    web.get(address, headers={"user-agent": "BarracudaCentral"})

    assert visit(around, place) is None


def test_a_persons_first_touch_opens_and_their_first_change_starts(around: Surroundings, web: httpx.Client) -> None:
    place = sent(around)
    address = path(around, place)

    assert web.post(address + "/opened").status_code == 204
    assert marks(around, place) == "o"
    assert web.post(address + "/started").status_code == 204
    assert marks(around, place) == "os"


@pytest.mark.parametrize("user_agent", ["Mozilla/5.0 (compatible; Googlebot/2.1)", "Proofpoint", ""])
def test_a_scanners_acts_count_as_nothing(around: Surroundings, web: httpx.Client, user_agent: str) -> None:
    place = sent(around)

    web.post(path(around, place) + "/opened", headers={"user-agent": user_agent})
    web.post(path(around, place) + "/started", headers={"user-agent": user_agent})

    assert visit(around, place) is None


@on_both_databases
def test_a_form_that_is_sent_is_kept_and_thanked(around: Surroundings, web: httpx.Client) -> None:
    place = sent(around)

    answer = web.post(path(around, place), data={**SENT, "item.born": "01.02.1980", "item.premium": "", "other": "x"})

    assert answer.status_code == 200
    assert "Thank you, we have it" in answer.text
    assert submissions(around) == [{**VALUES, "premium": None}]
    assert marks(around, place) == "osc"
    assert web.get(path(around, place)).status_code == 404, "the link was used"


@on_both_databases
def test_a_second_submission_is_thanked_like_the_first_and_changes_nothing(
    around: Surroundings, web: httpx.Client
) -> None:
    place = sent(around)
    first = web.post(path(around, place), data=SENT)

    again = web.post(path(around, place), data={**SENT, "item.first_name": "Somebody else"})

    assert (again.status_code, again.text) == (first.status_code, first.text)
    assert submissions(around) == [VALUES]


@on_both_databases
def test_a_double_click_leaves_one_submission(around: Surroundings, web: httpx.Client) -> None:
    place = sent(around)

    def click(name: str) -> str:
        return web.post(path(around, place), data={**SENT, "item.first_name": name}, timeout=30).text

    pages = factories.race(*(lambda name=name: click(name) for name in ("A", "B", "C", "D")))

    assert all("Thank you, we have it" in str(page) for page in pages)
    assert len(submissions(around)) == 1


def test_what_is_wrong_is_said_in_its_place_and_nothing_entered_is_lost(
    around: Surroundings, web: httpx.Client
) -> None:
    place = sent(around)
    wrong = {**SENT, "item.first_name": " ", "item.born": "31.02.1980", "item.premium": "<b>12</b>"}

    answer = web.post(path(around, place), data=wrong)

    assert answer.status_code == 422
    assert "<title>Error: Renewal" in answer.text
    assert '<a href="#field-first_name" dir="auto">Given name is empty; fill it in.' in answer.text
    assert re.search(r'id="field-first_name-problem"[^>]*>Given name is empty', answer.text)
    described = r'aria-describedby="field-first_name-help\s+field-first_name-problem"\s+aria-invalid="true"'
    assert re.search(described, answer.text)
    assert 'value="31.02.1980"' in answer.text
    assert 'value="&lt;b&gt;12&lt;/b&gt;"' in answer.text
    assert 'value="zoe@mail.example"' in answer.text
    assert submissions(around) == []
    assert marks(around, place) == "os"


def test_more_than_any_form_holds_is_not_read(around: Surroundings, web: httpx.Client) -> None:
    place = sent(around)

    answer = web.post(path(around, place), data={"item.first_name": "x" * 600_000})

    assert answer.status_code == 413
    assert submissions(around) == []


@pytest.mark.parametrize("body", [b"\xff\xfe", b"item.first_name=%ff%fe", b"&" * 20_000, b"a=1&" * 20_000, b""])
def test_a_body_that_is_no_form_is_judged_as_an_empty_one(around: Surroundings, web: httpx.Client, body: bytes) -> None:
    answer = web.post(path(around, sent(around)), content=body)

    assert answer.status_code == 422
    assert "Born is empty; fill it in." in answer.text


# Who cannot go on


def cannot_open(around: Surroundings) -> dict[str, str]:
    """Addresses of links that lead nowhere, by the reason."""
    now = datetime.now(UTC)
    used, revoked, all_revoked, over, too_old, rejected = (sent(around) for _ in range(6))
    old = sent(around, link_days=1)
    with around.database.write() as session:
        visits.complete(session, used, VALUES, now=now)
        visits.revoke(session, revoked.batch_id, [revoked.row], now=now)
        visits.revoke_all(session, all_revoked.batch_id, now=now)
        batches.note(session, over.batch_id, links_expire_at=now)
        batches.note(session, too_old.batch_id, links_expire_at=now - timedelta(days=400))
        session.execute(
            update(Recipient)
            .where(col(Recipient.batch_id) == old.batch_id)
            .values(sent_at=now - timedelta(days=1, seconds=1))
        )
        session.execute(update(Recipient).where(col(Recipient.batch_id) == rejected.batch_id).values(sent_at=None))
        session.execute(update(Message).where(col(Message.batch_id) == rejected.batch_id).values(state="pending"))
        batches.note(session, rejected.batch_id, status=Status.ADMIN_REJECTION.value, archived_at=now)
    token = around.links.token(used)
    others = Links(b"another secret that is long enough", public_url="http://x").token(used)
    places = {
        "used": used,
        "revoked": revoked,
        "its batch was revoked": all_revoked,
        "its batch is over": over,
        "its batch is long over": too_old,
        "its days are over": old,
        "rejected before sending, and archived": rejected,
        "no such row": Place(used.batch_id, 999),
        "no such batch": Place(999_999, 2),
    }
    return {why: path(around, place) for why, place in places.items()} | {
        "forged": "/l/" + ("A" if token[0] != "A" else "B") + token[1:],
        "of another installation": f"/l/{others}",
        "cut off": f"/l/{token[:-1]}",
        "too long": f"/l/{token}{token}" + "x" * 2_000,
        "not even a token": "/l/%00%ff..%2f",
        "a reference": f"/l/{around.links.reference(used)}",
        "further down": f"/l/{token}/../{token}/more/of/it",
        "nothing": "/l/",
    }


@on_both_databases
def test_whoever_cannot_open_a_link_sees_the_same_whatever_the_reason_is(
    around: Surroundings, web: httpx.Client
) -> None:
    found = {why: web.get(address) for why, address in cannot_open(around).items()}

    told = {why: (page.status_code, page.content, _without_date(page.headers)) for why, page in found.items()}
    first = told["used"]
    assert first[0] == 404
    assert {why: answer for why, answer in told.items() if answer != first} == {}


def test_to_send_something_to_a_link_that_cannot_be_opened_says_no_more(
    around: Surroundings, web: httpx.Client
) -> None:
    found = {
        why: [web.post(address, data=SENT), web.post(address + "/factor", data={"factor": "x"})]
        for why, address in cannot_open(around).items()
        if why != "used"
    }

    assert {page.status_code for pages in found.values() for page in pages} == {404}
    assert len({page.content for pages in found.values() for page in pages}) == 1
    assert len(submissions(around)) == 1, "the used one's own"


def test_a_beacon_is_answered_the_same_whatever_its_link_is(around: Surroundings, web: httpx.Client) -> None:
    tokens = [address for address in cannot_open(around).values() if re.fullmatch(r"/l/[\w-]+", address)]

    answers = [web.post(f"{address}/{what}") for address in (*tokens, path(around, sent(around))) for what in BEACONS]

    assert len(tokens) > 10
    assert {(answer.status_code, answer.content) for answer in answers} == {(204, b"")}


def test_a_wrong_token_takes_as_long_as_one_that_is_over(around: Surroundings, web: httpx.Client) -> None:
    addresses = cannot_open(around)
    compared = [addresses[why] for why in ("used", "revoked", "its days are over", "forged", "no such row")]
    taken: dict[str, list[float]] = {address: [] for address in compared}
    for turn in range(13):
        for address in compared:
            began = time.perf_counter()
            web.get(address)
            if turn:
                taken[address].append(time.perf_counter() - began)

    medians = [statistics.median(times) for times in taken.values()]
    assert max(medians) < 2 * min(medians) + 0.02


@on_both_databases
def test_many_wrong_tokens_from_one_address_must_wait(
    around: Surroundings, web: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "WRONG_TOKENS", Stretch(most=3, lasts=timedelta(minutes=5)))
    place = sent(around)
    used = sent(around)
    with around.database.write() as session:
        visits.complete(session, used, VALUES, now=datetime.now(UTC))
    for _ in range(10):
        assert web.get(path(around, used)).status_code == 404, "a real link is never a wrong token"
    for number in range(3):
        assert web.get(f"/l/{number:032}").status_code == 404
        web.post(path(around, place) + "/opened")  # one connection: by now the try before it was counted

    assert web.get(f"/l/{9:032}").status_code == 429
    assert web.post(f"/l/{9:032}", data=SENT).status_code == 429
    assert web.get(path(around, used)).status_code == 404
    assert web.get(path(around, place)).status_code == 200, "whoever has a real link is never held up by others"


def _without_date(headers: httpx.Headers) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name != "date"}


@on_both_databases
def test_revoking_by_a_person_ends_links_and_is_in_the_history(around: Surroundings, web: httpx.Client) -> None:
    place = sent(around)
    other = Place(place.batch_id, 3)
    with around.database.write() as session:
        visits.mark(session, other, visits.Mark.OPENED, now=datetime.now(UTC))

    assert acts.revoke_links(around, place.batch_id, [place.row], who=WHO) == 1
    assert acts.revoke_links(around, place.batch_id, [place.row], who=WHO) == 0
    assert web.get(path(around, place)).status_code == 404
    assert web.get(path(around, other)).status_code == 200
    assert acts.revoke_links(around, place.batch_id, None, who=WHO) == 2
    assert web.get(path(around, other)).status_code == 404
    assert web.post(path(around, other), data=SENT).status_code == 404
    with around.database.read() as session:
        told = [(one.act, one.comment) for one in batches.decisions(session, place.batch_id)]
    assert told == [("revoke links", "(rows 2)"), ("revoke links", "(all links)")]


# Second factor


BORN = {"second_factor": "born"}


def test_nothing_personal_shows_before_the_second_factor(around: Surroundings, web: httpx.Client) -> None:
    place = sent(around, **BORN)

    question = web.get(path(around, place))
    refused = web.post(path(around, place), data=SENT)

    for page in (question, refused):
        assert page.status_code == 200
        assert "Show that it is you" in page.text
        assert re.search(r'name="factor"\s+value=""', page.text)
        assert not [text for text in VALUES.values() if text in page.text and text != "true"]
    assert submissions(around) == []


def test_who_knows_the_second_factor_goes_on_in_this_browser_only(around: Surroundings, web: httpx.Client) -> None:
    place = sent(around, **BORN)

    right = web.post(path(around, place) + "/factor", data={"factor": " 01.02.1980 "})

    assert (right.status_code, right.headers["location"]) == (303, path(around, place))
    kept = right.headers["set-cookie"]
    assert f"Path={path(around, place)}" in kept
    assert "HttpOnly" in kept
    assert f"Max-Age={int(FACTOR_GOOD_FOR.total_seconds())}" in kept
    assert "zoe@mail.example" in web.get(path(around, place)).text
    with client(str(web.base_url)) as other:
        assert "zoe@mail.example" not in other.get(path(around, place)).text
    assert web.post(path(around, place), data=SENT).status_code == 200
    assert submissions(around) == [VALUES]


def test_a_pass_is_for_one_link_and_a_while(around: Surroundings, web: httpx.Client) -> None:
    place, now = sent(around, **BORN), datetime.now(UTC)
    for held in (
        around.links.pass_on(Place(place.batch_id, 3), expires_at=now + timedelta(minutes=5)),
        around.links.pass_on(place, expires_at=now - timedelta(seconds=1)),
        around.links.reference(place),
        around.links.token(place),
        "x",
        "é",
    ):
        page = web.get(path(around, place), headers={b"cookie": f"bulk-sender-pass={held}".encode()})
        assert "zoe@mail.example" not in page.text


@on_both_databases
def test_after_five_wrong_tries_even_the_right_one_must_wait(around: Surroundings, web: httpx.Client) -> None:
    place = sent(around, **BORN)
    address = path(around, place) + "/factor"

    wrong = [web.post(address, data={"factor": f"0{day}.03.1980"}) for day in range(1, 6)]
    locked = web.post(address, data={"factor": "01.02.1980"})

    assert [page.status_code for page in wrong] == [422] * 5
    assert all("That is not what we have" in page.text for page in wrong)
    assert locked.status_code == 429
    assert "Please try again later" in locked.text
    assert web.get(path(around, place)).status_code == 429
    assert "zoe@mail.example" not in web.get(path(around, place)).text
    with around.database.write() as session:
        session.execute(update(Visit).values(locked_until=datetime.now(UTC)))
    assert web.post(address, data={"factor": "1980-02-01"}).status_code == 303


@on_both_databases
def test_guesses_at_once_are_no_more_than_five(around: Surroundings, web: httpx.Client) -> None:
    address = path(around, sent(around, **BORN)) + "/factor"

    def guess(day: int) -> int:
        return web.post(address, data={"factor": f"1980-03-{day:02}"}, timeout=30).status_code

    codes = factories.race(*(lambda day=day: guess(day) for day in range(1, 11)))

    assert sorted(map(str, codes)) == ["422"] * 5 + ["429"] * 5


# On to the process's own platform


def test_a_process_with_a_platform_sends_people_there_with_nothing_but_a_code(
    around: Surroundings, web: httpx.Client
) -> None:
    place = sent(around, start_url="https://forms.acme.example/start?lang=en#top")

    answers = [web.get(path(around, place)) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [303, 303]
    places = [answer.headers["location"] for answer in answers]
    assert all(re.fullmatch(r"https://forms\.acme\.example/start\?lang=en&code=[\w-]{48}#top", one) for one in places)
    assert places[0] != places[1]
    assert visit(around, place) is None
    assert web.post(path(around, place), data=SENT).status_code == 404, "there is no form here"


def test_a_platform_gets_people_only_after_the_second_factor(around: Surroundings, web: httpx.Client) -> None:
    place = sent(around, start_url="https://forms.acme.example/start", **BORN)

    question = web.get(path(around, place))
    web.post(path(around, place) + "/factor", data={"factor": "1980-02-01"})

    assert question.status_code == 200
    assert "form-action 'self' https://forms.acme.example;" in question.headers["content-security-policy"]
    assert web.get(path(around, place)).status_code == 303
