"""Process definitions: the typed data items of a process and what its start phase sends.

A definition is read from YAML; every refusal names the line. Versions, drafts and
production live in `models`, not here: a definition is only its content.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Self

import phonenumbers
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from domain.errors import DefinitionProblem

LINK = "link"
PLACEHOLDER = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
ITEM_NAME = r"^[A-Za-z][A-Za-z0-9_]{0,62}$"


class ItemType(StrEnum):
    """What a data item's cells must hold."""

    TEXT = "text"
    """Any text."""
    EMAIL = "email"
    """An email address, by the rules of email-validator without DNS."""
    PHONE = "phone"
    """A phone number, in E.164 or in the national form of the process's region."""
    DATE = "date"
    """A calendar day."""
    NUMBER = "number"
    """A decimal number."""
    BOOLEAN = "boolean"
    """Yes or no."""
    CHOICE = "choice"
    """One of the listed choices."""


class _Strict(BaseModel):
    """Refuses unknown keys and changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, str_strip_whitespace=True)


class DataItem(_Strict):
    """One column of the recipient file and one pre-filled value of the form."""

    name: Annotated[str, Field(pattern=ITEM_NAME)]
    type: ItemType
    required: bool = False
    choices: tuple[str, ...] = ()
    format: str | None = None
    """For dates: the strptime pattern in which this process's files write a day, beside ISO."""

    @model_validator(mode="after")
    def _choices_fit_type(self) -> Self:
        if self.type is ItemType.CHOICE and not self.choices:
            message = f"the choice {self.name} lists no choices"
            raise ValueError(message)
        if self.type is not ItemType.CHOICE and self.choices:
            message = f"{self.name} lists choices, but its type is {self.type}; use type: choice"
            raise ValueError(message)
        if self.format and self.type is not ItemType.DATE:
            message = f"{self.name} has a format, but its type is {self.type}; only dates have one"
            raise ValueError(message)
        if self.format and not _writes_days(self.format):
            message = (
                f"the format {self.format!r} of {self.name} cannot be read back as a day; write one such as %d.%m.%Y"
            )
            raise ValueError(message)
        return self


def _writes_days(pattern: str) -> bool:
    """Whether a day that is written with `pattern` is the same day when it is read."""
    day = date(2031, 12, 30)
    try:
        return datetime.strptime(day.strftime(pattern), pattern).date() == day  # noqa: DTZ007  a day has no zone
    except ValueError:
        return False


class EmailOutput(_Strict):
    """The email that the start phase sends, with `{{ item }}` placeholders."""

    sender: Annotated[str, Field(alias="from", min_length=3)]
    subject: Annotated[str, Field(min_length=1)]
    text: Annotated[str, Field(min_length=1)]
    html: str | None = None

    def texts(self) -> tuple[str, ...]:
        """Every text of the output in which a placeholder may stand."""
        return (self.subject, self.text, self.html or "")

    def bodies(self) -> tuple[str, ...]:
        """The texts that a person clicks in, each of which must hold the link."""
        return (self.text,) if self.html is None else (self.text, self.html)


class SmsOutput(_Strict):
    """The SMS that the start phase sends, with `{{ item }}` placeholders."""

    sender: Annotated[str, Field(alias="from", min_length=3)]
    text: Annotated[str, Field(min_length=1, max_length=1600)]

    def texts(self) -> tuple[str, ...]:
        """Every text of the output in which a placeholder may stand."""
        return (self.text,)

    def bodies(self) -> tuple[str, ...]:
        """The texts that a person clicks in, each of which must hold the link."""
        return (self.text,)


class Output(_Strict):
    """The communication channels of a phase; a phase may have one, both or none."""

    email: EmailOutput | None = None
    sms: SmsOutput | None = None


class Step(_Strict):
    """One step of the workflow."""

    phase: Annotated[str, Field(min_length=1)]
    output: Output = Output()


