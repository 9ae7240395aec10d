"""What the library does not tell of the cells of an .xlsx: errors, formulas without a result, number formats.

It gives an error and a formula that was never calculated as an empty cell, 25% as 0.25, 36 hours as a day of
1900. The parts of the zip say more; only cells that need it are looked at one by one.
"""

from __future__ import annotations

import io
import math
import posixpath
import re
import zipfile
from collections.abc import Generator, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from html import unescape
from xml.etree import ElementTree as ET

from isal import isal_zlib

from files.number_formats import Kind, NumberFormat, number_format, shown

NOT_CALCULATED = "#CALC!"
"""The text of a cell whose formula has no result: Excel's own word for what it could not calculate."""
WORKBOOK, RELATIONS, STYLES = "workbook.xml", "_rels/workbook.xml.rels", "styles.xml"
"""Beside each other, nearly always in the folder xl."""
PIECE = 2**16
"""So much stays near the processor: four times as much took half as long again."""
PACKED_PIECE = 2**13
"""Of a sheet it unpacks to about a piece, and never to more than 8 MiB."""
LONGEST_PART = 64 * 2**20
END_OF_ROW = b"row>"
P = rb"(?:\w+:)?"
"""Some programs write every element with a prefix."""
ADDRESS = re.compile(rb"""\br=["']([A-Z]{1,3})(\d{1,7})["']""")
KIND = re.compile(rb"""\bt=["'](\w+)["']""")
STYLE = re.compile(rb"""\bs=["'](\d+)["']""")
TOLD = re.compile(rb"<%bc\s([^>]*\bt=[\"'][ed][\"'][^>]*)(?<!/)>(.*?)</%bc>" % (P, P), re.DOTALL)
UNCALCULATED = re.compile(
    rb"<%bc(?=[\s>])([^>]*)>\s*<%bf\b(?:[^>]*/>|[^>]*>[^<]*</%bf>)\s*(?:<%bv\s*/>\s*|<%bv>(0?)</%bv>\s*)?</%bc>"
    % (P, P, P, P, P, P, P)
)
VALUE_MARK = re.compile(rb"<%bv[ />]" % P)
VALUE = re.compile(rb"<%bv\b[^>]*>([^<]*)</%bv>" % (P, P))
FORMULA = re.compile(rb"f[ >/]")
DATED = re.compile(rb"""=["']d["']""")
ERROR_MARK, DAY_MARK = b"#", b"-"
"""What an error begins with and a date has; to look for these first makes the difference on a large sheet."""
MIDNIGHT = re.compile(r"(?:T00:00:00(?:\.0+)?)?Z?$")
NAMED_FORMATS = 200
"""Formats that a pattern can name; of more, it takes any cell with a format."""
MOST_FORMATS = 65_490
"""Excel's own limit."""
MISREAD_KINDS = frozenset({Kind.PERCENT, Kind.DIGITS, Kind.ELAPSED})
DATE_KINDS = frozenset({Kind.DAY, Kind.TIME})
UNKNOWN_DATES = frozenset({*range(27, 37), *range(50, 59)})
"""Numbers of date formats of East Asia, which the library takes for plain ones if they come without a code."""
HIDDEN = frozenset({"hidden", "veryHidden"})
YES = frozenset({"1", "true"})
PREFIXED_PROPERTIES = re.compile(rb"<\w+:workbookPr\b[^>]*/>")
NUMBER_KINDS = (None, b"n")
FILLED = (b"</v>", b"</is>")
MARKS_OF_UTF_16 = (b"\xfe\xff", b"\xff\xfe", b"\0<", b"<\0")
SAID_ENCODING = re.compile(r"""^(<\?xml[^>]*?)\s+encoding=["'][^"']*["']""")
SHEET_ELEMENT = re.compile(rb"<(?:\w+:)?sheet\s[^>]*>")
ODD_STATE = re.compile(rb"""\sstate=["'](?!visible|hidden|veryHidden)\w*["']""")
DIMENSION = re.compile(rb"<(?:\w+:)?dimension\b[^>]*/>")
WORKSHEET = "/worksheet"
SHARED_TEXTS = frozenset({"sharedstrings.xml", "sharedstrings.bin"})
SHEET_DATA = b"sheetData"
ROW_OR_CELL = re.compile(rb"<(%b(?:row|c))(?=[\s/>])([^>]*)>" % P)
ANY_ADDRESS = re.compile(rb"""\br=["']([A-Z]{0,3})(\d{0,7})["']""")


