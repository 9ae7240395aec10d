"""Reading uploads: workbooks as a person sees them, and hostile files that leave a sentence and nothing on disk."""

from __future__ import annotations

import io
import os
import select
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from domain.errors import FileErrorCode, FileProblem
from files import parsing
from files.reading import Limits, Table, read

OLE_MAGIC = bytes.fromhex("d0cf11e0a1b11ae1")
Fill = Callable[[Any], None]


def workbook(fill: Fill) -> bytes:
    """The bytes of a workbook that `fill` has written into."""
    content = io.BytesIO()
    with xlsxwriter.Workbook(content) as book:
        fill(book)
    return content.getvalue()


def lines(*rows: list[object]) -> Fill:
    """Fill one sheet, from its first cell on."""

    def fill(book: Any) -> None:
        sheet = book.add_worksheet("List")
        for number, cells in enumerate(rows):
            sheet.write_row(number, 0, cells)

    return fill


SMALL = workbook(lines(["name", "email"], ["Anna", "a@b.com"]))


@pytest.fixture
def upload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Table]:
    """Read bytes as an upload, and look that nothing of it stays in the folder for temporary files."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))

    def upload(
        content: bytes,
        *,
        name: str = "list.xlsx",
        limits: Limits | None = None,
        titles: tuple[str, ...] = (),
        with_others: bool = True,
    ) -> Table:
        path = tmp_path / "upload"
        path.write_bytes(content)
        try:
            return read(path, file_name=name, limits=limits or Limits(), titles=titles, with_others=with_others)
        finally:
            assert list(temporary.iterdir()) == []

    return upload


Upload = Callable[..., Table]


def refusal(upload: Upload, content: bytes, **options: Any) -> FileProblem:
    with pytest.raises(FileProblem) as caught:
        upload(content, **options)
    assert str(caught.value).startswith(options.get("name", "list.xlsx"))
    assert str(caught.value).endswith(".")
    return caught.value


def test_a_csv_is_read_whatever_it_is_called(upload: Upload) -> None:
    table = upload(b"name,email\nAnna,a@b.com\n", name="list.xlsx")

    assert table.layout.format == "csv"
    assert table.rows.rows() == [(2, "Anna", "a@b.com")]


def test_a_workbook_is_read_whatever_it_is_called(upload: Upload) -> None:
    table = upload(SMALL, name="list.csv")

    assert (table.layout.format, table.layout.sheet, table.layout.header) == ("xlsx", "List", ("name", "email"))
    assert table.rows.rows() == [(2, "Anna", "a@b.com")]


@pytest.mark.parametrize(
    "content",
    [
        b"note,E-Mail,x\n1,a@b.com,2\n,,\n3,,\n",
        b'note,E-Mail,x\n"1 ""2""",a@b.com,2\n,,\n"l\rm",,\n',  # not read by the fast reader
        workbook(lines(["note", "E-Mail", "x"], [1, "a@b.com", 2], [], [3])),
    ],
)
def test_columns_that_nobody_asked_for_are_left_out_and_their_rows_are_not(upload: Upload, content: bytes) -> None:
    table = upload(content, titles=("email",), with_others=False)

    assert table.layout.header == ("note", "E-Mail", "x")
    assert table.rows.to_dict(as_series=False) == {"row": [2, 4], "c1": ["a@b.com", None]}


def test_without_the_others_a_file_without_any_title_still_has_its_rows(upload: Upload) -> None:
    assert upload(b"a,b\n1,2\n", titles=("email",), with_others=False).rows.to_dict(as_series=False) == {"row": [2]}


def test_cells_of_a_workbook_are_what_a_person_sees(upload: Upload) -> None:
    def fill(book: Any) -> None:
        sheet = book.add_worksheet()
        day = book.add_format({"num_format": "dd.mm.yyyy"})
        sheet.write_row(0, 0, ["a", "b", "c", "d"])
        sheet.write_row(1, 0, [7400123456, 1.5, True, 0.1 + 0.2])
        sheet.write_datetime(2, 0, date(2030, 1, 31), day)
        sheet.write_datetime(2, 1, datetime(2030, 1, 31, 12, 30), day)  # noqa: DTZ001 - a cell has no zone
        sheet.write_formula(2, 2, "=1+1", None, 2)
        sheet.write_formula(2, 3, "=NA()", None, "#N/A")
        for place, text in enumerate(["007", "=2+2", " x ", "a\nb"]):
            sheet.write_string(3, place, text)

    assert upload(workbook(fill)).rows.rows() == [
        (2, "7400123456", "1.5", "true", "0.3"),
        (3, "2030-01-31", "2030-01-31 12:30:00", "2", "#N/A"),
        (4, "007", "=2+2", " x ", "a\nb"),
    ]


