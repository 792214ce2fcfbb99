"""At the counter: finding the member, redeeming at once, whose dealer it is, refunds, and twenty at the same moment."""

import asyncio
from collections import Counter
from typing import Any
from uuid import uuid4

import pytest

from app.core.actors import Role
from app.wiring import verify
from tests.members.conftest import car
from tests.now import NOW
from tests.shop import Answer, Person, Shop, pointers

FINDERS = ("member_no", "vin", "phone")


async def refund(
    shop: Shop, member: Person, posting_no: int, points: int | None, token: str = "", key: str | None = None
) -> Answer:
    body = {"reason": "part was faulty"} | ({"points": points} if points is not None else {})
    return await shop.post(f"/redemptions/{member.id}/{posting_no}/refund", body, token or shop.advisor, key=key)


@pytest.mark.parametrize("finder", FINDERS)
@pytest.mark.parametrize("dealer", ["BJ001", "SH001"])
async def test_a_member_is_found_masked_whatever_the_chapter(shop: Shop, finder: str, dealer: str):
    member = await shop.member(points=80, dealer=dealer, name="欧阳小红")
    status, found = await shop.post("/counter/lookup", {finder: getattr(member, finder)}, shop.advisor)
    assert (status, found) == (200, {
        "member_id": str(member.id), "member_no": member.member_no, "name": "欧***", "status": "active",
        "available": 80,
    })  # fmt: skip


async def test_nobody_is_found(shop: Shop):
    unknown = [
        {"member_no": "1000000000"}, {"member_no": "x\0"}, {"vin": car(999_999)}, {"vin": "SHORT"},
        {"phone": "13911111111"}, {"phone": "1"}, {"phone": ""},
    ]  # fmt: skip
    for params in unknown:
        assert (await shop.post("/counter/lookup", params, shop.advisor))[0] == 404


@pytest.mark.parametrize("names", [(), ("member_no", "vin"), FINDERS])
async def test_exactly_one_finder_is_needed(shop: Shop, names: tuple[str, ...]):
    member = await shop.member()
    params = {name: getattr(member, name) for name in names}
    status, answer = await shop.post("/counter/lookup", params, shop.advisor)
    assert (status, pointers(answer)) == (422, [("", "exactly_one")])


async def test_who_looks_members_up(shop: Shop):
    member = await shop.member()
    others = (shop.hq, shop.program, shop.api.token(Role.FINANCE_CLERK, dealer="BJ001"))
    for token in (*others, shop.api.token(Role.MEMBER, member=member.id)):
        assert (await shop.post("/counter/lookup", {"phone": member.phone}, token))[0] == 403
    assert (await shop.post("/counter/lookup", {"phone": member.phone}, shop.director))[0] == 200


async def test_redeemed_with_the_apps_code(shop: Shop):
    member = await shop.member(points=100)
    code = await shop.code(member)
    status, posted = await shop.redeem(member, 30, shop.advisor, key="counter", code=code)
    assert (status, posted["kind"], posted["points"], posted["cause"], posted["available"]) == (
        201, "redeem", 30, "repair_order:BJ001:RO-1", 70,
    )  # fmt: skip
    # the retry comes before the code, which is used by now
    assert await shop.redeem(member, 30, shop.advisor, key="counter", code=code) == (201, posted)
    assert (await shop.redeem(member, 31, shop.advisor, key="counter", code=code))[1]["type"] == (
        "/problems/idempotency-key-conflict"
    )
    _, entry = await shop.get(f"/members/{member.id}/postings/{posted['posting_no']}", shop.hq)
    assert entry["place"] == "BJ001"


async def test_a_program_confirms_its_member_itself(shop: Shop):
    member = await shop.member(points=100)
    status, posted = await shop.redeem(member, 30, shop.program, dealer_code="SH001")
    assert (status, posted["cause"]) == (201, "repair_order:SH001:RO-1")
    for fields, fault in (({}, "missing"), ({"dealer_code": "ZZ999"}, "unknown_dealer")):
        status, answer = await shop.redeem(member, 30, shop.program, **fields)
        assert (status, pointers(answer)) == (422, [("/dealer_code", fault)])


