"""Getting a recipient file from where a person says it is: a path, a web address, or wherever else fsspec reaches.

Whoever names the place is trusted to name a file of theirs, not one of ours: neither the data folder nor what
only this machine can ask (a cloud's metadata) is read, and no answer is larger or slower than the limits.
"""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import unquote, urlsplit

import fsspec
import httpx

from domain.errors import FileErrorCode, FileProblem, NotAllowed, NotFound

_PIECE = 1024 * 1024
_READ_SECONDS = 15.0
_REDIRECTS = 5
_HARMFUL = re.compile(r"[\x00-\x1f\x7f-\x9f/\\\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What leads to another folder, breaks a line, turns the direction of reading, or is no text."""
_UNNAMED = "upload"
_NAME_BYTES = 150
"""Of a name without its ending, so that there is room for more before it."""
_LINK_LOCAL = "It lies in this machine's own network segment, where only its provider answers."


def fetch(address: str, folder: Path, *, limit_bytes: int, limit_seconds: float, never_in: Path) -> tuple[Path, str]:
    """Copy a file into a folder.

    Args:
        address: an absolute path of this machine, `https://…`, or any address that fsspec knows.
        folder: where to write it.
        limit_bytes: how large it may be.
        limit_seconds: how long all of it may take.
        never_in: the folder of this machine that it may not lie in.

    Returns:
        The copy, and what the file is called, harmless as a file name.

    Raises:
        NotFound: nothing is there, or it does not answer.
        NotAllowed: it is no address that may be read.
        FileProblem: it is too large, or too slow.
    """
    address = address.strip()
    try:
        parts = urlsplit(address) if "://" in address else None
    except ValueError as fault:
        raise NotAllowed("That is no address that can be read. Check how it is written.") from fault
    scheme = parts.scheme if parts else ""
    name = clean_name(unquote(PurePosixPath(parts.path).name) if parts else Path(address).name)
    copy = folder / f"fetched{Path(name).suffix.lower()[:10]}"
    pace = _Pace(limit_bytes, limit_seconds)
    if "::" in address.split("?")[0]:  # one protocol inside another, past these limits
        raise NotAllowed("The address joins several protocols by ::. Give the address of the file itself.")
    with copy.open("wb") as into:
        if scheme in {"http", "https"}:
            _from_web(address, into, pace)
        elif scheme:
            _from_elsewhere(address, scheme, into, pace)
        else:
            _from_here(Path(address), into, pace, never_in=never_in.resolve())
    return copy, name


def clean_name(name: str) -> str:
    """A file's name without what could lead elsewhere or break a line; never empty, and clean names stay as they are."""
    while (cleaned := _cleaner(name)) != name:
        name = cleaned
    return name


def _cleaner(name: str) -> str:
    plain = Path(_HARMFUL.sub("_", name).strip(" ."))
    stem = plain.stem.encode()[:_NAME_BYTES].decode(errors="ignore")
    return f"{stem}{plain.suffix[:10]}" or _UNNAMED


class _Pace:
    """What is left of the limits."""

    def __init__(self, limit_bytes: int, limit_seconds: float) -> None:
        self._bytes, self._seconds = limit_bytes, limit_seconds
        self._taken, self._deadline = 0, time.monotonic() + limit_seconds

    def announced(self, size: int | None) -> None:
        """Its size was said beforehand."""
        if size is not None and size > self._bytes:
            raise self._too_large()

    def taken(self, size: int) -> None:
        """So many bytes more were read."""
        self._taken += size
        if self._taken > self._bytes:
            raise self._too_large()
        if time.monotonic() > self._deadline:
            raise FileProblem(
                FileErrorCode.TOO_LARGE,
                f"The file did not arrive within {self._seconds:.0f} seconds. Put it nearer, or upload it in the web screen.",
            )

    def _too_large(self) -> FileProblem:
        return FileProblem(
            FileErrorCode.TOO_LARGE,
            f"The file is larger than {self._bytes // _PIECE} MB. Split it, or raise BULK_SENDER_UPLOAD_MEGABYTES.",
        )


def _from_web(address: str, into: IO[bytes], pace: _Pace) -> None:
    where = urlsplit(address).hostname or "that address"
    try:
        with (
            httpx.Client(timeout=_READ_SECONDS, max_redirects=_REDIRECTS) as client,
            _answer(client, address) as answer,
        ):
            length = answer.headers.get("Content-Length", "")
            pace.announced(int(length) if length.isdigit() else None)
            for piece in answer.iter_bytes():
                pace.taken(len(piece))
                into.write(piece)
    except httpx.TimeoutException as fault:
        raise NotFound(
            f"{where} does not answer in {_READ_SECONDS:.0f} seconds. Try again, or upload the file."
        ) from fault
    except (httpx.HTTPError, httpx.InvalidURL) as fault:
        raise NotFound(
            f"{where} cannot be read ({type(fault).__name__}). Check the address, then try again."
        ) from fault


@contextmanager
def _answer(client: httpx.Client, address: str) -> Iterator[httpx.Response]:
    """The answer that redirects lead to, each of them looked at before the next is followed."""
    request = client.build_request("GET", address)
    for _ in range(_REDIRECTS + 1):
        response = client.send(request, stream=True)
        try:
            _refuse_peer(response)
            if response.next_request is None:
                if response.is_error or not response.is_success:
                    raise NotFound(
                        f"{request.url.host} answered {response.status_code}. Check the address and that it needs no sign-in."
                    )
                yield response
                return
            request = response.next_request
            if request.url.scheme not in {"http", "https"}:
                raise NotAllowed(f"{response.url.host} leads to an address that is not on the web.")
        finally:
            response.close()
    raise NotFound(f"{request.url.host} leads in circles. Give the address of the file itself.")


def _refuse_peer(response: httpx.Response) -> None:
    """What answered, by its number: a name may stand for another one from one moment to the next."""
    stream = response.extensions.get("network_stream")
    peer = stream.get_extra_info("server_addr") if stream is not None else None
    if peer is None:
        return
    number = ipaddress.ip_address(str(peer[0]).split("%")[0])
    mapped = getattr(number, "ipv4_mapped", None)
    if (mapped or number).is_link_local:
        raise NotAllowed(f"{response.url.host} may not be read. {_LINK_LOCAL}")


def _from_elsewhere(address: str, scheme: str, into: IO[bytes], pace: _Pace) -> None:
    if scheme in {"file", "local"}:
        raise NotAllowed("Give a file of the worker's machine as a path, such as /data/list.xlsx.")
    try:
        files, path = fsspec.core.url_to_fs(address)
        _refuse_folder(is_folder=files.isdir(path))
        pace.announced(files.size(path))
        with files.open(path, "rb") as source:
            _copy(source, into, pace)
    except (FileProblem, NotFound):
        raise
    except ImportError as fault:
        raise NotAllowed(f"{scheme}:// needs a package that is not installed here ({fault.name or scheme}).") from fault
    except FileNotFoundError as fault:
        raise NotFound(f"There is no such file on {scheme}://. Check the address.") from fault
    except Exception as fault:  # whatever a store's own client raises
        raise NotFound(
            f"{scheme}:// cannot be read ({type(fault).__name__}). Check the address and the worker's rights there."
        ) from fault


def _refuse_folder(*, is_folder: bool) -> None:
    if is_folder:
        raise NotFound("That address is a folder. Give the address of the file itself.")


def _from_here(path: Path, into: IO[bytes], pace: _Pace, *, never_in: Path) -> None:
    if not path.is_absolute():
        raise NotAllowed(
            "The path does not begin at the root. Give a whole path of the worker's machine, or a web address."
        )
    try:
        real = path.resolve(strict=True)
        if real.is_relative_to(never_in):
            raise NotAllowed("That path lies in the data folder of Bulk Sender itself. Give a file of yours.")
        if not real.is_file() or real.is_relative_to("/proc") or real.is_relative_to("/sys"):
            raise NotFound(f"{path} is no file. Give the path of the recipient file.")
        pace.announced(real.stat().st_size)
        with real.open("rb") as source:
            _copy(source, into, pace)
    except (FileNotFoundError, NotADirectoryError) as fault:
        raise NotFound(f"There is no file {path} on the worker's machine. Check the path.") from fault
    except (OSError, ValueError) as fault:
        raise NotFound(f"{path} cannot be read on the worker's machine ({type(fault).__name__}).") from fault


def _copy(source: IO[bytes], into: IO[bytes], pace: _Pace) -> None:
    while piece := source.read(_PIECE):
        pace.taken(len(piece))
        into.write(piece)
