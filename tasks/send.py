"""Send: make the requests of one chunk, each at most once, and record what every answer proves.

The order of things is the promise: the intent is committed before the first byte leaves,
the answer after; the batch's state is read in the same statement that claims. Requests run
side by side up to the channel's connections; what ends meanwhile is recorded together with
the intent of what leaves next.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Protocol

import polars as pl
from sqlmodel import Session

from channels import sendgrid, twilio
from channels.people import Label
from domain.deliveries import OPTED_OUT_CODES
from domain.frames import ROW
from domain.links import fingerprint
from domain.outcomes import Outcome, OutcomeKind, waiting_seconds
from domain.pacing import OWN_PAUSE, Outage, Pace
from domain.processes import ProcessDefinition
from domain.splitting import EMAIL, SMS
from domain.states import Phase, RequestState
from models import batches, processes, requests, suppressions
from models.requests import Answer
from models.tables import Request
from tasks.people import load_people
from tasks.surroundings import Surroundings, now

_LEASE_MARGIN = timedelta(seconds=30)
_LONGEST_NAP_SECONDS = 1.0

Content = Any
"""What a provider is handed: a body, or a message's arguments; frozen with the intent."""
Permit = Callable[[int], Awaitable[int]]
"""Waits until some of so many requests may go out under the rate limit, but not for long; gives how many."""
Permits = Callable[[str], Permit]
"""Gives the permit of a channel."""


class Provider(Protocol):
    """One channel's provider: makes a call once, never raises for what the provider or the network does."""

    async def send(self, content: Content, /) -> Outcome:
        """Make the call and classify its answer."""

    async def close(self) -> None:
        """Let go of connections."""


Providers = Callable[[str], Provider]
"""Opens the provider of a channel; called inside the running loop."""


@dataclass(frozen=True, slots=True)
class _Composed:
    """A request with its content and that content's digest, of which no intent is written yet."""

    request: Request
    content: Content
    digest: str


@dataclass(frozen=True, slots=True)
class _Work:
    """A claimed request, ready to leave."""

    request: Request
    content: Content
    token: str
    lease_until: datetime


@dataclass(frozen=True, slots=True)
class _Frozen:
    """All that the content of a request is made of; none of it changes once a batch is approved."""

    batch_id: int
    uid: str
    base: str
    definition: ProcessDefinition
    people: pl.DataFrame
    """PERSONAL of the chunk."""
    letter: sendgrid.Letter | None
    """To these people, where the chunk is one of emails."""
    rows: dict[int, list[int]]
    """The members of each request by position; requests that come to be in mid-run are added."""

    def members_of(self, numbers: Sequence[int]) -> pl.DataFrame:
        """PERSONAL of the members of some requests, in the order of the requests and of their positions.

        Raises:
            RuntimeError: one of them is not among the people of this chunk; nothing may leave without an address.
        """
        rows = pl.Series(ROW, [row for number in numbers for row in self.rows[number]], pl.UInt32)
        found = rows.to_frame().join(self.people, on=ROW, how="left", maintain_order="left")
        if found["address"].has_nulls():
            raise self._stranger()
        return found

    def body_of(self, letter: sendgrid.Letter, label: Label) -> bytes:
        """The body of one request of emails.

        Raises:
            RuntimeError: as `members_of`.
        """
        try:
            return letter.body(self.rows[label.request], label=label)
        except KeyError:
            raise self._stranger() from None

    def _stranger(self) -> RuntimeError:
        return RuntimeError(f"a request of batch {self.batch_id} has a member that this chunk was not loaded with")


class _Ahead:
    """Requests that are composed in another thread before their turn comes."""

    def __init__(self, compose: Callable[[Collection[int]], dict[int, _Composed]]) -> None:
        """Begin with none; `compose` gives some more, apart from those that are known."""
        self.ready: dict[int, _Composed] = {}
        self._compose = compose
        self._composing: asyncio.Task[dict[int, _Composed]] | None = None
        self._is_dry = False

    @property
    def under_way(self) -> set[asyncio.Task[dict[int, _Composed]]]:
        """What to wait for."""
        return set() if self._composing is None else {self._composing}

    def refill(self, least: int, *, again: bool) -> None:
        """Begin to compose where fewer than `least` are ready; `again` where there may be some again."""
        if self._composing is not None and self._composing.done():
            found, self._composing = self._composing.result(), None
            self.ready |= found
            self._is_dry = not found
        self._is_dry = self._is_dry and not again
        if self._composing is None and not self._is_dry and len(self.ready) < least:
            self._composing = asyncio.create_task(asyncio.to_thread(self._compose, set(self.ready)))

    def take(self, number: int) -> dict[int, _Composed]:
        """The first of them, no longer ready."""
        return {each: self.ready.pop(each) for each in list(islice(self.ready, number))}


