"""What people try who mean harm, each try a test: nothing is given, nothing is changed, and nobody else is kept waiting.

The tries on sign-in, links, codes of platforms and approval codes stand with those: `test_sign_in`, `test_landing`,
`test_platform`, `tests/tasks/test_approval`.
"""

from __future__ import annotations

import csv
import io
import json
import re
import socket
import time
import zipfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from console import guards
from console.api import door
from console.api.door import Allowance
from console.who import cookie_name, safe_next
from deployments import accounts, acts
from deployments.acts import Person
from deployments.surroundings import surround
from domain.errors import Forbidden, NotAllowed
from domain.links import Place
from domain.proofs import digest
from domain.rights import Role, same_person
from domain.signing import result_url
from domain.states import Phase, Status
from models import batches
from settings import load
from tasks.surroundings import Surroundings
from tests import factories
from tests.console.conftest import on_both_databases
from tests.console.programs import LIST, Api, serving_api
from tests.console.web import PASSWORD, TLS, client, csrf, serving, signed_in, token, user
from tests.servers import nowhere

SCRIPT = "\"><script>steal()</script><img src=x onerror=steal()>'{{70707*10001}}${70707*10001}"
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def api(_sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with serving_api(_sqlite_template, tmp_path_factory.mktemp("attacks") / "home") as served:
        yield served


@pytest.fixture(scope="module")
def admin(api: Api) -> Iterator[httpx.Client]:
    with api.program(Role.ADMIN) as program:
        yield program


def check(program: httpx.Client, name: str, content: bytes = LIST.encode(), **more: Any) -> httpx.Response:
    return program.post("/checks?rows=all", files={"file": (name, content)}, data={"process": "small"}, **more)


# Who one is


def test_only_a_whole_key_that_holds_opens_the_api(api: Api) -> None:
    user(api.around, Role.ADMIN)
    key = api.key(Role.OPERATOR)
    gone = accounts.add_key(api.around, "gone", email=user(api.around, Role.OPERATOR))
    accounts.revoke_key(api.around, "gone")
    left = accounts.add_key(api.around, "left", email=user(api.around, Role.OPERATOR, email="left@acme.example"))
    accounts.disable_user(api.around, "left@acme.example")
    session = token(api.around, Role.ADMIN)
    tries: list[dict[str, Any]] = [
        {"headers": {"authorization": f"Bearer {one}"}}
        for one in (
            *(key[:-1], key + "A", key.swapcase(), key.removeprefix("bsk_"), digest(key), gone, left, session),
            *("null", "bsk_", "é", "bsk_" + "A" * 43, "A" * 20_000, "' OR 1=1 --"),
        )
    ]
    tries += [
        {"headers": {"authorization": f"Basic {key}"}},
        {"headers": {"authorization": key}},
        {"headers": {"x-api-key": key}},
        {"params": {"api_key": key, "authorization": f"Bearer {key}"}},
        {"cookies": {cookie_name(api.around.settings): session}},
        {"cookies": {cookie_name(api.around.settings): key}},
    ]

    with client(api.address) as nobody:
        answers = [
            httpx.request("GET", api.address + "/api/v1/batches", trust_env=False, verify=TLS, **_encoded(one))
            for one in tries
        ]
        right = nobody.get("/api/v1/batches", headers={"authorization": f"Bearer {key}"})

    assert right.status_code == 200
    assert {(answer.status_code, answer.content) for answer in answers} == {(401, answers[0].content)}


def _encoded(asked: dict[str, Any]) -> dict[str, Any]:
    headers = {name: value.encode() for name, value in asked.get("headers", {}).items()}
    return asked | {"headers": headers}


def test_only_a_whole_token_that_holds_opens_the_screen(api: Api) -> None:
    """Also not what the database keeps, should somebody have read it."""
    good = token(api.around, Role.ADMIN)
    over = token(api.around, Role.ADMIN)
    accounts.sign_out(api.around, over)
    link = api.around.links.token(Place(1, 2))
    forged = [
        good[:-1],
        good + "A",
        good.swapcase(),
        digest(good),
        over,
        link,
        api.key(Role.ADMIN),
        "",
        "A" * 43,
        "' OR ''='",
    ]

    for one in forged:
        with client(api.address) as browser:
            browser.cookies.set(cookie_name(api.around.settings), one)
            answer = browser.get("/")
            assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in"), one
            assert browser.post("/batches/1/approve", data={"csrf": "x"}).status_code in {303, 403}
    with client(api.address) as browser:
        browser.cookies.set(cookie_name(api.around.settings), good)
        assert browser.get("/").status_code == 200


def test_no_page_s_token_helps_another_sign_in(api: Api) -> None:
    batch_id = api.checked()
    mine, other = (signed_in(api.around, api.address, Role.APPROVER) for _ in range(2))
    tokens = [csrf(other), csrf(mine)[:-1], csrf(mine) + "0", csrf(mine).upper(), "", "0" * 64]

    for one in tokens:
        answer = mine.post(f"/batches/{batch_id}/reject", data={"csrf": one, "revision": 0})
        assert answer.status_code == 403, one
    assert factories.batch(api.around.database, batch_id).status == Status.PENDING_APPROVAL
    assert mine.post(f"/batches/{batch_id}/reject", data={"csrf": csrf(mine)}).status_code == 303
    assert factories.batch(api.around.database, batch_id).status == Status.ADMIN_REJECTION


def test_a_result_s_signature_is_of_one_batch_and_cannot_be_guessed(api: Api) -> None:
    batch_id, other = api.checked(), api.checked()
    path = urlsplit(result_url(api.around.settings.secret, base=api.address, batch_id=batch_id)).path
    signature = path.rsplit("/", 1)[1]
    tries = [
        signature[:-1],
        signature + "0",
        signature.upper(),
        digest(signature)[:32],
        "0" * 32,
        "%00",
        "..%2f..%2fetc",
    ]

    with client(api.address) as nobody:
        answers = [nobody.get(f"/results/{batch_id}/{one}") for one in tries]
        answers += [nobody.get(f"/results/{other}/{signature}"), nobody.get(f"/results/{10**30}/{signature}")]
        right = nobody.get(path)

    assert right.status_code == 200
    assert {answer.status_code for answer in answers} == {404}


def test_wrong_keys_are_counted_and_a_right_one_gets_through_all_the_same(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "WRONG_AT_ONCE", 5)
    with serving(api.around) as address, client(address) as guesser:
        answers = [guesser.get("/api/v1/me", headers={"authorization": f"Bearer bsk_{number}"}) for number in range(8)]
        right = guesser.get("/api/v1/me", headers={"authorization": f"Bearer {api.key(Role.ANALYST)}"})

    assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 3
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert right.status_code == 200


def test_one_program_cannot_keep_the_others_from_their_calls() -> None:
    clock = [0.0]
    allowance = Allowance(at_once=3, per_second=2, clock=lambda: clock[0])

    assert [allowance.take("loud") for _ in range(5)] == [0, 0, 0, 1, 1]
    assert allowance.take("quiet") == 0
    clock[0] = 1.0
    assert [allowance.take("loud") for _ in range(3)] == [0, 0, 1]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("ann@acme.example", " Ann@ACME.example ", True),
        ("ann@acme.example", "\uff41\uff4e\uff4e@acme.example", True),
        ("ann@acme.example", "ann@acme.example.", True),
        ("ann@acme.example", "ann@acme。example", True),
        ("ann@acme.example", "a\u200bnn@acme.example", True),
        ("ann@acme.example", "a\u00adnn@acme.example", True),
        ("straße@acme.example", "STRASSE@acme.example", True),
        ("jose\u0301@acme.example", "jos\u00e9@acme.example", True),
        # A company may give out several: these are two people.
        ("ann@acme.example", "ann+boss@acme.example", False),
        ("ann@acme.example", "a.nn@acme.example", False),
        ("ann@acme.example", "аnn@acme.example", False),  # noqa: RUF001  a Cyrillic letter: another mailbox
    ],
)
def test_nobody_becomes_two_people_by_spelling(one: str, other: str, same: bool) -> None:
    assert same_person(one, other) is same


