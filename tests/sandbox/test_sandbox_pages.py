"""Pages for people: the outbox, one message, the switches; hostile content stays text."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from sandbox.links import framed, with_links

Send = Callable[..., httpx.Response]
Mail = Callable[..., dict[str, Any]]

EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{ 123456 * 2 }}"
BANNER = "Sandbox: nothing is really sent."


class Tags(HTMLParser):
    """All start tags of a page with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def of(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.found if tag == name]


def message_path(sandbox: httpx.Client) -> str:
    return f"/messages/{sandbox.get('/sandbox/messages', params={'state': 'all'}).json()['messages'][0]['id']}"


def token(page: httpx.Response) -> str:
    found = re.search(r'name="token" value="([^"]+)"', page.text)
    assert found
    return found[1]


@pytest.mark.parametrize(
    "path", ["/", "/?page=9&search=x&state=all&provider=twilio", "/faults", "/messages/0", "/nothing"]
)
def test_every_page_says_that_nothing_is_really_sent(sandbox: httpx.Client, path: str) -> None:
    page = sandbox.get(path)
    assert BANNER in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    tags = Tags(page.text)
    assert tags.of("script") == tags.of("style") == []
    assert [one for _, one in tags.found if "style" in one] == []


def test_the_outbox_shows_newest_first_and_in_pages(sandbox: httpx.Client, send_mail: Send, mail: Mail) -> None:
    send_mail(mail(*[f"p{number:02}@mail.example" for number in range(51)]))
    first = sandbox.get("/").text
    assert first.index("p50@mail.example") < first.index("p49@mail.example")
    assert "p00@mail.example" not in first
    older = next(one["href"] for one in Tags(first).of("a") if one.get("rel") == "next")
    assert older
    last = sandbox.get(older).text
    assert "p00@mail.example" in last
    assert "p01@mail.example" not in last


def test_the_outbox_is_filtered(sandbox: httpx.Client, send_mail: Send, send_sms: Send, mail: Mail) -> None:
    sandbox.put("/sandbox/suppressions", json={"sendgrid": ["gone@mail.example"]}).raise_for_status()
    send_mail(mail("ana@mail.example", "gone@mail.example"))
    send_sms()

    def shown(query: str) -> list[bool]:
        page = sandbox.get(f"/?{query}").text
        return [address in page for address in ("ana@mail.example", "gone@mail.example", "+447700900001")]

    assert shown("") == [True, False, True]
    assert shown("provider=twilio") == [False, False, True]
    assert shown("provider=sendgrid") == [True, False, False]
    assert shown("search=ANA") == [True, False, False]
    assert shown("state=dropped") == [False, True, False]
    assert shown("state=all") == [True, True, True]


def test_hostile_content_stays_text(sandbox: httpx.Client, send_mail: Send, mail: Mail) -> None:
    people = [
        {"to": [{"email": "eve@mail.example", "name": EVIL}], "custom_args": {EVIL: EVIL}, "headers": {EVIL: EVIL}}
    ]
    send_mail(
        mail(
            personalizations=people,
            subject=EVIL,
            content=[{"type": "text/plain", "value": EVIL}, {"type": "text/html", "value": EVIL}],
            **{
                "from": {"email": "a@acme.example", "name": EVIL},
                "categories": [EVIL],
                "reply_to": {"email": "r@b.example"},
            },
        )
    )
    for path in ("/", message_path(sandbox), f"/?search={EVIL}"):
        page = sandbox.get(path)
        assert page.status_code == 200
        tags = Tags(page.text)
        assert tags.of("script") == tags.of("img") == []
        assert "246912" not in page.text
    frame = Tags(sandbox.get(message_path(sandbox)).text).of("iframe")[0]
    assert frame["sandbox"] == "allow-popups allow-popups-to-escape-sandbox"
    assert frame["srcdoc"] == f'<!doctype html><base target="_blank">{EVIL}'


def test_hostile_sms_stays_text(sandbox: httpx.Client, send_sms: Send) -> None:
    send_sms({"Body": EVIL + " https://go.example/a?b=1&c=2", "From": "Acme"})
    tags = Tags(sandbox.get(message_path(sandbox)).text)
    assert tags.of("script") == tags.of("img") == tags.of("iframe") == []
    link = next(one for one in tags.of("a") if one.get("target"))
    assert link["href"] == "https://go.example/a?b=1&c=2"
    assert "noopener" in str(link["rel"])


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("see https://a.example/x.", ["https://a.example/x"]),
        ("(http://a.example/x), HTTPS://b.example", ["http://a.example/x", "HTTPS://b.example"]),
        ("javascript:alert(1) data:text/html,x ftp://a.example", []),
        ('https://a.example/"onmouseover="alert(1)', ["https://a.example/"]),
        ("https://a.example/<b>", ["https://a.example/"]),
        ("https://a.example/?a=1&b=2", ["https://a.example/?a=1&b=2"]),
        ("nothing", []),
    ],
)
def test_only_web_addresses_become_links(text: str, links: list[str]) -> None:
    made = with_links(text)
    assert [one["href"] for one in Tags(made).of("a")] == links
    assert made.striptags() == " ".join(text.split())