async def test_staff_redeem_at_their_own_dealer(shop: Shop):
    member = await shop.member(points=100)
    status, answer = await shop.redeem(member, 30, shop.advisor, code=await shop.code(member), dealer_code="SH001")
    assert (status, pointers(answer)) == (422, [("/dealer_code", "not_your_dealer")])
    assert (await shop.redeem(member, 30, shop.advisor, code=await shop.code(member), dealer_code="BJ001"))[0] == 201


async def test_who_redeems(shop: Shop):
    member = await shop.member(points=100)
    clerk, itself = shop.api.token(Role.FINANCE_CLERK, dealer="BJ001"), shop.api.token(Role.MEMBER, member=member.id)
    narrow = shop.api.token(Role.API_CLIENT, scopes="points:earn")
    for token in (shop.hq, clerk, itself, narrow):
        assert (await shop.redeem(member, 30, token, dealer_code="BJ001"))[0] == 403
        assert (await refund(shop, member, 1, 30, token))[0] == 403
    assert await shop.wallet(member) == (100, 0, 0, 0)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"points": 0}, ("/points", "greater_than_equal")),
        ({"points": "5"}, ("/points", "int_type")),
        ({"order_no": ""}, ("/order_no", "string_too_short")),
        ({"order_no": "\0"}, ("", "nul_character")),
        ({"code": "12345"}, ("/code", "string_pattern_mismatch")),
        ({"code": "１２３４５６"}, ("/code", "string_pattern_mismatch")),
        ({"booked_on": "2026-11-01"}, ("/booked_on", "extra_forbidden")),
    ],
)
async def test_a_redemption_that_cannot_be(shop: Shop, fields: dict[str, Any], fault: tuple[str, str]):
    member = await shop.member(points=10)
    body = {"member_id": str(member.id), "points": 5, "order_no": "1", "dealer_code": "BJ001"} | fields
    status, answer = await shop.post("/redemptions", body, shop.program)
    assert (status, pointers(answer)) == (422, [fault])


async def test_never_more_than_there_is(shop: Shop):
    member = await shop.member(points=100)
    status, answer = await shop.redeem(member, 101, shop.program, dealer_code="BJ001")
    assert (status, answer["type"], answer["needed"], answer["available"]) == (
        409, "/problems/insufficient-points", 101, 100,
    )  # fmt: skip
    nobody = member._replace(id=uuid4())
    assert (await shop.redeem(nobody, 1, shop.program, dealer_code="BJ001"))[0] == 404
    await shop.post(f"/members/{member.id}/status", {"to": "left", "reason": "moved"}, shop.hq)
    status, answer = await shop.redeem(member, 1, shop.program, dealer_code="BJ001")
    assert (status, answer["type"]) == (409, "/problems/wallet-closed")


async def test_earliest_expiry_first_and_whose_points_they_were(shop: Shop):
    member = await shop.member()
    for points, funder, until in ((10, "HQ", "2027-03-31"), (10, "SH001", "2027-01-31"), (10, "BJ002", "2027-02-28")):
        assert (await shop.earn(member, points, funder=funder, expires_on=until))[0] == 201
    _, posted = await shop.redeem(member, 25, shop.program, dealer_code="BJ001")
    _, entry = await shop.get(f"/members/{member.id}/postings/{posted['posting_no']}", shop.hq)
    assert [(line["funder"], line["points"]) for line in entry["lines"]] == [("SH001", 10), ("BJ002", 10), ("HQ", 5)]


async def test_a_rehearsal_needs_no_code_and_leaves_nothing(shop: Shop):
    member = await shop.member(points=100)
    body = {"member_id": str(member.id), "points": 30, "order_no": "1"}
    status, answer = await shop.post("/redemptions?dry_run=true", body, shop.advisor)
    assert (status, answer["available"]) == (200, 70)
    # no more than a look-up shows
    assert [name for name, value in answer.items() if value is None] == ["posting_no", "pending", "held", "owed"]
    assert (await shop.post("/redemptions?dry_run=true", body | {"points": 101}, shop.advisor))[0] == 409
    assert await shop.wallet(member) == (100, 0, 0, 0)


