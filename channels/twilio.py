"""SMS through Twilio's Messages API: one call a person, and what its answer proves.

Codes and actions are those of Twilio's error pages. There is no idempotency key: an answer
that could hide an acceptance is in doubt, never repeated.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

import aiohttp
import orjson
import polars as pl
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from channels.people import Label, Person
from channels.twilio_receipts import callback_url
from domain.doubts import Sighting
from domain.outcomes import Outcome, OutcomeKind
from domain.processes import SmsOutput
from domain.rendering import filled

DEFAULT_HOST = "https://api.twilio.com"
BODY_CHARACTERS = 1600
"""Most that a message may hold (error 21617)."""

_RECIPIENT: Mapping[int, str] = MappingProxyType(
    {
        21211: "Twilio finds the number not valid.",
        21265: "Twilio does not send to short codes.",
        21408: "Twilio is not enabled for this country.",
        21610: "The person has opted out of SMS.",
        21612: "Twilio has no route from this sender to this number.",
        21614: "The number is not a mobile number.",
        21617: "The text is longer than 1,600 characters.",
        21635: "The number is a landline.",
    }
)
_ACCOUNT: Mapping[int, str] = MappingProxyType(
    {
        20001: "Twilio finds the request wrong",
        20003: "Twilio refused the credentials",
        20005: "The Twilio account is not active",
        20006: "The Twilio account may not do this",
        20008: "These are Twilio test credentials",
        21212: "Twilio finds the sender not valid",
        21401: "Twilio finds the sender not valid",
        21602: "Twilio found no text in the message",
        21603: "Twilio found no sender in the message",
        21604: "Twilio found no recipient in the message",
        21606: "The sender is no number of this Twilio account",
        21608: "This Twilio account may write to verified numbers only",
        21609: "Twilio refused the callback address",
        21660: "The sender does not belong to this Twilio account",
        21703: "The messaging service has no sender",
        21705: "The messaging service is not valid",
    }
)
LIST = "Messages"
_MESSAGES_READ = 1000
_CLOCKS_APART = timedelta(minutes=5)
_QUEUE_FULL, _TOO_MANY_CODE = 21611, 20429
_QUEUE_WAIT_SECONDS = 120.0
_TOO_MANY, _SERVER = 429, 500
_retry_after: ContextVar[str | None] = ContextVar("retry_after", default=None)


def compose(output: SmsOutput, people: pl.DataFrame, labels: Sequence[Label], *, base: str) -> list[dict[str, str]]:
    """The arguments of one message to each person; a sender that begins with MG is a messaging service.

    Args:
        output: what the process sends.
        people: PERSONAL, one line a message.
        labels: name each message's request in what Twilio posts of it later.
        base: what our public addresses begin with.
    """
    sender = "messaging_service_sid" if re.fullmatch(r"MG[0-9a-f]{32}", output.sender) else "from_"
    texts = people.select("address", body=filled(output.text, people.columns))
    return [
        {
            "to": address,
            sender: output.sender,
            "body": body,
            "status_callback": callback_url(base, batch=label.batch, request=label.request),
        }
        for (address, body), label in zip(texts.iter_rows(), labels, strict=True)
    ]


def digest(message: Mapping[str, str]) -> str:
    """SHA-256 of a message's content, the same for the same call."""
    return hashlib.sha256(orjson.dumps(message, option=orjson.OPT_SORT_KEYS)).hexdigest()


class _HttpClient(AsyncTwilioHttpClient):  # type: ignore[misc]  # twilio ships no types
    """Twilio's async client with the timeout that it takes and does not use, and no retries of its own."""

    def __init__(self, *, timeout_seconds: float, connections: int) -> None:
        super().__init__(pool_connections=False)
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections))
        self._timeout_seconds = timeout_seconds

    async def request(self, method: str, url: str, **options: Any) -> Response:  # noqa: ANN401  passed on as they are
        options["timeout"] = options.get("timeout") or self._timeout_seconds
        response = await super().request(method, url, **options)
        headers = response.headers or {}
        _retry_after.set(headers.get("Retry-After"))
        return response


