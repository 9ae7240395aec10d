"""Every stage from the operator's file to the result file, each run twice: the second time changes nothing."""

from __future__ import annotations

import csv
import hashlib
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from sqlmodel import col, select

from domain.errors import NotAllowed, NotFound
from domain.frames import STATUSES
from domain.outcomes import Outcome, OutcomeKind
from domain.states import Phase, Status
from models import batches, recipients, requests
from models.tables import Recipient, Visit
from tasks.approval import Approval, Decision, checked, decide, invitation, is_decided, link_print
from tasks.ingest import ingest
from tasks.reconcile import prepare, reconcile
from tasks.report import keep_file, write_file
from tasks.send import send_chunk
from tasks.split import split_batch
from tasks.surroundings import Surroundings
from tasks.validate import validate
from tests.factories import act, add_batch, batch, people, process, sendable

CSV = """first_name;email;phone
Ann;ann@mail.example;
Bob;;07400 123456
Cid;cid@mail.example;+447400123457

Dan;not an address;
"""


def upload(around: Surroundings, tmp_path: Path, content: str | bytes = CSV, *, name: str = "march list.csv") -> int:
    """A batch that was just created of a file."""
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    uid = uuid.uuid4().hex
    return add_batch(
        around.database,
        definition=process(),
        uid=uid,
        file_name=name,
        file_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        file_bytes=path.stat().st_size,
        upload_key=around.storage.put(f"batches/{uid}/upload.csv", path),
    )


def checked_batch(around: Surroundings, tmp_path: Path) -> int:
    batch_id = upload(around, tmp_path)
    ingest(around, batch_id)
    validate(around, batch_id)
    return batch_id


def approve(around: Surroundings, batch_id: int) -> None:
    with around.database.write() as session:
        batches.approve(session, batch_id, act(), link_print=link_print(around))


def reject(around: Surroundings, batch_id: int) -> None:
    with around.database.write() as session:
        batches.reject(session, batch_id, act())


def snapshot(around: Surroundings, batch_id: int) -> tuple[dict[str, Any], list[tuple[Any, ...]]]:
    """All that the database has of a batch."""
    with around.database.read() as session:
        rows = session.exec(select(Recipient).where(Recipient.batch_id == batch_id).order_by(col(Recipient.row))).all()
        people = [(one.row, one.valid, one.email, one.phone) for one in rows]
    return batch(around.database, batch_id).model_dump(), people


class Accepting:
    """A provider that accepts all but what it is told to refuse."""

    def __init__(self, *, refuse: str = "") -> None:
        self.asked: list[Any] = []
        self._refuse = refuse

    async def send(self, content: Any, /) -> Outcome:
        self.asked.append(content)
        if isinstance(content, dict) and content["to"] == self._refuse:
            return Outcome(OutcomeKind.RECIPIENT_REFUSED, code="21211", detail="The number is not valid.", member=0)
        return Outcome(OutcomeKind.ACCEPTED, provider_id="id")

    async def close(self) -> None:
        pass


def _permit(_channel: str) -> Callable[[int], Awaitable[int]]:
    async def take(number: int) -> int:
        return number

    return take


def send_all(around: Surroundings, batch_id: int, provider: Accepting) -> None:
    for chunk in split_batch(around, batch_id):
        send_chunk(around, batch_id, chunk, providers=lambda _channel: provider, permits=_permit)


def sent_batch(around: Surroundings, tmp_path: Path, provider: Accepting | None = None) -> int:
    """A batch that was checked, approved and sent, and is still to be reconciled."""
    batch_id = checked_batch(around, tmp_path)
    approve(around, batch_id)
    send_all(around, batch_id, provider or Accepting())
    return batch_id


def result(around: Surroundings, batch_id: int, tmp_path: Path) -> list[list[str]]:
    path = tmp_path / "result.csv"
    write_file(around, batch_id, path)
    with path.open(newline="") as file:
        return list(csv.reader(file, delimiter=";"))


# Ingest and validate


