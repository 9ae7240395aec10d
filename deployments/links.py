"""What becomes of somebody who comes with a personal link, and of the platform that they are handed on to.

Looking changes nothing, however often and by whatever it is done. A person's act does: a mark, a try of the
second factor, the one submission.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import polars as pl
from sqlmodel import Session

from domain.answers import Answers, judge_answers, label
from domain.errors import NotFound
from domain.frames import ROW, item_column
from domain.link_life import (
    CODE_GOOD_FOR,
    FACTOR_GOOD_FOR,
    NOTHING_KNOWN,
    Facts,
    Standing,
    expires_at,
    is_scanner,
    same_factor,
    standing,
)
from domain.links import NONCE_BYTES, Place
from domain.processes import ItemType, ProcessDefinition
from domain.proofs import digest, keyed, network_of
from domain.rendering import as_read
from models import accounts, batches, processes, visits
from models.accounts import Stretch
from models.visits import Known, Mark
from tasks.surroundings import Surroundings, now

__all__ = ["Mark", "Standing"]

WRONG_TOKENS = Stretch(most=60, lasts=FACTOR_GOOD_FOR / 6)
"""From one address. They cannot be guessed; this keeps the work of trying from others."""
NOBODY = Place(0, 0)
INVALID = "This link is not valid."
UNKNOWN_CODE = (
    "The code is not valid: it was used already, is too old, or was never made. Send the person to their link again."
)
UNKNOWN_REFERENCE = "The recipient is not known here. Give the reference that the exchange gave."
_CODE = "code"


@dataclass(frozen=True, slots=True)
class Field:
    """One data item of a form.

    Attributes:
        name: of the data item.
        label: what the form calls it.
        help: a sentence below the label.
        type: decides what it is entered with.
        required: whether it must be filled in.
        choices: of a choice.
        value: canonical, or as somebody entered it; empty where there is none.
        read: the same as people read it.
        problem: what must be corrected.
    """

    name: str
    label: str
    help: str | None
    type: ItemType
    required: bool
    choices: tuple[str, ...]
    value: str
    read: str
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Form:
    """A process's form for one recipient."""

    process: str
    lang: str | None
    right_to_left: bool
    fields: tuple[Field, ...]

    @property
    def problems(self) -> tuple[Field, ...]:
        """The fields that must be corrected."""
        return tuple(field for field in self.fields if field.problem)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody with a link.

    Attributes:
        place: whom the link is for; `NOBODY` if it is none of ours.
        standing: what becomes of them.
        definition: of the process; None where `standing` is CLOSED because nothing is known.
        facts: what decided that.
        known: the link as the ledger has it.
    """

    place: Place
    standing: Standing
    definition: ProcessDefinition | None
    facts: Facts
    known: Known | None

    @property
    def is_nobody(self) -> bool:
        """Whether the link is none that this installation made."""
        return self.place == NOBODY


class Tried(StrEnum):
    """What came of a second factor."""

    RIGHT = "right"
    """They may go on."""
    WRONG = "wrong"
    """They may try again."""
    LOCKED = "locked"
    """They must wait; what they entered was not looked at."""


class Sent(StrEnum):
    """What came of a form that was sent."""

    KEPT = "kept"
    """Their answers are here, from this or an earlier time."""
    TO_CORRECT = "to correct"
    """Nothing was kept."""
    CLOSED = "closed"
    """The link ended meanwhile; nothing was kept."""


@dataclass(frozen=True, slots=True)
class HandOver:
    """What a platform gets for a code.

    Attributes:
        recipient: what it calls the recipient when it reports.
        process: key of the process.
        version: of the process.
        expires_at: when the link ends; None for never.
        values: canonical value by data item, None where there is none.
    """

    recipient: str
    process: str
    version: int
    expires_at: datetime | None
    values: Mapping[str, str | None]


# Looking


def look(around: Surroundings, token: str) -> Visitor:
    """Who comes with a token. The same work is done whether it is right, wrong or over, and nothing is changed."""
    try:
        place = around.links.place(token)
    except NotFound:
        place = NOBODY
    with around.database.read() as session:
        return _visitor(session, place, moment=now())


def _visitor(session: Session, place: Place, *, moment: datetime) -> Visitor:
    known = visits.known(session, place)
    if known is None:
        return Visitor(place, Standing.CLOSED, None, NOTHING_KNOWN, None)
    definition = _definition(known.definition)
    facts = replace(known.facts, link_days=definition.link_days)
    return Visitor(place, standing(facts, now=moment), definition, facts, known)


@lru_cache(maxsize=64)
def _definition(content: str) -> ProcessDefinition:
    """A version's content never changes, and reading it takes longer than all the rest."""
    return ProcessDefinition.model_validate_json(content)