def test_rows_have_the_numbers_that_the_sheet_shows(upload: Upload) -> None:
    """Blank rows above, between and below, cells that are only coloured, and a list that begins in column C."""

    def fill(book: Any) -> None:
        sheet = book.add_worksheet()
        red = book.add_format({"bg_color": "red"})
        sheet.write_row(3, 2, ["name", "email"])
        sheet.write_row(4, 2, ["Anna", "a@b.com"])
        sheet.write_row(8, 2, ["Bo", "b@b.com"])
        sheet.write_blank(12, 2, None, red)
        sheet.write_blank(4, 7, None, red)

    table = upload(workbook(fill))

    assert (table.layout.header_row, table.layout.first_column) == (4, 2)
    assert table.layout.header == ("name", "email")
    assert table.rows.rows() == [(5, "Anna", "a@b.com"), (9, "Bo", "b@b.com")]


def test_the_first_visible_sheet_with_anything_in_it_is_read(upload: Upload) -> None:
    """The first sheet is often last year's list, hidden, or a chart, or still empty."""

    def fill(book: Any) -> None:
        old = book.add_worksheet("Last year")
        old.write_row(0, 0, ["name"])
        old.write_row(1, 0, ["Old"])
        book.add_worksheet("Empty")
        sheet = book.add_worksheet("List")
        sheet.write_row(0, 0, ["name"])
        sheet.write_row(1, 0, ["New"])
        sheet.activate()
        sheet.set_first_sheet()
        old.hide()

    table = upload(workbook(fill))

    assert table.layout.sheet == "List"
    assert table.rows.rows() == [(2, "New")]


def test_columns_without_a_title_are_kept_if_they_hold_something(upload: Upload) -> None:
    table = upload(workbook(lines(["name", None, "email"], ["Anna", "x", "a@b.com", "y"])))

    assert table.layout.header == ("name", "", "email", "")
    assert table.rows.rows() == [(2, "Anna", "x", "a@b.com", "y")]


