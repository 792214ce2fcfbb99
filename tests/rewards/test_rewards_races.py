"""Races for the last piece, the last code and the last allowance; the control takes the reward's lock out."""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.rewards import orders
from app.rewards.catalogue_queries import reward as reward_where
from tests.rewards.goods import GIFT, POOL, REASON, disagreeing, order, own, reward, step, stock
from tests.shop import Answer, Shop


async def outcomes(*asked: Awaitable[Answer]) -> Counter[str]:
    """How often each came: a status of an order, or a refusal's type."""
    answers = await asyncio.gather(*asked)
    return Counter(body["status"] if code < 300 else body["type"].removeprefix("/problems/") for code, body in answers)


async def twelve_for_three(shop: Shop, cup: str) -> Counter[str]:
    members = [await shop.member(points=1000) for _ in range(12)]
    return await outcomes(*(order(shop, member, cup) for member in members))


async def unlocked(session: AsyncSession, *conditions: Any, locked: bool = False) -> Any:
    return await reward_where(session, *conditions)


# what a control broke is mended, so that the module's other tests see whole books
_MEND = """
UPDATE reward r SET stock = 12, reserved = o.held, issued = o.given
  FROM (SELECT count(*) FILTER (WHERE status = 'held') AS held, count(*) FILTER (WHERE status = 'delivered') AS given
          FROM reward_order WHERE reward_id = $1) o WHERE r.id = $1
"""
_MEND_MOVEMENTS = """
INSERT INTO reward_movement (id, reward_id, change, reason, at, by)
SELECT gen_random_uuid(), $1, 12 - sum(change), 'control', now(), 'tests' FROM reward_movement WHERE reward_id = $1
HAVING sum(change) <> 12
"""
_MEND_CODES = """
INSERT INTO reward_code (id, reward_id, code)
SELECT gen_random_uuid(), r.id, 'MEND-' || n FROM reward r, generate_series(1, 12) n
 WHERE r.id = $1 AND r.codes = 'pool'
   AND n <= 12 - r.issued - (SELECT count(*) FROM reward_code WHERE reward_id = r.id AND order_id IS NULL)
"""


async def mend(shop: Shop, reward_id: str) -> None:
    for statement in (_MEND, _MEND_MOVEMENTS, _MEND_CODES):
        await shop.pool.execute(statement, reward_id)


@pytest.mark.parametrize("locked", [True, False])
async def test_twelve_members_race_for_three_cups(shop: Shop, dsn: str, monkeypatch: pytest.MonkeyPatch, locked: bool):
    cup = await reward(shop, **GIFT, stock=3)
    clean = Counter({"held": 3, "reward-short": 9})
    if locked:
        assert await twelve_for_three(shop, cup) == clean
        assert await stock(shop, cup) == (3, 3, 0, 0)
        assert await disagreeing(dsn) == {}
        return
    monkeypatch.setattr(orders, "reward_where", unlocked)
    assert await twelve_for_three(shop, cup) != clean
    assert "rewards-stock" in await disagreeing(dsn)
    await mend(shop, cup)
    assert await disagreeing(dsn) == {}


@pytest.mark.parametrize("locked", [True, False])
async def test_one_member_races_against_its_own_limit(
    shop: Shop, dsn: str, monkeypatch: pytest.MonkeyPatch, locked: bool
):
    cup = await reward(shop, **GIFT, stock=12, limit_per_member=2)
    member = await shop.member(points=5000)
    if not locked:
        monkeypatch.setattr(orders, "reward_where", unlocked)
    came = await outcomes(*(order(shop, member, cup) for _ in range(6)))
    assert (came == Counter({"held": 2, "reward-limit": 4})) is locked
    if not locked:
        await mend(shop, cup)
    assert await disagreeing(dsn) == {}


@pytest.mark.parametrize("locked", [True, False])
async def test_each_code_goes_to_one(shop: Shop, dsn: str, monkeypatch: pytest.MonkeyPatch, locked: bool):
    pool = await reward(shop, **POOL)
    codes = [f"RACE-{number}" for number in range(4)]
    assert (await shop.post(f"/rewards/{pool}/codes", {"codes": codes} | REASON, shop.hq))[0] == 201
    members = [await shop.member(points=100) for _ in range(8)]
    if not locked:
        monkeypatch.setattr(orders, "reward_where", unlocked)
    answers = await asyncio.gather(*(order(shop, member, pool) for member in members))
    given = [body["codes"][0] for status, body in answers if status == 201]
    # even so the database gives no code twice
    assert len(given) == len(set(given))
    assert (sorted(given) == codes and Counter(status for status, _ in answers) == {201: 4, 409: 4}) is locked
    if not locked:
        await mend(shop, pool)
    assert await disagreeing(dsn) == {}


async def test_confirmed_or_cancelled_but_not_both(shop: Shop, dsn: str):
    cup = await reward(shop, **GIFT, stock=1)
    member = await shop.member(points=1000)
    made = (await order(shop, member, cup))[1]
    both = await outcomes(
        step(shop, made, "cancellation", REASON, own(shop, member)), step(shop, made, "confirmation", {})
    )
    assert both["wrong-status"] == 1
    assert await disagreeing(dsn) == {}


async def test_eight_retries_order_once(shop: Shop, dsn: str):
    cup = await reward(shop, **GIFT, stock=9)
    member = await shop.member(points=1000)
    answers = await asyncio.gather(*(order(shop, member, cup, key="race-once") for _ in range(8)))
    assert len({body["id"] for _, body in answers}) == 1
    assert (await shop.wallet(member), (await stock(shop, cup))[1]) == ((700, 0, 300, 0), 1)
    assert await disagreeing(dsn) == {}
