"""Orders along a member's life: its timeline, its own data, a merge and its undoing, erasure."""

from app.core.clock import china_date
from app.privacy import retention
from tests.api import SETTINGS
from tests.now import NOW
from tests.rewards.goods import GIFT, REASON, disagreeing, kind, order, own, reward, step, stock
from tests.shop import Person, Shop

HOME = {"recipient": "张伟", "phone": "13800138000", "address": "北京市朝阳区建国路1号"}


async def test_the_timeline_tells_of_orders(shop: Shop):
    cup = await reward(shop, **GIFT | {"name": "茶杯"}, stock=9)
    member = await shop.member(points=1000)
    made = (await order(shop, member, cup, quantity=2))[1]
    assert (await step(shop, made, "cancellation", REASON, own(shop, member)))[0] == 200
    seen = (await shop.get(f"/members/{member.id}/timeline", shop.hq, source="reward"))[1]["items"]
    assert {(one["kind"], one["text"]) for one in seen} == {
        ("cancelled", "取消兑换 茶杯：说明"), ("ordered", "兑换 茶杯 2 份，600 积分"),
    }  # fmt: skip


async def test_a_member_takes_its_orders_along(shop: Shop):
    cup = await reward(shop, **GIFT, stock=9)
    member = await shop.member(points=1000)
    assert (await order(shop, member, cup, delivery=HOME))[0] == 201
    status, data = await shop.get(f"/members/{member.id}/own-data", own(shop, member))
    assert status == 200
    (kept,) = data["more"]["reward_orders"]
    assert (kept["points"], kept["order_status"], "建国路" in kept["delivery"]) == (300, "held", True)


async def test_the_erased_leave_no_address(shop: Shop, dsn: str):
    cup = await reward(shop, **GIFT, stock=9)
    member = await shop.member(points=1000)
    made = (await order(shop, member, cup, delivery=HOME))[1]
    assert (await step(shop, made, "confirmation", {}))[0] == 200
    token = own(shop, member)
    assert (await shop.api.call("PUT", f"/members/{member.id}/erasure", token, json={})).status_code == 200
    await shop.pool.execute("UPDATE erasure SET due_on = $2 WHERE member_id = $1", member.id, china_date(NOW))
    await retention.apply(shop.api.db, SETTINGS, now=NOW)
    left = await shop.pool.fetchrow("SELECT delivery, reason, points FROM reward_order WHERE id = $1", made["id"])
    assert left is not None
    assert tuple(left) == (None, None, 300)
    assert await disagreeing(dsn) == {}


# --- one person with two memberships ---


async def both(shop: Shop) -> tuple[Person, Person]:
    return await shop.member(points=1000), await shop.member(points=500)


async def merged(shop: Shop, source: Person, target: Person) -> str:
    body = {"from_id": str(source.id), "into_id": str(target.id)} | REASON
    status, made = await shop.post("/members/merges", body, shop.hq)
    assert status == 201, made
    return str(made["id"])


async def test_orders_go_along_and_their_points_come_back_to_who_goes_on(shop: Shop, dsn: str):
    cup = await reward(shop, **GIFT, stock=9, limit_per_member=1)
    source, target = await both(shop)
    made = (await order(shop, source, cup))[1]
    body = {"from_id": str(source.id), "into_id": str(target.id)} | REASON
    assert kind(await shop.post("/members/merges", body, shop.hq)) == (409, "holds-open")
    assert (await step(shop, made, "confirmation", {}))[0] == 200
    await merged(shop, source, target)
    mine = (await shop.get("/members/me/reward-orders", own(shop, target)))[1]["items"]
    assert [one["id"] for one in mine] == [made["id"]]
    assert kind(await order(shop, target, cup)) == (409, "reward-limit")
    assert await shop.wallet(target) == (1200, 0, 0, 0)
    assert (await step(shop, made, "cancellation", REASON))[0] == 200
    assert await shop.wallet(target) == (1500, 0, 0, 0)
    assert await disagreeing(dsn) == {}


async def test_parted_again_each_has_its_own(shop: Shop, dsn: str):
    cup = await reward(shop, **GIFT, stock=9)
    source, target = await both(shop)
    first = (await order(shop, source, cup))[1]
    assert (await step(shop, first, "confirmation", {}))[0] == 200
    merge_id = await merged(shop, source, target)
    second = (await order(shop, target, cup))[1]
    assert (await step(shop, second, "confirmation", {}))[0] == 200
    assert (await shop.post(f"/members/merges/{merge_id}/undo", REASON, shop.hq))[0] == 200
    for member, one in ((source, first), (target, second)):
        mine = (await shop.get("/members/me/reward-orders", own(shop, member)))[1]["items"]
        assert [found["id"] for found in mine] == [one["id"]]
    assert await stock(shop, cup) == (9, 0, 2, 7)
    assert await disagreeing(dsn) == {}
