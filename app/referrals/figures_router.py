"""Referral successes over HTTP, from the country down to the consultant."""

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from app.chapters.schemas import REGION_CODE
from app.core.actors import Actor, Right
from app.core.clock import add_months, china_date, month_of
from app.core.http import GUARDED, Now, Postings, Requires, documented
from app.core.problems import InvalidPayload, NotFound
from app.core.schemas import Month
from app.referrals import figures
from app.referrals.figures_schemas import DealerSuccesses, ReferralReport, RegionSuccesses

router = APIRouter(prefix="/reports/referrals", tags=["reports"], responses=GUARDED)

Reader = Annotated[Actor, Depends(Requires(Right.REPORTS_READ))]
OfMonth = Annotated[Month | None, Query(description="without it, the last month that is over in China")]
AtDealer = Annotated[str, Path(pattern=r"^[A-Z0-9]{2,16}$", examples=["BJ001"])]
InRegion = Annotated[str, Path(pattern=REGION_CODE, examples=["BJ"])]


@router.get("")
async def reports_referrals(actor: Reader, pool: Postings, now: Now, month: OfMonth = None) -> ReferralReport:
    """Referred cars delivered to a month's end and in it: the country and its regions."""
    asked = _asked(month, now)
    return figures.network(await figures.counted(pool, asked), asked, actor)


@router.get("/regions/{region}", responses=documented(NotFound))
async def reports_referrals_region(
    region: InRegion, actor: Reader, pool: Postings, now: Now, month: OfMonth = None
) -> RegionSuccesses:
    """The same of a region, by dealer; a dealer's staff see their own dealer."""
    asked = _asked(month, now)
    return figures.region(await figures.counted(pool, asked), asked, actor, region)


@router.get("/dealers/{dealer_code}", responses=documented(NotFound))
async def reports_referrals_dealer(
    dealer_code: AtDealer, actor: Reader, pool: Postings, now: Now, month: OfMonth = None
) -> DealerSuccesses:
    """The same of a dealer, by sales consultant."""
    asked = _asked(month, now)
    return figures.dealer(await figures.counted(pool, asked), asked, actor, dealer_code)


def _asked(month: date | None, now: datetime) -> date:
    this_month = month_of(china_date(now))
    if month is not None and month > this_month:
        raise InvalidPayload.at("/query/month", "date_in_future")
    return month or add_months(this_month, -1)
