"""Which database the tests of the screen run on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from models.database import Database
from tests.conftest import KINDS, opened

on_both_databases = pytest.mark.parametrize("database", KINDS, indirect=True)
"""For a test of what happens at once, of order, or of words that a database may take amiss."""


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """Ours, migrated and empty: SQLite, for the queries behind the screen are tested on both kinds in tests/models."""
    with opened(request, getattr(request, "param", "sqlite")) as database:
        yield database
