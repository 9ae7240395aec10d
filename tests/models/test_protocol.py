"""The protocol of sending as a machine of states: two workers, a provider that knows the truth, a person, and bad luck.

Whatever the order: nobody is written to twice unless a person wanted it, nobody is lost, and the ledger's
counts are the truth.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import event
from sqlmodel import select

from domain import splitting
from domain.errors import NotAllowed
from domain.outcomes import Outcome, OutcomeKind
from domain.states import MessageState, Phase, RequestState
from files.storage import Storage
from models import batches, recipients, requests
from models.database import Database
from models.requests import Answer
from models.tables import Message, Request
from settings import load
from tasks import reconcile, send
from tasks.surroundings import Surroundings
from tests.factories import NOW, act, people, planned

LEASE = timedelta(seconds=60)
ANSWERS: Mapping[str, Outcome] = {
    "accepted": Outcome(OutcomeKind.ACCEPTED, provider_id="id", http_status=202),
    "accepted, and silence": Outcome(OutcomeKind.IN_DOUBT, code="reset"),
    "lost, and silence": Outcome(OutcomeKind.IN_DOUBT, code="http_503"),
    "too many": Outcome(OutcomeKind.TRY_LATER, code="429", retry_after=0),
    "first member refused": Outcome(OutcomeKind.RECIPIENT_REFUSED, code="400", member=0),
    "refused": Outcome(OutcomeKind.REQUEST_REFUSED, code="400"),
    "no credits": Outcome(OutcomeKind.ACCOUNT_REFUSED, code="401", detail="No credits."),
}
WORKERS = st.sampled_from([0, 1])
Member = tuple[int, str]
"""A row, and the channel on which it is written to."""


@dataclass
class Held:
    """A request in a worker's hands; `outcome` once its call was made."""

    work: send._Work
    members: list[Member]
    outcome: Outcome | None = None


@pytest.fixture(scope="module")
def template() -> str:
    """A migrated SQLite database to copy."""
    path = Path(tempfile.mkdtemp()) / "template.db"
    database = Database(f"sqlite:///{path}")
    database.migrate()
    database.close()
    return str(path)