@pytest.mark.parametrize(
    ("html", "shown"),
    [
        ("<p>x</p>", '<!doctype html><base target="_blank"><p>x</p>'),
        ("<html><HEAD lang=en><p>", '<html><HEAD lang=en><base target="_blank"><p>'),
        ("<header>x</header>", '<!doctype html><base target="_blank"><header>x</header>'),
    ],
)
def test_links_of_an_email_open_in_a_new_tab(html: str, shown: str) -> None:
    assert framed(html) == shown


def test_a_dropped_message_says_that_it_was_not_received(sandbox: httpx.Client, send_mail: Send, mail: Mail) -> None:
    sandbox.put("/sandbox/suppressions", json={"sendgrid": ["ana@mail.example"]}).raise_for_status()
    send_mail(mail("ana@mail.example"))
    assert "Not received: this message was dropped (Bounced Address)." in sandbox.get(message_path(sandbox)).text


def test_a_template_shows_its_data(sandbox: httpx.Client, send_mail: Send, mail: Mail) -> None:
    people = [{"to": [{"email": "a@b.example"}], "dynamic_template_data": {"name": "Ana & Bob"}}]
    send_mail(mail(template_id="d-17", content=None, subject=None, personalizations=people))
    page = sandbox.get(message_path(sandbox)).text
    assert "Template d-17" in page
    assert "Ana &amp; Bob" in page


def test_faults_are_switched_by_form(sandbox: httpx.Client) -> None:
    form = {"token": token(sandbox.get("/faults")), "provider": "twilio"}
    added = {**form, "action": "add", "kind": "429", "percent": "25", "headers": "no", "retry_after": "3", "on": "all"}
    assert sandbox.post("/faults", data=added).status_code == 303
    sandbox.post("/faults", data={**form, "action": "add", "kind": "slow", "next": "2", "headers": "yes"})
    assert sandbox.get("/sandbox/faults").json()["twilio"] == [
        {"kind": "429", "fraction": 0.25, "on": "all", "headers": False, "retry_after": 3},
        {"kind": "slow", "next": 2},
    ]
    assert "the next 2" in sandbox.get("/faults").text
    sandbox.post("/faults", data={**form, "action": "remove", "place": "0"})
    assert sandbox.get("/sandbox/faults").json()["twilio"] == [{"kind": "slow", "next": 2}]
    sandbox.post("/faults", data={"token": form["token"], "action": "clear"})
    assert sandbox.get("/sandbox/faults").json()["twilio"] == []


@pytest.mark.parametrize(
    "change", [{"percent": "many"}, {"percent": "101"}, {"kind": "quake"}, {"provider": "x"}, {"next": "0"}]
)
def test_a_form_that_is_wrong_says_so(sandbox: httpx.Client, change: dict[str, str]) -> None:
    form = {"token": token(sandbox.get("/faults")), "provider": "twilio", "action": "add", "kind": "429"}
    answer = sandbox.post("/faults", data={**form, **change})
    assert answer.status_code == 400
    assert "Not added" in answer.text


def test_the_outbox_is_emptied_by_form(sandbox: httpx.Client, send_sms: Send) -> None:
    send_sms()
    form = {"token": token(sandbox.get("/"))}
    assert sandbox.post("/empty", data=form).headers["Location"] == "/"
    assert sandbox.get("/sandbox/counts").json()["twilio"]["messages"] == 0


@pytest.mark.parametrize("path", ["/empty", "/faults"])
def test_a_form_of_another_site_changes_nothing(sandbox: httpx.Client, send_sms: Send, path: str) -> None:
    send_sms()
    sandbox.put("/sandbox/faults", json={"twilio": [{"kind": "slow"}]}).raise_for_status()
    for form in ({"action": "clear"}, {"action": "clear", "token": "guess"}):
        assert sandbox.post(path, data=form).status_code == 403
    assert sandbox.get("/sandbox/counts").json()["twilio"]["messages"] == 1
    assert sandbox.get("/sandbox/faults").json()["twilio"] == [{"kind": "slow"}]


def test_the_stylesheet_is_our_own(sandbox: httpx.Client) -> None:
    page = sandbox.get("/")
    sheets = [one["href"] for one in Tags(page.text).of("link")]
    assert sheets == ["/static/icon.svg", "/static/sandbox.css"]
    for sheet in sheets:
        assert sandbox.get(str(sheet)).status_code == 200
    assert "://" not in sandbox.get("/static/sandbox.css").text