def test_a_file_becomes_rows_at_rest_with_their_layout(around: Surroundings, tmp_path: Path) -> None:
    batch_id = upload(around, tmp_path)

    assert ingest(around, batch_id) == 4

    found = batch(around.database, batch_id)
    assert found.rows_key is not None
    with around.storage.local(found.rows_key) as path:
        assert pl.read_parquet(path)["row"].to_list() == [2, 3, 4, 6]
    assert (found.row_count, found.phase) == (4, Phase.CHECKING)


def test_reading_a_file_again_changes_nothing(around: Surroundings, tmp_path: Path) -> None:
    batch_id = upload(around, tmp_path)
    ingest(around, batch_id)
    before = snapshot(around, batch_id)
    around.storage.remove("batches/" + batch(around.database, batch_id).uid + "/upload.csv")

    assert ingest(around, batch_id) == 4
    assert snapshot(around, batch_id) == before


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        ("first_name;email;phone\n", "march list.csv"),
        (b"%PDF-1.7 nothing", "march list.csv"),
        ("policy,colour,size\n1,2,3\n", "march list.csv"),
    ],
)
def test_a_file_that_cannot_be_used_fails_its_batch_with_the_reason(
    around: Surroundings, tmp_path: Path, content: str | bytes, words: str
) -> None:
    batch_id = upload(around, tmp_path, content)

    assert [ingest(around, batch_id), ingest(around, batch_id)] == [0, 0]
    assert validate(around, batch_id) is False

    found = batch(around.database, batch_id)
    assert found.phase == Phase.FAILED
    assert words in (found.reason or "")
    assert is_decided(around, batch_id) is None


def test_rows_are_judged_and_the_batch_waits(around: Surroundings, tmp_path: Path) -> None:
    batch_id = upload(around, tmp_path)
    ingest(around, batch_id)

    assert validate(around, batch_id) is True

    found, people = snapshot(around, batch_id)
    assert (found["phase"], found["row_count"], found["valid"], found["invalid"]) == (Phase.WAITING, 4, 3, 1)
    assert people == [
        (2, True, "ann@mail.example", None),
        (3, True, None, "+447400123456"),
        (4, True, "cid@mail.example", "+447400123457"),
        (6, False, None, None),
    ]
    assert [(kind["code"], kind["rows"]) for kind in found["problems"]] == [("email_invalid", [6]), ("no_address", [6])]


def test_judging_again_changes_nothing(around: Surroundings, tmp_path: Path) -> None:
    batch_id = checked_batch(around, tmp_path)
    before = snapshot(around, batch_id)

    assert validate(around, batch_id) is False
    assert ingest(around, batch_id) == 4
    assert snapshot(around, batch_id) == before


def test_a_check_that_was_cut_off_starts_over(around: Surroundings, tmp_path: Path) -> None:
    batch_id = upload(around, tmp_path)
    ingest(around, batch_id)
    with around.database.write() as session:
        recipients.replace_all(session, batch_id, people(emails=9))

    validate(around, batch_id)

    assert [row[0] for row in snapshot(around, batch_id)[1]] == [2, 3, 4, 6]


def test_judging_before_reading_is_a_mistake_of_ours(around: Surroundings, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="ingest must run first"):
        validate(around, upload(around, tmp_path))


# Decide


def form(decision: Decision) -> Approval:
    return Approval(decision=decision, email="boss@acme.example", comment="seen")


def test_the_form_decides_a_batch_once(around: Surroundings, tmp_path: Path) -> None:
    batch_id = checked_batch(around, tmp_path)

    assert is_decided(around, batch_id) is None
    assert decide(around, batch_id, form(Decision.APPROVE), revision=0) is None
    assert is_decided(around, batch_id) is True
    assert decide(around, batch_id, form(Decision.REJECT), revision=0) is None
    assert is_decided(around, batch_id) is True
    with around.database.read() as session:
        assert [(one.act, one.by, one.comment, one.via) for one in batches.decisions(session, batch_id)] == [
            ("approve", "boss@acme.example", "seen", "Prefect UI")
        ]


def test_a_rejection_on_the_form_ends_the_batch(around: Surroundings, tmp_path: Path) -> None:
    batch_id = checked_batch(around, tmp_path)

    decide(around, batch_id, form(Decision.REJECT), revision=0)

    assert is_decided(around, batch_id) is False
    assert batch(around.database, batch_id).phase == Phase.STOPPED


