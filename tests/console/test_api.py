"""The API: the whole life of a batch, what each key may do, and that a repeated call changes nothing."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from console.api import batches as batch_routes
from domain.rights import Role
from domain.states import Phase, Status
from models import batches
from tests import factories
from tests.console.programs import LIST, ROWS, Api, serving_api
from tests.console.web import client
from tests.servers import Answer

PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def api(_sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with serving_api(_sqlite_template, tmp_path_factory.mktemp("api") / "home") as served:
        yield served


@pytest.fixture(scope="module")
def operator(api: Api) -> Iterator[httpx.Client]:
    with api.program(Role.OPERATOR) as program:
        yield program


@pytest.fixture(scope="module")
def approver(api: Api) -> Iterator[httpx.Client]:
    with api.program(Role.APPROVER) as program:
        yield program


def upload(**more: str) -> dict[str, Any]:
    return {"files": {"file": ("march.csv", LIST.encode())}, "data": {"process": "small", **more}}


def is_problem(answer: httpx.Response, status: int, name: str) -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM), answer.text
    told = answer.json()
    assert (told["status"], told["type"]) == (status, f"/api/v1/problems/{name}")
    assert told["title"]
    assert told["detail"].endswith(".") or "bulk-sender" in told["detail"] or "/" in told["detail"]


def test_a_file_and_the_same_rows_are_checked_alike(operator: httpx.Client) -> None:
    of_file = operator.post("/checks?rows=bad", **upload()).json()
    of_rows = operator.post("/checks?rows=bad", json={"process": "small", "rows": ROWS}).json()

    assert of_file["counts"] == {"rows": 3, "valid": 2, "invalid": 1, "warnings": 0}
    assert of_rows == of_file
    assert [(row["row"], row["valid"]) for row in of_rows["rows"]] == [(4, False)]
    assert operator.post("/checks?rows=all&limit=2", **upload()).json()["more_rows"] is True


def test_numbers_are_taken_as_they_are_written(operator: httpx.Client) -> None:
    """A program's JSON must not lose the zeros that a spreadsheet would keep."""
    body = b'{"process": "small", "rows": [{"first_name": 1.50, "email": "a@mail.example"}]}'

    found = operator.post("/checks?rows=all", content=body, headers={"content-type": "application/json"}).json()

    assert found["rows"][0]["values"]["first_name"] == "1.50"


def test_a_name_that_is_no_data_item_is_refused(operator: httpx.Client) -> None:
    answer = operator.post("/checks", json={"process": "small", "rows": [{"e_mail": "a@mail.example"}]})

    is_problem(answer, 422, "invalid")
    assert answer.json()["errors"][0]["where"] == "body/rows/0/e_mail"


def test_a_file_that_cannot_be_used_is_a_problem_with_a_code(operator: httpx.Client) -> None:
    answer = operator.post("/checks", files={"file": ("x.csv", b"")}, data={"process": "small"})

    is_problem(answer, 422, "unusable-file")
    assert answer.json()["code"] == "empty"


@pytest.mark.parametrize("kind", ["file", "rows"])
def test_a_batch_is_created_of_a_file_or_of_rows(operator: httpx.Client, kind: str) -> None:
    sent = upload(name="March") if kind == "file" else {"json": {"process": "small", "name": "March", "rows": ROWS}}

    answer = operator.post("/batches", **sent)

    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert answer.headers["location"] == f"/api/v1/batches/{made['id']}"
    assert (made["name"], made["sender"], made["phase"]) == ("March", "operator@acme.example", "checking")
    assert (made["counts"]["rows"], made["file"]) == (3, "march.csv" if kind == "file" else "rows.csv")
    original = operator.get(f"/batches/{made['id']}/original")
    lines = list(csv.DictReader(io.StringIO(original.text)))
    assert [line["email"] for line in lines] == ["ann@mail.example", "bob@mail.example", "cid@mail.example"]
    assert "attachment" in original.headers["content-disposition"]