class _Permitted:
    """Permits, waited for while answers are recorded: a slow limit must not outlast a lease."""

    def __init__(self, permit: Permit) -> None:
        """Begin with none."""
        self._permit = permit
        self._asking: asyncio.Task[int] | None = None
        self._left = 0

    @property
    def under_way(self) -> set[asyncio.Task[int]]:
        """What to wait for."""
        return set() if self._asking is None else {self._asking}

    async def take(self, wanted: int) -> int:
        """How many of `wanted` may leave now; asks for what is missing."""
        if self._left < wanted and self._asking is None:
            self._asking = asyncio.ensure_future(self._permit(wanted - self._left))
            await asyncio.sleep(0)  # mostly there are some at once
        if self._asking is not None and self._asking.done():
            self._left += self._asking.result()
            self._asking = None
        taken = min(wanted, self._left)
        self._left -= taken
        return taken


def send_chunk(
    around: Surroundings, batch_id: int, chunk: int, *, providers: Providers, permits: Permits
) -> dict[str, int]:
    """Make every request of a chunk that is still to be made, until none is left or the batch is halted.

    Safe to run again at any point, and beside another run of itself.

    Returns:
        How many requests ended in each outcome.
    """
    return asyncio.run(_ChunkSender(around, batch_id, chunk).run(providers, permits))


