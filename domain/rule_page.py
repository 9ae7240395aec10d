"""The rules as a page for operators, made from their table."""

from __future__ import annotations

from collections.abc import Iterable
from string import Formatter

from domain.processes import ItemType
from domain.rules import RULES, SUPPRESSED, Rule, Severity
from domain.words import FALSE_WORDS, MONTHS, TRUE_WORDS

SHOWN = {
    "item": "*column*",
    "date": "2030-01-31 (or in the process's own format)",
    "phone": "an international number",
    "choices": "*the choices*",
    "no_address": "No address of the process's channels",
}
"""What stands in a sentence for what is filled in."""
MEANS = {Severity.ERROR: "not sent", Severity.WARNING: "sent"}

HEAD = """\
# How rows are judged

Made from the table in `domain/rules.py` by `docs/write_rules.py`; change it there.

A row with a problem that says *not sent* gets nothing; all its problems are named at once, so that it is corrected once.
A row whose problems all say *sent* goes out. `batch check` and the batch show how many rows have each problem, and the
first of them; `--rows` names them row by row, by their code.

| code | looks at | the row is | sentence |
|---|---|---|---|
"""

TAIL = """
## How cells are read

What a cell means is never guessed. White space around it does not count.

| type | understood | not understood, because it could mean two things |
|---|---|---|
| text | whatever it is | |
| email | what email-validator takes, in its spelling; nothing is looked up in DNS | |
| phone | what phonenumbers calls valid, in E.164; without a country code, as dialled in the process's region | `447400123456.0`, `4.47E+11` |
| date | ISO 8601 (`2030-01-31`, `2030/1/31`, `20300131`), the process's own `format`, a serial number of Excel of five digits (`47514`), the month by its name (`31 January 2030`) with a year of four digits; a time after it is left out | `01/02/2030`, unless it is the process's own format; `31.01.30` |
| number | digits with a point (`1234.5`), with a decimal comma (`12,5`), with thousands (`1,234.50`, `1.234,50`, `1 234,50`, `1'234.50`, `1,234,567`), with a percent sign, which is kept (`25%`) | `1,234`; and `1.234` in a column with decimal commas |
| boolean | yes: {true}; no: {false} | |
| choice | one of the process's choices, whatever its case and spaces | what is like two of them |

Months have their names in English, German, French, Spanish, Portuguese, Italian and Dutch, in full or short: {months}.

Where an address is missing people write `n/a`, `none`, `keine`, `-` or `0000`: such a cell counts as empty. An address that
is well formed and plainly nobody's, such as `noemail@noemail.com`, keeps its verdict and gets a warning.

A CSV is best saved as CSV UTF-8, which can be nothing else; UTF-16 is read too. In the older encodings of single countries
(Windows-1252, Windows-1255, Shift-JIS and thirty more) the same bytes are other letters in each. Such a file is read where its
words make sense in one of them only, as a list of twenty names nearly always does, and refused where they may be others.

Column titles are compared without case, spaces, `_`, `-` and invisible characters. Columns that are no data item are kept to
the result file and said; two columns for one data item, or none for a required one, and the file is refused with the reason.
"""


def page() -> str:
    """The whole page in Markdown."""
    rows = "".join(f"{_line(rule)}\n" for rule in (*RULES, SUPPRESSED))
    words = {"true": _code(TRUE_WORDS), "false": _code(FALSE_WORDS), "months": ", ".join(MONTHS)}
    return HEAD + rows + TAIL.format(**words)


def _line(rule: Rule) -> str:
    fields = {name for _, name, _, _ in Formatter().parse(rule.sentence) if name}
    sentence = rule.sentence.format(**{name: SHOWN[name] for name in fields})
    return f"| `{rule.code}` | {_scope(rule.types)} | {MEANS[rule.severity]} | {sentence} |"


def _scope(types: frozenset[ItemType]) -> str:
    """In the order in which types are listed everywhere."""
    if not types:
        return "the whole row"
    return "every type" if types == set(ItemType) else ", ".join(kind.value for kind in ItemType if kind in types)


def _code(words: Iterable[str]) -> str:
    return " ".join(f"`{word}`" for word in words)
