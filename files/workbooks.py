"""Reading a workbook into rows of text, after looking at what it would unpack to.

Only the process that `files.reading` starts calls this: a workbook may abort or panic inside the library.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast
from xml.etree import ElementTree as ET

import fastexcel
import polars as pl
from isal.igzip_lib import IsalError

from domain.errors import FileErrorCode, FileProblem
from domain.frames import ROW, column, without_blank_rows
from domain.titles import header_among
from files.binary_sheets import OldBook, PasswordNeeded, old_cells, read_binary_book, read_old_book, told_binary_cells
from files.layouts import Layout, Limits, MadeFor
from files.open_document import CONTENT as OPEN_DOCUMENT
from files.open_document import read_open_document
from files.sheet_parts import Book, Cell, OddPart, check_texts, mended, read_book, told_cells

if TYPE_CHECKING:
    from fastexcel._fastexcel import ColumnInfoNoDtype  # only annotations name it

ZIP_MAGIC = b"PK\x03\x04"
EMPTY_ZIP_MAGIC = b"PK\x05\x06"
OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
OLD_WORKBOOK = re.compile(re.escape("book".encode("utf-16-le")), re.IGNORECASE)
PASSWORD_WORDS = re.compile("password|encrypt|codepage", re.IGNORECASE)
PART = re.compile(r"(?:^|[/\\])workbook\.(?:xml|bin)$", re.IGNORECASE)
ODS_MANIFEST, ODS_TYPE = "META-INF/manifest.xml", "mimetype"
OPEN_SPREADSHEET = b"application/vnd.oasis.opendocument.spreadsheet"
MOST_PARTS = 10_000
PROPERTIES = "docProps/custom.xml"
MOST_PROPERTY_BYTES = 100_000
PROCESS_PROPERTY = "bulk-sender-process"
VERSION_PROPERTY = "bulk-sender-version"
MIDNIGHT = r"^(\d{4}-\d{2}-\d{2}) 00:00:00$"
ODD_DATE = r"^(?:1899|1900-0[12]|190[45]-01-01|[+-]\d)"
LOOKED_AT_ROWS = 50
TOO_MUCH = "limit exceeded"
UNKNOWN_ERROR = "Unsupported cell error value"
BAD_ZIP = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    cast("type[Exception]", IsalError),  # its stub says that it is an instance
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    UnicodeError,
)
SAVE_AGAIN = "Open it in Excel, save it as a new .xlsx file and upload that."


def is_workbook(beginning: bytes) -> bool:
    """Whether the first bytes are those of a zip or of an OLE file, whatever the file is called."""
    return beginning.startswith((ZIP_MAGIC, EMPTY_ZIP_MAGIC, OLE_MAGIC))


def read_workbook(
    path: Path, *, file_name: str, limits: Limits, titles: Sequence[str] = ()
) -> tuple[Layout, pl.DataFrame]:
    """Read the visible sheet whose header has most of the titles; the first that holds anything where none has more.

    Args:
        path: where the bytes are.
        file_name: what to call the file in messages.
        limits: what reading may cost.
        titles: what the columns may be called.

    Returns:
        The layout, and ROWS without the blank rows.

    Raises:
        FileProblem: with every code that a workbook can earn.
    """
    if _is_ole(path):
        _refuse_ole(path, file_name=file_name)
        made_for = None
    else:
        made_for = _look_into_zip(path, file_name=file_name, limits=limits)
    try:
        sheet = _best_sheet(path, titles)
    except (fastexcel.FastExcelError, OddPart, *BAD_ZIP) as fault:
        raise _unreadable(fault, file_name=file_name) from fault
    if sheet is None:
        raise FileProblem(
            FileErrorCode.EMPTY,
            f"{file_name} has no visible sheet with anything in it. Put the list on the first sheet.",
        )
    return _table(sheet, made_for=made_for, file_name=file_name, limits=limits)


def _is_ole(path: Path) -> bool:
    """By its beginning: at its end an .xls may hold a zip."""
    with path.open("rb") as file:
        return file.read(len(OLE_MAGIC)) == OLE_MAGIC


def _refuse_ole(path: Path, *, file_name: str) -> None:
    content = path.read_bytes()
    if ENCRYPTED_PACKAGE in content:
        raise _encrypted(file_name)
    if not OLD_WORKBOOK.search(content):
        raise _not_a_workbook(file_name)


def _encrypted(file_name: str) -> FileProblem:
    return FileProblem(
        FileErrorCode.ENCRYPTED,
        f"{file_name} is protected by a password. Save a copy without the password and upload that.",
    )


def _not_a_workbook(file_name: str) -> FileProblem:
    return FileProblem(
        FileErrorCode.NOT_CSV_OR_EXCEL,
        f"{file_name} is neither a CSV file nor an Excel workbook. Save the list as .xlsx or as CSV UTF-8.",
    )


def _unreadable(fault: Exception, *, file_name: str) -> FileProblem:
    if isinstance(fault, PasswordNeeded) or PASSWORD_WORDS.search(str(fault)):
        return _encrypted(file_name)
    if TOO_MUCH in str(fault):
        return FileProblem(
            FileErrorCode.TOO_LARGE,
            f"{file_name} has more cells than can be read. Copy the list alone into a new workbook and upload that.",
        )
    if UNKNOWN_ERROR in str(fault):
        return FileProblem(
            FileErrorCode.UNREADABLE,
            f"{file_name} has a cell with an error that cannot be read. Mend or delete that formula and save it again.",
        )
    what = str(fault) if isinstance(fault, OddPart) and fault.args else "is damaged and cannot be read"
    return FileProblem(FileErrorCode.UNREADABLE, f"{file_name} {what}. {SAVE_AGAIN}")


def _look_into_zip(path: Path, *, file_name: str, limits: Limits) -> MadeFor | None:
    """Refuse what is no workbook or unpacks to too much; give the marker of an example file."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
            _refuse_parts(archive, parts, file_name=file_name, limits=limits)
            return _marker(archive)
    except BAD_ZIP as fault:
        raise _unreadable(fault, file_name=file_name) from fault