def test_nobody_approves_their_own_batch_under_another_spelling(api: Api) -> None:
    batch_id = api.checked(sender="\uff21\uff4e\uff4e@acme.example.")

    with pytest.raises((NotAllowed, Forbidden)):
        acts.approve(api.around, batch_id, who=Person("ann@acme.example", "test"))

    assert factories.batch(api.around.database, batch_id).status == Status.PENDING_APPROVAL


# Where one is sent


@pytest.mark.parametrize(
    "elsewhere",
    [
        *("https://evil.example", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example"),
        *("https:evil.example", "http:/evil.example", "javascript:alert(1)", "data:text/html,x", " //evil.example"),
        *(
            "/\t/evil.example",
            "/\r\nLocation: https://evil.example",
            "/\x00",
            "/%5cevil.example\\",
            "evil.example",
            ".",
        ),
        *("/sign-in?next=/", "@evil.example", "/" + "a" * 3000, "/\u2028/evil.example"),
    ],
)
def test_nobody_is_sent_to_another_place(api: Api, elsewhere: str) -> None:
    user(api.around, Role.OPERATOR)
    with client(api.address) as browser:
        page = browser.post(
            "/sign-in", data={"email": "operator@acme.example", "password": "wrong password", "next": elsewhere}
        )
    wanted = re.search(r'name="next" value="([^"]*)"', page.text)

    assert safe_next(elsewhere) == "/"
    assert "evil.example" not in (wanted[1] if wanted else "")
    assert "location" not in page.headers


def test_the_host_that_somebody_names_is_in_no_answer(api: Api) -> None:
    evil = {"host": "evil.example", "x-forwarded-host": "evil.example", "forwarded": "host=evil.example"}
    batch_id = api.checked()
    browser = signed_in(api.around, api.address, Role.ADMIN)
    cookie = f"{cookie_name(api.around.settings)}={browser.cookies[cookie_name(api.around.settings)]}"
    key = {"authorization": f"Bearer {api.key(Role.ADMIN)}"}
    shown = f"/api/v1/batches/{batch_id}/recipients/2"

    with client(api.address) as asked:
        answers = [
            asked.get(path, headers=evil) for path in ("/", "/sign-in", "/l/x", "/static", "/api/v1", "/nothing")
        ]
        answers += [asked.get(f"/batches/{batch_id}", headers=evil | {"cookie": cookie})]
        answers += [asked.get(path, headers=evil | key) for path in ("/api/v1/openapi.json", shown, "/api/v1/batches/")]

    for answer in answers:
        told = answer.text + str(answer.headers)
        assert "evil.example" not in told, answer.url
    assert api.around.settings.links_base in answers[-2].json()["email_message"]["text"]


def test_a_get_changes_nothing_whatever_method_it_claims_to_be(api: Api) -> None:
    batch_id = api.checked()
    browser = signed_in(api.around, api.address, Role.ADMIN)
    claims = dict.fromkeys(("x-http-method-override", "x-method-override", "x-http-method"), "POST")

    for act in ("approve", "reject", "archive", "pause"):
        told = {"_method": "POST", "csrf": csrf(browser), "revision": "0"}
        browser.get(f"/batches/{batch_id}/{act}", params=told, headers=claims)
        browser.head(f"/batches/{batch_id}/{act}", headers=claims)
    with api.program(Role.ADMIN) as program:
        answer = program.get(f"/batches/{batch_id}/approve", params={"_method": "POST"}, headers=claims)

    assert answer.status_code == 405
    found = factories.batch(api.around.database, batch_id)
    assert (found.status, found.archived_at, found.phase) == (Status.PENDING_APPROVAL, None, Phase.WAITING)


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e/%2e%2e/settings/__init__.py",
        "/static/....//app.py",
        "/static//etc/passwd",
        "/static/%00",
        "/api/v1/processes/..%2f..%2fme",
        "/api/v1/problems/%2e%2e%2fme",
        "/api/v1//me",
        "/api/v1/batches/1%00/result",
        "/api/v1/batches/-1",
        "/api/v1/batches/1%0a/result",
        "/api/v1/batches/99999999999999999999",
    ],
)
def test_no_address_leads_out_of_its_place(api: Api, path: str) -> None:
    with api.program(Role.ADMIN) as program:
        request = program.build_request("GET", api.address)
        request.url = request.url.copy_with(raw_path=path.encode())
        answer = program.send(request)

    assert answer.status_code in {404, 422}, answer.text
    assert "import" not in answer.text
    assert "root:" not in answer.text


