"""How an uploaded file was laid out, so that the result can look the same, and the limits within which it is read."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal, get_args

Format = Literal["csv", "xlsx"]
UnicodeEncoding = Literal["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"]
LegacyEncoding = Literal[
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257",
    "cp932", "gb18030", "big5", "cp949", "cp874",
    "iso-8859-15", "iso-8859-2", "iso-8859-5", "iso-8859-6", "iso-8859-7", "iso-8859-8", "iso-8859-9",
    "mac-roman", "mac-cyrillic", "koi8-r", "koi8-u", "euc-jp",
    "cp850", "cp437", "cp852", "cp857", "cp862", "cp866",
]  # fmt: skip
Encoding = UnicodeEncoding | LegacyEncoding

MIB = 2**20


def is_legacy(encoding: Encoding) -> bool:
    """Whether it has the letters of a few languages only, and no file says that it is in it."""
    return encoding in get_args(LegacyEncoding)


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading one file may cost; the defaults hold a million rows of twelve columns.

    Attributes:
        bytes: size of the uploaded file.
        rows: rows below the header.
        columns: columns of the header.
        memory_bytes: address space of the process that parses the file; of the default, 2 GiB can be in use at most.
        seconds: on the clock, and as many of CPU time, of that process.
        unpacked_bytes: size of a workbook's parts when they are unpacked.
    """

    bytes: int = 100_000_000
    rows: int = 2_000_000
    columns: int = 500
    memory_bytes: int = 2_304 * MIB
    seconds: int = 30
    unpacked_bytes: int = 2_048 * MIB


@dataclass(frozen=True, slots=True)
class MadeFor:
    """The process that an example file says it was made for; `version` is None where it does not say."""

    key: str
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """The shape of an uploaded file.

    Attributes:
        format: `csv` for any text with separators, `xlsx` for any workbook.
        header: the exact title texts, "" for a column without one; column i is `c<i>` of ROWS.
        header_row: the row that the operator sees the header in; 1 unless blank rows or a report's title stand above it.
        above: the rows above the header that are not blank: their numbers and their cells.
        encoding, separator, line_end, quotes_all: of a CSV; the first three have the usual values for a workbook.
        names_separator: whether a CSV begins with a line such as `sep=;`, which no spreadsheet program counts as a row.
        sheet: name of the worksheet that was read; None for a CSV.
        other_sheets: names of further visible worksheets that hold something and were not read.
        first_column: blank columns to the left of the header in a worksheet.
        made_for: the marker of an example file, if it is still there.
    """

    format: Format
    header: tuple[str, ...]
    header_row: int = 1
    encoding: Encoding = "utf-8"
    separator: str = ","
    line_end: str = "\r\n"
    quotes_all: bool = False
    sheet: str | None = None
    first_column: int = 0
    made_for: MadeFor | None = None
    above: tuple[tuple[int, tuple[str, ...]], ...] = ()
    names_separator: bool = False
    other_sheets: tuple[str, ...] = ()

    @property
    def older_encoding(self) -> str | None:
        """Its encoding, if that was only told by its letters; the code pages of Windows by the name that people know."""
        return self.encoding.replace("cp125", "Windows-125") if is_legacy(self.encoding) else None

    def to_json(self) -> str:
        """As text, to keep beside the rows."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Layout:
        """The layout that `to_json` wrote."""
        content = json.loads(text)
        made_for = content.pop("made_for")
        return cls(
            header=tuple(content.pop("header")),
            above=tuple((row, tuple(cells)) for row, cells in content.pop("above", ())),
            other_sheets=tuple(content.pop("other_sheets", ())),
            made_for=MadeFor(**made_for) if made_for else None,
            **content,
        )
