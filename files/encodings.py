"""Telling in which encoding a text is, or that it is none; a wrong guess would write to people in garbled letters."""

from __future__ import annotations

import codecs
import io
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from domain.errors import FileErrorCode, FileProblem
from files.layouts import Encoding
from files.legacy_encodings import known_encoding

PIECE = 2**16
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
    rb"\s*<(?:!doctype|!--|\?xml|html|head|body|meta|style|script|table|div|(?:\w+:)?workbook)\b"
    rb"|\s*<[a-z_][\w:.-]*(?:\s[^<>]*)?/?>\s*<[a-z/!]|MIME-Version:",
    re.IGNORECASE,
)
NOT_A_TABLE = re.compile(
    rb"\s*(?:\{\\rtf|%PDF-|\{\s*\"|\[\s*[\[{\"])|TABLE\s+0,1\s|ID;P[A-Z]*(?:;[A-Z])*\s+[A-Z]{1,2};"
)
"""Rich text, PDF, JSON, and the older exchange formats DIF and SYLK."""
SHIFTED = re.compile(rb"\x1b[$(&]|~\{(?:[!-}][!-~])+~\}")
"""How ISO-2022 and its like, and HZ, change to other letters in the middle of what looks like ASCII."""
ESCAPE = b"\x1b"
END_OF_FILE = b"\x1a"
QUOTE = b'"'
DOUBLED_RETURN = b"\r\r\n"
NUL = b"\x00"
LINE_END = re.compile(rb"\r\n|\r|\n")
SAVE_AS_UTF8 = "Save it as CSV UTF-8 (in Excel: Save As, CSV UTF-8), or as .xlsx."


@dataclass(frozen=True, slots=True)
class Text:
    """A file's content as UTF-8, and what it was before.

    Attributes:
        source: where to read it: the file itself, with its mark, or the bytes where they had to be changed.
        skipped: bytes of the mark at the beginning of the file.
        beginning: its first bytes without the mark.
        encoding: of the file.
        line_end: the first outside quotes.
        quoted: whether it has quotes.
        returns: how many carriage returns it has.
        pairs: how many of them have a line feed after them.
    """

    source: Path | bytes
    skipped: int
    beginning: bytes
    encoding: Encoding
    line_end: str
    quoted: bool
    returns: int
    pairs: int

    def whole(self) -> bytes:
        """All of it in memory, without the mark."""
        return self.source.read_bytes()[self.skipped :] if isinstance(self.source, Path) else self.source

    def count(self, pattern: bytes) -> int:
        """How often a pattern stands in it; at most its last byte may be a line feed."""
        return sum(piece.count(pattern) for piece in pieces(self.source))


def pieces(source: Path | bytes) -> Iterator[bytes]:
    """Whole lines of about 64 KiB: small enough to be looked at where they are, without the memory of a whole file."""
    with source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as file:
        while piece := file.read(PIECE):
            yield piece if piece.endswith(b"\n") else piece + file.readline()


def as_text(path: Path, *, file_name: str) -> Text:
    """Find UTF-8 with or without a mark, or UTF-16 with one or where it can be nothing else.

    Of UTF-8 only the beginning is decoded: who reads the rest will see whether it is what it seems to be.

    Raises:
        FileProblem: NOT_CSV_OR_EXCEL when it is no table of text, UNREADABLE when it is in another encoding.
    """
    with path.open("rb") as file:
        beginning = file.read(LOOKED_AT)
        file.seek(max(0, path.stat().st_size - 1))
        ending = file.read()
    mark, encoding = next(
        ((mark, name) for mark, name in BOMS if beginning.startswith(mark)), (b"", _unmarked(beginning))
    )
    source: Path | bytes = path
    if encoding in UTF_16:
        source = _from_utf16(path.read_bytes()[len(mark) :], encoding, file_name=file_name).removesuffix(END_OF_FILE)
    elif ending == END_OF_FILE:
        source = path.read_bytes()[len(mark) :].removesuffix(END_OF_FILE)
    text = _looked_at(source, skipped=len(mark) if source is path else 0, encoding=encoding, file_name=file_name)
    if text.returns == 2 * text.pairs > 0 and text.count(b"\n") == text.count(DOUBLED_RETURN) == text.pairs:
        source = text.whole().replace(DOUBLED_RETURN, b"\r\n")
        return _looked_at(source, skipped=0, encoding=encoding, file_name=file_name)
    return text


