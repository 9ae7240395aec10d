"""Deciding in the Prefect UI, which knows no users: who decides is whose code it is, and nobody approves their own."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from deployments import accounts as people
from domain.errors import Forbidden, NotAllowed
from domain.rights import Role
from domain.states import Phase, Status
from models import batches
from tasks import approval
from tasks.approval import Approval, Decision, decide, invitation
from tasks.fetch import create_from
from tasks.surroundings import Surroundings, now
from tests.factories import act, add_batch, batch, deploy, process

APPROVER, OPERATOR = "approver@acme.example", "operator@acme.example"
WRONG = [f"WRNG-222{sign}" for sign in "23456789"]


def waiting(around: Surroundings, *, sender: str = OPERATOR) -> int:
    return add_batch(
        around.database, definition=process(), phase=Phase.WAITING.value, row_count=1, valid=1, sender=sender
    )


def users(around: Surroundings) -> None:
    for email, role in ((APPROVER, Role.APPROVER), (OPERATOR, Role.OPERATOR), ("admin@acme.example", Role.ADMIN)):
        people.add_user(around, email, role, password=None)


def form(code: str = "", *, email: str = "", decision: Decision = Decision.APPROVE) -> Approval:
    return Approval(decision=decision, code=code, email=email, comment="seen")


def code_of(around: Surroundings, batch_id: int, *, email: str = APPROVER) -> str:
    return people.make_code(around, batch_id, email=email).text


def history(around: Surroundings, batch_id: int) -> list[tuple[str, str, str]]:
    with around.database.read() as session:
        return [(one.act, one.by, one.via) for one in batches.decisions(session, batch_id)]


def later(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    for module in (approval, people):
        monkeypatch.setattr(module, "now", lambda: now() + by)


def test_before_there_is_any_user_people_are_known_by_the_email_they_give(around: Surroundings) -> None:
    batch_id = waiting(around)

    needed = decide(around, batch_id, form(), revision=0)
    own = decide(around, batch_id, form(email="Operator@ACME.example"), revision=0)
    other = decide(around, batch_id, form(email=APPROVER), revision=0)

    assert needed is not None
    assert "Your email is needed" in needed
    assert own is not None
    assert "somebody else must approve it" in own
    assert other is None
    assert history(around, batch_id) == [("approve", APPROVER, "Prefect UI")]


def test_a_code_says_who_decides_whatever_email_is_given(around: Surroundings) -> None:
    users(around)
    batch_id = waiting(around)

    refusal = decide(around, batch_id, form(code_of(around, batch_id).lower(), email="boss@acme.example"), revision=0)

    assert refusal is None
    assert history(around, batch_id) == [("approve", APPROVER, "Prefect UI")]


@pytest.mark.parametrize("decision", Decision)
def test_once_there_are_users_an_email_decides_nothing(around: Surroundings, decision: Decision) -> None:
    users(around)
    batch_id = waiting(around)

    refusal = decide(around, batch_id, form(email=APPROVER, decision=decision), revision=0)

    assert refusal is not None
    assert "A code is needed" in refusal
    assert batch(around.database, batch_id).status == Status.PENDING_APPROVAL


def test_a_code_is_used_up_by_the_decision(around: Surroundings) -> None:
    users(around)
    batch_id = waiting(around)
    code = code_of(around, batch_id)
    assert decide(around, batch_id, form(code, decision=Decision.REJECT), revision=0) is None

    with around.database.write() as session:
        batches.note(session, batch_id, phase=Phase.WAITING.value, status=Status.PENDING_APPROVAL.value)
    refusal = decide(around, batch_id, form(code), revision=0)

    assert refusal is not None
    assert "was used already" in refusal


def test_a_code_holds_for_a_quarter_of_an_hour(around: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    users(around)
    batch_id = waiting(around)
    code = code_of(around, batch_id)

    later(monkeypatch, people.CODE_HOLDS + timedelta(seconds=1))
    refusal = decide(around, batch_id, form(code), revision=0)

    assert refusal is not None
    assert "15 minutes are over" in refusal


def test_a_code_fits_its_own_batch_only(around: Surroundings) -> None:
    users(around)
    batch_id, other = waiting(around), waiting(around)

    refusal = decide(around, other, form(code_of(around, batch_id)), revision=0)

    assert refusal is not None
    assert f"not right for batch {other}" in refusal


def test_a_code_from_before_a_correction_decides_nothing(around: Surroundings) -> None:
    """It was given for what the batch was then."""
    users(around)
    batch_id = waiting(around)
    code = code_of(around, batch_id)
    with around.database.write() as session:
        batches.correct(session, batch_id, act(OPERATOR), seen_revision=0, rows_key="new", file_sha256="c" * 64)
        batches.note(session, batch_id, phase=Phase.WAITING.value, valid=1)

    refused = [decide(around, batch_id, form(code), revision=revision) for revision in (0, 1)]

    assert refused[0] is not None
    assert "was corrected after you were shown it" in refused[0]
    assert refused[1] is not None
    assert "not right for batch" in refused[1]
    assert batch(around.database, batch_id).status == Status.PENDING_APPROVAL


@pytest.mark.parametrize("who", ["admin@acme.example", APPROVER])
def test_nobody_approves_what_they_made(around: Surroundings, who: str) -> None:
    users(around)
    batch_id = waiting(around, sender=who.upper())

    refusal = decide(around, batch_id, form(code_of(around, batch_id, email=who)), revision=0)

    assert refusal is not None
    assert "somebody else must approve it" in refusal


def test_whoever_lost_the_right_meanwhile_decides_nothing(around: Surroundings) -> None:
    users(around)
    batch_id = waiting(around)
    code = code_of(around, batch_id)
    people.change_role(around, APPROVER, Role.ANALYST)

    refusal = decide(around, batch_id, form(code), revision=0)

    assert refusal is not None
    assert "may not approve or reject" in refusal


def test_few_codes_may_be_guessed_and_then_even_the_right_one_waits(
    around: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    users(around)
    batch_id, other = waiting(around), waiting(around)
    guessed = [decide(around, batch_id, form(code), revision=0) or "" for code in WRONG[:5]]

    refusal = decide(around, batch_id, form(code_of(around, batch_id)), revision=0)

    assert all("not right" in one for one in guessed)
    assert refusal is not None
    assert "Too many wrong codes" in refusal
    assert decide(around, other, form(code_of(around, other)), revision=0) is None
    later(monkeypatch, timedelta(minutes=15, seconds=1))
    assert decide(around, batch_id, form(code_of(around, batch_id)), revision=0) is None


def test_the_same_wrong_code_shown_again_counts_once(around: Surroundings) -> None:
    """Prefect gives every earlier answer again whenever the run goes on."""
    users(around)
    batch_id = waiting(around)

    refused = {decide(around, batch_id, form(WRONG[0]), revision=0) for _ in range(9)}

    assert len(refused) == 1
    assert decide(around, batch_id, form(code_of(around, batch_id)), revision=0) is None


def test_with_four_eyes_off_the_creator_may_approve_and_the_form_says_so(around: Surroundings) -> None:
    object.__setattr__(around, "settings", around.settings.model_copy(update={"four_eyes": False}))
    batch_id = waiting(around)

    shown = invitation(around, batch_id, refusal=None)

    assert "Four-eyes approval is off" in shown
    assert decide(around, batch_id, form(email=OPERATOR), revision=0) is None


def test_the_form_says_what_is_needed_and_who_must_not(around: Surroundings) -> None:
    batch_id = waiting(around)
    before = invitation(around, batch_id, refusal=None)
    users(around)
    after = invitation(around, batch_id, refusal=None)

    assert "Your email is needed" in before
    assert "Your code is needed" in after
    assert f"/batches/{batch_id})" in after
    assert f"somebody other than {OPERATOR}" in after


def test_whoever_corrected_rows_may_not_approve_them(around: Surroundings) -> None:
    batch_id = waiting(around)
    with around.database.write() as session:
        batches.correct(
            session, batch_id, act("Helper@acme.example"), seen_revision=0, rows_key="new", file_sha256="c" * 64
        )
        batches.note(session, batch_id, phase=Phase.WAITING.value, valid=1)

    refusal = decide(around, batch_id, form(email="helper@acme.example"), revision=1)

    assert refusal is not None
    assert "created or corrected" in refusal
    assert decide(around, batch_id, form(email=APPROVER), revision=1) is None


# Creating a batch from the form of its deployment

OWN: dict[str, Any] = {"process_key": "small", "name": "", "run_id": "run", "start": lambda *_: "started"}


@pytest.fixture
def file(around: Surroundings, tmp_path: Path) -> str:
    """A recipient file of the process that is live."""
    deploy(around.database, process())
    path = tmp_path / "people.csv"
    path.write_text("first_name,email\nAnn,ann@mail.example.com\n")
    return str(path)


def created(around: Surroundings, batch_id: int) -> tuple[str, list[tuple[str, str, str]]]:
    return batch(around.database, batch_id).sender, history(around, batch_id)


def test_before_there_is_any_user_a_batch_is_created_by_the_email_that_is_given(
    around: Surroundings, file: str
) -> None:
    with pytest.raises(NotAllowed, match="Your email is needed"):
        create_from(around, file, sender="", code="", **OWN)

    batch_id = create_from(around, file, sender="a@acme.example", code="", **OWN)

    assert created(around, batch_id) == ("a@acme.example", [("create", "a@acme.example", "Prefect UI")])


def test_once_there_are_users_a_batch_is_created_by_whose_code_it_is(around: Surroundings, file: str) -> None:
    """Else an approver would create one in an operator's name, and approve it."""
    users(around)
    decides, code = code_of(around, waiting(around)), people.make_creation_code(around, email=OPERATOR).text

    with pytest.raises(NotAllowed, match="A code is needed"):
        create_from(around, file, sender=OPERATOR, code="", **OWN)
    with pytest.raises(NotAllowed, match="not right for creating"):
        create_from(around, file, sender=OPERATOR, code=decides, **OWN)
    batch_id = create_from(around, file, sender="boss@acme.example", code=code, **OWN)

    assert created(around, batch_id) == (OPERATOR, [("create", OPERATOR, "Prefect UI")])
    assert create_from(around, file, sender="", code=code, **OWN) == batch_id  # the same run, started again
    with pytest.raises(NotAllowed, match="used already"):
        create_from(around, file, sender="", code=code, **{**OWN, "run_id": "another"})


def test_whoever_may_not_create_gets_no_code_for_it(around: Surroundings) -> None:
    users(around)

    with pytest.raises(Forbidden, match="may not create"):
        people.make_creation_code(around, email=APPROVER)
