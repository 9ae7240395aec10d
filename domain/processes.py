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
    label: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """What the form calls it; its name as words if None."""
    help: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    """A sentence below its label."""

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

    def texts(self) -> dict[str, str]:
        """Every text of the output in which a placeholder may stand, by its key."""
        texts = {"subject": self.subject, "text": self.text}
        return texts if self.html is None else {**texts, "html": self.html}


class SmsOutput(_Strict):
    """The SMS that the start phase sends, with `{{ item }}` placeholders."""

    sender: Annotated[str, Field(alias="from", min_length=3)]
    text: Annotated[str, Field(min_length=1, max_length=1600)]

    def texts(self) -> dict[str, str]:
        """Every text of the output in which a placeholder may stand, by its key."""
        return {"text": self.text}


class Output(_Strict):
    """The communication channels of a phase; a phase may have one, both or none."""

    email: EmailOutput | None = None
    sms: SmsOutput | None = None


class Step(_Strict):
    """One step of the workflow."""

    phase: Annotated[str, Field(min_length=1)]
    output: Output = Output()


class WhenUnresolved(StrEnum):
    """What becomes of messages of which nothing can be found out in time."""

    HOLD = "hold"
    """A person decides."""
    ASSUME_SENT = "assume sent"
    """They count as sent: at most once."""
    SEND_AGAIN = "send again"
    """They are sent once more: at least once."""


class ProcessDefinition(_Strict):
    """One digital process: its data items and its workflow."""

    key: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    name: Annotated[str, Field(min_length=1, max_length=200)]
    default_region: str
    start_url: Annotated[str, Field(pattern=r"^https?://")] | None = None
    right_to_left: bool = False
    lang: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")] | None = None
    """The language in which the process speaks, as web pages name it: `he`, `pt-BR`."""
    link_days: Annotated[int, Field(ge=1, le=3650)] | None = None
    """For how many days a link can be opened after it was sent; None for as long as anybody likes."""
    second_factor: str | None = None
    """The data item that people must know before anything personal shows."""
    when_unresolved: WhenUnresolved = WhenUnresolved.HOLD
    data_items: Annotated[tuple[DataItem, ...], Field(min_length=1)]
    workflow: tuple[Step, ...] = ()

    @property
    def start(self) -> Output:
        """What the start phase sends; empty when the workflow has no start phase."""
        return next((step.output for step in self.workflow if step.phase == "start"), Output())

    @property
    def channels(self) -> frozenset[str]:
        """The channels that the start phase sends on: `email`, `sms`."""
        return frozenset(name for name, output in (("email", self.start.email), ("sms", self.start.sms)) if output)

    @property
    def email_item(self) -> DataItem | None:
        """The item that holds a recipient's email address: the first of type email."""
        return self._first(ItemType.EMAIL)

    @property
    def phone_item(self) -> DataItem | None:
        """The item that holds a recipient's phone number: the first of type phone."""
        return self._first(ItemType.PHONE)

    @property
    def factor_item(self) -> DataItem | None:
        """The item that people must know the value of before anything personal shows."""
        return next((item for item in self.data_items if item.name == self.second_factor), None)

    def _first(self, item_type: ItemType) -> DataItem | None:
        return next((item for item in self.data_items if item.type is item_type), None)


Path = tuple[int | str, ...]
Complaint = tuple[Path, str]


def _complaints(definition: ProcessDefinition) -> Iterator[Complaint]:
    """What no single part can know is wrong, first things first, each with its place in the document."""
    if definition.default_region not in phonenumbers.SUPPORTED_REGIONS:
        yield ("default_region",), f"{definition.default_region!r} is not a country code such as GB or DE"
    seen: set[str] = set()
    for place, item in enumerate(definition.data_items):
        if item.name.casefold() in seen:
            yield ("data_items", place), f"two data items are called {item.name}; rename one"
        if item.name.casefold() == LINK:
            yield ("data_items", place), "a data item may not be called link: that word stands for the personal link"
        seen.add(item.name.casefold())
    if definition.second_factor is not None and (complaint := _factor_complaint(definition)) is not None:
        yield ("second_factor",), complaint
    starts = [place for place, step in enumerate(definition.workflow) if step.phase == "start"]
    for place in starts[1:]:
        yield ("workflow", place), "the workflow has two start phases; keep one"
    for name, output, item_type, address in (
        ("email", definition.start.email, ItemType.EMAIL, definition.email_item),
        ("sms", definition.start.sms, ItemType.PHONE, definition.phone_item),
    ):
        if output is None:
            continue
        path = ("workflow", starts[0], "output", name)
        if address is None:
            yield path, f"no data item has type {item_type}, so there is no address for it"
        yield from _text_complaints(definition, output, path)


