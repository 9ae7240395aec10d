"""Keeping files by key, on this machine or wherever fsspec reaches."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import fsspec

from domain.errors import NotFound, SettingsProblem

_PART = ".part-"
"""Begins the name of a file that is still being written."""


class Storage:
    """Files under one base address; a key is a relative path with `/` between its parts."""

    def __init__(self, base: str) -> None:
        """Reach the base, a local path or any fsspec address such as `s3://bucket/folder`."""
        try:
            self._files, self._base = fsspec.core.url_to_fs(base)
        except (ValueError, ImportError) as fault:
            raise SettingsProblem(
                f"BULK_SENDER_STORAGE_URL is {base!r}, which cannot be reached ({fault}). Correct it or install what it needs."
            ) from fault
        self._is_local = "file" in (
            self._files.protocol if isinstance(self._files.protocol, tuple) else (self._files.protocol,)
        )

    def put(self, key: str, source: Path) -> str:
        """Keep a copy of a local file under `key`, in place of any that was there; whole or not at all.

        Returns:
            The key.
        """
        if self._is_local:
            target = Path(self._path(key))
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=target.parent, prefix=_PART, delete=False) as part:
                pass
            shutil.copyfile(source, part.name)
            Path(part.name).replace(target)
        else:
            self._files.put_file(str(source), self._path(key))
        return key

    @contextmanager
    def local(self, key: str) -> Iterator[Path]:
        """The kept file as a local path, for as long as the block lasts; not to be written to.

        Raises:
            NotFound: nothing is kept under that key.
        """
        if self._is_local:
            path = Path(self._path(key))
            if not path.exists():
                raise NotFound(f"The kept file {key} is missing from the storage. Restore it from a backup.")
            yield path
            return
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / PurePosixPath(key).name
            try:
                self._files.get_file(self._path(key), str(copy))
            except FileNotFoundError as fault:
                raise NotFound(f"The kept file {key} is missing from the storage. Restore it from a backup.") from fault
            yield copy

    def remove(self, folder: str) -> None:
        """Remove everything whose key begins with `folder/`; nothing there is no error."""
        if self._files.exists(self._path(folder)):
            self._files.rm(self._path(folder), recursive=True)

    def folders(self, folder: str) -> list[str]:
        """The names of the folders directly below one; none where nothing was kept there."""
        return self._below(folder, "directory")

    def files(self, folder: str) -> list[str]:
        """The names of the files directly in a folder; none where nothing was kept there."""
        return self._below(folder, "file")

    def is_older(self, folder: str, than: datetime) -> bool:
        """Whether everything below a folder was written before that moment."""
        if self._is_local:
            top = Path(self._path(folder))
            return all(path.lstat().st_mtime < than.timestamp() for path in (top, *top.rglob("*")))
        changed = [self._files.modified(path) for path in self._files.find(self._path(folder))]
        return all((one if one.tzinfo else one.replace(tzinfo=UTC)) < than for one in changed)

    def remove_parts(self, before: datetime) -> int:
        """Remove files that a killed process was writing; gives how many there were. A bucket has none."""
        if not self._is_local:
            return 0
        found = [part for part in Path(self._base).rglob(f"{_PART}*") if part.is_file()]
        dead = [part for part in found if part.lstat().st_mtime < before.timestamp()]
        for part in dead:
            part.unlink(missing_ok=True)
        return len(dead)

    def _below(self, folder: str, kind: str) -> list[str]:
        try:
            entries = self._files.ls(self._path(folder), detail=True)
        except FileNotFoundError:
            return []
        return sorted(entry["name"].rstrip("/").rsplit("/", 1)[-1] for entry in entries if entry["type"] == kind)

    def _path(self, key: str) -> str:
        parts = PurePosixPath(key).parts
        if not parts or ".." in parts or PurePosixPath(key).is_absolute():
            message = "a storage key is a relative path without .."
            raise ValueError(message)
        return f"{self._base}/{key}"
