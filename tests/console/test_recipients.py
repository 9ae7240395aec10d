"""The recipients of a batch: the table, one of them whole, what they read, and a test of it to oneself."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from channels.sendgrid import SendGrid
from channels.twilio import Twilio
from deployments import trying
from deployments.acts import Person
from deployments.previews import previews
from domain.errors import NotAllowed, ServiceMissing, TooManyTries
from domain.links import Place
from domain.rights import Role
from domain.segments import length_of
from domain.splitting import EMAIL, SMS
from domain.states import RequestState
from domain.suppressions import Mark, SuppressionKind
from files.storage import Storage
from models import history, suppressions
from models.database import Database
from settings import load
from tasks.surroundings import Surroundings, now
from tests import factories
from tests.console.batches_with_people import OPERATOR, created, laid_out, rows_of, sent, set_columns, with_prefect
from tests.console.web import csrf, email_of, serving, signed_in
from tests.servers import Answer, Server
from tests.servers import serving as playing

WHO = Person(OPERATOR, "test")


@pytest.fixture
def around(sqlite_url: str, tmp_path: Path) -> Iterator[Surroundings]:
    """The queries behind the pages are tested on both databases, in tests/models. Every run can be started."""
    settings = load(home=tmp_path / "home", database_url=sqlite_url)
    with with_prefect(Surroundings(settings, Database(sqlite_url), Storage(settings.storage))) as (ready, _):
        yield ready


@pytest.fixture
def address(around: Surroundings) -> Iterator[str]:
    with serving(around) as address:
        yield address


@pytest.fixture
def waiting(around: Surroundings, tmp_path: Path) -> int:
    """Two people with an email address, one with both, one whose row cannot be used: rows 2 to 5."""
    rows = [*rows_of(2), ("Ελένη", "eleni@mail.example", "07400123456"), ("Ana", "no address", "")]
    return created(around, tmp_path, rows, definition=factories.process())


def rows_on(page: httpx.Response) -> list[int]:
    assert page.status_code == 200
    return [int(row) for row in re.findall(r'class="number"><a href="[^"]*">(\d+)<', page.text)]


def test_rows_are_searched_by_number_and_by_a_part_of_an_address(
    around: Surroundings, address: str, waiting: int
) -> None:
    browser = signed_in(around, address, Role.ANALYST)
    here = f"/batches/{waiting}/recipients"

    assert rows_on(browser.get(here)) == [2, 3, 4, 5]
    for asked, found in {
        "3": [3],
        "ELENI@": [4],
        "07400": [4],
        "+44740": [4],
        "person": [2, 3],
        "nobody": [],
        "99": [],
    }.items():
        assert rows_on(browser.get(here, params={"q": asked})) == found, asked
    assert rows_on(browser.get(here, params={"status": "bad"})) == [5]
    assert browser.get(here, params={"status": "nonsense"}).status_code == 404


def test_the_table_goes_on_where_the_page_before_ended(around: Surroundings, address: str, tmp_path: Path) -> None:
    batch_id = created(around, tmp_path, rows_of(120), definition=factories.process())
    browser = signed_in(around, address, Role.ANALYST)
    path, seen = f"/batches/{batch_id}/recipients", []

    while path:
        page = browser.get(path)
        seen += rows_on(page)
        following = [part.split('"')[0] for part in page.text.split('href="')[1:] if 'rel="next"' in part.split(">")[0]]
        path = html.unescape(following[0]) if following else ""

    assert seen == list(range(2, 122))


def test_one_recipient_shows_values_messages_and_what_was_reported(
    around: Surroundings, address: str, waiting: int
) -> None:
    laid_out(around, waiting, channels=(EMAIL, SMS))
    sent(around, waiting, 0, RequestState.ACCEPTED)
    browser = signed_in(around, address, Role.ANALYST)

    page = browser.get(f"/batches/{waiting}/recipients/4")

    assert page.status_code == 200
    for part in (
        "Ελένη",
        "eleni@mail.example",
        "+447400123456",
        "Dear Ελένη",
        "Sent",
        f"/batches/{waiting}/recipients/4/form",
    ):
        assert part in page.text
    assert "frame-src 'self'" in page.headers["content-security-policy"]
    assert around.links.link(Place(waiting, 4)) not in page.text
    assert browser.get(f"/batches/{waiting}/recipients/99").status_code == 404
    bad = browser.get(f"/batches/{waiting}/recipients/5").text
    assert "no address" in bad
    assert "gets no message" in bad


def test_a_preview_never_shows_the_real_link_and_counts_as_nothing(
    around: Surroundings, address: str, waiting: int
) -> None:
    laid_out(around, waiting, channels=(EMAIL, SMS))
    sent(around, waiting, 0, RequestState.ACCEPTED)
    browser = signed_in(around, address, Role.ANALYST)
    token = around.links.token(Place(waiting, 2))
    here = f"/batches/{waiting}/recipients/2"

    pages = [
        browser.get(path).text for path in (here, f"{here}/email", f"{here}/form", f"/batches/{waiting}/messages?q=2")
    ]

    assert all(token not in page for page in pages)
    assert "<fieldset disabled>" in pages[2]
    assert "<script" not in pages[2]
    assert re.search(r"<dt>Opened</dt>\s*<dd>\s*[^\w\s]\s*</dd>", browser.get(here).text)


def test_a_look_at_a_recipient_is_in_the_history_once(around: Surroundings, address: str, waiting: int) -> None:
    browser = signed_in(around, address, Role.ANALYST)
    for path in ("recipients/2", "recipients/2", "recipients/2/form", "recipients/3", "messages?q=person1"):
        browser.get(f"/batches/{waiting}/{path}", follow_redirects=True)

    with around.database.read() as session:
        looks = history.newest(session, waiting, limit=9, only=[history.LOOKED])
        assert [(one.by, one.comment) for one in looks] == [
            (email_of(Role.ANALYST), "row 3"),
            (email_of(Role.ANALYST), "row 2"),
        ]


def test_messages_are_shown_in_the_page_or_on_their_own(around: Surroundings, address: str, waiting: int) -> None:
    browser = signed_in(around, address, Role.APPROVER)
    here = f"/batches/{waiting}"

    part = browser.get(f"{here}/messages?q=eleni", headers={"HX-Request": "true"})
    assert part.status_code == 200
    assert "<html" not in part.text
    assert "Dear Ελένη" in part.text
    assert browser.get(f"{here}/messages?q=eleni").headers["location"] == f"{here}/recipients/4"
    assert browser.get(f"{here}/messages").headers["location"] == f"{here}/recipients/2"
    assert "No recipient was found" in browser.get(f"{here}/messages?q=zzz", headers={"HX-Request": "true"}).text


def test_a_link_is_revoked_from_the_recipients_page(around: Surroundings, address: str, waiting: int) -> None:
    laid_out(around, waiting, channels=(EMAIL, SMS))
    sent(around, waiting, 0, RequestState.ACCEPTED)
    set_columns(around, "batch", f"id = {waiting}", phase="finished")
    browser = signed_in(around, address, Role.APPROVER)
    here = f"/batches/{waiting}/recipients/2"
    link = f"/l/{around.links.token(Place(waiting, 2))}"
    assert browser.get(link).status_code == 200

    answer = browser.post(f"{here}/revoke", data={"csrf": csrf(browser)})

    assert answer.headers["location"] == here
    assert "The link has ended" in browser.get(here).text
    assert browser.get(link).status_code == 404


# What people read


def test_an_sms_is_as_long_as_with_its_own_link(around: Surroundings, waiting: int) -> None:
    found = previews(around, waiting, 4)

    assert found.sms is not None
    own = f"Ελένη: {around.links.link(Place(waiting, 4))}"
    assert found.sms.length == length_of(own)
    assert found.sms.length.foreign == tuple("Ελένη")
    assert previews(around, waiting, 5).email is None


@pytest.mark.parametrize(
    ("text", "units", "parts"),
    [
        ("", 0, 1),
        ("a" * 160, 160, 1),
        ("a" * 161, 161, 2),
        ("€" * 80, 160, 1),
        ("я" * 70, 70, 1),
        ("я" * 71, 71, 2),
        ("😀", 2, 1),
    ],
)
def test_an_sms_is_charged_by_parts(text: str, units: int, parts: int) -> None:
    assert (length_of(text).units, length_of(text).segments) == (units, parts)


# A test to oneself


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server in the place of both providers; Prefect, which keeps their addresses, does not run here."""

    def answer(asked: object) -> Answer:
        is_sms = "Messages.json" in getattr(asked, "path", "")
        body = json.dumps({"sid": "SM" + "0" * 32, "status": "queued"}).encode() if is_sms else b""
        return Answer(201 if is_sms else 202, {"Content-Type": "application/json"}, body)

    with playing(answer) as server:

        def open_providers(_settings: object) -> Callable[[str], SendGrid | Twilio]:
            def provider(channel: str) -> SendGrid | Twilio:
                if channel == EMAIL:
                    return SendGrid(api_key="SG.x", host=server.url, timeout_seconds=5, connections=1)
                return Twilio(
                    account_sid="AC" + "0" * 32, auth_token="x", host=server.url, timeout_seconds=5, connections=1
                )

            return provider

        monkeypatch.setattr("tasks.credentials.open_providers", open_providers)
        yield server