class Sending(RuleBasedStateMachine):
    """One batch of five people with an email address and three with a number, in requests of two emails or one SMS."""

    template: str

    @initialize()
    def plan(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="bulk-sender-protocol-"))
        shutil.copyfile(self.template, self.home / "ledger.db")
        self.database = Database(f"sqlite:///{self.home / 'ledger.db'}")
        # No power is cut here, and waiting for the disk would be most of the time.
        event.listen(self.database.engine, "connect", lambda made, _: made.execute("PRAGMA synchronous=OFF"))
        settings = load(home=self.home, database_url=self.database.url, request_timeout_seconds=30.0)
        self.around = Surroundings(settings, self.database, Storage(settings.storage))
        self.now = NOW
        self.patches = contextlib.ExitStack()
        self.patches.enter_context(mock.patch.object(splitting, "EMAILS_PER_REQUEST", 2))
        for module in (send, reconcile):
            self.patches.enter_context(mock.patch.object(module, "now", self.moment))
        self.batch_id = planned(self.database, people(emails=3, sms=1, both=2, invalid=1))
        self.hands: list[dict[int, Held]] = [{}, {}]
        self.received: Counter[Member] = Counter()
        self.accepted: set[int] = set()
        self.wanted_again: Counter[Member] = Counter()
        self.rejected = False

    def moment(self) -> datetime:
        return self.now

    def teardown(self) -> None:
        if hasattr(self, "patches"):
            try:
                self.finish()
            finally:
                self.patches.close()
                self.database.close()
                shutil.rmtree(self.home)

    # Workers

    def claim(self, worker: int, limit: int) -> None:
        token = uuid.uuid4().hex
        with self.database.read() as session:
            due = [
                one
                for chunk in (0, 1)
                for one in requests.due(session, self.batch_id, chunk, limit=limit, now=self.now)
            ]
            members = {one.number: self._members(one.number) for one in due}
            session.expunge_all()
        digests = {one.number: f"bytes of {one.number}" for one in due}
        if not due:
            return
        with self.database.write() as session:
            ours = requests.claim(
                session, self.batch_id, digests, token=token, lease_until=self.now + LEASE, now=self.now
            )
        assert not (ours and self.rejected), "nothing leaves after a rejection"
        for one in due:
            if one.number in ours:
                work = send._Work(one, {}, token, self.now + LEASE)  # noqa: SLF001  see above
                self.hands[worker][one.number] = Held(work, members[one.number])

    @precondition(lambda self: self._in(RequestState.NEW))
    @rule(
        worker=WORKERS, limit=st.integers(1, 3), says=st.lists(st.sampled_from(sorted(ANSWERS)), min_size=1, max_size=6)
    )
    def work(self, worker: int, limit: int, says: list[str]) -> None:
        """Claim some, and make the calls of as many as there are answers."""
        self.claim(worker, limit)
        for number, answer in zip(
            [n for n, one in self.hands[worker].items() if one.outcome is None], says, strict=False
        ):
            self._call(self.hands[worker][number], answer)

    @precondition(lambda self: any(one.outcome is None for hand in self.hands for one in hand.values()))
    @rule(worker=WORKERS, says=st.sampled_from(sorted(ANSWERS)), data=st.data())
    def call_provider(self, worker: int, says: str, data: st.DataObject) -> None:
        waiting = sorted(number for number, held in self.hands[worker].items() if held.outcome is None)
        if not waiting:
            return
        self._call(self.hands[worker][data.draw(st.sampled_from(waiting))], says)

    def _call(self, held: Held, says: str) -> None:
        if self.now >= held.work.lease_until - send._LEASE_MARGIN:  # noqa: SLF001  as the sender itself looks
            held.outcome = Outcome(OutcomeKind.TRY_LATER, code="stalled", retry_after=0)
            return
        held.outcome = ANSWERS[says]
        if says.startswith("accepted"):
            self.accepted.add(held.work.request.number)
            self.received.update(held.members)

    @precondition(lambda self: any(one.outcome is not None for hand in self.hands for one in hand.values()))
    @rule(worker=WORKERS)
    def record_answers(self, worker: int) -> None:
        ended = {number: held for number, held in self.hands[worker].items() if held.outcome is not None}
        for number in ended:
            del self.hands[worker][number]
        pairs = [(held.work, held.outcome) for held in ended.values() if held.outcome is not None]
        if pairs:
            send._ChunkSender(self.around, self.batch_id, 0)._turn(pairs, {})  # noqa: SLF001  the second transaction

    @precondition(lambda self: any(self.hands))
    @rule(worker=WORKERS)
    def die(self, worker: int) -> None:
        self.hands[worker].clear()

    # Time and evidence

    @precondition(lambda self: self._in(RequestState.INTENT))
    @rule(seconds=st.sampled_from([1, 40, 61]))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @precondition(lambda self: self._in(RequestState.INTENT))
    @rule()
    def look_at_leases(self) -> None:
        with self.database.write() as session:
            requests.doubt_expired(session, self.batch_id, now=self.now)

    @precondition(lambda self: self.accepted)
    @rule()
    def evidence_comes(self) -> None:
        """Whatever became of a request meanwhile, and however often it is told."""
        answers = [Answer(number, RequestState.ACCEPTED, provider_id="id", code="found") for number in self.accepted]
        with self.database.write() as session:
            requests.settle(session, self.batch_id, answers, now=self.now)

    @precondition(lambda self: self._in(RequestState.IN_DOUBT))
    @rule(data=st.data())
    def one_is_certainly_absent(self, data: st.DataObject) -> None:
        absent = [number for number in self._in(RequestState.IN_DOUBT) if number not in self.accepted]
        if absent and not self._can_still_leave(absent):
            self._send_again(data.draw(st.sampled_from(absent)))

    @precondition(lambda self: self._in(RequestState.IN_DOUBT))
    @rule(data=st.data())
    def one_stays_unresolved(self, data: st.DataObject) -> None:
        doubtful = self._in(RequestState.IN_DOUBT)
        if doubtful:
            with self.database.write() as session:
                answer = Answer(data.draw(st.sampled_from(doubtful)), RequestState.UNRESOLVED)
                requests.settle(session, self.batch_id, [answer], now=self.now)

    # People

    @precondition(lambda self: self._in(RequestState.UNRESOLVED))
    @rule(data=st.data())
    def person_wants_it_sent_again(self, data: st.DataObject) -> None:
        unresolved = self._in(RequestState.UNRESOLVED)
        if unresolved:
            number = data.draw(st.sampled_from(unresolved))
            self.wanted_again.update(self._members(number))
            self._send_again(number)

    @precondition(lambda self: len(self.received) > 1)
    @rule()
    def pause(self) -> None:
        with self.database.write() as session:
            batches.advance(session, self.batch_id, Phase.PAUSED, now=self.now, reason="a person wants it")

    @precondition(lambda self: self._phase() is Phase.PAUSED)
    @rule()
    def resume(self) -> None:
        with contextlib.suppress(NotAllowed), self.database.write() as session:
            batches.resume(session, self.batch_id, act())

    @precondition(lambda self: not self.rejected and len(self.received) > 4)  # else most examples would end early
    @rule()
    def reject(self) -> None:
        with contextlib.suppress(NotAllowed), self.database.write() as session:
            batches.reject(session, self.batch_id, act())
            self.rejected = True

    @precondition(lambda self: not self._in(RequestState.NEW))
    @rule()
    def close(self) -> None:
        reconcile.reconcile(self.around, self.batch_id)

    # What holds

    @invariant()
    def nobody_is_written_to_twice(self) -> None:
        if hasattr(self, "received"):
            twice = {one: times for one, times in self.received.items() if times > 1 + self.wanted_again[one]}
            assert twice == {}

    @invariant()
    def counts_are_the_truth(self) -> None:
        if not hasattr(self, "received"):
            return
        states = self._states()
        accepted = {one for one, state in states.items() if state is MessageState.ACCEPTED}
        with self.database.read() as session:
            batch = batches.by_id(session, self.batch_id)
            stand = recipients.counts(session, batch)
            assert batch.sent == len({row for row, _ in accepted})
        assert stand.sent + stand.failed + stand.pending + stand.in_doubt + stand.unresolved == stand.valid
        assert {one for one in accepted if not self.received[one]} == set(), "called sent, but nothing arrived"
        failed = {one for one, state in states.items() if state is MessageState.FAILED and self.received[one]}
        assert failed - set(self.wanted_again) == set(), "called refused, but it arrived"

    def finish(self) -> None:
        """A healthy worker, and providers that tell what they have, bring it to its end."""
        self.hands = [{}, {}]
        self.now += timedelta(days=1)
        self.look_at_leases()
        self.evidence_comes()
        for number in self._in(RequestState.IN_DOUBT):
            self._send_again(number)
        self.resume()
        for _ in range(60):
            if not self._in(RequestState.NEW) or self._phase() is not Phase.SENDING:
                break
            self.claim(0, 3)
            for held in self.hands[0].values():
                held.outcome = ANSWERS["accepted"]
                self.accepted.add(held.work.request.number)
                self.received.update(held.members)
            self.record_answers(0)
            self.now += timedelta(minutes=2)
        self.nobody_is_written_to_twice()
        self.counts_are_the_truth()
        self.close()
        if self.rejected:
            assert self._phase() is Phase.STOPPED
            return
        left = {one: state for one, state in self._states().items() if state is MessageState.PENDING}
        assert left == {}, "lost"
        assert self._phase() in {Phase.SETTLING, Phase.FINISHED}
        assert (self._phase() is Phase.FINISHED) or self._in(RequestState.UNRESOLVED)

    # Looking

    def _members(self, number: int) -> list[Member]:
        with self.database.read() as session:
            query = select(Message.row, Message.channel).where(
                Message.batch_id == self.batch_id, Message.request == number
            )
            return [(row, channel) for row, channel in session.exec(query)]

    def _states(self) -> dict[Member, MessageState]:
        with self.database.read() as session:
            found = session.exec(select(Message).where(Message.batch_id == self.batch_id)).all()
            assert len({(one.row, one.channel) for one in found}) == len(found) == 8, "each message is laid out once"
            return {(one.row, one.channel): MessageState(one.state) for one in found}

    def _in(self, state: RequestState) -> list[int]:
        with self.database.read() as session:
            query = select(Request.number).where(Request.batch_id == self.batch_id, Request.state == state)
            return sorted(session.exec(query))

    def _phase(self) -> Phase:
        with self.database.read() as session:
            return Phase(batches.by_id(session, self.batch_id).phase)

    def _can_still_leave(self, numbers: list[int]) -> bool:
        """A look-up proves nothing while somebody may still make the call."""
        holding = [held for hand in self.hands for held in hand.values() if held.work.request.number in numbers]
        return any(held.outcome is None and self.now < held.work.lease_until for held in holding)

    def _send_again(self, number: int) -> None:
        with self.database.write() as session:
            requests.send_again(session, self.batch_id, number, why="again", now=self.now)


@pytest.mark.timeout(400)
def test_whatever_happens_in_whatever_order(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sending, "template", template, raising=False)
    steady = hypothesis_settings(max_examples=15, stateful_step_count=60, deadline=None)

    run_state_machine_as_test(Sending, settings=steady)
