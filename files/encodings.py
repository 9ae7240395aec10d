"""Telling in which encoding a text is, or that it is none; a wrong guess would write to people in garbled letters."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from domain.errors import FileErrorCode, FileProblem
from files.layouts import Encoding

PIECE = 2**20
LOOKED_AT = 65_536
MOSTLY = 0.5
BOMS: tuple[tuple[bytes, Encoding], ...] = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
NOT_TEXT = re.compile(rb"[\x01-\x08\x0e-\x1a]")
NOT_A_TABLE = re.compile(rb"\s*(?:<!doctype|<html|<\?xml|<table|\{\\rtf|%PDF-|\{\s*\"|\[\s*[\[{\"])", re.IGNORECASE)
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
    """Decode UTF-8 with or without a mark, or UTF-16 with one.

    Raises:
        FileProblem: NOT_CSV_OR_EXCEL when it is no table of text, UNREADABLE when it is in another encoding.
    """
    mark, encoding = next(((mark, name) for mark, name in BOMS if content.startswith(mark)), (b"", "utf-8"))
    body = content[len(mark) :]
    if encoding.startswith("utf-16"):
        body = _from_utf16(body, encoding, file_name=file_name)
    elif _looks_like_utf16(body):
        raise FileProblem(FileErrorCode.UNREADABLE, f"{file_name} seems to be UTF-16 without its mark. {SAVE_AS_UTF8}")
    _refuse_what_is_no_table(body, file_name=file_name)
    _refuse_what_is_not_utf8(body, file_name=file_name)
    lines = body.count(b"\n")
    if lines and body.count(b"\r\r\n") == lines:
        body = body.replace(b"\r\r\n", b"\r\n")
    return Text(body, encoding, _line_end(body))


def _from_utf16(body: bytes, encoding: str, *, file_name: str) -> bytes:
    try:
        return body.decode(encoding).encode()
    except UnicodeError as fault:
        raise FileProblem(
            FileErrorCode.UNREADABLE, f"{file_name} says that it is UTF-16, but it is damaged. {SAVE_AS_UTF8}"
        ) from fault


def _looks_like_utf16(body: bytes) -> bool:
    """Every second byte of Western text in UTF-16 is NUL."""
    piece = body[:1_000]
    halves = (piece[0::2], piece[1::2])
    shares = sorted(half.count(NUL) / max(len(half), 1) for half in halves)
    return shares[0] == 0 and shares[1] > MOSTLY


def _refuse_what_is_no_table(body: bytes, *, file_name: str) -> None:
    if NUL in body or NOT_TEXT.search(body, 0, LOOKED_AT) or NOT_A_TABLE.match(body):
        raise FileProblem(
            FileErrorCode.NOT_CSV_OR_EXCEL,
            f"{file_name} is neither a CSV file nor an Excel workbook. Save the list as .xlsx or as CSV UTF-8.",
        )


def _refuse_what_is_not_utf8(body: bytes, *, file_name: str) -> None:
    """Decode piece by piece, cut at line feeds: a whole text with one emoji takes four times its bytes."""
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