def _refuse_parts(archive: zipfile.ZipFile, parts: list[zipfile.ZipInfo], *, file_name: str, limits: Limits) -> None:
    names = {part.filename for part in parts}
    if len(parts) > MOST_PARTS or sum(part.file_size for part in parts) > limits.unpacked_bytes:
        raise FileProblem(
            FileErrorCode.TOO_LARGE,
            f"{file_name} unpacks to more than {limits.unpacked_bytes // 2**20:,} MB. "
            "Copy the list alone into a new workbook, or save it as CSV UTF-8.",
        )
    if any(part.flag_bits & 1 for part in parts):
        raise _encrypted(file_name)
    if not any(map(PART.search, names)) and not _is_open_document(archive, names, file_name=file_name):
        raise _not_a_workbook(file_name)


def _is_open_document(archive: zipfile.ZipFile, names: set[str], *, file_name: str) -> bool:
    """By what it says that it is; some programs say so in the manifest only."""
    if not {OPEN_DOCUMENT, ODS_MANIFEST} <= names and not {OPEN_DOCUMENT, ODS_TYPE} <= names:
        return False
    said = b""
    for name in sorted({ODS_TYPE, ODS_MANIFEST} & names):
        with archive.open(name) as part:
            said += part.read(MOST_PROPERTY_BYTES)
    if OPEN_SPREADSHEET not in said:
        return False
    if b"encryption-data" in said:
        raise _encrypted(file_name)
    return True


def _marker(archive: zipfile.ZipFile) -> MadeFor | None:
    """The hidden properties of an example file; a file with anything odd in them has none."""
    if PROPERTIES not in archive.namelist():
        return None
    with archive.open(PROPERTIES) as part:
        content = part.read(MOST_PROPERTY_BYTES)
    properties = dict(_properties(content))
    process = properties.get(PROCESS_PROPERTY)
    version = properties.get(VERSION_PROPERTY, "")
    if not process:
        return None
    return MadeFor(process, int(version) if version.isascii() and version.isdigit() else None)


def _properties(content: bytes) -> Iterator[tuple[str, str]]:
    """Name and text of each custom property; none at all if there is a document type, whose entities may explode."""
    try:
        if "<!" in content.decode("utf-8-sig"):
            return
        tree = ET.fromstring(content)  # noqa: S314 - no declarations, so no entities
    except (UnicodeDecodeError, ET.ParseError):
        return
    for element in tree:
        yield element.get("name", ""), "".join(element.itertext()).strip()


@dataclass(frozen=True, slots=True)
class _Sheet:
    """A worksheet that holds something.

    Attributes:
        name: what it is called.
        cells: ROWS without blank rows, with the header and what stands above it.
        first_column: blank columns to their left.
        place: which of `cells` is the header.
        known: how many of the wanted titles it has.
        others: names of the other visible sheets that hold something.
    """

    name: str
    cells: pl.DataFrame
    first_column: int
    place: int
    known: int
    others: tuple[str, ...] = ()


_Cells = tuple[pl.DataFrame, int]
"""The cells of a sheet from its first row on, and how many blank columns stand to their left."""


@dataclass(frozen=True, slots=True)
class _Workbook:
    """An open workbook: its sheets that are not known to be hidden, and how to get the cells of one."""

    names: tuple[str, ...]
    cells: Callable[[str], _Cells | None]


