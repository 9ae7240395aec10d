"""Acts from the form in the Prefect UI: whoever acts has shown who they are, and may do it."""

from __future__ import annotations

import pytest

from deployments import accounts
from deployments.act_on_batch import Choice, do, known
from domain.errors import Forbidden, NotAllowed, NotFound
from domain.rights import Role
from domain.states import Phase, Status
from models import batches
from tasks.surroundings import Surroundings
from tests.deployments.test_correcting import beside
from tests.factories import batch, batch_in
from tests.servers import nowhere

APPROVER, OPERATOR = "approver@acme.example", "operator@acme.example"


def act(around: Surroundings, batch_id: int, choice: Choice, *, code: str = "", email: str = "") -> None:
    who = known(around, batch_id, choice, code=code, email=email, comment="seen")
    do(beside(around, nowhere()), batch_id, choice, who=who)


def users(around: Surroundings) -> None:
    for email, role in ((APPROVER, Role.APPROVER), (OPERATOR, Role.OPERATOR), ("admin@acme.example", Role.ADMIN)):
        accounts.add_user(around, email, role, password=None)


def test_a_batch_is_paused_and_rejected_by_whom_the_form_names(around: Surroundings) -> None:
    batch_id = batch_in(around.database, Phase.SENDING)

    act(around, batch_id, "Pause", email=APPROVER)
    assert batch(around.database, batch_id).phase == Phase.PAUSED
    act(around, batch_id, "Reject", email=APPROVER)

    found = batch(around.database, batch_id)
    assert (found.phase, found.status) == (Phase.STOPPED, Status.ADMIN_REJECTION)
    with around.database.read() as session:
        assert [(one.act, one.by, one.via, one.comment) for one in batches.decisions(session, batch_id)] == [
            ("pause", APPROVER, "Prefect UI", "seen"),
            ("reject", APPROVER, "Prefect UI", "seen"),
        ]


def test_a_batch_is_archived(around: Surroundings) -> None:
    batch_id = batch_in(around.database, Phase.FINISHED)

    act(around, batch_id, "Archive", email=APPROVER)

    assert batch(around.database, batch_id).archived_at is not None


def test_an_act_that_does_not_fit_changes_nothing(around: Surroundings) -> None:
    batch_id = batch_in(around.database, Phase.FINISHED)

    with pytest.raises(NotAllowed, match="nothing to pause"):
        act(around, batch_id, "Pause", email=APPROVER)
    with pytest.raises(NotAllowed, match="Your email is needed"):
        act(around, batch_id, "Archive")
    with pytest.raises(NotFound):
        act(around, batch_id + 1, "Archive", email=APPROVER)

    assert batch(around.database, batch_id).archived_at is None


def test_once_there_are_users_an_email_is_not_enough(around: Surroundings) -> None:
    users(around)
    batch_id = batch_in(around.database, Phase.SENDING)

    with pytest.raises(NotAllowed, match="A code is needed"):
        act(around, batch_id, "Reject", email=APPROVER)
    with pytest.raises(NotAllowed, match="not right"):
        act(around, batch_id, "Reject", code="WRNG-2222", email=APPROVER)

    assert batch(around.database, batch_id).phase == Phase.SENDING


def test_a_code_says_who_acts_once(around: Surroundings) -> None:
    users(around)
    batch_id = batch_in(around.database, Phase.SENDING)
    code = accounts.make_code(around, batch_id, email=APPROVER).text

    act(around, batch_id, "Pause", code=code, email="somebody.else@acme.example")
    with pytest.raises(NotAllowed, match="used already"):
        act(around, batch_id, "Reject", code=code)

    assert batch(around.database, batch_id).phase == Phase.PAUSED
    with around.database.read() as session:
        assert [one.by for one in batches.decisions(session, batch_id)] == [APPROVER]


def test_a_code_is_no_right(around: Surroundings) -> None:
    users(around)
    batch_id = batch_in(around.database, Phase.SENDING)
    code = accounts.make_code(around, batch_id, email=APPROVER).text
    accounts.change_role(around, APPROVER, Role.OPERATOR)

    with pytest.raises(Forbidden):
        act(around, batch_id, "Reject", code=code)

    assert batch(around.database, batch_id).phase == Phase.SENDING
