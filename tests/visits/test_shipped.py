"""The shipped purchases: 69,659 repair orders, worth 24,960,913 points, once."""

from datetime import date
from pathlib import Path

import pytest

from app.chapters.imports import COLUMNS as DEALER_COLUMNS
from app.chapters.imports import import_dealers
from app.core.db import Database
from app.core.tabular import open_rows
from app.members.imports import COLUMNS as MEMBER_COLUMNS
from app.members.imports import import_members
from app.points import totals
from app.visits.rules import COLUMNS
from app.visits.service import OrderReport, import_orders
from app.wiring import verify
from tests.now import NOW

SHIPPED = Path(__file__).parents[2] / "app" / "demo" / "data"
ORDERS = SHIPPED / "repair_orders.csv.gz"


@pytest.fixture(scope="module", autouse=True)
async def members(database: Database) -> None:
    """The shipped network and its members."""
    dealers = open_rows(SHIPPED / "dealers.csv.gz", DEALER_COLUMNS)
    await import_dealers(database, dealers, now=NOW, opened_on=date(2025, 5, 1))
    await import_members(database, open_rows(SHIPPED / "members.csv.gz", MEMBER_COLUMNS), now=NOW)


async def test_the_shipped_orders_are_posted_once(database: Database, dsn: str):
    async def load() -> tuple[OrderReport, int]:
        report, refused = await import_orders(database, open_rows(ORDERS, COLUMNS), actor="test", now=NOW)
        return report, len(refused)

    assert await load() == (
        OrderReport(read=69_659, posted=69_659, already_known=0, refused=0, points=24_960_913), 0,
    )  # fmt: skip
    assert await load() == (OrderReport(read=69_659, posted=0, already_known=69_659, refused=0, points=0), 0)

    sums = await totals.read(database.pool)
    assert (sums.issued, sums.available, sums.outstanding) == (24_960_913,) * 3
    unpaid, abroad = await database.pool.fetchrow(  # type: ignore[misc]
        """SELECT count(*) FILTER (WHERE o.points = 0), count(*) FILTER (WHERE m.dealer_code <> o.dealer_code)
             FROM repair_order o LEFT JOIN member m ON m.id = o.member_id"""
    )
    assert unpaid >= 80
    assert abroad > 0
    assert {check.name: rows for check, rows in await verify(dsn) if rows} == {}