# What is uploaded


@pytest.mark.parametrize(
    "name",
    [
        *("../../x.csv", "..\\..\\x.csv", "C:\\x.csv", "/etc/passwd", "~/.bashrc", "....//x.csv", ".", "..", ".csv"),
        *(
            "a\x00b.csv",
            'a"b.csv',
            "a\r\nSet-Cookie: x=1.csv",
            "a\u202evsc.exe.csv",
            "a\u2028b.csv",
            "x" * 10_000 + ".csv",
        ),
        *(
            "é" * 200 + ".csv",
            "<script>steal()</script>.csv",
            "a;b=c.csv",
            "a%0d%0ab.csv",
            "x.csv/",
            "x." + "y" * 500,
            "   ",
        ),
        *("x.csv\u200f", "$(touch x).csv", "`id`.csv", "-rf.csv", "|x.csv", "con.csv"),
    ],
)
def test_a_file_s_name_is_only_a_name(api: Api, admin: httpx.Client, name: str) -> None:
    content = b'--line\r\ncontent-disposition: form-data; name="process"\r\n\r\nsmall\r\n'
    shown = name.replace('"', "%22").replace("\r", "").replace("\n", "")  # as browsers send it
    content += f'--line\r\ncontent-disposition: form-data; name="file"; filename="{shown}"\r\n\r\n{LIST}\r\n--line--\r\n'.encode()
    form = {"content-type": "multipart/form-data; boundary=line"}
    before = _files_outside(api.around)

    made = admin.post("/batches", content=content, headers=form)

    if made.status_code != 201:
        assert made.status_code in {400, 422}, made.text
        return
    kept = made.json()["file"]
    assert not re.search(r"[\x00-\x1f\x7f/\\\u2028\u2029\u202a-\u202e\u2066-\u2069]", kept)
    assert kept not in {"", ".", ".."}
    assert len(kept.encode()) <= 255
    header = admin.get(f"/batches/{made.json()['id']}/original").headers["content-disposition"]
    assert re.fullmatch(r"attachment; filename(=\"[^\"\\\r\n/]*\"|\*=utf-8''[A-Za-z0-9._~%!$&+^`|-]*)", header), header
    assert _files_outside(api.around) == before


