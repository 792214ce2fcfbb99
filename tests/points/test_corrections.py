"""Reversals, adjustments and write-offs through the API: whose word it takes, what becomes owed, what is refused."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from app.core.actors import Role
from app.wiring import verify
from tests.now import NOW
from tests.shop import Answer, Person, Shop, pointers


async def reverse(shop: Shop, member: Person, posting_no: int, token: str = "", **options: Any) -> Answer:
    body = {"member_id": str(member.id), "posting_no": posting_no, "reason": "entered twice"}
    return await shop.post("/points/reversals", body, token or shop.hq, **options)


async def adjust(shop: Shop, member: Person, points: int, key: str | None = None, **fields: Any) -> Answer:
    body = {"member_id": str(member.id), "points": points, "reason": "goodwill"} | fields
    return await shop.post("/points/adjustments", body, shop.hq, key=key)


async def write_off(shop: Shop, member: Person, points: int, key: str | None = None) -> Answer:
    body = {"member_id": str(member.id), "points": points, "reason": "our mistake"}
    return await shop.post("/points/write-offs", body, shop.hq, key=key)


async def owing(shop: Shop) -> Person:
    """A member who owes 40 of 100 points."""
    member = await shop.member(points=100)
    assert (await shop.redeem(member, 40, shop.program, dealer_code="BJ001"))[0] == 201
    assert (await reverse(shop, member, 1))[0] == 201
    return member


async def test_a_reversal_takes_the_earning_back(shop: Shop):
    member = await shop.member(points=100)
    await shop.earn(member, 30)
    status, posted = await reverse(shop, member, 1, key="undo")
    assert (status, posted["kind"], posted["points"], posted["cause"], posted["available"]) == (
        201, "reverse", 100, "reversal:1", 30,
    )  # fmt: skip
    again = await reverse(shop, member, 1, key="undo")
    assert again == (201, posted)
    status, answer = await reverse(shop, member, 1)
    assert (status, answer["type"]) == (409, "/problems/already-reversed")
    _, entry = await shop.get(f"/members/{member.id}/postings/{posted['posting_no']}", shop.hq)
    assert (entry["reason"], entry["resolves"], entry["owed"]) == ("entered twice", 1, 0)


async def test_what_was_spent_becomes_owed_and_is_repaid(shop: Shop):
    member = await owing(shop)
    assert await shop.wallet(member) == (0, 0, 0, 40)
    assert (await shop.redeem(member, 1, shop.program, dealer_code="BJ001"))[0] == 409
    assert (await shop.earn(member, 30))[1]["owed"] == 10
    assert (await shop.earn(member, 30))[1]["available"] == 20
    assert await shop.wallet(member) == (20, 0, 0, 0)


async def test_only_an_earning_can_be_reversed(shop: Shop):
    member = await shop.member(points=100)
    await shop.redeem(member, 40, shop.program, dealer_code="BJ001")
    assert (await reverse(shop, member, 2))[1]["type"] == "/problems/wrong-posting-kind"
    assert (await reverse(shop, member, 3))[0] == 404
    assert (await reverse(shop, member._replace(id=uuid4()), 1))[0] == 404
    for posting_no in (0, 1 << 63):
        status, answer = await reverse(shop, member, posting_no)
        assert (status, pointers(answer)[0][0]) == (422, "/posting_no")
    assert await shop.wallet(member) == (60, 0, 0, 0)


async def test_adjustments_up_and_down(shop: Shop):
    member = await shop.member()
    status, posted = await adjust(shop, member, 70, key="up")
    assert (status, posted["kind"], posted["points"], posted["available"]) == (201, "adjust", 70, 70)
    assert await adjust(shop, member, 70, key="up") == (201, posted)
    assert (await adjust(shop, member, 71, key="up"))[1]["type"] == "/problems/idempotency-key-conflict"
    assert (await adjust(shop, member, -20))[1]["available"] == 50
    status, answer = await adjust(shop, member, -51)
    assert (status, answer["type"], answer["needed"], answer["available"]) == (
        409, "/problems/insufficient-points", 51, 50,
    )  # fmt: skip
    _, read = await shop.get(f"/members/{member.id}/points", shop.hq)
    assert read["next_expiries"] == [{"expires_on": "2028-11-30", "points": 50, "is_extendable": False}]


async def test_an_adjustment_may_have_its_own_last_day(shop: Shop):
    member = await shop.member()
    assert (await adjust(shop, member, 5, expires_on="2026-11-21"))[0] == 201
    _, read = await shop.get(f"/members/{member.id}/points", shop.hq)
    assert read["next_expiries"] == [{"expires_on": "2026-11-21", "points": 5, "is_extendable": False}]


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"points": 0}, ("/points", "points_zero")),
        ({"points": 1.5}, ("/points", "int_type")),
        ({"points": -100_000_001}, ("/points", "greater_than_equal")),
        ({"reason": ""}, ("/reason", "string_too_short")),
        ({"funder": "BJ001"}, ("/funder", "extra_forbidden")),
    ],
)
async def test_an_adjustment_that_cannot_be(shop: Shop, fields: dict[str, Any], fault: tuple[str, str]):
    member = await shop.member()
    status, answer = await adjust(shop, member, **({"points": 5} | fields))
    assert (status, pointers(answer)) == (422, [fault])
    assert await shop.wallet(member) == (0, 0, 0, 0)


async def test_granted_points_must_not_have_lapsed(shop: Shop):
    member = await shop.member()
    status, answer = await adjust(shop, member, points=5, expires_on="2026-11-20")
    assert (status, answer["type"]) == (422, "/problems/dates-out-of-order")
    assert await shop.wallet(member) == (0, 0, 0, 0)


async def test_a_retry_after_midnight_gets_the_first_answer(shop: Shop):
    member = await shop.member()
    first = await adjust(shop, member, points=5, expires_on="2026-11-21", key="late")
    async with shop.at(NOW + timedelta(days=1)):
        assert await adjust(shop, member, points=5, expires_on="2026-11-21", key="late") == first
        assert (await adjust(shop, member, points=5, expires_on="2026-11-22", key="late"))[0] == 409


async def test_a_write_off_forgives(shop: Shop):
    member = await owing(shop)
    status, posted = await write_off(shop, member, 15, key="forgive")
    assert (status, posted["kind"], posted["owed"]) == (201, "write_off", 25)
    assert await write_off(shop, member, 15, key="forgive") == (201, posted)
    status, answer = await write_off(shop, member, 26)
    assert (status, answer["type"], answer["owed"]) == (409, "/problems/exceeds-owed", 25)
    assert (await write_off(shop, member, 25))[1]["owed"] == 0
    assert (await write_off(shop, member, 1))[0] == 409
    assert (await write_off(shop, member, 0))[0] == 422


async def test_rehearsals_change_nothing(shop: Shop):
    member = await owing(shop)
    await shop.earn(member, 60)
    before = await shop.wallet(member)
    who = {"member_id": str(member.id), "reason": "why"}
    for path, body in (
        ("reversals", {"posting_no": 4}), ("adjustments", {"points": -20}), ("adjustments", {"points": 9}),
    ):  # fmt: skip
        status, answer = await shop.post(f"/points/{path}?dry_run=true", who | body, shop.hq)
        assert (status, answer["posting_no"]) == (200, 5)
        assert await shop.wallet(member) == before
    assert (await shop.post("/points/write-offs?dry_run=true", who | {"points": 1}, shop.hq))[0] == 409


async def test_a_closed_wallet_takes_no_correction(shop: Shop):
    member = await shop.member(points=10)
    await shop.post(f"/members/{member.id}/status", {"to": "suspended", "reason": "asked"}, shop.hq)
    for answer in (await reverse(shop, member, 1), await adjust(shop, member, 5), await write_off(shop, member, 1)):
        assert (answer[0], answer[1]["type"]) == (409, "/problems/wallet-closed")
    await shop.post(f"/members/{member.id}/status", {"to": "active", "reason": "back"}, shop.hq)
    assert (await reverse(shop, member, 1))[0] == 201


async def test_whose_word_it_takes(shop: Shop):
    member = await shop.member(points=10)
    who = {"member_id": str(member.id), "reason": "why"}
    staff = (shop.advisor, shop.director, shop.api.token(Role.FINANCE_CLERK, dealer="BJ001"))
    for token in (*staff, shop.api.token(Role.MEMBER, member=member.id)):
        for path, body in (
            ("reversals", {"posting_no": 1}),
            ("adjustments", {"points": 5}),
            ("write-offs", {"points": 5}),
        ):
            assert (await shop.post(f"/points/{path}", who | body, token))[0] == 403
    # a program takes back what it brought, no more
    assert (await shop.post("/points/adjustments", who | {"points": 5}, shop.program))[0] == 403
    assert (await reverse(shop, member, 1, shop.api.token(Role.API_CLIENT, scopes="points:earn")))[0] == 403
    assert (await reverse(shop, member, 1, shop.program))[0] == 201


async def test_the_books_hold(dsn: str):
    assert {check.name: found for check, found in await verify(dsn) if found} == {}
