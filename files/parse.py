"""The process in which one hostile file is parsed: `python -m files.parse`, started by `files.reading` only.

Takes the order as JSON on standard input, limits itself, and leaves `layout.json` and `rows.arrow`, or
`problem.json`, in the folder it was given. When it dies, its parent says what that means.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
from pathlib import Path
from typing import Any

LAYOUT, ROWS, PROBLEM = "layout.json", "rows.arrow", "problem.json"


def main() -> None:
    """Parse one file within the limits of the order; without a parent nobody else removes the folder."""
    order = json.load(sys.stdin)
    _limit(memory_bytes=order["limits"]["memory_bytes"], seconds=order["limits"]["seconds"])
    try:
        _parse(order)
    finally:
        if os.getppid() != order["parent"]:
            shutil.rmtree(order["folder"], ignore_errors=True)


def _limit(*, memory_bytes: int, seconds: int) -> None:
    """Before the readers are imported, so that nothing they start escapes."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))


def _parse(order: dict[str, Any]) -> None:
    from domain.errors import FileProblem  # noqa: PLC0415 - after the limits are set
    from files.delimited import read_delimited  # noqa: PLC0415
    from files.layouts import Limits  # noqa: PLC0415
    from files.workbooks import is_workbook, read_workbook  # noqa: PLC0415

    path, folder, file_name = Path(order["path"]), Path(order["folder"]), order["file_name"]
    limits, titles = Limits(**order["limits"]), tuple(order["titles"])
    try:
        with path.open("rb") as file:
            beginning = file.read(8)
        if is_workbook(beginning):
            layout, rows = read_workbook(path, file_name=file_name, limits=limits, titles=titles)
        else:
            layout, rows = read_delimited(path.read_bytes(), file_name=file_name, limits=limits, titles=titles)
    except FileProblem as problem:
        (folder / PROBLEM).write_text(json.dumps({"code": problem.code, "message": str(problem)}), "utf-8")
        return
    rows.write_ipc(folder / ROWS)
    (folder / LAYOUT).write_text(layout.to_json(), "utf-8")


if __name__ == "__main__":
    main()
