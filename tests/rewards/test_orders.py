"""Orders of rewards: held, confirmed, sent, received; cancelled, lapsed, returned."""

from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from app.core.actors import Role
from app.core.problems import WrongStatus
from app.core.transitions import require_step
from app.rewards.orders_rules import ORDER_TRANSITIONS, OrderStatus
from app.worker import minutely_work
from tests.now import NOW
from tests.rewards.goods import (
    COUPON,
    GIFT,
    LAPSED,
    POOL,
    REASON,
    at_counter,
    disagreeing,
    kind,
    order,
    own,
    reward,
    step,
    stock,
)
from tests.shop import Person, Shop, pointers

HOME = {"recipient": "张伟", "phone": "13800138000", "address": "北京市朝阳区建国路1号"}
SENT = {"carrier": "顺丰", "tracking_no": "SF1234567890"}
BACK = REASON | {"is_restocked": True}


async def ordered(shop: Shop, cup: str, **fields: Any) -> tuple[Person, Any]:
    """A new member with 1,000 points, and its order."""
    member = await shop.member(points=1000)
    status, made = await order(shop, member, cup, **fields)
    assert status == 201, made
    return member, made


async def test_from_order_to_doorstep(shop: Shop, dsn: str):
    cup = await reward(shop, **GIFT, stock=5)
    member, made = await ordered(shop, cup, quantity=2, delivery=HOME)
    assert (made["status"], made["points"], made["money_fen"], made["delivery"]["address"]) == (
        "held", 600, 0, HOME["address"],
    )  # fmt: skip
    assert await shop.wallet(member) == (400, 0, 600, 0)
    assert await stock(shop, cup) == (5, 2, 0, 3)
    status, confirmed = await step(shop, made, "confirmation", {})
    assert (status, confirmed["status"]) == (200, "confirmed")
    assert await shop.wallet(member) == (400, 0, 0, 0)
    assert await stock(shop, cup) == (5, 0, 2, 3)
    status, sent = await step(shop, made, "shipment", SENT)
    assert (status, sent["status"], sent["tracking_no"]) == (200, "shipped", "SF1234567890")
    status, got = await step(shop, made, "delivery", None)
    assert (status, got["status"], got["delivered_at"]) == (200, "delivered", "2026-11-21T02:00:00Z")
    status, mine = await shop.get("/members/me/reward-orders", own(shop, member))
    assert [one["status"] for one in mine["items"]] == ["delivered"]
    assert await disagreeing(dsn) == {}


async def test_cancelled_before_and_after_confirmation(shop: Shop, dsn: str):
    cup = await reward(shop, **GIFT, stock=2)
    member, made = await ordered(shop, cup)
    status, ended = await step(shop, made, "cancellation", REASON, own(shop, member))
    assert (status, ended["status"], ended["reason"]) == (200, "cancelled", "说明")
    assert (await shop.wallet(member), await stock(shop, cup)) == ((1000, 0, 0, 0), (2, 0, 0, 2))
    made = (await order(shop, member, cup))[1]
    assert (await step(shop, made, "confirmation", {}))[0] == 200
    assert kind(await step(shop, made, "cancellation", REASON, own(shop, member))) == (409, "wrong-status")
    assert (await step(shop, made, "cancellation", REASON))[1]["status"] == "cancelled"
    assert (await shop.wallet(member), await stock(shop, cup)) == ((1000, 0, 0, 0), (2, 0, 0, 2))
    assert await disagreeing(dsn) == {}


async def test_points_go_back_to_the_lots_they_came_from(shop: Shop):
    cup = await reward(shop, **GIFT, stock=2)
    member = await shop.member()
    for points, expires_on in ((100, "2026-12-31"), (500, "2027-12-31")):
        assert (await shop.earn(member, points, expires_on=expires_on))[0] == 201
    before = (await shop.get(f"/members/{member.id}/points", shop.hq))[1]
    made = (await order(shop, member, cup))[1]
    assert (await step(shop, made, "confirmation", {}))[0] == 200
    assert (await shop.get(f"/members/{member.id}/points", shop.hq))[1]["next_expiries"] == [
        {"expires_on": "2027-12-31", "points": 300, "is_extendable": False}
    ]
    assert (await step(shop, made, "cancellation", REASON))[0] == 200
    assert (await shop.get(f"/members/{member.id}/points", shop.hq))[1] == before


