"""What a repair order earns: pure arithmetic, no I/O. Source: the programme's default rule (docs/points.md)."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from app.core.actors import HEADQUARTERS
from app.points.rules import LIFE_MONTHS, last_spendable_day


class Funding(StrEnum):
    """Who pays for the points of an order."""

    HQ = "hq"
    DEALER = "dealer"


@dataclass(frozen=True, slots=True)
class Rule:
    """Points per whole yuan paid, who funds them, and how many months they live."""

    points_per_yuan: int = 1
    expiry_months: int = LIFE_MONTHS
    funding: Funding = Funding.HQ

    def points(self, paid_fen: int) -> int:
        """Points for an amount paid in fen: whole yuan only, the rest earns nothing."""
        return paid_fen // 100 * self.points_per_yuan

    def expires_on(self, business_date: date) -> date:
        """The last spendable day of points earned on a business date."""
        return last_spendable_day(business_date, self.expiry_months)

    def funder(self, dealer_code: str) -> str:
        """The party charged for the points."""
        return dealer_code if self.funding is Funding.DEALER else HEADQUARTERS
