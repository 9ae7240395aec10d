"""What the library does not tell of the cells of an .xlsx: errors, formulas without a result, percentages.

It gives an error and a formula that was never calculated as an empty cell, and 25% as 0.25. The parts of
the zip say more; only cells that need it are looked at one by one.
"""

from __future__ import annotations

import io
import math
import posixpath
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from html import unescape
from xml.etree import ElementTree as ET

NOT_CALCULATED = "#CALC!"
"""The text of a cell whose formula has no result: Excel's own word for what it could not calculate."""
WORKBOOK, RELATIONS, STYLES = "workbook.xml", "_rels/workbook.xml.rels", "styles.xml"
"""Beside each other, nearly always in the folder xl."""
PIECE = 2**18
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
VALUE = re.compile(rb"<%bv\b[^>]*>([^<]*)</%bv>" % (P, P))
FORMULA = re.compile(rb"f[ >/]")
DATED = re.compile(rb"""=["']d["']""")
ERROR_MARK, DAY_MARK = b"#", b"-"
"""What an error begins with and a date has; to look for these first makes the difference on a large sheet."""
MIDNIGHT = re.compile(r"T00:00:00(?:\.0+)?Z?$")
BUILT_IN_PERCENT = frozenset({9, 10})
SPOKEN = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.|_.')
"""Parts of a number format that stand for themselves."""
NAMED_FORMATS = 200
"""Formats that a pattern can name; of more, it takes any cell with a format."""
MOST_FORMATS = 65_490
"""Excel's own limit."""
PADDED = re.compile(r"0{2,}")
DIGITS = 15
"""What Excel keeps of a number."""
YES = frozenset({"1", "true"})
PREFIXED_PROPERTIES = re.compile(rb"<\w+:workbookPr\b[^>]*/>")
NUMBER_KINDS = (None, b"n")


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
        formats: index of a cell format -> how it shows a number: 0 for a percentage, else so many digits at least.
        is_misread: whether its days count from 1904 and an extension hides that from the library.
        is_to_calculate: whether its writer left the calculating to Excel, so that a result of 0 is none.
    """

    sheets: tuple[Sheet, ...]
    formats: Mapping[int, int]
    is_to_calculate: bool
    is_misread: bool


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
    return Book(
        sheets=tuple(_sheets(tree, targets, names)),
        formats=_formats(_tree(archive, styles)) if styles else {},
        is_to_calculate=calculation is not None and calculation.get("fullCalcOnLoad") in YES,
        is_misread=_is_misread(tree),
    )


def without_extensions(archive: zipfile.ZipFile) -> bytes:
    """The workbook as it was, but for the extension that hides how its days count."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as mended:
        for name in archive.namelist():
            content = archive.read(name)
            is_main = posixpath.basename(name.replace("\\", "/")).casefold() == WORKBOOK
            mended.writestr(name, PREFIXED_PROPERTIES.sub(b"", content) if is_main else content)
    return target.getvalue()


def _is_misread(tree: ET.Element) -> bool:
    """The library goes by the last element of this name, in whatever namespace."""
    found = [each.get("date1904") in YES for each in tree.iter() if _local(each.tag) == "workbookPr"]
    return bool(found) and found[0] and not found[-1]


def told_cells(archive: zipfile.ZipFile, part: str, book: Book) -> Iterator[Cell]:
    """The cells of a sheet that the library leaves out or shows in another way, in no order.

    Raises:
        OddPart: one of them does not say where it stands.
    """
    shown = _shown_pattern(book.formats)
    for piece in _pieces(archive, part):
        if ERROR_MARK in piece or (DAY_MARK in piece and DATED.search(piece)):
            yield from (_told(cell[1], cell[2]) for cell in TOLD.finditer(piece))
        if FORMULA.search(piece):
            yield from _uncalculated(piece, book)
        if shown:
            yield from _shown(piece, shown, book.formats)


def _told(attributes: bytes, content: bytes) -> Cell:
    """An error, or a date that is written as text."""
    value = VALUE.search(content)
    text = unescape(value[1].decode("utf-8", errors="replace")).strip() if value else ""
    kind = KIND.search(attributes)
    if kind and kind[1] == b"d":
        return _cell(attributes, MIDNIGHT.sub("", text).replace("T", " "))
    return _cell(attributes, text or "#VALUE!")


