"""Asking SendGrid whether it has a request: by Email Activity where the account has it, else by Email Logs.

Both read-only lists are those of SendGrid's OpenAPI documents. Email Activity finds a request by
our own id in one query, six queries a minute; it is a paid addition, and has nothing of European
subusers. Email Logs cannot be searched by our id: some members are looked up by address, and the
messages found are read one by one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from python_http_client.client import Client
from python_http_client.exceptions import HTTPError

from channels.people import Label, Person
from domain.doubts import Sighting

ACTIVITY, LOGS = "Email Activity", "Email Logs"
MEMBERS_ASKED = 3
"""Members of a request that are looked up in Email Logs; one acceptance speaks for all."""
_CLOCKS_APART = timedelta(minutes=5)
_MESSAGES_READ = 20
_TOO_MANY = 429
_NOT_OURS_TO_READ = {400, 401, 402, 403, 404, 405, 501}


class _Unanswered(Exception):
    """The list did not answer; carries the status, None where no answer came."""

    def __init__(self, status: int | None) -> None:
        super().__init__(status)
        self.status = status


def find(client: Client, label: Label, people: Sequence[Person], *, asked_at: datetime) -> Sighting:
    """Whether SendGrid has the request `label`.

    Args:
        client: SendGrid's own client, with credentials and timeout.
        label: as the request carried it.
        people: its members; only the first few are looked up, and only where Email Activity is not to be had.
        asked_at: when the request was made.
    """
    try:
        return _in_activity(client, label)
    except _Unanswered as silence:
        if silence.status not in _NOT_OURS_TO_READ:
            return _unanswered(ACTIVITY, silence.status)
    try:
        return _in_logs(client, label, people[:MEMBERS_ASKED], asked_at)
    except _Unanswered as silence:
        return _unanswered(LOGS, silence.status)


def _in_activity(client: Client, label: Label) -> Sighting:
    query = f"unique_args['bs_unit']=\"{label.unit}\""
    found = _read(client.messages.get, query_params={"query": query, "limit": 1})
    messages = _list(found)
    if not messages:
        return Sighting(ACTIVITY, found=False)
    return Sighting(ACTIVITY, found=True, provider_id=request_id(messages[0].get("msg_id")))


def _in_logs(client: Client, label: Label, people: Sequence[Person], asked_at: datetime) -> Sighting:
    since = (asked_at - _CLOCKS_APART).strftime("%Y-%m-%dT%H:%M:%SZ")
    asked = False
    for person in people:
        if "'" in person.address or "\\" in person.address:
            continue  # the query language says nothing of escapes
        asked = True
        query = f"to_email = '{person.address}' AND sg_message_id_created_at >= TIMESTAMP \"{since}\""
        messages = _list(_read(client.logs.post, request_body={"query": query, "limit": 1000}))
        for message in messages[:_MESSAGES_READ]:
            detail = _read(client.logs._(quote(str(message.get("sg_message_id")), safe="")).get)
            if _unit_of(detail) == label.unit:
                return Sighting(LOGS, found=True, provider_id=request_id(message.get("sg_message_id")))
        if len(messages) > _MESSAGES_READ:
            return Sighting(LOGS, found=None, detail="A member has too many messages in Email Logs to read them all.")
    if not asked:
        return Sighting(LOGS, found=None, detail="No member's address can be looked up in Email Logs.")
    return Sighting(LOGS, found=False)


def _unit_of(detail: Any) -> str | None:  # noqa: ANN401  whatever JSON came
    """Our id of a message; custom arguments stand at the message, or at each of its events."""
    if not isinstance(detail, dict):
        return None
    events = detail.get("events")
    for holder in [detail, *(events if isinstance(events, list) else [])]:
        arguments = holder.get("custom_args") if isinstance(holder, dict) else None
        if isinstance(arguments, dict) and arguments.get("bs_unit"):
            return str(arguments["bs_unit"])
    return None


def request_id(message_id: object) -> str | None:
    """The X-Message-Id of the request that a message's id begins with (SendGrid's example of `sg_message_id`)."""
    return str(message_id).split(".", 1)[0] if message_id else None


def _read(call: Any, **arguments: Any) -> Any:  # noqa: ANN401  the client ships no types
    try:
        response = call(**arguments)
        return json.loads(response.body or b"null")
    except HTTPError as answer:
        raise _Unanswered(answer.status_code) from answer
    except Exception as fault:  # a look-up that fails proves nothing, whatever the reason
        raise _Unanswered(None) from fault


def _list(found: Any) -> list[dict[str, Any]]:  # noqa: ANN401  whatever JSON came
    messages = found.get("messages") if isinstance(found, dict) else None
    if not isinstance(messages, list):
        raise _Unanswered(None)
    return [message for message in messages if isinstance(message, dict)]


def _unanswered(source: str, status: int | None) -> Sighting:
    detail = f"SendGrid's {source} did not answer." if status is None else f"SendGrid's {source} answered {status}."
    return Sighting(source, found=None, detail=detail, blocked=status == _TOO_MANY)
