"""Sending text messages: the senders there are, and what a message consists of."""

import asyncio
import json
import logging
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, TypeVar

import httpx

from app.core.acs3 import Operation, canonical_query, signed_headers
from app.core.catalogue import Language, text
from app.core.clock import Clock
from app.core.problems import SmsUnavailable
from app.settings import Settings

log = logging.getLogger("club.sms")

T = TypeVar("T")


class Purpose(StrEnum):
    """What messages are for; the provider has an approved template for each, the catalogue a text `sms.<purpose>`."""

    REDEMPTION = "redemption"
    SIGN_IN = "sign_in"
    PHONE_CHANGE = "phone_change"
    PHONE_CHANGED = "phone_changed"
    """to the former number"""
    EVENT_CANCELLED = "event_cancelled"


@dataclass(frozen=True, slots=True)
class Message:
    """A purpose and the figures of its template."""

    purpose: Purpose
    figures: Mapping[str, object]

    @property
    def text(self) -> str:
        """The whole text, in Chinese."""
        return text(Language.ZH, f"sms.{self.purpose}", self.figures)


class SmsNotTaken(SmsUnavailable):
    """The provider was not reached, or failed: the message is not under way."""


class SmsSender(Protocol):
    """Delivers messages to phone numbers (E.164)."""

    can_send: bool
    """False when no provider is configured, which is the same for every number."""

    async def send(self, phone: str, message: Message) -> None:
        """Send, or raise SmsUnavailable; SmsNotTaken when it may be sent again later."""
        ...


class ConsoleSender:
    """Writes messages to the console instead of sending them: for the demo only, since codes become readable."""

    can_send = True

    async def send(self, phone: str, message: Message) -> None:
        """Print the text beside the masked number."""
        sys.stderr.write(f"SMS to {phone[:6]}****{phone[-4:]}: {message.text}\n")


class NoSender:
    """No provider is configured."""

    can_send = False

    async def send(self, phone: str, message: Message) -> None:
        """Refuse."""
        raise SmsUnavailable


@dataclass(frozen=True, slots=True)
class Provider:
    """An account with Alibaba Cloud's short message service."""

    base_url: httpx.URL
    key_id: str
    key_secret: str
    sign_name: str
    templates: Mapping[Purpose, str]
    """Of the purposes there is one for."""


class AliyunSender:
    """Alibaba Cloud's SendSms (Dysmsapi 2017-05-25).

    The provider does not recognise a repeated request, so one is repeated only when it was not received or failed
    there (5xx), never after a time-out in waiting: the message may be under way.
    """

    can_send = True

    def __init__(
        self, client: httpx.AsyncClient, provider: Provider, *, clock: Clock, pauses: Sequence[float] = (0.2, 1.0)
    ) -> None:
        """`pauses` are seconds before each repetition."""
        self._client = client
        self._provider = provider
        self._clock = clock
        self._pauses = pauses

    async def send(self, phone: str, message: Message) -> None:
        """Hand the message over to the provider, or raise SmsUnavailable; SmsNotTaken: it was not taken."""
        if message.purpose not in self._provider.templates:
            log.warning("there is no template to send a message of the kind %s", message.purpose)
            raise SmsUnavailable
        query = canonical_query({
            "PhoneNumbers": phone,
            "SignName": self._provider.sign_name,
            "TemplateCode": self._provider.templates[message.purpose],
            # the provider takes texts only
            "TemplateParam": json.dumps({name: str(value) for name, value in message.figures.items()}),
        })  # fmt: skip
        for pause in (*self._pauses, None):
            answer = await self._attempt(query)
            if answer is not None and answer.status_code < 500:
                return _require_accepted(answer)
            if pause is not None:
                await asyncio.sleep(pause)
        raise SmsNotTaken

    async def _attempt(self, query: str) -> httpx.Response | None:
        """The provider's answer; None when there was no connection."""
        try:
            return await self._client.send(self._request(query, self._clock()))
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            log.warning("the SMS provider was not reached: %s", type(error).__name__)
            return None
        except httpx.HTTPError as error:
            log.error("the SMS provider did not answer: %s", type(error).__name__)
            raise SmsUnavailable from None

    def _request(self, query: str, now: datetime) -> httpx.Request:
        provider = self._provider
        # signed anew each time: a nonce is good once
        headers = signed_headers(
            Operation(provider.base_url.netloc.decode(), "SendSms", "2017-05-25"), query,
            key_id=provider.key_id, key_secret=provider.key_secret, at=now, nonce=secrets.token_hex(16),
        )  # fmt: skip
        url = provider.base_url.copy_with(raw_path=f"/?{query}".encode())
        return self._client.build_request("POST", url, headers=headers)


def _require_accepted(answer: httpx.Response) -> None:
    code = _code_of(answer)
    if code != "OK":
        log.error("the SMS provider refused: %s (HTTP %d)", code, answer.status_code)
        raise SmsUnavailable


def _code_of(answer: httpx.Response) -> str:
    try:
        body: Any = answer.json()
    except ValueError:
        return "not JSON"
    return str(body.get("Code", "no code"))[:64] if isinstance(body, dict) else "no object"


def serves(settings: Settings, purpose: Purpose) -> bool:
    """Whether messages of a purpose are sent."""
    return settings.sms == "console" or (settings.sms == "aliyun" and purpose in _provider(settings).templates)


def sender(settings: Settings, client: httpx.AsyncClient, clock: Clock) -> SmsSender:
    """The sender the settings name."""
    if settings.sms == "aliyun":
        return AliyunSender(client, _provider(settings), clock=clock)
    return ConsoleSender() if settings.sms == "console" else NoSender()


def _provider(settings: Settings) -> Provider:
    templates = {
        Purpose.REDEMPTION: _given(settings.sms_template_redemption),
        Purpose.SIGN_IN: _given(settings.sms_template_sign_in),
        Purpose.PHONE_CHANGE: _given(settings.sms_template_phone_change or settings.sms_template_sign_in),
    }
    if settings.sms_template_phone_changed is not None:
        templates[Purpose.PHONE_CHANGED] = settings.sms_template_phone_changed
    if settings.sms_template_event_cancelled is not None:
        templates[Purpose.EVENT_CANCELLED] = settings.sms_template_event_cancelled
    return Provider(
        httpx.URL(settings.sms_base_url), _given(settings.sms_key_id),
        _given(settings.sms_key_secret).get_secret_value(), _given(settings.sms_sign_name), templates,
    )  # fmt: skip


def _given(value: T | None) -> T:
    assert value is not None, "Settings sees to it"
    return value
