"""The cells of an .ods as a person sees them.

The library gives times as empty cells, a percentage as a fraction, and a number without the zeros its format adds.
"""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn
from xml.parsers import expat

from files.binary_sheets import ERRORS
from files.number_formats import SPOKEN_LETTERS, as_percentage, as_plain
from files.sheet_parts import MIDNIGHT, NOT_CALCULATED, Cell, OddPart

CONTENT = "content.xml"
SPREADSHEET = "spreadsheet"
PIECE = 2**18
NAMESPACE = "urn:oasis:names:tc:opendocument:xmlns:"
OFFICE, TABLE, TEXT, STYLE = (f"{NAMESPACE}{name}:1.0 " for name in ("office", "table", "text", "style"))
CALCULATED = "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0 value-type"
SHEET, ROW, CELL, COVERED = (f"{TABLE}{name}" for name in ("table", "table-row", "table-cell", "covered-table-cell"))
PARAGRAPH, SPACES, TAB, BREAK = (f"{TEXT}{name}" for name in ("p", "s", "tab", "line-break"))
KIND, VALUE, DATE, TIME, TRUTH, STRING = (
    f"{OFFICE}{name}value{more}"
    for name, more in (("", "-type"), ("", ""), ("date-", ""), ("time-", ""), ("boolean-", ""), ("string-", ""))
)
REPEATED_ROWS, REPEATED_COLUMNS, FORMULA = (
    f"{TABLE}{name}" for name in ("number-rows-repeated", "number-columns-repeated", "formula")
)
STYLE_NAME, STYLE_OF_SHEET = f"{STYLE}name", f"{TABLE}style-name"
SHEET_PROPERTIES, IS_DISPLAYED = f"{STYLE}table-properties", f"{TABLE}display"
NOT_IN_THE_CELL = frozenset(
    {f"{OFFICE}annotation", f"{TEXT}ruby-text", f"{TEXT}note", f"{TABLE}shapes", f"{TABLE}tracked-changes"}
)
DRAWN = "urn:oasis:names:tc:opendocument:xmlns:drawing:1.0 "
SPAN = re.compile(r"(?P<sign>-)?P(?:(?P<d>\d+)D)?T(?:(?P<h>\d+)H)?(?:(?P<m>\d+)M)?(?:(?P<s>\d+)(?:[.,]\d+)?S)?")
ERROR = "#VALUE!"
MOST_CELLS = 30_000_000
MOST_ROWS, MOST_COLUMNS = 2**20, 2**14
TOO_MANY_CELLS = "cell limit exceeded"


@dataclass(slots=True)
class OpenSheet:
    """A table of the document with the cells that hold something."""

    name: str
    is_visible: bool
    cells: list[Cell] = field(default_factory=list)


def read_open_document(archive: zipfile.ZipFile) -> list[OpenSheet]:
    """Read all tables in their order.

    Raises:
        OddPart: the content is no XML, declares entities, or repeats cells without end.
    """
    reader = _Reader()
    try:
        with archive.open(CONTENT) as part:
            while piece := part.read(PIECE):
                reader.parser.Parse(piece, False)  # noqa: FBT003 - expat takes no names
        reader.parser.Parse(b"", True)  # noqa: FBT003 - expat takes no names
    except (KeyError, ValueError, expat.ExpatError) as fault:
        raise OddPart from fault
    return reader.sheets


