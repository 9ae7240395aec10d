# ruff: noqa: S603  the provider is a process of its own, so that its work is not counted as ours
"""What sending costs with the ledger beside the bare clients without one.

`python -m benchmarks.sending --rows 100000 --only email` and `--rows 10000 --only SMS`. The provider takes at once
whatever comes, or answers after 100 ms. Ours loads, composes, writes intents and answers into SQLite with every
commit on the disk; the bare client only composes and calls. With 100 ms the clock counts, else CPU seconds.
"""

from __future__ import annotations

import asyncio
import atexit
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.utils import parseaddr
from functools import partial
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import polars as pl
from sendgrid import SendGridAPIClient
from sendgrid.helpers.mail import Content, CustomArg, Email, Mail, Personalization, Substitution, To
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

from benchmarks.check import judged
from benchmarks.inserting import NOW, new_folder
from benchmarks.lists import example_process
from benchmarks.measure import Comparison, Job, main
from benchmarks.whole_job import free_ports
from channels.sendgrid import SendGrid
from channels.twilio import Twilio
from domain.links import Links, fingerprint
from domain.processes import LINK, ProcessDefinition
from domain.rendering import fill
from domain.splitting import EMAIL, EMAILS_PER_REQUEST, SMS, split
from domain.states import Phase, Status
from models import batches, processes, recipients, requests
from models.tables import Batch
from settings import load
from tasks.send import Permit, Provider, send_chunk
from tasks.surroundings import Surroundings, surround

LATENCY_SECONDS = 0.1
CHUNKS_AT_ONCE = 4
FEW = 1
"""Connections of a chunk of emails where the provider is slow: with more, two cores could not compose so many requests."""
BASE = "http://127.0.0.1:4280"


def _provider(latency: float) -> str:
    """The address of an instant provider that answers after `latency` seconds."""
    (port,) = free_ports(1)
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.instant", str(port), str(latency)])
    atexit.register(process.kill)
    address = f"http://127.0.0.1:{port}"
    while True:
        try:
            urlopen(address, timeout=5).close()
        except OSError:
            time.sleep(0.05)
        else:
            return address


def _planned(path: Path, channel: str, *, email_connections: int) -> tuple[Surroundings, int]:
    """An approved batch in a ledger of its own, laid out, of which nothing has left."""
    around = surround(load(home=new_folder(), email_connections=email_connections))
    definition, people, uid = example_process(), judged(path).recipients, uuid.uuid4().hex
    kept = path.with_name("recipients.parquet")
    key = around.storage.put(f"batches/{uid}/recipients.parquet", kept)
    settings = around.settings
    with around.database.write() as session:
        version = processes.deploy(session, definition, draft=False, now=NOW)
        batch = Batch(
            uid=uid,
            process_version_id=version.id or 0,
            name="January",
            sender="sender@acme.example",
            created_at=NOW,
            status=Status.APPROVED.value,
            phase=Phase.WAITING.value,
            file_name="january.csv",
            file_sha256="0" * 64,
            file_bytes=0,
            upload_key="january.csv",
            recipients_key=key,
            link_print=fingerprint(settings.secret, public_url=settings.links_base),
            row_count=people.height,
        )
        batch_id = batches.id_of(batches.add(session, batch))
        recipients.replace_all(session, batch_id, people)
        requests.write_plan(session, batch_id, split(people, channels=frozenset({channel})), now=NOW)
    return around, batch_id


def _free(_channel: str) -> Permit:
    async def take(number: int) -> int:
        """There is no limit."""
        return number

    return take


def _open(around: Surroundings, address: str, channel: str) -> Provider:
    """As the product opens it."""
    settings = around.settings
    seconds = settings.request_timeout_seconds
    if channel == EMAIL:
        return SendGrid(api_key="key", host=address, timeout_seconds=seconds, connections=settings.email_connections)
    return Twilio(
        account_sid="AC" + "1" * 32,
        auth_token="token",  # noqa: S106  the instant provider asks for none
        host=address,
        timeout_seconds=seconds,
        connections=settings.sms_connections,
    )


def _ours(channel: str, latency: float, path: Path) -> Job:
    address = _provider(latency)
    around, batch_id = _planned(path, channel, email_connections=FEW if latency else load().email_connections)

    def send(chunk: int) -> None:
        send_chunk(around, batch_id, chunk, providers=partial(_open, around, address), permits=_free)

    def run() -> None:
        with around.database.read() as session:
            chunks = requests.chunks(session, batch_id)
        with ThreadPoolExecutor(CHUNKS_AT_ONCE) as threads:
            list(threads.map(send, chunks))
        with around.database.read() as session:
            if (
                batches.by_id(session, batch_id).sent
                != judged(path).recipients["email" if channel == EMAIL else "phone"].count()
            ):
                raise SystemExit("not everybody was written to")

    return Job(run)


