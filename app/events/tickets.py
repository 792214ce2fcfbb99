"""Tickets: what the QR code of a registration says, and what of it the offline list does."""

import base64
import binascii
import hmac
from hashlib import sha256
from uuid import UUID

from app.core.problems import NotFound
from app.events.registration_problems import TicketOfOtherEvent
from app.identity.seals import Seals

PREFIX = "EVT1."
_MAC_BYTES = 12


def ticket(seals: Seals, event_id: UUID, registration_id: UUID) -> str:
    """The text of a registration's QR code: nobody makes one but the service."""
    content = event_id.bytes + registration_id.bytes
    return PREFIX + base64.urlsafe_b64encode(content + _mac(seals, content)).decode()


def registration_of(seals: Seals, text: str, event_id: UUID) -> UUID:
    """The registration that a code scanned at an event is of.

    Raises:
        NotFound: it is no ticket of ours.
        TicketOfOtherEvent.
    """
    try:
        decoded = base64.b64decode(text.removeprefix(PREFIX), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise NotFound("ticket") from None
    content, mac = decoded[:32], decoded[32:]
    if not text.startswith(PREFIX) or not hmac.compare_digest(_mac(seals, content), mac):
        raise NotFound("ticket")
    if content[:16] != event_id.bytes:
        raise TicketOfOtherEvent
    return UUID(bytes=content[16:])


def digest_of(text: str) -> str:
    """What the offline list says of a ticket: a scanner knows a code by it, and makes none."""
    return sha256(text.encode()).hexdigest()


def _mac(seals: Seals, content: bytes) -> bytes:
    return seals.digest("ticket", content.hex())[:_MAC_BYTES]