async def test_a_program_sees_all_of_its_own_rehearsal(shop: Shop):
    member = await shop.member(points=100)
    body = {"member_id": str(member.id), "points": 30, "order_no": "1", "dealer_code": "BJ001"}
    status, answer = await shop.post("/redemptions?dry_run=true", body, shop.program)
    assert (status, answer["posting_no"], answer["pending"], answer["held"], answer["owed"]) == (200, 2, 0, 0, 0)


async def test_refunds_part_by_part(shop: Shop):
    member = await shop.member(points=100)
    await shop.redeem(member, 60, shop.advisor, code=await shop.code(member))
    status, posted = await refund(shop, member, 2, 25, key="back")
    assert (status, posted["kind"], posted["points"], posted["available"]) == (201, "refund", 25, 65)
    assert await refund(shop, member, 2, 25, key="back") == (201, posted)
    status, answer = await refund(shop, member, 2, 36)
    assert (status, answer["type"], answer["left"]) == (409, "/problems/exceeds-original", 35)
    assert (await refund(shop, member, 2, None))[1]["points"] == 35
    status, answer = await refund(shop, member, 2, None)
    assert (status, answer["left"]) == (409, 0)
    assert await shop.wallet(member) == (100, 0, 0, 0)


async def test_what_cannot_be_refunded(shop: Shop):
    member = await shop.member(points=100)
    await shop.redeem(member, 60, shop.advisor, code=await shop.code(member))
    assert (await refund(shop, member, 1, 10, shop.program))[1]["type"] == "/problems/wrong-posting-kind"
    assert (await refund(shop, member, 9, 10))[0] == 404
    assert (await refund(shop, member, 2, 0))[0] == 422
    for posting_no in (0, 1 << 63):
        assert (await refund(shop, member, posting_no, 10))[0] == 422
    # what happened elsewhere does not exist here; the earning was headquarters'
    assert (await refund(shop, member, 2, 10, shop.foreign))[0] == 404
    assert (await refund(shop, member, 1, 10))[0] == 404
    assert (await refund(shop, member, 2, 10, shop.program))[0] == 201


async def test_a_refund_of_lapsed_points_has_days_of_grace(shop: Shop):
    member = await shop.member()
    await shop.earn(member, 50, expires_on="2026-11-30")
    await shop.redeem(member, 50, shop.advisor, code=await shop.code(member))
    async with shop.at(NOW.replace(month=12, day=10)):
        assert (await refund(shop, member, 2, 20))[0] == 201
        _, read = await shop.get(f"/members/{member.id}/points", shop.hq)
    assert read["next_expiries"] == [{"expires_on": "2027-01-09", "points": 20, "is_extendable": False}]


async def test_twenty_at_the_same_moment(shop: Shop):
    member = await shop.member(points=1000)
    answers = await asyncio.gather(
        *(shop.redeem(member, 300, shop.program, dealer_code="BJ001", order_no=f"RO-{n}") for n in range(20))
    )
    assert Counter(status for status, _ in answers) == {201: 3, 409: 17}
    assert {answer["type"] for status, answer in answers if status == 409} == {"/problems/insufficient-points"}
    assert await shop.wallet(member) == (100, 0, 0, 0)


async def test_one_request_sent_twenty_times_at_once(shop: Shop):
    member = await shop.member(points=1000)
    code = await shop.code(member)
    answers = await asyncio.gather(*(shop.redeem(member, 300, shop.advisor, key="rush", code=code) for _ in range(20)))
    assert all(answer == answers[0] for answer in answers)
    assert answers[0][0] == 201
    assert await shop.wallet(member) == (700, 0, 0, 0)


async def test_the_books_hold(dsn: str):
    assert {check.name: found for check, found in await verify(dsn) if found} == {}