def test_a_test_email_goes_to_who_asks_and_not_into_the_ledger(
    around: Surroundings, address: str, waiting: int, provider: Server
) -> None:
    browser = signed_in(around, address, Role.OPERATOR, email=OPERATOR)
    here = f"/batches/{waiting}/recipients/4"
    before = factories.batch(around.database, waiting).model_dump()

    answer = browser.post(f"{here}/test", data={"csrf": csrf(browser), "channel": "email"})

    assert answer.headers["location"] == here
    assert "on its way to you" in browser.get(here).text
    body = json.loads(provider.asked[0].body)
    person = body["personalizations"][0]
    assert person["to"] == [{"email": OPERATOR}]
    assert "Ελένη" in json.dumps(person, ensure_ascii=False)
    assert f"{here}/form" in json.dumps(person)
    assert around.links.token(Place(waiting, 4)) not in provider.asked[0].body.decode()
    assert person["custom_args"]["bs_batch"] != before["uid"]
    assert factories.batch(around.database, waiting).model_dump() == before
    with around.database.read() as session:
        tests = history.newest(session, waiting, limit=5, only=[history.TRIED])
        assert [(one.by, one.comment) for one in tests] == [(OPERATOR, "email of row 4")]


# Twilio's client uses both.
@pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The 'auth' parameter is deprecated:DeprecationWarning")
def test_a_test_sms_goes_to_the_number_that_was_typed(
    around: Surroundings, address: str, waiting: int, provider: Server
) -> None:
    browser = signed_in(around, address, Role.OPERATOR, email=OPERATOR)
    here = f"/batches/{waiting}/recipients/4"

    wrong = browser.post(f"{here}/test", data={"csrf": csrf(browser), "channel": "sms", "phone": "12"})
    assert wrong.status_code == 303
    assert "not a phone number" in browser.get(here).text
    browser.post(f"{here}/test", data={"csrf": csrf(browser), "channel": "sms", "phone": "07400 654321"})

    assert "on its way to you" in browser.get(here).text
    assert [b"%2B447400654321" in one.body for one in provider.asked] == [True]


