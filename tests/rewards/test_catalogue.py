"""The catalogue of rewards: whose entries are whose, what members are offered and at which price, stock and codes."""

from typing import Any

import pytest

from app.core.actors import Role
from app.rewards import catalogue
from tests.rewards.goods import (
    COUPON,
    DONATION,
    GIFT,
    POOL,
    REASON,
    SERVICE,
    disagreeing,
    entry,
    kind,
    order,
    own,
    patch,
    reward,
    step,
    stock,
)
from tests.shop import Person, Shop, pointers


async def offered(shop: Shop, member: Person) -> dict[str, Any]:
    """What a member may have, by id."""
    status, page = await shop.get("/members/me/rewards", own(shop, member), limit=200)
    assert status == 200
    return {offer["id"]: offer for offer in page["items"]}


async def test_a_chapter_keeps_its_own_and_sees_headquarters(shop: Shop):
    ours = await reward(shop, **GIFT, token=shop.director)
    theirs = await reward(shop, **GIFT, dealer_code="SH001")
    central = await reward(shop, **GIFT)
    listed = {one["id"]: one for one in (await shop.get("/rewards", shop.advisor, limit=200))[1]["items"]}
    assert listed[ours]["dealer_code"] == "BJ001"
    assert central in listed
    assert theirs not in listed
    assert (await shop.get(f"/rewards/{theirs}", shop.advisor))[0] == 404
    for foreign in (theirs, central):
        assert (await patch(shop, foreign, shop.director, name="杯"))[0] == 404
        change = {"change": 1} | REASON
        assert (await shop.post(f"/rewards/{foreign}/movements", change, shop.director))[0] == 404
        assert (await shop.get(f"/rewards/{foreign}/movements", shop.director))[0] == 404
    assert (await patch(shop, ours, shop.advisor, name="杯"))[0] == 403
    status, problem = await shop.post("/rewards", entry(**GIFT, dealer_code="SH001"), shop.director)
    assert (status, pointers(problem)) == (422, [("/dealer_code", "not_your_dealer")])
    status, problem = await shop.post("/rewards", entry(**GIFT, dealer_code="BJ002"), shop.hq)
    assert (status, pointers(problem)) == (422, [("/dealer_code", "unknown_dealer")])


async def test_two_editors_do_not_overwrite_each_other(shop: Shop):
    cup = await reward(shop, **GIFT)
    stale = {"If-Match": '"1"'}
    answer = await shop.api.call("PATCH", f"/rewards/{cup}", shop.hq, json={"name": "杯"}, headers=stale)
    assert answer.status_code == 412


async def test_members_are_offered_what_is_for_them(shop: Shop):
    of_chapter = await reward(shop, **GIFT, token=shop.director)
    of_others = await reward(shop, **GIFT, dealer_code="SH001")
    for_shanghai = await reward(shop, **GIFT, dealer_codes=["SH001"])
    for_both = await reward(shop, **GIFT, dealer_codes=["SH001", "BJ001"])
    over = await reward(shop, **GIFT, valid_until="2026-11-20")
    to_come = await reward(shop, **GIFT | {"valid_from": "2026-11-22"})
    today = await reward(shop, **GIFT | {"valid_from": "2026-11-21"}, valid_until="2026-11-21")
    withdrawn = await reward(shop, **GIFT)
    assert (await patch(shop, withdrawn, shop.hq, is_offered=False))[0] == 200
    member = await shop.member(points=1000)
    seen = await offered(shop, member)
    assert {of_chapter, for_both, today} <= seen.keys()
    assert kind(await order(shop, member, of_others)) == (404, "not-found")
    assert of_others not in seen
    for hidden in (for_shanghai, over, to_come, withdrawn):
        assert hidden not in seen
        assert kind(await order(shop, member, hidden)) == (409, "reward-not-offered")


async def test_who_has_left_orders_nothing(shop: Shop):
    cup = await reward(shop, **GIFT, stock=1)
    member = await shop.member(points=1000)
    token = own(shop, member)
    assert (await shop.post(f"/members/{member.id}/status", {"to": "suspended"} | REASON, shop.hq))[0] in {200, 201}
    answer = await shop.post("/members/me/reward-orders", {"reward_id": cup}, token)
    assert kind(answer) == (409, "wallet-closed")


