"""`club verify` names what is wrong with rewards: each check is shown a fault that it must find."""

import pytest

from tests.rewards.goods import COUPON, GIFT, POOL, REASON, disagreeing, order, reward, step
from tests.shop import Shop

FAULTS = {
    "a piece that came from nowhere": ("UPDATE reward SET stock = stock + 1 WHERE id = $1", "rewards-stock"),
    "a reservation of nobody": ("UPDATE reward SET reserved = reserved + 1 WHERE id = $1", "rewards-stock"),
    "an order that was never held": (
        "UPDATE reward_order SET wallet_id = gen_random_uuid() WHERE reward_id = $1", "rewards-postings",
    ),
    "other points than the ledger's": ("UPDATE reward_order SET points = 299 WHERE reward_id = $1", "rewards-postings"),
    "confirmed without a capture": (
        "UPDATE reward_order SET status = 'confirmed', capture_no = 99, confirmed_at = now() WHERE reward_id = $1",
        "rewards-postings",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_of_stock_or_postings_is_named(shop: Shop, dsn: str, name: str):
    cup = await reward(shop, **GIFT, stock=9)
    assert (await order(shop, await shop.member(points=1000), cup))[0] == 201
    assert await disagreeing(dsn) == {}
    statement, check = FAULTS[name]
    async with shop.pool.acquire() as connection:
        before = await connection.fetchrow("SELECT * FROM reward WHERE id = $1", cup)
        ordered = await connection.fetchrow("SELECT * FROM reward_order WHERE reward_id = $1", cup)
        assert before is not None
        assert ordered is not None
        await connection.execute(statement, cup)
        assert check in await disagreeing(dsn)
        await connection.execute(
            "UPDATE reward SET stock = $2, reserved = $3 WHERE id = $1", cup, before["stock"], before["reserved"]
        )
        await connection.execute(
            "UPDATE reward_order SET wallet_id = $2, points = $3, status = $4, capture_no = NULL, confirmed_at = NULL"
            " WHERE reward_id = $1", cup, ordered["wallet_id"], ordered["points"], ordered["status"],
        )  # fmt: skip


async def test_a_missing_code_is_named(shop: Shop, dsn: str):
    pool, coupon = await reward(shop, **POOL), await reward(shop, **COUPON)
    assert (await shop.post(f"/rewards/{pool}/codes", {"codes": ["CODE-1"]} | REASON, shop.hq))[0] == 201
    made = (await order(shop, await shop.member(points=100), coupon))[1]
    assert await disagreeing(dsn) == {}
    # given to an order that is not of its reward, and so it lacks twice
    given = "UPDATE reward_code SET order_id = $2, given_at = now() WHERE reward_id = $1"
    await shop.pool.execute(given, pool, made["id"])
    assert len((await disagreeing(dsn))["rewards-codes"]) == 2


async def test_a_hold_that_outlives_its_order_is_named(shop: Shop, dsn: str):
    cup = await reward(shop, **GIFT, stock=9)
    made = (await order(shop, await shop.member(points=1000), cup))[1]
    ended = "UPDATE reward_order SET status = 'cancelled', ended_at = now() WHERE id = $1"
    await shop.pool.execute(ended, made["id"])
    assert "rewards-postings" in await disagreeing(dsn)
    await shop.pool.execute("UPDATE reward_order SET status = 'held', ended_at = NULL WHERE id = $1", made["id"])
    assert (await step(shop, made, "cancellation", REASON))[0] == 200