def _files_outside(around: Surroundings) -> set[Path]:
    """What lies where no upload belongs: an upload lies in the folder of its batch."""
    home = around.settings.home
    known = {"bulk-sender.db", "bulk-sender.db-wal", "bulk-sender.db-shm", "secret.key", "files", "scratch", "batches"}
    places = [place for place in (home.parent, home, home / "files", Path.cwd(), Path.cwd().parent) if place.is_dir()]
    return {path for place in places for path in place.iterdir() if path.name not in known}


class Page(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.alarms: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "script" and not (found.get("src") or "").startswith("/static/"):
            self.alarms.append(self.get_starttag_text() or tag)
        if tag == "img" and not (found.get("src") or "").startswith(("/static/", "data:")):
            self.alarms.append(self.get_starttag_text() or tag)
        if any(name.startswith("on") or (value or "").lower().startswith("javascript:") for name, value in attrs):
            self.alarms.append(self.get_starttag_text() or tag)
        if tag == "a" and found.get("href"):
            self.links.append(found["href"] or "")


def test_a_script_in_every_cell_and_name_runs_on_no_page(api: Api) -> None:
    """Every page that can be reached from the list, and whatever they ask for."""
    text = io.StringIO()
    rows = [["first_name", "email", "phone", SCRIPT], [SCRIPT, "ann@mail.example", "", SCRIPT], [SCRIPT] * 4]
    csv.writer(text).writerows(rows)
    batch_id = api.checked(name=SCRIPT, file_name=f"{SCRIPT.replace('/', '')}.csv", text=text.getvalue())
    with api.around.database.write() as session:
        batches.note_act(session, batch_id, factories.act(comment=SCRIPT), name="settle")
    browser = signed_in(api.around, api.address, Role.ADMIN)
    browser.timeout = httpx.Timeout(60)
    wanted = ["/", f"/?search={SCRIPT}", f"/people?q={SCRIPT}", "/people?q=ann@mail.example", f"/batches/{batch_id}"]
    wanted += [
        f"/batches/{batch_id}/recipients?q={SCRIPT}",
        f"/batches/{batch_id}/recipients/3",
        "/batches/new",
        f"/{SCRIPT}",
    ]
    seen: set[str] = set()

    shown = 0
    while wanted and len(seen) < 60:
        path = wanted.pop(0)
        if path in seen or (re.match(r"/batches/\d+", path) and not re.match(rf"/batches/{batch_id}\b", path)):
            continue
        seen.add(path)
        answer = browser.get(path)
        if not answer.headers.get("content-type", "").startswith("text/html"):
            continue
        page = Page(answer.text)
        assert not page.alarms, (path, page.alarms)
        assert "707140707" not in answer.text, "it is no template"
        shown += "steal()" in answer.text
        links = [urlsplit(urljoin(path, link)) for link in page.links if not urlsplit(link).netloc]
        wanted += [link.path + (f"?{link.query}" if link.query else "") for link in links]

    assert shown >= 5, "the cells are shown, as text"


def test_a_script_is_only_text_for_programs_too(admin: httpx.Client) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([["first_name", "email", SCRIPT], [SCRIPT, SCRIPT, SCRIPT]])

    answers = [
        check(admin, "x.csv", text.getvalue().encode()),
        check(admin, f"{SCRIPT}.csv", b"a,b\n1,2\n"),
        admin.post("/checks", json={"process": SCRIPT, "rows": [{"email": SCRIPT}]}),
        admin.post("/checks", json={SCRIPT: SCRIPT}),
        admin.get("/batches", params={"sort": SCRIPT, "cursor": SCRIPT}),
        admin.get(f"/{SCRIPT}"),
    ]

    for answer in answers:
        assert answer.headers["content-type"] in {"application/json", "application/problem+json"}
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answers[0].json()["rows"][0]["values"]["first_name"] == SCRIPT


FORMULAS = ["=1+1", "+1+1", "-1+1", "@SUM(1)", "\t=1+1", '=HYPERLINK("http://evil.example")', "=cmd|' /C calc'!A0"]


def test_formulas_are_texts_in_every_workbook_that_we_give(api: Api, admin: httpx.Client) -> None:
    """What came as text stays text, and what we add never begins like a formula, in a CSV either."""
    book = io.BytesIO()
    with zipfile.ZipFile(book, "w") as parts:
        for part, written in _workbook(
            [["first_name", "email", "phone"], *[[one, one, ""] for one in FORMULAS]]
        ).items():
            parts.writestr(part, written)
    uploads = {
        "x.xlsx": book.getvalue(),
        "x.csv": _csv([["first_name", "email", "phone"], *[[one, one, ""] for one in FORMULAS]]),
    }
    for name, content in uploads.items():
        made = admin.post("/batches", files={"file": (name, content)}, data={"process": "small"})
        assert made.status_code == 201, made.text
        batch_id = made.json()["id"]
        _judge(api, batch_id)
        for kind in ("bad-rows", "result"):
            got = admin.get(f"/batches/{batch_id}/{kind}")
            assert got.status_code == 200, got.text
            if name.endswith("xlsx"):
                _has_no_formula(got.content)
            else:
                lines = list(csv.reader(io.StringIO(got.content.decode("utf-8-sig"))))
                added = [cell for line in lines for cell in line[3:]]
                assert added
                assert not [cell for cell in added if cell[:1] in set("=+-@\t\r")]


def _csv(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _judge(api: Api, batch_id: int) -> None:
    from tasks.validate import validate  # noqa: PLC0415  it loads much

    validate(api.around, batch_id)


def _has_no_formula(content: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        sheets = [name for name in parts.namelist() if re.fullmatch(r"xl/worksheets/[^/]*\.xml", name)]
        assert sheets
        for name in sheets:
            sheet = parts.read(name).decode()
            assert "<hyperlink" not in sheet
            assert not re.search(r"<f[ >]", sheet), name


def _workbook(rows: list[list[str]], *, prefix: str = "", tail: str = "") -> dict[str, str]:
    """The parts of a small workbook; `prefix` stands before its sheet, `tail` in its last cell."""

    def cell(text: str) -> str:
        safe = text.replace("&", "&amp;").replace("<", "&lt;")
        return f'<c t="inlineStr"><is><t xml:space="preserve">{safe}</t></is></c>'

    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    lines = "".join(f"<row>{''.join(cell(text) for text in row)}</row>" for row in rows)
    last = f'<row><c t="inlineStr"><is><t>{tail}</t></is></c></row>' if tail else ""
    main = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    return {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{main}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{main}.worksheet+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships">'
        f'<Relationship Id="r1" Type="{relations}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook {space} xmlns:r="{relations}"><sheets>'
        '<sheet name="A" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        f'<Relationship Id="r1" Type="{relations}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f"{prefix}<worksheet {space}><sheetData>{lines}{last}</sheetData></worksheet>",
    }


@pytest.mark.parametrize("bomb", ["entities", "outside", "zeros", "nested"])
def test_a_bomb_of_xml_or_zip_harms_nobody(admin: httpx.Client, bomb: str) -> None:
    rows = [["first_name", "email"], ["Ann", "ann@mail.example"]]
    many = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10 if n else "lol" * 10}">' for n in range(10))
    bombs: dict[str, dict[str, str]] = {
        "entities": _workbook(rows, prefix=f"<!DOCTYPE x [{many}]>", tail="&a9;"),
        "outside": _workbook(rows, prefix='<!DOCTYPE x [<!ENTITY p SYSTEM "file:///etc/passwd">]>', tail="&p;"),
        "zeros": _workbook(rows) | {"xl/sharedStrings.xml": "<sst>" + " " * 80_000_000},
        "nested": _workbook(rows, tail="<t>" * 200_000),
    }
    book = io.BytesIO()
    with zipfile.ZipFile(book, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for name, content in bombs[bomb].items():
            file.writestr(name, content)

    answer = check(admin, "list.xlsx", book.getvalue())

    assert answer.status_code in {200, 422}, answer.text
    assert "root:" not in answer.text
    assert "lollol" not in answer.text
    assert check(admin, "list.csv").json()["counts"]["rows"] == 3


# What is too much


def test_what_says_that_it_is_too_large_is_refused_before_it_comes(api: Api) -> None:
    key = api.key(Role.OPERATOR)
    for path, most in (("/api/v1/checks", 2 * 2**20), ("/api/v1/people/search", 2**16), ("/api/v1/nothing", 2**16)):
        with _connected(api) as connection:
            connection.sendall(_head(path, key, f"Content-Length: {most + 1}"))
            assert _status(connection) == 413, path
        for nonsense in ("-1", "1e3", "9" * 5000):
            with _connected(api) as connection:
                connection.sendall(_head(path, key, f"Content-Length: {nonsense}"))
                assert _status(connection) in {400, 413}


@pytest.mark.parametrize("path", ["/checks", "/batches", "/batches/1/corrections", "/people/search", "/links/exchange"])
def test_what_turns_out_to_be_too_large_is_broken_off(admin: httpx.Client, path: str) -> None:
    """A little more than it may be, without a word of its length."""
    is_form = not path.startswith(("/people", "/links"))

    def growing() -> Iterator[bytes]:
        yield b'--x\r\ncontent-disposition: form-data; name="file"; filename="x.csv"\r\n\r\n'
        for _ in range(16 if is_form else 1):
            yield b"a" * 65_536
        yield b"a" * 100

    kind = "multipart/form-data; boundary=x" if is_form else "application/json"
    answer = admin.post(path, content=growing(), headers={"content-type": kind})

    assert answer.status_code == 413, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_body_that_does_not_come_is_not_waited_for_and_keeps_nobody_waiting(
    api: Api, admin: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guards, "LONGEST_PAUSE_SECONDS", 2.0)
    key = api.key(Role.OPERATOR)
    form = "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 50000"
    slow = [_connected(api) for _ in range(50)]
    for place, connection in enumerate(slow):
        path = ("/api/v1/checks", "/api/v1/people/search", "/sign-in")[place % 3]
        connection.sendall(_head(path, key, form) + b"--x\r\n")

    began = time.monotonic()
    assert check(admin, "list.csv").status_code == 200
    assert admin.get("/me").status_code == 200
    waited = time.monotonic() - began

    assert {_status(connection) for connection in slow} == {408}
    for connection in slow:
        connection.close()
    assert waited < 20, "the others did not wait for them"


def test_a_body_that_trickles_is_broken_off(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "GRACE_SECONDS", 1.0)
    key = api.key(Role.OPERATOR)
    form = "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 50000"

    with _connected(api) as connection:
        connection.sendall(
            _head("/api/v1/checks", key, form) + b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
        )
        connection.settimeout(0.1)
        until = time.monotonic() + 20
        answer = b""
        while not answer and time.monotonic() < until:
            connection.sendall(b"a")
            try:
                answer = connection.recv(100)
            except TimeoutError:
                continue

    assert answer.startswith(b"HTTP/1.1 408")


def _connected(api: Api) -> socket.socket:
    parts = urlsplit(api.address)
    return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20)


def _head(path: str, key: str, more: str) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n{more}\r\n\r\n".encode()


def _status(connection: socket.socket) -> int:
    with connection.makefile("rb") as file:
        return int(file.readline().split()[1])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[" * 100_000 + b"]" * 100_000, 413),
        (b"[" * 30_000 + b"]" * 30_000, 400),
        (b'{"a":' * 900 + b"1" + b"}" * 900, 422),
        (b'{"address": 1' + b"0" * 5000 + b"}", 400),
        (b'{"address": 1e999999}', 400),
        (b'{"address": NaN}', 400),
        (b'{"address": "a@b.example", "address": "c@d.example"}', 400),
        (b'{"address": "\\ud800xxx"}', 400),
        (b'{"address": "a\\u0000b@c.example"}', 422),
        (b"\xff\xfe{}", 400),
        (b"\xef\xbb\xbf{}", 400),
        (b'{"address": "a@b.example"} x', 400),
        (b'"text"', 422),
        (b"null", 422),
        (b"", 422),
        (b'{"address": "a@b.example", "more": 1}', 422),
    ],
)
def test_odd_json_is_refused_in_words(admin: httpx.Client, body: bytes, status: int) -> None:
    for path in ("/people/search", "/checks"):
        answer = admin.post(path, content=body, headers=JSON)
        expected = {status} if path == "/people/search" else {400, 413, 422}
        assert answer.status_code in expected, answer.text
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/xml", "application/x-www-form-urlencoded", "", "application/json-x"]
)
def test_only_what_is_called_json_is_read_as_json(admin: httpx.Client, kind: str) -> None:
    """A form of another site can send these without asking first."""
    for path in ("/people/search", "/checks", "/batches/1/archive"):
        answer = admin.post(path, content=b'{"address": "a@b.example"}', headers={"content-type": kind})
        assert answer.status_code == 415, (path, answer.text)


