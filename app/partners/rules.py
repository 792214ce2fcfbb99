"""Partners' perks and vouchers: pure rules, no I/O. Money is whole fen, days are China's."""

from collections.abc import Collection, Mapping
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum

OFFLINE_DAYS = 3
"""So long a till may work by an offline list, and so long after its last day may a voucher used in time be reported."""


class Category(StrEnum):
    """What a partner is."""

    HOTEL = "hotel"
    RESTAURANT = "restaurant"
    WINERY = "winery"
    BEAUTY = "beauty"
    INSURANCE = "insurance"
    TRAVEL = "travel"
    RETAIL = "retail"
    HEALTH = "health"
    EDUCATION = "education"
    ENTERTAINMENT = "entertainment"
    FINANCE = "finance"
    OTHER = "other"


class VoucherStatus(StrEnum):
    """Where a voucher stands."""

    CLAIMED = "claimed"
    USED = "used"
    RETURNED = "returned"
    EXPIRED = "expired"


VOUCHER_TRANSITIONS: Mapping[VoucherStatus, frozenset[VoucherStatus]] = {
    VoucherStatus.CLAIMED: frozenset({VoucherStatus.USED, VoucherStatus.RETURNED, VoucherStatus.EXPIRED}),
    VoucherStatus.USED: frozenset(),
    VoucherStatus.RETURNED: frozenset(),
    VoucherStatus.EXPIRED: frozenset(),
}


class PerkClaimStatus(StrEnum):
    """Where a line of a month's claims stands."""

    CLAIMED = "claimed"
    APPROVED = "approved"
    DISPUTED = "disputed"
    WITHDRAWN = "withdrawn"
    PAID = "paid"


CLAIM_TRANSITIONS: Mapping[PerkClaimStatus, frozenset[PerkClaimStatus]] = {
    PerkClaimStatus.CLAIMED: frozenset({PerkClaimStatus.APPROVED, PerkClaimStatus.DISPUTED}),
    PerkClaimStatus.DISPUTED: frozenset({PerkClaimStatus.CLAIMED, PerkClaimStatus.WITHDRAWN}),
    PerkClaimStatus.APPROVED: frozenset({PerkClaimStatus.PAID}),
    PerkClaimStatus.WITHDRAWN: frozenset(),
    PerkClaimStatus.PAID: frozenset(),
}
"""Headquarters' answer puts a disputed line up for approval again, or withdraws it: nothing is owed."""


class Usability(StrEnum):
    """Whether a voucher is good on a day, and if not, why."""

    GOOD = "good"
    USED = "used"
    RETURNED = "returned"
    EXPIRED = "expired"
    TOO_EARLY = "too_early"
    BLACKED_OUT = "blacked_out"


def usability(
    status: VoucherStatus, day: date, *, first: date, last: date, blackout: Collection[date]
) -> Usability:  # fmt: skip
    """Whether a voucher is good on a day.

    Args:
        first: the perk's first day, or the day on which the voucher was claimed if that is later.
        last: the voucher's last day.
        blackout: days on which the perk cannot be had.
    """
    # as the database gives it, it is the status's text
    if status != VoucherStatus.CLAIMED:
        return Usability(str(status))
    if day > last:
        return Usability.EXPIRED
    if day < first:
        return Usability.TOO_EARLY
    return Usability.BLACKED_OUT if day in blackout else Usability.GOOD


def last_day(claimed_on: date, days: int, perk_until: date | None, partner_until: date | None) -> date:
    """A voucher's last day: so many days from its claim, never after the perk or the partner has ended."""
    ends = [claimed_on + timedelta(days=days - 1), perk_until, partner_until]
    return min(end for end in ends if end is not None)


def commission_fen(amount_fen: int, percent: Decimal | None) -> int:
    """An agency's share of money, in whole fen, half-even; nothing without an agency."""
    if percent is None:
        return 0
    return int((amount_fen * percent / 100).quantize(Decimal(1), ROUND_HALF_EVEN))


def party_of(partner_code: str) -> str:
    """A partner as funders and places are named in the ledger."""
    return f"partner:{partner_code}"


def agency_party(agency_code: str) -> str:
    """An agency as it is named among those who pay and get."""
    return f"agency:{agency_code}"


def budget_of(partner_code: str) -> str:
    """The budget by which rules draw on a partner's prepaid points."""
    return f"partner-{partner_code.lower()}"