def _people(path: Path, channel: str) -> list[dict[str, str]]:
    """What the bare client is handed: address, values, link."""
    address = "email" if channel == EMAIL else "phone"
    found = judged(path).recipients.filter("valid", pl.col(address).is_not_null())
    links = Links(b"0" * 32, public_url=BASE).links(1, found["row"].to_list())
    values = found.select(
        "row", pl.col(address).alias("address"), pl.col("^item:.*$").fill_null("").name.replace("^item:", "")
    )
    return [
        {**{name: str(value) for name, value in one.items()}, LINK: link}
        for one, link in zip(values.to_dicts(), links, strict=True)
    ]


def _mail(definition: ProcessDefinition, people: list[dict[str, str]]) -> Mail:
    """As SendGrid's own helper makes a message to many."""
    output = definition.start.email
    if output is None:
        raise SystemExit("the example process sends no email")
    name, address = parseaddr(output.sender)
    mail = Mail(from_email=Email(address, name), subject=output.subject)
    mail.add_content(Content("text/plain", output.text))
    mail.add_content(Content("text/html", output.html or output.text))
    for person in people:
        one = Personalization()
        one.add_to(To(person["address"]))
        for item in (*(each.name for each in definition.data_items), LINK):
            if f"{{{{ {item} }}}}" in output.text:
                one.add_substitution(Substitution(f"-{item}-", person[item]))
        one.add_custom_arg(CustomArg("bs_row", person["row"]))
        mail.add_personalization(one)
    return mail


def _helper(path: Path) -> Job:
    """One request after the other: it computes almost all of the time."""
    client, definition, people = SendGridAPIClient("key", host=_provider(0)), example_process(), _people(path, EMAIL)

    def run() -> None:
        for first in range(0, len(people), EMAILS_PER_REQUEST):
            client.send(_mail(definition, people[first : first + EMAILS_PER_REQUEST]))

    return Job(run)


def _connections(path: Path) -> Job:
    """What all connections together cannot beat: they wait for answers all of the time."""
    requests_made = -(-judged(path).recipients["email"].count() // EMAILS_PER_REQUEST)
    return Job(lambda: time.sleep(requests_made / (CHUNKS_AT_ONCE * FEW) * LATENCY_SECONDS))


def _twilio(latency: float, path: Path) -> Job:
    """Twilio's own async client with as many calls at once as ours has connections."""
    address, output, people = _provider(latency), example_process().start.sms, _people(path, SMS)
    if output is None:
        raise SystemExit("the example process sends no SMS")
    texts = [(one["address"], fill(output.text, one)) for one in people]
    at_once = load().sms_connections * min(
        CHUNKS_AT_ONCE, split(judged(path).recipients, channels=frozenset({SMS}))["chunk"].n_unique()
    )

    async def send_all() -> None:
        http = AsyncTwilioHttpClient(timeout=30)
        client: Any = Client("AC" + "1" * 32, "token", http_client=http)
        client.api.base_url = address
        left = iter(texts)

        async def send() -> None:
            for to, body in left:
                await client.messages.create_async(to=to, from_=output.sender, body=body)

        await asyncio.gather(*(send() for _ in range(at_once)))
        await http.close()

    return Job(lambda: asyncio.run(send_all()))


def _with(channel: str, latency: float) -> Callable[[Path], Job]:
    return partial(_ours, channel, latency)


COMPARISONS = (
    Comparison("email with ledger", _with(EMAIL, 0), _helper, "sendgrid Mail helper", at_least=4),
    Comparison("email with ledger, 100 ms", _with(EMAIL, LATENCY_SECONDS), _connections, "connections / latency", at_least=0.85, clock="wall"),
    Comparison("SMS with ledger", _with(SMS, 0), partial(_twilio, 0), "twilio async client"),
    Comparison("SMS with ledger, 100 ms", _with(SMS, LATENCY_SECONDS), partial(_twilio, LATENCY_SECONDS), "twilio async client", at_least=0.9, clock="wall"),
)  # fmt: skip

if __name__ == "__main__":
    main("benchmarks.sending", rows=(10_000,))