def _factor_complaint(definition: ProcessDefinition) -> str | None:
    name, item = definition.second_factor, definition.factor_item
    if item is None:
        return f"{name!r} is no data item; known are {', '.join(each.name for each in definition.data_items)}"
    if not item.required:
        return f"{name} may be empty, and then nobody could open their form; make it required: true"
    if item.type in {ItemType.BOOLEAN, ItemType.CHOICE}:
        return f"{name} is a {item.type}, which anybody can guess; name another data item"
    return None


def _text_complaints(definition: ProcessDefinition, output: EmailOutput | SmsOutput, path: Path) -> Iterator[Complaint]:
    known = {item.name for item in definition.data_items} | {LINK}
    for part, text in output.texts().items():
        names = PLACEHOLDER.findall(text)
        for name in names:
            if name not in known:
                listed = ", ".join(sorted(known))
                yield (*path, part), f"the placeholder {{{{ {name} }}}} is no data item; known are {listed}"
        if part != "subject" and LINK not in names:
            yield (*path, part), "the text has no {{ link }}, so nobody could open the form"


def read_definition(text: str, *, name: str) -> ProcessDefinition:
    """Read a definition from YAML.

    Args:
        text: the YAML document.
        name: what to call it in messages, a file name for example.

    Raises:
        DefinitionProblem: with the line, the key and what is wrong, for the first fault.
    """
    tree, content = _parsed(text, name=name)
    try:
        definition = ProcessDefinition.model_validate(content)
    except ValidationError as fault:
        errors = fault.errors()
        # A key that is misspelt is also missing: its own line says more.
        first = next((error for error in errors if error["type"] == "extra_forbidden"), errors[0])
        reason = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            reason = "this key is unknown; remove it or correct its spelling"
        raise _problem(tree, first["loc"], reason, name=name) from fault
    for path, complaint in _complaints(definition):
        raise _problem(tree, path, complaint, name=name)
    return definition


class _Loader(yaml.SafeLoader):
    """Takes `NO`, `yes` and `on` as the texts they are: a country and two choices, as YAML 1.2 does."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regex) for tag, regex in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"true|True|TRUE|false|False|FALSE"), list("tTfF"))


def _parsed(text: str, *, name: str) -> tuple[yaml.Node, object]:
    """The document as nodes, which know their lines, and as values."""
    try:
        tree = yaml.compose(text, Loader=_Loader)
        content = yaml.load(text, Loader=_Loader)  # noqa: S506  it is a SafeLoader
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise DefinitionProblem(f"{name}, {where}not valid YAML ({getattr(fault, 'problem', fault)}).") from fault
    except ValueError as fault:  # a day such as 2020-13-45 that YAML would make by itself
        raise DefinitionProblem(f"{name} holds a value that YAML cannot read ({fault}). Put it in quotes.") from fault
    if not isinstance(content, dict) or tree is None:
        raise DefinitionProblem(f"{name} holds no process definition; it must begin with keys such as key: and name:.")
    for key in _repeated_keys(tree):
        raise DefinitionProblem(f"{name}, line {key.start_mark.line + 1}: {key.value} is given twice; keep one.")
    return tree, content


def _repeated_keys(node: yaml.Node) -> Iterator[yaml.Node]:
    """Keys that stand again in the same mapping: YAML would silently take the last."""
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                yield key
            seen.add(key.value)
            yield from _repeated_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _repeated_keys(value)


def _problem(tree: yaml.Node, path: Path, reason: str, *, name: str) -> DefinitionProblem:
    what = ".".join(str(part) for part in path)
    subject = f" {what}:" if what else ""
    return DefinitionProblem(f"{name}, line {_line_of(tree, path)}:{subject} {reason}.")


def _line_of(node: yaml.Node, path: Path) -> int:
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