def repacked(content: bytes, **changes: bytes | None) -> bytes:
    """The zip with the parts named by their last path element replaced or left out."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            part = changes.get(Path(name).stem, old.read(name))
            if part is not None:
                new.writestr(name, part)
    return target.getvalue()


def with_cells(*cells: str, **changes: bytes | None) -> bytes:
    """A workbook of the columns a to e, whose second row is made of these cells as they are written in XML."""
    content = workbook(lines(["a", "b", "c", "d", "e"], ["", "", "", "", ""]))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
    row = f'<row r="2">{"".join(cells)}</row>'
    return repacked(content, sheet1=sheet.replace("</sheetData>", f"{row}</sheetData>").encode(), **changes)


STYLES = b"""<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><numFmts count="2">
<numFmt numFmtId="164" formatCode="00000"/><numFmt numFmtId="165" formatCode="0.0%;[Red]-0.0%"/>
<numFmt numFmtId="166" formatCode="0&quot; % of all&quot;"/></numFmts><cellXfs count="5"><xf numFmtId="0"/><xf numFmtId="9"/>
<xf numFmtId="164"/><xf numFmtId="165"/><xf numFmtId="166"/></cellXfs></styleSheet>"""


def test_numbers_are_shown_as_their_format_shows_them(upload: Upload) -> None:
    """A percentage has its sign, and a postcode or phone number the zeros in front that Excel adds."""
    cells = (
        '<c r="A2" s="1"><v>0.25</v></c>',
        '<c r="B2" s="2"><f>A1</f><v>745</v></c>',
        '<c s="3" r="C2"><v>-1.255E-1</v></c>',
        '<c r="D2" s="4"><v>5</v></c>',
        '<c r="E2" s="1" t="str"><v>0.25</v></c>',
    )

    assert upload(with_cells(*cells, styles=STYLES)).rows.rows() == [(2, "25%", "00745", "-12.55%", "5", "0.25")]


def test_a_number_is_shown_by_its_format_among_very_many(upload: Upload) -> None:
    styles = STYLES.replace(b"</cellXfs>", b'<xf numFmtId="9"/>' * 300 + b"</cellXfs>")
    cells = ('<c r="A2" s="200"><v>0.25</v></c>', '<c r="B2" s="0"><v>0.25</v></c>')

    assert upload(with_cells(*cells, styles=styles)).rows.row(0)[1:3] == ("25%", "0.25")


def test_a_blank_cell_with_a_format_takes_nothing_from_the_next(upload: Upload) -> None:
    cells = ('<c r="A2" s="1"/>', '<c r="B2"><v>7</v></c>', '<c r="C2" t="e"/>', '<c r="D2"><v>8</v></c>')

    assert upload(with_cells(*cells, styles=STYLES)).rows.rows() == [(2, None, "7", None, "8", None)]


def test_errors_and_formulas_without_a_result_are_named_in_their_cells(upload: Upload) -> None:
    """They must not become empty cells without a word; a formula whose result is no text is empty for everybody."""
    cells = (
        '<c r="A2" t="e"><f>NA()</f><v>#N/A</v></c>',
        '<c r="B2"><f>SUM(A1)</f></c>',
        '<c r="C2"><f>SUM(A1)</f><v></v></c>',
        '<c r="D2" t="str"><f>IF(1,"","")</f><v></v></c>',
        '<c r="E2"><f>SUM(A1)</f><v>0</v></c>',
        '<c r="F2" t="str"><f>T(A1)</f></c>',
    )
    book = with_cells(*cells, workbook=_workbook(b'<calcPr calcId="1"/>'))

    assert upload(book).rows.rows() == [(2, "#N/A", "#CALC!", "#CALC!", None, "0", "#CALC!")]
    left = with_cells(*cells, workbook=_workbook(b'<calcPr calcId="1" fullCalcOnLoad="1"/>'))
    assert upload(left).rows.rows() == [(2, "#N/A", "#CALC!", "#CALC!", None, "#CALC!", "#CALC!")]


def _workbook(end: bytes, properties: bytes = b"") -> bytes:
    return b"""<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"
 xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships" xmlns:x15="x15">%b
<sheets><sheet name="List" sheetId="1" r:id="rId1"/></sheets>%b</workbook>""" % (properties, end)


def test_a_row_and_a_column_of_formulas_without_a_result_are_there(upload: Upload) -> None:
    """The library does not know that the sheet is as large as that."""
    book = with_cells('<c r="A2"><v>1</v></c></row><row r="4"><c r="G4"><f>A1</f></c>')

    table = upload(book)

    assert table.layout.header == ("a", "b", "c", "d", "e", "", "")
    assert table.rows.rows() == [(2, "1", *[None] * 6), (4, *[None] * 6, "#CALC!")]


def test_elements_with_a_prefix_are_looked_at_too(upload: Upload) -> None:
    sheet = b"""<x:worksheet xmlns:x="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><x:sheetData>
<x:row r="1"><x:c r="A1" t="str"><x:v>a</x:v></x:c></x:row><x:row r='2'><x:c r='A2'><x:f>A1</x:f></x:c></x:row>
<x:row r="3"><x:c r='A3' t='e'><x:v>#REF!</x:v></x:c></x:row></x:sheetData></x:worksheet>"""

    assert upload(repacked(SMALL, sheet1=sheet)).rows.rows() == [(2, "#CALC!"), (3, "#REF!")]


def test_dates_that_are_written_as_text_and_times_are_as_seen(upload: Upload) -> None:
    day, clock = 't="d"><v>2026-03-01T00:00:00</v>', 't="d"><v>2026-03-01T10:30:00</v>'
    styles = STYLES.replace(b'numFmtId="9"', b'numFmtId="20"')
    cells = (f'<c r="A2" {day}</c>', f'<c r="B2" {clock}</c>', '<c r="C2" s="1"><v>0.5</v></c>')

    found = upload(with_cells(*cells, '<c r="D2" t="str"><v>2026-03-01T00:00:00</v></c>', styles=styles)).rows

    assert found.rows() == [(2, "2026-03-01", "2026-03-01 10:30:00", "12:00:00", "2026-03-01T00:00:00", None)]