def test_a_batch_lives_from_the_check_to_its_archive(api: Api, operator: httpx.Client, approver: httpx.Client) -> None:
    batch_id = api.checked()
    bad = operator.get(f"/batches/{batch_id}/bad-rows")
    corrected = bad.text.replace(",cid@", "Cid,cid@", 1)

    changed = operator.post(f"/batches/{batch_id}/corrections", files={"file": ("bad.csv", corrected.encode())})

    assert changed.status_code == 200, changed.text
    assert (changed.json()["changed"], changed.json()["batch"]["revision"]) == (1, 1)
    with api.around.database.write() as session:
        batches.note(session, batch_id, phase=Phase.WAITING.value, valid=3)
    late = approver.post(f"/batches/{batch_id}/approve", json={"revision": 0})
    is_problem(late, 409, "not-allowed")
    approved = approver.post(f"/batches/{batch_id}/approve", json={"revision": 1, "comment": "Checked."})
    assert (approved.status_code, approved.json()["status"]) == (200, Status.APPROVED)
    with api.around.database.write() as session:
        batches.note(session, batch_id, phase=Phase.SENDING.value)
    assert approver.post(f"/batches/{batch_id}/pause").json()["phase"] == Phase.PAUSED
    assert approver.post(f"/batches/{batch_id}/resume", json={"comment": "On."}).json()["phase"] == Phase.SENDING
    assert approver.post(f"/batches/{batch_id}/reject", json={"revision": 1}).json()["phase"] == Phase.STOPPED
    assert operator.post(f"/batches/{batch_id}/archive").json()["archived"] is True
    acts = [(one["act"], one["by"]) for one in operator.get(f"/batches/{batch_id}/history").json()["items"]]
    decided = [one for one in acts if one[0] != "download"]
    by = "approver@acme.example"
    assert decided == [
        ("correct", "operator@acme.example"),
        ("approve", by),
        ("pause", by),
        ("resume", by),
        ("reject", by),
        ("archive", "operator@acme.example"),
    ]


def test_nobody_approves_their_own_batch(api: Api) -> None:
    batch_id = api.checked(sender="both@acme.example")

    with api.program(Role.ADMIN, email="both@acme.example") as both:
        answer = both.post(f"/batches/{batch_id}/approve", json={"revision": 0})

    assert answer.status_code in {403, 409}
    assert answer.headers["content-type"] == PROBLEM
    assert factories.batch(api.around.database, batch_id).status == Status.PENDING_APPROVAL


def test_recipients_come_in_pages(api: Api, operator: httpx.Client) -> None:
    batch_id = api.checked()
    path = f"/batches/{batch_id}/recipients"

    first = operator.get(path, params={"limit": 2}).json()
    second = operator.get(path, params={"limit": 2, "cursor": first["next"]}).json()

    assert [one["row"] for one in (*first["items"], *second["items"])] == [2, 3, 4]
    assert second["next"] is None
    assert [one["row"] for one in operator.get(path, params={"show": "bad"}).json()["items"]] == [4]
    is_problem(operator.get(path, params={"cursor": first["next"], "show": "bad"}), 422, "invalid")


def test_one_recipient_is_shown_with_their_messages(api: Api, operator: httpx.Client) -> None:
    batch_id = api.checked()

    shown = operator.get(f"/batches/{batch_id}/recipients/2").json()

    assert (shown["email"], shown["values"][0]["text"]) == ("ann@mail.example", "Ann")
    assert shown["email_message"]["subject"] == "Dear Ann"
    is_problem(operator.get(f"/batches/{batch_id}/recipients/99"), 404, "not-found")


def test_a_person_is_found_in_all_batches(api: Api, operator: httpx.Client) -> None:
    batch_id = api.checked(text="first_name,email,phone\nEva,eva@found.example,\n")

    found = operator.post("/people/search", json={"address": "EVA@found.example"}).json()

    assert [(one["batch_id"], one["recipient"]["row"]) for one in found["items"]] == [(batch_id, 2)]


