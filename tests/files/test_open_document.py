"""The cells of an .ods, whose content is written here by hand."""

from __future__ import annotations

import io
import zipfile

import pytest

from files.open_document import read_open_document
from files.sheet_parts import Cell, OddPart

HEAD = """<?xml version="1.0"?>%s<office:document-content
 xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"
 xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0"
 xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"
 xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0">
<office:automatic-styles><style:style style:name="ta2" style:family="table">
<style:table-properties table:display="false"/></style:style></office:automatic-styles>
<office:body><office:spreadsheet>%s</office:spreadsheet></office:body></office:document-content>"""


def document(tables: str, declared: str = "") -> zipfile.ZipFile:
    archive = zipfile.ZipFile(io.BytesIO(), "w")
    archive.writestr("content.xml", HEAD % (declared, tables))
    return archive


def texts(cells: str) -> list[str]:
    with document(f'<table:table table:name="a"><table:table-row>{cells}</table:table-row></table:table>') as archive:
        return [cell.text for cell in read_open_document(archive)[0].cells]


@pytest.mark.parametrize(
    ("attributes", "text", "expected"),
    [
        ('office:value-type="float" office:value="447400123456"', "4.47E+11", "447400123456"),
        ('office:value-type="float" office:value="745"', "00745", "00745"),
        ('office:value-type="float" office:value="447400123456"', "+447400123456", "+447400123456"),
        ('office:value-type="float" office:value="1234"', "1.234", "1234"),
        ('office:value-type="currency" office:value="2.5"', "2,50 EUR", "2.5"),
        ('office:value-type="percentage" office:value="0.25"', "25 %", "25%"),
        ('office:value-type="date" office:date-value="2030-01-31"', "31.01.30", "2030-01-31"),
        ('office:value-type="date" office:date-value="2030-01-31T00:00:00"', "31.01.30", "2030-01-31"),
        ('office:value-type="date" office:date-value="2030-01-31T10:30:00"', "31.01.30", "2030-01-31 10:30:00"),
        ('office:value-type="time" office:time-value="PT10H10M05S"', "10:10", "10:10:05"),
        ('office:value-type="time" office:time-value="PT36H00M00S"', "36:00", "36:00:00"),
        ('office:value-type="boolean" office:boolean-value="true"', "WAHR", "true"),
        ('office:value-type="string" calcext:value-type="error"', "Err:502", "#VALUE!"),
        ('office:value-type="string" calcext:value-type="error"', "#N/A", "#N/A"),
        ('office:value-type="string"', "007", "007"),
    ],
)
def test_a_cell_is_as_a_person_sees_it(attributes: str, text: str, expected: str) -> None:
    assert texts(f"<table:table-cell {attributes}><text:p>{text}</text:p></table:table-cell>") == [expected]


def test_a_text_has_its_lines_and_spaces_but_neither_notes_nor_drawings() -> None:
    cell = """<table:table-cell office:value-type="string"><office:annotation><text:p>not this</text:p></office:annotation>
<text:p>a<text:s text:c="2"/><text:span>b</text:span><text:tab/>c</text:p><text:p>d<draw:a><text:p>nor this</text:p></draw:a>e</text:p>
</table:table-cell>"""

    assert texts(cell) == ["a  b\tc\nde"]


def test_a_formula_without_a_result_is_named_and_a_covered_cell_is_not_seen() -> None:
    covered = '<table:covered-table-cell office:value-type="string"><text:p>x</text:p></table:covered-table-cell>'

    assert texts(f'<table:table-cell table:formula="of:=[.A1]"/>{covered}') == ["#CALC!"]


def test_repeated_cells_stand_where_they_are_seen_and_hidden_tables_are_known() -> None:
    text = 'office:value-type="string"><text:p>x</text:p></table:table-cell>'
    rows = f"""<table:table-row table:number-rows-repeated="3"><table:table-cell table:number-columns-repeated="9"/></table:table-row>
<table:table-row table:number-rows-repeated="2"><table:table-cell/><table:table-cell table:number-columns-repeated="2" {text}</table:table-row>
<table:table-row table:number-rows-repeated="1048000"><table:table-cell table:number-columns-repeated="16384"/></table:table-row>"""

    with document(
        f'<table:table table:name="a">{rows}</table:table><table:table table:name="b" table:style-name="ta2"/>'
    ) as archive:
        first, second = read_open_document(archive)

    assert first.cells == [Cell(row, column, "x") for row in (3, 4) for column in (1, 2)]
    assert (first.is_visible, second.is_visible) == (True, False)


WITHOUT_END = """<table:table table:name="a"><table:table-row table:number-rows-repeated="1048576">
<table:table-cell table:number-columns-repeated="16384"><text:p>x</text:p></table:table-cell></table:table-row></table:table>"""


@pytest.mark.parametrize(
    ("tables", "declared"),
    [
        (WITHOUT_END, ""),
        ("<table:table>", ""),
        ('<table:table table:name="a"><table:table-row table:number-rows-repeated="many"/></table:table>', ""),
        ("&e;", '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>'),
    ],
)
def test_an_odd_document_is_called_so(tables: str, declared: str) -> None:
    """One that would never end, one that is cut off, one that does not count, one that asks for another file."""
    with document(tables, declared) as archive, pytest.raises(OddPart):
        read_open_document(archive)