def test_no_other_site_s_page_may_ask(api: Api) -> None:
    asked = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    with api.program(Role.ADMIN) as program:
        answers = [program.options("/batches", headers=asked), program.get("/batches", headers=asked)]

    assert not [name for answer in answers for name in answer.headers if name.startswith("access-control-")]


# Words for databases

WORDS = [
    "'; DROP TABLE batch; --",
    "' OR '1'='1",
    "%",
    "_",
    "\\",
    "%%%' ESCAPE '",
    "\x00",
    "\ud800",
    "a\x00b",
    "ǅ" * 60,
    "١٢",
]


@on_both_databases
def test_no_word_reaches_the_database_as_more_than_a_word(around: Surroundings) -> None:
    """On both databases: PostgreSQL, for one, takes no zero byte."""
    batch_id = factories.add_batch(around.database, definition=factories.process(), name="March")
    far = surround(load(home=around.settings.home, database_url=around.database.url, prefect_api_url=nowhere()))
    key = accounts.add_key(around, "words", email=user(around, Role.ADMIN))
    with (
        serving(far) as address,
        signed_in(around, address, Role.ADMIN) as browser,
        client(address + "/api/v1") as program,
        client(address) as nobody,
    ):
        program.headers["authorization"] = f"Bearer {key}"
        page_token = csrf(browser)
        for word in WORDS:
            answers = [
                *_on_the_screen(browser, nobody, batch_id, page_token, word),
                *_by_a_program(program, batch_id, word),
            ]
            assert [(one.status_code, str(one.url), word) for one in answers if one.status_code >= 500] == []
        names = [one["name"] for one in program.get("/batches?status=Archived&status=Pending Approval").json()["items"]]
        found = {sign: program.get("/batches", params={"search": sign}).json()["items"] for sign in ("%", "_", "\\")}

    assert names == ["March"]
    assert found == {"%": [], "_": [], "\\": []}, "no sign stands for others"
    far.database.close()


