"""Pages of the list of batches, and what the pages need of them; on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.states import Phase, Status
from models import batches
from models.batches import SORTS
from models.database import Database
from tests.factories import NOW, add_batch, deploy, process

EVERY = ["Pending Approval", "Archived"]


def several(database: Database, number: int) -> None:
    version = deploy(database)
    for place in range(number):
        add_batch(
            database, process_version_id=version, name=f"b{place % 3}", created_at=NOW + timedelta(hours=place % 2)
        )


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("descending", [True, False])
def test_pages_hold_each_batch_once_whatever_the_order(database: Database, sort: str, descending: bool) -> None:
    """Many have the same name and the same moment: the order must be the same on every page all the same."""
    several(database, 7)

    with database.read() as session:
        pages = [
            [
                one.id
                for one, _ in batches.matching(
                    session, statuses=EVERY, sort=sort, descending=descending, limit=2, offset=offset
                )
            ]
            for offset in range(0, 8, 2)
        ]
        whole = [one.id for one, _ in batches.matching(session, statuses=EVERY, sort=sort, descending=descending)]

    assert [batch_id for page in pages for batch_id in page] == whole
    assert len(set(whole)) == 7


def test_the_count_is_of_what_the_list_shows(database: Database) -> None:
    several(database, 3)
    add_batch(database, process_version_id=1, name="hidden", archived_at=NOW)
    add_batch(database, process_version_id=1, name="Refused", status=Status.ADMIN_REJECTION.value)

    with database.read() as session:
        assert batches.how_many(session, statuses=["Pending Approval"]) == 3
        assert batches.how_many(session, statuses=EVERY) == 4
        assert batches.how_many(session, statuses=["Admin Rejection"], search="REF") == 1
        assert batches.how_many(session, statuses=[]) == 0


def test_the_same_file_is_found_for_the_same_process_only(database: Database) -> None:
    mine = add_batch(database, file_sha256="a" * 64)
    other = deploy(database, process())
    add_batch(database, process_version_id=other, file_sha256="a" * 64)
    add_batch(database, file_sha256="b" * 64)

    with database.read() as session:
        assert [one.id for one in batches.same_file(session, "motor-renewal", "a" * 64)] == [mine]


def test_only_those_that_are_there_are_given(database: Database) -> None:
    one = add_batch(database, phase=Phase.FINISHED.value)

    with database.read() as session:
        assert [found.id for found, _ in batches.some(session, [one, one + 1])] == [one]
        assert batches.some(session, []) == []
