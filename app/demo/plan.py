"""Which members redeem how many points at which counter: drawn from the orders alone, so always the same."""

from collections.abc import Iterable, Iterator
from datetime import date
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

SEED = "owner-club-1"
SHARE_OF_ORDERS = 0.25
"""How many counter visits end in a redemption when there is something to redeem."""
LEAST = 200
STEP = 10


class Visit(NamedTuple):
    """A member at a counter, with what the order of that visit earns (spendable from the next visit on)."""

    member_id: UUID
    business_date: date
    dealer_code: str
    order_no: str
    earns: int


class Redemption(NamedTuple):
    """Points a member spends on an order."""

    visit: Visit
    points: int


def redemptions(visits: Iterable[Visit], balances: dict[UUID, int]) -> Iterator[Redemption]:
    """The month's redemptions in order of date.

    Args:
        visits: the month's, in order of date.
        balances: what each member could spend before the month; kept up to date on the way.
    """
    for visit in visits:
        balance = balances.get(visit.member_id, 0)
        chance, share = _draw(visit)
        points = int(balance * (0.3 + 0.7 * share)) // STEP * STEP
        if chance < SHARE_OF_ORDERS and points >= LEAST:
            yield Redemption(visit, points)
            balance -= points
        balances[visit.member_id] = balance + visit.earns


def _draw(visit: Visit) -> tuple[float, float]:
    digest = blake2b(f"{SEED}:{visit.dealer_code}:{visit.order_no}".encode(), digest_size=8).digest()
    return int.from_bytes(digest[:4], "big") / 2**32, int.from_bytes(digest[4:], "big") / 2**32