def _quoted(word: str) -> str:
    return "".join(f"%{byte:02x}" for byte in word.encode("utf-8", "surrogatepass"))


def _on_the_screen(
    browser: httpx.Client, nobody: httpx.Client, batch_id: int, page_token: str, word: str
) -> list[httpx.Response]:
    quoted, sent = _quoted(word), word.encode("utf-8", "surrogatepass")
    pages = [
        *(f"/?search={quoted}", f"/?sort={quoted}&order={quoted}&status={quoted}", f"/people?q={quoted}"),
        *(f"/batches/{batch_id}/recipients?q={quoted}&show={quoted}", f"/batches/{quoted}", f"/l/{quoted}"),
    ]
    form = {"email": sent, "password": sent, "next": sent}
    said = {"csrf": page_token, "comment": sent}
    return [
        *(browser.get(path) for path in pages),
        *(nobody.post(path, data=form) for path in ("/sign-in", f"/l/{quoted}")),
        *(browser.post(f"/batches/{batch_id}/{act}", data=said) for act in ("archive", "pause", "reject")),
    ]


def _by_a_program(program: httpx.Client, batch_id: int, word: str) -> list[httpx.Response]:
    quoted, escaped = _quoted(word), json.dumps(word)
    lists = [
        *(f"/batches?search={quoted}", f"/batches?sort={quoted}", f"/batches?cursor={quoted}"),
        *(f"/processes/{quoted}", f"/processes/{quoted}/example", f"/suppressions?channel={quoted}"),
        *(f"/batches/{batch_id}/recipients?show={quoted}", f"/batches/{quoted}"),
    ]
    bodies = {
        "/people/search": f'{{"address": {escaped}}}',
        "/suppressions": f'{{"channel": "email", "address": {escaped}}}',
        "/checks": f'{{"process": {escaped}, "rows": [{{"email": {escaped}}}]}}',
        "/checks?rows=all": f'{{"process": "small", "rows": [{{"email": {escaped}, "first_name": {escaped}}}]}}',
        f"/batches/{batch_id}/archive": f'{{"comment": {escaped}}}',
        "/links/complete": f'{{"recipient": {escaped}}}',
    }
    return [
        *(program.get(path) for path in lists),
        *(program.post(path, content=body.encode(), headers=JSON) for path, body in bodies.items()),
        program.get(f"/batches/{batch_id}", headers={"If-None-Match": "'; --"}),
    ]


