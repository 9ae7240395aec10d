"""Example files: they come back as what they are, and their one row is never sent."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from domain.columns import recognise
from domain.processes import ProcessDefinition, read_definition
from domain.samples import sample_values
from domain.validation import judge
from files.examples import write_example_csv, write_example_xlsx
from files.reading import MadeFor, read

MANY = ", ".join(f"The choice with number {number}" for number in range(40))
DEFINITION = f"""
key: motor
name: Motor
default_region: GB
data_items:
  - {{name: first_name, type: text, required: true}}
  - {{name: email, type: email}}
  - {{name: phone, type: phone}}
  - {{name: day, type: date, required: true, format: "%d.%m.%Y"}}
  - {{name: premium, type: number}}
  - {{name: paperless, type: boolean}}
  - {{name: cover, type: choice, choices: [Comprehensive, Third party]}}
  - {{name: plan, type: choice, choices: [{MANY}]}}
"""
Write = Callable[[ProcessDefinition, Path], None]


def definition() -> ProcessDefinition:
    return read_definition(DEFINITION, name="motor.yaml")


def _xlsx(process: ProcessDefinition, path: Path) -> None:
    write_example_xlsx(process, 3, path)


@pytest.fixture
def part(tmp_path: Path) -> Callable[[str], str]:
    """The XML of one part of the example workbook."""
    path = tmp_path / "example.xlsx"
    _xlsx(definition(), path)

    def part(name: str) -> str:
        with zipfile.ZipFile(path) as archive:
            return archive.read(name).decode()

    return part


@pytest.mark.parametrize("write", [_xlsx, write_example_csv])
def test_an_example_file_has_every_item_and_one_row_that_is_never_sent(write: Write, tmp_path: Path) -> None:
    process, path = definition(), tmp_path / "example"
    write(process, path)

    table = read(path, file_name="example")
    judged = judge(table.rows, recognise(table.layout.header, process, file_name="example"), process)

    assert table.layout.header == tuple(item.name for item in process.data_items)
    assert table.rows.rows() == [(2, *sample_values(process).values())]
    assert judged.problems["code"].to_list() == ["sample_row"]


def test_the_workbook_says_which_process_and_version_it_is_for(tmp_path: Path) -> None:
    path = tmp_path / "example.xlsx"
    _xlsx(definition(), path)

    assert read(path, file_name="example.xlsx").layout.made_for == MadeFor("motor", 3)


def test_the_csv_opens_in_excel_as_utf8(tmp_path: Path) -> None:
    path = tmp_path / "example.csv"
    write_example_csv(definition(), path)

    assert path.read_bytes().startswith(b"\xef\xbb\xbffirst_name,email,")


def test_choices_and_booleans_have_drop_downs(part: Callable[[str], str]) -> None:
    sheet = part("xl/worksheets/sheet1.xml")

    assert '"Comprehensive,Third party"' in sheet
    assert '"yes,no"' in sheet
    assert "'Choices plan'!$A$1:$A$40" in sheet
    assert 'sqref="G2:G1048576"' in sheet


def test_every_header_has_a_note_and_stays_in_view(part: Callable[[str], str]) -> None:
    notes = part("xl/comments1.xml")

    assert notes.count("<comment ") == len(definition().data_items)
    assert "As 2030-01-31 or 31.01.2030." in notes
    assert "Each row needs email or phone." in notes
    assert notes.count("Required.") == 2
    assert 'state="frozen"' in part("xl/worksheets/sheet1.xml")
    assert 'formatCode="yyyy-mm-dd"' in part("xl/styles.xml")