class ProcessDefinition(_Strict):
    """One digital process: its data items and its workflow."""

    key: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    name: Annotated[str, Field(min_length=1, max_length=200)]
    default_region: str
    start_url: Annotated[str, Field(pattern=r"^https?://")] | None = None
    right_to_left: bool = False
    data_items: Annotated[tuple[DataItem, ...], Field(min_length=1)]
    workflow: tuple[Step, ...] = ()

    @property
    def start(self) -> Output:
        """What the start phase sends; empty when the workflow has no start phase."""
        return next((step.output for step in self.workflow if step.phase == "start"), Output())

    @property
    def email_item(self) -> DataItem | None:
        """The item that holds a recipient's email address: the first of type email."""
        return self._first(ItemType.EMAIL)

    @property
    def phone_item(self) -> DataItem | None:
        """The item that holds a recipient's phone number: the first of type phone."""
        return self._first(ItemType.PHONE)

    def _first(self, item_type: ItemType) -> DataItem | None:
        return next((item for item in self.data_items if item.type is item_type), None)

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        for complaint in _complaints(self):
            raise ValueError(complaint)
        return self


def _complaints(definition: ProcessDefinition) -> Iterator[str]:
    """What no single field can know is wrong, first things first."""
    if definition.default_region not in phonenumbers.SUPPORTED_REGIONS:
        yield f"default_region {definition.default_region!r} is not a country code such as GB or DE"
    names = [item.name.casefold() for item in definition.data_items]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"two data items are called {name}; rename one"
    if LINK in names:
        yield "a data item may not be called link: that word stands for the personal link"
    if sum(step.phase == "start" for step in definition.workflow) > 1:
        yield "the workflow has two start phases; keep one"
    start = definition.start
    if start.email:
        yield from _output_complaints(definition, start.email, what="an email", item=definition.email_item)
    if start.sms:
        yield from _output_complaints(definition, start.sms, what="an SMS", item=definition.phone_item)


def _output_complaints(
    definition: ProcessDefinition, output: EmailOutput | SmsOutput, *, what: str, item: DataItem | None
) -> Iterator[str]:
    if item is None:
        yield f"the start phase sends {what}, but no data item has an address for it (type email or phone)"
    known = {item.name for item in definition.data_items} | {LINK}
    for text in output.texts():
        for name in PLACEHOLDER.findall(text):
            if name not in known:
                yield f"the placeholder {{{{ {name} }}}} is no data item; known are {', '.join(sorted(known))}"
    if any(LINK not in PLACEHOLDER.findall(body) for body in output.bodies()):
        yield "a text of the start phase has no {{ link }}, so nobody could open the form"


def read_definition(text: str, *, name: str) -> ProcessDefinition:
    """Read a definition from YAML.

    Args:
        text: the YAML document.
        name: what to call it in messages, a file name for example.

    Raises:
        DefinitionProblem: with the line, the key and what is wrong, for the first fault.
    """
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise DefinitionProblem(f"{name}, {where}not valid YAML ({getattr(fault, 'problem', fault)}).") from fault
    if not isinstance(content, dict) or tree is None:
        raise DefinitionProblem(f"{name} holds no process definition; it must begin with keys such as key: and name:.")
    try:
        return ProcessDefinition.model_validate(content)
    except ValidationError as fault:
        first = fault.errors()[0]
        path = first["loc"]
        line = _line_of(tree, path)
        what = ".".join(str(part) for part in path)
        reason = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            reason = "this key is unknown; remove it or correct its spelling"
        subject = f" {what}:" if what else ""
        raise DefinitionProblem(f"{name}, line {line}:{subject} {reason}.") from fault


def _line_of(node: yaml.Node, path: tuple[int | str, ...]) -> int:
    """The line, from 1, of the deepest part of `path` that the document has."""
    line: int = node.start_mark.line + 1
    for part in path:
        if isinstance(node, yaml.MappingNode):
            pairs = [(key, value) for key, value in node.value if key.value == str(part)]
            if not pairs:
                break
            key, node = pairs[0]
            line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line