@pytest.mark.parametrize(
    "end", [b"", b'<extLst><ext uri="x"><x15:workbookPr chartTrackingRefBase="1"/></ext></extLst>']
)
def test_days_that_are_counted_from_1904_are_the_right_days(upload: Upload, end: bytes) -> None:
    """Excel for Mac writes them; with an extension that it adds, the library would be four years wrong."""
    styles = STYLES.replace(b'numFmtId="9"', b'numFmtId="14"')
    book = with_cells(
        '<c r="A2" s="1"><v>24837</v></c>', styles=styles, workbook=_workbook(end, b'<workbookPr date1904="1"/>')
    )

    assert upload(book).rows.row(0)[1] == "1972-01-01"


def test_dates_that_the_library_loses_or_shows_otherwise_are_as_seen(upload: Upload) -> None:
    """Hours past a day, times alone, days before March 1900, and numbers that are no date in spite of their format."""
    styles = STYLES.replace(b'numFmtId="9"', b'numFmtId="14"').replace(b'"00000"', b'"[h]:mm"')
    styles = styles.replace(b'formatCode="0.0%;[Red]-0.0%"', b'formatCode="h:mm"')

    def row(*cells: tuple[int, str]) -> tuple[str | None, ...]:
        written = (f'<c r="{"ABCDE"[place]}2" s="{style}"><v>{v}</v></c>' for place, (style, v) in enumerate(cells))
        return upload(with_cells(*written, styles=styles)).rows.row(0)[1:]

    assert row((2, "1.5"), (3, "0"), (3, "0.5"), (1, "0"), (1, "60")) == (
        "36:00", "00:00:00", "12:00:00", "1900-01-00", "1900-02-29",
    )  # fmt: skip
    assert row((1, "45000"), (1, "4915112345678"), (0, "7"), (1, "-5"), (1, "59")) == (
        "2023-03-15", "4915112345678", "7", "-5", "1900-02-28",
    )  # fmt: skip
    assert row((1, "45000"), (0, "4915112345678"), (1, "4915112345678"), (1, "1E+99"), (0, "1")) == (
        "2023-03-15", "4915112345678", "4915112345678", "1" + "0" * 99, "1",
    )  # fmt: skip


def test_cells_that_do_not_say_where_they_stand_are_shown_as_their_format_shows_them(upload: Upload) -> None:
    cells = '<row><c s="1"><v>0.25</v></c><c><v>7</v></c><c r="E3" t="e"><v>#N/A</v></c></row>'
    book = with_cells('<c r="A2"><v>1</v></c></row>' + cells.removesuffix("</row>"), styles=STYLES)

    assert upload(book).rows.rows() == [(2, "1", None, None, None, None), (3, "25%", "7", None, None, "#N/A")]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_parts_in_two_bytes_a_letter_are_read(upload: Upload, encoding: str) -> None:
    with zipfile.ZipFile(io.BytesIO(SMALL)) as archive:
        parts = {Path(name).stem: archive.read(name).decode() for name in archive.namelist()}
    names = ("workbook", "sheet1", "sharedStrings", "styles")
    wide = {name: parts[name].replace("UTF-8", "utf-16").encode(encoding) for name in names}

    assert upload(repacked(SMALL, **wide)).rows.rows() == [(2, "Anna", "a@b.com")]


def test_sheets_that_are_no_worksheets_do_not_hide_the_list(upload: Upload) -> None:
    """A macro sheet of Excel 4, a sheet without a part, a state that no program knows."""
    sheets = b'<sheet name="Macro" sheetId="2" r:id="rIdM"/><sheet name="None" sheetId="3" r:id=""/>'
    book = (
        _workbook(b"").replace(b"<sheets>", b"<sheets>" + sheets).replace(b'sheetId="1"', b'sheetId="1" state="show"')
    )
    with zipfile.ZipFile(io.BytesIO(SMALL)) as archive:
        relations = archive.read("xl/_rels/workbook.xml.rels")
    macro = b'<Relationship Id="rIdM" Type="http://x/xlMacrosheet" Target="macrosheets/sheet1.xml"/></Relationships>'
    relations = relations.replace(b"</Relationships>", macro)

    table = upload(repacked(SMALL, **{"workbook": book, "workbook.xml": relations}))

    assert (table.layout.sheet, table.rows.rows()) == ("List", [(2, "Anna", "a@b.com")])