class OddPart(Exception):
    """A part that a workbook program would not have written so; reading on could lose a cell.

    Its argument, if any, says what it is, after the name of the file.
    """


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet as the workbook lists it, with the part that holds its cells."""

    name: str
    is_visible: bool
    part: str


@dataclass(frozen=True, slots=True)
class Book:
    """What the parts say of the whole workbook.

    Attributes:
        sheets: in their order.
        formats: index of a cell format -> how it shows a number, if the library shows it in another way.
        dates: likewise, if the library shows it as a date; with odd days it may be wrong.
        is_misread: whether its days count from 1904 and an extension hides that from the library.
        is_to_calculate: whether its writer left the calculating to Excel, so that a result of 0 is none.
    """

    sheets: tuple[Sheet, ...]
    formats: Mapping[int, NumberFormat]
    dates: Mapping[int, NumberFormat]
    is_to_calculate: bool
    is_misread: bool
    is_1904: bool


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell's place, counted from 0, and its text as a person sees it."""

    row: int
    column: int
    text: str


def read_book(archive: zipfile.ZipFile) -> Book | None:
    """Read the list of sheets and the formats; None for a workbook without XML, such as .xlsb and .ods.

    Raises:
        OddPart: a part is missing, too long, declares entities or is no XML.
    """
    names = {name.replace("\\", "/").casefold(): name for name in archive.namelist()}
    main = next((name for name in names if posixpath.basename(name) == WORKBOOK), None)
    if main is None:
        return None
    folder = posixpath.dirname(main)
    tree = _tree(archive, names[main])
    relations = _tree(archive, names.get(posixpath.join(folder, RELATIONS), RELATIONS))
    targets = {each.get("Id"): posixpath.join(folder, each.get("Target", "")) for each in relations}
    styles = names.get(posixpath.join(folder, STYLES))
    calculation = next((each for each in tree if _local(each.tag) == "calcPr"), None)
    formats, dates = _formats(_tree(archive, styles)) if styles else ({}, {})
    return Book(
        sheets=tuple(_sheets(tree, targets, names)),
        formats=formats,
        dates=dates,
        is_to_calculate=calculation is not None and calculation.get("fullCalcOnLoad") in YES,
        is_misread=_is_misread(tree),
        is_1904=_is_1904(tree)[:1] == [True],
    )


def check_texts(archive: zipfile.ZipFile) -> None:
    """Read the texts that cells share, for the check sum alone, which the library does not look at.

    Raises:
        zipfile.BadZipFile: a letter was changed on the way here.
    """
    for name in archive.namelist():
        if posixpath.basename(name.replace("\\", "/")).casefold() in SHARED_TEXTS:
            for _ in _unpacked(archive, name):
                pass


def mended(archive: zipfile.ZipFile) -> bytes:
    """The workbook without what stops the library or misleads it, and a workbook program does not mind.

    That is a second count of days in an extension, sheets that are no worksheets or have no part, states of a
    sheet that do not exist, wrong sizes of sheets, cells that do not say where they stand, and letters in two bytes.
    """
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new:
        for name in archive.namelist():
            content = archive.read(name)
            if content.startswith(MARKS_OF_UTF_16):
                content = _in_utf_8(content)
            base = posixpath.basename(name.replace("\\", "/")).casefold()
            if base == WORKBOOK:
                content = _mended_workbook(content, _worksheets(archive))
            elif base.endswith(".xml"):
                content = _with_addresses(DIMENSION.sub(b"", content, count=1))
            new.writestr(name, content)
    return target.getvalue()


def _in_utf_8(content: bytes) -> bytes:
    encoding = "utf-16" if content.startswith(MARKS_OF_UTF_16[:2]) else "utf-16-be" if content[0] == 0 else "utf-16-le"
    try:
        return SAID_ENCODING.sub(r"\1", content.decode(encoding)).encode()
    except UnicodeDecodeError as fault:
        raise OddPart from fault


def _with_addresses(content: bytes) -> bytes:
    """Rows and cells without an address stand after the one before them."""
    row = column = 0

    def addressed(tag: re.Match[bytes]) -> bytes:
        nonlocal row, column
        said = ANY_ADDRESS.search(tag[2])
        if tag[1].endswith(b"row"):
            row, column = int(said[2]) if said and said[2] else row + 1, 0
            address = b"%d" % row
        else:
            column = _column(said[1]) + 1 if said and said[1] else column + 1
            address = _letters(column) + b"%d" % row
        return tag[0] if said else b'<%b r="%b"%b>' % (tag[1], address, tag[2])

    return ROW_OR_CELL.sub(addressed, content) if SHEET_DATA in content else content


