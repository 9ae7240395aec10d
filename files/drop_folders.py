"""Folders in which people or programs drop files, on this machine or wherever fsspec reaches.

Below the base there is one folder a key; in it, `.taken` holds what is being worked on, `done` and `failed` what
is over. A file is taken by renaming it to a name that nobody else chooses, so that a new file of the same name
is another one. On this machine that is one step; in a bucket it is a copy and a removal, and two who take the
same file at once both have it: whoever uses it must know it again by its name, its time and its content.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import fsspec

from domain.errors import SettingsProblem
from files.fetching import clean_name

TAKEN, DONE, FAILED = ".taken", "done", "failed"
_UNFINISHED = (".part", ".partial", ".filepart", ".tmp", ".temp", ".crdownload", ".download", ".swp", ".reason.txt")
_HIDDEN = (".", "~$")
_AS_TAKEN = re.compile(r"(\d{1,20})-([0-9a-f]{12})-(.+)", re.DOTALL)
_MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class Dropped:
    """One file that was dropped.

    Attributes:
        key: of the folder.
        path: where it is now.
        name: what it is called, harmless as a file name.
        size: in bytes.
        changed: when it was last written to, in microseconds; as it was before it was taken.
        token: under which it was taken; None as long as it was not.
        is_link: whether it only points somewhere else.
    """

    key: str
    path: str
    name: str
    size: int
    changed: int
    token: str | None = None
    is_link: bool = False


class DropFolders:
    """The folders below one base."""

    def __init__(self, base: str) -> None:
        """Reach the base, a local path or any fsspec address such as `s3://bucket/folder`.

        Raises:
            SettingsProblem: it cannot be reached.
        """
        try:
            self._files, root = fsspec.core.url_to_fs(base)
        except (ValueError, ImportError) as fault:
            raise SettingsProblem(
                f"BULK_SENDER_INBOX_URL is {base!r}, which cannot be reached ({type(fault).__name__}). Correct it or install what it needs."
            ) from fault
        self._root = root.rstrip("/")
        protocol = self._files.protocol
        self._is_local = "file" in (protocol if isinstance(protocol, tuple) else (protocol,))

    def prepare(self, keys: Iterable[str]) -> None:
        """Make the folder of each key, so that people see where to drop; a bucket has no folders."""
        if self._is_local:
            for key in keys:
                Path(self._root, key).mkdir(parents=True, exist_ok=True)

    def look(self, key: str, *, unchanged_since: datetime) -> list[Dropped]:
        """Files of a folder that nobody has written to since then, those first that were taken and not done with.

        Left out are hidden files, and those whose names say that they are being written.
        """
        latest = int(unchanged_since.timestamp() * _MICRO)
        found = []
        for entry, changed in self._entries(f"{self._root}/{key}/{TAKEN}"):
            parts = _AS_TAKEN.fullmatch(_name(entry))
            if parts and changed <= latest:
                found.append(self._dropped(key, entry, parts[3], changed=int(parts[1]), token=parts[2]))
        for entry, changed in self._entries(f"{self._root}/{key}"):
            name = _name(entry)
            if name.startswith(_HIDDEN) or name.lower().endswith(_UNFINISHED):
                continue
            if changed <= latest:
                found.append(self._dropped(key, entry, name, changed=changed, token=None))
        return found

    def take(self, dropped: Dropped) -> Dropped | None:
        """Take a file, so that nobody else works on it; None if somebody has, or it is still being written."""
        if dropped.token is not None:
            return dropped
        token = secrets.token_hex(6)
        path = f"{self._root}/{dropped.key}/{TAKEN}/{dropped.changed}-{token}-{dropped.name}"
        try:
            self._move(dropped.path, path)
            now = {"size": dropped.size, "name": path} if dropped.is_link else self._files.info(path)
        except FileNotFoundError:
            return None
        # In a bucket a copy has a time of its own.
        if now["size"] != dropped.size or (self._is_local and self._changed(now) != dropped.changed):
            return None
        return Dropped(dropped.key, path, dropped.name, dropped.size, dropped.changed, token, dropped.is_link)

    def copy(self, taken: Dropped, to: Path) -> bool:
        """Copy a file that was taken, unless somebody else was done with it first; a link is never followed."""
        try:
            source = self._open(taken.path)
        except FileNotFoundError:
            return False
        with source, to.open("wb") as target:
            shutil.copyfileobj(source, target, 1024 * 1024)
        return True

    def finish(self, taken: Dropped, folder: str, *, reason: str | None = None) -> None:
        """Put a file that was taken into `done` or `failed`, there with the reason beside it; never over another."""
        place = f"{self._root}/{taken.key}/{folder}"
        target = f"{place}/{taken.name}"
        if self._files.exists(target):
            name = Path(taken.name)
            target = f"{place}/{name.stem}-{taken.token}{name.suffix}"
        if reason is not None:
            self._write(f"{target}.reason.txt", reason + "\n")
        try:
            self._move(taken.path, target)
        except FileNotFoundError:  # somebody else was done with it first
            if reason is not None and not self._files.exists(target):
                self._files.rm_file(f"{target}.reason.txt")

    def _entries(self, folder: str) -> list[tuple[dict[str, Any], int]]:
        """Files of a folder by name, each with when it was last written to; not those that somebody takes meanwhile."""
        try:
            self._files.invalidate_cache()
            entries = self._files.ls(folder, detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return []
        found = []
        for entry in sorted((one for one in entries if one["type"] == "file" or one.get("islink")), key=_name):
            with suppress(FileNotFoundError):
                found.append((entry, self._changed(entry)))
        return found

    def _dropped(self, key: str, entry: dict[str, Any], name: str, *, changed: int, token: str | None) -> Dropped:
        return Dropped(
            key, entry["name"], clean_name(name), int(entry["size"] or 0), changed, token, bool(entry.get("islink"))
        )

    def _changed(self, entry: dict[str, Any]) -> int:
        if self._is_local:
            return os.lstat(entry["name"]).st_mtime_ns // 1000
        changed: datetime = self._files.modified(entry["name"])
        aware = changed if changed.tzinfo is not None else changed.replace(tzinfo=UTC)
        return int(aware.timestamp() * _MICRO)

    def _move(self, source: str, target: str) -> None:
        if not self._is_local:
            self._files.mv(source, target)
            return
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        Path(source).rename(target)

    def _open(self, path: str) -> IO[bytes]:
        if not self._is_local:
            opened: IO[bytes] = self._files.open(path, "rb")
            return opened
        return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")

    def _write(self, path: str, text: str) -> None:
        """Write a whole text, in place of whatever lies there, a link among others."""
        if not self._is_local:
            self._files.pipe_file(path, text.encode())
            return
        folder = Path(path).parent
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder, prefix=".", delete=False, encoding="utf-8") as part:
            part.write(text)
        Path(part.name).replace(path)


def _name(entry: dict[str, Any]) -> str:
    return str(entry["name"]).rstrip("/").rsplit("/", 1)[-1]
