"""Races for a voucher and for the last of a perk; each control takes the lock out."""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.partners import queries
from app.partners.models import Perk
from tests.partners.deals import claim, claimed, disagreeing, give_back, partner, perk, use
from tests.shop import Answer, Shop


async def outcomes(*asked: Awaitable[Answer]) -> Counter[str]:
    """How often each came: a good answer, or a refusal's type."""
    answers = await asyncio.gather(*asked)
    return Counter("done" if code < 300 else body["type"].removeprefix("/problems/") for code, body in answers)


@pytest.mark.parametrize("locked", [True, False])
async def test_eight_tills_race_for_one_voucher(
    shop: Shop, dsn: str, monkeypatch: pytest.MonkeyPatch, locked: bool
) -> None:
    hotel = await partner(shop)
    code = (await claimed(shop, await shop.member(), await perk(shop, hotel)))["code"]
    if not locked:
        locking = queries.voucher

        async def unlocked(session: AsyncSession, *conditions: Any, locked: bool = False) -> Any:
            return await locking(session, *conditions)

        monkeypatch.setattr(queries, "voucher", unlocked)
    raced = await outcomes(*(use(shop, hotel, code, till=f"till{n}") for n in range(8)))
    assert (raced == Counter({"done": 1, "voucher-used": 7})) is locked
    assert ("vouchers-used" not in await disagreeing(dsn)) is locked


@pytest.mark.parametrize("locked", [True, False])
async def test_twelve_members_race_for_three_vouchers(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, locked: bool
) -> None:
    tea = await perk(shop, await partner(shop), quota=3)
    members = [await shop.member() for _ in range(12)]
    if not locked:

        async def unlocked(session: AsyncSession, perk_id: UUID) -> Perk | None:
            return await session.get(Perk, perk_id)

        monkeypatch.setattr(queries, "locked_perk", unlocked)
    await outcomes(*(claim(shop, member, tea) for member in members))
    found = (await shop.get("/vouchers", shop.hq, limit=200))[1]["items"]
    live = sum(one["perk_id"] == tea for one in found)
    assert (live == 3) is locked
    assert ((await shop.get(f"/perks/{tea}", shop.hq))[1]["claimed"] == live) is locked


async def test_returned_or_used_but_not_both(shop: Shop) -> None:
    hotel, member = await partner(shop), await shop.member(points=100)
    voucher = await claimed(shop, member, await perk(shop, hotel, points=60))
    raced = await outcomes(give_back(shop, member, voucher), use(shop, hotel, voucher["code"]))
    assert raced["done"] == 1
    status = (await shop.get("/vouchers", shop.hq, member_id=str(member.id)))[1]["items"][0]["status"]
    assert await shop.wallet(member) == ((100, 0, 0, 0) if status == "returned" else (40, 0, 0, 0))
