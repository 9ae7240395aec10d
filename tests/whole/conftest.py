"""The installation that all tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.whole.installation import PROCESS, Installation


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Everything started once, with one live process; at the end it is stopped, and nothing may be left."""
    made = Installation(tmp_path_factory.mktemp("whole") / "home")
    try:
        made.start()
        made.run("process", "deploy", PROCESS)
        yield made
        made.stop()
    finally:
        made.end()


@pytest.fixture
def installation(running: Installation) -> Iterator[Installation]:
    """The shared installation, its providers well before the test and after it."""
    running.set_faults()
    yield running
    running.set_faults()
