"""Printing: tables and sentences for people, JSON for programs, colours only on a terminal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from domain.errors import NotFound

_WIDE = 160


def console() -> Console:
    """Standard output; wide enough for a table where it is no terminal."""
    return Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False, soft_wrap=not sys.stdout.isatty())


def show_json(content: Any) -> None:  # noqa: ANN401  whatever JSON can hold
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(content, ensure_ascii=False, indent=2) + "\n")


def show_table(headings: Sequence[str], rows: Sequence[Sequence[object]], *, title: str | None = None) -> None:
    """A table; texts are shown as they are, whatever signs they hold."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    console().print(table)


def say(text: str) -> None:
    """A sentence for people."""
    console().print(escape(text))


def require_place(path: Path) -> None:
    """Make sure that a file can be written there.

    Raises:
        NotFound: its folder is missing or it is a folder itself.
    """
    if path.is_dir():
        raise NotFound(f"{path} is a folder. Name the file to write in it.")
    if not path.parent.is_dir():
        raise NotFound(f"There is no folder {path.parent}. Make it first.")
    if not os.access(path.parent, os.W_OK):
        raise NotFound(f"The folder {path.parent} cannot be written to. Choose another one.")


def complain(text: str) -> None:
    """A sentence on standard error."""
    sys.stderr.write(text.rstrip() + "\n")