class Twilio:
    """Makes message calls through Twilio's own async client; belongs to the loop it was made in."""

    def __init__(
        self, *, account_sid: str, auth_token: str, host: str, timeout_seconds: float, connections: int
    ) -> None:
        """Prepare the client; keeps at most `connections` open."""
        self._http = _HttpClient(timeout_seconds=timeout_seconds, connections=connections)
        self._client = Client(account_sid, auth_token, http_client=self._http)
        # TWILIO_REGION and TWILIO_EDGE of the environment would rewrite the host we were given.
        self._client.region = self._client.edge = None
        self._client.api.base_url = host.rstrip("/")

    async def send(self, message: Mapping[str, str]) -> Outcome:
        """Make one call, once, and say what its answer proves."""
        _retry_after.set(None)
        try:
            created = await self._client.messages.create_async(**message)
        except TwilioRestException as answer:
            return classify(answer.status, answer.code, retry_after=_retry_after.get())
        except TwilioServiceException as answer:
            return classify(answer.status, answer.code, retry_after=_retry_after.get())
        except Exception as fault:  # noqa: BLE001  whatever else happens after the connect may hide an acceptance
            return classify_fault(fault)
        if not created.sid:
            return Outcome(OutcomeKind.IN_DOUBT, code="no_sid", detail="Twilio's answer had no message id.")
        return Outcome(OutcomeKind.ACCEPTED, provider_id=created.sid, http_status=201)

    async def find(self, _label: Label, people: Sequence[Person], *, asked_at: datetime) -> Sighting:
        """Whether Twilio has the message to the one of `people`: it is known by the personal link in its text.

        The list is read by number alone: a message that waits at Twilio has no date of sending yet.
        """
        person = people[0]
        read, hidden = 0, False
        try:
            messages = await self._client.messages.stream_async(to=person.address, limit=_MESSAGES_READ)
            async for message in messages:
                read += 1
                if person.link in (message.body or ""):
                    return Sighting(LIST, found=True, provider_id=message.sid)
                recent = message.date_created is None or message.date_created >= asked_at - _CLOCKS_APART
                hidden = hidden or (recent and not message.body)
        except TwilioException as refusal:
            # A page that is refused comes as the client's general exception, with the answer at its end.
            status = getattr(refusal.args[-1] if refusal.args else None, "status_code", None)
            detail = f"Twilio's list of messages answered {status or 'with no list'}."
            return Sighting(LIST, found=None, detail=detail, blocked=status == _TOO_MANY)
        except Exception:  # noqa: BLE001  a look-up that fails proves nothing, whatever the reason
            return Sighting(LIST, found=None, detail="Twilio's list of messages did not answer.")
        if read >= _MESSAGES_READ:
            return Sighting(LIST, found=None, detail="Twilio lists too many messages of this number to read them all.")
        if hidden:
            return Sighting(LIST, found=None, detail="Twilio keeps no texts of messages, so none can be recognised.")
        return Sighting(LIST, found=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()
        await asyncio.sleep(0)  # lets the transports notice


def classify(status: int, code: int | None, *, retry_after: str | None = None) -> Outcome:
    """What an error answer to a message call proves; the status goes before the code."""
    word = str(code or status)
    if status >= _SERVER:
        return Outcome(
            OutcomeKind.IN_DOUBT,
            http_status=status,
            code=word,
            detail=f"Twilio answered {status}, which does not say whether it took the SMS.",
        )
    if status == _TOO_MANY or code in {_TOO_MANY_CODE, _QUEUE_FULL}:
        asked = float(retry_after) if retry_after and re.fullmatch(r"\d{1,6}(\.\d+)?", retry_after) else None
        if code == _QUEUE_FULL:
            asked = max(asked or 0.0, _QUEUE_WAIT_SECONDS)
        return Outcome(
            OutcomeKind.TRY_LATER, http_status=status, code=word, detail="Twilio asked to wait.", retry_after=asked
        )
    if code is not None and code in _RECIPIENT:
        return Outcome(OutcomeKind.RECIPIENT_REFUSED, http_status=status, code=word, detail=_RECIPIENT[code], member=0)
    reason = _ACCOUNT.get(code or 0, "Twilio refused the call")
    return Outcome(
        OutcomeKind.ACCOUNT_REFUSED,
        http_status=status,
        code=word,
        detail=f"{reason} (error {word}). Correct the account, the credentials or the sender, then resume the batch.",
    )


def classify_fault(fault: BaseException) -> Outcome:
    """What an exception proves: only a connection that never came about is certainly not an acceptance."""
    code = type(fault).__name__
    if isinstance(fault, aiohttp.ClientConnectorError):
        return Outcome(OutcomeKind.TRY_LATER, code=code, detail="Twilio could not be reached.")
    return Outcome(OutcomeKind.IN_DOUBT, code=code, detail="The connection to Twilio broke before its answer arrived.")
