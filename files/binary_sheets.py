"""What the library does not tell of the cells of an .xls or .xlsb: errors and percentages, record by record.

An .xls is an OLE file with one stream of records; an .xlsb a zip with a part of records for each sheet.
"""

from __future__ import annotations

import posixpath
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from files.sheet_parts import BUILT_IN_PERCENT, SPOKEN, Cell, OddPart, as_percentage

ERRORS = {0: "#NULL!", 7: "#DIV/0!", 15: "#VALUE!", 23: "#REF!", 29: "#NAME?", 36: "#NUM!", 42: "#N/A"}
MOST_SECTOR = 0xFFFFFFFA
SMALL_STREAM = 4096
STREAMS = ("workbook", "book")
BEGIN, END, SHEET = 0x0809, 0x000A, 0x0085
FORMAT, CELL_FORMAT = 0x041E, 0x00E0
NUMBER, LABEL, SHARED_LABEL, ERROR, SMALL, MANY_SMALL = 0x0203, 0x0204, 0x00FD, 0x0205, 0x027E, 0x00BD
FORMULAS = frozenset({0x0006, 0x0206, 0x0406})
RICH_LABEL = 0x00D6
VALUES = frozenset({NUMBER, LABEL, SHARED_LABEL, SMALL, MANY_SMALL})
LETTERS = "has letters in the format of Excel 95 that cannot be told for sure"
CHART = "has a chart on its sheet, which hides cells of this old format from us"
B_ROW, B_SMALL, B_ERROR, B_NUMBER, B_FORMULA_NUMBER, B_FORMULA_ERROR = 0, 2, 3, 5, 9, 11
B_FORMAT, B_CELL_FORMAT, B_CELL_FORMATS_BEGIN, B_CELL_FORMATS_END, B_SHEET = 44, 47, 617, 618, 156

Record = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class OldBook:
    """The records of an .xls: where each sheet begins, and which cell formats show a percentage."""

    stream: bytes
    starts: tuple[int, ...]
    percentages: frozenset[int]


def read_old_book(content: bytes) -> OldBook:
    """Read the records before the first sheet.

    Raises:
        OddPart: the OLE file or its records do not hold together.
    """
    try:
        stream = _workbook_stream(content)
        starts: list[int] = []
        codes: dict[int, str] = {}
        formats: list[int] = []
        for kind, record in _old_records(stream, 0):
            if kind == END:
                break
            if kind == SHEET:
                starts.append(_number("<I", record))
            elif kind == FORMAT:
                # The letters of a format that matter are ASCII, in one byte or in two.
                codes[_number("<H", record)] = record[2:].replace(b"\0", b"").decode("latin-1")
            elif kind == CELL_FORMAT:
                formats.append(_number("<H", record, 2))
    except (struct.error, IndexError) as fault:
        raise OddPart from fault
    return OldBook(stream, tuple(starts), _percentages(formats, codes))


def told_old_cells(book: OldBook, place: int) -> Iterator[Cell]:
    """The errors and percentages of the sheet at `place`.

    Raises:
        OddPart: the records do not hold together, or those of a chart stand among them.
    """
    depth = 0
    try:
        for kind, record in _old_records(book.stream, book.starts[place]):
            if kind == BEGIN:
                depth += 1
            elif kind == END:
                depth -= 1
                if depth == 0:
                    return
            elif depth > 1 and kind in VALUES:
                raise OddPart(CHART)
            elif kind == RICH_LABEL and not record.isascii():
                raise OddPart(LETTERS)
            elif depth == 1:
                yield from _told_old(kind, record, book.percentages)
    except (struct.error, IndexError) as fault:
        raise OddPart from fault


