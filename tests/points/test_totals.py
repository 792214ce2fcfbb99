"""The programme's totals: by business date, balanced at every date, with or without the roll-up."""

import asyncio
from datetime import date, timedelta

import pytest

from app.core.actors import Role
from app.points import ledger
from app.points.totals import Totals, read
from tests.now import NOW
from tests.shop import Shop, pointers

MOMENTS = [date(2025, 4, 30), date(2026, 11, 19), date(2026, 11, 20), date(2026, 11, 21), date(2026, 11, 22), None]


def balanced(sums: Totals) -> bool:
    return (
        sums.issued - sums.redeemed - sums.expired - sums.reversed == sums.outstanding - sums.owed
        and sums.outstanding == sums.pending + sums.available + sums.held
    )


@pytest.fixture(scope="module")
async def busy(shop: Shop) -> None:
    """Points in every state there is."""
    one, two, three, four = [await shop.member() for _ in range(4)]
    dealer = {"dealer_code": "BJ001"}
    assert (await shop.earn(one, 1000, booked_on="2026-11-19"))[0] == 201
    assert (await shop.redeem(one, 300, shop.program, **dealer))[1]["posting_no"] == 2
    assert (await shop.post(f"/redemptions/{one.id}/2/refund", {"points": 100, "reason": "x"}, shop.program))[0] == 201
    hold = {"member_id": str(one.id), "points": 150, "order_no": "1"} | dealer
    assert (await shop.post("/holds", hold, shop.program))[0] == 201
    assert (await shop.earn(two, 500))[0] == 201
    assert (await shop.redeem(two, 200, shop.program, **dealer))[0] == 201
    reversal = {"member_id": str(two.id), "posting_no": 1, "reason": "x"}
    assert (await shop.post("/points/reversals", reversal, shop.hq))[0] == 201
    for path, points in (("write-offs", 20), ("adjustments", 30)):
        body = {"member_id": str(two.id), "points": points, "reason": "x"}
        assert (await shop.post(f"/points/{path}", body, shop.hq))[0] == 201
    assert (await shop.earn(three, 70, spendable_from="2026-12-01"))[0] == 201
    assert (await shop.earn(three, 40))[0] == 201
    body = {"member_id": str(three.id), "points": -15, "reason": "x"}
    assert (await shop.post("/points/adjustments", body, shop.hq))[0] == 201
    assert (await shop.earn(four, 60, booked_on="2026-11-20", expires_on="2026-11-20"))[0] == 201
    await ledger.sweep(shop.pool, now=NOW)


async def test_each_sum(shop: Shop, busy: None):
    status, sums = await shop.get("/points/totals", shop.hq)
    assert (status, sums) == (200, {
        "as_of": None,
        "issued": 1000 + 500 + 30 + 70 + 40 + 60,
        "redeemed": 300 - 100 + 200,
        "expired": 60,
        # taken back, 200 of it owed of which 20 were forgiven; and the adjustment
        "reversed": 500 - 20 + 15,
        "pending": 70,
        "available": 650 + 0 + 25,
        "held": 150,
        "owed": 200 - 20 - 30,
        "outstanding": 70 + 675 + 150,
    })  # fmt: skip
    assert balanced(Totals(**sums))


async def test_as_of_a_business_date(shop: Shop, busy: None):
    found = {}
    for moment in MOMENTS:
        status, sums = await shop.get("/points/totals", shop.hq, **({"as_of": str(moment)} if moment else {}))
        assert status == 200
        assert balanced(Totals(**sums))
        found[moment] = (sums["issued"], sums["expired"], sums["available"])
    assert found == {
        date(2025, 4, 30): (0, 0, 0),
        date(2026, 11, 19): (1000, 0, 1000),
        date(2026, 11, 20): (1060, 0, 1060),
        date(2026, 11, 21): (1700, 60, 675),
        date(2026, 11, 22): (1700, 60, 675),
        None: (1700, 60, 675),
    }


async def roll_up(shop: Shop) -> None:
    """Fold everything; a transaction still running in any database of the server keeps the watermark back."""
    left = "SELECT EXISTS (SELECT FROM ledger.movement, ledger.rollup_watermark WHERE xid >= below_xid)"
    async with asyncio.timeout(60):
        while await shop.pool.fetchval(left):
            await ledger.roll_up(shop.pool)
            await asyncio.sleep(0.02)


async def test_rolled_up_or_not_they_are_the_same(shop: Shop, busy: None):
    before = [await read(shop.pool, moment) for moment in MOMENTS]
    assert await shop.pool.fetchval("SELECT count(*) FROM ledger.rollup") == 0
    await roll_up(shop)
    assert await shop.pool.fetchval("SELECT sum(movements) = (SELECT count(*) FROM ledger.movement) FROM ledger.rollup")
    assert [await read(shop.pool, moment) for moment in MOMENTS] == before

    # and with movements on both sides of the watermark
    member = await shop.member(points=11)
    assert (await read(shop.pool)).issued == before[-1].issued + 11
    await roll_up(shop)
    assert (await shop.redeem(member, 4, shop.program, dealer_code="SH001"))[0] == 201
    sums = await read(shop.pool)
    assert (sums.issued, sums.redeemed) == (before[-1].issued + 11, before[-1].redeemed + 4)
    assert balanced(sums)


async def test_a_posting_under_way_while_rolling_up_is_not_skipped(shop: Shop, busy: None):
    member = await shop.member()
    before = (await read(shop.pool)).issued
    today = NOW.date()
    earning = ledger.Earning(member.id, 13, "HQ", "HQ", "test:under-way", today, today, date(2028, 11, 30))
    async with shop.api.db.transaction() as connection:
        await ledger.earn(connection, earning, ledger.Request("test", "under-way", NOW))
        await ledger.roll_up(shop.pool)
        assert (await read(shop.pool)).issued == before
    assert (await read(shop.pool)).issued == before + 13
    await roll_up(shop)
    assert (await read(shop.pool)).issued == before + 13


async def test_points_that_mature_and_lapse_later_stay_balanced(shop: Shop, busy: None):
    later = NOW + timedelta(days=365 * 3)
    await ledger.sweep(shop.pool, now=later)
    sums = await read(shop.pool)
    assert balanced(sums)
    assert (sums.pending, sums.available, sums.held) == (0, 0, 150)
    await ledger.release_expired_holds(shop.pool, now=later)
    sums = await read(shop.pool)
    assert balanced(sums)
    assert sums.outstanding == 0


async def test_who_reads_totals(shop: Shop):
    for token in (shop.advisor, shop.director, shop.program, shop.api.token(Role.FINANCE_CLERK, dealer="BJ001")):
        assert (await shop.get("/points/totals", token))[0] == 403
    status, answer = await shop.get("/points/totals", shop.hq, as_of="soon")
    assert (status, pointers(answer)[0][0]) == (422, "/query/as_of")
