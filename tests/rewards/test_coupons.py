"""A coupon's code at the counter: taken once, by whoever serves it."""

import asyncio
from collections import Counter
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.core.actors import Role
from app.rewards import catalogue_queries
from app.rewards.catalogue_models import RewardCode
from tests.rewards.goods import COUPON, POOL, REASON, kind, order, own, reward
from tests.shop import Answer, Shop


async def given(shop: Shop, **fields: Any) -> tuple[str, Any, str]:
    """A coupon, a member's order of one, and that member's token."""
    coupon = await reward(shop, **COUPON | fields)
    member = await shop.member(points=100)
    status, made = await order(shop, member, coupon)
    assert status == 201, made
    return coupon, made, own(shop, member)


async def use(shop: Shop, coupon: str, code: str, token: str = "", key: str | None = None) -> Answer:
    return await shop.post(f"/rewards/{coupon}/code-uses", {"code": code}, token or shop.advisor, key=key)


async def test_a_code_is_taken_once_and_its_member_sees_so(shop: Shop):
    coupon, made, token = await given(shop)
    (code,) = made["codes"]
    assert made["used_codes"] == []
    status, used = await use(shop, coupon, code, key="coupon-1")
    assert (status, used["code"], used["used_with"], used["used_at"]) == (201, code, "BJ001", "2026-11-21T02:00:00Z")
    assert await use(shop, coupon, code, key="coupon-1") == (201, used)
    answer = await use(shop, coupon, code)
    assert (kind(answer), answer[1]["used_on"]) == ((409, "code-used"), "2026-11-21")
    assert (await shop.get(f"/reward-orders/{made['id']}", token))[1]["used_codes"] == [code]


@pytest.mark.parametrize("locked", [True, False])
async def test_of_eight_tills_one_takes_it(shop: Shop, monkeypatch: pytest.MonkeyPatch, locked: bool):
    coupon, made, _ = await given(shop)
    if not locked:
        # each finds it unused; the database alone keeps it to one use, and cannot say that it was used
        everyone_saw = asyncio.Barrier(8)

        async def unlocked(session: AsyncSession, *_: Any) -> Any:
            code = await session.scalar(select(RewardCode).where(col(RewardCode.order_id) == UUID(made["id"])))
            await everyone_saw.wait()
            return code

        monkeypatch.setattr(catalogue_queries, "given_code", unlocked)
        answers = await asyncio.gather(*(use(shop, coupon, made["codes"][0]) for _ in range(8)))
        assert Counter(status for status, _ in answers) == {201: 1, 500: 7}
        return
    answers = await asyncio.gather(*(use(shop, coupon, made["codes"][0]) for _ in range(8)))
    assert Counter(status for status, _ in answers) == {201: 1, 409: 7}


async def test_headquarters_coupon_is_good_everywhere_a_chapters_own_there(shop: Shop):
    coupon, made, _ = await given(shop)
    assert (await use(shop, coupon, made["codes"][0], shop.foreign))[1]["used_with"] == "SH001"
    chapters = await reward(shop, **COUPON, token=shop.director)
    member = await shop.member(points=100)
    own_made = (await order(shop, member, chapters))[1]
    assert kind(await use(shop, chapters, own_made["codes"][0], shop.foreign))[0] == 404
    assert (await use(shop, chapters, own_made["codes"][0]))[0] == 201


async def test_what_nobody_was_given_is_not_taken(shop: Shop):
    coupon, made, _ = await given(shop)
    pool = await reward(shop, **POOL)
    assert (await shop.post(f"/rewards/{pool}/codes", {"codes": ["FREE-1"]} | REASON, shop.hq))[0] == 201
    assert kind(await use(shop, pool, "FREE-1")) == (404, "not-found")
    assert kind(await use(shop, pool, made["codes"][0])) == (404, "not-found")
    assert kind(await use(shop, coupon, "NEVER-1")) == (404, "not-found")
    assert (await use(shop, coupon, made["codes"][0], shop.api.token(Role.AUDITOR)))[0] == 403


async def test_used_is_for_good(shop: Shop):
    coupon, made, _ = await given(shop)
    await use(shop, coupon, made["codes"][0])
    with pytest.raises(asyncpg.RaiseError, match="given or used already"):
        await shop.pool.execute(
            "UPDATE reward_code SET used_at = NULL, used_by = NULL WHERE code = $1", made["codes"][0]
        )
