"""Twilio's status callbacks: the form that is posted, and its signature."""

import base64
import hmac
from collections.abc import Mapping
from hashlib import sha1

import orjson

from sandbox.records import Message
from sandbox.timeline import POOL_SENDER, Happened


def form(message: Message, one: Happened, *, account_sid: str) -> dict[str, str]:
    """The fields of one callback."""
    service = str(message.details.get("MessagingServiceSid", ""))
    code = str(one.fields.get("code", ""))
    return {
        "AccountSid": account_sid,
        "ApiVersion": "2010-04-01",
        "From": message.sender or POOL_SENDER,
        "MessageSid": message.request,
        "MessageStatus": one.name,
        "SmsSid": message.request,
        "SmsStatus": one.name,
        "To": message.to,
        **({"MessagingServiceSid": service} if service else {}),
        **({"ErrorCode": code} if code else {}),
    }


def body(message: Message, one: Happened, *, account_sid: str) -> str:
    """The same as JSON, to be kept until it is posted."""
    return orjson.dumps(form(message, one, account_sid=account_sid)).decode()


def signature(url: str, fields: Mapping[str, str], *, auth_token: str) -> str:
    """X-Twilio-Signature: HMAC-SHA1 over the address and the sorted fields."""
    signed = url + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.new(auth_token.encode(), signed.encode(), sha1).digest()).decode()
