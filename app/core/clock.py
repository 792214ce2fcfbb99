"""Time, injected: callers pass `now`; only the edge asks a clock."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone

CHINA = timezone(timedelta(hours=8), "Asia/Shanghai")
"""China has one zone and no summer time (since 1992), so a fixed offset is exact for every business date here."""

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """The present, aware, in UTC."""
    return datetime.now(UTC)


def china_date(at: datetime) -> date:
    """The business date of a moment: its date in China."""
    return at.astimezone(CHINA).date()


def month_of(day: date) -> date:
    """The first day of a date's month: a settlement period's name."""
    return day.replace(day=1)


def add_months(month: date, count: int) -> date:
    """The first day of the month `count` months after `month`'s."""
    years, index = divmod(month.month - 1 + count, 12)
    return date(month.year + years, index + 1, 1)


def month_end(month: date) -> date:
    """The last day of a date's month."""
    return add_months(month, 1) - timedelta(days=1)