def test_a_fault_inside_says_nothing_of_itself(
    api: Api,
    admin: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not to whoever brought it about, and not to the log: its text may quote somebody."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(f"ann@{'mail.example'}")  # written so, because the log has lines of code

    monkeypatch.setattr(batches, "matching", broken)
    told = admin.get("/batches")
    shown = signed_in(api.around, api.address, Role.ADMIN).get("/")

    assert (told.status_code, told.json()["type"]) == (500, "/api/v1/problems/fault")
    assert shown.status_code == 500
    assert "content-security-policy" in shown.headers
    logged = "".join(capfd.readouterr()) + caplog.text
    assert "RuntimeError" in logged
    assert "ann@mail.example" not in told.text + shown.text + logged


def test_guesses_of_passwords_are_answered_alike(around: Surroundings) -> None:
    for role in (Role.ADMIN, Role.OPERATOR, Role.ANALYST):
        user(around, role)
    accounts.disable_user(around, "analyst@acme.example")
    with serving(around) as address, client(address) as browser:
        forms = [
            ("operator@acme.example", "wrong password"),
            ("nobody@acme.example", PASSWORD),
            ("analyst@acme.example", PASSWORD),
        ]
        pages = [browser.post("/sign-in", data={"email": email, "password": word}) for email, word in forms]

    said = {page.text.replace(email, "") for page, (email, _) in zip(pages, forms, strict=True)}
    assert (len(said), {page.status_code for page in pages}) == (1, {403})
