"""Where providers post what became of our messages. Who cannot prove to be a provider learns nothing and changes nothing."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import parse_qsl

import httpx
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from fastapi import FastAPI, Request, Response
from fastapi import Path as InPath
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.exc import SQLAlchemyError

from channels import sendgrid_receipts, twilio_receipts
from deployments.receiving import Intake
from deployments.surroundings import Surroundings
from domain.deliveries import Receipt
from domain.signing import public_key
from domain.suppressions import Mark
from settings import PREFIX, SANDBOX_TWILIO_TOKEN, Settings

MOST_EMAIL_BYTES = 8 * 1024 * 1024
MOST_SMS_BYTES = 64 * 1024
_SANDBOX_SECONDS = 5.0
_DONE, _UNREADABLE, _NOT_SIGNED, _TOO_LARGE, _NOT_NOW = 204, 400, 403, 413, 503
_NO_REPLY = '<?xml version="1.0" encoding="UTF-8"?><Response></Response>'
_logger = logging.getLogger(__name__)

Uid = Annotated[str, InPath(pattern=r"^[0-9a-f]{32}$")]
Number = Annotated[int, InPath(ge=0, le=999_999_999)]


class Webhooks:
    """The routes, over one ledger."""

    def __init__(self, around: Surroundings) -> None:
        """Say in the log if SendGrid's receipts cannot be taken for want of a key."""
        self._settings = around.settings
        self._intake = Intake(around)
        if self._settings.email_is_real and self._settings.sendgrid_webhook_public_key is None:
            _logger.warning(
                "%sSENDGRID_WEBHOOK_PUBLIC_KEY is not set, so SendGrid's receipts are refused and nobody learns what was "
                "delivered. Copy the key from SendGrid's Event Webhook settings.",
                PREFIX,
            )

    def add_to(self, app: FastAPI) -> None:
        """Answer where the providers post."""
        app.post(sendgrid_receipts.PATH)(self.email)
        app.post(twilio_receipts.INBOUND)(self.answer)
        app.post(twilio_receipts.PATH + "/{batch}/{number}")(self.sms)

    async def email(self, request: Request) -> Response:
        """SendGrid's events."""
        body = await _body(request, most=MOST_EMAIL_BYTES)
        if body is None:
            return Response(status_code=_TOO_LARGE)
        key = await _email_key(self._settings)
        if key is None:
            return Response(status_code=_NOT_NOW)
        signature = request.headers.get(sendgrid_receipts.SIGNATURE, "")
        timestamp = request.headers.get(sendgrid_receipts.TIMESTAMP, "")
        if not sendgrid_receipts.is_signed(key, body, signature=signature, timestamp=timestamp):
            return Response(status_code=_NOT_SIGNED)
        try:
            receipts = await run_in_threadpool(sendgrid_receipts.parse, body)
        except ValueError:
            _logger.warning("a post that SendGrid signed is not a list of events; it was refused")
            return Response(status_code=_UNREADABLE)
        return await self._take(receipts)

    async def sms(self, request: Request, batch: Uid, number: Number) -> Response:
        """What became of one SMS."""
        url = twilio_receipts.callback_url(self._settings.links_base, batch=batch, request=number)
        form = await _signed_form(request, self._settings, url=url)
        if isinstance(form, Response):
            return form
        receipt = twilio_receipts.parse_status(form, batch=batch, request=number, now=datetime.now(UTC))
        return await self._take([receipt] if receipt else [])

    async def answer(self, request: Request) -> Response:
        """An SMS that somebody wrote to our number; it is never answered by us."""
        form = await _signed_form(request, self._settings, url=self._settings.links_base + twilio_receipts.INBOUND)
        if isinstance(form, Response):
            return form
        mark = twilio_receipts.parse_answer(form, now=datetime.now(UTC))
        taken = await self._take([], [mark] if mark else [])
        return taken if taken.status_code != _DONE else Response(_NO_REPLY, media_type="text/xml")

    async def _take(self, receipts: Sequence[Receipt], marks: Sequence[Mark] = ()) -> Response:
        """Say yes only to what is committed; the provider posts again what is not."""
        if receipts or marks:
            try:
                await self._intake.take(receipts, marks)
            except SQLAlchemyError as fault:
                _logger.error("receipts could not be written (%s)", type(fault).__name__)  # noqa: TRY400  its text would quote them
                return Response(status_code=_NOT_NOW)
        return Response(status_code=_DONE)


async def _body(request: Request, *, most: int) -> bytes | None:
    """The bytes of a post, None if there are more than `most`; reads no further than that."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            return None
    return bytes(body)


async def _email_key(settings: Settings) -> EllipticCurvePublicKey | None:
    """The key that is set; without one, the sandbox's, if email goes there and it answers."""
    if settings.sendgrid_webhook_public_key is not None:
        return public_key(settings.sendgrid_webhook_public_key)
    if settings.email_is_real:
        return None
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=_SANDBOX_SECONDS) as client:
            answer = await client.get(f"{settings.sandbox_url}/sandbox/webhooks")
        return public_key(answer.raise_for_status().json()["public_key"])
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return None


async def _signed_form(request: Request, settings: Settings, *, url: str) -> Mapping[str, str] | Response:
    """The fields of a post that Twilio signed for `url`, or what to answer instead."""
    body = await _body(request, most=MOST_SMS_BYTES)
    if body is None:
        return Response(status_code=_TOO_LARGE)
    token = settings.twilio_auth_token.get_secret_value() if settings.twilio_auth_token else SANDBOX_TWILIO_TOKEN
    try:
        form = dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=200))
    except ValueError:
        return Response(status_code=_NOT_SIGNED)
    signature = request.headers.get(twilio_receipts.SIGNATURE, "")
    if not twilio_receipts.is_signed(token, url, form, signature=signature):
        return Response(status_code=_NOT_SIGNED)
    return form
