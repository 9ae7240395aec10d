"""Who may do what."""

from __future__ import annotations

import pytest

from domain.rights import RIGHTS, WORDS, Right, Role, may, roles_with, same_person, without_right


def test_every_role_is_in_the_table_and_every_right_has_its_words() -> None:
    assert set(RIGHTS) == set(Role)
    assert set(WORDS) == set(Right)


def test_every_person_may_look_and_download() -> None:
    assert all({Right.READ, Right.DOWNLOAD} <= RIGHTS[role] for role in Role if role is not Role.PLATFORM)


def test_a_platform_may_take_people_over_and_nothing_else() -> None:
    assert RIGHTS[Role.PLATFORM] == {Right.TAKE_OVER}


def test_an_admin_may_do_everything() -> None:
    assert RIGHTS[Role.ADMIN] == set(Right)


@pytest.mark.parametrize(
    ("right", "roles"),
    [
        (Right.CREATE, [Role.OPERATOR, Role.ADMIN]),
        (Right.DECIDE, [Role.APPROVER, Role.ADMIN]),
        (Right.PAUSE, [Role.APPROVER, Role.ADMIN]),
        (Right.ARCHIVE, [Role.OPERATOR, Role.APPROVER, Role.ADMIN]),
        (Right.MANAGE_USERS, [Role.ADMIN]),
    ],
)
def test_a_right_belongs_to_its_roles_and_no_other(right: Right, roles: list[Role]) -> None:
    assert roles_with(right) == roles
    assert [role for role in Role if may(role, right)] == roles


def test_no_role_but_admin_both_creates_and_decides() -> None:
    """Who makes lists must not be who lets them go."""
    assert [role for role, rights in RIGHTS.items() if {Right.CREATE, Right.DECIDE} <= rights] == [Role.ADMIN]


def test_a_right_may_be_named_by_its_word_and_a_wrong_word_is_a_mistake() -> None:
    assert may(Role.OPERATOR, "create")
    with pytest.raises(ValueError, match="aprova"):
        may(Role.ADMIN, "aprova")


def test_a_refusal_says_who_may() -> None:
    assert without_right("ann@acme.example", Role.OPERATOR, Right.DECIDE) == (
        "ann@acme.example is an operator and may not approve or reject batches. It needs an approver or an admin."
    )
    assert "It needs an admin." in without_right("bob@acme.example", Role.APPROVER, Right.MANAGE_USERS)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Ann@Acme.example", " ann@acme.EXAMPLE ", True),
        ("STRASSE@acme.example", "straße@acme.example", True),
        ("ann@acme.example", "ann@acme.example.org", False),
    ],
)
def test_people_are_the_same_however_their_email_is_spelled(one: str, other: str, same: bool) -> None:
    assert same_person(one, other) is same