def _uncalculated(piece: bytes, book: Book) -> Iterator[Cell]:
    for cell in UNCALCULATED.finditer(piece):
        attributes, value = cell[1], cell[2]
        kind = KIND.search(attributes)
        is_empty_text = kind is not None and kind[1] == b"str"
        is_left_at_zero = value == b"0" and book.is_to_calculate
        if is_left_at_zero or (not value and not is_empty_text):
            yield _cell(attributes, NOT_CALCULATED)


def _shown_pattern(formats: Mapping[int, int]) -> re.Pattern[bytes] | None:
    if not formats:
        return None
    indexes = b"|".join(str(index).encode() for index in formats) if len(formats) <= NAMED_FORMATS else rb"\d+"
    return re.compile(rb"<%bc\s([^>]*\bs=[\"'](?:%b)[\"'][^>]*)(?<!/)>(.*?)</%bc>" % (P, indexes, P), re.DOTALL)


def _shown(piece: bytes, pattern: re.Pattern[bytes], formats: Mapping[int, int]) -> Iterator[Cell]:
    for cell in pattern.finditer(piece):
        attributes = cell[1]
        kind, style, value = KIND.search(attributes), STYLE.search(attributes), VALUE.search(cell[2])
        if style is None or value is None or (kind[1] if kind else None) not in NUMBER_KINDS:
            continue
        digits = formats.get(int(style[1]))
        text = None if digits is None else _number(value[1].decode("ascii", errors="replace"), digits=digits)
        if text is not None:
            yield _cell(attributes, text)


def _number(value: str, *, digits: int) -> str | None:
    """A number with the percent sign or the leading zeros that its format shows; None if it is none."""
    try:
        number = float(value)
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    if not digits:
        return as_percentage(number)
    return f"{number:0{digits}.0f}" if number.is_integer() and number >= 0 else None


def as_percentage(number: float) -> str:
    """0.25 as 25%, with the digits that Excel keeps."""
    return f"{Decimal(f'{number * 100:.{DIGITS}g}'):f}%"


def _cell(attributes: bytes, text: str) -> Cell:
    address = ADDRESS.search(attributes)
    if address is None:
        raise OddPart
    column = 0
    for letter in address[1]:
        column = column * 26 + letter - ord("A") + 1
    return Cell(int(address[2]) - 1, column - 1, text)


def _pieces(archive: zipfile.ZipFile, part: str) -> Iterator[bytes]:
    """The part, cut after rows."""
    rest = b""
    with archive.open(part) as file:
        while chunk := file.read(PIECE):
            rest += chunk
            cut = rest.rfind(END_OF_ROW) + len(END_OF_ROW)
            if cut >= len(END_OF_ROW):
                yield rest[:cut]
                rest = rest[cut:]
            elif len(rest) > LONGEST_PART:
                raise OddPart
    yield rest


def _tree(archive: zipfile.ZipFile, part: str) -> ET.Element:
    """A small part; with a document type, whose entities may explode, it is an odd one."""
    try:
        with archive.open(part) as file:
            content = file.read(LONGEST_PART + 1)
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
        visible = element.get("state", "visible") == "visible"
        yield Sheet(element.get("name", ""), visible, names.get(part.casefold(), part))


def _formats(tree: ET.Element) -> dict[int, int]:
    """Index of a cell format -> 0 for a percentage, or how many digits it shows at least."""
    groups = {_local(group.tag): group for group in tree}
    codes = {_whole(each.get("numFmtId")): each.get("formatCode", "") for each in groups.get("numFmts", ())}
    shown: dict[int, int] = {}
    if len(groups.get("cellXfs", ())) > MOST_FORMATS:
        raise OddPart
    for index, cell in enumerate(groups.get("cellXfs", ())):
        number = _whole(cell.get("numFmtId"))
        code = SPOKEN.sub("", codes.get(number, ""))
        if number in BUILT_IN_PERCENT or "%" in code:
            shown[index] = 0
        elif PADDED.fullmatch(code):
            shown[index] = len(code)
    return shown


def _whole(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() else 0
