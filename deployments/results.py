"""The result file, and the file of bad rows, for people who ask for them."""

from __future__ import annotations

from tasks.report import result_name, write_file, write_problems

__all__ = ["result_name", "write_file", "write_problems"]
