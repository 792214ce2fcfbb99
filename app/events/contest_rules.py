"""Winning: the order of a draw, and what may be bid in an auction. Pure."""

from collections.abc import Iterable
from enum import StrEnum
from hashlib import sha256


class Entrants(StrEnum):
    """Who takes part in a draw: who has a seat, or who came."""

    REGISTERED = "registered"
    ATTENDED = "attended"


class LotStatus(StrEnum):
    """Where a lot of an auction stands."""

    OPEN = "open"
    SOLD = "sold"
    UNSOLD = "unsold"
    CANCELLED = "cancelled"


class BidStatus(StrEnum):
    """Where a bid stands; `released`: the lot was called off."""

    LEADING = "leading"
    OUTBID = "outbid"
    WON = "won"
    RELEASED = "released"


def drawn(seed: bytes, public_value: str, entries: Iterable[str]) -> list[str]:
    """Entries in the order drawn: by the SHA-256 of three lines, the seed in hex, the public value and the entry.

    The seed's hash was told before anybody knew the public value, so neither could be chosen to suit the other.
    """
    return sorted(entries, key=lambda entry: sha256(f"{seed.hex()}\n{public_value}\n{entry}".encode()).digest())


def least_bid(start: int, step: int, best: int | None) -> int:
    """The points that the next bid must have at least."""
    return start if best is None else best + step
