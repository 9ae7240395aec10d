"""`batch show`: what became of the messages after they were sent, for people and for programs."""

from __future__ import annotations

from pathlib import Path

from domain.deliveries import Kind, Receipt, Saying
from models import batches, receipts
from models.database import Database
from tests.cli.running import Run
from tests.factories import NOW, planned
from tests.factories import people as recipients


def test_deliveries_are_counted_and_a_double_stands_out(motor: Run, home: Path) -> None:
    database = Database(f"sqlite:///{home / 'bulk-sender.db'}")
    batch_id = planned(database, recipients(emails=2))
    with database.write() as session:
        uid = batches.by_id(session, batch_id).uid
        said = [
            (2, Saying("1", Kind.DELIVERED, "a", None, NOW)),
            (3, Saying("2", Kind.ACCEPTED, "a", None, NOW)),
            (3, Saying("3", Kind.BOUNCED, "b", "5.1.1", NOW)),
        ]
        receipts.take(session, [Receipt(uid, 0, row, "email", one) for row, one in said], now=NOW)
    database.close()

    view = motor("batch", "show", batch_id, "--json").content
    assert {name: number for name, number in view["deliveries"]["email"].items() if number} == {
        "delivered": 1,
        "bounced": 1,
    }
    assert view["duplicates"] == 1
    shown = motor("batch", "show", batch_id).out
    assert "1 delivered, 1 bounced" in shown
    assert "Written to twice" in shown
    assert "somebody was written to twice" in shown


def test_a_batch_without_doubles_does_not_speak_of_them(motor: Run, home: Path) -> None:
    database = Database(f"sqlite:///{home / 'bulk-sender.db'}")
    batch_id = planned(database, recipients(emails=1))
    database.close()

    assert motor("batch", "show", batch_id, "--json").content["deliveries"] == {}
    assert "twice" not in motor("batch", "show", batch_id).out
