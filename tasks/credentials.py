"""Prefect blocks that hold the providers' credentials and permitted senders, and the clients opened with them."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import parseaddr
from functools import partial

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from channels import sendgrid, twilio
from channels.sendgrid import SendGrid
from channels.twilio import Twilio
from domain.processes import ProcessDefinition
from domain.states import Phase
from models import batches, processes
from settings import Settings
from tasks.accounts import Accounts
from tasks.surroundings import Surroundings, now

BLOCK = "bulk-sender"
"""The name under which each block is kept."""


class SendGridAccount(Block):
    """The SendGrid account that email is sent with."""

    _block_type_name = "Bulk Sender SendGrid account"
    _block_type_slug = "bulk-sender-sendgrid"

    api_key: SecretStr
    host: str = sendgrid.DEFAULT_HOST
    senders: list[str] = Field(
        default_factory=list, description="Email addresses that processes may send from; empty means any."
    )


class TwilioAccount(Block):
    """The Twilio account that SMS are sent with."""

    _block_type_name = "Bulk Sender Twilio account"
    _block_type_slug = "bulk-sender-twilio"

    account_sid: str
    auth_token: SecretStr
    host: str = twilio.DEFAULT_HOST
    senders: list[str] = Field(
        default_factory=list, description="Numbers or messaging services that processes may send from; empty means any."
    )


def halt_refused_sender(around: Surroundings, batch_id: int) -> bool:
    """Halt a batch whose process writes from a sender that the accounts do not permit; says whether it did."""
    with around.database.read() as session:
        batch = batches.by_id(session, batch_id)
        definition = processes.definition_of(processes.version_by_id(session, batch.process_version_id))
    reason = refused_sender(definition)
    if reason is None:
        return False
    with around.database.write() as session:
        return batches.advance(session, batch_id, Phase.PAUSED, now=now(), reason=reason)


def refused_sender(definition: ProcessDefinition) -> str | None:
    """Why the accounts do not permit the senders of a process; None if they do."""
    start = definition.start
    if start.email:
        account: SendGridAccount = SendGridAccount.load(BLOCK)  # type: ignore[assignment]  # sync in sync code
        address = parseaddr(start.email.sender)[1]
        if account.senders and address.casefold() not in {sender.casefold() for sender in account.senders}:
            return f"The SendGrid account in Prefect's blocks does not permit the sender {address}. Add it there, then resume the batch."
    if start.sms:
        sms: TwilioAccount = TwilioAccount.load(BLOCK)  # type: ignore[assignment]  # sync in sync code
        if sms.senders and start.sms.sender not in sms.senders:
            return f"The Twilio account in Prefect's blocks does not permit the sender {start.sms.sender}. Add it there, then resume the batch."
    return None


def accounts() -> Accounts:
    """The accounts as they are kept now."""
    email: SendGridAccount = SendGridAccount.load(BLOCK)  # type: ignore[assignment]  # sync in sync code
    sms: TwilioAccount = TwilioAccount.load(BLOCK)  # type: ignore[assignment]  # sync in sync code
    return Accounts(
        email_host=email.host,
        email_key=email.api_key.get_secret_value(),
        sms_host=sms.host,
        sms_account=sms.account_sid,
        sms_token=sms.auth_token.get_secret_value(),
    )


def open_providers(settings: Settings) -> Callable[[str], SendGrid | Twilio]:
    """Load the accounts once, and give what opens the provider of a channel inside a running loop."""
    return partial(accounts().open, settings)