@pytest.mark.parametrize("steps", [[], ["confirmation"]])
async def test_points_that_lapsed_meanwhile_have_days_of_grace(shop: Shop, dsn: str, steps: list[str]):
    """Whether the order was still held or confirmed: it is not the member who gives it up."""
    cup = await reward(shop, **GIFT, stock=1)
    member = await shop.member()
    assert (await shop.earn(member, 100, expires_on="2026-11-21"))[0] == 201
    assert (await shop.earn(member, 500, expires_on="2027-12-31"))[0] == 201
    made = (await order(shop, member, cup))[1]
    for name in steps:
        assert (await step(shop, made, name, {}))[0] == 200
    async with shop.at(NOW + timedelta(days=1)):
        status, ended = await step(shop, made, "cancellation", REASON)
        assert (status, ended["status"]) == (200, "cancelled")
        read = (await shop.get(f"/members/{member.id}/points", shop.hq))[1]
    assert [(one["expires_on"], one["points"]) for one in read["next_expiries"]] == [
        ("2026-12-22", 100), ("2027-12-31", 500),
    ]  # fmt: skip
    assert await stock(shop, cup) == (1, 0, 0, 1)
    assert await disagreeing(dsn) == {}


async def test_what_a_member_gives_up_lives_no_longer_for_it(shop: Shop, dsn: str):
    cup = await reward(shop, **GIFT, stock=1)
    member = await shop.member()
    assert (await shop.earn(member, 300, expires_on="2026-11-21"))[0] == 201
    # ten minutes before China's midnight, and ten after
    async with shop.at(NOW.replace(hour=15, minute=50)):
        made, token = (await order(shop, member, cup))[1], own(shop, member)
    async with shop.at(NOW.replace(hour=16, minute=10)):
        assert (await step(shop, made, "cancellation", REASON, token))[1]["status"] == "cancelled"
        assert await shop.wallet(member) == (0, 0, 0, 0)
    assert await disagreeing(dsn) == {}


@pytest.mark.parametrize("steps", [[], ["confirmation"]])
async def test_codes_whose_money_was_never_paid_stay_free(shop: Shop, dsn: str, steps: list[str]):
    pool = await reward(shop, **POOL | {"prices": [{"points": 50, "money_fen": 100}]})
    assert (await shop.post(f"/rewards/{pool}/codes", {"codes": [f"PAID-{len(steps)}"]} | REASON, shop.hq))[0] == 201
    member = await shop.member()
    assert (await shop.earn(member, 50, expires_on="2026-11-21"))[0] == 201
    made = (await order(shop, member, pool))[1]
    for name in steps:
        assert (await step(shop, made, name, {"payment_reference": "POS-1"}))[0] == 200
    async with shop.at(NOW + timedelta(days=1)):
        status, answer = await step(shop, made, "cancellation", REASON)
    assert (status, answer.get("status")) == ((409, 409) if steps else (200, "cancelled"))
    assert (await stock(shop, pool))[3] == (0 if steps else 1)
    assert await disagreeing(dsn) == {}


@pytest.mark.parametrize(("is_restocked", "left"), [(True, 1), (False, 0)])
async def test_what_comes_back_gives_the_points_back(shop: Shop, dsn: str, is_restocked: bool, left: int):
    cup = await reward(shop, **GIFT, stock=1)
    member, made = await ordered(shop, cup)
    for name, body in (("confirmation", {}), ("shipment", SENT)):
        assert (await step(shop, made, name, body))[0] == 200
    status, back = await step(shop, made, "return", REASON | {"is_restocked": is_restocked})
    assert (status, back["status"]) == (200, "returned")
    assert await shop.wallet(member) == (1000, 0, 0, 0)
    assert (await stock(shop, cup))[3] == left
    assert await disagreeing(dsn) == {}


async def test_a_stale_order_lapses_with_its_hold(shop: Shop, dsn: str):
    cup = await reward(shop, **GIFT, stock=1)
    member, made = await ordered(shop, cup)
    await minutely_work(shop.api.db, lambda: NOW)
    assert (await stock(shop, cup))[1] == 1
    async with shop.at(LAPSED):
        assert kind(await step(shop, made, "confirmation", {})) == (409, "hold-expired")
    await minutely_work(shop.api.db, lambda: LAPSED)
    assert (await shop.get(f"/reward-orders/{made['id']}", shop.hq))[1]["status"] == "lapsed"
    assert (await shop.wallet(member), await stock(shop, cup)) == ((1000, 0, 0, 0), (1, 0, 0, 1))
    assert kind(await step(shop, made, "cancellation", REASON)) == (409, "wrong-status")
    assert await disagreeing(dsn) == {}


async def test_the_stock_of_who_left_comes_back_though_the_closed_wallets_points_wait(shop: Shop, dsn: str):
    cup = await reward(shop, **GIFT, stock=1)
    member, made = await ordered(shop, cup)
    assert (await shop.post(f"/members/{member.id}/status", {"to": "left"} | REASON, shop.hq))[0] == 200
    assert kind(await step(shop, made, "confirmation", {})) == (409, "wallet-closed")
    await minutely_work(shop.api.db, lambda: LAPSED)
    assert await stock(shop, cup) == (1, 0, 0, 1)
    assert await shop.wallet(member) == (700, 0, 300, 0)
    assert await disagreeing(dsn) == {}


