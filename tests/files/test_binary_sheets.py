"""Errors and percentages of .xls and .xlsb, whose records are made here by hand."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest

from files.binary_sheets import (
    CHART,
    LETTERS,
    OldBook,
    read_binary_book,
    read_old_book,
    told_binary_cells,
    told_old_cells,
)
from files.sheet_parts import Cell, OddPart

SECTOR = 512
END_OF_CHAIN = 0xFFFFFFFE


def old_record(kind: int, form: str = "", *values: float | bytes) -> bytes:
    content = struct.pack("<" + form, *values)
    return struct.pack("<HH", kind, len(content)) + content


BEGIN, END = old_record(0x0809, "HH", 0x0600, 0x10), old_record(0x000A)
PERCENT_FORMATS = old_record(0x041E, "HHB4s", 164, 4, 0, b"0.0%") + b"".join(
    old_record(0x00E0, "HHH", 0, number, 0) for number in (0, 9, 164)
)


def old_sheet(*records: bytes) -> OldBook:
    return OldBook(BEGIN + b"".join(records) + END, (0,), frozenset({1}))


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (old_record(0x0205, "HHHBB", 4, 2, 0, 42, 1), [Cell(4, 2, "#N/A")]),
        (old_record(0x0205, "HHHBB", 4, 2, 0, 1, 0), []),
        (old_record(0x0006, "HHH8sHI", 1, 0, 0, b"\2\0\7\0\0\0\xff\xff", 0, 0), [Cell(1, 0, "#DIV/0!")]),
        (old_record(0x0006, "HHH8sHI", 1, 0, 0, b"\0\0\0\0\0\0\xff\xff", 0, 0), []),
        (old_record(0x0006, "HHHdHI", 1, 0, 1, 0.5, 0, 0), [Cell(1, 0, "50%")]),
        (old_record(0x0203, "HHHd", 1, 3, 1, 0.125), [Cell(1, 3, "12.5%")]),
        (old_record(0x0203, "HHHd", 1, 3, 0, 0.125), []),
        (old_record(0x027E, "HHHI", 1, 3, 1, 25 << 2 | 3), [Cell(1, 3, "25%")]),
        (old_record(0x027E, "HHHI", 1, 3, 1, 0x3FE00000), [Cell(1, 3, "50%")]),
        (old_record(0x027E, "HHHI", 1, 3, 1, (-3 << 2 & 0xFFFFFFFF) | 2), [Cell(1, 3, "-300%")]),
        (old_record(0x00BD, "HHHIHIH", 1, 3, 1, 1 << 2 | 2, 0, 6, 4), [Cell(1, 3, "100%")]),
    ],
)
def test_a_record_is_told_if_the_library_shows_it_otherwise(record: bytes, expected: list[Cell]) -> None:
    assert list(told_old_cells(old_sheet(record), 0)) == expected


def test_cells_of_a_chart_are_not_taken_for_those_of_its_sheet() -> None:
    """The library mixes them up, so that a header would read like the numbers of the chart."""
    chart = BEGIN + old_record(0x0203, "HHHd", 0, 0, 0, 1.0) + END

    with pytest.raises(OddPart, match=CHART):
        list(told_old_cells(old_sheet(chart), 0))
    assert list(told_old_cells(old_sheet(BEGIN, END), 0)) == []


def test_letters_of_excel_95_that_may_be_wrong_are_refused() -> None:
    with pytest.raises(OddPart, match=LETTERS):
        list(told_old_cells(old_sheet(old_record(0x00D6, "HHHH4s", 0, 0, 0, 4, b"zo\xeb!")), 0))


def ole(stream: bytes, *, name: str) -> bytes:
    """An OLE file with one stream, in small sectors if it is small."""
    is_small = len(stream) < 4096
    body = stream.ljust(-(-len(stream) // SECTOR) * SECTOR, b"\0")
    count = len(body) // SECTOR

    def entry(title: str, kind: int, start: int, size: int) -> bytes:
        text = title.encode("utf-16-le")
        return text.ljust(64, b"\0") + struct.pack("<HB49xII4x", len(text) + 2, kind, start, size)

    # Sectors: 0 table, 1 folder, 2 small table, 3 and on the stream.
    table = [0xFFFFFFFD, END_OF_CHAIN, END_OF_CHAIN, *range(4, 3 + count), END_OF_CHAIN]
    small = [*range(1, -(-len(stream) // 64)), END_OF_CHAIN] if is_small else []
    folder = entry("Root Entry", 5, 3 if is_small else END_OF_CHAIN, len(body))
    folder += entry(name, 2, 0 if is_small else 3, len(stream))
    head = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16) + struct.pack("<HHHHH", 62, 3, 0xFFFE, 9, 6) + bytes(10)
    head += struct.pack("<7I", 1, 1, 0, 4096, 2, 1, END_OF_CHAIN) + struct.pack("<2I", 0, 0)
    parts = (struct.pack(f"<{len(numbers)}I", *numbers).ljust(SECTOR, b"\xff") for numbers in (table, small))
    first, second = parts
    return head.ljust(SECTOR, b"\xff") + first + folder.ljust(SECTOR, b"\0") + second + body


@pytest.mark.parametrize("filler", [0, 6_000])
@pytest.mark.parametrize("name", ["Workbook", "WORKBOOK", "Book"])
def test_the_records_of_an_old_workbook_are_found(filler: int, name: str) -> None:
    start = 1_000
    head = BEGIN + PERCENT_FORMATS + old_record(0x0085, "IHB", start, 0, 0) + END
    sheet = BEGIN + old_record(0x0205, "HHHBB", 4, 2, 0, 23, 1) + END

    book = read_old_book(ole(head.ljust(start, b"\0") + sheet + bytes(filler), name=name))

    assert (book.starts, book.percentages) == ((start,), frozenset({1, 2}))
    assert list(told_old_cells(book, 0)) == [Cell(4, 2, "#REF!")]


@pytest.mark.parametrize("content", [b"", b"\xd0\xcf" * 20, ole(b"x", name="Other")])
def test_an_odd_old_file_is_called_so(content: bytes) -> None:
    with pytest.raises(OddPart):
        read_old_book(content)


def record(kind: int, content: bytes = b"") -> bytes:
    """Kind and length in seven bits a byte."""
    kind_bytes = bytes([kind]) if kind < 128 else bytes([kind & 0x7F | 0x80, kind >> 7])
    return kind_bytes + bytes([len(content) & 0x7F | 0x80, len(content) >> 7]) + content


def wide(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def binary_workbook(sheet: bytes) -> zipfile.ZipFile:
    relations = b'<Relationships><Relationship Id="rId1" Target="worksheets/s.bin"/></Relationships>'
    styles = record(44, struct.pack("<H", 164) + wide("0.0%"))
    styles += record(617) + b"".join(record(47, struct.pack("<HH", 0, number)) for number in (0, 9, 164)) + record(618)
    archive = zipfile.ZipFile(io.BytesIO(), "w")
    archive.writestr("xl/_rels/workbook.bin.rels", relations)
    archive.writestr("xl/workbook.bin", record(156, struct.pack("<II", 0, 1) + wide("rId1") + wide("List")))
    archive.writestr("xl/styles.bin", styles)
    archive.writestr("xl/worksheets/s.bin", sheet)
    return archive


def test_errors_and_percentages_of_a_binary_workbook_are_told() -> None:
    sheet = record(0, struct.pack("<I", 6)) + record(3, struct.pack("<IIB", 2, 0, 42))
    sheet += record(11, struct.pack("<IIB", 3, 0, 7)) + record(5, struct.pack("<IId", 4, 1, 0.25))
    sheet += record(2, struct.pack("<III", 5, 2, 5 << 2 | 2)) + record(5, struct.pack("<IId", 6, 0, 0.25))

    with binary_workbook(sheet) as archive:
        found = list(told_binary_cells(archive, read_binary_book(archive), 0))

    assert found == [Cell(6, 2, "#N/A"), Cell(6, 3, "#DIV/0!"), Cell(6, 4, "25%"), Cell(6, 5, "500%")]


def test_an_odd_binary_workbook_is_called_so() -> None:
    with binary_workbook(b"\x05\xff") as archive:
        book = read_binary_book(archive)
        with pytest.raises(OddPart):
            list(told_binary_cells(archive, book, 0))
    with zipfile.ZipFile(io.BytesIO(), "w") as empty, pytest.raises(OddPart):
        read_binary_book(empty)
