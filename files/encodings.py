"""Telling in which encoding a text is, or that it is none; a wrong guess would write to people in garbled letters."""

from __future__ import annotations

import codecs
import re
import unicodedata
from dataclasses import dataclass

from domain.errors import FileErrorCode, FileProblem
from files.layouts import Encoding

PIECE = 2**20
LOOKED_AT = 65_536
MANY = 0.1
"""Letters of ASCII among those of a list in any script: its separators and line ends alone are more."""
BOMS: tuple[tuple[bytes, Encoding], ...] = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
UTF_16: tuple[Encoding, ...] = ("utf-16-le", "utf-16-be")
NO_LETTERS = frozenset({"Cc", "Cn", "Co", "Cs"})
NOT_TEXT = re.compile(rb"[\x01-\x08\x0e-\x1a]")
MARKUP = re.compile(
    rb"\s*<(?:!doctype|!--|\?xml|html|head|body|meta|style|script|table|div|(?:\w+:)?workbook)\b|MIME-Version:",
    re.IGNORECASE,
)
NOT_A_TABLE = re.compile(
    rb"\s*(?:\{\\rtf|%PDF-|\{\s*\"|\[\s*[\[{\"])|TABLE\s+0,1\s|ID;P[A-Z]*(?:;[A-Z])*\s+[A-Z]{1,2};"
)
"""Rich text, PDF, JSON, and the older exchange formats DIF and SYLK."""
ESCAPE = b"\x1b"
SHIFTED = re.compile(rb"\x1b[$(&]")
"""How ISO-2022 and its like change to other letters in the middle of what looks like ASCII."""
END_OF_FILE = b"\x1a"
NUL = b"\x00"
LINE_END = re.compile(rb"\r\n|\r|\n")
SAVE_AS_UTF8 = "Save it as CSV UTF-8 (in Excel: Save As, CSV UTF-8), or as .xlsx."


@dataclass(frozen=True, slots=True)
class Text:
    """A file's content as UTF-8 without a byte order mark, and what it was before."""

    content: bytes
    encoding: Encoding
    line_end: str


def as_text(content: bytes, *, file_name: str) -> Text:
    """Decode UTF-8 with or without a mark, or UTF-16 with one or where it can be nothing else.

    Raises:
        FileProblem: NOT_CSV_OR_EXCEL when it is no table of text, UNREADABLE when it is in another encoding.
    """
    mark, encoding = next(((mark, name) for mark, name in BOMS if content.startswith(mark)), (b"", _unmarked(content)))
    body = content[len(mark) :] if mark else content
    if encoding in UTF_16:
        body = _from_utf16(body, encoding, file_name=file_name)
    body = body.removesuffix(END_OF_FILE)
    _refuse_what_is_no_table(body, file_name=file_name)
    _refuse_what_is_not_utf8(body, file_name=file_name)
    if b"\r" in body and b"\r\r\n" in body and body.count(b"\r\r\n") == body.count(b"\n"):
        body = body.replace(b"\r\r\n", b"\r\n")
    return Text(body, encoding, _line_end(body))


def _unmarked(content: bytes) -> Encoding:
    """UTF-16 where there are NULs and it makes sense in one order of bytes only; else UTF-8, which will show."""
    if NUL not in content:
        return "utf-8"
    sensible: list[Encoding] = [encoding for encoding in UTF_16 if _makes_sense(content, encoding)]
    return sensible[0] if len(sensible) == 1 else "utf-8"


def _makes_sense(content: bytes, encoding: Encoding) -> bool:
    """Whether the beginning is lines of letters; in the wrong order of bytes a line end is no line end."""
    if len(content) % 2:
        return False
    try:
        text = content[:LOOKED_AT].decode(encoding)
    except UnicodeDecodeError as fault:
        if fault.start < min(len(content), LOOKED_AT) - 2:
            return False
        text = content[: fault.start].decode(encoding)
    plain = sum(letter.isascii() for letter in text)
    if not any(end in text for end in "\r\n") or plain < max(2, MANY * len(text)):
        return False
    return not any(unicodedata.category(letter) in NO_LETTERS for letter in set(text) - {"\t", "\r", "\n", "\x1a"})


def _from_utf16(body: bytes, encoding: str, *, file_name: str) -> bytes:
    try:
        return body.decode(encoding).encode()
    except UnicodeError as fault:
        raise FileProblem(
            FileErrorCode.UNREADABLE, f"{file_name} seems to be UTF-16, but it is damaged. {SAVE_AS_UTF8}"
        ) from fault


def _refuse_what_is_no_table(body: bytes, *, file_name: str) -> None:
    if MARKUP.match(body):
        raise FileProblem(
            FileErrorCode.NOT_CSV_OR_EXCEL,
            f"{file_name} is a web page or XML, whatever its name says. Open it in Excel and save it as .xlsx.",
        )
    if NUL in body or NOT_TEXT.search(body, 0, LOOKED_AT) or NOT_A_TABLE.match(body):
        raise FileProblem(
            FileErrorCode.NOT_CSV_OR_EXCEL,
            f"{file_name} is neither a CSV file nor an Excel workbook. Save the list as .xlsx or as CSV UTF-8.",
        )
    if ESCAPE in body and SHIFTED.search(body):
        raise FileProblem(FileErrorCode.UNREADABLE, f"{file_name} is in an encoding other than UTF-8. {SAVE_AS_UTF8}")


def _refuse_what_is_not_utf8(body: bytes, *, file_name: str) -> None:
    """Decode piece by piece, cut at line feeds: a whole text with one emoji takes four times its bytes."""
    if body.isascii():
        return
    start = 0
    while start < len(body):
        end = body.find(b"\n", start + PIECE) + 1 or len(body)
        try:
            body[start:end].decode()
        except UnicodeDecodeError as fault:
            row = _line_number(body, start + fault.start)
            raise FileProblem(
                FileErrorCode.UNREADABLE,
                f"{file_name} is not in UTF-8: row {row} has a letter that cannot be read. {SAVE_AS_UTF8}",
            ) from fault
        start = end


def _line_number(body: bytes, position: int) -> int:
    before = body[:position]
    return 1 + max(before.count(b"\n"), before.count(b"\r"))


def _line_end(body: bytes) -> str:
    """The first line end outside quotes; CRLF where there is none."""
    quotes = start = 0
    for end in LINE_END.finditer(body, 0, LOOKED_AT):
        quotes += body.count(b'"', start, end.start())
        start = end.end()
        if quotes % 2 == 0:
            return end[0].decode()
    return "\r\n"
