"""The cells of an .xls, and what the library does not tell of those of an .xlsb, record by record.

An .xls is an OLE file with one stream of records; an .xlsb a zip with a part of records for each sheet.
The library is not asked about an .xls: it mixes charts with cells, shows dates of formulas as numbers, spoils
letters of Excel 95, and aborts on damaged files.
"""

from __future__ import annotations

import codecs
import posixpath
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from files.number_formats import PLAIN, Kind, NumberFormat, number_format, shown
from files.sheet_parts import NOT_CALCULATED, Cell, OddPart

ERRORS = {
    0: "#NULL!",
    7: "#DIV/0!",
    15: "#VALUE!",
    23: "#REF!",
    29: "#NAME?",
    36: "#NUM!",
    42: "#N/A",
    43: "#GETTING_DATA",
}
MOST_SECTOR = 0xFFFFFFFA
SMALL_STREAM = 4096
STREAMS = ("workbook", "book")
BEGIN, END, CONTINUED, SHEET, PASSWORD = 0x0809, 0x000A, 0x003C, 0x0085, 0x002F
LETTERS_OF, DAYS_OF, SHARED = 0x0042, 0x0022, 0x00FC
FORMAT, CELL_FORMAT = 0x041E, 0x00E0
NUMBER, LABEL, SHARED_LABEL, RICH_LABEL = 0x0203, 0x0204, 0x00FD, 0x00D6
TRUTH, SMALL, MANY_SMALL, RESULT = 0x0205, 0x027E, 0x00BD, 0x0207
FORMULAS = frozenset({0x0006, 0x0206, 0x0406})
EXCEL_97, EXCEL_95 = 6, 5
IS_TEXT, IS_TRUTH, IS_ERROR = 0, 1, 2
WORKSHEET = 0
IS_LEFT_TO_CALCULATE = 3
"""Both marks of a formula whose writer left the calculating to Excel."""
ALPHABETS = {
    1200: "utf-16-le",
    10000: "mac_roman",
    10006: "mac_greek",
    10007: "mac_cyrillic",
    10029: "mac_latin2",
    10079: "mac_iceland",
    10081: "mac_turkish",
    32768: "mac_roman",
    32769: "cp1252",
}
LETTERS = "has letters in an old format that cannot be told for sure"
BINARY_WORKBOOK, BINARY_RELATIONS, BINARY_STYLES = "workbook.bin", "_rels/workbook.bin.rels", "styles.bin"
B_ROW, B_SMALL, B_ERROR, B_NUMBER, B_FORMULA_NUMBER, B_FORMULA_ERROR = 0, 2, 3, 5, 9, 11
B_FORMAT, B_CELL_FORMAT, B_CELL_FORMATS_BEGIN, B_CELL_FORMATS_END, B_SHEET, B_PROPERTIES = 44, 47, 617, 618, 156, 153

Record = tuple[int, bytes]


class PasswordNeeded(OddPart):
    """The records are encrypted."""


@dataclass(frozen=True, slots=True)
class OldSheet:
    """A sheet of an .xls: what it is called, whether its cells are seen, and where its records begin."""

    name: str
    is_visible: bool
    start: int


@dataclass(frozen=True, slots=True)
class OldBook:
    """The records of an .xls, and what those before the first sheet say.

    Attributes:
        stream: all records.
        sheets: the worksheets, in their order; charts and macros are none.
        formats: of each cell format.
        texts: that cells share.
        alphabet: of texts in one byte a letter; None if the file does not say.
        is_97: whether texts say themselves how many bytes a letter has.
        is_1904: whether its days count from 1904.
    """

    stream: bytes
    sheets: tuple[OldSheet, ...]
    formats: tuple[NumberFormat, ...] = ()
    texts: tuple[str, ...] = ()
    alphabet: str | None = None
    is_97: bool = True
    is_1904: bool = False


def read_old_book(content: bytes) -> OldBook:
    """Read the records before the first sheet.

    Raises:
        PasswordNeeded: the workbook is encrypted.
        OddPart: the OLE file or its records do not hold together.
    """
    try:
        return _old_book(_workbook_stream(content))
    except (struct.error, IndexError, OverflowError) as fault:
        raise OddPart from fault