async def test_a_retry_gets_the_first_answer(shop: Shop):
    cup = await reward(shop, **GIFT, stock=5)
    member = await shop.member(points=1000)
    first = await order(shop, member, cup, key="order-once")
    assert await order(shop, member, cup, key="order-once") == first
    assert kind(await order(shop, member, cup, quantity=2, key="order-once")) == (409, "idempotency-key-conflict")
    confirmed = await step(shop, first[1], "confirmation", {}, key="confirm-once")
    assert await step(shop, first[1], "confirmation", {}, key="confirm-once") == confirmed
    assert (await shop.wallet(member), (await stock(shop, cup))[2]) == ((700, 0, 0, 0), 1)


async def test_a_dry_run_holds_nothing(shop: Shop):
    cup = await reward(shop, **GIFT, stock=1)
    member = await shop.member(points=1000)
    status, shown = await shop.post("/members/me/reward-orders?dry_run=true", {"reward_id": cup}, own(shop, member))
    assert (status, shown["points"]) == (200, 300)
    assert (await shop.wallet(member), await stock(shop, cup)) == ((1000, 0, 0, 0), (1, 0, 0, 1))
    poor = await shop.member(points=299)
    answer = await shop.post("/members/me/reward-orders?dry_run=true", {"reward_id": cup}, own(shop, poor))
    assert kind(answer) == (409, "insufficient-points")


# --- refusals ---


async def test_who_is_short_gets_nothing(shop: Shop):
    cup = await reward(shop, **GIFT, stock=1)
    poor, rich = await shop.member(points=299), await shop.member(points=1000)
    assert kind(await order(shop, poor, cup)) == (409, "insufficient-points")
    status, problem = await order(shop, rich, cup, quantity=2)
    assert (status, problem["needed"], problem["left"]) == (409, 2, 1)
    assert (await shop.wallet(rich), await stock(shop, cup)) == ((1000, 0, 0, 0), (1, 0, 0, 1))


async def test_no_more_than_the_limit_until_some_are_back(shop: Shop):
    cup = await reward(shop, **GIFT, stock=9, limit_per_member=2)
    member, made = await ordered(shop, cup, quantity=2)
    status, problem = await order(shop, member, cup)
    assert (status, problem["limit"], problem["taken"]) == (409, 2, 2)
    assert (await step(shop, made, "cancellation", REASON))[0] == 200
    assert (await order(shop, member, cup))[0] == 201


async def test_only_gifts_are_sent(shop: Shop):
    coupon = await reward(shop, **COUPON)
    member = await shop.member(points=1000)
    status, problem = await order(shop, member, coupon, delivery=HOME)
    assert (status, pointers(problem)) == (422, [("/delivery", "not_for_this_reward")])


async def test_another_members_order_is_not_there(shop: Shop):
    cup = await reward(shop, **GIFT, stock=9)
    _, made = await ordered(shop, cup)
    stranger = own(shop, await shop.member())
    assert (await shop.get(f"/reward-orders/{made['id']}", stranger))[0] == 404
    assert (await step(shop, made, "cancellation", REASON, stranger))[0] == 404
    assert (await step(shop, made, "confirmation", {}, stranger))[0] == 403
    # its chapter sees it, and headquarters fulfils it
    assert (await shop.get(f"/reward-orders/{made['id']}", shop.director))[0] == 200
    assert (await step(shop, made, "confirmation", {}, shop.director))[0] == 404
    assert (await shop.get(f"/reward-orders/{made['id']}", shop.foreign))[0] == 404


async def test_an_orders_postings_are_its_steps_alone(shop: Shop):
    cup = await reward(shop, **GIFT, stock=9)
    member, made = await ordered(shop, cup)
    for name, body in (("capture", {"points": 1}), ("release", None)):
        assert (await shop.post(f"/holds/{member.id}/2/{name}", body, shop.program))[0] == 404
    assert (await step(shop, made, "confirmation", {}))[0] == 200
    assert (await shop.post(f"/redemptions/{member.id}/3/refund", REASON, shop.program))[0] == 404


async def test_money_due_needs_its_payment(shop: Shop):
    cup = await reward(shop, **GIFT | {"prices": [{"points": 100, "money_fen": 990}]}, stock=9)
    _, made = await ordered(shop, cup, quantity=2)
    assert (made["points"], made["money_fen"]) == (200, 1980)
    status, problem = await step(shop, made, "confirmation", {})
    assert (status, pointers(problem)) == (422, [("/payment_reference", "missing")])
    status, paid = await step(shop, made, "confirmation", {"payment_reference": "WX-1"})
    assert (status, paid["payment_reference"]) == (200, "WX-1")


