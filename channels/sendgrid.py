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
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from email.utils import parseaddr
from functools import partial
from typing import Any
from urllib.error import URLError
from urllib.request import Request

import orjson
import polars as pl
from python_http_client.client import Client
from python_http_client.exceptions import HTTPError
from sendgrid import SendGridAPIClient

from channels import sendgrid_lookups
from channels.people import Label, Person
from domain.doubts import Sighting
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

    The texts go once, with tags where personal values stand; each person carries the
    replacements. Click tracking would rewrite the links, so it is off for both parts, as are
    the account's other trackings.

    Args:
        output: what the process sends.
        people: PERSONAL, at most 1,000 in the order of the request, no address twice.
        label: comes back in every receipt as `bs_batch`, `bs_request` and `bs_unit`, beside `bs_row`.
    """
    email = tagged(output, mark=label.batch[:12])
    name, address = parseaddr(output.sender)
    content = [{"type": "text/plain", "value": email.text}]
    if email.html is not None:
        content.append({"type": "text/html", "value": email.html})
    shared = {
        "from": {"email": address, "name": name} if name else {"email": address},
        "subject": email.subject,
        "content": content,
        "tracking_settings": {
            "click_tracking": {"enable": False, "enable_text": False},
            "open_tracking": {"enable": False},
            "subscription_tracking": {"enable": False},
        },
    }
    return b'{"personalizations":[%s],%s' % (_personalizations(email, people, label), orjson.dumps(shared)[1:])


def _personalizations(email: Email, people: pl.DataFrame, label: Label) -> bytes:
    """One object a person, written by columns: a million in a few seconds."""
    replaced = email.substitutions(people.columns)
    person = pl.struct(
        pl.concat_list(pl.struct(pl.col("address").alias("email"))).alias("to"),
        *([pl.struct(*replaced).alias("substitutions")] if replaced else []),
        pl.struct(
            pl.lit(label.batch).alias("bs_batch"),
            pl.lit(str(label.request)).alias("bs_request"),
            pl.lit(label.unit).alias("bs_unit"),
            pl.col("row").cast(pl.String).alias("bs_row"),
        ).alias("custom_args"),
    )
    written: str = people.select(person.struct.json_encode().str.join(",")).item()
    return written.encode()


def digest(body: bytes) -> str:
    """SHA-256 of a body, the same for the same call."""
    return hashlib.sha256(body).hexdigest()


class _Call(Client):  # type: ignore[misc]  # ships no types
    """One call of SendGrid's client with a body that is written already: its own way costs as much as all the rest."""

    def __init__(self, to: Client, body: bytes) -> None:
        super().__init__(
            host=to.host,
            version=to._version,  # noqa: SLF001  what the client itself hands on to a longer path
            request_headers=dict(to.request_headers),
            url_path=to._url_path,  # noqa: SLF001
            timeout=to.timeout,
        )
        self._body = body

    def _make_request(self, opener: Any, request: Request, timeout: float | None = None) -> Any:  # noqa: ANN401
        request.data = self._body
        request.add_header("Content-Type", "application/json")
        return super()._make_request(opener, request, timeout=timeout)


class SendGrid:
    """Makes mail/send calls through SendGrid's own client; safe to share between tasks of one loop."""

    def __init__(self, *, api_key: str, host: str, timeout_seconds: float, connections: int) -> None:
        """Prepare the client; connects at each call, as SendGrid's client does."""
        client = SendGridAPIClient(api_key, host=host.rstrip("/"))
        client.client.timeout = timeout_seconds  # it has none of its own
        self._client = client.client
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
        try:
            response = _Call(self._client.mail.send, body).post()
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
