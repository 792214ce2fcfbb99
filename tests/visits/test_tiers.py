"""Tiers by what is paid for repair orders, and by visits: counted with the order, in imports as well."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.core.tabular import Row
from app.earning.tiers import Moved, work
from app.visits.rules import COLUMNS
from app.visits.service import import_orders
from app.wiring import verify
from tests.earning.tiering import held, programme, standing, steps, tier
from tests.now import NOW
from tests.shop import Person, Shop, order

Body = dict[str, Any]
YUAN = 100


@pytest.fixture(scope="module", autouse=True)
async def ladder(shop: Shop, dsn: str) -> AsyncIterator[None]:
    for code, threshold in {"twice": 2, "gold": 1_000 * YUAN}.items():
        assert (await tier(shop, code, threshold))[0] == 201
    yield
    assert {check.name: found for check, found in await verify(dsn) if found} == {}


async def counting(shop: Shop, measure: str) -> None:
    assert (await programme(shop, is_active=False))[0] == 200
    assert (await programme(shop, measure=measure, is_active=True))[0] == 200


async def of_old(shop: Shop) -> Person:
    """A member who has had the car for years."""
    member = await shop.member()
    await shop.pool.execute("UPDATE ownership SET since = '2020-01-01' WHERE member_id = $1", member.id)
    return member


def paid(member: Person, fen: int, **fields: Any) -> Body:
    return order(member.vin, labour_fen=fen, parts_fen=0, paid_fen=fen) | fields


def row(line: int, sent: Body) -> Row:
    return Row(line, [str(sent[name]) for name in COLUMNS])


async def test_money_lifts_at_once_and_what_is_cancelled_does_not_count(shop: Shop):
    await counting(shop, "spend")
    member = await shop.member()
    first = paid(member, 700 * YUAN)
    assert (await shop.post("/repair-orders", first, shop.hq))[0] == 201
    found = await standing(shop, member)
    assert (found["tier"]["code"], found["amount"], found["next"]["missing"]) == ("twice", 70_000, 30_000)
    cancelled = f"/repair-orders/BJ001/{first['order_no']}/cancellation"
    assert (await shop.post(cancelled, {"reason": "退单"}, shop.hq))[0] == 200
    assert (await shop.post("/repair-orders", paid(member, 999 * YUAN), shop.hq))[0] == 201
    assert ((await standing(shop, member))["amount"], await held(shop, member)) == (99_900, "twice")
    # the number is free for a corrected order
    assert (await shop.post("/repair-orders", first | {"paid_fen": 100}, shop.hq))[0] == 201
    assert (await standing(shop, member))["amount"] == 100_000
    assert await steps(shop, member) == [("risen", None, "twice"), ("risen", "twice", "gold")]


async def test_an_import_lifts_with_its_chunk(shop: Shop):
    await counting(shop, "spend")
    member, other = await shop.member(), await shop.member()
    rows = [row(2, paid(member, 600 * YUAN)), row(3, paid(other, 100)), row(4, paid(member, 600 * YUAN))]
    report, _ = await import_orders(shop.api.db, rows, actor="test", now=NOW)
    assert report.posted == 3
    assert [await held(shop, one) for one in (member, other)] == ["gold", "twice"]
    rehearsed = await shop.member()
    await import_orders(shop.api.db, [row(2, paid(rehearsed, 1_000 * YUAN))], actor="test", now=NOW, dry_run=True)
    assert await held(shop, rehearsed) is None


async def test_what_is_older_than_the_window_does_not_count(shop: Shop):
    await counting(shop, "spend")
    member = await of_old(shop)
    for day, fen in (("2025-11-21", 900 * YUAN), ("2025-11-22", 300 * YUAN)):
        sent = paid(member, fen, closed_at=f"{day}T09:30:00+08:00")
        assert (await shop.post("/repair-orders", sent, shop.hq))[0] == 201
    assert (await standing(shop, member))["amount"] == 30_000


async def test_two_orders_of_a_day_are_one_visit(shop: Shop):
    await counting(shop, "visits")
    member = await of_old(shop)
    for day, amount in (("20", 1), ("20", 1), ("21", 2)):
        sent = paid(member, 100, closed_at=f"2026-11-{day}T09:30:00+08:00")
        assert (await shop.post("/repair-orders", sent, shop.hq))[0] == 201
        assert (await standing(shop, member))["amount"] == amount
    assert await held(shop, member) == "twice"


async def test_status_points_do_not_ask_about_orders(shop: Shop):
    await counting(shop, "status_points")
    member = await shop.member()
    assert (await shop.post("/repair-orders", paid(member, 1_000 * YUAN), shop.hq))[0] == 201
    assert (await standing(shop, member))["amount"] == 0
    assert (await work(shop.api.db, now=NOW)) == Moved()