class _Reader:
    """What expat calls; a cell is known at its end, a row at the beginning of the next."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.sheets: list[OpenSheet] = []
        self.hidden: set[str] = set()
        self.style = ""
        self.row = self.column = self.count = 0
        self.filled: list[tuple[int, int, str]] = []
        self.cell: Mapping[str, str] | None = None
        self.depth = self.apart = 0
        self.paragraphs: list[list[str]] = []

    def _refuse(self, *_: object) -> NoReturn:
        raise OddPart

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self.apart:
            self.apart += 1
        elif self.cell is not None:
            self._start_in_cell(name, attributes)
        elif name == ROW:
            self.column = 0
            self.repeated = _count(attributes, REPEATED_ROWS)
        elif name in {CELL, COVERED}:
            self.cell = attributes
            self.is_covered = name == COVERED
            self.paragraphs = []
        elif name == SHEET:
            name = attributes.get(f"{TABLE}name", "")
            self.sheets.append(OpenSheet(name, attributes.get(STYLE_OF_SHEET) not in self.hidden))
            self.row = 0
        elif name in NOT_IN_THE_CELL:
            self.apart = 1
        elif name == f"{STYLE}style":
            self.style = attributes.get(STYLE_NAME, "")
        elif name == SHEET_PROPERTIES and attributes.get(IS_DISPLAYED) == "false":
            self.hidden.add(self.style)

    def _start_in_cell(self, name: str, attributes: dict[str, str]) -> None:
        if name == PARAGRAPH:
            self.paragraphs.append([])
            self.parser.CharacterDataHandler = self.paragraphs[-1].append
        elif name in NOT_IN_THE_CELL or name.startswith(DRAWN):
            self.apart = 1
            self.parser.CharacterDataHandler = None
        elif self.paragraphs:
            if name == SPACES:
                self.paragraphs[-1].append(" " * min(_count(attributes, f"{TEXT}c"), 32_767))
            elif name in {TAB, BREAK}:
                self.paragraphs[-1].append("\t" if name == TAB else "\n")

    def _end(self, name: str) -> None:
        if self.apart:
            self.apart -= 1
            if not self.apart and self.cell is not None and self.paragraphs:
                self.parser.CharacterDataHandler = self.paragraphs[-1].append
        elif name == PARAGRAPH:
            self.parser.CharacterDataHandler = None
        elif name in {CELL, COVERED} and self.cell is not None:
            self._end_cell(self.cell)
            self.cell = None
        elif name == ROW:
            self._end_row()

    def _end_cell(self, attributes: Mapping[str, str]) -> None:
        times = _count(attributes, REPEATED_COLUMNS)
        is_empty = self.is_covered or not (attributes or self.paragraphs)
        text = "" if is_empty else _shown(attributes, "\n".join(map("".join, self.paragraphs)))
        if text:
            self.filled.append((self.column, times, text))
        self.column += times

    def _end_row(self) -> None:
        if self.filled and self.sheets:
            self.count += self.repeated * sum(times for _, times, _ in self.filled)
            if self.count > MOST_CELLS or self.row + self.repeated > MOST_ROWS or self.column > 4 * MOST_COLUMNS:
                raise OddPart(TOO_MANY_CELLS)
            self.sheets[-1].cells += [
                Cell(row, column, text)
                for row in range(self.row, self.row + self.repeated)
                for first, times, text in self.filled
                for column in range(first, first + times)
            ]
        self.filled = []
        self.row += self.repeated


def _count(attributes: Mapping[str, str], name: str) -> int:
    return max(int(attributes[name]), 1) if name in attributes else 1


def _shown(attributes: Mapping[str, str], text: str) -> str:  # noqa: PLR0911 - one for each type of value
    match attributes.get(KIND):
        case "float" | "currency":
            return _number(attributes.get(VALUE, ""), text)
        case "percentage":
            value = _finite(attributes.get(VALUE, ""))
            return text if value is None else as_percentage(value)
        case "date":
            return MIDNIGHT.sub("", attributes.get(DATE, text)).replace("T", " ")
        case "time":
            return _time(attributes.get(TIME, ""), text)
        case "boolean":
            return attributes.get(TRUTH, text)
        case _ if attributes.get(CALCULATED) == "error":
            return text if text in ERRORS.values() else ERROR
        case None if not text and FORMULA in attributes:
            return NOT_CALCULATED
        case _:
            return text or attributes.get(STRING, "")


def _number(value: str, text: str) -> str:
    """The number, with the zeros and the plus that stand in the cell in front of it."""
    number = _finite(value)
    if number is None:
        return text
    if number >= 0 and number.is_integer() and set(text) <= SPOKEN_LETTERS:
        digits = "".join(filter(str.isdigit, text))
        if (
            digits
            and int(digits) == number
            and ("+" in text or (digits[0] == "0" and len(digits) > 1 and "." not in text))
        ):
            return text.strip()
    return as_plain(number)


def _finite(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _time(value: str, text: str) -> str:
    span = SPAN.fullmatch(value)
    if span is None:
        return text
    days, hours, minutes, seconds = (int(span[unit] or 0) for unit in "dhms")
    seconds += 60 * minutes + 3600 * hours + 86_400 * days
    return f"{span['sign'] or ''}{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
