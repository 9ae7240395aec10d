"""Taking in an uploaded file: straight to disk, piece by piece, never more than is allowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

FIELDS_BYTES = 64 * 1024
"""For everything in the form but the file."""
_MOST_FIELDS = 20
_PIECE = 1024 * 1024


class NotTaken(Exception):
    """A body that is not taken in.

    Attributes:
        status: for the answer.
    """

    def __init__(self, status: int, message: str) -> None:
        """Keep the status beside the sentence."""
        super().__init__(message)
        self.status = status


@dataclass
class Received:
    """A form with one file.

    Attributes:
        fields: the others, by name.
        file_name: what the browser calls the file; empty where none was chosen.
        size: its bytes.
    """

    fields: dict[str, str] = field(default_factory=dict)
    file_name: str = ""
    size: int = 0


async def receive(
    request: Request,
    path: Path,
    *,
    into: Received,
    most_bytes: int,
    may_come: Callable[[Mapping[str, str]], None],
) -> None:
    """Read a form of the type multipart/form-data, its one file into `path`.

    Args:
        request: its body was not read yet.
        path: where to write the file.
        into: is filled as the form comes in, so that what came before a refusal is known.
        most_bytes: how large the file may be.
        may_come: is given the fields that stood before the file, and raises what is to be answered where
            nothing of it shall be kept.

    Raises:
        NotTaken: it is too large, broke off, or is no such form.
    """
    said = request.headers.get("content-length", "")
    if said.isdigit() and int(said) > most_bytes + FIELDS_BYTES:
        raise _too_large(most_bytes)
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise NotTaken(422, "That is no upload. Choose a file on the page and upload it there.")
    with path.open("wb") as file:
        form = _Form(options[b"boundary"], file, into, most_bytes=most_bytes, may_come=may_come)
        try:
            async for piece in request.stream():
                form.take(piece)
                if form.has_much:
                    await run_in_threadpool(form.write)
        except ClientDisconnect as fault:
            raise NotTaken(400, "The upload broke off. Upload the file again.") from fault
        await run_in_threadpool(form.end)
    if not into.file_name:
        raise NotTaken(422, "No file was chosen. Choose a CSV or an Excel file, then upload it.")


class _Form:
    """Splits the body into its parts as they come."""

    def __init__(
        self,
        boundary: bytes,
        file: IO[bytes],
        received: Received,
        *,
        most_bytes: int,
        may_come: Callable[[Mapping[str, str]], None],
    ) -> None:
        self.received = received
        self._file, self._most, self._may_come = file, most_bytes, may_come
        self._waiting = bytearray()
        self._name, self._value, self._header = "", bytearray(), (bytearray(), bytearray())
        self._fields_bytes = 0
        self._has_file = self._in_file = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_part_data": self._data,
                "on_part_end": self._end,
                "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
                "on_header_end": self._header_end,
            },
        )

    @property
    def has_much(self) -> bool:
        return len(self._waiting) >= _PIECE

    def take(self, piece: bytes) -> None:
        try:
            self._parser.write(piece)
        except FormParserError as fault:
            raise NotTaken(422, "The upload came in broken. Upload the file again.") from fault

    def write(self) -> None:
        self._file.write(self._waiting)
        self._waiting.clear()

    def end(self) -> None:
        try:
            self._parser.finalize()
        except FormParserError as fault:
            raise NotTaken(422, "The upload broke off. Upload the file again.") from fault
        self.write()

    def _begin(self) -> None:
        self._name, self._in_file = "", False
        self._value.clear()
        if len(self.received.fields) > _MOST_FIELDS:
            raise NotTaken(422, "That form has too many fields.")

    def _header_end(self) -> None:
        name, value = (bytes(part) for part in self._header)
        self._header = (bytearray(), bytearray())
        if name.lower() != b"content-disposition":
            return
        _, options = parse_options_header(value)
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" not in options:
            return
        if self._has_file:
            raise NotTaken(422, "Upload one file at a time.")
        self._has_file = self._in_file = True
        self.received.file_name = options[b"filename"].decode("utf-8", "replace")
        self._may_come(self.received.fields)

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self.received.size += end - start
            if self.received.size > self._most:
                raise _too_large(self._most)
            self._waiting += data[start:end]
            return
        self._fields_bytes += end - start
        if self._fields_bytes > FIELDS_BYTES:
            raise NotTaken(413, "That form is too long.")
        self._value += data[start:end]

    def _end(self) -> None:
        if self._name and not self._in_file:
            self.received.fields[self._name] = self._value.decode("utf-8", "replace")


def _too_large(most_bytes: int) -> NotTaken:
    return NotTaken(
        413,
        f"The file is larger than {most_bytes / 1e6:,.0f} MB, the most that can be uploaded. "
        "Split the list, or delete columns that are not needed.",
    )