def test_the_form_says_why_an_approval_could_not_be_taken(around: Surroundings) -> None:
    batch_id = add_batch(around.database, definition=process(), phase=Phase.WAITING.value, row_count=1, invalid=1)

    refusal = decide(around, batch_id, form(Decision.APPROVE), revision=0)

    assert refusal is not None
    assert "no row that can be sent" in refusal
    assert refusal in invitation(around, batch_id, refusal=refusal)


def test_the_approver_sees_the_counts_and_nobody_s_data(around: Surroundings, tmp_path: Path) -> None:
    batch_id = checked_batch(around, tmp_path)

    shown = invitation(around, batch_id, refusal=None)

    assert "| 4 | 3 | 1 | 0 |" in shown
    assert "march list.csv" in shown
    assert "No credentials are set for email and SMS" in shown
    for private in ("ann@", "cid@", "Ann", "Bob", "07400", "+447400123456", "+447400123457"):
        assert private not in shown
    assert checked(around, batch_id).valid == 3


# Split and reconcile


def test_a_batch_is_laid_out_once(around: Surroundings, tmp_path: Path) -> None:
    batch_id = checked_batch(around, tmp_path)
    approve(around, batch_id)

    assert [split_batch(around, batch_id), split_batch(around, batch_id)] == [[0, 1], [0, 1]]
    with around.database.read() as session:
        assert {number: requests.rows_of(session, batch_id, [number])[number] for number in range(3)} == {
            0: [2, 4],
            1: [3],
            2: [4],
        }


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.SENDING])
def test_nothing_is_laid_out_unless_a_batch_may_be_sent(around: Surroundings, phase: Phase) -> None:
    batch_id = sendable(around, people(emails=1))
    with around.database.write() as session:
        batches.note(session, batch_id, phase=phase.value, status=Status.PENDING_APPROVAL.value)

    assert split_batch(around, batch_id) == []


def test_a_batch_finishes_when_everything_is_answered(around: Surroundings) -> None:
    batch_id = sendable(around, people(emails=2, sms=1))
    before = reconcile(around, batch_id)
    send_all(around, batch_id, Accepting())

    assert (before, reconcile(around, batch_id), reconcile(around, batch_id)) == (
        Phase.SENDING,
        Phase.FINISHED,
        Phase.FINISHED,
    )


@pytest.mark.parametrize("phase", [Phase.PAUSED, Phase.STOPPED])
def test_a_halted_or_stopped_batch_stays_so(around: Surroundings, phase: Phase) -> None:
    batch_id = sendable(around, people(emails=1))
    send_all(around, batch_id, Accepting())
    with around.database.write() as session:
        batches.note(session, batch_id, phase=phase.value)

    assert reconcile(around, batch_id) == phase


# Report


def test_before_sending_the_result_says_what_the_check_found(around: Surroundings, tmp_path: Path) -> None:
    batch_id = checked_batch(around, tmp_path)

    lines = result(around, batch_id, tmp_path)

    assert lines[0] == ["first_name", "email", "phone", *list(STATUSES)[1:]]
    assert [line[0] for line in lines] == ["first_name", "Ann", "Bob", "Cid", "", "Dan"]
    assert [line[3] for line in lines] == ["Sending Status", "Ready", "Ready", "Ready", "", "Problem"]


def test_after_a_rejection_the_result_says_that_nothing_was_sent(around: Surroundings, tmp_path: Path) -> None:
    batch_id = checked_batch(around, tmp_path)
    reject(around, batch_id)

    lines = result(around, batch_id, tmp_path)

    assert [line[3] for line in lines[1:]] == ["Stopped", "Stopped", "Stopped", "", "Not sent"]
    assert {line[6] for line in lines[1:]} == {""}


def test_after_sending_the_result_says_what_became_of_each(around: Surroundings, tmp_path: Path) -> None:
    batch_id = sent_batch(around, tmp_path, Accepting(refuse="+447400123456"))
    reconcile(around, batch_id)

    lines = result(around, batch_id, tmp_path)

    assert [(line[3], line[5]) for line in lines[1:]] == [
        ("Sent", "Email"),
        ("Not sent", ""),
        ("Sent", "Email, SMS"),
        ("", ""),
        ("Not sent", ""),
    ]
    assert "SMS: The number is not valid." in lines[2][4]
    assert lines[1][6].endswith("Z")


