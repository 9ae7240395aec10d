"""Settle: find out what became of requests in doubt, by receipts first, then by asking the providers.

Everything is selected by state, never by age: a doubt is looked after until it is settled,
whichever process raised it and however long ago. May run at any time, beside itself and beside senders.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from channels.people import Label, Person
from channels.sendgrid_lookups import MEMBERS_ASKED
from domain.doubts import Patience, Sighting, Verdict, judge_doubt
from domain.frames import ROW, value_column
from domain.processes import LINK, WhenUnresolved
from domain.splitting import EMAIL, SMS
from domain.states import RequestState
from models import batches, lookups, processes, requests
from models.requests import Answer
from models.tables import Request
from tasks.people import load_people
from tasks.reconcile import reconcile
from tasks.surroundings import Surroundings, now

_LOOKED_UP_AT_ONCE = {EMAIL: 1, SMS: 8}
_LOOKED_UP_A_SWEEP = {EMAIL: 5, SMS: 1000}
"""SendGrid's Email Activity takes 6 queries a minute; one is left for the watermark."""


class Witness(Protocol):
    """A channel's provider as one that can be asked; never raises for what the provider or the network does."""

    async def find(self, label: Label, people: Sequence[Person], *, asked_at: datetime) -> Sighting:
        """Whether it has a request."""

    async def close(self) -> None:
        """Let go of connections."""


Witnesses = Callable[[str], Witness]
"""Opens the witness of a channel; called inside the running loop."""


def sweep(around: Surroundings, *, witnesses: Witnesses) -> list[int]:
    """Settle what can be settled now, in every batch.

    Returns:
        The batches in which anything changed; each has work left for a run of its own: to send, or to report.
    """
    changed = set(_raise_doubts(around))
    changed |= _settle_by_receipts(around)
    for channel in (EMAIL, SMS):
        due = _due(around, channel)
        if due:
            asyncio.run(_look_up(around, channel, due, witnesses))
    changed |= _judge(around)
    for batch_id in changed:
        reconcile(around, batch_id)
    return sorted(changed)


def _raise_doubts(around: Surroundings) -> list[int]:
    """Put the intents of dead workers in doubt."""
    with around.database.read() as session:
        abandoned = requests.abandoned(session, now=now())
    for batch_id in abandoned:
        with around.database.write() as session:
            requests.doubt_expired(session, batch_id, now=now())
    return abandoned


def _settle_by_receipts(around: Surroundings) -> set[int]:
    """A receipt that came before its request was in doubt settles it now."""
    with around.database.read() as session:
        doubts = [
            *requests.doubtful(session, RequestState.IN_DOUBT),
            *requests.doubtful(session, RequestState.UNRESOLVED),
        ]
        known = [
            (request.batch_id, request.number, provider_id)
            for request in doubts
            if (provider_id := lookups.receipt_of(session, request.batch_id, request.number)) is not None
        ]
    for batch_id, number, provider_id in known:
        _accept(around, batch_id, number, provider_id)
    return {batch_id for batch_id, _, _ in known}


@dataclass(frozen=True, slots=True)
class _Question:
    """A request, and who is in it as far as a provider needs to know."""

    request: Request
    label: Label
    people: Sequence[Person]


def _due(around: Surroundings, channel: str) -> list[Request]:
    """The doubts of a channel whose next look-up is due, the longest unread first; and what may serve as watermark."""
    moment = now()
    again = moment - timedelta(seconds=around.settings.lookup_seconds)
    settle = _patience(around, channel).settle
    with around.database.read() as session:
        doubts = [one for one in requests.doubtful(session, RequestState.IN_DOUBT) if one.channel == channel]
        read = lookups.last_read(session, {one.batch_id for one in doubts})
        waiting = [
            (read.get((one.batch_id, one.number)), one)
            for one in doubts
            if (at := read.get((one.batch_id, one.number))) is None or at <= again
        ]
        waiting.sort(key=lambda pair: (pair[0] is not None, pair[0] or _began(pair[1])))
        due = [one for _, one in waiting[: _LOOKED_UP_A_SWEEP[channel]]]
        old_enough = [_began(one) for one in due if _began(one) + settle <= moment]
        if old_enough:
            newest = lookups.newest_accepted(session, channel, since=min(old_enough))
            marks = lookups.watermarks(session, since=max(old_enough))
            if newest is not None and not marks:
                due.insert(0, newest)
        session.expunge_all()
    return due


def _began(request: Request) -> datetime:
    """From when on nobody could send a request in doubt any more."""
    if request.answered_at is None:
        message = f"request {request.number} of batch {request.batch_id} is in doubt without a time"
        raise RuntimeError(message)
    return request.answered_at