def test_suppressions_are_entered_listed_and_taken_off(operator: httpx.Client) -> None:
    asked = [{"channel": "email", "address": f"Stop{place}@mail.example"} for place in range(3)]
    for one in asked:
        assert operator.post("/suppressions", json=one).json()["address"] == one["address"]

    listed, cursor = [], None
    while True:
        page = operator.get("/suppressions", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        listed += [one["address"] for one in page["items"]]
        if (cursor := page["next"]) is None:
            break
    assert [each for each in listed if each.startswith("stop")] == [f"stop{place}@mail.example" for place in range(3)]
    assert len(set(listed)) == len(listed)
    assert operator.post("/suppressions/remove", json=asked[0]).status_code == 200
    is_problem(operator.post("/suppressions/remove", json=asked[0]), 404, "not-found")
    is_problem(operator.post("/suppressions", json={"channel": "sms", "address": "x@y"}), 422, "invalid")


@pytest.mark.parametrize("sort", [each.value for each in batch_routes.Sort])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_the_list_comes_in_pages_in_every_order(api: Api, operator: httpx.Client, sort: str, order: str) -> None:
    name = f"{sort}-{order}"
    made = [
        factories.add_batch(api.around.database, definition=factories.process(), name=f"{name} {letter}")
        for letter in "abBAc"
    ]
    asked = {"sort": sort, "order": order, "search": name.upper(), "limit": "2"}

    found: list[int] = []
    cursor: dict[str, str] = {}
    while True:
        page = operator.get("/batches", params=asked | cursor).json()
        found += [one["id"] for one in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}

    assert sorted(found) == sorted(made)
    assert found == [one["id"] for one in operator.get("/batches", params=asked | {"limit": "200"}).json()["items"]]


def test_a_batch_is_watched_by_its_tag(api: Api, operator: httpx.Client) -> None:
    batch_id = api.checked()
    shown = operator.get(f"/batches/{batch_id}")
    known = {"If-None-Match": f'"other", W/{shown.headers["etag"]}'}

    same = operator.get(f"/batches/{batch_id}", headers=known)
    waited: list[httpx.Response] = []
    watch = threading.Thread(
        target=lambda: waited.append(operator.get(f"/batches/{batch_id}", headers=known, params={"wait": 20}))
    )
    watch.start()
    with api.around.database.write() as session:
        batches.note(session, batch_id, name="Renamed")
    watch.join(20)

    assert (same.status_code, same.content) == (304, b"")
    assert waited[0].json()["name"] == "Renamed"


def test_every_operation_asks_for_a_key_and_a_right(api: Api) -> None:
    """Whoever adds a route cannot forget it: the document names them all."""
    open_to_all = {"/problems/{name}"}
    with (
        client(api.address + "/api/v1") as nobody,
        api.program(Role.PLATFORM) as platform,
    ):
        document = nobody.get("/openapi.json").json()
        operations = [(path, method) for path, found in document["paths"].items() for method in found]
        assert len(operations) > 25
        for path, method in operations:
            if path in open_to_all:
                continue
            address = path.replace("{batch_id}", "1").replace("{row}", "2").replace("{key}", "small")
            answer = nobody.request(method, address)
            is_problem(answer, 401, "unknown-caller")
            assert answer.headers["www-authenticate"].startswith("Bearer")
            if path == "/me" or path.startswith("/links/"):
                continue
            asked = _body(document, path, method)
            is_problem(platform.request(method, address, **asked), 403, "forbidden")


def _body(document: dict[str, Any], path: str, method: str) -> dict[str, Any]:
    """The least that an operation takes."""
    if "requestBody" not in document["paths"][path][method]:
        return {}
    least = {
        "/approve": {"revision": 0},
        "/reject": {"revision": 0},
        "/settle": {"as": "sent"},
        "/expire": {"last_day": "2040-01-01"},
        "/search": {"address": "a@b.example"},
        "/suppressions": {"channel": "email", "address": "a@b.example"},
        "/remove": {"channel": "email", "address": "a@b.example"},
    }
    return {"json": next((body for ending, body in least.items() if path.endswith(ending)), {})}


@pytest.mark.parametrize(
    ("role", "method", "path", "body"),
    [
        (Role.ANALYST, "POST", "/batches/1/archive", {}),
        (Role.ANALYST, "POST", "/checks", {}),
        (Role.ANALYST, "POST", "/suppressions", {"channel": "email", "address": "a@b.example"}),
        (Role.OPERATOR, "POST", "/batches/1/approve", {"revision": 0}),
        (Role.OPERATOR, "POST", "/batches/1/pause", {}),
        (Role.OPERATOR, "POST", "/batches/1/settle", {"as": "sent"}),
        (Role.APPROVER, "POST", "/batches", {}),
        (Role.APPROVER, "POST", "/batches/1/corrections", {}),
        (Role.OPERATOR, "POST", "/links/exchange", {"code": "x"}),
        (Role.PLATFORM, "GET", "/batches", None),
    ],
)
def test_a_key_has_the_rights_of_its_user(api: Api, role: Role, method: str, path: str, body: Any) -> None:
    with api.program(role) as program:
        answer = program.request(method, path, json=body)

    is_problem(answer, 403, "forbidden")
    assert f"{role}@acme.example" in answer.json()["detail"]


def test_where_prefect_does_not_answer_nothing_is_decided(api: Api, approver: httpx.Client) -> None:
    batch_id = api.checked()

    with api.prefect.answering(Answer(500, body=b"{}")):
        answer = approver.post(f"/batches/{batch_id}/approve", json={"revision": 0})

    is_problem(answer, 503, "not-now")
    assert factories.batch(api.around.database, batch_id).status == Status.PENDING_APPROVAL


# Repeated calls


def test_a_repeated_call_gives_the_first_answer_again(operator: httpx.Client) -> None:
    key = {"Idempotency-Key": "create-once"}

    first = operator.post("/batches", **upload(name="Once"), headers=key)
    again = operator.post("/batches", **upload(name="Once"), headers=key)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["location"] == first.headers["location"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    listed = operator.get("/batches", params={"search": "Once"}).json()["items"]
    assert [one["id"] for one in listed] == [first.json()["id"]]


def test_a_key_is_good_for_one_call_only(operator: httpx.Client) -> None:
    key = {"Idempotency-Key": "one-call"}
    operator.post("/suppressions", json={"channel": "email", "address": "one@mail.example"}, headers=key)

    other = operator.post("/suppressions", json={"channel": "email", "address": "two@mail.example"}, headers=key)
    elsewhere = operator.post(
        "/suppressions/remove", json={"channel": "email", "address": "one@mail.example"}, headers=key
    )

    is_problem(other, 422, "key-reused")
    is_problem(elsewhere, 422, "key-reused")


def test_another_program_does_not_meet_the_answer(api: Api, operator: httpx.Client) -> None:
    key = {"Idempotency-Key": "mine"}
    asked = {"channel": "email", "address": "mine@mail.example"}
    operator.post("/suppressions", json=asked, headers=key)

    with api.program(Role.OPERATOR) as other:
        answer = other.post("/suppressions", json=asked, headers=key)

    assert answer.status_code == 200
    assert "idempotency-replayed" not in answer.headers


def test_a_refusal_is_kept_and_a_failure_is_not(api: Api, approver: httpx.Client) -> None:
    batch_id = api.checked()
    refused = {"Idempotency-Key": f"refused-{batch_id}"}
    failed = {"Idempotency-Key": f"failed-{batch_id}"}

    first = approver.post(f"/batches/{batch_id}/approve", json={"revision": 7}, headers=refused)
    again = approver.post(f"/batches/{batch_id}/approve", json={"revision": 7}, headers=refused)
    with api.prefect.answering(Answer(500, body=b"{}")):
        is_problem(approver.post(f"/batches/{batch_id}/approve", json={"revision": 0}, headers=failed), 503, "not-now")
    later = approver.post(f"/batches/{batch_id}/approve", json={"revision": 0}, headers=failed)

    is_problem(again, 409, "not-allowed")
    assert (first.content, again.headers["idempotency-replayed"]) == (again.content, "true")
    assert (later.status_code, "idempotency-replayed" in later.headers) == (200, False)


def test_of_many_at_once_one_makes_the_batch(operator: httpx.Client) -> None:
    def create() -> httpx.Response:
        return operator.post("/batches", **upload(name="Raced"), headers={"Idempotency-Key": "raced"})

    answers = factories.race(*[create] * 4)

    statuses = sorted(answer.status_code for answer in answers if isinstance(answer, httpx.Response))
    assert len(statuses) == 4
    assert set(statuses) <= {201, 409}
    assert 201 in statuses
    for answer in answers:
        if isinstance(answer, httpx.Response) and answer.status_code == 409:
            is_problem(answer, 409, "under-way")
            assert answer.headers["retry-after"] == "2"
    assert len(operator.get("/batches", params={"search": "Raced"}).json()["items"]) == 1