def _looked_at(source: Path | bytes, *, skipped: int, encoding: Encoding, file_name: str) -> Text:
    """One pass over all bytes."""
    quoted, returns, pairs = False, 0, 0
    first = beginning = b""
    for piece in pieces(source):
        if not first:
            first, beginning = piece, piece[skipped : skipped + LOOKED_AT]
            _refuse_what_is_no_table(beginning, file_name=file_name)
        if NUL in piece:
            raise _no_table(file_name)
        if (ESCAPE in piece or piece is first) and SHIFTED.search(piece):
            raise FileProblem(
                FileErrorCode.UNREADABLE, f"{file_name} is in an encoding other than UTF-8. {SAVE_AS_UTF8}"
            )
        if b"\r" in piece:
            returns += piece.count(b"\r")
            pairs += piece.count(b"\r\n")
        quoted = quoted or QUOTE in piece
    return Text(
        source=source,
        skipped=skipped,
        beginning=beginning,
        encoding=encoding,
        line_end=_line_end(beginning),
        quoted=quoted,
        returns=returns,
        pairs=pairs,
    )


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


def _refuse_what_is_no_table(beginning: bytes, *, file_name: str) -> None:
    if MARKUP.match(beginning):
        raise FileProblem(
            FileErrorCode.NOT_CSV_OR_EXCEL,
            f"{file_name} is a web page or XML, whatever its name says. Open it in Excel and save it as .xlsx.",
        )
    if NOT_TEXT.search(beginning) or NOT_A_TABLE.match(beginning):
        raise _no_table(file_name)


def _no_table(file_name: str) -> FileProblem:
    return FileProblem(
        FileErrorCode.NOT_CSV_OR_EXCEL,
        f"{file_name} is neither a CSV file nor an Excel workbook. Save the list as .xlsx or as CSV UTF-8.",
    )


class NotUtf8(FileProblem):
    """A text with a letter that UTF-8 has not; it may be in an older encoding."""


def in_utf8(text: Text, fault: NotUtf8, *, file_name: str) -> Text:
    """A text in an older encoding, in UTF-8.

    Raises:
        NotUtf8: the fault, where it is not certain which one it is.
    """
    encoding = known_encoding(pieces(text.source))
    if encoding is None:
        raise fault
    try:
        source = text.whole().decode(encoding).encode()
    except UnicodeError:
        raise fault from None
    return _looked_at(source, skipped=0, encoding=encoding, file_name=file_name)


def refuse_what_is_not_utf8(text: Text, *, file_name: str) -> None:
    """Decode piece by piece: a whole text with one emoji takes four times its bytes."""
    start = 0
    for piece in pieces(text.source):
        try:
            piece.decode()
        except UnicodeDecodeError as fault:
            row = _row_at(text.whole()[: start + fault.start - text.skipped])
            raise NotUtf8(
                FileErrorCode.UNREADABLE,
                f"{file_name} is not in UTF-8: row {row} has a letter that cannot be read. {SAVE_AS_UTF8}",
            ) from fault
        start += len(piece)


def _row_at(before: bytes) -> int:
    """In which row a text goes on; a line end between quotes begins none."""
    return 1 + sum(len(LINE_END.findall(part)) for part in before.split(QUOTE)[::2])


def _line_end(body: bytes) -> str:
    """The first line end outside quotes; CRLF where there is none."""
    quotes = start = 0
    for end in LINE_END.finditer(body, 0, LOOKED_AT):
        quotes += body.count(b'"', start, end.start())
        start = end.end()
        if quotes % 2 == 0:
            return end[0].decode()
    return "\r\n"