def test_who_may_not_create_may_not_send_a_test(around: Surroundings, address: str, waiting: int) -> None:
    browser = signed_in(around, address, Role.ANALYST)

    answer = browser.post(f"/batches/{waiting}/recipients/2/test", data={"csrf": csrf(browser), "channel": "email"})

    assert answer.status_code == 403


def test_so_many_tests_an_hour_and_no_more(around: Surroundings, waiting: int, provider: Server) -> None:
    for _ in range(trying.MOST_AN_HOUR):
        trying.send_test(around, waiting, 2, channel=EMAIL, address=OPERATOR, who=WHO)

    with pytest.raises(TooManyTries, match="within the last hour"):
        trying.send_test(around, waiting, 2, channel=EMAIL, address=OPERATOR, who=WHO)
    assert len(provider.asked) == trying.MOST_AN_HOUR


def test_no_test_goes_to_a_suppressed_address(around: Surroundings, waiting: int, provider: Server) -> None:
    with around.database.write() as session:
        mark = Mark(EMAIL, OPERATOR, SuppressionKind.OPTED_OUT, now() - timedelta(days=1))
        suppressions.mark(session, [mark])

    with pytest.raises(NotAllowed, match="suppressed"):
        trying.send_test(around, waiting, 2, channel=EMAIL, address=OPERATOR, who=WHO)
    assert provider.asked == []


def test_a_row_without_a_message_cannot_be_tried(around: Surroundings, waiting: int, provider: Server) -> None:
    with pytest.raises(NotAllowed, match="Row 5"):
        trying.send_test(around, waiting, 5, channel=EMAIL, address=OPERATOR, who=WHO)
    with pytest.raises(NotAllowed, match="gets no SMS"):
        trying.send_test(around, waiting, 2, channel=SMS, address="+447400123456", who=WHO)
    assert provider.asked == []


def test_where_prefect_does_not_answer_no_test_is_sent(
    around: Surroundings, waiting: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_settings: object) -> None:
        raise OSError

    monkeypatch.setattr("tasks.credentials.open_providers", away)
    with pytest.raises(ServiceMissing, match="could not be read from Prefect"):
        trying.send_test(around, waiting, 2, channel=EMAIL, address=OPERATOR, who=WHO)