def test_a_wrong_size_of_a_sheet_is_no_matter(upload: Upload) -> None:
    assert upload(_sheet_of_small(b'ref="A1:B2"', b'ref="1:2"')).rows.rows() == [(2, "Anna", "a@b.com")]


def test_a_part_that_was_changed_on_its_way_is_refused(upload: Upload) -> None:
    """The check sum of the zip is wrong: who knows which letters are."""
    content = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(SMALL)) as old, zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))

    problem = refusal(upload, content.getvalue().replace(b"a@b.com", b"c@b.com"))

    assert problem.code is FileErrorCode.UNREADABLE


def test_the_sheet_with_the_titles_is_read_and_the_others_are_named(upload: Upload) -> None:
    def fill(book: Any) -> None:
        for name, cells in (("Notes", ["Read", "me"]), ("Hidden", ["name", "email"]), ("List", ["Name", "E-mail"])):
            sheet = book.add_worksheet(name)
            sheet.write_row(0, 0, cells)
            sheet.write_row(1, 0, ["Anna", name])
            if name == "Hidden":
                sheet.hide()

    table = upload(workbook(fill), titles=("name", "email"))

    assert (table.layout.sheet, table.layout.other_sheets) == ("List", ("Notes",))
    assert table.rows.rows() == [(2, "Anna", "List")]
    assert upload(workbook(fill)).layout.sheet == "Notes"


def test_the_header_of_a_sheet_is_found_below_the_title_of_a_report(upload: Upload) -> None:
    content = workbook(lines([], ["Customers March 2026"], [], ["Name", "Email"], ["Anna", "a@b.com"]))

    table = upload(content, titles=("name", "email"))

    assert (table.layout.header, table.layout.header_row) == (("Name", "Email"), 4)
    assert table.layout.above == ((2, ("Customers March 2026", "")),)
    assert table.rows.rows() == [(5, "Anna", "a@b.com")]


def zipped(**parts: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name.replace("__", "/"), part)
    return target.getvalue()


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        pytest.param(b"", FileErrorCode.EMPTY, "no bytes", id="zero bytes"),
        pytest.param(workbook(lines(["name"])), FileErrorCode.EMPTY, "below the header", id="header only"),
        pytest.param(workbook(lines()), FileErrorCode.EMPTY, "no visible sheet", id="nothing on the sheet"),
        pytest.param(SMALL[:2000], FileErrorCode.UNREADABLE, "damaged", id="truncated zip"),
        pytest.param(b"PK\x03\x04" + b"\x07" * 500, FileErrorCode.UNREADABLE, "damaged", id="not really a zip"),
        pytest.param(repacked(SMALL, sheet1=b"<worksheet><row"), FileErrorCode.UNREADABLE, "damaged", id="cut sheet"),
        pytest.param(repacked(SMALL, workbook=None), FileErrorCode.NOT_CSV_OR_EXCEL, "neither", id="no workbook"),
        pytest.param(zipped(word__document=b"x"), FileErrorCode.NOT_CSV_OR_EXCEL, "neither", id="another zip"),
        pytest.param(
            OLE_MAGIC + b"\0" * 900 + "EncryptedPackage".encode("utf-16-le"),
            FileErrorCode.ENCRYPTED,
            "password",
            id="encrypted",
        ),
        pytest.param(OLE_MAGIC + b"\0" * 900, FileErrorCode.NOT_CSV_OR_EXCEL, "neither", id="another ole file"),
        pytest.param(
            OLE_MAGIC + b"\0" * 900 + "Workbook".encode("utf-16-le"), FileErrorCode.UNREADABLE, "damaged", id="bad xls"
        ),
        pytest.param(bytes(range(256)) * 10, FileErrorCode.NOT_CSV_OR_EXCEL, "neither", id="binary"),
        pytest.param(b'a,b\n1,"2\n', FileErrorCode.UNREADABLE, "row 2 that is never closed", id="unclosed quote"),
    ],
)
def test_a_hostile_file_gets_a_sentence(upload: Upload, content: bytes, code: FileErrorCode, said: str) -> None:
    problem = refusal(upload, content)

    assert problem.code is code
    assert said in str(problem)


