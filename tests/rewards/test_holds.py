"""Points held for an order under way: captured whole or in part, released, out of time, never by a foreign dealer."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from app.points import ledger
from app.wiring import verify
from tests.now import NOW
from tests.shop import Answer, Person, Shop, pointers

LATER = NOW + timedelta(minutes=30)


async def hold(
    shop: Shop, member: Person, points: int, token: str = "", key: str | None = None, **fields: Any
) -> Answer:
    body = {"member_id": str(member.id), "points": points, "order_no": "RO-9"} | fields
    if not token:
        body |= {"code": await shop.code(member)}
    return await shop.post("/holds", body, token or shop.advisor, key=key)


async def capture(
    shop: Shop, member: Person, posting_no: int, points: int, token: str = "", key: str | None = None
) -> Answer:
    path = f"/holds/{member.id}/{posting_no}/capture"
    return await shop.post(path, {"points": points}, token or shop.advisor, key=key)


async def release(shop: Shop, member: Person, posting_no: int, token: str = "", key: str | None = None) -> Answer:
    return await shop.post(f"/holds/{member.id}/{posting_no}/release", None, token or shop.advisor, key=key)


def kind(answer: Answer) -> tuple[int, str]:
    return answer[0], answer[1]["type"]


@pytest.fixture
async def member(shop: Shop) -> Person:
    """A member with 60 of 100 points held at BJ001, in posting 2."""
    member = await shop.member(points=100)
    status, posted = await hold(shop, member, 60)
    assert (status, posted["posting_no"], posted["points"], posted["available"]) == (201, 2, 60, 40)
    return member


async def test_captured_in_part_the_rest_goes_back(shop: Shop, member: Person):
    assert await shop.wallet(member) == (40, 0, 60, 0)
    status, posted = await capture(shop, member, 2, 45, key="take")
    assert (status, posted["kind"], posted["points"], posted["available"]) == (201, "capture", 45, 55)
    # the balances beside are the member's own business
    assert (posted["pending"], posted["held"], posted["owed"]) == (None, None, None)
    assert await capture(shop, member, 2, 45, key="take") == (201, posted)
    assert (await capture(shop, member, 2, 44, key="take"))[1]["type"] == "/problems/idempotency-key-conflict"
    assert kind(await capture(shop, member, 2, 1)) == (409, "/problems/hold-resolved")
    assert kind(await release(shop, member, 2)) == (409, "/problems/hold-resolved")
    # a captured hold is refunded as a redemption is
    path = f"/redemptions/{member.id}/{posted['posting_no']}/refund"
    assert (await shop.post(path, {"reason": "faulty"}, shop.advisor))[1]["available"] == 100


async def test_captured_whole(shop: Shop, member: Person):
    assert (await capture(shop, member, 2, 60))[0] == 201
    assert await shop.wallet(member) == (40, 0, 0, 0)


async def test_no_more_than_was_held(shop: Shop, member: Person):
    status, answer = await capture(shop, member, 2, 61)
    assert (status, answer["type"], answer["left"]) == (409, "/problems/exceeds-original", 60)
    assert (await capture(shop, member, 2, 0))[0] == 422
    assert await shop.wallet(member) == (40, 0, 60, 0)


async def test_held_points_cannot_be_spent_or_held_again(shop: Shop, member: Person):
    assert kind(await shop.redeem(member, 41, shop.program, dealer_code="BJ001")) == (
        409,
        "/problems/insufficient-points",
    )
    assert (await hold(shop, member, 41, shop.program, dealer_code="BJ001"))[0] == 409
    assert (await hold(shop, member, 40, shop.program, dealer_code="BJ001"))[0] == 201


async def test_released(shop: Shop, member: Person):
    status, posted = await release(shop, member, 2, key="let-go")
    assert (status, posted["kind"], posted["points"], posted["available"]) == (201, "release", 60, 100)
    assert await release(shop, member, 2, key="let-go") == (201, posted)
    assert kind(await capture(shop, member, 2, 1)) == (409, "/problems/hold-resolved")


async def test_out_of_time(shop: Shop, member: Person):
    async with shop.at(LATER - timedelta(seconds=1)):
        await ledger.release_expired_holds(shop.pool, now=LATER - timedelta(seconds=1))
        assert await shop.wallet(member) == (40, 0, 60, 0)
    async with shop.at(LATER):
        assert kind(await capture(shop, member, 2, 60)) == (409, "/problems/hold-expired")
        assert await ledger.release_expired_holds(shop.pool, now=LATER) >= 1
        assert await shop.wallet(member) == (100, 0, 0, 0)
        assert kind(await release(shop, member, 2)) == (409, "/problems/hold-resolved")


async def test_captured_just_in_time(shop: Shop, member: Person):
    async with shop.at(LATER - timedelta(seconds=1)):
        assert (await capture(shop, member, 2, 60))[0] == 201


async def test_a_foreign_dealers_hold_does_not_exist(shop: Shop, member: Person):
    for number in (2, 7):
        assert kind(await capture(shop, member, number, 10, shop.foreign)) == (404, "/problems/not-found")
        assert kind(await release(shop, member, number, shop.foreign)) == (404, "/problems/not-found")
    assert kind(await capture(shop, member, 7, 10)) == (404, "/problems/not-found")
    assert kind(await capture(shop, member._replace(id=uuid4()), 2, 10, shop.program)) == (404, "/problems/not-found")
    # an earning is no hold
    assert kind(await release(shop, member, 1, shop.program)) == (404, "/problems/not-found")
    for number in (0, 1 << 63):
        assert (await capture(shop, member, number, 10))[0] == 422
        assert (await release(shop, member, number))[0] == 422
    assert (await capture(shop, member, 2, 60, shop.director))[0] == 201


async def test_a_member_of_another_chapter_is_served(shop: Shop, member: Person):
    status, posted = await shop.post(
        "/holds", {"member_id": str(member.id), "points": 40, "order_no": "1"}, shop.foreign
    )
    assert (status, posted["type"]) == (403, "/problems/confirmation-required")
    async with shop.at(NOW + timedelta(minutes=1)):
        code = await shop.code(member)
        body = {"member_id": str(member.id), "points": 40, "order_no": "1", "code": code}
        status, posted = await shop.post("/holds", body, shop.foreign)
        assert (status, posted["cause"]) == (201, "repair_order:SH001:1")
        assert (await capture(shop, member, posted["posting_no"], 40))[0] == 404
        assert (await capture(shop, member, posted["posting_no"], 40, shop.foreign))[0] == 201


async def test_the_dealer_of_a_hold(shop: Shop):
    member = await shop.member(points=100)
    for token, fields, fault in (
        (shop.program, {}, "missing"),
        (shop.program, {"dealer_code": "ZZ999"}, "unknown_dealer"),
        (shop.advisor, {"dealer_code": "SH001"}, "not_your_dealer"),
    ):
        status, answer = await hold(shop, member, 10, token, **fields)
        assert (status, pointers(answer)) == (422, [("/dealer_code", fault)])
    assert (await hold(shop, member, 10, shop.hq, dealer_code="BJ001"))[0] == 403
    assert (await hold(shop, member, 10, shop.program, dealer_code="BJ001"))[0] == 201


async def test_a_lot_that_lapsed_while_held(shop: Shop):
    """Capture is honoured; what is released of it expires."""
    member = await shop.member()
    await shop.earn(member, 50, expires_on="2026-11-21")
    # 23:50 in China; the hold reaches into the day after
    async with shop.at(NOW.replace(hour=15, minute=50)):
        assert (await hold(shop, member, 50, shop.program, dealer_code="BJ001"))[0] == 201
    async with shop.at(NOW.replace(hour=16, minute=10)):
        assert (await capture(shop, member, 2, 30, shop.program))[0] == 201
        assert await shop.wallet(member) == (0, 0, 0, 0)


async def test_the_books_hold(dsn: str):
    assert {check.name: found for check, found in await verify(dsn) if found} == {}
