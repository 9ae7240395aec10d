"""The result file, and the file of bad rows, for people who ask for them."""

from __future__ import annotations

from tasks.report import original_or_result, result_name, write_file, write_problems

__all__ = ["original_or_result", "result_name", "write_file", "write_problems"]
