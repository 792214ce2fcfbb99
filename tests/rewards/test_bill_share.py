"""Headquarters' share of a bill holds whichever way points come: redeemed plainly, held, or by a service's order."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from itertools import count
from typing import Any

import asyncpg
import pytest

from app.core.actors import Role
from app.rewards import bills_queries
from app.settings import Settings
from tests.rewards.goods import REASON, SERVICE, at_counter, disagreeing, kind, reward, step
from tests.shop import Answer, Person, Shop, pointers

BILL_FEN = 10_001
"""40 % are 4,000 fen: at 5 fen a point 800 points."""
_serials = count(1)


@pytest.fixture(autouse=True)
def limited(shop: Shop) -> Iterator[None]:
    """Headquarters lets points pay 40 % of a bill."""
    state, before = shop.api.app.state, shop.api.app.state.settings
    state.settings = Settings(**before.model_dump() | {"bill_share_percent": 40})
    yield
    state.settings = before


def bill() -> dict[str, Any]:
    """A repair order of its own."""
    return {"order_no": f"BS-{next(_serials)}", "bill_fen": BILL_FEN}


async def hold(shop: Shop, member: Person, points: int, **fields: Any) -> Answer:
    body = {"member_id": str(member.id), "points": points, "dealer_code": "BJ001"} | fields
    return await shop.post("/holds", body, shop.program)


async def test_plain_points_keep_within_the_share_together(shop: Shop):
    member, other, one = await shop.member(points=1000), await shop.member(points=1000), bill()
    refused = await shop.redeem(member, 801, shop.program, dealer_code="BJ001", **one)
    assert (kind(refused), refused[1]["most"]) == ((409, "points-choice"), 800)
    assert await shop.wallet(member) == (1000, 0, 0, 0)
    assert (await shop.redeem(member, 500, shop.program, dealer_code="BJ001", **one))[0] == 201
    refused = await shop.redeem(other, 301, shop.program, dealer_code="BJ001", **one)
    assert (refused[0], refused[1]["most"]) == (409, 300)
    assert (await shop.redeem(other, 300, shop.program, dealer_code="BJ001", **one))[0] == 201
    used_up = await shop.redeem(other, 1, shop.program, dealer_code="BJ001", **one)
    assert (used_up[1]["least"], used_up[1]["most"]) == (0, 0)
    # another dealer's order of the same number is another bill
    assert (await shop.redeem(other, 1, shop.program, dealer_code="SH001", **one))[0] == 201


async def test_the_whole_bill_has_to_be_told(shop: Shop):
    member = await shop.member(points=10)
    status, problem = await shop.redeem(member, 1, shop.program, dealer_code="BJ001")
    assert (status, pointers(problem)) == (422, [("/bill_fen", "missing")])
    status, problem = await shop.redeem(member, 1, shop.program, dealer_code="BJ001", bill_fen=0)
    assert (status, pointers(problem)) == (422, [("/bill_fen", "greater_than_equal")])


async def test_a_service_and_plain_points_share_it(shop: Shop):
    service = await reward(shop, **SERVICE | {"max_share_percent": 100, "fen_per_point": 7})
    member, other, one = await shop.member(points=2000), await shop.member(points=2000), bill()
    parts = {"order_no": one["order_no"], "labour_fen": BILL_FEN}
    assert (await shop.redeem(member, 400, shop.program, dealer_code="BJ001", **one))[0] == 201
    refused = await at_counter(shop, other, service, bill=parts, points=286)
    assert (refused[0], refused[1]["most"]) == (409, 2000 // 7)
    status, made = await at_counter(shop, other, service, bill=parts, points=200)
    assert (status, made["bill_fen"], made["money_fen"]) == (201, BILL_FEN - 2000, BILL_FEN - 2000 - 1400)
    refused = await shop.redeem(member, 121, shop.program, dealer_code="BJ001", **one)
    assert (refused[0], refused[1]["most"]) == (409, (4000 - 2000 - 1400) // 5)
    assert (await step(shop, made, "cancellation", REASON, shop.advisor))[0] == 200
    assert (await shop.redeem(member, 400, shop.program, dealer_code="BJ001", **one))[0] == 201


async def test_what_is_given_back_makes_room(shop: Shop):
    member, one = await shop.member(points=3000), bill()
    spent = (await shop.redeem(member, 800, shop.program, dealer_code="BJ001", **one))[1]
    path = f"/redemptions/{member.id}/{spent['posting_no']}/refund"
    assert (await shop.post(path, REASON | {"points": 300}, shop.program))[0] == 201
    assert (await hold(shop, member, 301, **one))[1]["most"] == 300
    held = (await hold(shop, member, 300, **one))[1]
    assert (await hold(shop, member, 1, **one))[1]["most"] == 0
    # of a hold, what was captured pays; and of that, what was not given back
    holds = f"/holds/{member.id}/{held['posting_no']}"
    status, captured = await shop.post(f"{holds}/capture", {"points": 100}, shop.program)
    assert status == 201
    refund = f"/redemptions/{member.id}/{captured['posting_no']}/refund"
    assert (await shop.post(refund, REASON | {"points": 30}, shop.program))[0] == 201
    again = (await hold(shop, member, 230, **one))[1]
    assert (await hold(shop, member, 1, **one))[1]["most"] == 0
    assert (await shop.post(f"/holds/{member.id}/{again['posting_no']}/release", None, shop.program))[0] == 201
    assert (await hold(shop, member, 231, **one))[1]["most"] == 230


async def test_a_retry_gets_the_first_answer(shop: Shop):
    member, one = await shop.member(points=1000), bill()
    first = await shop.redeem(member, 800, shop.program, dealer_code="BJ001", key="share-once", **one)
    assert first[0] == 201
    assert await shop.redeem(member, 800, shop.program, dealer_code="BJ001", key="share-once", **one) == first


async def test_a_dry_run_tells_and_pays_nothing(shop: Shop):
    member, one = await shop.member(points=1000), bill()
    body = {"member_id": str(member.id), "dealer_code": "BJ001"} | one
    for points, status in ((801, 409), (800, 200), (800, 200)):
        answer = await shop.post("/redemptions?dry_run=true", body | {"points": points}, shop.program)
        assert answer[0] == status, answer
    assert (await shop.redeem(member, 800, shop.program, dealer_code="BJ001", **one))[0] == 201


async def test_a_code_outlives_a_refusal_and_a_wrong_one_counts(shop: Shop):
    member, one = await shop.member(points=1000), bill()
    code = await shop.code(member)
    assert (await shop.redeem(member, 801, shop.advisor, code=code, **one))[0] == 409
    assert (await shop.redeem(member, 800, shop.advisor, code=code, **one))[0] == 201
    wrong = {"code": f"{(int(code) + 1) % 10**6:06d}"}
    token = shop.api.token(Role.SERVICE_ADVISOR, dealer="BJ001", subject="guesser")
    tried = [kind(await shop.redeem(member, 1, token, **bill(), **wrong)) for _ in range(6)]
    assert tried[0] == (403, "confirmation-wrong")
    assert tried[-1] == (429, "confirmation-locked")


async def eight_race(shop: Shop) -> Counter[int]:
    """Eight members each redeem 200 of the 800 points that one bill takes."""
    members, one = [await shop.member(points=200) for _ in range(8)], bill()
    asked = (shop.redeem(member, 200, shop.program, dealer_code="BJ001", **one) for member in members)
    return Counter(status for status, _ in await asyncio.gather(*asked))


@pytest.mark.parametrize("locked", [True, False])
async def test_eight_race_for_one_bill(shop: Shop, monkeypatch: pytest.MonkeyPatch, locked: bool):
    if locked:
        assert await eight_race(shop) == Counter({201: 4, 409: 4})
        return
    everyone_saw, paid_of = asyncio.Barrier(8), bills_queries.paid_of

    async def unlocked(*_: Any) -> None: ...

    async def together(*args: Any) -> Any:
        paid = await paid_of(*args)
        await everyone_saw.wait()
        return paid

    monkeypatch.setattr(bills_queries, "lock_bill", unlocked)
    monkeypatch.setattr(bills_queries, "paid_of", together)
    assert await eight_race(shop) == Counter({201: 8})


async def test_verify_names_a_payment_that_is_none(shop: Shop, dsn: str):
    member, one = await shop.member(points=10), bill()
    assert (await shop.redeem(member, 10, shop.program, dealer_code="BJ001", **one))[0] == 201
    assert await disagreeing(dsn) == {}
    connection = await asyncpg.connect(dsn)
    try:
        moved = "UPDATE bill_payment SET order_no = $2 WHERE wallet_id = $1"
        await connection.execute(moved, member.id, "another")
        assert list(await disagreeing(dsn)) == ["rewards-bills"]
        await connection.execute(moved, member.id, one["order_no"])
    finally:
        await connection.close()
