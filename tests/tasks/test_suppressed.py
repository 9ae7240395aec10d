"""Suppressed addresses from the check to the result file, and SMS that are refused for an opt-out."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from sqlalchemy import update

from deployments.checking import check_file
from domain.deliveries import Kind, Receipt, Saying
from domain.outcomes import Outcome, OutcomeKind
from domain.states import Phase
from domain.suppressions import Mark, SuppressionKind
from models import batches, receipts, recipients, suppressions
from models.recipients import Counts
from models.tables import Message
from tasks.reconcile import reconcile
from tasks.split import split_batch
from tasks.surroundings import Surroundings
from tests.factories import NOW, batch, people, process, sendable
from tests.tasks.test_send import Provider, run
from tests.tasks.test_stages import CSV, Accepting, approve, checked_batch, result, send_all

ANN = Mark("email", "ann@mail.example", SuppressionKind.OPTED_OUT, NOW)
BOB = Mark("sms", "+447400123456", SuppressionKind.BOUNCED, NOW)
CID = Mark("email", "cid@mail.example", SuppressionKind.REPORTED, NOW)


def suppress(around: Surroundings, *marks: Mark) -> None:
    with around.database.write() as session:
        suppressions.mark(session, marks)


def counts(around: Surroundings, batch_id: int) -> Counts:
    with around.database.read() as session:
        return recipients.counts(session, batches.by_id(session, batch_id))


def test_the_check_of_a_batch_leaves_suppressed_addresses_out(around: Surroundings, tmp_path: Path) -> None:
    suppress(around, ANN, CID)

    batch_id = checked_batch(around, tmp_path)

    found = batch(around.database, batch_id)
    assert (found.valid, found.invalid, found.warnings) == (2, 2, 1)
    kinds = {(kind["code"], kind["count"]) for kind in found.problems or []}
    assert ("suppressed", 1) in kinds
    lines = result(around, batch_id, tmp_path)
    assert lines[1][3:5] == ["Problem", "email must not be written to: the person opted out on 2026-03-01."]
    assert lines[3][3] == "Ready"
    assert "reported an earlier message as spam on 2026-03-01" in lines[3][4]


def test_a_check_without_a_batch_says_the_same(around: Surroundings, tmp_path: Path) -> None:
    suppress(around, ANN)
    path = tmp_path / "list.csv"
    path.write_text(CSV)

    found = check_file(around, path, process(), rows_to=tmp_path / "rows.jsonl")

    assert found["counts"]["valid"] == 2
    assert '"email":null' in (tmp_path / "rows.jsonl").read_text().splitlines()[0]


def test_who_is_suppressed_after_the_check_is_held_and_accounted_for(around: Surroundings, tmp_path: Path) -> None:
    batch_id = checked_batch(around, tmp_path)
    approve(around, batch_id)
    suppress(around, ANN, CID)
    provider = Accepting()

    send_all(around, batch_id, provider)
    reconcile(around, batch_id)

    assert [content["to"] for content in provider.asked] == ["+447400123456", "+447400123457"]
    assert batch(around.database, batch_id).phase == Phase.FINISHED
    stand = counts(around, batch_id)
    assert (stand.valid, stand.sent, stand.failed, stand.pending) == (3, 2, 1, 0)
    lines = result(around, batch_id, tmp_path)
    assert [line[3] for line in lines[1:4]] == ["Held", "Sent", "Sent"]
    assert lines[1][4] == "Email: Not written to: the person opted out on 2026-03-01."
    assert lines[3][4:6] == [
        "Email: Not written to: the person reported an earlier message as spam on 2026-03-01.",
        "SMS",
    ]


def test_a_batch_of_which_everybody_is_held_ends_by_itself(around: Surroundings, tmp_path: Path) -> None:
    batch_id = checked_batch(around, tmp_path)
    approve(around, batch_id)
    suppress(around, ANN, BOB, CID, Mark("sms", "+447400123457", SuppressionKind.ENTERED, NOW))

    assert split_batch(around, batch_id) == []

    assert reconcile(around, batch_id) == Phase.FINISHED
    assert counts(around, batch_id).failed == 3
    assert split_batch(around, batch_id) == []


def test_an_sms_that_is_refused_for_an_opt_out_suppresses_the_number(around: Surroundings) -> None:
    batch_id = sendable(around, people(sms=2))
    opted_out = Outcome(OutcomeKind.RECIPIENT_REFUSED, http_status=400, code="21610", detail="Opted out.", member=0)
    invalid = Outcome(OutcomeKind.RECIPIENT_REFUSED, http_status=400, code="21211", detail="Not valid.", member=0)

    run(around, batch_id, Provider(opted_out, invalid))

    with around.database.read() as session:
        found = [(one.channel, one.address, one.kind, one.row) for one in suppressions.listed(session)]
    assert found == [("sms", "+447700900000", "opted_out", 2)]


def test_the_result_says_what_was_delivered_and_when_the_wait_is_over(around: Surroundings, tmp_path: Path) -> None:
    batch_id = checked_batch(around, tmp_path)
    approve(around, batch_id)
    send_all(around, batch_id, Accepting())
    uid = batch(around.database, batch_id).uid
    bounce = Saying("e", Kind.BOUNCED, "id", "5.1.1", datetime(2026, 3, 1, 13, tzinfo=UTC))
    with around.database.write() as session:
        receipts.take(session, [Receipt(uid, 0, 2, "email", bounce)], now=NOW)

    def delivered() -> pl.DataFrame:
        lines = result(around, batch_id, tmp_path)
        found = pl.DataFrame(lines[1:4], schema=lines[0], orient="row")
        return found.select("Delivery", "Delivery Detail", "Delivery At")

    assert delivered().row(0) == (
        "Bounced",
        "Email: There is no such mailbox (5.1.1, permanent).",
        "2026-03-01T13:00:00Z",
    )
    assert delivered()["Delivery"].to_list()[1:] == ["Waiting for a report"] * 2

    with around.database.write() as session:
        session.execute(update(Message).values(sent_at=NOW))
    assert delivered()["Delivery"].to_list() == ["Bounced", *["Sent; no report of delivery"] * 2]
