"""What a killed process was doing: the stages of a batch, or a sweep, as the flows call them, but without Prefect."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from channels.sendgrid import SendGrid
from channels.twilio import Twilio
from domain import splitting
from domain.errors import NotAllowed
from domain.links import fingerprint
from domain.splitting import EMAIL
from domain.states import Phase, Status
from files.storage import Storage
from models import batches
from models.batches import Act
from models.database import Database
from settings import SANDBOX_SENDGRID_KEY, SANDBOX_TWILIO_SID, SANDBOX_TWILIO_TOKEN, Settings, load
from tasks import ingest, reconcile, report, send, settle, split, validate
from tasks.surroundings import Surroundings, now
from tests.chaos import steps
from tests.chaos.steps import Role

LEASE_MARGIN = timedelta(seconds=1.5)
"""Beyond the time that a request may take; the real half minute would make a long suite of it."""
EMAILS_PER_REQUEST = 8
# Loaded when a client is first used, which takes longer than the rest of a life.
importlib.import_module("twilio.rest.api.v2010.account.message")
BROKEN = 70
"""The exit code of a process that met an error of its own."""


@dataclass(frozen=True)
class Place:
    """A ledger, its files, and the providers."""

    home: Path
    database: str
    sandbox: str

    @property
    def settings(self) -> Settings:
        """Short times, so that a doubt is settled in seconds; a look-up may be late by less than they allow for."""
        return load(
            home=self.home,
            database_url=self.database,
            request_timeout_seconds=2.0,
            settle_email_seconds=4.0,
            settle_sms_seconds=4.0,
            lookup_seconds=0.3,
            unresolved_after_seconds=10.0,
            email_connections=3,
            sms_connections=8,
        )


@dataclass(frozen=True)
class Life:
    """One process: what it does, and the step at which it dies, if at any."""

    place: Place
    batch_id: int
    role: Role
    step: str | None = None
    call: int = 1


def live(life: Life) -> None:
    """Do the work of a life in this process, which was made for it."""
    send._LEASE_MARGIN = LEASE_MARGIN  # noqa: SLF001  see there
    splitting.EMAILS_PER_REQUEST = EMAILS_PER_REQUEST
    if life.step is not None and life.step in steps.STEPS:
        steps.arm(life.step, life.call)
    settings = life.place.settings
    around = Surroundings(settings, Database(settings.database), Storage(settings.storage))
    try:
        if life.role == "sender":
            send_batch(around, life.batch_id, life.place.sandbox)
        else:
            sweep(around, life.place.sandbox)
    except BaseException:  # noqa: BLE001  said aloud, and seen by the exit code
        sys.stderr.write(traceback.format_exc())
        os._exit(BROKEN)


def send_batch(around: Surroundings, batch_id: int, sandbox: str) -> None:
    """The stages in the order of the flow `send-batch`; a person approves at once."""
    ingest.ingest(around, batch_id)
    validate.validate(around, batch_id)
    approve(around, batch_id)
    chunks = split.split_batch(around, batch_id)
    while chunks:
        for chunk in chunks:
            send.send_chunk(
                around,
                batch_id,
                chunk,
                providers=lambda channel: provider(around.settings, channel, sandbox),
                permits=lambda _channel: unlimited,
            )
        chunks = split.left(around, batch_id)
    if reconcile.reconcile(around, batch_id) in {Phase.SETTLING, Phase.FINISHED}:
        report.keep_file(around, batch_id)


def sweep(around: Surroundings, sandbox: str) -> None:
    """The flow `settle`."""
    settled = settle.sweep(around, witnesses=lambda channel: provider(around.settings, channel, sandbox))
    for batch_id in report.unreported(around, settled):
        report.keep_file(around, batch_id)


def approve(around: Surroundings, batch_id: int) -> None:
    made_with = fingerprint(around.settings.secret, public_url=around.settings.links_base)
    try:
        with around.database.write() as session:
            if batches.by_id(session, batch_id).status == Status.PENDING_APPROVAL:
                act = Act(by="approver@acme.example", via="test", now=now())
                batches.approve(session, batch_id, act, link_print=made_with)
    except NotAllowed:  # the other sender did it in this moment
        with around.database.read() as session:
            if batches.by_id(session, batch_id).status != Status.APPROVED:
                raise


def provider(settings: Settings, channel: str, sandbox: str) -> SendGrid | Twilio:
    timeout = settings.request_timeout_seconds
    if channel == EMAIL:
        return SendGrid(
            api_key=SANDBOX_SENDGRID_KEY,
            host=sandbox,
            timeout_seconds=timeout,
            connections=settings.email_connections,
        )
    return Twilio(
        account_sid=SANDBOX_TWILIO_SID,
        auth_token=SANDBOX_TWILIO_TOKEN,
        host=sandbox,
        timeout_seconds=timeout,
        connections=settings.sms_connections,
    )


async def unlimited(number: int) -> int:
    """A permit at once."""
    return number
