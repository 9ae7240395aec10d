"""A batch from the operator's file to the result file, as people do it with the command."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import fastexcel
import pytest

from domain.annotation import CHANNELS
from tests.whole.installation import APPROVER, OPERATOR, Installation, link_in, until
from tests.whole.people import (
    DOMAIN,
    HEADER,
    PHONE_MARK,
    SURNAME,
    Person,
    crowd,
    people,
    read_csv,
    write_csv,
    write_xlsx,
)

pytestmark = [pytest.mark.whole, pytest.mark.timeout(600)]

STATUS_COLUMNS = [
    "Sending Status",
    "Status Detail",
    "Channel",
    "Sent At",
    "Delivery",
    "Delivery Detail",
    "Delivery At",
    "Opened At",
    "Started At",
    "Completed At",
]
CHANNEL_OF = {"sendgrid": "Email", "twilio": "SMS"}


@pytest.fixture(scope="module")
def crowded(running: Installation, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Person], dict[str, Any]]:
    """300 people of all kinds, and the batch in which they were written to."""
    persons = crowd(300, tag="csv", block=10)
    return persons, running.sent(write_csv(tmp_path_factory.mktemp("crowd") / "list.csv", persons))


Crowded = tuple[list[Person], dict[str, Any]]


def test_a_csv_of_300_is_sent_as_its_result_file_says(
    installation: Installation, crowded: Crowded, tmp_path: Path
) -> None:
    persons, view = crowded
    good = [person for person in persons if person.channels]
    assert (view["sender"], view["process"], view["version"], view["file"]) == (
        OPERATOR,
        "motor-renewal",
        1,
        "list.csv",
    )
    assert view["counts"] == {
        "rows": 300, "valid": len(good), "invalid": 300 - len(good), "sent": len(good),
        "failed": 0, "pending": 0, "in_doubt": 0, "unresolved": 0,
    }  # fmt: skip

    rows = read_csv(installation.download(view["id"], tmp_path / "result.csv"))
    assert list(rows[0]) == [*HEADER, *STATUS_COLUMNS]
    assert [[row[title] for title in HEADER] for row in rows] == [person.cells for person in persons]

    messages = installation.arrived(persons)
    links: list[str] = []
    for row, person in zip(rows, persons, strict=True):
        got = messages.pop(person.email, []) + messages.pop(person.phone_e164, [])
        assert sorted(CHANNEL_OF[message["provider"]] for message in got) == sorted(person.channels), row
        assert row["Channel"] == ", ".join(sorted(person.channels))
        assert row["Sending Status"] == ("Sent" if got else "Not sent")
        assert bool(row["Sent At"]) == bool(got)
        assert bool(row["Status Detail"]) == (not got)
        if got:
            own = {link_in(message) for message in got}
            assert len(own) == 1, "email and SMS of one person carry the same link"
            links += own
            assert all(person.policy in message["text"] for message in got)
    assert messages == {}
    assert len(set(links)) == len(good)

    for link, person in zip(links, good, strict=True):
        page = installation.http.get(link)
        assert page.status_code == 200
        shown = html.unescape(page.text)
        assert all(value in shown for value in (person.first_name, SURNAME, person.policy, person.renewal.isoformat()))
    shown_now = installation.show(view["id"])
    assert {name: shown_now[name] for name in view} == view, "opening a link changes nothing"
    assert installation.http.get(links[0][:-1] + ("A" if links[0][-1] != "A" else "B")).status_code == 404


def test_what_the_providers_report_stands_in_the_result(
    installation: Installation, crowded: Crowded, tmp_path: Path
) -> None:
    persons, view = crowded
    expected = {
        channel: sum(CHANNELS[channel] in person.channels for person in persons) for channel in ("email", "sms")
    }

    def reported() -> bool:
        found = installation.show(view["id"])["deliveries"]
        return {channel: own["delivered"] for channel, own in found.items()} == expected

    until(reported, what="receipts of every message", seconds=150)
    rows = read_csv(installation.download(view["id"], tmp_path / "result.csv"))
    assert [row["Delivery"] for row in rows] == ["Delivered" if person.channels else "" for person in persons]
    assert all(bool(row["Delivery At"]) == bool(row["Delivery"]) for row in rows)


def test_an_excel_file_comes_back_as_one(installation: Installation, tmp_path: Path) -> None:
    persons = crowd(60, tag="xlsx", block=11)
    batch_id = installation.sent(write_xlsx(tmp_path / "list.xlsx", persons))["id"]

    workbook = fastexcel.read_excel(installation.download(batch_id, tmp_path / "result.xlsx"))
    assert workbook.sheet_names == ["Customers", "Summary"]
    rows = workbook.load_sheet("Customers", dtypes="string").to_polars()
    assert rows.columns == [*HEADER, *STATUS_COLUMNS]
    assert [list(row) for row in rows.select(HEADER).fill_null("").rows()] == [person.cells for person in persons]
    assert rows["Sending Status"].to_list() == ["Sent" if person.channels else "Not sent" for person in persons]
    assert rows["Channel"].fill_null("").to_list() == [", ".join(sorted(person.channels)) for person in persons]
    facts = {
        row[0]: row[1] for row in workbook.load_sheet("Summary", header_row=None, dtypes="string").to_polars().rows()
    }
    assert (facts["Sender Email"], facts["Status"]) == (OPERATOR, "Approved, finished")
    assert facts["Sent"] == str(sum(bool(person.channels) for person in persons))


def test_a_rejected_batch_sends_nothing_and_can_be_put_away(installation: Installation, tmp_path: Path) -> None:
    persons = people("email", "phone", "both", "nameless", tag="rejected", block=12)
    batch_id, run_id = installation.waiting(write_csv(tmp_path / "to reject.csv", persons))
    assert installation.ask("batch", "reject", batch_id, "--by", APPROVER)["phase"] == "stopped"
    installation.await_end(run_id)

    assert installation.arrived(persons) == {}
    view = installation.wait(batch_id)
    assert (view["phase"], view["status"], view["counts"]["sent"]) == ("stopped", "Admin Rejection", 0)
    rows = read_csv(installation.download(batch_id, tmp_path / "result.csv"))
    assert [row["Sending Status"] for row in rows] == ["Stopped", "Stopped", "Stopped", "Not sent"]
    refusal = installation.run("batch", "approve", batch_id, "--by", APPROVER, code=1)
    assert "rejection is final" in refusal.stderr

    assert batch_id in ids(installation.ask("batch", "list", "--search", "TO REJ"))
    installation.run("batch", "archive", batch_id, "--by", OPERATOR)
    assert batch_id not in ids(installation.ask("batch", "list"))
    assert batch_id not in ids(installation.ask("batch", "list", "--status", "Admin Rejection"))
    assert ids(installation.ask("batch", "list", "--status", "archived")) == [batch_id]


def ids(views: list[dict[str, Any]]) -> list[int]:
    return [view["id"] for view in views]


def test_prefect_shows_the_batch_and_nobody_in_it(installation: Installation, crowded: Crowded, tmp_path: Path) -> None:
    """Prefect's database and the logs are read by people who may not know the recipients."""
    persons, view = crowded
    batch_id, run_id, valid = view["id"], view["flow_run_id"], sum(bool(person.channels) for person in persons)
    installation.await_end(run_id)

    artifacts = installation.all_of("artifacts")
    shown = {one["key"]: one for one in artifacts if one["flow_run_id"] == run_id}
    assert shown[f"batch-{batch_id}-sent"]["data"] == 100
    assert f"| 300 | {valid} | {300 - valid} | 0 |" in shown[f"batch-{batch_id}-check"]["data"]
    newest = max((one for one in artifacts if one["key"] == "bulk-sender-batches"), key=lambda one: one["created"])
    mine = next(one for one in json.loads(newest["data"]) if one["Batch"] == batch_id)
    assert (mine["Sent"], mine["Status"], mine["Phase"]) == (f"{valid}/300", "Approved", "finished")

    link = shown[f"batch-{batch_id}-result"]["data"].partition("](")[2].rstrip(")")
    fetched = installation.http.get(link)
    assert fetched.status_code == 200
    assert "attachment" in fetched.headers["content-disposition"]
    (tmp_path / "fetched.csv").write_bytes(fetched.content)
    assert len(read_csv(tmp_path / "fetched.csv")) == 300
    for forged in (link[:-1] + ("0" if link[-1] != "0" else "1"), link.replace(f"/{batch_id}/", f"/{batch_id + 1}/")):
        assert installation.http.get(forged).status_code == 404

    known = [
        *artifacts,
        *installation.all_of("flow_runs"),
        *installation.all_of("task_runs"),
        *installation.all_of("logs"),
        *installation.events(),
    ]
    assert any(one.get("event", "").startswith("bulk-sender.batch.") for one in known)
    assert [one["parameters"] for one in known if one.get("id") == run_id] == [{"batch_id": batch_id}]
    assert leaks(str(known)) == []
    for path in [*(installation.home / "logs").rglob("*"), *(installation.home / "prefect").rglob("*")]:
        if path.is_file():
            assert (path.name, leaks(path.read_bytes().decode(errors="replace"))) == (path.name, [])


def leaks(text: str) -> list[str]:
    """Marks of recipients in a text, whatever their case."""
    lower = text.casefold()
    return [mark for mark in (SURNAME, DOMAIN, f"0{PHONE_MARK} ", f"44{PHONE_MARK}1") if mark.casefold() in lower]
