"""The cells of .xls and .xlsb, whose records are made here by hand."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest

from files.binary_sheets import (
    LETTERS,
    OldBook,
    OldSheet,
    PasswordNeeded,
    old_cells,
    read_binary_book,
    read_old_book,
    told_binary_cells,
)
from files.number_formats import number_format
from files.sheet_parts import NOT_CALCULATED, Cell, OddPart

SECTOR = 512
END_OF_CHAIN = 0xFFFFFFFE


def old_record(kind: int, form: str = "", *values: float | bytes) -> bytes:
    content = struct.pack("<" + form, *values)
    return struct.pack("<HH", kind, len(content)) + content


BEGIN, END = old_record(0x0809, "HH", 0x0600, 0x10), old_record(0x000A)
FORMATS = tuple(number_format(number, None) for number in (0, 9, 14, 46))
SHEET = OldSheet("List", is_visible=True, start=0)
TEXT_RESULT = b"\0\0\0\0\0\0\xff\xff"


def cells_of(*records: bytes, **book: object) -> list[Cell]:
    stream = BEGIN + b"".join(records) + END
    return list(old_cells(OldBook(stream, (SHEET,), FORMATS, ("one", "two"), **book), SHEET))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (old_record(0x0205, "HHHBB", 4, 2, 0, 42, 1), [Cell(4, 2, "#N/A")]),
        (old_record(0x0205, "HHHBB", 4, 2, 0, 1, 0), [Cell(4, 2, "true")]),
        (old_record(0x0006, "HHH8sHI", 1, 0, 0, b"\2\0\7\0\0\0\xff\xff", 0, 0), [Cell(1, 0, "#DIV/0!")]),
        (old_record(0x0006, "HHH8sHI", 1, 0, 0, b"\1\0\0\0\0\0\xff\xff", 0, 0), [Cell(1, 0, "false")]),
        (old_record(0x0006, "HHH8sHI", 1, 0, 0, b"\3\0\0\0\0\0\xff\xff", 0, 0), []),
        (old_record(0x0006, "HHHdHI", 1, 0, 1, 0.5, 0, 0), [Cell(1, 0, "50%")]),
        (old_record(0x0006, "HHHdHI", 1, 0, 2, 45000.0, 0, 0), [Cell(1, 0, "2023-03-15")]),
        (old_record(0x0006, "HHHdHI", 1, 0, 0, 0.0, 0, 0), [Cell(1, 0, "0")]),
        (old_record(0x0006, "HHHdHI", 1, 0, 0, 0.0, 3, 0), [Cell(1, 0, NOT_CALCULATED)]),
        (old_record(0x0203, "HHHd", 1, 3, 1, 0.125), [Cell(1, 3, "12.5%")]),
        (old_record(0x0203, "HHHd", 1, 3, 0, 447400123456.0), [Cell(1, 3, "447400123456")]),
        (old_record(0x0203, "HHHd", 1, 3, 3, 1.5), [Cell(1, 3, "36:00:00")]),
        (old_record(0x0203, "HHHd", 1, 3, 9, 1.5), [Cell(1, 3, "1.5")]),
        (old_record(0x027E, "HHHI", 1, 3, 1, 25 << 2 | 3), [Cell(1, 3, "25%")]),
        (old_record(0x027E, "HHHI", 1, 3, 1, 0x3FE00000), [Cell(1, 3, "50%")]),
        (old_record(0x027E, "HHHI", 1, 3, 1, (-3 << 2 & 0xFFFFFFFF) | 2), [Cell(1, 3, "-300%")]),
        (
            old_record(0x00BD, "HHHIHIH", 1, 3, 1, 1 << 2 | 2, 0, 6, 4),
            [Cell(1, 3, "100%"), Cell(1, 4, "1")],
        ),
        (old_record(0x00FD, "HHHI", 1, 3, 0, 1), [Cell(1, 3, "two")]),
        (old_record(0x0204, "HHHHB4s", 1, 3, 0, 2, 1, "\u0141d".encode("utf-16-le")), [Cell(1, 3, "\u0141d")]),
        (old_record(0x0204, "HHHH", 1, 3, 0, 0), [Cell(1, 3, "")]),
        (
            old_record(0x0006, "HHH8sHI", 1, 0, 0, TEXT_RESULT, 0, 0) + old_record(0x0207, "HB3s", 3, 0, b"abc"),
            [Cell(1, 0, "abc")],
        ),
    ],
)
def test_a_record_is_a_cell_as_a_person_sees_it(record: bytes, expected: list[Cell]) -> None:
    assert cells_of(record) == expected


def test_days_of_an_old_workbook_may_count_from_1904() -> None:
    assert cells_of(old_record(0x0203, "HHHd", 1, 3, 2, 24837.0), is_1904=True) == [Cell(1, 3, "1972-01-01")]


def test_cells_of_a_chart_are_not_taken_for_those_of_its_sheet() -> None:
    chart = BEGIN + old_record(0x0203, "HHHd", 0, 0, 0, 1.0) + END

    assert cells_of(chart, old_record(0x0203, "HHHd", 2, 0, 0, 2.0)) == [Cell(2, 0, "2")]


def test_letters_of_excel_95_are_read_with_the_alphabet_that_it_names() -> None:
    """Without one, letters beyond English could be anybody's guess."""
    label = old_record(0x0204, "HHHH5s", 0, 0, 0, 5, b"\x8cukas")

    assert cells_of(label, is_97=False, alphabet="cp1250") == [Cell(0, 0, "\u015aukas")]
    with pytest.raises(OddPart, match=LETTERS):
        cells_of(label, is_97=False)
    with pytest.raises(OddPart, match=LETTERS):
        cells_of(old_record(0x0204, "HHHH1s", 0, 0, 0, 1, b"\x81"), is_97=False, alphabet="cp1252")


