"""A test send: one recipient's message, through the real provider, to the person who asks; no part of the batch's ledger."""

from __future__ import annotations

import asyncio
import os
import uuid
from datetime import timedelta

from channels import sendgrid, twilio
from channels.people import Label
from deployments.acts import Person
from deployments.previews import person_of
from deployments.surroundings import Surroundings
from domain.errors import NotAllowed, ServiceMissing, TooManyTries
from domain.outcomes import Outcome, OutcomeKind
from domain.phone_numbers import normalised_phone
from domain.splitting import EMAIL
from models import batches, history, processes, suppressions

MOST_AN_HOUR = 10
_HOUR = timedelta(hours=1)


def phone_for(around: Surroundings, batch_id: int, text: str) -> str:
    """The number that somebody typed, in E.164.

    Raises:
        NotAllowed: it is none.
    """
    with around.database.read() as session:
        version = processes.version_by_id(session, batches.by_id(session, batch_id).process_version_id)
        region = processes.definition_of(version).default_region
    number = normalised_phone(text.strip(), region=region)
    if number is None:
        raise NotAllowed(
            f"That is not a phone number in {region}. Type it with its country code, such as +44 7400 123456."
        )
    return number


def send_test(around: Surroundings, batch_id: int, row: int, *, channel: str, address: str, who: Person) -> str:
    """Send one recipient's message to somebody else, with a link that counts as nothing; gives a sentence of what came of it.

    The history has it before it leaves. What the provider reports of it later belongs to no batch and is left out.

    Args:
        around: settings, database, storage.
        batch_id: the batch.
        row: whose message.
        channel: email or sms.
        address: normalised; to whom it goes.
        who: who asks.

    Raises:
        TooManyTries: they sent so many within the hour already.
        NotAllowed: the address is suppressed, there is no such message, or the provider refused it.
        ServiceMissing: nothing is known of an answer.
    """
    definition, person = person_of(around, batch_id, row, channel=channel, address=address)
    name = "email" if channel == EMAIL else "SMS"
    act = Person(who.email, who.via, f"{name} of row {row}").act()
    with around.database.write() as session:
        if suppressions.listed(session, channel=channel, address=address):
            raise NotAllowed(
                f"The address that the test {name} should go to is suppressed, so nothing was sent. Use another."
            )
        if history.how_often(session, act, name=history.TRIED, within=_HOUR) >= MOST_AN_HOUR:
            raise TooManyTries(
                f"You sent {MOST_AN_HOUR} test messages within the last hour. Wait before you send more.",
                until=act.now + _HOUR,
            )
        batches.note_act(session, batch_id, act, name=history.TRIED)
    label = Label(uuid.uuid4().hex, 0)  # of no batch
    content: object
    if channel == EMAIL and definition.start.email is not None:
        content = sendgrid.compose(definition.start.email, person, label=label)
    elif definition.start.sms is not None:
        content = twilio.compose(definition.start.sms, person, [label], base=around.settings.links_base)[0]
    return _told(_sent(around, channel, content), name)


def _sent(around: Surroundings, channel: str, content: object) -> Outcome:
    # Prefect, which keeps the credentials, takes seconds to import and reads this when it is imported.
    os.environ.setdefault("PREFECT_API_URL", around.settings.prefect_url)
    from tasks.credentials import open_providers  # noqa: PLC0415

    try:
        providers = open_providers(around.settings)
    except Exception as fault:
        raise ServiceMissing(
            "The providers' credentials could not be read from Prefect, so nothing was sent. Start everything with: bulk-sender up"
        ) from fault

    async def send() -> Outcome:
        provider = providers(channel)
        try:
            return await provider.send(content)  # type: ignore[arg-type]  # composed for this channel
        finally:
            await provider.close()

    return asyncio.run(send())


def _told(outcome: Outcome, name: str) -> str:
    match outcome.kind:
        case OutcomeKind.ACCEPTED:
            return f"The test {name} is on its way to you."
        case OutcomeKind.IN_DOUBT:
            raise ServiceMissing(
                f"The provider's answer was lost: the test {name} may or may not come. Look before you send another."
            )
        case _:
            raise NotAllowed(f"The test {name} was not sent. {outcome.detail or 'The provider refused it.'}")
