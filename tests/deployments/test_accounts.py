"""Accounts as programs and shells use them: whose key it is, who may act, and that somebody can always manage users."""

from __future__ import annotations

from datetime import timedelta

import pytest

from deployments import accounts
from deployments.acts import acting
from domain.errors import Forbidden, NotAllowed
from domain.rights import Right, Role
from models import accounts as kept
from tasks.surroundings import Surroundings, now

ANN, ROOT = "ann@acme.example", "root@acme.example"


def users(around: Surroundings) -> None:
    accounts.add_user(around, ANN, Role.OPERATOR, password=None)
    accounts.add_user(around, ROOT, Role.ADMIN, password=None)


def test_a_key_acts_as_its_user_with_the_rights_of_now(around: Surroundings) -> None:
    users(around)
    key = accounts.add_key(around, "nightly", email=ANN)

    before = accounts.key_holder(around, key)
    accounts.change_role(around, ANN, Role.ANALYST)
    after = accounts.key_holder(around, key)

    assert before == accounts.Known(ANN, Role.OPERATOR, "nightly")
    assert after == accounts.Known(ANN, Role.ANALYST, "nightly")


@pytest.mark.parametrize("given", ["", "bsk_", "bsk_" + "A" * 43, "é" * 47])
def test_no_other_text_is_a_key(around: Surroundings, given: str) -> None:
    users(around)
    accounts.add_key(around, "nightly", email=ANN)

    assert accounts.key_holder(around, given) is None


def test_what_is_kept_of_a_key_opens_nothing(around: Surroundings) -> None:
    """Whoever reads the database has no key by that."""
    users(around)
    accounts.add_key(around, "nightly", email=ANN)
    with around.database.read() as session:
        [(key, _)] = kept.keys(session)
        digest = key.key_sha256

    assert accounts.key_holder(around, digest) is None


def test_when_a_key_was_used_is_noted_but_not_each_time(around: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    users(around)
    key = accounts.add_key(around, "nightly", email=ANN)
    real = now()
    found = []
    for minutes in (0, 4, 6):
        monkeypatch.setattr(accounts, "now", lambda minutes=minutes: real + timedelta(minutes=minutes))
        accounts.key_holder(around, key)
        with around.database.read() as session:
            found.append(kept.keys(session)[0][0].used_at)

    assert found == [real, real, real + timedelta(minutes=6)]


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\nb"])
def test_a_key_has_a_name_that_the_history_can_show(around: Surroundings, name: str) -> None:
    users(around)

    with pytest.raises(NotAllowed, match="name of a key"):
        accounts.add_key(around, name, email=ANN)


def test_before_there_is_any_user_whoever_has_a_shell_is_believed(around: Surroundings) -> None:
    person = acting(around, "any@acme.example", Right.DECIDE, what="The approver", via="command line", comment="fine")

    assert (person.email, person.via, person.comment) == ("any@acme.example", "command line", "fine")
    with pytest.raises(NotAllowed, match="is not an email address"):
        acting(around, "nobody", Right.DECIDE, what="The approver", via="command line")


def test_once_there_are_users_only_an_active_one_with_the_right_may(around: Surroundings) -> None:
    users(around)

    assert acting(around, ANN.upper(), Right.CREATE, what="The sender", via="command line").email == ANN.upper()
    with pytest.raises(Forbidden, match="is an operator and may not approve"):
        acting(around, ANN, Right.DECIDE, what="The approver", via="command line")
    accounts.disable_user(around, ANN)
    with pytest.raises(Forbidden, match="no active user"):
        acting(around, ANN, Right.CREATE, what="The sender", via="command line")


def test_somebody_can_always_manage_users(around: Surroundings) -> None:
    users(around)

    with pytest.raises(NotAllowed, match="last active admin"):
        accounts.disable_user(around, ROOT)
    with pytest.raises(NotAllowed, match="last active admin"):
        accounts.change_role(around, ROOT, Role.OPERATOR)
    accounts.add_user(around, "second@acme.example", Role.ADMIN, password=None)
    accounts.disable_user(around, ROOT)

    accounts.require_right(around, "second@acme.example", Right.MANAGE_USERS)


@pytest.mark.parametrize(
    "email", ["nobody", "@acme.example", "a@", "a b@acme.example", "a@acme.example\x1b[2J", "a@" + "x" * 260]
)
def test_a_user_has_an_email(around: Surroundings, email: str) -> None:
    with pytest.raises(NotAllowed):
        accounts.add_user(around, email, Role.ADMIN, password=None)
    assert not accounts.any_user(around)


def test_where_there_is_no_admin_anybody_else_can_still_be_disabled(around: Surroundings) -> None:
    accounts.add_user(around, ANN, Role.OPERATOR, password=None)

    accounts.disable_user(around, ANN)

    with around.database.read() as session:
        assert kept.by_email(session, ANN).disabled_at is not None
