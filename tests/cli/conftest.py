"""Commands run in this process, in a data folder of their own, with nothing to talk to."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.main import main
from tasks.surroundings import here
from tests.cli.running import Ended, Run
from tests.factories import MOTOR

FREE_PORT = "9"
"""The discard service's: nobody runs a server there."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The data folder of the commands of one test."""
    return tmp_path / "home"


@pytest.fixture
def run(home: Path, closed: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Run one command and give its exit code and what it printed; `settings` are variables without their prefix."""
    _ = closed  # first: it clears the environment

    def run_one(*arguments: str | Path | int, **settings: str) -> Ended:
        here.cache_clear()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["bulk-sender", *map(str, arguments)])
            for name, value in {"HOME": str(home), "PREFECT_PORT": FREE_PORT, **settings}.items():
                patch.setenv(f"BULK_SENDER_{name}", value)
            capsys.readouterr()
            with pytest.raises(SystemExit) as ended:
                main()
        code = ended.value.code
        return Ended(code if isinstance(code, int) else 0, *capsys.readouterr())

    yield run_one
    here.cache_clear()


@pytest.fixture
def motor(run: Run) -> Run:
    """The same, with the process `motor-renewal` live."""
    assert run("process", "deploy", MOTOR).code == 0
    return run


@pytest.fixture
def is_untouched(home: Path) -> Callable[[], bool]:
    """Whether no batch was made and no file kept."""
    return lambda: not [path for path in (home / "files").rglob("*") if path.is_file()]
