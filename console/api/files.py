"""Answers that are files: always saved, never shown, under a name that is safe everywhere."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

BYTES = "application/octet-stream"
DOWNLOAD: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file; Content-Disposition says its name.",
        "content": {BYTES: {"schema": {"type": "string", "format": "binary"}}},
    }
}


def download(write: Callable[[Path], tuple[Path, str]]) -> FileResponse:
    """A file that is made for one answer.

    Args:
        write: writes it into the folder that it is given, and says where it is and its name for people.
    """
    folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    try:
        path, name = write(Path(folder.name))
    except BaseException:
        folder.cleanup()
        raise
    return FileResponse(path, filename=name, media_type=BYTES, background=BackgroundTask(folder.cleanup))
