"""Sending a member a text message: an interface, and the console sender of the demo."""

import sys
from typing import Protocol

from app.rewards.problems import SmsUnavailable


class SmsSender(Protocol):
    """Delivers a text to a phone number (E.164)."""

    async def send(self, phone: str, text: str) -> None:
        """Send, or raise SmsUnavailable."""
        ...


class ConsoleSender:
    """Writes messages to the console instead of sending them: for the demo only, since codes become readable."""

    async def send(self, phone: str, text: str) -> None:
        """Print the text beside the masked number."""
        sys.stderr.write(f"SMS to {phone[:6]}****{phone[-4:]}: {text}\n")


class NoSender:
    """No provider is configured."""

    async def send(self, phone: str, text: str) -> None:
        """Refuse."""
        raise SmsUnavailable


def sender(kind: str) -> SmsSender:
    """The sender a setting names: console, or none."""
    return ConsoleSender() if kind == "console" else NoSender()
