"""Write the page of the rules anew: `.venv/bin/python docs/write_rules.py`."""
# ruff: noqa: INP001  a script beside the documents, no package

from __future__ import annotations

from pathlib import Path

from domain.rule_page import page

if __name__ == "__main__":
    Path(__file__).with_name("rules.md").write_text(page(), encoding="utf-8")
