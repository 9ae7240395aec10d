"""What one recipient reads, before anybody does: their messages as they will leave, with a link that counts as nothing."""

from __future__ import annotations

import html
from dataclasses import dataclass

import polars as pl

from deployments.surroundings import Surroundings
from domain.errors import NotAllowed
from domain.frames import ROW, value_column
from domain.processes import LINK, ProcessDefinition
from domain.rendering import fill, one_line
from domain.segments import Length, length_of
from domain.splitting import EMAIL, SMS
from models import batches, processes
from tasks.people import load_people

_VALUE = value_column("")


@dataclass(frozen=True, slots=True)
class EmailPreview:
    """One person's email."""

    address: str
    sender: str
    subject: str
    text: str
    html: str | None


@dataclass(frozen=True, slots=True)
class SmsPreview:
    """One person's SMS; its length is that of the text with their own link."""

    address: str
    sender: str
    text: str
    length: Length


@dataclass(frozen=True, slots=True)
class Previews:
    """The messages of one recipient, None for a channel on which they get none; and where their link leads."""

    row: int
    email: EmailPreview | None
    sms: SmsPreview | None
    form: str


def form_path(batch_id: int, row: int) -> str:
    """The address of the screen that shows the form of one recipient."""
    return f"/batches/{batch_id}/recipients/{row}/form"


def previews(around: Surroundings, batch_id: int, row: int) -> Previews:
    """The messages of one recipient. Their own link is in none of them: whoever had it could answer in their name."""
    with around.database.read() as session:
        batch = batches.by_id(session, batch_id)
        definition = processes.definition_of(processes.version_by_id(session, batch.process_version_id))
        key = batch.recipients_key
    form = around.settings.links_base + form_path(batch_id, row)
    if key is None:
        return Previews(row, None, None, form)
    email = _person(around, key, batch_id, row, channel=EMAIL, definition=definition)
    sms = _person(around, key, batch_id, row, channel=SMS, definition=definition)
    return Previews(row, _email(definition, email, form), _sms(definition, sms, form), form)


def person_of(
    around: Surroundings, batch_id: int, row: int, *, channel: str, address: str
) -> tuple[ProcessDefinition, pl.DataFrame]:
    """PERSONAL of one recipient whose message goes to somebody else, with a link that counts as nothing.

    Args:
        around: settings, database, storage.
        batch_id: the batch.
        row: whose values.
        channel: email or sms.
        address: to whom it goes.

    Returns:
        The process, and one line.

    Raises:
        NotAllowed: this recipient gets no message on that channel.
    """
    with around.database.read() as session:
        batch = batches.by_id(session, batch_id)
        definition = processes.definition_of(processes.version_by_id(session, batch.process_version_id))
        key = batch.recipients_key
    found = None if key is None else _person(around, key, batch_id, row, channel=channel, definition=definition)
    if found is None or channel not in definition.channels:
        raise NotAllowed(
            f"Row {row} of batch {batch_id} gets no {'email' if channel == EMAIL else 'SMS'}. Choose another row."
        )
    link = around.settings.links_base + form_path(batch_id, row)
    return definition, found.with_columns(pl.lit(address).alias("address"), pl.lit(link).alias(value_column(LINK)))


def _person(
    around: Surroundings, key: str, batch_id: int, row: int, *, channel: str, definition: ProcessDefinition
) -> pl.DataFrame | None:
    found = load_people(
        around.storage,
        key,
        rows=[row],
        channel=channel,
        definition=definition,
        links=around.links,
        batch_id=batch_id,
    )
    return None if found.is_empty() else found


def _known(person: pl.DataFrame) -> dict[str, str]:
    """The values of one person by their names, the link among them."""
    return {name.removeprefix(_VALUE): value for name, value in person.drop(ROW, "address").row(0, named=True).items()}


def _email(definition: ProcessDefinition, person: pl.DataFrame | None, form: str) -> EmailPreview | None:
    output = definition.start.email
    if output is None or person is None:
        return None
    values = _known(person) | {LINK: form}
    escaped = {name: html.escape(value) for name, value in values.items()}
    return EmailPreview(
        address=person["address"].item(),
        sender=output.sender,
        subject=one_line(fill(output.subject, {name: one_line(value) for name, value in values.items()})),
        text=fill(output.text, values),
        html=None if output.html is None else fill(output.html, escaped),
    )


def _sms(definition: ProcessDefinition, person: pl.DataFrame | None, form: str) -> SmsPreview | None:
    output = definition.start.sms
    if output is None or person is None:
        return None
    values = _known(person)
    return SmsPreview(
        address=person["address"].item(),
        sender=output.sender,
        text=fill(output.text, values | {LINK: form}),
        length=length_of(fill(output.text, values)),
    )