@pytest.mark.parametrize("records", [old_record(0x00FD, "HHHI", 1, 3, 0, 2), old_record(0x0203, "HHH", 1, 3, 0), BEGIN])
def test_an_old_sheet_that_does_not_hold_together_is_odd(records: bytes) -> None:
    """A text that is not there, a number that is cut off, no end."""
    with pytest.raises(OddPart):
        cells_of(records)


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


def shared(*texts: bytes) -> bytes:
    return old_record(0x00FC, "II", 0, 0)[4:] + b"".join(texts)


@pytest.mark.parametrize("filler", [0, 6_000])
@pytest.mark.parametrize("name", ["Workbook", "WORKBOOK", "Book"])
def test_an_old_workbook_is_read(filler: int, name: str) -> None:
    start = 1_000
    formats = old_record(0x041E, "HHB4s", 164, 4, 0, b"0.0%")
    formats += b"".join(old_record(0x00E0, "HHH", 0, number, 0) for number in (0, 164))
    sheets = old_record(0x0085, "IBBBB4s", start, 0, 0, 4, 0, b"List")
    sheets += old_record(0x0085, "IBBBB6s", 0, 1, 0, 6, 0, b"Hidden") + old_record(
        0x0085, "IBBBB1s", 0, 0, 2, 1, 0, b"C"
    )
    head = BEGIN + old_record(0x0022, "H", 1) + formats + sheets + END
    sheet = BEGIN + old_record(0x0203, "HHHd", 4, 2, 1, 0.25) + END

    book = read_old_book(ole(head.ljust(start, b"\0") + sheet + bytes(filler), name=name))

    assert book.sheets == (
        OldSheet("List", is_visible=True, start=start),
        OldSheet("Hidden", is_visible=False, start=0),
    )
    assert book.is_1904
    assert list(old_cells(book, book.sheets[0])) == [Cell(4, 2, "25%")]


def test_shared_texts_go_on_in_the_next_record_and_leave_out_how_they_are_spoken() -> None:
    """Their number may be wrong; where a text goes on, it says anew how wide its letters are."""
    spoken = struct.pack("<HBI", 2, 5, 4) + "\u65e5\u672c".encode("utf-16-le") + b"spok"
    rich = struct.pack("<HBH", 2, 8, 1) + b"ab" + b"font"
    cut = struct.pack("<HB", 4, 0) + b"ab"
    first = shared(spoken, rich, cut)
    rest = b"\1" + "c\u0141".encode("utf-16-le")
    stream = BEGIN + struct.pack("<HH", 0x00FC, len(first)) + first + struct.pack("<HH", 0x003C, len(rest)) + rest + END

    assert read_old_book(ole(stream, name="Workbook")).texts == ("\u65e5\u672c", "ab", "abc\u0141")


def test_an_old_workbook_with_a_password_is_called_so() -> None:
    with pytest.raises(PasswordNeeded):
        read_old_book(ole(BEGIN + old_record(0x002F, "H", 1) + END, name="Workbook"))


def test_an_old_workbook_that_was_cut_off_is_odd() -> None:
    content = ole((BEGIN + END).ljust(9_000, b"\0"), name="Workbook")

    assert read_old_book(content).sheets == ()
    with pytest.raises(OddPart):
        read_old_book(content[:-2_000])


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
    styles += (
        record(617) + b"".join(record(47, struct.pack("<HH", 0, number)) for number in (0, 9, 164, 14)) + record(618)
    )
    archive = zipfile.ZipFile(io.BytesIO(), "w")
    archive.writestr("xl/_rels/workbook.bin.rels", relations)
    sheets = record(153, struct.pack("<I", 1)) + record(156, struct.pack("<II", 0, 1) + wide("rId1") + wide("List"))
    archive.writestr("xl/workbook.bin", sheets)
    archive.writestr("xl/styles.bin", styles)
    archive.writestr("xl/worksheets/s.bin", sheet)
    return archive


def test_errors_percentages_and_dates_of_a_binary_workbook_are_told() -> None:
    sheet = record(0, struct.pack("<I", 6)) + record(3, struct.pack("<IIB", 2, 0, 42))
    sheet += record(11, struct.pack("<IIB", 3, 0, 7)) + record(5, struct.pack("<IId", 4, 1, 0.25))
    sheet += record(2, struct.pack("<III", 5, 2, 5 << 2 | 2)) + record(5, struct.pack("<IId", 6, 0, 0.25))
    sheet += record(9, struct.pack("<IId", 7, 3, 24837.0))

    with binary_workbook(sheet) as archive:
        found = list(told_binary_cells(archive, read_binary_book(archive), 0))

    assert found[:2] == [Cell(6, 2, "#N/A"), Cell(6, 3, "#DIV/0!")]
    assert found[2:] == [Cell(6, 4, "25%"), Cell(6, 5, "500%"), Cell(6, 7, "1972-01-01")]


def test_an_odd_binary_workbook_is_called_so() -> None:
    with binary_workbook(b"\x05\xff") as archive:
        book = read_binary_book(archive)
        with pytest.raises(OddPart):
            list(told_binary_cells(archive, book, 0))
    with zipfile.ZipFile(io.BytesIO(), "w") as empty, pytest.raises(OddPart):
        read_binary_book(empty)