STEPS: dict[OrderStatus, tuple[str, Any]] = {
    OrderStatus.CONFIRMED: ("confirmation", {}),
    OrderStatus.SHIPPED: ("shipment", SENT),
    OrderStatus.DELIVERED: ("delivery", None),
    OrderStatus.CANCELLED: ("cancellation", REASON),
    OrderStatus.RETURNED: ("return", BACK),
}
_C, _S, _D, _R = OrderStatus.CONFIRMED, OrderStatus.SHIPPED, OrderStatus.DELIVERED, OrderStatus.RETURNED
WAYS: dict[OrderStatus, tuple[OrderStatus, ...]] = {
    OrderStatus.HELD: (), _C: (_C,), _S: (_C, _S), _D: (_C, _S, _D), _R: (_C, _S, _R),
    OrderStatus.CANCELLED: (OrderStatus.CANCELLED,),
}  # fmt: skip
ALLOWED = {
    ("held", "confirmed"), ("held", "cancelled"), ("held", "lapsed"), ("confirmed", "shipped"),
    ("confirmed", "delivered"), ("confirmed", "cancelled"), ("shipped", "delivered"), ("shipped", "returned"),
    ("delivered", "returned"),
}  # fmt: skip


@pytest.mark.parametrize(("current", "to"), list(product(OrderStatus, OrderStatus)))
def test_the_written_table(current: OrderStatus, to: OrderStatus) -> None:
    if (current, to) in ALLOWED:
        require_step(ORDER_TRANSITIONS, current, to)
        return
    with pytest.raises(WrongStatus):
        require_step(ORDER_TRANSITIONS, current, to)


@pytest.mark.parametrize("current", list(WAYS))
async def test_steps_beside_the_table_are_refused(shop: Shop, current: OrderStatus):
    cup = await reward(shop, **GIFT, stock=9)
    _, made = await ordered(shop, cup)
    for status in WAYS[current]:
        assert (await step(shop, made, *STEPS[status]))[0] == 200
    for to, (name, body) in STEPS.items():
        if (current, to) not in ALLOWED:
            assert kind(await step(shop, made, name, body)) == (409, "wrong-status"), to


# --- at the counter ---


async def test_at_the_counter_the_member_confirms(shop: Shop):
    cup = await reward(shop, **GIFT, stock=9, token=shop.director)
    member = await shop.member(points=1000)
    body = {"reward_id": cup, "member_id": str(member.id)}
    assert kind(await shop.post("/reward-orders", body, shop.advisor)) == (403, "confirmation-required")
    status, made = await at_counter(shop, member, cup)
    assert (status, made["dealer_code"], made["delivery"]) == (201, "BJ001", None)
    assert (await step(shop, made, "confirmation", {}, shop.advisor))[0] == 200
    assert (await step(shop, made, "delivery", None, shop.advisor))[1]["status"] == "delivered"


async def test_wrong_codes_count_although_nothing_is_ordered(shop: Shop):
    cup = await reward(shop, **GIFT, stock=9, token=shop.director)
    member = await shop.member(points=1000)
    right = await shop.code(member)
    wrong = f"{(int(right) + 1) % 10**6:06d}"
    for _ in range(5):
        assert kind(await at_counter(shop, member, cup, code=wrong))[1] == "confirmation-wrong"
    assert kind(await at_counter(shop, member, cup, code=right))[1] == "confirmation-locked"
    assert await stock(shop, cup) == (9, 0, 0, 9)


async def test_a_rehearsal_at_the_counter_needs_no_code(shop: Shop):
    cup = await reward(shop, **GIFT, stock=9, token=shop.director)
    member = await shop.member(points=1000)
    body = {"reward_id": cup, "member_id": str(member.id)}
    assert (await shop.post("/reward-orders?dry_run=true", body, shop.advisor))[0] == 200
    assert await shop.wallet(member) == (1000, 0, 0, 0)


async def test_where_it_is_sent_is_shown_to_who_sends_it_and_goes_on_record(shop: Shop):
    cup = await reward(shop, **GIFT, stock=9)
    _, made = await ordered(shop, cup, delivery=HOME)
    path = f"/reward-orders/{made['id']}"
    assert (await shop.get(path, shop.hq))[1]["delivery"]["recipient"] == "张伟"
    assert (await shop.get(path, shop.api.token(Role.AUDITOR)))[1]["delivery"] is None
    listed = (await shop.get("/reward-orders", shop.hq, member_id=made["member_id"]))[1]["items"]
    assert [one["delivery"] for one in listed] == [None]
    deeds = (await shop.get("/audit-events", shop.hq, target_kind="reward_order", target_id=made["id"]))[1]["items"]
    assert [deed["action"] for deed in deeds if deed["action"] == "unmasked"] == ["unmasked"]
    stored = await shop.pool.fetchval("SELECT delivery FROM reward_order WHERE id = $1", made["id"])
    assert "朝阳".encode() not in stored