def _letters(column: int) -> bytes:
    """A, …, Z, AA, …; counted from 1."""
    letters = b""
    while column:
        column, letter = divmod(column - 1, 26)
        letters = b"%c" % (ord("A") + letter) + letters
    return letters


def _column(letters: bytes) -> int:
    """Counted from 0."""
    column = 0
    for letter in letters:
        column = column * 26 + letter - ord("A") + 1
    return column - 1


def _worksheets(archive: zipfile.ZipFile) -> frozenset[bytes]:
    """The ids of the relations to worksheets."""
    names = {name.replace("\\", "/").casefold(): name for name in archive.namelist()}
    found = next((names[name] for name in names if name.endswith(RELATIONS)), RELATIONS)
    return frozenset(
        each.get("Id", "").encode() for each in _tree(archive, found) if each.get("Type", "").endswith(WORKSHEET)
    )


def _mended_workbook(content: bytes, worksheets: frozenset[bytes]) -> bytes:
    def kept(sheet: re.Match[bytes]) -> bytes:
        is_worksheet = any(re.search(rb"""id=["']%b["']""" % re.escape(each), sheet[0]) for each in worksheets)
        return ODD_STATE.sub(b"", sheet[0]) if is_worksheet else b""

    return SHEET_ELEMENT.sub(kept, PREFIXED_PROPERTIES.sub(b"", content))


def _is_1904(tree: ET.Element) -> list[bool]:
    return [each.get("date1904") in YES for each in tree.iter() if _local(each.tag) == "workbookPr"]


def _is_misread(tree: ET.Element) -> bool:
    """The library goes by the last element of this name, in whatever namespace."""
    found = _is_1904(tree)
    return bool(found) and found[0] and not found[-1]


def told_cells(
    archive: zipfile.ZipFile, part: str, book: Book, *, formats: Mapping[int, NumberFormat]
) -> Generator[Cell, None, int]:
    """The cells of a sheet that the library leaves out or shows in another way, in no order.

    Args:
        archive: the workbook.
        part: the name of the sheet's part.
        book: what the workbook says of itself.
        formats: of numbers that are to be told.

    Returns:
        How many cells hold something, if no prefix hides them.

    Raises:
        OddPart: one of them does not say where it stands.
    """
    pattern = _shown_pattern(formats)
    filled = 0
    for piece in _pieces(archive, part):
        filled += sum(piece.count(end) for end in FILLED) if book.dates else 0
        if ERROR_MARK in piece or (DAY_MARK in piece and DATED.search(piece)):
            yield from (_told(cell[1], cell[2]) for cell in TOLD.finditer(piece))
        if FORMULA.search(piece):
            yield from _uncalculated(piece, book)
        if pattern:
            yield from _shown(piece, pattern, formats, is_1904=book.is_1904)
    return filled


def _told(attributes: bytes, content: bytes) -> Cell:
    """An error, or a date that is written as text."""
    value = VALUE.search(content)
    text = unescape(value[1].decode("utf-8", errors="replace")).strip() if value else ""
    kind = KIND.search(attributes)
    if kind and kind[1] == b"d":
        return _cell(attributes, MIDNIGHT.sub("", text, count=1).replace("T", " "))
    return _cell(attributes, text or "#VALUE!")


def _uncalculated(piece: bytes, book: Book) -> Iterator[Cell]:
    for cell in UNCALCULATED.finditer(piece):
        attributes, value = cell[1], cell[2]
        kind = KIND.search(attributes)
        is_empty_text = kind is not None and kind[1] == b"str" and VALUE_MARK.search(cell[0])
        is_left_at_zero = value == b"0" and book.is_to_calculate
        if is_left_at_zero or (not value and not is_empty_text):
            yield _cell(attributes, NOT_CALCULATED)


def _shown_pattern(formats: Mapping[int, NumberFormat]) -> re.Pattern[bytes] | None:
    if not formats:
        return None
    indexes = b"|".join(str(index).encode() for index in formats) if len(formats) <= NAMED_FORMATS else rb"\d+"
    return re.compile(rb"<%bc\s([^>]*\bs=[\"'](?:%b)[\"'][^>]*)(?<!/)>(.*?)</%bc>" % (P, indexes, P), re.DOTALL)