def form_of(around: Surroundings, batch_id: int, row: int) -> Form:
    """The form that a recipient gets, filled in from their row; for a preview too, because it counts as nothing.

    Raises:
        NotFound: the batch has no such row that can be sent, or was not checked.
    """
    with around.database.read() as session:
        batch = batches.by_id(session, batch_id)
        version = processes.version_by_id(session, batch.process_version_id)
        definition, key = _definition(version.definition), batch.recipients_key
    if key is None:
        raise NotFound(INVALID)
    values = _values(around, key, row, definition)
    return _form(definition, {name: value or "" for name, value in values.items()})


def form_for(around: Surroundings, visitor: Visitor) -> Form:
    """The form of somebody whose link is open."""
    return form_of(around, visitor.place.batch_id, visitor.place.row)


def again(visitor: Visitor, entered: Mapping[str, str], answers: Answers) -> Form:
    """The form as somebody sent it, with what must be corrected."""
    return _form(_known_definition(visitor), entered, answers.problems)


def _known_definition(visitor: Visitor) -> ProcessDefinition:
    if visitor.definition is None:
        raise NotFound(INVALID)
    return visitor.definition


def _values(around: Surroundings, key: str, row: int, definition: ProcessDefinition) -> dict[str, str | None]:
    with around.storage.local(key) as path:
        found = pl.scan_parquet(path).filter((pl.col(ROW) == row) & pl.col("valid")).collect()
    if found.is_empty():
        raise NotFound(INVALID)
    values = found.row(0, named=True)
    return {item.name: values.get(item_column(item.name)) for item in definition.data_items}


def _form(definition: ProcessDefinition, values: Mapping[str, str], problems: Mapping[str, str] | None = None) -> Form:
    fields = tuple(
        Field(
            name=item.name,
            label=label(item),
            help=item.help,
            type=item.type,
            required=item.required,
            choices=item.choices,
            value=values.get(item.name, ""),
            read=as_read(item, values.get(item.name, "")),
            problem=(problems or {}).get(item.name),
        )
        for item in definition.data_items
    )
    return Form(definition.name, definition.lang, definition.right_to_left, fields)


# Who tries tokens


def must_wait(around: Surroundings, address: str) -> bool:
    """Whether too many wrong tokens came from an address of late."""
    with around.database.read() as session:
        tries = accounts.tries_since(session, _tried_from(around, address), since=now() - WRONG_TOKENS.lasts)
    return tries >= WRONG_TOKENS.most


def note_wrong_token(around: Surroundings, address: str) -> None:
    """Count a token that this installation never made."""
    with around.database.write() as session:
        accounts.count_try(session, _tried_from(around, address), WRONG_TOKENS, now=now())


def _tried_from(around: Surroundings, address: str) -> str:
    return keyed(around.settings.secret, "links-from", network_of(address))


# Acting


def note(around: Surroundings, token: str, reached: Mark, *, user_agent: str | None) -> None:
    """Write down that a person opened or started; a scanner's act, or one on a link that is not open, counts as nothing."""
    visitor = look(around, token)
    if visitor.standing is Standing.OPEN and not is_scanner(user_agent):
        _mark(around, visitor, reached)


def _mark(around: Surroundings, visitor: Visitor, reached: Mark) -> None:
    if visitor.known is None or reached in visitor.known.marks:
        return
    with around.database.write() as session:
        visits.mark(session, visitor.place, reached, now=now())


def needs_factor(around: Surroundings, visitor: Visitor, held: str | None) -> bool:
    """Whether somebody must first show that they know the second factor.

    Args:
        around: holds the secret.
        visitor: who they are.
        held: the pass that their browser holds.
    """
    if visitor.definition is None or visitor.definition.second_factor is None:
        return False
    return held is None or not around.links.may_pass(visitor.place, held, now=now())


def is_locked(visitor: Visitor) -> bool:
    """Whether the second factor was wrong too often of late."""
    until = visitor.known.locked_until if visitor.known is not None else None
    return until is not None and until > now()


def factor_field(visitor: Visitor, *, problem: str | None = None) -> Field:
    """The second factor as a field of a form, empty."""
    definition = _known_definition(visitor)
    found = next(field for field in _form(definition, {}).fields if field.name == definition.second_factor)
    return replace(found, required=True, problem=problem)