async def test_a_tier_has_its_price_or_none(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    gold_pays_less = await reward(
        shop, **GIFT | {"prices": [{"points": 300}, {"tier": "gold", "points": 200}]}, stock=9
    )
    gold_alone = await reward(shop, **GIFT | {"prices": [{"tier": "gold", "points": 100}]}, stock=9)
    plain, gold = await shop.member(points=1000), await shop.member(points=1000)

    async def tier(_: object, member_id: object, __: object) -> str | None:
        return "gold" if member_id == gold.id else None

    monkeypatch.setattr(catalogue, "_TIERS", [tier])
    seen = await offered(shop, plain)
    assert seen[gold_pays_less]["price"]["points"] == 300
    assert gold_alone not in seen
    seen = await offered(shop, gold)
    assert (seen[gold_pays_less]["price"]["points"], seen[gold_alone]["price"]["points"]) == (200, 100)
    assert (await order(shop, gold, gold_pays_less))[1]["points"] == 200
    assert (await order(shop, plain, gold_pays_less))[1]["points"] == 300
    assert kind(await order(shop, plain, gold_alone)) == (409, "reward-not-offered")


# --- how many points ---


async def test_members_choose_how_many_points_and_pay_the_rest(shop: Shop):
    price = {"points": 300, "least_points": 100, "money_fen": 50}
    cup = await reward(shop, **GIFT | {"prices": [price]}, fen_per_point=7, stock=9)
    member = await shop.member(points=1000)
    status, made = await order(shop, member, cup, quantity=2, points=201)
    assert (status, made["points"], made["money_fen"]) == (201, 201, 2 * 50 + (600 - 201) * 7)
    assert (await order(shop, member, cup))[1]["money_fen"] == 50
    for points in (99, 301):
        status, problem = await order(shop, member, cup, points=points)
        assert (status, problem["least"], problem["most"]) == (409, 100, 300)


async def test_without_a_choice_the_price_is_the_price(shop: Shop):
    cup = await reward(shop, **GIFT, stock=9)
    member = await shop.member(points=1000)
    assert kind(await order(shop, member, cup, points=299)) == (409, "points-choice")


async def test_a_donation_is_as_much_as_the_member_likes(shop: Shop, dsn: str):
    school = await reward(shop, **DONATION)
    member = await shop.member(points=1000)
    status, given = await order(shop, member, school, points=17)
    assert (status, given["status"], given["points"], given["money_fen"]) == (201, "delivered", 17, 0)
    assert await shop.wallet(member) == (983, 0, 0, 0)
    assert await disagreeing(dsn) == {}


# --- stock ---


async def test_stock_is_what_its_movements_say(shop: Shop, dsn: str):
    cup = await reward(shop, **GIFT, stock=5)
    member = await shop.member(points=1000)
    assert (await order(shop, member, cup, quantity=3))[0] == 201
    path = f"/rewards/{cup}/movements"
    assert kind(await shop.post(path, {"change": -3} | REASON, shop.hq)) == (409, "reward-short")
    status, changed = await shop.post(path, {"change": -2} | REASON, shop.hq)
    assert (status, changed["stock"], changed["left"]) == (201, 3, 0)
    moved = (await shop.get(path, shop.hq))[1]["items"]
    assert [movement["change"] for movement in moved] == [5, -2]
    assert kind(await order(shop, member, cup)) == (409, "reward-short")
    status, problem = await shop.post(path, {"change": 0} | REASON, shop.hq)
    assert (status, pointers(problem)) == (422, [("/change", "change_zero")])
    assert await disagreeing(dsn) == {}


async def test_what_is_not_counted_has_no_stock_to_change(shop: Shop):
    fee = await reward(shop, kind="event_fee", reference="城市马拉松", prices=[{"points": 10}])
    pool = await reward(shop, **POOL)
    for one in (fee, pool):
        status, problem = await shop.post(f"/rewards/{one}/movements", {"change": 1} | REASON, shop.hq)
        assert (status, pointers(problem)) == (422, [("/change", "reward_not_counted")])


# --- codes ---


async def test_own_codes_are_the_members_alone(shop: Shop, dsn: str):
    coupon = await reward(shop, **COUPON)
    member = await shop.member(points=1000)
    status, given = await order(shop, member, coupon, quantity=3)
    assert (status, given["status"]) == (201, "delivered")
    assert len(set(given["codes"])) == 3
    assert (await shop.get(f"/reward-orders/{given['id']}", own(shop, member)))[1]["codes"] == given["codes"]
    assert (await shop.get(f"/reward-orders/{given['id']}", shop.hq))[1]["codes"] == []
    assert kind(await step(shop, given, "return", REASON | {"is_restocked": True})) == (409, "codes-given")
    assert await disagreeing(dsn) == {}


async def test_a_pools_codes_are_given_once(shop: Shop, dsn: str):
    pool = await reward(shop, **POOL)
    member = await shop.member(points=1000)
    assert kind(await order(shop, member, pool)) == (409, "reward-short")
    upload = {"codes": ["TEA-0001", "TEA-0002", "TEA-0001"]} | REASON
    status, done = await shop.post(f"/rewards/{pool}/codes", upload, shop.hq)
    assert (status, done) == (201, {"added": 2, "already_known": 1, "left": 2})
    status, again = await shop.post(f"/rewards/{pool}/codes", {"codes": ["TEA-0002", "TEA-0003"]} | REASON, shop.hq)
    assert again == {"added": 1, "already_known": 1, "left": 3}
    given = [(await order(shop, member, pool))[1]["codes"] for _ in range(3)]
    assert given == [["TEA-0001"], ["TEA-0002"], ["TEA-0003"]]
    assert kind(await order(shop, member, pool)) == (409, "reward-short")
    assert await stock(shop, pool) == (3, 0, 3, 0)
    assert await disagreeing(dsn) == {}


async def test_a_code_once_given_stays_with_its_order(shop: Shop):
    pool = await reward(shop, **POOL)
    assert (await shop.post(f"/rewards/{pool}/codes", {"codes": ["ONCE-1"]} | REASON, shop.hq))[0] == 201
    assert (await order(shop, await shop.member(points=1000), pool))[0] == 201
    with pytest.raises(Exception, match="given or used already"):
        await shop.pool.execute("UPDATE reward_code SET order_id = NULL, given_at = NULL WHERE code = 'ONCE-1'")


async def test_only_a_pool_takes_codes(shop: Shop):
    coupon = await reward(shop, **COUPON)
    status, problem = await shop.post(f"/rewards/{coupon}/codes", {"codes": ["TEA-0001"]} | REASON, shop.hq)
    assert (status, pointers(problem)) == (422, [("/codes", "reward_has_no_pool")])
    pool = await reward(shop, **POOL, token=shop.director)
    foreign = shop.api.token(Role.CARE_DIRECTOR, dealer="SH001")
    assert (await shop.post(f"/rewards/{pool}/codes", {"codes": ["TEA-0001"]} | REASON, foreign))[0] == 404


# --- entries that make no sense ---

BROKEN: dict[str, tuple[dict[str, Any], str, str]] = {
    "a gift without a price": (GIFT | {"prices": []}, "/prices", "reward_prices"),
    "a service with a price": (SERVICE | {"prices": [{"points": 1}]}, "/prices", "reward_prices"),
    "a service that covers nothing": (SERVICE | {"covers": []}, "/covers", "only_for_a_service"),
    "a gift that covers labour": (GIFT | {"covers": ["labour"]}, "/covers", "only_for_a_service"),
    "a gift with a share": (GIFT | {"max_share_percent": 5}, "/max_share_percent", "only_for_a_service"),
    "a service without a share": (SERVICE | {"max_share_percent": None}, "/max_share_percent", "only_for_a_service"),
    "a service without a rate": (SERVICE | {"fen_per_point": None}, "/fen_per_point", "missing"),
    "a gift with codes": (GIFT | {"codes": "own"}, "/codes", "reward_codes"),
    "a coupon without codes": (COUPON | {"codes": None}, "/codes", "missing"),
    "a fee of no event in particular": (GIFT | {"kind": "event_fee"}, "/reference", "missing"),
    "an end before the start": (GIFT | {"valid_until": "2025-12-31"}, "/valid_until", "date_before_start"),
    "two prices of a tier": (GIFT | {"prices": [{"points": 1}, {"points": 2}]}, "/prices/1/tier", "tier_repeated"),
    "a choice above the price": (
        GIFT | {"prices": [{"points": 1, "least_points": 2}], "fen_per_point": 5}, "/prices/0/least_points",
        "least_above_price",
    ),
    "a choice without a rate": (GIFT | {"prices": [{"points": 2, "least_points": 1}]}, "/fen_per_point", "missing"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
async def test_an_entry_that_makes_no_sense_is_refused(shop: Shop, name: str):
    fields, pointer, code = BROKEN[name]
    status, problem = await shop.post("/rewards", entry(**fields), shop.hq)
    assert (status, pointers(problem)) == (422, [(pointer, code)])


async def test_nor_can_an_entry_be_changed_into_one(shop: Shop):
    cup = await reward(shop, **GIFT)
    status, problem = await patch(shop, cup, shop.hq, prices=[])
    assert (status, pointers(problem)) == (422, [("/prices", "reward_prices")])
    assert (await shop.get(f"/rewards/{cup}", shop.hq))[1]["prices"][0]["points"] == 300


async def test_images_are_addresses_of_the_web(shop: Shop):
    url = "https://static.club.example/cup.jpg"
    cup = await reward(shop, **GIFT, image_urls=[url])
    assert (await shop.get(f"/rewards/{cup}", shop.hq))[1]["image_urls"] == [url]
    status, problem = await shop.post("/rewards", entry(**GIFT, image_urls=["javascript:alert(1)"]), shop.hq)
    assert (status, pointers(problem)) == (422, [("/image_urls/0", "string_pattern_mismatch")])