def _opened(path: Path) -> _Workbook:
    if _is_ole(path):
        return _old_workbook(read_old_book(path.read_bytes()))
    with zipfile.ZipFile(path) as archive:
        if OPEN_DOCUMENT in archive.namelist():
            sheets = {sheet.name: sheet.cells for sheet in read_open_document(archive) if sheet.is_visible}
            return _Workbook(tuple(sheets), lambda name: _with_told(pl.DataFrame(), 0, told=sheets[name]))
        book = read_book(archive)
        return _binary_workbook(path, archive) if book is None else _xml_workbook(path, archive, book)


def _old_workbook(book: OldBook) -> _Workbook:
    sheets = {sheet.name: sheet for sheet in book.sheets if sheet.is_visible}
    return _Workbook(
        tuple(sheets), lambda name: _with_told(pl.DataFrame(), 0, told=list(old_cells(book, sheets[name])))
    )


def _binary_workbook(path: Path, archive: zipfile.ZipFile) -> _Workbook:
    reader, book = fastexcel.read_excel(path), read_binary_book(archive)
    names = tuple(reader.sheet_names)
    check_texts(archive)

    def cells(name: str) -> _Cells | None:
        with zipfile.ZipFile(path) as again:
            return _read(reader, name, lambda _: told_binary_cells(again, book, names.index(name)))

    return _Workbook(names, cells)


def _xml_workbook(path: Path, archive: zipfile.ZipFile, book: Book) -> _Workbook:
    """With a mended copy of the workbook if the library cannot read it, or would read it wrongly."""
    check_texts(archive)
    source: Path | bytes = _mended(path) if book.is_misread else path
    try:
        reader = fastexcel.read_excel(source)
    except fastexcel.FastExcelError:
        source = _mended(path)
        reader = fastexcel.read_excel(source)
    hidden = {sheet.name for sheet in book.sheets if not sheet.is_visible}

    def cells(name: str) -> _Cells | None:
        nonlocal source, reader
        try:
            return _read_at_once(reader, name, lambda seen: _told(source, name, book, seen))
        except (fastexcel.FastExcelError, OddPart):
            if isinstance(source, bytes):
                raise
        source = _mended(path)
        reader = fastexcel.read_excel(source)
        return _read_at_once(reader, name, lambda seen: _told(source, name, book, seen))

    return _Workbook(tuple(name for name in reader.sheet_names if name not in hidden), cells)


