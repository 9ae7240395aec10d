"""The sandbox that the rounds of this folder play with, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.campaign import playing
from tests.chaos.worker import Place


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The real sandbox process."""
    with playing(tmp_path_factory.mktemp("sandbox")) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, sandbox: str, tmp_path: Path) -> Place:
    """A ledger of its own, on both kinds of database."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return Place(tmp_path / "home", url, sandbox)