def _old_book(stream: bytes) -> OldBook:
    records: list[tuple[int, list[bytes]]] = list(_until_end(stream, 0))
    if not records or records[0][0] != BEGIN:
        raise OddPart
    version = _number("<H", records[0][1][0])
    if version >> 8 not in {EXCEL_97, EXCEL_95}:
        raise OddPart
    found = dict(records)
    if PASSWORD in found:
        raise PasswordNeeded
    empty = OldBook(
        stream,
        (),
        alphabet=_alphabet(_number("<H", found[LETTERS_OF][0])) if LETTERS_OF in found else None,
        is_97=version >> 8 == EXCEL_97,
        is_1904=DAYS_OF in found and _number("<H", found[DAYS_OF][0]) == 1,
    )
    codes = dict(_old_code(chunks, empty) for kind, chunks in records if kind == FORMAT)
    numbers = [_number("<H", chunks[0], 2) for kind, chunks in records if kind == CELL_FORMAT]
    return OldBook(
        stream,
        tuple(_old_sheet(chunks, empty) for kind, chunks in records if kind == SHEET and chunks[0][5] == WORKSHEET),
        tuple(number_format(number, codes.get(number)) for number in numbers),
        tuple(_shared_texts(found[SHARED])) if SHARED in found else (),
        empty.alphabet,
        empty.is_97,
        empty.is_1904,
    )


def _old_code(chunks: list[bytes], book: OldBook) -> tuple[int, str]:
    """A format with its number; its letters that matter are ASCII, so others may be odd."""
    number, head = _number("<H", chunks[0]), 5 if book.is_97 else 3
    try:
        return number, _text_in(chunks, 2, book, is_short=not book.is_97)
    except (OddPart, struct.error, IndexError):
        return number, chunks[0][head:].replace(b"\0", b"").decode("latin-1")


def _old_sheet(chunks: list[bytes], book: OldBook) -> OldSheet:
    head = chunks[0]
    return OldSheet(_text_in(chunks, 6, book, is_short=True), head[4] & 3 == 0, _number("<I", head))


def _alphabet(page: int) -> str:
    name = ALPHABETS.get(page, f"cp{page}")
    try:
        return codecs.lookup(name).name
    except LookupError as fault:
        raise OddPart(LETTERS) from fault


def old_cells(book: OldBook, sheet: OldSheet) -> Iterator[Cell]:
    """The cells of a sheet as a person sees them.

    Raises:
        OddPart: the records do not hold together, or a text cannot be read for sure.
    """
    depth = 0
    waiting: tuple[int, int] | None = None
    try:
        for kind, chunks in _until_end(book.stream, sheet.start):
            if kind == BEGIN:
                depth += 1
            elif kind == END:
                depth -= 1
            elif depth != 1:
                continue
            elif kind == RESULT and waiting is not None:
                yield Cell(*waiting, _text_in(chunks, 0, book))
                waiting = None
            elif kind in FORMULAS:
                record = chunks[0]
                is_text = record[12:14] == b"\xff\xff" and record[6] == IS_TEXT
                waiting = struct.unpack_from("<HH", record) if is_text else None
                yield from _old_formula(record, book)
            else:
                yield from _old_cell(kind, chunks, book)
    except (struct.error, IndexError, OverflowError) as fault:
        raise OddPart from fault
    if depth:
        raise OddPart


def _until_end(stream: bytes, position: int) -> Iterator[tuple[int, list[bytes]]]:
    """The records of a part of the stream, each with those that continue it; charts in it have an end of their own."""
    depth = 0
    kind, chunks = -1, [b""]
    for following, record in _old_records(stream, position):
        if following == CONTINUED:
            chunks += [record] if record else []
            continue
        if kind >= 0:
            yield kind, chunks
        kind, chunks = following, [record]
        depth += (kind == BEGIN) - (kind == END)
        if depth <= 0:
            break
    if kind >= 0:
        yield kind, chunks


