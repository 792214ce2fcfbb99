"""Referral successes: referred cars delivered, cumulative and of a month (domain.md, "Figures with a fixed formula").

A success counts in the month of its delivery, for the dealer that delivered; one whose sale was cancelled, nowhere.
"""

from collections.abc import Iterable
from datetime import date
from typing import NamedTuple

from app.core.actors import Actor, Reach
from app.core.clock import month_end
from app.core.db import Connection
from app.core.problems import NotFound
from app.referrals.figures_schemas import (
    ConsultantSuccesses,
    DealerSuccesses,
    ReferralReport,
    RegionSuccesses,
    Successes,
)

# every dealer has a row, those without success one without a consultant
_COUNTED = """
SELECT d.region_code, d.code, r.consultant, count(r.id), count(r.id) FILTER (WHERE r.delivered_on >= $1)
  FROM dealer d
  LEFT JOIN referral r ON r.dealer_code = d.code AND r.status = 'delivered' AND r.delivered_on <= $2
 GROUP BY 1, 2, 3 ORDER BY 1, 2, 4 DESC, 3
"""


class Sold(NamedTuple):
    """What became of a consultant's leads (None: nobody's) by a month's end."""

    region_code: str
    dealer_code: str
    consultant: str | None
    cumulative: int
    month: int


async def counted(connection: Connection, month: date) -> list[Sold]:
    """Successes to the end of a month (its first day), by region, dealer and consultant; the connection reads all."""
    return [Sold(*row) for row in await connection.fetch(_COUNTED, month, month_end(month))]


def network(sold: Iterable[Sold], month: date, actor: Actor | None) -> ReferralReport:
    """The country and its regions as far as an actor reaches; None: an operator at the console."""
    rows = list(sold)
    reaches_all = actor is None or actor.reach is Reach.ALL
    regions = {
        code: _sum(row for row in rows if row.region_code == code)
        for code in dict.fromkeys(row.region_code for row in rows)
        if reaches_all or (actor is not None and actor.region_code == code)
    }
    return ReferralReport(month=month, national=_sum(rows) if reaches_all else None, regions=regions)


def region(sold: Iterable[Sold], month: date, actor: Actor, code: str) -> RegionSuccesses:
    """A region's dealers as far as an actor reaches.

    Raises:
        NotFound: there is no such region, or nothing of it is the actor's to see.
    """
    rows = [row for row in sold if row.region_code == code and _reaches(actor, row)]
    if not rows:
        raise NotFound("region")
    codes = dict.fromkeys(row.dealer_code for row in rows)
    dealers = {dealer: _sum(row for row in rows if row.dealer_code == dealer) for dealer in codes}
    whole = _sum(rows) if actor.reach in (Reach.ALL, Reach.REGION) else None
    return RegionSuccesses(month=month, code=code, figures=whole, dealers=dealers)


def dealer(sold: Iterable[Sold], month: date, actor: Actor, code: str) -> DealerSuccesses:
    """A dealer's consultants, those with most successes first.

    Raises:
        NotFound: there is no such dealer, or it is not the actor's to see.
    """
    rows = [row for row in sold if row.dealer_code == code and _reaches(actor, row)]
    if not rows:
        raise NotFound("dealer")
    consultants = [
        ConsultantSuccesses(consultant=row.consultant, cumulative=row.cumulative, month=row.month)
        for row in rows
        if row.cumulative
    ]
    return DealerSuccesses(month=month, code=code, figures=_sum(rows), consultants=consultants)


def _reaches(actor: Actor, row: Sold) -> bool:
    match actor.reach:
        case Reach.ALL:
            return True
        case Reach.REGION:
            return row.region_code == actor.region_code
        case Reach.DEALER:
            return row.dealer_code in actor.dealers
    return False


def _sum(rows: Iterable[Sold]) -> Successes:
    pairs = [(row.cumulative, row.month) for row in rows]
    return Successes(cumulative=sum(pair[0] for pair in pairs), month=sum(pair[1] for pair in pairs))
