"""The rooms: what is written down about them is what there is."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

ROOT = Path(__file__).parents[2]
NOT_INSTALLED = {"benchmarks", "tests"}
NO_ROOMS = NOT_INSTALLED | {"migrations", "processes"}
COMMANDS = {
    "demo": set(),
    "up": set(),
    "process deploy": {"--draft"},
    "process list": {"--json"},
    "process example": {"--format", "--output"},
    "batch check": {"--process", "--rows", "--json"},
    "batch create": {"--process", "--sender", "--name", "--json"},
    "batch list": {"--status", "--search", "--sort", "--json"},
    "batch show": {"--json"},
    "batch wait": {"--until", "--timeout"},
    "batch approve": {"--by", "--comment"},
    "batch reject": {"--by", "--comment"},
    "batch archive": {"--by", "--comment"},
    "batch download": {"--output"},
    "suppression list": {"--channel", "--json"},
    "suppression add": {"--channel", "--by", "--json"},
    "suppression remove": {"--channel", "--by", "--json"},
    "user add": {"--role", "--password-stdin", "--no-password", "--json"},
    "user list": {"--json"},
    "user role": {"--json"},
    "user password": {"--password-stdin", "--json"},
    "user disable": {"--json"},
    "user enable": {"--json"},
    "key add": {"--user", "--json"},
    "key list": {"--json"},
    "key revoke": {"--json"},
}
"""What programs and people build on: commands and their options."""


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def packages() -> set[str]:
    return {path.parent.name for path in ROOT.glob("*/__init__.py")}


def test_every_room_stands_under_the_rules_of_imports() -> None:
    assert set(project()["tool"]["importlinter"]["root_packages"]) == packages() - NO_ROOMS


def test_every_package_is_installed() -> None:
    installed = project()["tool"]["setuptools"]["packages"]

    assert {name for name in installed if "." not in name} == packages() - NOT_INSTALLED
    assert all((ROOT / name.replace(".", "/") / "__init__.py").exists() for name in installed)


def test_every_room_is_in_the_layers_or_stands_alone() -> None:
    contract = project()["tool"]["importlinter"]["contracts"][0]
    layered = {room.strip() for layer in contract["layers"] for room in layer.split("|")}

    assert layered == packages() - NO_ROOMS - {"sandbox"}


def test_every_room_is_measured() -> None:
    assert set(project()["tool"]["coverage"]["run"]["source"]) == packages() - NO_ROOMS


def test_every_entry_point_of_prefect_can_be_imported() -> None:
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    entries = [deployment["entrypoint"] for deployment in deployments]

    assert entries
    for entry in entries:
        module, _, name = entry.rpartition(".")
        assert callable(getattr(importlib.import_module(module), name))


def _python(code: str, tmp_path: Path) -> str:
    """Run code in a process of its own, where nothing was imported before."""
    found = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path, timeout=100
    )
    return found.stdout.strip()


def test_prefect_s_server_can_be_imported(tmp_path: Path) -> None:
    """Newer releases of its own dependencies break it: the pins in pyproject.toml say which."""
    assert _python("import prefect.server.api.server; print('imported')", tmp_path) == "imported"


@pytest.mark.parametrize(
    ("room", "never"),
    [
        ("cli.main", "prefect"),
        ("console.app", "prefect"),
        ("domain.processes", "sqlalchemy"),
        ("sandbox.app", "models"),
    ],
)
def test_a_room_does_not_load_what_it_need_not_know(room: str, never: str, tmp_path: Path) -> None:
    """Importing Prefect takes seconds, which a person at the command line would wait for."""
    code = f"import sys, importlib; importlib.import_module({room!r}); print({never!r} in sys.modules)"

    assert _python(code, tmp_path) == "False"


def commands() -> dict[str, set[str]]:
    """Every command with its options, as the program has them."""
    from cli.main import app  # noqa: PLC0415  a room is loaded by its own test

    found: dict[str, set[str]] = {}

    def collect(command: Any, words: tuple[str, ...]) -> None:
        if hasattr(command, "commands"):
            for name, inner in command.commands.items():
                collect(inner, (*words, name))
        else:
            found[" ".join(words)] = {
                option for parameter in command.params for option in parameter.opts if option.startswith("--")
            }

    collect(get_command(app), ())
    return found


def test_every_command_that_others_build_on_is_there_with_its_options() -> None:
    found = commands()

    assert set(COMMANDS) <= set(found)
    assert {name: options - found[name] for name, options in COMMANDS.items() if options - found[name]} == {}


def test_every_folder_of_tests_mirrors_a_room() -> None:
    extra = {"architecture", "chaos", "whole"}
    folders = {
        path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and not path.name.startswith(("_", "."))
    }

    assert folders - extra <= packages()


def test_the_example_processes_are_shipped() -> None:
    data = project()["tool"]["setuptools"]["package-data"]

    assert data["processes"] == ["*.yaml"]
    assert list((ROOT / "processes").glob("*.yaml"))
