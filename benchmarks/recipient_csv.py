"""Reading and checking a list beside GOV.UK Notify's RecipientCSV: `python -m benchmarks.recipient_csv --notifications-utils PATH`.

PATH is the folder that `notifications_utils` is imported from, such as the site-packages of an environment of this
Python in which github.com/alphagov/notifications-utils is installed; without it the package must be installed here.
Both read the same file from disk and find every bad row; neither does so for the first time.
"""

from __future__ import annotations

import importlib
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.check import ROOMY, beginning
from benchmarks.measure import Comparison, Job, Missing, main
from domain.columns import recognise, titles
from domain.processes import ProcessDefinition, read_definition
from domain.validation import judge
from files.reading import read

CONTENT = "Dear ((first name)), your policy ((policy number)) renews on ((renewal date))."
OURS = CONTENT.replace("((", "{{ ").replace("))", " }}").replace("first name", "first_name")
OURS = OURS.replace("policy number", "policy_number").replace("renewal date", "renewal_date") + " {{ link }}"
TITLES = {"email": "email address", "phone": "phone number"}
"""Of the list -> what Notify asks for."""
OUTPUTS = {
    "email": f'{{email: {{from: Acme <post@acme.example>, subject: "Renewal", text: "{OURS}", html: "{OURS}"}}}}',
    "sms": f'{{sms: {{from: "+15005550006", text: "{OURS}"}}}}',
}
ITEMS = {"email": "{name: email_address, type: email}", "sms": "{name: phone_number, type: phone}"}


def _definition(channel: str) -> ProcessDefinition:
    """The same columns and the same text as Notify's template; all values are texts there, so they are here."""
    return read_definition(
        f"""
key: renewal
name: Renewal
default_region: GB
data_items:
  - {{name: first_name, type: text, required: true}}
  - {{name: policy_number, type: text, required: true}}
  - {{name: renewal_date, type: text, required: true}}
  - {ITEMS[channel]}
workflow:
  - phase: start
    output: {OUTPUTS[channel]}
""",
        name="renewal.yaml",
    )


def _with_titles(path: Path) -> Path:
    """The list as Notify wants it: one address in a hundred is wrong, and none is of a kind that only one of both takes."""
    target = path.with_name("notify.csv")
    cells = pl.read_csv(path, infer_schema=False).with_columns(
        pl.col("email").str.replace("ä", "a"), pl.col("phone").str.replace(r" ext\. .*", "")
    )
    cells.rename({name: TITLES.get(name, name.replace("_", " ")) for name in cells.columns}).write_csv(target)
    return target


def _ours(path: Path, *, channel: str) -> Job:
    source, definition = _with_titles(path), _definition(channel)
    small = beginning(source)

    def check(source: Path = source) -> int:
        table = read(source, file_name=source.name, limits=ROOMY, titles=titles(definition), with_others=False)
        columns = recognise(table.layout.header, definition, file_name=source.name)
        recipients = judge(table.rows, columns, definition).recipients
        return recipients.height - int(recipients["valid"].sum())

    check(small)
    return Job(check)


def _notify(path: Path, *, channel: str) -> Job:
    source = _with_titles(path)
    recipient_csv, template = _package(), _template(channel)

    def check(source: Path = source) -> int:
        rows = recipient_csv(source.read_text(encoding="utf-8"), template=template, allow_international_sms=True)
        return sum(1 for _ in rows.rows_with_errors)

    check(beginning(source))
    return Job(check)


def _package() -> Any:  # noqa: ANN401  a package that may not be there
    if folder := os.environ.get("NOTIFICATIONS_UTILS"):
        sys.path.append(folder)
    try:
        return importlib.import_module("notifications_utils.recipients").RecipientCSV
    except ImportError as fault:
        raise Missing(
            f"notifications_utils cannot be imported ({fault}); name its folder with --notifications-utils."
        ) from fault


def _template(channel: str) -> Any:  # noqa: ANN401  same
    templates = importlib.import_module("notifications_utils.template")
    kind = templates.HTMLEmailTemplate if channel == "email" else templates.SMSMessageTemplate
    return kind({"content": CONTENT, "subject": "Renewal", "template_type": channel})


COMPARISONS = tuple(
    Comparison(
        f"read + check, {channel}",
        partial(_ours, channel=channel),
        partial(_notify, channel=channel),
        "RecipientCSV",
        at_least=goal,
        bare_rows=100_000,
    )
    for channel, goal in (("email", 50), ("sms", 100))
)

if __name__ == "__main__":
    main("benchmarks.recipient_csv")
