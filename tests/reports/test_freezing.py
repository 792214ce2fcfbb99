"""Month-ends are frozen once, some days after, and nothing changes them."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest

from app import worker
from app.core.actors import Role
from app.core.clock import CHINA
from app.core.db import Database
from app.core.tabular import Row
from app.members.imports import import_members
from app.reports import queries, service
from app.reports.models import NetworkMonth
from app.reports.queries import Place
from tests.callers import BJ, HQ, NORTH, PARTNER, SH, seen
from tests.members.conftest import car
from tests.now import NOW
from tests.shop import Answer, Shop

OCTOBER = date(2026, 10, 1)
PLACES = 6
"""Five dealers and headquarters' roll."""


def night(day: int) -> datetime:
    """Just after midnight of a day of November 2026 in China."""
    return datetime(2026, 11, day, 0, 5, tzinfo=CHINA).astimezone(UTC)


async def freeze(db: Database, now: datetime, after_days: int = 3) -> list[str]:
    return [f"{month:%Y-%m}" for month in await service.freeze_due(db, now=now, after_days=after_days)]


async def test_a_month_is_frozen_some_days_after_its_end(months: Shop):
    db = months.api.db
    before = {month: await service.read(db.pool, date(2026, month, 1), now=NOW) for month in (9, 10)}
    # since the first chapter opened
    assert await freeze(db, night(3)) == [f"2026-{month:02}" for month in range(1, 10)]
    assert await freeze(db, night(3)) == []
    at_once = await asyncio.gather(*(freeze(db, night(4)) for _ in range(3)))
    assert sorted(at_once) == [[], [], ["2026-10"]]
    for month, live in before.items():
        frozen = await service.read(db.pool, date(2026, month, 1), now=NOW)
        assert frozen.places == live.places
        assert (live.frozen_at, frozen.frozen_at) == (None, night(4 if month == 10 else 3))
    assert await db.pool.fetchval("SELECT count(*) FROM network_month") == 10 * PLACES


async def test_what_comes_later_changes_open_months_only(months: Shop):
    db = months.api.db
    await freeze(db, night(4))
    before = {month: (await service.read(db.pool, month, now=NOW)).places for month in (OCTOBER, date(2026, 11, 1))}
    late = Row(2, ["BJ001", "王芳", "13600000001", car(750_001), "2026-10-09"])
    assert (await import_members(db, iter([late]), now=NOW))[0].posted == 1
    await db.pool.execute("UPDATE dealer SET has_after_sales = false WHERE code = 'BJ001'")
    after = {month: (await service.read(db.pool, month, now=NOW)).places for month in before}
    assert after[OCTOBER] == before[OCTOBER]
    assert _bj001(after[date(2026, 11, 1)]).members == _bj001(before[date(2026, 11, 1)]).members + 1
    assert not _bj001(after[date(2026, 11, 1)]).has_after_sales
    assert _bj001(after[OCTOBER]).has_after_sales


def _bj001(places: list[Place]) -> Place:
    return next(place for place in places if place.dealer_code == "BJ001")


async def test_a_frozen_month_is_never_written_again(months: Shop):
    pool = months.api.db.pool
    await freeze(months.api.db, night(4))
    for change in ("UPDATE network_month SET members = 0", "DELETE FROM network_month", "TRUNCATE network_month"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute(change)
    with pytest.raises(asyncpg.UniqueViolationError):
        async with months.api.db.transaction() as connection:
            await queries.freeze(connection, OCTOBER, [Place(None, None, False, False, 1, 0, 0, 0, 0, 0)], NOW)


async def test_a_forgotten_filter_shows_only_ones_own(months: Shop):
    await freeze(months.api.db, night(4))
    found = [await seen(months.api.db, actor, NetworkMonth) for actor in (HQ, BJ, SH, NORTH, PARTNER)]
    assert found == [60, 10, 10, 30, 0]


async def test_the_worker_freezes_at_night(months: Shop):
    month_later = night(4) + timedelta(days=30)
    await worker.nightly_work(months.api.db, lambda: month_later)
    frozen = await queries.frozen(months.api.db.pool, date(2026, 11, 1))
    assert frozen is not None
    assert (frozen.at, len(frozen.places)) == (month_later, PLACES)


async def test_a_frozen_month_is_drilled_down_to_as_it_was(months: Shop):
    await freeze(months.api.db, night(4))
    ways = ["/reports/network", "/reports/network/BJ", "/reports/network/SH", "/reports/ranking"]

    async def told(token: str) -> list[Answer]:
        answers = [await months.get(way, token, month="2026-10") for way in ways]
        return [(status, body if status == 200 else None) for status, body in answers]

    north = months.api.token(Role.REGIONAL_MANAGER, region="BJ")
    before = [await told(token) for token in (months.hq, north, months.director)]
    assert [status for status, _ in before[0]] == [200] * 4
    assert sorted(before[0][1][1]["dealers"]) == ["BJ001", "BJ002", "BJ003"]
    assert [status for status, _ in before[2]] == [200, 200, 404, 200]
    change = "UPDATE dealer SET region_code = $1, has_after_sales = NOT has_after_sales WHERE code = 'BJ001'"
    await months.pool.execute(change, "SH")
    try:
        # the dealer's staff, too, find it where it was
        assert [await told(token) for token in (months.hq, north, months.director)] == before
        assert (await months.get("/dealers/BJ001", months.hq))[1]["region_code"] == "SH"
    finally:
        await months.pool.execute(change, "BJ")
