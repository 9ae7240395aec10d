"""`bulk-sender link`: people end links, and set the last day of a batch's links."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from domain.states import Phase
from models import batches
from tasks.surroundings import here
from tests.cli.running import Run
from tests.factories import batch, people, planned

BY = ("--by", "boss@acme.example")
TODAY = datetime.now(UTC).date()


def sent(run: Run, *, phase: Phase = Phase.FINISHED) -> int:
    """A batch of two people, rows 2 and 3, in the database of the commands."""
    assert run("batch", "list").code == 0
    database = here().database
    batch_id = planned(database, people(emails=2))
    with database.write() as session:
        batches.note(session, batch_id, phase=phase.value, sent=2)
    return batch_id


def acts(batch_id: int) -> list[tuple[str, str, str]]:
    with here().database.read() as session:
        return [(one.act, one.by, one.comment) for one in batches.decisions(session, batch_id)]


def test_a_batch_is_revoked_once(run: Run) -> None:
    batch_id = sent(run)

    first = run("link", "revoke", batch_id, *BY, "--comment", "Wrong prices", "--json")
    again = run("link", "revoke", batch_id, *BY)

    assert first.content == {"id": batch_id, "revoked": 2}
    assert again.out == "They were revoked before; nothing changed.\n"
    assert acts(batch_id) == [("revoke links", "boss@acme.example", "Wrong prices (all links)")]


@pytest.mark.parametrize(
    ("phase", "says"),
    [(Phase.SENDING, "still being sent. Reject it first"), (Phase.CHECKING, "Nothing of batch")],
)
def test_a_batch_that_is_not_done_is_not_revoked(run: Run, phase: Phase, says: str) -> None:
    batch_id = sent(run, phase=phase)

    assert says in run("link", "revoke", batch_id, *BY).refusal
    assert acts(batch_id) == []


def test_a_row_to_which_nothing_was_sent_has_no_link(run: Run) -> None:
    batch_id = sent(run)

    assert "Nothing was sent to row 2" in run("link", "revoke", batch_id, "--row", 3, "--row", 2, *BY).refusal
    assert acts(batch_id) == []


def test_the_last_day_of_a_batch_is_set_and_recorded_once(run: Run) -> None:
    batch_id = sent(run)
    day = TODAY + timedelta(days=9)

    told = [run("link", "expire", batch_id, "--on", day.isoformat(), *BY, "--json").content for _ in range(2)]

    ends = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    assert told == [{"id": batch_id, "links_expire_at": ends.isoformat()}] * 2
    assert batch(here().database, batch_id).links_expire_at == ends
    assert acts(batch_id) == [("expire links", "boss@acme.example", f"(after {day})")]
    assert "until the end of" in run("link", "expire", batch_id, "--on", TODAY.isoformat(), *BY).out


def test_a_day_that_is_over_is_refused(run: Run) -> None:
    batch_id = sent(run)

    assert "is over" in run("link", "expire", batch_id, "--on", (TODAY - timedelta(days=1)).isoformat(), *BY).refusal
    assert run("link", "expire", batch_id, "--on", "soon", *BY).code == 2