FAR = b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
DEEP = b"<a>" * 400_000


def _sheet_of_small(old: bytes, new: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(SMALL)) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml")
    assert old in sheet
    return repacked(SMALL, sheet1=sheet.replace(old, new))


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(_sheet_of_small(b"</sheetData>", FAR), FileErrorCode.TOO_LARGE, id="a cell in the last corner"),
        pytest.param(_sheet_of_small(b"<sheetData>", b"<sheetData>" + DEEP), None, id="deep XML"),
        pytest.param(
            _sheet_of_small(
                b"<worksheet", b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]><worksheet'
            ).replace(b"<v>0</v>", b"<v>&e;</v>"),
            None,
            id="an entity that nobody uses",
        ),
        pytest.param(
            repacked(SMALL, workbook=b'<!DOCTYPE x [<!ENTITY e "e">]><workbook>&e;</workbook>'),
            FileErrorCode.UNREADABLE,
            id="an entity in the workbook",
        ),
        pytest.param(
            repacked(SMALL, sharedStrings=b"<sst>" + b"<si><t>x</t></si>" * 9 + b"<si><t>" * 200_000),
            FileErrorCode.UNREADABLE,
            id="shared strings that never end",
        ),
        pytest.param(
            repacked(SMALL, styles=b"<styleSheet><cellXfs>" + b"<xf/>" * 70_000 + b"</cellXfs></styleSheet>"),
            FileErrorCode.UNREADABLE,
            id="more formats than Excel has",
        ),
        pytest.param(
            _sheet_of_small(b'ref="A1:B2"', b'ref="A1:XFD1048576"'), None, id="a dimension that promises too much"
        ),
        pytest.param(
            workbook(lines([f"t{number}" for number in range(16_384)], [1])),
            FileErrorCode.TOO_LARGE,
            id="all columns",
        ),
        pytest.param(
            _sheet_of_small(b"</sheetData>", b'<row r="3"><c r="A3" t="e"><v>#NEW!</v></c></row></sheetData>'),
            FileErrorCode.UNREADABLE,
            id="an error that the library does not know",
        ),
    ],
)
def test_a_hostile_workbook_ends_in_a_sentence_or_is_read(
    upload: Upload, content: bytes, code: FileErrorCode | None
) -> None:
    found: FileErrorCode | None = None
    try:
        rows = upload(content).rows.rows()
    except FileProblem as problem:
        found, rows = problem.code, [(2, "Anna", "a@b.com")]

    assert found == code
    assert rows == [(2, "Anna", "a@b.com")]


def test_nothing_is_left_of_a_reading_whose_process_is_killed(tmp_path: Path) -> None:
    """Neither a file nor the copy of the parser that worked on it, nor the parser."""
    path, started = tmp_path / "list.csv", tmp_path / "started"
    path.write_bytes(b"a,b\n1,2\n")
    os.mkfifo(started)
    hang = f"import os, time; file = open({str(started)!r}, 'w'); file.write(f'{{os.getppid()}} {{os.getpid()}}'); file.close(); time.sleep(600)"
    script = f"""
from pathlib import Path
from files import parsing, reading
parsing.PARSER = {_dying(hang)!r}
reading.read(Path({str(path)!r}), file_name="list.csv")
"""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {"PYTHONPATH": str(parsing.PROJECT), "TMPDIR": str(temporary)}
    with subprocess.Popen([sys.executable, "-c", script], env=environment) as reader:
        pids = [int(pid) for pid in started.read_text().split()]
        ends = [os.pidfd_open(pid) for pid in pids]
        reader.kill()
    watched = select.poll()
    for end in ends:
        watched.register(end, select.POLLIN)
        assert watched.poll(30_000)
        watched.unregister(end)
        os.close(end)

    assert list(temporary.iterdir()) == []