async def _look_up(around: Surroundings, channel: str, due: Sequence[Request], witnesses: Witnesses) -> None:
    """Ask about each, and write down every answer as it comes; ends early where the provider wants to be left alone."""
    questions = await asyncio.to_thread(_questions, around, channel, due)
    witness = witnesses(channel)
    gate, left_alone = asyncio.Semaphore(_LOOKED_UP_AT_ONCE[channel]), asyncio.Event()

    async def ask(question: _Question) -> None:
        async with gate:
            if left_alone.is_set():
                return
            asked_at = question.request.asked_at or _began(question.request)
            sighting = await witness.find(question.label, question.people, asked_at=asked_at)
            if sighting.blocked:
                left_alone.set()
            else:
                await asyncio.to_thread(_note, around, question.request, sighting)

    try:
        await asyncio.gather(*(ask(question) for question in questions))
    finally:
        await witness.close()


def _note(around: Surroundings, request: Request, sighting: Sighting) -> None:
    with around.database.write() as session:
        lookups.add(session, request, sighting, at=now())


def _questions(around: Surroundings, channel: str, due: Sequence[Request]) -> list[_Question]:
    found = []
    for batch_id in dict.fromkeys(request.batch_id for request in due):
        own = [request for request in due if request.batch_id == batch_id]
        with around.database.read() as session:
            batch = batches.by_id(session, batch_id)
            definition = processes.definition_of(processes.version_by_id(session, batch.process_version_id))
            uid, recipients_key = batch.uid, batch.recipients_key or ""
            rows = requests.rows_of(session, batch_id, [request.number for request in own])
        asked = {number: members[:MEMBERS_ASKED] for number, members in rows.items()}
        people = load_people(
            around.storage,
            recipients_key,
            rows=[row for members in asked.values() for row in members],
            channel=channel,
            definition=definition,
            links=around.links,
            batch_id=batch_id,
        )
        known = dict(zip(people[ROW], map(Person, people["address"], people[value_column(LINK)]), strict=True))
        found += [
            _Question(request, Label(uid, request.number), [known[row] for row in asked[request.number]])
            for request in own
        ]
    return found


def _judge(around: Surroundings) -> set[int]:
    """Act on what is known by now of every doubt; gives the batches in which one ended."""
    changed = set()
    with around.database.read() as session:
        doubts = requests.doubtful(session, RequestState.IN_DOUBT)
        marks = lookups.watermarks(session, since=min(map(_began, doubts))) if doubts else []
        judged = []
        for request in doubts:
            read = lookups.readings(session, request.batch_id, request.number)
            patience = _patience(around, request.channel)
            judged.append((request, judge_doubt(_began(request), read, marks, patience, now=now())))
        session.expunge_all()
    for request, verdict in judged:
        if verdict is not Verdict.WAIT:
            _act(around, request, verdict)
            changed.add(request.batch_id)
    return changed


def _act(around: Surroundings, request: Request, verdict: Verdict) -> None:
    if verdict is Verdict.ACCEPTED:
        with around.database.read() as session:
            provider_id = lookups.seen_as(session, request.batch_id, request.number)
        _accept(around, request.batch_id, request.number, provider_id)
        return
    with around.database.write() as session:
        if verdict is Verdict.ABSENT:
            why = "The provider certainly did not take it; another request carries these people."
            requests.send_again(session, request.batch_id, request.number, why=why, now=now())
            return
        detail = "Nothing could be found out in time about whether the provider took it."
        unresolved = Answer(request.number, RequestState.UNRESOLVED, code=request.code, detail=detail)
        requests.settle(session, request.batch_id, [unresolved], now=now())
        batch = batches.by_id(session, request.batch_id)
        policy = processes.definition_of(processes.version_by_id(session, batch.process_version_id)).when_unresolved
        if policy is WhenUnresolved.ASSUME_SENT:
            assumed = Answer(request.number, RequestState.ACCEPTED, code="assumed", detail="Assumed sent.")
            requests.settle(session, request.batch_id, [assumed], now=now())
        elif policy is WhenUnresolved.SEND_AGAIN and request.parent is None:  # once; then a person decides
            why = "Nothing could be found out in time, and the process says to send again."
            requests.send_again(session, request.batch_id, request.number, why=why, now=now())


def _accept(around: Surroundings, batch_id: int, number: int, provider_id: str | None) -> None:
    with around.database.write() as session:
        answer = Answer(number, RequestState.ACCEPTED, provider_id=provider_id, code="found")
        requests.settle(session, batch_id, [answer], now=now())


def _patience(around: Surroundings, channel: str) -> Patience:
    settings = around.settings
    seconds = settings.settle_email_seconds if channel == EMAIL else settings.settle_sms_seconds
    return Patience(
        settle=timedelta(seconds=seconds),
        apart=timedelta(seconds=settings.lookup_seconds),
        at_most=timedelta(seconds=settings.unresolved_after_seconds),
    )