def _mended(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return mended(archive)


def _read(reader: fastexcel.ExcelReader, name: str, told: Callable[[pl.DataFrame], Iterable[Cell]]) -> _Cells | None:
    """The cells that the library reads, with the told ones; None if the sheet is hidden.

    `skip_rows=0` keeps the blank rows above the header, so that positions are the sheet's own.
    """
    sheet = reader.load_sheet(name, header_row=None, skip_rows=0, dtypes="string")
    if sheet.visible != "visible":
        return None
    cells, first = sheet.to_polars(), sheet.selected_columns[0].absolute_index if sheet.width else 0
    del sheet
    return _with_told(cells, first, told=list(told(cells)))


def _read_at_once(reader: fastexcel.ExcelReader, name: str, told: Callable[[pl.DataFrame], Iterable[Cell]]) -> _Cells:
    """The same of a sheet that is known to be visible, without a copy of each text in between, which only .xlsx needs.

    The library then tells neither whether it is visible nor, but on asking about each, which columns it has.
    """
    places: list[int] = []

    def is_wanted(found: ColumnInfoNoDtype) -> bool:
        places.append(found.absolute_index)
        return True

    batch = reader.load_sheet(name, header_row=None, skip_rows=0, dtypes="string", eager=True, use_columns=is_wanted)
    cells = pl.DataFrame(batch)
    del batch
    return _with_told(cells, places[0] if places else 0, told=list(told(cells)))


def _told(source: Path | bytes, name: str, book: Book, seen: pl.DataFrame) -> Iterator[Cell]:
    """The cells that the library leaves out or shows in another way; dates only if any of them may be odd."""
    part = next((sheet.part for sheet in book.sheets if sheet.name == name), None)
    with zipfile.ZipFile(source if isinstance(source, Path) else io.BytesIO(source)) as archive:
        if part not in archive.namelist():
            raise OddPart
        filled = yield from told_cells(archive, part, book, formats=book.formats)
        if book.dates and (filled != _filled(seen) or _has_odd_dates(seen)):
            yield from told_cells(archive, part, book, formats=book.dates)


def _has_odd_dates(cells: pl.DataFrame) -> bool:
    """Days before March 1900 and after the year 9999, and times alone, which the library shows as days."""
    return any(series.str.contains(ODD_DATE).any() for series in cells)


def _filled(cells: pl.DataFrame) -> int:
    return cells.height * cells.width - sum(series.null_count() for series in cells)


def _best_sheet(path: Path, titles: Sequence[str]) -> _Sheet | None:
    """The sheet with most titles, of several the first; the library's own copy of it is gone when this returns.

    A sheet that cannot be read, as charts of some formats, matters only where no other one is a list.
    """
    best: _Sheet | None = None
    fault: fastexcel.FastExcelError | OddPart | None = None
    names: list[str] = []
    workbook = _opened(path)
    for name in workbook.names:
        try:
            sheet = _sheet(workbook, name, titles=titles)
        except (fastexcel.FastExcelError, OddPart) as found:
            names.append(name)
            fault = found
            continue
        names += [name] if sheet else []
        if sheet and (best is None or sheet.known > best.known):
            best = sheet
    if fault is not None and (best is None or (titles and not best.known)):
        raise fault
    return best and replace(best, others=tuple(name for name in names if name != best.name))


def _sheet(workbook: _Workbook, name: str, *, titles: Sequence[str]) -> _Sheet | None:
    """A sheet if it is visible and holds anything."""
    found = workbook.cells(name)
    if found is None:
        return None
    cells, first = found
    cells.columns = [column(index) for index in range(cells.width)]
    rows = without_blank_rows(cells.with_row_index(ROW, offset=1).cast({ROW: pl.UInt32}))
    if rows.width == 1 or rows.is_empty():
        return None
    header, known = header_among(rows.drop(ROW).head(LOOKED_AT_ROWS).rows(), titles)
    return _Sheet(name, rows, first, header, known)


def _with_told(cells: pl.DataFrame, first: int, *, told: Sequence[Cell]) -> tuple[pl.DataFrame, int]:
    """The cells with the told ones among them, and the blank columns to their left."""
    if not told:
        return cells, first
    places = [cell.column for cell in told]
    start = min(first, *places) if cells.width else min(places)
    width = max(first + cells.width, max(places) + 1) - start
    height = max(cells.height, *(cell.row + 1 for cell in told))
    by_column: dict[int, tuple[list[int], list[str]]] = defaultdict(lambda: ([], []))
    for cell in told:
        rows, texts = by_column[cell.column - start]
        rows.append(cell.row)
        texts.append(cell.text)
    columns = []
    for index in range(width):
        old = index - (first - start)
        series = cells.to_series(old) if 0 <= old < cells.width else pl.Series([], dtype=pl.String)
        if series.len() < height:
            series = series.extend_constant(None, height - series.len())
        if index in by_column:
            rows, texts = by_column[index]
            series = series.scatter(rows, texts)
        columns.append(series.alias(column(index)))
    return pl.DataFrame(columns), start


def _table(sheet: _Sheet, *, made_for: MadeFor | None, file_name: str, limits: Limits) -> tuple[Layout, pl.DataFrame]:
    rows = sheet.cells.slice(sheet.place + 1)
    if rows.is_empty():
        raise FileProblem(
            FileErrorCode.EMPTY,
            f"{file_name} has no rows below the header of its sheet {sheet.name}. Add the recipients to it.",
        )
    width = _used_width(sheet.cells.row(sheet.place)[1:], rows)
    _refuse_size(rows.height, width, file_name=file_name, limits=limits)
    seen = sheet.cells.select(ROW, *(_as_seen(sheet.cells[column(index)]) for index in range(width)))
    header_row, *titles = seen.row(sheet.place)
    layout = Layout(
        format="xlsx",
        header=tuple(title or "" for title in titles),
        header_row=header_row,
        above=tuple((row, tuple(cell or "" for cell in cells)) for row, *cells in seen.head(sheet.place).rows()),
        sheet=sheet.name,
        other_sheets=sheet.others,
        first_column=sheet.first_column,
        made_for=made_for,
    )
    return layout, seen.slice(sheet.place + 1)


def _used_width(titles: Sequence[str | None], rows: pl.DataFrame) -> int:
    """Columns up to the last one with a title or a value; formatting alone makes sheets wider."""
    used = [bool(title) or rows[column(index)].null_count() < rows.height for index, title in enumerate(titles)]
    return len(used) - used[::-1].index(True)


def _refuse_size(rows: int, width: int, *, file_name: str, limits: Limits) -> None:
    for count, most, what in ((rows, limits.rows, "rows"), (width, limits.columns, "columns")):
        if count > most:
            raise FileProblem(
                FileErrorCode.TOO_LARGE,
                f"{file_name} has {count:,} {what}; at most {most:,} can be read. Split it, or delete what is spare.",
            )


def _as_seen(cells: pl.Series) -> pl.Series:
    """A date comes with a midnight that nobody sees in the sheet; an empty text is an empty cell."""
    if cells.str.contains(MIDNIGHT).any():
        cells = cells.str.replace(MIDNIGHT, "$1")
    if (cells == "").any():
        cells = cells.set(cells == "", None)
    return cells