ODS = b"application/vnd.oasis.opendocument.spreadsheet"
ODS_CONTENT = b"""<?xml version="1.0"?><office:document-content
 xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"
 xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"><office:body><office:spreadsheet>
<table:table table:name="List">%b</table:table></office:spreadsheet></office:body></office:document-content>"""
ODS_ROW = b"""<table:table-row><table:table-cell office:value-type="string"><text:p>%b</text:p></table:table-cell></table:table-row>"""


def test_an_open_document_sheet_is_read_too(upload: Upload) -> None:
    content = ODS_CONTENT % b"".join(ODS_ROW % text for text in (b"name", b"007"))

    table = upload(zipped(mimetype=ODS, **{"content.xml": content, "META-INF/manifest.xml": b"<manifest/>"}))

    assert (table.layout.format, table.layout.sheet, table.layout.header) == ("xlsx", "List", ("name",))
    assert table.rows.rows() == [(2, "007")]


def test_an_encrypted_open_document_sheet_is_called_so(upload: Upload) -> None:
    manifest = b"<manifest:manifest><manifest:encryption-data/></manifest:manifest>"

    problem = refusal(upload, zipped(mimetype=ODS, **{"content.xml": b"x", "META-INF/manifest.xml": manifest}))

    assert problem.code is FileErrorCode.ENCRYPTED


def test_a_workbook_that_unpacks_to_too_much_is_not_unpacked(upload: Upload) -> None:
    bomb = repacked(SMALL, sheet1=b"\0" * 5_000_000)

    problem = refusal(upload, bomb, limits=Limits(unpacked_bytes=2 * 2**20))

    assert len(bomb) < 50_000
    assert problem.code is FileErrorCode.TOO_LARGE
    assert "unpacks to more than 2 MB" in str(problem)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(bytes=10), "at most 0 MB"),
        (Limits(rows=0), "1 rows; at most 0"),
        (Limits(columns=1), "2 columns; at most 1"),
        (Limits(seconds=0), "longer than 0 seconds"),
    ],
)
def test_limits_are_kept(upload: Upload, limits: Limits, said: str) -> None:
    problem = refusal(upload, SMALL, limits=limits)

    assert problem.code is FileErrorCode.TOO_LARGE
    assert said in str(problem)


def test_a_file_that_needs_too_much_memory_is_too_large(upload: Upload) -> None:
    """A reader whose memory is refused dies at once, or now and then stands still without a word."""
    content = b"name,email\n" + b'"Anna\rSmith",anna.smith@example.com\n' * 2_500_000

    problem = refusal(upload, content, limits=Limits(memory_bytes=600 * 2**20, rows=3_000_000))

    assert problem.code is FileErrorCode.TOO_LARGE
    assert "more than 600 MB of memory" in str(problem)


def test_no_more_is_handed_over_than_there_may_be_memory(upload: Upload) -> None:
    width = 21
    content = b",".join([b"a"] * width) + b"\n" + (b"," * (width - 1) + b"\n") * 1_900_000

    problem = refusal(upload, content, limits=Limits(memory_bytes=600 * 2**20))

    assert problem.code is FileErrorCode.TOO_LARGE


def _dying(script: str) -> tuple[str, ...]:
    """A parser whose copies do this instead of parsing."""
    lines = [
        "from files import parse",
        f"def die(order, reply): exec({script!r})",
        "parse._parse = die",
        "parse.main()",
    ]
    return (sys.executable, "-P", "-c", "\n".join(lines))


