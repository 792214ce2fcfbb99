"""How long points live: pure arithmetic, no I/O. Source: the programme's default rule (docs/points.md)."""

from datetime import date
from functools import lru_cache

from app.core.clock import add_months, month_end, month_of

LIFE_MONTHS = 24


@lru_cache(maxsize=4096)
def last_spendable_day(business_date: date, months: int = LIFE_MONTHS) -> date:
    """The end of the `months`-th month after the business date's month."""
    return month_end(add_months(month_of(business_date), months))
