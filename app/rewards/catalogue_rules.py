"""What rewards there are and what they cost: pure, no I/O. Points are whole, money is whole fen."""

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple


class RewardKind(StrEnum):
    """What a member gets for points."""

    SERVICE = "service"
    GIFT = "gift"
    COUPON = "coupon"
    PARTNER_VOUCHER = "partner_voucher"
    EVENT_FEE = "event_fee"
    DONATION = "donation"


class Part(StrEnum):
    """What of a repair order a service reward may pay."""

    LABOUR = "labour"
    PARTS = "parts"
    ACCESSORIES = "accessories"


class CodeSource(StrEnum):
    """Where codes come from: made here one by one, or a pool that was uploaded."""

    OWN = "own"
    POOL = "pool"


CODED = frozenset({RewardKind.COUPON, RewardKind.PARTNER_VOUCHER})
"""Kinds that may give codes; a coupon always does."""
SHIPPED_KINDS = frozenset({RewardKind.GIFT})
"""Kinds of which something is handed over; the others are the member's once they are paid."""


class Split(NamedTuple):
    """What an order costs: so many points, and so much money (fen) besides; of what was open of a bill (fen)."""

    points: int
    money_fen: int
    bill_fen: int | None = None


class Choice(NamedTuple):
    """Between how many points a member chooses, and what each point not spent costs in fen (0: nothing)."""

    least: int
    most: int
    money_fen: int
    fen_per_point: int

    def split(self, points: int | None) -> Split | None:
        """The price for as many points, all of them unless the member chose; None: not to be chosen."""
        chosen = self.most if points is None else points
        if not self.least <= chosen <= self.most:
            return None
        return Split(chosen, self.money_fen + (self.most - chosen) * self.fen_per_point)


def price_for(prices: Sequence[Mapping[str, Any]], tier: str | None) -> Mapping[str, Any] | None:
    """The price of the member's tier, else everybody's; None: the reward is not for this tier."""
    by_tier = {price["tier"]: price for price in prices}
    return by_tier.get(tier) or by_tier.get(None)


def choice_of(price: Mapping[str, Any], quantity: int, fen_per_point: int | None) -> Choice:
    """What a member chooses between for so many of a reward at a price."""
    most: int = price["points"] * quantity
    least = most if price["least_points"] is None else price["least_points"] * quantity
    return Choice(least, most, price["money_fen"] * quantity, fen_per_point or 0)


def share_fen(bill: Mapping[str, int], covers: Collection[str], max_share_percent: int) -> int:
    """What of a repair order points may pay, in fen: never more than the share of what the reward covers.

    Args:
        bill: fen by part.
    """
    return sum(fen for part, fen in bill.items() if part in covers) * max_share_percent // 100