class _ChunkSender:
    """One run over one chunk; all its requests are of one channel."""

    def __init__(self, around: Surroundings, batch_id: int, chunk: int) -> None:
        self._around = around
        self._batch_id = batch_id
        self._chunk = chunk
        self._ended: dict[str, int] = {}
        self._timeout = timedelta(seconds=around.settings.request_timeout_seconds)

    async def run(self, providers: Providers, permits: Permits) -> dict[str, int]:
        frozen = await asyncio.to_thread(self._load)
        if frozen is None:
            return self._ended
        channel, content = frozen
        provider = providers(channel)
        settings = self._around.settings
        connections = settings.email_connections if channel == EMAIL else settings.sms_connections
        try:
            await self._drain(provider, permits(channel), content, connections, self._around.outages[channel])
        finally:
            await provider.close()
        return self._ended

    async def _drain(
        self, provider: Provider, permit: Permit, frozen: _Frozen, connections: int, outage: Outage
    ) -> None:
        """Keep the connections busy: while some requests are under way, the next ones are composed.

        One transaction records what was answered meanwhile and commits the intent of what leaves next.
        """
        active: set[asyncio.Task[tuple[_Work, Outcome]]] = set()
        pace, ahead = Pace(connections), _Ahead(lambda known: self._compose_due(frozen, known, connections))
        permitted = _Permitted(permit)
        while True:
            at = time.monotonic()
            ended = [task.result() for task in active if task.done()]
            active = {task for task in active if not task.done()}
            for _, outcome in ended:
                pace.answered(outcome, at=at)
                outage.answered(outcome, at=at)
            ahead.refill(connections, again=bool(ended))
            quiet = max(pace.quiet(at=at), outage.quiet(at=at))
            free = 0 if quiet else min(pace.room(under_way=len(active), at=at), len(ahead.ready))
            allowed = await permitted.take(free)
            leaving = ahead.take(outage.admit(allowed, at=at) if allowed else 0)
            if ended or leaving:
                work = await asyncio.to_thread(self._turn, ended, leaving)
                active |= {asyncio.create_task(_make(provider, each)) for each in work}
            under_way = active | ahead.under_way | permitted.under_way
            if under_way:
                await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            if active or (not leaving and (under_way or ended)):
                continue
            nap = await asyncio.to_thread(self._nap)
            if nap is None:
                return
            ahead.refill(connections, again=True)
            await asyncio.sleep(max(nap, min(quiet, _LONGEST_NAP_SECONDS)))

    def _load(self) -> tuple[str, _Frozen] | None:
        """The chunk's people, or None where there is nothing to do or the links would differ from those approved."""
        around = self._around
        with around.database.write() as session:
            requests.doubt_expired(session, self._batch_id, now=now())
        with around.database.read() as session:
            batch = batches.by_id(session, self._batch_id)
            members = requests.members(session, self._batch_id, self._chunk)
            if members is None or batch.phase != Phase.SENDING or batch.recipients_key is None:
                return None
            definition = processes.definition_of(processes.version_by_id(session, batch.process_version_id))
            uid, recipients_key, link_print = batch.uid, batch.recipients_key, batch.link_print
        settings = around.settings
        if link_print != fingerprint(settings.secret, public_url=settings.links_base):
            self._halt(
                "BULK_SENDER_SECRET_KEY or BULK_SENDER_PUBLIC_URL is not what it was when the batch was approved, "
                "so people would get other links. Set it as it was, then resume the batch."
            )
            return None
        people = load_people(
            around.storage,
            recipients_key,
            rows=[row for rows in members.rows.values() for row in rows],
            channel=members.channel,
            definition=definition,
            links=around.links,
            batch_id=self._batch_id,
        )
        output = definition.start.email if members.channel == EMAIL else None
        letter = None if output is None else sendgrid.Letter(output, people, batch=uid)
        frozen = _Frozen(self._batch_id, uid, settings.links_base, definition, people, letter, members.rows)
        return members.channel, frozen

    def _compose_due(self, frozen: _Frozen, ready: Collection[int], limit: int) -> dict[int, _Composed]:
        """Up to `limit` requests that may be made now, apart from those that are `ready`."""
        with self._around.database.read() as session:
            found = requests.due(session, self._batch_id, self._chunk, limit=limit + len(ready), now=now())
            due = [request for request in found if request.number not in ready]
            new = [request.number for request in due if request.number not in frozen.rows]
            frozen.rows.update(requests.rows_of(session, self._batch_id, new) if new else {})
            session.expunge_all()
        return {each.request.number: each for each in _compose(frozen, due)}

    def _turn(self, ended: Sequence[tuple[_Work, Outcome]], leaving: Mapping[int, _Composed]) -> list[_Work]:
        """Record the answers that came in together; give the requests that are now ours to make, their intent committed.

        Halts the batch if an answer speaks for the account; then nothing leaves.
        """
        refusals = [outcome for _, outcome in ended if outcome.kind is OutcomeKind.ACCOUNT_REFUSED]
        if refusals:
            leaving = {}
        token, moment = uuid.uuid4().hex, now()
        lease_until = moment + self._timeout + _LEASE_MARGIN
        digests = {number: composed.digest for number, composed in leaving.items()}
        ours, changed = set[int](), list[int]()
        with self._around.database.write() as session:
            if ended:
                self._record(session, ended, moment)
            if leaving:
                ours = requests.claim(
                    session, self._batch_id, digests, token=token, lease_until=lease_until, now=moment
                )
                if len(ours) < len(leaving):
                    changed = requests.changed_content(session, self._batch_id, digests)
        for _, outcome in ended:
            self._ended[outcome.kind] = self._ended.get(outcome.kind, 0) + 1
        for refusal in refusals:
            self._halt(refusal.detail or "The provider refused the account.")
        if changed:
            self._halt(
                f"Request {changed[0]} would not be what it was at its first attempt. "
                "Look at what changed in the installation, then resume the batch."
            )
        return [_Work(leaving[number].request, leaving[number].content, token, lease_until) for number in sorted(ours)]

    def _record(self, session: Session, ended: Sequence[tuple[_Work, Outcome]], moment: datetime) -> None:
        answers = []
        for work, outcome in ended:
            groups, refused = _replacement(work.request, outcome)
            if groups is None:
                answers.append(_answer(work, outcome, moment, _NEXT_STATE[outcome.kind]))
                continue
            requests.replace(
                session,
                self._batch_id,
                work.request.number,
                groups=groups,
                refused=refused,
                token=work.token,
                answer=_answer(work, outcome, moment, RequestState.REPLACED),
                now=moment,
            )
        tokens = {work.request.number: work.token for work, _ in ended}
        recorded = requests.record(session, self._batch_id, answers, token_of=tokens, now=moment)
        # Given up on and replaced meanwhile: what replaces it must not leave any more.
        late = [one for one in answers if one.state is RequestState.ACCEPTED and one.number not in recorded]
        requests.settle(session, self._batch_id, late, now=moment)
        opted_out = [one.number for one in answers if one.code in OPTED_OUT_CODES and one.number in recorded]
        if opted_out:
            suppressions.mark_opted_out(session, self._batch_id, opted_out, now=moment)

    def _halt(self, reason: str) -> None:
        with self._around.database.write() as session:
            batches.advance(session, self._batch_id, Phase.PAUSED, now=now(), reason=reason)

    def _nap(self) -> float | None:
        """Seconds until the chunk may have something to do again; None when it has nothing more."""
        moment = now()
        with self._around.database.write() as session:
            requests.doubt_expired(session, self._batch_id, now=moment)
            if batches.by_id(session, self._batch_id).phase != Phase.SENDING:
                return None
            until = requests.open_until(session, self._batch_id, self._chunk, now=moment)
        if until is None:
            return None
        return min(max(0.0, (until - moment).total_seconds()), _LONGEST_NAP_SECONDS)