def _told_old(kind: int, record: bytes, percentages: frozenset[int]) -> Iterator[Cell]:
    if kind == ERROR and record[7]:
        row, column = struct.unpack_from("<HH", record)
        yield Cell(row, column, ERRORS.get(record[6], "#VALUE!"))
    elif kind in FORMULAS and record[12:14] == b"\xff\xff":
        if record[6] == 2:  # noqa: PLR2004 - the mark of an error among results that are no number
            row, column = struct.unpack_from("<HH", record)
            yield Cell(row, column, ERRORS.get(record[8], "#VALUE!"))
    elif kind == MANY_SMALL:
        row, first = struct.unpack_from("<HH", record)
        for number in range((len(record) - 6) // 6):
            style, value = struct.unpack_from("<HI", record, 4 + 6 * number)
            if style in percentages:
                yield Cell(row, first + number, as_percentage(_unpacked(value)))
    elif kind in {NUMBER, SMALL} or kind in FORMULAS:
        row, column, style = struct.unpack_from("<HHH", record)
        if style in percentages:
            value = _unpacked(_number("<I", record, 6)) if kind == SMALL else struct.unpack_from("<d", record, 6)[0]
            yield Cell(row, column, as_percentage(value))


def _old_records(stream: bytes, position: int) -> Iterator[Record]:
    while position + 4 <= len(stream):
        kind, length = struct.unpack_from("<HH", stream, position)
        yield kind, stream[position + 4 : position + 4 + length]
        position += 4 + length


def _workbook_stream(content: bytes) -> bytes:
    """The stream of records of an OLE file."""
    sector_bytes = 1 << _number("<H", content, 30)
    small_bytes = 1 << _number("<H", content, 32)

    def sector(number: int) -> bytes:
        return content[(number + 1) * sector_bytes : (number + 2) * sector_bytes]

    def chain(start: int, table: tuple[int, ...]) -> Iterator[int]:
        for _ in range(len(table) + 1):
            if start >= MOST_SECTOR:
                return
            yield start
            start = table[start]
        raise OddPart

    table = _numbers(b"".join(sector(number) for number in _table_sectors(content, sector)))
    folder = b"".join(sector(number) for number in chain(_number("<I", content, 48), table))
    entries = [folder[start : start + 128] for start in range(0, len(folder), 128)]
    found = next((entry for name in STREAMS for entry in entries if _entry_name(entry) == name), None)
    if found is None:
        raise OddPart
    start, size = struct.unpack_from("<II", found, 116)
    if size >= SMALL_STREAM:
        return b"".join(sector(number) for number in chain(start, table))[:size]
    root = b"".join(sector(number) for number in chain(_number("<I", entries[0], 116), table))
    small_table = _numbers(b"".join(sector(number) for number in chain(_number("<I", content, 60), table)))
    parts = (root[number * small_bytes : (number + 1) * small_bytes] for number in chain(start, small_table))
    return b"".join(parts)[:size]


def _table_sectors(content: bytes, sector: Callable[[int], bytes]) -> list[int]:
    """The sectors of the table of sectors: 109 in the head of the file, more in a chain of their own."""
    numbers = list(_numbers(content[76:512]))
    following = _number("<I", content, 68)
    for _ in range(len(content) // 512):
        if following >= MOST_SECTOR:
            break
        *more, following = _numbers(sector(following))
        numbers += more
    return [number for number in numbers if number < MOST_SECTOR]


def _entry_name(entry: bytes) -> str:
    return entry[: max(0, _number("<H", entry, 64) - 2)].decode("utf-16-le", errors="replace").casefold()


def _numbers(content: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(content) // 4}I", content[: len(content) // 4 * 4])


def _number(form: str, content: bytes, position: int = 0) -> int:
    return int(struct.unpack_from(form, content, position)[0])


def _unpacked(value: int) -> float:
    """A number in 30 bits: a whole one or the first half of a longer one, perhaps divided by 100."""
    if value & 2:
        number = float((value >> 2) - (1 << 30 if value & 0x80000000 else 0))
    else:
        number = float(struct.unpack("<d", b"\0\0\0\0" + struct.pack("<I", value & 0xFFFFFFFC))[0])
    return number / 100 if value & 1 else number


def _percentages(formats: list[int], codes: Mapping[int, str]) -> frozenset[int]:
    return frozenset(
        index
        for index, number in enumerate(formats)
        if number in BUILT_IN_PERCENT or "%" in SPOKEN.sub("", codes.get(number, ""))
    )


@dataclass(frozen=True, slots=True)
class BinaryBook:
    """The parts of the sheets of an .xlsb in their order, and which cell formats show a percentage."""

    parts: tuple[str, ...]
    percentages: frozenset[int]


def read_binary_book(archive: zipfile.ZipFile) -> BinaryBook:
    """Read the list of sheets and the formats.

    Raises:
        OddPart: a part is missing, or its records do not hold together.
    """
    try:
        relations = ET.fromstring(archive.read("xl/_rels/workbook.bin.rels"))  # noqa: S314 - in a process with limits
        targets = {each.get("Id"): posixpath.join("xl", each.get("Target", "")) for each in relations}
        sheets = [record for kind, record in _records(archive.read("xl/workbook.bin")) if kind == B_SHEET]
        parts = tuple(posixpath.normpath(targets.get(_text(record, 8), "")).lstrip("/") for record in sheets)
        styles = archive.read("xl/styles.bin") if "xl/styles.bin" in archive.namelist() else b""
        return BinaryBook(parts, _binary_percentages(styles))
    except (KeyError, ET.ParseError, struct.error, IndexError) as fault:
        raise OddPart from fault


def told_binary_cells(archive: zipfile.ZipFile, book: BinaryBook, place: int) -> Iterator[Cell]:
    """The errors and percentages of the sheet at `place`.

    Raises:
        OddPart: its part is missing, or its records do not hold together.
    """
    row = 0
    try:
        for kind, record in _records(archive.read(book.parts[place])):
            if kind == B_ROW:
                row = _number("<I", record)
            elif kind in {B_ERROR, B_FORMULA_ERROR}:
                yield Cell(row, _number("<I", record), ERRORS.get(record[8], "#VALUE!"))
            elif (
                kind in {B_SMALL, B_NUMBER, B_FORMULA_NUMBER}
                and _number("<I", record, 4) & 0xFFFFFF in book.percentages
            ):
                value = (
                    _unpacked(_number("<I", record, 8)) if kind == B_SMALL else struct.unpack_from("<d", record, 8)[0]
                )
                yield Cell(row, _number("<I", record), as_percentage(value))
    except (KeyError, struct.error, IndexError) as fault:
        raise OddPart from fault


def _binary_percentages(styles: bytes) -> frozenset[int]:
    codes: dict[int, str] = {}
    formats: list[int] = []
    is_inside = False
    for kind, record in _records(styles):
        if kind == B_FORMAT:
            codes[_number("<H", record)] = _text(record, 2)
        elif kind in {B_CELL_FORMATS_BEGIN, B_CELL_FORMATS_END}:
            is_inside = kind == B_CELL_FORMATS_BEGIN
        elif kind == B_CELL_FORMAT and is_inside:
            formats.append(_number("<H", record, 2))
    return _percentages(formats, codes)


def _text(record: bytes, position: int) -> str:
    length = _number("<I", record, position)
    return record[position + 4 : position + 4 + 2 * length].decode("utf-16-le", errors="replace")


def _records(content: bytes) -> Iterator[Record]:
    """Kind and content; both kind and length are written in seven bits a byte."""
    position = 0
    while position < len(content):
        kind = content[position]
        position += 1
        if kind & 0x80:
            kind = (kind & 0x7F) | (content[position] & 0x7F) << 7
            position += 1
        length = shift = 0
        while True:
            byte = content[position]
            position += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80 or shift > 21:  # noqa: PLR2004 - four bytes at most
                break
        yield kind, content[position : position + length]
        position += length