@pytest.fixture
def parser(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Have the copies of a new parser do something else."""

    def parser(script: str) -> None:
        monkeypatch.setattr(parsing, "PARSER", _dying(script))
        monkeypatch.setattr(parsing, "parser", parsing.Parser())

    return parser


@pytest.mark.parametrize(
    ("death", "code", "said"),
    [
        ("import os; os.abort()", FileErrorCode.UNREADABLE, "damaged"),
        ("raise BaseException('panicked')", FileErrorCode.UNREADABLE, "damaged"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGXCPU)", FileErrorCode.TOO_LARGE, "longer than"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", FileErrorCode.TOO_LARGE, "memory"),
        ("raise MemoryError", FileErrorCode.TOO_LARGE, "memory"),
        (
            "import sys, time; print('memory allocation of 5 bytes failed', file=sys.stderr, flush=True); time.sleep(90)",
            FileErrorCode.TOO_LARGE,
            "memory",
        ),
    ],
)
def test_however_the_parser_dies_the_operator_gets_a_sentence(
    upload: Upload, parser: Callable[[str], None], death: str, code: FileErrorCode, said: str
) -> None:
    """Some workbooks abort the process, some raise what `except Exception` misses, and some hang out of memory."""
    parser(death)

    problem = refusal(upload, SMALL)

    assert problem.code is code
    assert said in str(problem)


def test_a_parser_that_stands_still_without_a_word_is_out_of_memory(
    upload: Upload, parser: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What refuses memory to a reader may leave its threads waiting for each other, long before its time is over."""
    monkeypatch.setattr(parsing, "STILL_LOOKS", 2)
    parser("import threading; threading.Event().wait()")

    problem = refusal(upload, SMALL)

    assert problem.code is FileErrorCode.TOO_LARGE
    assert "memory" in str(problem)


def test_a_parser_that_is_busy_may_go_on(
    upload: Upload, parser: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parsing, "STILL_LOOKS", 2)
    parser("import os, time\nwhile time.process_time() < 1.8: pass\nos.abort()")

    assert refusal(upload, SMALL).code is FileErrorCode.UNREADABLE


def test_a_parser_that_hangs_is_stopped_in_time(upload: Upload, parser: Callable[[str], None], tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    parser(f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(600)")

    problem = refusal(upload, SMALL, limits=Limits(seconds=1))

    assert problem.code is FileErrorCode.TOO_LARGE
    with suppress(ProcessLookupError):
        end = os.pidfd_open(int(pid.read_text()))
        watched = select.poll()
        watched.register(end, select.POLLIN)
        assert watched.poll(30_000)
        os.close(end)


def test_one_parser_serves_many_readings_at_once_and_a_new_one_its_death(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parsing, "parser", parsing.Parser())
    paths = [tmp_path / f"{number}.csv" for number in range(20)]
    for number, path in enumerate(paths):
        path.write_text(f"name\n{number}\n" if number % 3 else "name\n")

    def outcome(path: Path) -> object:
        try:
            return read(path, file_name="x").rows.rows()
        except FileProblem as problem:
            return problem.code

    expected = [[(2, str(number))] if number % 3 else FileErrorCode.EMPTY for number in range(20)]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(outcome, paths)) == expected
    parser = parsing.parser.process
    assert parser is not None
    parser.kill()
    parser.wait()
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(outcome, paths)) == expected


def test_the_parser_is_told_no_secret(
    upload: Upload, monkeypatch: pytest.MonkeyPatch, parser: Callable[[str], None], tmp_path: Path
) -> None:
    seen = tmp_path / "environment"
    monkeypatch.setenv("BULK_SENDER_SECRET_KEY", "hidden")
    parser(f"import os; open({str(seen)!r}, 'w').write(' '.join(os.environ)); raise SystemExit(1)")

    refusal(upload, SMALL)

    assert "PYTHONPATH" in seen.read_text()
    assert "BULK_SENDER" not in seen.read_text()
    assert "BULK_SENDER_SECRET_KEY" in os.environ


PROPERTIES = b"""<?xml version="1.0"?>%b<Properties
 xmlns="http://schemas.openxmlformats.org/officeDocument/2006/custom-properties"
 xmlns:vt="http://schemas.openxmlformats.org/officeDocument/2006/docPropsVTypes">
<property fmtid="{D5CDD505-2E9C-101B-9397-08002B2CF9AE}" pid="2" name="bulk-sender-process">
<vt:lpwstr>%b</vt:lpwstr></property></Properties>"""


@pytest.mark.parametrize(
    ("declared", "text", "key"),
    [
        (b"", b"motor", "motor"),
        (b'<!DOCTYPE x [<!ENTITY e "motor">]>', b"&e;", None),
        (b"<unclosed>", b"motor", None),
    ],
)
def test_a_marker_is_read_without_expanding_anything(
    upload: Upload, declared: bytes, text: bytes, key: str | None
) -> None:
    def fill(book: Any) -> None:
        lines(["name"], ["Anna"])(book)
        book.set_custom_property("any", "x")

    made_for = upload(repacked(workbook(fill), custom=PROPERTIES % (declared, text))).layout.made_for

    assert (made_for.key if made_for else None) == key
