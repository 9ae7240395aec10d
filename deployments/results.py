"""The files of a batch for people who ask for them: as it was uploaded, with what became of each row, the bad rows alone."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath

from deployments.surroundings import Surroundings
from models import batches
from tasks.report import original_or_result, result_name, write_file, write_problems

__all__ = ["original", "original_or_result", "problems", "result", "result_name", "write_file", "write_problems"]

Written = tuple[Path, str]
"""Where a file is, and what it is called for people."""


def original(around: Surroundings, batch_id: int, folder: Path) -> Written:
    """The uploaded file, byte by byte."""
    with around.database.read() as session:
        batch = batches.by_id(session, batch_id)
        key, name = batch.upload_key, batch.file_name
    path = folder / "download"
    with around.storage.local(key) as kept:
        shutil.copyfile(kept, path)
    return path, name


def result(around: Surroundings, batch_id: int, folder: Path) -> Written:
    """The file with what is known of each row by now.

    Raises:
        NotAllowed: it could not be read.
    """
    with around.database.read() as session:
        name = result_name(batches.by_id(session, batch_id))
    path = folder / f"download{PurePosixPath(name).suffix}"
    write_file(around, batch_id, path)
    return path, name


def problems(around: Surroundings, batch_id: int, folder: Path) -> Written:
    """The rows that must be corrected, to be uploaded again.

    Raises:
        NotAllowed: there are none.
    """
    with around.database.read() as session:
        name = PurePosixPath(result_name(batches.by_id(session, batch_id)))
    path = folder / f"download{name.suffix}"
    write_problems(around, batch_id, path)
    return path, f"{name.stem.removesuffix('-result')}-problems{name.suffix}"
