"""Reading uploads: workbooks as a person sees them, and hostile files that leave a sentence and nothing on disk."""

from __future__ import annotations

import io
import os
import sys
import tempfile
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from domain.errors import FileErrorCode, FileProblem
from files import reading
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

    def upload(content: bytes, *, name: str = "list.xlsx", limits: Limits | None = None) -> Table:
        path = tmp_path / "upload"
        path.write_bytes(content)
        try:
            return read(path, file_name=name, limits=limits or Limits())
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
    content = b"name,email\n" + b"Anna Smith,anna.smith@example.com\n" * 2_500_000

    problem = refusal(upload, content, limits=Limits(memory_bytes=600 * 2**20, rows=3_000_000))

    assert problem.code is FileErrorCode.TOO_LARGE
    assert "more than 600 MB of memory" in str(problem)


@pytest.mark.parametrize(
    ("death", "code", "said"),
    [
        ("import os; os.abort()", FileErrorCode.UNREADABLE, "damaged"),
        ("raise BaseException('panicked')", FileErrorCode.UNREADABLE, "damaged"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGXCPU)", FileErrorCode.TOO_LARGE, "longer than"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", FileErrorCode.TOO_LARGE, "memory"),
        ("raise MemoryError", FileErrorCode.TOO_LARGE, "memory"),
    ],
)
def test_however_the_parser_dies_the_operator_gets_a_sentence(
    upload: Upload, monkeypatch: pytest.MonkeyPatch, death: str, code: FileErrorCode, said: str
) -> None:
    """Some workbooks abort the process and some raise what `except Exception` misses."""
    monkeypatch.setattr(reading, "PARSER", (sys.executable, "-c", death))

    problem = refusal(upload, SMALL)

    assert problem.code is code
    assert said in str(problem)


def test_the_parser_is_told_no_secret(upload: Upload, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen = tmp_path / "environment"
    monkeypatch.setenv("BULK_SENDER_SECRET_KEY", "hidden")
    script = f"import os; open({str(seen)!r}, 'w').write(' '.join(os.environ)); raise SystemExit(1)"
    monkeypatch.setattr(reading, "PARSER", (sys.executable, "-c", script))

    refusal(upload, SMALL)

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
