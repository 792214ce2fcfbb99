"""Points that pay part of a repair order: as many as the member chooses, up to the share, exact to the fen."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.actors import Role
from app.rewards.catalogue_rules import Choice, share_fen
from tests.rewards.goods import LAPSED, REASON, SERVICE, at_counter, disagreeing, kind, order, reward, step
from tests.shop import Shop, pointers

BILL = {"order_no": "RO-77", "labour_fen": 10_001, "parts_fen": 20_000, "accessories_fen": 5_000}
"""35,001 fen, of which labour and parts are 30,001: 30 % are 9,000 fen, at 7 fen 1,285 points."""


def bill(number: int, **fields: Any) -> dict[str, Any]:
    return BILL | {"order_no": f"RO-{number}"} | fields


async def test_the_rest_is_money_to_the_fen(shop: Shop, dsn: str):
    service = await reward(shop, **SERVICE)
    member = await shop.member(points=2000)
    status, made = await at_counter(shop, member, service, bill=bill(1), points=1285)
    assert (status, made["status"], made["points"], made["bill_fen"], made["money_fen"]) == (
        201, "held", 1285, 35_001, 35_001 - 1285 * 7,
    )  # fmt: skip
    assert (made["dealer_code"], made["order_no"]) == ("BJ001", "RO-1")
    status, paid = await step(shop, made, "confirmation", {}, shop.advisor)
    assert (status, paid["status"]) == (200, "delivered")
    spent = (await shop.get(f"/members/{member.id}/postings", shop.hq))[1]["items"][0]
    assert (spent["kind"], spent["points"], spent["place"]) == ("capture", 1285, "BJ001")
    assert await disagreeing(dsn) == {}


async def test_never_more_than_the_share_however_often(shop: Shop):
    service = await reward(shop, **SERVICE)
    member, other = await shop.member(points=2000), await shop.member(points=2000)
    status, problem = await at_counter(shop, member, service, bill=bill(2), points=1286)
    assert (status, problem["least"], problem["most"]) == (409, 1, 1285)
    assert (await at_counter(shop, member, service, bill=bill(2), points=1000))[0] == 201
    status, problem = await at_counter(shop, other, service, bill=bill(2), points=286)
    assert (status, problem["most"]) == (409, 285)
    status, second = await at_counter(shop, other, service, bill=bill(2), points=285)
    assert (status, second["bill_fen"], second["money_fen"]) == (201, 35_001 - 7000, 35_001 - 7000 - 285 * 7)
    # another order is another matter
    third = await shop.member(points=2000)
    assert (await at_counter(shop, third, service, bill=bill(3), points=286))[0] == 201


async def test_two_rewards_together_never_pay_more_than_the_bill(shop: Shop):
    labour, again = [await reward(shop, **SERVICE | {"covers": ["labour"], "max_share_percent": 100}) for _ in range(2)]
    member = await shop.member(points=9000)
    small = bill(4, parts_fen=0, accessories_fen=0)
    assert (await at_counter(shop, member, labour, bill=small, points=1000))[0] == 201
    status, problem = await at_counter(shop, member, again, bill=small, points=1000)
    assert (status, problem["most"]) == (409, (10_001 - 7000) // 7)


async def test_a_cancelled_order_makes_room_and_gives_back(shop: Shop):
    service = await reward(shop, **SERVICE)
    member = await shop.member(points=2000)
    made = (await at_counter(shop, member, service, bill=bill(5), points=1285))[1]
    assert (await step(shop, made, "confirmation", {}, shop.advisor))[0] == 200
    returned = await step(shop, made, "return", REASON | {"is_restocked": False}, shop.advisor)
    assert (returned[0], returned[1]["status"]) == (200, "returned")
    assert await shop.wallet(member) == (2000, 0, 0, 0)
    other = await shop.member(points=2000)
    assert (await at_counter(shop, other, service, bill=bill(5), points=1285))[0] == 201


async def test_what_one_pays_no_more_is_left_to_those_after_it(shop: Shop):
    service = await reward(shop, **SERVICE)
    first, second, third = [await shop.member(points=2000) for _ in range(3)]
    earlier = (await at_counter(shop, first, service, bill=bill(21), points=500))[1]
    later = (await at_counter(shop, second, service, bill=bill(21), points=300))[1]
    assert (later["bill_fen"], later["money_fen"]) == (35_001 - 3500, 35_001 - 3500 - 2100)
    elsewhere = (await at_counter(shop, third, service, bill=bill(22), points=300))[1]
    assert (await step(shop, earlier, "cancellation", REASON, shop.advisor))[0] == 200
    path = f"/reward-orders/{later['id']}"
    read = (await shop.get(path, shop.advisor))[1]
    assert (read["bill_fen"], read["money_fen"]) == (35_001, 35_001 - 2100)
    # the later one's end changes nothing of what came before, nor of another bill
    assert (await step(shop, later, "cancellation", REASON, shop.advisor))[0] == 200
    assert (await shop.get(f"/reward-orders/{elsewhere['id']}", shop.advisor))[1]["money_fen"] == 35_001 - 2100


async def test_orders_of_one_bill_ended_at_once_leave_all_of_it(shop: Shop, dsn: str):
    service = await reward(shop, **SERVICE)
    members = [await shop.member(points=2000) for _ in range(4)]
    made = [(await at_counter(shop, one, service, bill=bill(23), points=100))[1] for one in members]
    ended = await asyncio.gather(*(step(shop, one, "cancellation", REASON, shop.advisor) for one in made[:3]))
    assert [status for status, _ in ended] == [200, 200, 200]
    assert (await shop.get(f"/reward-orders/{made[3]['id']}", shop.advisor))[1]["money_fen"] == 35_001 - 700
    assert await disagreeing(dsn) == {}


async def test_a_bill_is_held_no_longer_than_the_counter_holds(shop: Shop):
    service = await reward(shop, **SERVICE)
    made = (await at_counter(shop, await shop.member(points=100), service, bill=bill(6), points=1))[1]
    assert made["held_until"] == "2026-11-21T02:30:00Z"
    async with shop.at(LAPSED):
        assert kind(await step(shop, made, "confirmation", {}, shop.advisor)) == (409, "hold-expired")


async def test_a_service_is_the_counters(shop: Shop):
    service, theirs = await reward(shop, **SERVICE), await reward(shop, **SERVICE, dealer_code="SH001")
    member = await shop.member(points=100)
    status, problem = await order(shop, member, service, points=1)
    assert (status, pointers(problem)) == (422, [("/reward_id", "at_the_counter")])
    for missing, body in (("/bill", {"points": 1}), ("/points", {"bill": bill(7)})):
        status, problem = await at_counter(shop, member, service, **body)
        assert (status, pointers(problem)) == (422, [(missing, "missing")])
    assert (await at_counter(shop, member, theirs, bill=bill(8), points=1))[0] == 404
    hq = {"reward_id": service, "member_id": str(member.id), "bill": bill(9), "points": 1}
    assert (await shop.post("/reward-orders", hq, shop.hq))[0] == 403


async def test_a_guest_is_served_and_its_chapter_sees_it(shop: Shop):
    service = await reward(shop, **SERVICE)
    guest = await shop.member(points=100, dealer="SH001")
    status, made = await at_counter(shop, guest, service, bill=bill(10), points=10)
    assert (status, made["dealer_code"]) == (201, "BJ001")
    assert (await step(shop, made, "confirmation", {}, shop.foreign))[0] == 404
    assert (await step(shop, made, "confirmation", {}, shop.advisor))[0] == 200
    for reader in (shop.foreign, shop.advisor):
        assert (await shop.get(f"/reward-orders/{made['id']}", reader))[0] == 200
    stranger = shop.api.token(Role.SERVICE_ADVISOR, dealer="BJ002")
    assert (await shop.get(f"/reward-orders/{made['id']}", stranger))[0] == 404


# --- the arithmetic ---

FEN = st.integers(0, 10**8)


@given(labour=FEN, parts=FEN, percent=st.integers(1, 100))
def test_the_share_is_never_exceeded_and_never_a_fen_short(labour: int, parts: int, percent: int):
    share = share_fen({"labour": labour, "parts": parts}, ["labour"], percent)
    assert share * 100 <= labour * percent < (share + 1) * 100


@given(most=st.integers(1, 10**6), fen=st.integers(0, 10**4), money=FEN, data=st.data())
def test_points_and_money_always_add_up(most: int, fen: int, money: int, data: st.DataObject):
    chosen = data.draw(st.integers(1, most))
    split = Choice(1, most, money, fen).split(chosen)
    assert split is not None
    assert split.points * fen + split.money_fen == most * fen + money


@pytest.mark.parametrize("points", [0, 301])
def test_outside_of_the_choice_there_is_no_price(points: int):
    assert Choice(1, 300, 0, 7).split(points) is None
