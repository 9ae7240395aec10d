"""Which links are open: those that a provider accepted, in any version of the process."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import polars as pl
from polars.testing import assert_series_equal
from sqlalchemy import update
from sqlmodel import col

from domain.links import Place
from domain.states import Phase
from models import batches, open_links, recipients, visits
from models.database import Database
from models.tables import Recipient
from tests.factories import NOW, batch_in, deploy, people, process


def sent_batch(database: Database, *, version_id: int, sent: set[int], **columns: Any) -> int:
    """A batch of three valid rows (2, 3, 4) and one that is not; `sent` of them were accepted."""
    frame = people(emails=2, sms=1, invalid=1)
    usual = {"process_version_id": version_id, "row_count": 4, "valid": 3, "invalid": 1, "sent": len(sent)}
    batch_id = batch_in(database, Phase.SENDING, **{**usual, "recipients_key": "kept", **columns})
    with database.write() as session:
        recipients.replace_all(session, batch_id, frame)
        session.execute(
            update(Recipient)
            .where(col(Recipient.batch_id) == batch_id, col(Recipient.row).in_(sent))
            .values(sent_at=NOW)
        )
    return batch_id


def test_batches_with_open_links_are_those_of_the_process_that_sent_something(database: Database) -> None:
    versions = [deploy(database, process(name=name)) for name in ("First", "Second")]
    other = deploy(database, process(key="other"))
    old, new = [sent_batch(database, version_id=version, sent={2}, recipients_key=str(version)) for version in versions]
    sent_batch(database, version_id=other, sent={2})
    sent_batch(database, version_id=versions[0], sent=set())
    sent_batch(database, version_id=versions[0], sent={2}, recipients_key=None)

    with database.read() as session:
        assert open_links.batches_with_some(session, "small", now=NOW) == [
            (new, str(versions[1])),
            (old, str(versions[0])),
        ]
        assert open_links.batches_with_some(session, "small", now=NOW, apart_from=new) == [(old, str(versions[0]))]


def test_the_open_rows_of_a_batch_are_those_that_were_sent(database: Database) -> None:
    version_id = deploy(database, process())
    half = sent_batch(database, version_id=version_id, sent={4, 2})
    whole = sent_batch(database, version_id=version_id, sent={2, 3, 4})

    with database.read() as session:
        rows = open_links.open_rows(session, half, now=NOW)
        assert open_links.open_rows(session, whole, now=NOW) is None, "all valid rows, without reading a million"
    assert rows is not None
    assert_series_equal(rows.sort(), pl.Series("row", [2, 4], pl.UInt32))


def test_links_that_were_used_or_revoked_are_open_no_longer(database: Database) -> None:
    batch_id = sent_batch(database, version_id=deploy(database, process()), sent={2, 3, 4})
    with database.write() as session:
        visits.mark(session, Place(batch_id, 2), visits.Mark.OPENED, now=NOW)
        visits.complete(session, Place(batch_id, 3), {}, now=NOW)
        visits.revoke(session, batch_id, [4], now=NOW)

    with database.read() as session:
        closed = open_links.closed_rows(session, batch_id)

    assert_series_equal(closed.sort(), pl.Series("row", [3, 4], pl.UInt32))


def test_a_batch_whose_links_were_ended_has_none_that_are_open(database: Database) -> None:
    version_id = deploy(database, process())
    revoked, over, later = (sent_batch(database, version_id=version_id, sent={2}) for _ in range(3))
    with database.write() as session:
        visits.revoke_all(session, revoked, now=NOW)
        batches.note(session, over, links_expire_at=NOW)
        batches.note(session, later, links_expire_at=NOW + timedelta(seconds=1))

    with database.read() as session:
        assert open_links.batches_with_some(session, "small", now=NOW) == [(later, "kept")]


def test_links_end_after_the_days_of_their_process_unless_the_batch_has_a_day_of_its_own(database: Database) -> None:
    version_id = deploy(database, process().model_copy(update={"link_days": 30}))
    batch_id = sent_batch(database, version_id=version_id, sent={2, 3, 4})
    moments = (NOW + timedelta(days=30) - timedelta(seconds=1), NOW + timedelta(days=30))

    with database.read() as session:
        found = [open_links.open_rows(session, batch_id, now=moment) for moment in moments]
    with database.write() as session:
        batches.note(session, batch_id, links_expire_at=NOW + timedelta(days=90))
        of_its_own = open_links.open_rows(session, batch_id, now=moments[1])

    assert [None if rows is None else sorted(rows) for rows in found] == [[2, 3, 4], []]
    assert of_its_own is None
