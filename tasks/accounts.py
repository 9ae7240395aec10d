"""The providers' accounts as a send needs them. Where they are kept is the matter of `tasks.credentials`, which needs Prefect."""

from __future__ import annotations

from dataclasses import dataclass, field

from channels.sendgrid import SendGrid
from channels.twilio import Twilio
from domain.splitting import EMAIL
from settings import Settings


@dataclass(frozen=True, slots=True)
class Accounts:
    """Hosts and secrets of both."""

    email_host: str
    email_key: str = field(repr=False)
    sms_host: str
    sms_account: str
    sms_token: str = field(repr=False)

    def open(self, settings: Settings, channel: str) -> SendGrid | Twilio:
        """The provider of a channel; inside the running loop that it is used in."""
        if channel == EMAIL:
            return SendGrid(
                api_key=self.email_key,
                host=self.email_host,
                timeout_seconds=settings.request_timeout_seconds,
                connections=settings.email_connections,
            )
        return Twilio(
            account_sid=self.sms_account,
            auth_token=self.sms_token,
            host=self.sms_host,
            timeout_seconds=settings.request_timeout_seconds,
            connections=settings.sms_connections,
        )
