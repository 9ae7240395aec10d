"""What is written twice must say the same."""

from __future__ import annotations

import re
from pathlib import Path

from domain.states import Phase
from settings import Settings

TOP = Path(__file__).parents[2]


def test_the_readme_names_every_setting_and_no_other() -> None:
    table = (TOP / "README.md").read_text().split("## Settings")[1].split("\n## ")[0]
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", table, re.MULTILINE))

    assert documented == {name.upper() for name in Settings.model_fields}


def test_the_readme_gives_the_numbers_that_hold() -> None:
    table = (TOP / "README.md").read_text()

    for name, field in Settings.model_fields.items():
        if isinstance(field.default, bool):
            row = re.search(rf"^\| `{name.upper()}` \|.*\| `(true|false)` \|$", table, re.MULTILINE)
            assert row is not None, name
            assert (row[1] == "true") == field.default
        elif isinstance(field.default, (int, float)):
            row = re.search(rf"^\| `{name.upper()}` \|.*\| `([\d.]+)` \|$", table, re.MULTILINE)
            assert row is not None, name
            assert float(row[1]) == field.default


def test_operating_explains_every_phase() -> None:
    table = (TOP / "docs" / "operating.md").read_text()

    assert set(re.findall(r"^\| `([a-z]+)` \|", table, re.MULTILINE)) == {phase.value for phase in Phase}


def test_every_file_of_the_readme_is_there() -> None:
    for link in re.findall(r"\]\(((?!http)[^)]+)\)", (TOP / "README.md").read_text()):
        assert (TOP / link).exists(), link