def try_factor(around: Surroundings, visitor: Visitor, entered: str) -> Tried:
    """Compare what somebody entered with their row's value; it is counted before it is looked at."""
    definition, known = _known_definition(visitor), visitor.known
    item = definition.factor_item
    if item is None or known is None or known.recipients_key is None:
        raise NotFound(INVALID)
    with around.database.write() as session:
        visits.mark(session, visitor.place, Mark.OPENED, now=now())
        if not visits.may_try(session, visitor.place, now=now()):
            return Tried.LOCKED
    value = _values(around, known.recipients_key, visitor.place.row, definition)[item.name]
    if not same_factor(item, entered, value or "", definition=definition):
        return Tried.WRONG
    with around.database.write() as session:
        visits.forget_tries(session, visitor.place)
    return Tried.RIGHT


def pass_for(around: Surroundings, visitor: Visitor) -> str:
    """What the browser of somebody who knew the second factor holds from now on."""
    return around.links.pass_on(visitor.place, expires_at=now() + FACTOR_GOOD_FOR)


def submit(around: Surroundings, visitor: Visitor, entered: Mapping[str, str]) -> tuple[Sent, Answers | None]:
    """Keep what somebody sent, once; whoever sends again is told that it is here and changes nothing.

    Returns:
        What came of it, and what must be corrected.
    """
    if visitor.standing is Standing.DONE:
        return Sent.KEPT, None
    answers = judge_answers(entered, _known_definition(visitor))
    with around.database.write() as session:
        present = _visitor(session, visitor.place, moment=now())
        if present.standing is Standing.CLOSED:
            return Sent.CLOSED, None
        if present.standing is Standing.OPEN and answers.problems:
            visits.mark(session, visitor.place, Mark.STARTED, now=now())
            return Sent.TO_CORRECT, answers
        if present.standing is Standing.OPEN:
            visits.complete(session, visitor.place, answers.values, now=now())
    return Sent.KEPT, None


# The process's own platform


def hand_over_address(around: Surroundings, visitor: Visitor) -> str | None:
    """Where the process's own platform takes somebody in, with a code that it can exchange; None without a platform."""
    start_url = _known_definition(visitor).start_url
    if start_url is None:
        return None
    nonce = secrets.token_bytes(NONCE_BYTES)
    code = around.links.code(visitor.place, expires_at=now() + CODE_GOOD_FOR, nonce=nonce)
    parts = urlsplit(start_url)
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != _CODE]
    return urlunsplit(parts._replace(query=urlencode([*query, (_CODE, code)])))


def exchange(around: Surroundings, code: str) -> HandOver:
    """What a platform gets for a code, once.

    Raises:
        NotFound: the code was used, is too old or was never made, or the link is not open any more; it is never said which.
    """
    try:
        place, ends = around.links.coded(code)
    except NotFound as fault:
        raise NotFound(UNKNOWN_CODE) from fault
    moment = now()
    with around.database.write() as session:
        visitor = _visitor(session, place, moment=moment)
        is_first = ends > moment and visits.spend(session, digest(code), expires_at=ends, now=moment)
    known = visitor.known
    if not is_first or visitor.standing is not Standing.OPEN or known is None or known.recipients_key is None:
        raise NotFound(UNKNOWN_CODE)
    definition = _known_definition(visitor)
    return HandOver(
        recipient=around.links.reference(place),
        process=definition.key,
        version=known.version,
        expires_at=expires_at(visitor.facts),
        values=_values(around, known.recipients_key, place.row, definition),
    )


def report(around: Surroundings, reference: str, reached: Mark) -> datetime:
    """Write down what a platform says: how far somebody has come. Again changes nothing.

    It counts also when the link ended in between: it did happen.

    Args:
        around: the ledger and the secret.
        reference: what the platform calls the recipient.
        reached: started or completed.

    Returns:
        When it first came to that.

    Raises:
        NotFound: there is no such recipient of a process with a platform of its own.
    """
    try:
        place = around.links.referred(reference)
    except NotFound as fault:
        raise NotFound(UNKNOWN_REFERENCE) from fault
    with around.database.write() as session:
        visitor = _visitor(session, place, moment=now())
        if visitor.definition is None or visitor.definition.start_url is None:
            raise NotFound(UNKNOWN_REFERENCE)
        if reached is Mark.COMPLETED:
            visits.complete(session, place, None, now=now())
        else:
            visits.mark(session, place, reached, now=now())
        return visits.reached_at(session, place, reached)