async def _make(provider: Provider, work: _Work) -> tuple[_Work, Outcome]:
    """Make the call, unless this process stalled for so long that another may have taken it for dead."""
    if now() >= work.lease_until - _LEASE_MARGIN:
        return work, Outcome(OutcomeKind.TRY_LATER, code=OWN_PAUSE, detail="This worker stalled before it sent.")
    return work, await provider.send(work.content)


def _compose(frozen: _Frozen, due: Sequence[Request]) -> list[_Composed]:
    """Requests of one channel with their content."""
    if not due:
        return []
    start = frozen.definition.start
    labels = [Label(frozen.uid, request.number) for request in due]
    channel = due[0].channel
    if channel == EMAIL and frozen.letter is not None:
        bodies = [frozen.body_of(frozen.letter, label) for label in labels]
        return [_Composed(request, body, sendgrid.digest(body)) for request, body in zip(due, bodies, strict=True)]
    if channel == SMS and start.sms is not None:
        people = frozen.members_of([label.request for label in labels])
        messages = twilio.compose(start.sms, people, labels, base=frozen.base)
        return [_Composed(request, one, twilio.digest(one)) for request, one in zip(due, messages, strict=True)]
    message = f"batch {frozen.batch_id} has requests for {channel}, which its process does not send"
    raise RuntimeError(message)


_NEXT_STATE: Mapping[OutcomeKind, RequestState] = {
    OutcomeKind.ACCEPTED: RequestState.ACCEPTED,
    OutcomeKind.TRY_LATER: RequestState.NEW,
    OutcomeKind.RECIPIENT_REFUSED: RequestState.REJECTED,
    OutcomeKind.REQUEST_REFUSED: RequestState.REJECTED,
    OutcomeKind.ACCOUNT_REFUSED: RequestState.NEW,
    OutcomeKind.IN_DOUBT: RequestState.IN_DOUBT,
}


def _replacement(request: Request, outcome: Outcome) -> tuple[list[list[int]] | None, dict[int, str]]:
    """How the members of a refused request are to be tried again: without the one that was named, or in halves.

    Returns:
        Groups of positions, or None where the answer stands for the request as it is; and
        why, for members that are refused for good.
    """
    everyone = list(range(request.size))
    if request.size > 1 and outcome.kind is OutcomeKind.RECIPIENT_REFUSED and outcome.member in everyone:
        others = [position for position in everyone if position != outcome.member]
        return [others], {outcome.member: outcome.detail or "Refused by the provider."}
    if request.size > 1 and outcome.kind in {OutcomeKind.REQUEST_REFUSED, OutcomeKind.RECIPIENT_REFUSED}:
        half = request.size // 2
        return [everyone[:half], everyone[half:]], {}
    return None, {}


def _answer(work: _Work, outcome: Outcome, moment: datetime, state: RequestState) -> Answer:
    wait = None
    if outcome.kind is OutcomeKind.TRY_LATER:
        seconds = waiting_seconds(
            work.request.attempt + 1,
            asked=outcome.retry_after,
            chance=random.random(),  # noqa: S311  spreads retries, guards nothing
        )
        wait = moment + timedelta(seconds=seconds)
    return Answer(
        work.request.number,
        state,
        provider_id=outcome.provider_id,
        http_status=outcome.http_status,
        code=outcome.code,
        detail=outcome.detail,
        not_before=wait,
    )
