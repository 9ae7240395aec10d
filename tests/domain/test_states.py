"""The tables of states: complete, explained, and without a dead end."""

from __future__ import annotations

import ast
import inspect
from enum import StrEnum

import pytest

import domain.errors
import domain.outcomes
import domain.processes
import domain.rules
import domain.states
from domain.outcomes import OutcomeKind
from domain.states import (
    AT_REST,
    MESSAGE_OF_REQUEST,
    NEXT_PHASE,
    NEXT_REQUEST,
    REJECTABLE,
    MessageState,
    Phase,
    RequestState,
    before_phase,
    before_request,
)

ENDS = {Phase.STOPPED, Phase.FAILED}
REQUEST_ENDS = {RequestState.ACCEPTED, RequestState.REJECTED, RequestState.REPLACED}


def unexplained(source: str) -> list[str]:
    """Members of enumerations that no sentence follows."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ClassDef) or not any(
            isinstance(base, ast.Name) and base.id.endswith("Enum") for base in node.bases
        ):
            continue
        for statement, following in zip(node.body, [*node.body[1:], None], strict=True):
            explained = (
                isinstance(following, ast.Expr)
                and isinstance(following.value, ast.Constant)
                and isinstance(following.value.value, str)
            )
            if isinstance(statement, ast.Assign) and not explained:
                found.append(f"{node.name}.{ast.unparse(statement.targets[0])}")
    return found


@pytest.mark.parametrize(
    "module",
    [domain.states, domain.outcomes, domain.errors, domain.processes, domain.rules],
    ids=lambda module: str(module.__name__),
)
def test_every_member_of_an_enumeration_is_explained(module: object) -> None:
    assert unexplained(inspect.getsource(module)) == []  # type: ignore[arg-type]  # a module


def test_a_member_without_a_sentence_is_noticed() -> None:
    assert unexplained('class A(StrEnum):\n    X = "x"\n    """Good."""\n    Y = "y"\n    Z = "z"\n') == ["A.Y", "A.Z"]


@pytest.mark.parametrize(
    ("table", "states", "ends", "start"),
    [
        (NEXT_PHASE, Phase, ENDS, Phase.CHECKING),
        (NEXT_REQUEST, RequestState, REQUEST_ENDS, RequestState.NEW),
    ],
)
def test_every_state_is_reached_and_leads_to_an_end(
    table: dict[StrEnum, frozenset[StrEnum]], states: type[StrEnum], ends: set[StrEnum], start: StrEnum
) -> None:
    assert set(table) == set(states)
    assert {state for state, following in table.items() if not following} == ends
    assert all(state not in following for state, following in table.items())
    reached, new = {start}, {start}
    while new:
        new = {following for state in new for following in table[state]} - reached
        reached |= new
    assert reached == set(states)
    for state in states:
        possible, new = {state}, {state}
        while new:
            new = {following for one in new for following in table[one]} - possible
            possible |= new
        assert possible & ends


@pytest.mark.parametrize(
    ("before", "to", "allowed"),
    [
        (Phase.CHECKING, Phase.SENDING, False),
        (Phase.WAITING, Phase.SENDING, True),
        (Phase.SENDING, Phase.FINISHED, False),
        (Phase.PAUSED, Phase.SENDING, True),
        (Phase.SETTLING, Phase.STOPPED, False),
        (Phase.WAITING, Phase.CHECKING, True),
        (Phase.SENDING, Phase.CHECKING, False),
        # Where a doubt ended in sending again.
        (Phase.FINISHED, Phase.SENDING, True),
        (Phase.STOPPED, Phase.SENDING, False),
        (Phase.FAILED, Phase.CHECKING, False),
    ],
)
def test_a_phase_may_follow_another(before: Phase, to: Phase, *, allowed: bool) -> None:
    assert (before in before_phase(to)) == allowed


@pytest.mark.parametrize(
    ("before", "to", "allowed"),
    [
        # Only by evidence for the request that it replaces.
        (RequestState.NEW, RequestState.ACCEPTED, True),
        (RequestState.NEW, RequestState.IN_DOUBT, False),
        (RequestState.INTENT, RequestState.NEW, True),
        (RequestState.IN_DOUBT, RequestState.NEW, False),
        (RequestState.IN_DOUBT, RequestState.INTENT, False),
        (RequestState.IN_DOUBT, RequestState.ACCEPTED, True),
        (RequestState.UNRESOLVED, RequestState.ACCEPTED, True),
        (RequestState.ACCEPTED, RequestState.IN_DOUBT, False),
    ],
)
def test_a_request_may_become(before: RequestState, to: RequestState, *, allowed: bool) -> None:
    assert (before in before_request(to)) == allowed


def test_before_is_the_table_read_backwards() -> None:
    assert all((one in before_phase(to)) == (to in NEXT_PHASE[one]) for one in Phase for to in Phase)
    assert all((one in before_request(to)) == (to in NEXT_REQUEST[one]) for one in RequestState for to in RequestState)


def test_only_a_request_that_was_never_accepted_is_made_again() -> None:
    """The way back to NEW is open from an intent alone, and by an answer; a doubt is never made again as it is."""
    assert before_request(RequestState.NEW) == {RequestState.INTENT}
    assert before_request(RequestState.INTENT) == {RequestState.NEW}


def test_a_message_follows_its_request_where_the_request_says_something_of_it() -> None:
    silent = {RequestState.NEW, RequestState.INTENT, RequestState.REPLACED}

    assert set(MESSAGE_OF_REQUEST) == set(RequestState) - silent
    assert set(MESSAGE_OF_REQUEST.values()) == set(MessageState) - {MessageState.PENDING}
    assert all(
        message.value == request.value
        for request, message in MESSAGE_OF_REQUEST.items()
        if request is not RequestState.REJECTED
    )
    assert MESSAGE_OF_REQUEST[RequestState.REJECTED] is MessageState.FAILED


def test_a_batch_that_ended_or_waits_for_people_is_at_rest() -> None:
    assert ENDS | {Phase.FINISHED, Phase.WAITING, Phase.PAUSED} == AT_REST


def test_a_rejection_changes_something_while_anything_has_not_left() -> None:
    assert {Phase.WAITING, Phase.SENDING, Phase.PAUSED} == REJECTABLE


def test_every_outcome_has_its_words() -> None:
    assert {kind.value for kind in OutcomeKind} == {
        "accepted",
        "try_later",
        "recipient_refused",
        "request_refused",
        "account_refused",
        "in_doubt",
    }
