"""Email through SendGrid's v3 API: one call for up to 1,000 people, and what its answer proves.

Limits and answers are those of SendGrid's OpenAPI document and its mail/send pages. There
is no idempotency key: an answer that could hide an acceptance is in doubt, never repeated.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import socket
import ssl
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from email.utils import parseaddr
from functools import cache, partial
from itertools import repeat
from typing import Any
from urllib.error import URLError
from urllib.request import HTTPSHandler, Request, build_opener

import orjson
import polars as pl
from python_http_client.client import Response
from python_http_client.exceptions import HTTPError
from sendgrid import SendGridAPIClient

from channels import sendgrid_lookups
from channels.people import Label, Person
from domain.doubts import Sighting
from domain.frames import ROW, value_column
from domain.outcomes import Outcome, OutcomeKind
from domain.processes import EmailOutput
from domain.rendering import Email, tagged

DEFAULT_HOST = "https://api.sendgrid.com"
SUBSTITUTION_BYTES = 10_000
"""Most that one personalization's substitutions may hold (OpenAPI document)."""

_MEMBER = re.compile(r"^personalizations\.(\d+)(\.|$)")
_ACCOUNT = {
    401: "SendGrid refused the API key",
    403: "SendGrid does not let this account send",
    404: "SendGrid knows no such address of its API",
    405: "SendGrid refused the method",
    415: "SendGrid refused the content type",
}
_TOO_LARGE, _BAD_REQUEST, _TOO_MANY, _ACCEPTED = 413, 400, 429, 202
# SendGrid's help texts may quote what was sent; only these known ones are shown.
_CREDITS = "Maximum credits exceeded"
_SENDER = "verified Sender Identity"


def compose(output: EmailOutput, people: pl.DataFrame, *, label: Label) -> bytes:
    """The body of one mail/send call, as it leaves.

    Args:
        output: what the process sends.
        people: PERSONAL, at most 1,000 in the order of the request, no address twice.
        label: comes back in every receipt as `bs_batch`, `bs_request` and `bs_unit`, beside `bs_row`.
    """
    return Letter(output, people, batch=label.batch).body(people[ROW].to_list(), label=label)


class Letter:
    """The email of a batch to some of its people: made ready once, written into any number of calls.

    The texts go once, with tags where personal values stand; each person carries the
    replacements. Click tracking would rewrite the links, so it is off for both parts, as are
    the account's other trackings.
    """

    def __init__(self, output: EmailOutput, people: pl.DataFrame, *, batch: str) -> None:
        """Bring every value into the form in which it leaves.

        Args:
            output: what the process sends.
            people: PERSONAL; nobody twice, nobody without an address.
            batch: the batch's random id.
        """
        email = tagged(output, mark=batch[:12])
        self._tags = list(email.tags)
        self._shared = orjson.dumps(_shared(email, output.sender))[1:]
        self._places = {row: place for place, row in enumerate(people[ROW].to_list())}
        self._values, self._slots = _in_json(email, people)

    def body(self, rows: Sequence[int], *, label: Label) -> bytes:
        """One call to the people in these rows, in this order.

        Raises:
            KeyError: one of them is not among the people of this letter.
        """
        values = self._values[[self._places[row] for row in rows]]
        texts = {name: values[name].to_list() for name in values.columns} | {ROW: [b"%d" % row for row in rows]}
        first, *others = _person(self._tags, label).split(_SLOT.encode())
        pieces = [
            piece for name, text in zip(self._slots, others, strict=True) for piece in (texts[name], repeat(text))
        ]
        people = b",".join(map(b"".join, zip(repeat(first), *pieces, strict=False)))
        return b'{"personalizations":[%s],%s' % (people, self._shared)


_SLOT = "{}"
"""Where a value of a person's own will stand; no tag holds a brace."""
_ODD = r"""[\x00-\x1f\x7f\x{85}\x{2028}\x{2029}"\\&<>']|^\s|\s$"""
"""In a value that is not the same in a subject, a text, an HTML part and JSON."""


