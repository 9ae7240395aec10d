"""What becomes of a message after it was accepted: named for its address, told by the address, or drawn by chance.

A fate is one word: of an email one of `EMAIL`, of an SMS the five digits of an error code; empty means delivered.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from sandbox.records import PROVIDERS, Provider

EMAIL: Mapping[str, str] = {
    "bounce": "refused for good by the recipient's server",
    "block": "refused for now by the recipient's server",
    "latebounce": "delivered, and bounced ten minutes later",
    "drop": "never sent: SendGrid finds the address invalid",
    "defer": "deferred twice, then delivered",
    "spam": "delivered, then reported as spam",
    "unsubscribe": "delivered, then unsubscribed",
    "open": "delivered and opened",
    "click": "delivered, opened and clicked",
    "silent": "processed, and never heard of again",
}
SILENT = "silent"
BLOCKED = "Blocked"
"""The reason of the one list of SendGrid that does not keep it from sending."""
REFUSED: Mapping[str, str] = {"bounce": "bounced", "latebounce": "bounced", "block": "blocked", "drop": "dropped"}
"""Fates of an email that nobody receives, and the state it has then."""
SUPPRESSING: Mapping[str, str] = {
    "bounce": "Bounced Address",
    "latebounce": "Bounced Address",
    "block": BLOCKED,
    "drop": "Invalid",
    "spam": "Spam Reporting Address",
    "unsubscribe": "Unsubscribed Address",
}
"""Fates after which SendGrid puts the address on one of its lists, by the reason it is kept under."""
SMS_ERRORS: Mapping[str, str] = {
    "30001": "Queue overflow",
    "30002": "Account suspended",
    "30003": "Unreachable destination handset",
    "30004": "Message blocked",
    "30005": "Unknown destination handset",
    "30006": "Landline or unreachable carrier",
    "30007": "Message filtered",
    "30008": "Unknown error",
    "30034": "Message from an unregistered number",
    "30036": "Validity period expired",
    "30500": "Internal failure",
}
QUEUE_OVERFLOW = "30001"
SMS_FAILED = frozenset({"30001", "30002", "30036", "30500"})
"""Codes of messages that never left: their status is failed, of all others undelivered."""
_EMAIL_RULE = re.compile(rf"({'|'.join(EMAIL)})(?![a-z])", re.IGNORECASE)
_SMS_RULE = re.compile(r"\+15005553([0-9]{3})")
_SMS_CODE = re.compile(r"30[0-9]{3}")
_SMS_SILENT = "+15005559000"
_WHOLE = 2**64


class FateRefused(ValueError):
    """A fate that cannot be set; its text says why."""


@dataclass(frozen=True, slots=True)
class Fates:
    """Which message meets which fate. The same address meets the same one again: chance depends on it and the seed."""

    seed: int = 1
    addresses: Mapping[str, str] = field(default_factory=dict)
    fractions: Mapping[Provider, Mapping[str, float]] = field(default_factory=dict)

    def of_email(self, address: str) -> str:
        """The fate of an email to this address."""
        rule = _EMAIL_RULE.match(address)
        if self.addresses or self.fractions:
            return self._set("sendgrid", address) or (rule[1].lower() if rule else self._drawn("sendgrid", address))
        return rule[1].lower() if rule else ""

    def of_sms(self, number: str) -> str:
        """The fate of an SMS to this number."""
        rule = _SMS_RULE.fullmatch(number)
        told = f"30{rule[1]}" if rule else SILENT if number == _SMS_SILENT else ""
        return self._set("twilio", number) or told or self._drawn("twilio", number)

    def _set(self, provider: Provider, address: str) -> str:
        named = self.addresses.get(address.lower(), "")
        return named if is_fate(provider, named) else ""

    def _drawn(self, provider: Provider, address: str) -> str:
        fractions = self.fractions.get(provider)
        if not fractions:
            return ""
        digest = blake2b(f"{self.seed}/{provider}/{address.lower()}".encode(), digest_size=8).digest()
        chance = int.from_bytes(digest) / _WHOLE
        for fate, fraction in fractions.items():
            if chance < fraction:
                return fate
            chance -= fraction
        return ""


def is_fate(provider: Provider, word: str) -> bool:
    """Whether a message of this provider can meet this fate."""
    return word in EMAIL if provider == "sendgrid" else word == SILENT or _SMS_CODE.fullmatch(word) is not None


def to_json(fates: Fates) -> dict[str, object]:
    """Fates as the control API gives them."""
    of_provider: dict[str, object] = {provider: dict(fates.fractions.get(provider, {})) for provider in PROVIDERS}
    return {"seed": fates.seed, "addresses": dict(fates.addresses), **of_provider}


def from_json(value: object) -> Fates:
    """Fates from JSON of `to_json`; what is left out is empty, and the seed is 1."""
    if not isinstance(value, dict) or set(value) - {"seed", "addresses", *PROVIDERS}:
        msg = 'fates are an object: {"seed": 1, "addresses": {...}, "sendgrid": {...}, "twilio": {...}}'
        raise FateRefused(msg)
    seed = value.get("seed", 1)
    if not isinstance(seed, int) or isinstance(seed, bool):
        msg = "seed is a whole number"
        raise FateRefused(msg)
    fractions = {provider: _fractions(provider, value.get(provider, {})) for provider in PROVIDERS}
    used = {provider: given for provider, given in fractions.items() if given}
    return Fates(seed=seed, addresses=_addresses(value.get("addresses", {})), fractions=used)


def _fractions(provider: Provider, value: object) -> dict[str, float]:
    if not isinstance(value, dict):
        msg = f"the fates of {provider} are an object of fractions"
        raise FateRefused(msg)
    for word, fraction in value.items():
        if not is_fate(provider, word):
            raise FateRefused(_unknown(word))
        if isinstance(fraction, bool) or not isinstance(fraction, int | float) or not 0 <= fraction <= 1:
            msg = f"the fraction of {word} is a number from 0 to 1"
            raise FateRefused(msg)
    if sum(value.values()) > 1:
        msg = f"the fractions of {provider} are more than 1 together"
        raise FateRefused(msg)
    return value


def _addresses(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        msg = "addresses are an object: address to fate"
        raise FateRefused(msg)
    for word in value.values():
        if not isinstance(word, str) or not any(is_fate(provider, word) for provider in PROVIDERS):
            raise FateRefused(_unknown(word))
    return {address.strip().lower(): word for address, word in value.items()}


def _unknown(word: object) -> str:
    return f"{word!r} is no fate; of an email it is one of {', '.join(EMAIL)}, of an SMS 30 and three digits, or silent"
