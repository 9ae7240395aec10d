"""The result file for people who ask for it."""

from __future__ import annotations

from tasks.report import result_name, write_file

__all__ = ["result_name", "write_file"]