def _shown(
    piece: bytes, pattern: re.Pattern[bytes], formats: Mapping[int, NumberFormat], *, is_1904: bool
) -> Iterator[Cell]:
    for cell in pattern.finditer(piece):
        attributes = cell[1]
        kind, style, value = KIND.search(attributes), STYLE.search(attributes), VALUE.search(cell[2])
        if style is None or value is None or (kind[1] if kind else None) not in NUMBER_KINDS:
            continue
        form, number = formats.get(int(style[1])), _finite(value[1])
        if form is not None and number is not None:
            yield _cell(attributes, shown(number, form, is_1904=is_1904))


def _finite(value: bytes) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _cell(attributes: bytes, text: str) -> Cell:
    address = ADDRESS.search(attributes)
    if address is None:
        raise OddPart
    return Cell(int(address[2]) - 1, _column(address[1]), text)


def _pieces(archive: zipfile.ZipFile, part: str) -> Iterator[bytes]:
    """The part, cut after rows."""
    rest: list[bytes] = []
    waiting = 0
    for chunk in _unpacked(archive, part):
        cut = chunk.rfind(END_OF_ROW) + len(END_OF_ROW)
        if cut >= len(END_OF_ROW):
            yield b"".join((*rest, chunk[:cut]))
            rest = [chunk[cut:]]
            waiting = 0
        elif waiting > LONGEST_PART:
            raise OddPart
        else:
            rest.append(chunk)
            waiting += len(chunk)
    yield b"".join(rest)


def _unpacked(archive: zipfile.ZipFile, part: str) -> Iterator[bytes]:
    """The part, by a library that unpacks three times as fast as the standard one, and with the same checks.

    Raises:
        zipfile.BadZipFile: its check sum is wrong.
    """
    known = archive.getinfo(part)
    if known.compress_type != zipfile.ZIP_DEFLATED:
        with archive.open(known) as file:
            while chunk := file.read(PIECE):
                yield chunk
        return
    packed = copy(known)
    packed.compress_type, packed.file_size = zipfile.ZIP_STORED, known.compress_size
    del packed.CRC  # which is that of what it holds unpacked
    unpacking = isal_zlib.decompressobj(-isal_zlib.MAX_WBITS)
    left, check_sum = known.file_size, 0
    with archive.open(packed) as file:
        while left > 0 and not unpacking.eof and (chunk := file.read(PACKED_PIECE)):
            content = unpacking.decompress(chunk)[:left]
            left -= len(content)
            check_sum = isal_zlib.crc32(content, check_sum)
            yield content
    if check_sum != known.CRC:
        raise zipfile.BadZipFile(part)


def _tree(archive: zipfile.ZipFile, part: str) -> ET.Element:
    """A small part; with a document type, whose entities may explode, it is an odd one."""
    try:
        with archive.open(part) as file:
            content = file.read(LONGEST_PART + 1)
        if content.startswith(MARKS_OF_UTF_16):
            content = _in_utf_8(content)
        if len(content) > LONGEST_PART or b"<!DOCTYPE" in content or b"<!ENTITY" in content:
            raise OddPart
        return ET.fromstring(content)  # noqa: S314 - no declarations, so no entities
    except (KeyError, ET.ParseError) as fault:
        raise OddPart from fault


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _sheets(tree: ET.Element, targets: Mapping[str | None, str], names: Mapping[str, str]) -> Iterator[Sheet]:
    for element in tree.iter():
        if _local(element.tag) != "sheet":
            continue
        relation = next((value for key, value in element.attrib.items() if key.endswith("}id")), None)
        part = posixpath.normpath(targets.get(relation, "")).lstrip("/")
        visible = element.get("state") not in HIDDEN
        yield Sheet(element.get("name", ""), visible, names.get(part.casefold(), part))


def _formats(tree: ET.Element) -> tuple[dict[int, NumberFormat], dict[int, NumberFormat]]:
    """Of the cell formats those that the library does not mind, and those that it takes for dates."""
    groups = {_local(group.tag): group for group in tree}
    codes = {_whole(each.get("numFmtId")): each.get("formatCode", "") for each in groups.get("numFmts", ())}
    misread: dict[int, NumberFormat] = {}
    dates: dict[int, NumberFormat] = {}
    if len(groups.get("cellXfs", ())) > MOST_FORMATS:
        raise OddPart
    for index, cell in enumerate(groups.get("cellXfs", ())):
        number = _whole(cell.get("numFmtId"))
        form = number_format(number, codes.get(number))
        if form.kind in MISREAD_KINDS or (number in UNKNOWN_DATES and number not in codes):
            misread[index] = form
        elif form.kind in DATE_KINDS:
            dates[index] = form
    return misread, dates


def _whole(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() else 0
