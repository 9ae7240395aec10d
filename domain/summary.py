"""What people are shown of a batch in text: for the approver, in artifacts, on the command line."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from domain.processes import LINK, ProcessDefinition
from domain.rendering import as_read, fill, one_line
from domain.samples import sample_values

SAMPLE_LINK = "https://…/l/…"


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """One kind of problem in a file, with its number and the first rows that have it."""

    message: str
    count: int
    rows: Sequence[int]


@dataclass(frozen=True, slots=True)
class Checked:
    """What is known of a batch once its file was judged."""

    name: str
    process: str
    version: int
    sender: str
    file_name: str
    file_sha256: str
    rows: int
    valid: int
    invalid: int
    warnings: int
    problems: Sequence[ProblemKind]


def check_markdown(checked: Checked) -> str:
    """The check as a page: the file, the counts, the kinds of problems."""
    lines = [
        f"**{escape(checked.name)}** · {escape(checked.process)} (version {checked.version})",
        "",
        f"File {escape(checked.file_name)}, uploaded by {escape(checked.sender)}",
        "",
        "| rows | can be sent | cannot be sent | with a warning |",
        "|---:|---:|---:|---:|",
        f"| {checked.rows:,} | {checked.valid:,} | {checked.invalid:,} | {checked.warnings:,} |",
        "",
    ]
    if checked.problems:
        lines += ["| problem | rows | first rows |", "|---|---:|---|"]
        lines += [
            f"| {escape(kind.message)} | {kind.count:,} | {', '.join(str(row) for row in kind.rows)} |"
            for kind in checked.problems
        ]
    else:
        lines.append("No problem was found.")
    lines += ["", f"SHA-256 of the file: `{checked.file_sha256}`"]
    return "\n".join(lines)


def sample_messages(definition: ProcessDefinition) -> str:
    """The messages of the start phase, filled with made-up values: nothing personal may reach Prefect."""
    samples = sample_values(definition)
    values = {item.name: as_read(item, samples[item.name]) for item in definition.data_items} | {LINK: SAMPLE_LINK}
    start, lines = definition.start, []
    if start.email:
        lines += [
            f"**Email** from {escape(start.email.sender)}",
            "",
            f"Subject: {escape(one_line(fill(start.email.subject, values)))}",
            "",
            _quoted(fill(start.email.text, values)),
            "",
        ]
    if start.sms:
        lines += [f"**SMS** from {escape(start.sms.sender)}", "", _quoted(fill(start.sms.text, values)), ""]
    return "\n".join(lines) or "The start phase of this process sends nothing."


def escape(text: str) -> str:
    """Text from a person, harmless in Markdown and HTML."""
    safe = html.escape(one_line(text), quote=False)
    for sign in "#\\`*_[]|!~":  # its own sign first
        safe = safe.replace(sign, f"&#{ord(sign)};")
    return safe


def _quoted(text: str) -> str:
    return "\n".join(f"> {escape(line)}  " for line in text.strip().splitlines())