def _old_cell(kind: int, chunks: list[bytes], book: OldBook) -> Iterator[Cell]:
    record = chunks[0]
    if kind == SHARED_LABEL:
        row, column, _, index = struct.unpack_from("<HHHI", record)
        yield Cell(row, column, book.texts[index])
    elif kind in {LABEL, RICH_LABEL}:
        row, column = struct.unpack_from("<HH", record)
        yield Cell(row, column, _text_in(chunks, 6, book))
    elif kind == NUMBER:
        row, column, style, value = struct.unpack_from("<HHHd", record)
        yield Cell(row, column, _old_number(value, style, book))
    elif kind == SMALL:
        row, column, style, packed = struct.unpack_from("<HHHI", record)
        yield Cell(row, column, _old_number(_unpacked(packed), style, book))
    elif kind == MANY_SMALL:
        row, first = struct.unpack_from("<HH", record)
        for number in range((len(record) - 6) // 6):
            style, packed = struct.unpack_from("<HI", record, 4 + 6 * number)
            yield Cell(row, first + number, _old_number(_unpacked(packed), style, book))
    elif kind == TRUTH:
        row, column = struct.unpack_from("<HH", record)
        yield Cell(row, column, _error(record[6]) if record[7] else _truth(record[6]))


def _old_formula(record: bytes, book: OldBook) -> Iterator[Cell]:
    """The result that was kept, unless it is a text, which has a record of its own."""
    row, column, style, value, marks = struct.unpack_from("<HHHdH", record)
    if record[12:14] != b"\xff\xff":
        is_left = not value and marks & IS_LEFT_TO_CALCULATE == IS_LEFT_TO_CALCULATE
        yield Cell(row, column, NOT_CALCULATED if is_left else _old_number(value, style, book))
    elif record[6] == IS_TRUTH:
        yield Cell(row, column, _truth(record[8]))
    elif record[6] == IS_ERROR:
        yield Cell(row, column, _error(record[8]))


def _old_number(value: float, style: int, book: OldBook) -> str:
    form = book.formats[style] if style < len(book.formats) else PLAIN
    return shown(value, form, is_1904=book.is_1904)


def _error(code: int) -> str:
    return ERRORS.get(code, "#VALUE!")


def _truth(value: int) -> str:
    return "true" if value else "false"


def _text_in(chunks: list[bytes], position: int, book: OldBook, *, is_short: bool = False) -> str:
    """A text and its length, in one byte if that is short."""
    length = chunks[0][position] if is_short else _number("<H", chunks[0], position)
    position += 1 if is_short else 2
    if book.is_97:
        return _Texts(chunks, position).text(length) if length else ""
    content = b"".join(chunks)[position : position + length]
    if len(content) < length or (book.alphabet is None and not content.isascii()):
        raise OddPart(LETTERS)
    try:
        return content.decode(book.alphabet or "ascii")
    except UnicodeDecodeError as fault:
        raise OddPart(LETTERS) from fault


class _Texts:
    """Texts of Excel 97 that may go on in the following records; there they say anew how many bytes a letter has."""

    def __init__(self, chunks: list[bytes], position: int) -> None:
        self.chunks = chunks
        self.index = 0
        self.position = position

    def is_at_end(self) -> bool:
        """Whether no byte is left."""
        return self.position >= len(self.chunks[self.index]) and not any(self.chunks[self.index + 1 :])

    def text(self, length: int) -> str:
        """The letters, after their mark."""
        return self._letters(length, is_wide=bool(self._bytes(1)[0] & 1))

    def shared(self) -> str:
        """A text of the shared ones: after it stand its fonts and how it is spoken, which nobody sees in the cell."""
        length, marks = struct.unpack("<HB", self._bytes(3))
        fonts = _number("<H", self._bytes(2)) if marks & 8 else 0
        spoken = _number("<I", self._bytes(4)) if marks & 4 else 0
        text = self._letters(length, is_wide=bool(marks & 1))
        self._bytes(4 * fonts + spoken)
        return text

    def _letters(self, length: int, *, is_wide: bool) -> str:
        parts: list[str] = []
        while True:
            size = 2 if is_wide else 1
            here = min(length, (len(self.chunks[self.index]) - self.position) // size)
            content = self.chunks[self.index][self.position : self.position + here * size]
            parts.append(content.decode("utf-16-le" if is_wide else "latin-1", errors="surrogatepass"))
            self.position += here * size
            length -= here
            if not length:
                return _whole_letters("".join(parts))
            self.index += 1
            is_wide = bool(self.chunks[self.index][0] & 1)
            self.position = 1

    def _bytes(self, count: int) -> bytes:
        content = b""
        while True:
            chunk = self.chunks[self.index]
            more = chunk[self.position : self.position + count - len(content)]
            content += more
            self.position += len(more)
            if len(content) == count:
                return content
            self.index += 1
            self.position = 0


def _whole_letters(text: str) -> str:
    """Letters whose halves stood in two records are one again."""
    if not any("\ud800" <= letter <= "\udfff" for letter in text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _shared_texts(chunks: list[bytes]) -> Iterator[str]:
    """All texts that are there: how many, some programs do not say right; a missing one is odd where it is needed."""
    texts = _Texts(chunks, 8)
    while not texts.is_at_end():
        try:
            yield texts.shared()
        except (struct.error, IndexError):
            return


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
        return _whole(b"".join(sector(number) for number in chain(start, table)), size)
    root = b"".join(sector(number) for number in chain(_number("<I", entries[0], 116), table))
    small_table = _numbers(b"".join(sector(number) for number in chain(_number("<I", content, 60), table)))
    parts = (root[number * small_bytes : (number + 1) * small_bytes] for number in chain(start, small_table))
    return _whole(b"".join(parts), size)


def _whole(stream: bytes, size: int) -> bytes:
    """The stream in the size that its entry says; of a file that was cut off there is less."""
    if len(stream) < size:
        raise OddPart
    return stream[:size]


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


@dataclass(frozen=True, slots=True)
class BinaryBook:
    """The parts of the sheets of an .xlsb in their order, its cell formats, and whether its days count from 1904."""

    parts: tuple[str, ...]
    formats: tuple[NumberFormat, ...]
    is_1904: bool = False


def read_binary_book(archive: zipfile.ZipFile) -> BinaryBook:
    """Read the list of sheets and the formats.

    Raises:
        OddPart: a part is missing, or its records do not hold together.
    """
    names = {name.replace("\\", "/").casefold(): name for name in archive.namelist()}
    try:
        main = next(name for name in names if posixpath.basename(name) == BINARY_WORKBOOK)
        folder = posixpath.dirname(main)
        relations = ET.fromstring(archive.read(names[posixpath.join(folder, BINARY_RELATIONS)]))  # noqa: S314 - in a process with limits
        targets = {each.get("Id"): posixpath.join("/", folder, each.get("Target", "")) for each in relations}
        records = list(_records(archive.read(names[main])))
        found = (targets.get(_text(record, 8), "") for kind, record in records if kind == B_SHEET)
        parts = (posixpath.normpath(part.replace("\\", "/")).lstrip("/") for part in found)
        properties = next((record for kind, record in records if kind == B_PROPERTIES), b"")
        styles = names.get(posixpath.join(folder, BINARY_STYLES))
        return BinaryBook(
            tuple(names.get(part.casefold(), part) for part in parts),
            tuple(_binary_formats(archive.read(styles) if styles else b"")),
            bool(properties and properties[0] & 1),
        )
    except (KeyError, StopIteration, ET.ParseError, struct.error, IndexError) as fault:
        raise OddPart from fault


def told_binary_cells(archive: zipfile.ZipFile, book: BinaryBook, place: int) -> Iterator[Cell]:
    """The errors, and the numbers with a format that matters, of the sheet at `place`.

    Raises:
        OddPart: its part is missing, or its records do not hold together.
    """
    row = 0
    try:
        for kind, record in _records(archive.read(book.parts[place])):
            if kind == B_ROW:
                row = _number("<I", record)
            elif kind in {B_ERROR, B_FORMULA_ERROR}:
                yield Cell(row, _number("<I", record), _error(record[8]))
            elif kind in {B_SMALL, B_NUMBER, B_FORMULA_NUMBER}:
                style = _number("<I", record, 4) & 0xFFFFFF
                form = book.formats[style] if style < len(book.formats) else PLAIN
                if form.kind is not Kind.PLAIN:
                    small = kind == B_SMALL
                    value = _unpacked(_number("<I", record, 8)) if small else struct.unpack_from("<d", record, 8)[0]
                    yield Cell(row, _number("<I", record), shown(value, form, is_1904=book.is_1904))
    except (KeyError, struct.error, IndexError) as fault:
        raise OddPart from fault


def _binary_formats(styles: bytes) -> Iterator[NumberFormat]:
    codes: dict[int, str] = {}
    is_inside = False
    for kind, record in _records(styles):
        if kind == B_FORMAT:
            codes[_number("<H", record)] = _text(record, 2)
        elif kind in {B_CELL_FORMATS_BEGIN, B_CELL_FORMATS_END}:
            is_inside = kind == B_CELL_FORMATS_BEGIN
        elif kind == B_CELL_FORMAT and is_inside:
            number = _number("<H", record, 2)
            yield number_format(number, codes.get(number))


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