def test_after_a_rejection_in_mid_batch_the_result_tells_sent_from_stopped(
    around: Surroundings, tmp_path: Path
) -> None:
    batch_id = checked_batch(around, tmp_path)
    approve(around, batch_id)
    send_chunk(
        around, batch_id, split_batch(around, batch_id)[0], providers=lambda _channel: Accepting(), permits=_permit
    )
    reject(around, batch_id)

    assert [line[3] for line in result(around, batch_id, tmp_path)[1:]] == ["Sent", "Stopped", "Sent", "", "Not sent"]


def test_writing_the_result_again_gives_the_same_file(around: Surroundings, tmp_path: Path) -> None:
    batch_id = sent_batch(around, tmp_path)

    def kept() -> tuple[str, bytes]:
        assert keep_file(around, batch_id) == Phase.SENDING
        key = batch(around.database, batch_id).result_key
        assert key is not None
        with around.storage.local(key) as path:
            return key, path.read_bytes()

    assert kept() == kept()


def _is_opened(around: Surroundings, batch_id: int, row: int) -> None:
    with around.database.write() as session:
        session.add(Visit(batch_id=batch_id, row=row, opened_at=datetime.now(UTC)))


def test_the_file_that_is_there_when_a_batch_is_finished_is_given_until_more_is_known(
    around: Surroundings, tmp_path: Path
) -> None:
    batch_id = sent_batch(around, tmp_path)
    prepared = prepare(around, batch_id)
    assert prepared is not None

    assert reconcile(around, batch_id, prepared=prepared) == Phase.FINISHED
    assert batch(around.database, batch_id).result_key == prepared
    usual = result(around, batch_id, tmp_path)
    with around.storage.local(prepared) as kept:
        kept.write_text("kept")
    assert result(around, batch_id, tmp_path) == [["kept"]]

    _is_opened(around, batch_id, 2)
    anew = result(around, batch_id, tmp_path)
    assert anew != usual
    assert keep_file(around, batch_id) == Phase.FINISHED
    assert batch(around.database, batch_id).result_key != prepared
    with pytest.raises(NotFound), around.storage.local(prepared):
        pass


def test_a_file_to_which_something_is_missing_is_not_that_of_a_finished_batch(
    around: Surroundings, tmp_path: Path
) -> None:
    batch_id = sent_batch(around, tmp_path)
    prepared = prepare(around, batch_id)
    _is_opened(around, batch_id, 2)

    assert reconcile(around, batch_id, prepared=prepared) == Phase.FINISHED
    assert batch(around.database, batch_id).result_key is None


def test_nothing_is_prepared_for_a_batch_with_something_left_to_send(around: Surroundings, tmp_path: Path) -> None:
    batch_id = checked_batch(around, tmp_path)
    approve(around, batch_id)
    split_batch(around, batch_id)

    assert prepare(around, batch_id) is None


def test_a_file_that_could_not_be_read_has_no_result(around: Surroundings, tmp_path: Path) -> None:
    batch_id = upload(around, tmp_path, b"")
    ingest(around, batch_id)

    with pytest.raises(NotAllowed, match="is failed, so it has no result yet"):
        result(around, batch_id, tmp_path)


def test_a_whole_batch_runs_twice_and_sends_once(around: Surroundings, tmp_path: Path) -> None:
    """What a restart does: every stage again from the top."""
    batch_id = upload(around, tmp_path)
    provider = Accepting()
    for _ in range(2):
        ingest(around, batch_id)
        validate(around, batch_id)
        if is_decided(around, batch_id) is None:
            approve(around, batch_id)
        send_all(around, batch_id, provider)
        reconcile(around, batch_id)
        keep_file(around, batch_id)

    assert len(provider.asked) == 3
    assert batch(around.database, batch_id).phase == Phase.FINISHED
    assert batch(around.database, batch_id).sent == 3
