"""Rewards that are a partner's: with a contract, and spent with the partner."""

from typing import Any

import pytest

from tests.partners.deals import change, partner
from tests.rewards.goods import disagreeing, entry, kind, order, patch, reward
from tests.shop import Shop, pointers

VOUCHER: dict[str, Any] = {"kind": "partner_voucher", "prices": [{"points": 80}], "codes": "own"}


async def test_its_points_are_spent_with_the_partner(shop: Shop, dsn: str):
    hotel = await partner(shop)
    voucher = await reward(shop, **VOUCHER, partner_code=hotel, reference="下午茶")
    member = await shop.member(points=100)
    status, made = await order(shop, member, voucher)
    assert (status, made["status"], len(made["codes"])) == (201, "delivered", 1)
    spent = (await shop.get(f"/members/{member.id}/postings", shop.hq))[1]["items"][0]
    assert (spent["kind"], spent["place"]) == ("capture", f"partner:{hotel}")
    assert await disagreeing(dsn) == {}


async def test_a_chapters_own_partner_settles_with_the_chapter(shop: Shop):
    spa = await partner(shop, token=shop.director, dealer_code="BJ001")
    voucher = await reward(shop, **VOUCHER, partner_code=spa, token=shop.director)
    member = await shop.member(points=100)
    assert (await order(shop, member, voucher))[0] == 201
    spent = (await shop.get(f"/members/{member.id}/postings", shop.hq))[1]["items"][0]
    assert spent["place"] == "BJ001"


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({}, "missing"),
        ({"partner_code": "NOBODY"}, "unknown_partner"),
        ({"partner_code": "NOBODY", "kind": "coupon"}, "not_for_this_reward"),
    ],
)
async def test_a_voucher_is_some_partners(shop: Shop, fields: dict[str, Any], fault: str):
    status, body = await shop.post("/rewards", entry(**VOUCHER | fields), shop.hq)
    assert (status, pointers(body)) == (422, [("/partner_code", fault)])


async def test_headquarters_has_none_of_a_chapters_partners(shop: Shop):
    spa = await partner(shop, token=shop.director, dealer_code="BJ001")
    status, body = await shop.post("/rewards", entry(**VOUCHER, partner_code=spa), shop.hq)
    assert (status, pointers(body)) == (422, [("/partner_code", "unknown_partner")])
    hotel = await partner(shop)
    voucher = await reward(shop, **VOUCHER, partner_code=hotel)
    assert (await patch(shop, voucher, shop.hq, partner_code=spa))[0] == 422


async def test_without_a_contract_nothing_is_to_be_had(shop: Shop):
    hotel = await partner(shop)
    voucher = await reward(shop, **VOUCHER, partner_code=hotel)
    assert (await change(shop, f"/partners/{hotel}", shop.hq, valid_until="2026-11-20"))[0] == 200
    member = await shop.member(points=100)
    assert kind(await order(shop, member, voucher)) == (409, "reward-not-offered")
