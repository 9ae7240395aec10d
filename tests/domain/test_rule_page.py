"""The page of the rules is what their table gives."""

from __future__ import annotations

from pathlib import Path

from domain.rule_page import page
from domain.rules import RULES, SUPPRESSED, Severity

PAGE = Path(__file__).parents[2] / "docs" / "rules.md"


def test_the_page_says_what_the_table_says() -> None:
    """Else run docs/write_rules.py."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_rule_has_its_line_with_what_it_means_for_the_row() -> None:
    lines = [line for line in page().splitlines() if line.startswith("| `")]

    means = {Severity.ERROR: "not sent", Severity.WARNING: "sent"}
    assert [tuple(line.split(" | ")[place] for place in (0, 2)) for line in lines] == [
        (f"| `{rule.code}`", means[rule.severity]) for rule in (*RULES, SUPPRESSED)
    ]


def test_no_sentence_is_left_with_a_gap() -> None:
    assert "{" not in page()
