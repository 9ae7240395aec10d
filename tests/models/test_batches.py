"""Batches: who may decide what and when, and that only one of several at once can."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from itertools import product
from typing import Any

import pytest

from domain.errors import NotAllowed, NotFound
from domain.states import AT_REST, NEXT_PHASE, REJECTABLE, Phase, Status
from models import batches
from models.database import Database
from models.tables import Batch, Decision
from tests.factories import FILE_SHA256, NOW, STATUS_IN, act, add_batch, batch, batch_in, deploy, process, race

LATER = NOW + timedelta(hours=1)


def _advance(database: Database, batch_id: int, to: Phase) -> bool:
    with database.write() as session:
        return batches.advance(session, batch_id, to, now=LATER)


def _approve(database: Database, batch_id: int, *, by: str = "boss@acme.example") -> None:
    with database.write() as session:
        batches.approve(session, batch_id, act(by), link_print="print")


def _reject(database: Database, batch_id: int, *, by: str = "boss@acme.example") -> None:
    with database.write() as session:
        batches.reject(session, batch_id, act(by))


def _archive(database: Database, batch_id: int) -> None:
    with database.write() as session:
        batches.archive(session, batch_id, act())


def _resume(database: Database, batch_id: int) -> None:
    with database.write() as session:
        batches.resume(session, batch_id, act())


def _decisions(database: Database, batch_id: int) -> list[Decision]:
    with database.read() as session:
        found = batches.decisions(session, batch_id)
        session.expunge_all()
        return found


def _acts(database: Database, batch_id: int) -> list[str]:
    return [decision.act for decision in _decisions(database, batch_id)]


def _stands(database: Database, batch_id: int) -> tuple[str, str]:
    found = batch(database, batch_id)
    return found.status, found.phase


# Moving


def test_a_batch_moves_where_the_table_allows_and_nowhere_else(database: Database) -> None:
    version_id = deploy(database)
    moved = {}
    for before, to in product(Phase, Phase):
        batch_id = batch_in(database, before, process_version_id=version_id)
        moved[before, to] = _advance(database, batch_id, to)
        assert batch(database, batch_id).phase == (to if moved[before, to] else before)

    assert moved == {(before, to): to in NEXT_PHASE[before] for before, to in product(Phase, Phase)}


def test_a_move_records_its_time_and_what_it_brings(database: Database) -> None:
    batch_id = batch_in(database, Phase.SENDING)
    with database.write() as session:
        batches.advance(session, batch_id, Phase.PAUSED, now=LATER, reason="no credit")
    found = batch(database, batch_id)

    assert (found.phase_at, found.reason) == (LATER, "no credit")


def test_a_move_that_is_refused_changes_nothing(database: Database) -> None:
    batch_id = batch_in(database, Phase.FINISHED)
    with database.write() as session:
        batches.advance(session, batch_id, Phase.PAUSED, now=LATER, reason="no credit")
    found = batch(database, batch_id)

    assert (found.phase, found.phase_at, found.reason) == ("finished", NOW, None)


def test_one_of_several_at_once_moves_a_batch(database: Database) -> None:
    batch_id = batch_in(database, Phase.SENDING)

    moved = race(*[lambda: _advance(database, batch_id, Phase.SETTLING)] * 4)

    assert sorted(moved, key=str) == [False, False, False, True]


# Deciding


@pytest.mark.parametrize("phase", Phase)
def test_only_a_checked_batch_can_be_approved(database: Database, phase: Phase) -> None:
    batch_id = batch_in(database, phase, status=Status.PENDING_APPROVAL.value, reason="not a list")

    if phase is Phase.WAITING:
        _approve(database, batch_id)
    else:
        with pytest.raises(NotAllowed):
            _approve(database, batch_id)

    expected = Status.APPROVED if phase is Phase.WAITING else Status.PENDING_APPROVAL
    assert _stands(database, batch_id) == (expected, phase)
    assert _acts(database, batch_id) == (["approve"] if phase is Phase.WAITING else [])


@pytest.mark.parametrize("phase", Phase)
def test_a_rejection_stops_whatever_has_not_left(database: Database, phase: Phase) -> None:
    status = Status.APPROVED if phase is Phase.STOPPED else STATUS_IN[phase]
    batch_id = batch_in(database, phase, status=status.value)

    if phase in REJECTABLE:
        _reject(database, batch_id)
    else:
        with pytest.raises(NotAllowed):
            _reject(database, batch_id)

    expected = (Status.ADMIN_REJECTION, Phase.STOPPED) if phase in REJECTABLE else (status, phase)
    assert _stands(database, batch_id) == expected


@pytest.mark.parametrize("phase", Phase)
def test_only_a_batch_at_rest_can_be_archived(database: Database, phase: Phase) -> None:
    batch_id = batch_in(database, phase)

    if phase in AT_REST:
        _archive(database, batch_id)
    else:
        with pytest.raises(NotAllowed, match=f"is {phase}; archive it when it is done, or reject it first"):
            _archive(database, batch_id)

    assert batch(database, batch_id).archived_at == (NOW if phase in AT_REST else None)
    if phase is not Phase.WAITING:
        assert _stands(database, batch_id) == (STATUS_IN[phase], phase)


def test_a_batch_that_is_archived_while_it_waits_is_rejected(database: Database) -> None:
    """What nobody sees any more must not be sent by somebody who still has its form."""
    batch_id = batch_in(database, Phase.WAITING)
    _archive(database, batch_id)

    assert _stands(database, batch_id) == (Status.ADMIN_REJECTION, Phase.STOPPED)
    assert _acts(database, batch_id) == ["reject", "archive"]
    with pytest.raises(NotAllowed, match="was rejected"):
        _approve(database, batch_id)


def test_an_approved_batch_that_is_about_to_be_sent_cannot_be_archived(database: Database) -> None:
    batch_id = batch_in(database, Phase.WAITING)
    _approve(database, batch_id)

    with pytest.raises(NotAllowed, match="is sending"):
        _archive(database, batch_id)


@pytest.mark.parametrize("phase", Phase)
def test_only_a_paused_batch_can_be_resumed(database: Database, phase: Phase) -> None:
    batch_id = batch_in(database, phase, reason="no credit")

    if phase is Phase.PAUSED:
        _resume(database, batch_id)
    else:
        with pytest.raises(NotAllowed, match=f"is {phase}, not paused"):
            _resume(database, batch_id)

    paused = phase is Phase.PAUSED
    assert batch(database, batch_id).phase == (Phase.SENDING if paused else phase)
    assert batch(database, batch_id).reason == (None if paused else "no credit")
    assert _acts(database, batch_id) == (["resume"] if paused else [])


@pytest.mark.parametrize(
    ("phase", "columns", "sentence"),
    [
        (Phase.CHECKING, {}, r"still being checked\. Wait for it: bulk-sender batch wait \d+ --until waiting"),
        (Phase.FAILED, {"reason": "no list"}, r"cannot be approved: no list"),
        (Phase.WAITING, {"valid": 0}, r"has no row that can be sent\. Correct the file"),
        (Phase.WAITING, {"archived_at": NOW}, r"is archived, so it is not sent\. Create the batch again"),
        (Phase.STOPPED, {}, r"was rejected; a rejection is final"),
    ],
)
def test_a_refused_approval_says_why(
    database: Database, phase: Phase, columns: dict[str, object], sentence: str
) -> None:
    batch_id = batch_in(database, phase, **columns)

    with pytest.raises(NotAllowed, match=sentence):
        _approve(database, batch_id)


@pytest.mark.parametrize(
    ("phase", "sentence"),
    [
        (Phase.CHECKING, r"still being checked\. Wait for it"),
        (Phase.SETTLING, r"is settling; nothing is left to stop"),
        (Phase.FINISHED, r"is finished; nothing is left to stop"),
        (Phase.FAILED, r"is failed; nothing is left to stop"),
    ],
)
def test_a_refused_rejection_says_why(database: Database, phase: Phase, sentence: str) -> None:
    batch_id = batch_in(database, phase)

    with pytest.raises(NotAllowed, match=sentence):
        _reject(database, batch_id)


def test_a_process_that_sends_nothing_is_refused_at_approval(database: Database) -> None:
    batch_id = batch_in(database, Phase.WAITING, definition=process(email=False, sms=False))

    with pytest.raises(NotAllowed, match="no email or SMS output on its start phase"):
        _approve(database, batch_id)
    assert _stands(database, batch_id) == (Status.PENDING_APPROVAL, Phase.WAITING)


@pytest.mark.parametrize(("email", "sms"), [(True, False), (False, True)])
def test_one_output_is_enough_for_an_approval(database: Database, *, email: bool, sms: bool) -> None:
    batch_id = batch_in(database, Phase.WAITING, definition=process(email=email, sms=sms))

    _approve(database, batch_id)

    assert batch(database, batch_id).status == Status.APPROVED


def test_an_approval_freezes_what_the_links_are_made_with(database: Database) -> None:
    batch_id = batch_in(database, Phase.WAITING)

    _approve(database, batch_id)

    assert batch(database, batch_id).link_print == "print"


def test_a_decision_is_bound_to_the_file_and_the_version_that_were_decided_about(database: Database) -> None:
    batch_id = batch_in(database, Phase.WAITING, revision=3)
    with database.write() as session:
        batches.approve(session, batch_id, act("a@acme.example", comment="fine", via="web"), link_print="print")
    decision = _decisions(database, batch_id)[0]

    assert decision.model_dump(exclude={"id"}) == {
        "batch_id": batch_id,
        "act": "approve",
        "by": "a@acme.example",
        "comment": "fine",
        "via": "web",
        "at": NOW,
        "file_sha256": FILE_SHA256,
        "process_version_id": batch(database, batch_id).process_version_id,
        "revision": 3,
    }


@pytest.mark.parametrize(
    ("phase", "again", "name"),
    [(Phase.WAITING, _approve, "approve"), (Phase.WAITING, _reject, "reject"), (Phase.FINISHED, _archive, "archive")],
)
def test_deciding_the_same_again_changes_nothing(
    database: Database, phase: Phase, again: Callable[[Database, int], None], name: str
) -> None:
    batch_id = batch_in(database, phase)

    again(database, batch_id)
    again(database, batch_id)

    assert _acts(database, batch_id) == [name]


def test_an_approved_batch_can_still_be_rejected_and_not_approved_again(database: Database) -> None:
    batch_id = batch_in(database, Phase.WAITING)
    _approve(database, batch_id)
    _reject(database, batch_id)

    with pytest.raises(NotAllowed, match="a rejection is final"):
        _approve(database, batch_id)
    assert _acts(database, batch_id) == ["approve", "reject"]
    assert _stands(database, batch_id) == (Status.ADMIN_REJECTION, Phase.STOPPED)


@pytest.mark.parametrize("decide", [_approve, _reject])
def test_of_several_who_decide_the_same_at_once_one_is_recorded(
    database: Database, decide: Callable[..., None]
) -> None:
    batch_id = batch_in(database, Phase.WAITING)

    came = race(*[lambda by=by: decide(database, batch_id, by=f"{by}@acme.example") for by in range(4)])

    assert len(_decisions(database, batch_id)) == 1
    assert all(one is None or isinstance(one, NotAllowed) for one in came)


def test_an_approval_and_a_rejection_at_once_leave_the_last_decision_standing(database: Database) -> None:
    """A rejection may follow an approval, never the other way round; nothing is half decided."""
    for _ in range(5):
        batch_id = batch_in(database, Phase.WAITING)

        race(partial(_approve, database, batch_id), partial(_reject, database, batch_id))

        expected = {"approve": (Status.APPROVED, Phase.WAITING), "reject": (Status.ADMIN_REJECTION, Phase.STOPPED)}
        assert _acts(database, batch_id) in [["approve"], ["reject"], ["approve", "reject"]]
        assert _stands(database, batch_id) == expected[_acts(database, batch_id)[-1]]


def test_of_a_rejection_and_a_resumption_at_once_the_rejection_stands(database: Database) -> None:
    for _ in range(5):
        batch_id = batch_in(database, Phase.PAUSED)

        race(partial(_resume, database, batch_id), partial(_reject, database, batch_id))

        stands = _stands(database, batch_id)
        rejected = "reject" in _acts(database, batch_id)
        assert stands == ((Status.ADMIN_REJECTION, Phase.STOPPED) if rejected else (Status.APPROVED, Phase.SENDING))


def test_a_batch_that_is_not_there_is_named(database: Database) -> None:
    with database.read() as session, pytest.raises(NotFound, match="There is no batch 99"):
        batches.by_id(session, 99)


# Finding


def _found(database: Database, *statuses: str, search: str = "", sort: str = "created") -> list[str]:
    wanted = statuses or [status.value for status in Status]
    with database.read() as session:
        return [one.name for one, _ in batches.matching(session, statuses=wanted, search=search, sort=sort)]


def test_batches_are_found_by_status(database: Database) -> None:
    version_id = deploy(database)
    for phase in (Phase.WAITING, Phase.SENDING, Phase.STOPPED):
        batch_in(database, phase, name=phase.value, process_version_id=version_id)

    assert _found(database, "Pending Approval") == ["waiting"]
    assert sorted(_found(database, "Approved", "Admin Rejection")) == ["sending", "stopped"]
    assert _found(database, "Archived") == []


def test_an_archived_batch_is_found_as_archived_only(database: Database) -> None:
    version_id = deploy(database)
    archived_id = batch_in(database, Phase.FINISHED, name="old", process_version_id=version_id)
    batch_in(database, Phase.FINISHED, name="new", process_version_id=version_id)
    _archive(database, archived_id)

    assert _found(database) == ["new"]
    assert _found(database, "Archived") == ["old"]
    assert sorted(_found(database, "Archived", "Approved")) == ["new", "old"]


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("march", ["100% March", "march_2"]),
        ("MARCH", ["100% March", "march_2"]),
        ("%", ["100% March"]),
        ("_", ["march_2"]),
        ("\\", ["back\\slash"]),
        ("0%_", []),
        ("", ["100% March", "april", "back\\slash", "march_2"]),
        ("'; --", []),
    ],
)
def test_a_search_takes_every_character_as_it_is(database: Database, search: str, expected: list[str]) -> None:
    version_id = deploy(database)
    for name in ("100% March", "march_2", "april", "back\\slash"):
        add_batch(database, name=name, process_version_id=version_id)

    assert _found(database, search=search, sort="name") == expected


def test_a_search_ignores_case_beyond_ascii(database: Database) -> None:
    add_batch(database, name="März ÄRZTE")

    assert _found(database, search="ärzte") == ["März ÄRZTE"]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("created", ["c", "B", "a"]),
        ("name", ["a", "B", "c"]),
        ("process", ["B", "c", "a"]),
        ("sender", ["c", "a", "B"]),
        ("status", ["c", "a", "B"]),
    ],
)
def test_batches_are_sorted_by_what_is_asked_for(database: Database, sort: str, expected: list[str]) -> None:
    for minutes, name, process_name, sender, status in (
        (0, "a", "z", "m@x.example", Status.APPROVED),
        (1, "B", "Ab", "n@x.example", Status.PENDING_APPROVAL),
        (2, "c", "b", "L@x.example", Status.ADMIN_REJECTION),
    ):
        add_batch(
            database,
            definition=process(key=name.lower(), name=process_name),
            created_at=NOW + timedelta(minutes=minutes),
            name=name,
            sender=sender,
            status=status.value,
        )

    assert _found(database, sort=sort) == expected


def test_batches_created_in_one_moment_are_listed_newest_first(database: Database) -> None:
    version_id = deploy(database)
    for name in ("first", "second"):
        add_batch(database, name=name, process_version_id=version_id)

    assert _found(database) == ["second", "first"]


def test_batches_in_a_phase_come_oldest_first(database: Database) -> None:
    version_id = deploy(database)
    ids = [
        batch_in(database, phase, process_version_id=version_id)
        for phase in (Phase.SENDING, Phase.PAUSED, Phase.WAITING, Phase.SENDING)
    ]

    with database.read() as session:
        found = [one.id for one in batches.in_phases(session, {Phase.SENDING, Phase.WAITING})]

    assert found == [ids[0], ids[2], ids[3]]


def test_a_time_comes_back_as_it_was_written_in_utc(database: Database) -> None:
    east = NOW.astimezone(tz=None)
    batch_id = add_batch(database, created_at=east)

    created_at = batch(database, batch_id).created_at

    assert created_at == NOW
    assert created_at.utcoffset() == timedelta(0)


def test_a_batch_has_no_id_before_it_was_written() -> None:
    columns: dict[str, Any] = {}
    with pytest.raises(ValueError, match="not written yet"):
        batches.id_of(Batch(**columns))


# Correcting


def _correct(database: Database, batch_id: int, *, seen: int = 0, rows_key: str = "new") -> None:
    with database.write() as session:
        batches.correct(session, batch_id, act(), seen_revision=seen, rows_key=rows_key, file_sha256="c" * 64)


CHECKED: dict[str, Any] = {
    "rows_key": "old", "recipients_key": "r", "problems_key": "p", "content_sha256": "c", "problems": [{"count": 1}],
    "row_count": 3, "valid": 2, "invalid": 1, "warnings": 1, "link_print": "print",
}  # fmt: skip


@pytest.mark.parametrize("status", [Status.PENDING_APPROVAL, Status.APPROVED])
def test_a_corrected_batch_is_checked_and_decided_again(database: Database, status: Status) -> None:
    batch_id = batch_in(database, Phase.WAITING, **{**CHECKED, "status": status.value})

    _correct(database, batch_id)

    found = batch(database, batch_id)
    assert _stands(database, batch_id) == (Status.PENDING_APPROVAL, Phase.CHECKING)
    assert (found.rows_key, found.revision, found.row_count) == ("new", 1, 3)
    assert (found.recipients_key, found.problems_key, found.content_sha256, found.problems) == (None,) * 4
    assert (found.valid, found.invalid, found.warnings, found.link_print) == (0, 0, 0, None)
    [decision] = _decisions(database, batch_id)
    assert (decision.act, decision.revision, decision.file_sha256) == ("correct", 1, "c" * 64)
    assert found.file_sha256 == FILE_SHA256


@pytest.mark.parametrize(
    ("phase", "columns", "sentence"),
    [
        (Phase.CHECKING, {}, r"still being checked\. Wait for it: bulk-sender batch wait \d+ --until waiting"),
        (Phase.SENDING, {}, r"is sending; rows can be corrected only while .* Create a batch of the corrected rows"),
        (Phase.PAUSED, {}, r"is paused; rows can be corrected only while"),
        (Phase.SETTLING, {}, r"is settling; rows can be corrected only while"),
        (Phase.FINISHED, {}, r"is finished; rows can be corrected only while"),
        (Phase.STOPPED, {}, r"was rejected, so it cannot be corrected\. Create a batch"),
        (Phase.FAILED, {"reason": "no list"}, r"has no rows to correct: no list"),
        (Phase.WAITING, {"archived_at": NOW}, r"is archived, so it cannot be corrected\. Create a batch"),
    ],
)
def test_a_batch_that_does_not_wait_is_not_corrected(
    database: Database, phase: Phase, columns: dict[str, object], sentence: str
) -> None:
    batch_id = batch_in(database, phase, **columns)
    before = batch(database, batch_id).model_dump()

    with pytest.raises(NotAllowed, match=sentence):
        _correct(database, batch_id)

    assert batch(database, batch_id).model_dump() == before
    assert _acts(database, batch_id) == []


def test_of_two_who_correct_the_same_rows_one_does(database: Database) -> None:
    batch_id = batch_in(database, Phase.WAITING)

    came = race(*[partial(_correct, database, batch_id, rows_key=key) for key in ("one", "two")])

    assert [type(fault) for fault in came if fault is not None] == [NotAllowed]
    found = batch(database, batch_id)
    assert (found.rows_key, found.revision) == (("one", "two")[came.index(None)], 1)
    assert _acts(database, batch_id) == ["correct"]


def test_rows_that_were_corrected_since_are_not_corrected_over(database: Database) -> None:
    batch_id = batch_in(database, Phase.WAITING, revision=2)

    with pytest.raises(
        NotAllowed, match=r"changed in this moment\. Get its problems again: bulk-sender batch problems"
    ):
        _correct(database, batch_id, seen=1)
    assert _stands(database, batch_id) == (Status.PENDING_APPROVAL, Phase.WAITING)


def test_of_an_approval_and_a_correction_at_once_what_is_approved_was_seen(database: Database) -> None:
    """Whoever is second either is refused or makes the first void; the new rows are never approved unseen."""
    for _ in range(5):
        batch_id = batch_in(database, Phase.WAITING, process_version_id=deploy(database, process()))

        def approve(batch_id: int = batch_id) -> None:
            with database.write() as session:
                batches.approve(session, batch_id, act(), link_print="print", seen_revision=0)

        race(approve, partial(_correct, database, batch_id))

        assert (batch(database, batch_id).revision, *_stands(database, batch_id)) == (
            1,
            Status.PENDING_APPROVAL,
            Phase.CHECKING,
        )
        assert _acts(database, batch_id) in (["approve", "correct"], ["correct"])


@pytest.mark.parametrize("decide", ["approve", "reject"])
def test_a_decision_about_rows_that_were_corrected_since_does_not_hold(database: Database, decide: str) -> None:
    batch_id = batch_in(database, Phase.WAITING, revision=1)

    decided = {"approve": partial(batches.approve, link_print="print"), "reject": partial(batches.reject)}[decide]
    with database.write() as session, pytest.raises(NotAllowed, match="was corrected after you were shown it"):
        decided(session, batch_id, act(), seen_revision=0)

    assert _stands(database, batch_id) == (Status.PENDING_APPROVAL, Phase.WAITING)


def test_a_check_of_rows_that_were_corrected_since_moves_nothing(database: Database) -> None:
    batch_id = batch_in(database, Phase.CHECKING, revision=1)
    with database.write() as session:
        moved = [
            batches.advance(session, batch_id, Phase.WAITING, now=LATER, seen_revision=revision) for revision in (0, 1)
        ]

    assert moved == [False, True]


# The same list


def test_the_same_list_is_found_in_any_version_of_its_process_alone(database: Database) -> None:
    versions = [deploy(database, process(name=name)) for name in ("First", "Second")]
    other = deploy(database, process(key="other"))
    first, second = [
        batch_in(database, Phase.STOPPED, process_version_id=version, content_sha256="a") for version in versions
    ]
    batch_in(database, Phase.FINISHED, process_version_id=other, content_sha256="a")
    batch_in(database, Phase.FINISHED, process_version_id=versions[0], content_sha256="b")
    batch_in(database, Phase.FAILED, process_version_id=versions[0], content_sha256="a")

    with database.read() as session:
        assert [batch.id for batch in batches.same_content(session, "small", "a")] == [second, first]
        assert [batch.id for batch in batches.same_content(session, "small", "a", apart_from=second)] == [first]
        assert batches.same_content(session, "nothing", "a") == []


# Four eyes


@pytest.mark.parametrize("by", ["sender@acme.example", "Sender@ACME.example", " sender@acme.example "])
def test_nobody_approves_the_batch_they_created(database: Database, by: str) -> None:
    batch_id = batch_in(database, Phase.WAITING, sender="Sender@acme.example")

    with pytest.raises(NotAllowed, match=r"created batch .* somebody else must approve it"):
        _approve(database, batch_id, by=by)
    assert batch(database, batch_id).status == Status.PENDING_APPROVAL
    assert _decisions(database, batch_id) == []

    _approve(database, batch_id)


def test_nobody_approves_the_rows_they_corrected_in_any_revision(database: Database) -> None:
    batch_id = batch_in(database, Phase.WAITING)
    for revision, by in enumerate(("ann@acme.example", "bob@acme.example")):
        with database.write() as session:
            batches.correct(
                session, batch_id, act(by), seen_revision=revision, rows_key=str(revision), file_sha256="c" * 64
            )
            batches.note(session, batch_id, phase=Phase.WAITING.value, valid=1)

    for by in ("ann@acme.example", "Bob@acme.example"):
        with pytest.raises(NotAllowed, match="created or corrected"):
            _approve(database, batch_id, by=by)

    _approve(database, batch_id)


def test_whoever_really_created_it_cannot_approve_it_either(database: Database) -> None:
    """The sender that the batch shows may be somebody else."""
    batch_id = batch_in(database, Phase.WAITING)
    with database.write() as session:
        batches.note_act(session, batch_id, act("ann@acme.example"), name="create")

    with pytest.raises(NotAllowed, match="somebody else must approve it"):
        _approve(database, batch_id, by="ann@acme.example")


def test_whoever_created_a_batch_may_reject_and_archive_it(database: Database) -> None:
    rejected, archived = batch_in(database, Phase.WAITING), batch_in(database, Phase.WAITING)

    _reject(database, rejected, by="sender@acme.example")
    with database.write() as session:
        batches.archive(session, archived, act("sender@acme.example"))

    assert {batch(database, one).status for one in (rejected, archived)} == {Status.ADMIN_REJECTION}


def test_with_four_eyes_off_the_creator_may_approve(database: Database) -> None:
    batch_id = batch_in(database, Phase.WAITING)
    with database.write() as session:
        batches.approve(session, batch_id, act("sender@acme.example"), link_print="print", four_eyes=False)

    assert batch(database, batch_id).status == Status.APPROVED