def _shared(email: Email, sender: str) -> dict[str, object]:
    """What a call holds beside its people."""
    name, address = parseaddr(sender)
    content = [{"type": "text/plain", "value": email.text}]
    if email.html is not None:
        content.append({"type": "text/html", "value": email.html})
    return {
        "from": {"email": address, "name": name} if name else {"email": address},
        "subject": email.subject,
        "content": content,
        "tracking_settings": {
            "click_tracking": {"enable": False, "enable_text": False},
            "open_tracking": {"enable": False},
            "subscription_tracking": {"enable": False},
        },
    }


def _person(tags: Collection[str], label: Label) -> bytes:
    """One personalization, with slots."""
    replaced = {"substitutions": dict.fromkeys(tags, _SLOT)} if tags else {}
    known = {"bs_batch": label.batch, "bs_request": str(label.request), "bs_unit": label.unit, "bs_row": _SLOT}
    return orjson.dumps({"to": [{"email": _SLOT}], **replaced, "custom_args": known})


def _in_json(email: Email, people: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """What stands in the slots of every person, in UTF-8, and the name of each slot's column."""
    forms = [pl.col("address"), *email.substitutions(people.columns)]
    sources = ["address", *(value_column(name) for name, _ in email.tags.values())]
    people = people.with_columns(pl.lit("").alias(name) for name in set(sources) - set(people.columns))
    odd = people.select(pl.col(name).str.contains(_ODD).any() for name in set(sources)).row(0, named=True)
    slots = [f"{place}" if odd[source] else source for place, source in enumerate(sources)]
    written = {
        slot: pl.struct(form.alias("")).struct.json_encode().str.strip_prefix('{"":"').str.strip_suffix('"}')
        if odd[source]
        else pl.col(source)
        for slot, source, form in zip(slots, sources, forms, strict=True)
    }
    return people.select(**written).cast(pl.Binary), [*slots, ROW]


def digest(body: bytes) -> str:
    """SHA-256 of a body, the same for the same call."""
    return hashlib.sha256(body).hexdigest()


@cache
def _trusted() -> ssl.SSLContext:
    """The certificates that this machine trusts, as `http.client` takes them; safe to share between threads."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


class SendGrid:
    """Makes mail/send calls through SendGrid's own client; safe to share between tasks of one loop."""

    def __init__(self, *, api_key: str, host: str, timeout_seconds: float, connections: int) -> None:
        """Prepare the client; connects at each call, as SendGrid's client does."""
        client = SendGridAPIClient(api_key, host=host.rstrip("/"))
        client.client.timeout = timeout_seconds  # it has none of its own
        self._client = client.client
        self._mail = self._client.mail.send
        # SendGrid's client makes these anew at each call; reading the certificates alone costs more than all the rest.
        self._opener = build_opener(*([HTTPSHandler(context=_trusted())] if host.startswith("https:") else []))
        self._threads = ThreadPoolExecutor(connections, thread_name_prefix="sendgrid")

    async def send(self, body: bytes) -> Outcome:
        """Make one call, once, and say what its answer proves."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._send, body)

    async def find(self, label: Label, people: Sequence[Person], *, asked_at: datetime) -> Sighting:
        """Whether SendGrid has the request `label`, made at `asked_at` for `people`."""
        look = partial(sendgrid_lookups.find, self._client, label, people, asked_at=asked_at)
        return await asyncio.get_running_loop().run_in_executor(self._threads, look)

    async def close(self) -> None:
        """Let the calls that are under way end."""
        self._threads.shutdown(wait=True)

    def _send(self, body: bytes) -> Outcome:
        # As the client makes a call, with a body that is written already.
        headers = {**self._mail.request_headers, "Content-Type": "application/json"}
        request = Request(self._mail._build_url(None), data=body, headers=headers, method="POST")  # noqa: S310, SLF001  the operator's own host
        try:
            response = Response(self._mail._make_request(self._opener, request))  # noqa: SLF001
        except HTTPError as answer:
            return classify(answer.status_code, dict(answer.headers or {}), answer.body)
        except Exception as fault:  # noqa: BLE001  whatever else happens after the connect may hide an acceptance
            return classify_fault(fault)
        return classify(response.status_code, dict(response.headers), response.body)


def classify(status: int, headers: Mapping[str, str], body: bytes | str) -> Outcome:
    """What an answer to mail/send proves; one status speaks for all members."""
    if status == _ACCEPTED:
        message_id = _header(headers, "X-Message-Id")
        return Outcome(OutcomeKind.ACCEPTED, provider_id=message_id, http_status=status)
    errors = _errors(body)
    if status == _TOO_MANY:
        return Outcome(
            OutcomeKind.TRY_LATER,
            http_status=status,
            code="429",
            detail="SendGrid asked to wait.",
            retry_after=_wait(headers),
        )
    if status == _BAD_REQUEST:
        return _refused(errors)
    if status == _TOO_LARGE:
        return Outcome(
            OutcomeKind.REQUEST_REFUSED, http_status=status, code="413", detail="SendGrid found the request too large."
        )
    if status in _ACCOUNT:
        return Outcome(
            OutcomeKind.ACCOUNT_REFUSED, http_status=status, code=str(status), detail=_account_reason(status, errors)
        )
    return Outcome(
        OutcomeKind.IN_DOUBT,
        http_status=status,
        code=f"http_{status}",
        detail=f"SendGrid answered {status}, which does not say whether it took the emails.",
    )


def _refused(errors: Sequence[Mapping[str, Any]]) -> Outcome:
    for error in errors:
        match = _MEMBER.match(str(error.get("field") or ""))
        if match:
            return Outcome(
                OutcomeKind.RECIPIENT_REFUSED,
                http_status=_BAD_REQUEST,
                code="400",
                detail="SendGrid refused the address.",
                member=int(match[1]),
            )
    field = str(errors[0].get("field") or "") if errors else ""
    where = f" ({field})" if re.fullmatch(r"[a-z_.0-9]{1,60}", field) else ""
    if where and not field.startswith("personalizations"):
        # The sender, the subject or a text: the same in every request of the batch.
        reason = f"SendGrid refused the process's email{where}. Correct the process or the sender; this batch cannot be sent as it is."
        return Outcome(OutcomeKind.ACCOUNT_REFUSED, http_status=_BAD_REQUEST, code="400", detail=reason)
    return Outcome(
        OutcomeKind.REQUEST_REFUSED,
        http_status=_BAD_REQUEST,
        code="400",
        detail=f"SendGrid refused the request{where}.",
    )


def _account_reason(status: int, errors: Sequence[Mapping[str, Any]]) -> str:
    text = " ".join(str(error.get("message") or "") for error in errors)
    if _CREDITS in text:
        return "SendGrid's credits are used up. Buy more or wait for the next period, then resume the batch."
    if _SENDER in text:
        return "SendGrid has not verified the sender of this process. Verify it there, then resume the batch."
    return f"{_ACCOUNT[status]} (HTTP {status}). Correct the credentials or the account, then resume the batch."


def classify_fault(fault: BaseException) -> Outcome:
    """What an exception proves: only a connection that never came about is certainly not an acceptance."""
    reason = fault.reason if isinstance(fault, URLError) else None
    code = type(reason if isinstance(reason, BaseException) else fault).__name__
    if isinstance(reason, (ConnectionRefusedError, socket.gaierror, ssl.SSLCertVerificationError)):
        return Outcome(OutcomeKind.TRY_LATER, code=code, detail="SendGrid could not be reached.")
    return Outcome(
        OutcomeKind.IN_DOUBT, code=code, detail="The connection to SendGrid broke before its answer arrived."
    )


def _errors(body: bytes | str) -> Sequence[Mapping[str, Any]]:
    try:
        found = json.loads(body).get("errors")
    except (ValueError, AttributeError):
        return []
    return [error for error in found if isinstance(error, dict)] if isinstance(found, list) else []


def _header(headers: Mapping[str, str], name: str) -> str | None:
    return next((value for key, value in headers.items() if key.lower() == name.lower()), None)


def _wait(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from Retry-After or the epoch second in X-RateLimit-Reset."""
    for name, start in (("Retry-After", 0.0), ("X-RateLimit-Reset", time.time())):
        value = _header(headers, name)
        if value is not None and re.fullmatch(r"\d{1,12}(\.\d+)?", value):
            return min(max(0.0, float(value) - start), 3600.0)
    return None
