"""A car goes to a new owner who claims it: handed over by the old one, or by headquarters' word."""

import asyncio
from itertools import count
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from app.core.actors import Role
from app.core.db import connect
from tests.members.conftest import car
from tests.shop import Person, Shop, order, pointers

BOUGHT = "2026-11-15"
HQ_SAYS = {"accept": True, "reason": "看过登记证书"}
_serials = count(710_001)
Claim = dict[str, Any]


def myself(shop: Shop, member: Person) -> str:
    return shop.api.token(Role.MEMBER, member=member.id)


@pytest.fixture
async def seller(shop: Shop) -> Person:
    """A member of SH001 who has had a car since the 1st."""
    member = await shop.member(dealer="SH001", name="李娜")
    await shop.pool.execute("UPDATE ownership SET since = '2026-11-01' WHERE member_id = $1", member.id)
    return member


@pytest.fixture
async def buyer(shop: Shop) -> Person:
    """A member of BJ001."""
    return await shop.member(name="王芳")


def wanted(vin: str, **fields: Any) -> dict[str, Any]:
    return {"vin": vin, "bought_on": BOUGHT, "proof": "转移登记 2026-1"} | fields


async def claim(shop: Shop, seller: Person, buyer: Person) -> Claim:
    """The buyer claims the seller's car."""
    status, claimed = await shop.post("/vehicle-claims", wanted(seller.vin), myself(shop, buyer))
    assert status == 201, claimed
    return dict(claimed)


async def answer(shop: Shop, claimed: Claim, how: str, body: dict[str, Any], token: str) -> tuple[int, Any]:
    return await shop.post(f"/vehicle-claims/{claimed['id']}/{how}", body, token)


async def stretches(shop: Shop, vin: str) -> list[tuple[UUID, str, str | None]]:
    rows = await shop.pool.fetch(
        "SELECT member_id, since::text, until::text FROM ownership WHERE vin = $1 ORDER BY since, until NULLS LAST", vin
    )
    return [tuple(row) for row in rows]


# --- handed over ---


async def test_the_owner_hands_it_over(shop: Shop, seller: Person, buyer: Person):
    claimed = await claim(shop, seller, buyer)
    assert (claimed["status"], claimed["claimant"], claimed["member_id"]) == ("asked", "王*", str(buyer.id))
    assert await stretches(shop, seller.vin) == [(seller.id, "2026-11-01", None)]
    _, listed = await shop.get("/vehicle-claims", myself(shop, seller))
    assert [one["id"] for one in listed["items"]] == [claimed["id"]]
    # the seller learns who, masked, and nothing of the papers
    assert [listed["items"][0][name] for name in ("claimant", "member_id", "proof")] == ["王*", None, None]
    status, done = await answer(shop, claimed, "consent", {}, myself(shop, seller))
    assert (status, done["status"], done["handed_over"]) == (200, "accepted", "owner")
    assert await stretches(shop, seller.vin) == [(seller.id, "2026-11-01", BOUGHT), (buyer.id, BOUGHT, None)]
    for how, body in (("consent", {}), ("withdrawal", {"reason": "不要"})):
        assert (await answer(shop, claimed, how, body, shop.hq))[0] == 409


async def test_history_stays_with_the_car_and_personal_data_does_not(shop: Shop, seller: Person, buyer: Person):
    _, found = await shop.post("/vehicles/search", {"vin": seller.vin}, shop.hq)
    vehicle = found["items"][0]
    said = {"plate": "沪A12345", "insurance_ends_on": "2027-01-01", "purchased_on": "2026-11-01", "model": "Sedan"}
    changed = await shop.api.call(
        "PATCH", f"/vehicles/{vehicle['id']}", shop.hq, json=said, headers={"If-Match": '"1"'}
    )
    assert changed.status_code == 200
    reading = {"km": 30_000, "read_on": "2026-11-10"}
    assert (await shop.post(f"/vehicles/{vehicle['id']}/mileage", reading, shop.hq))[0] == 201
    claimed = await claim(shop, seller, buyer)
    assert (await answer(shop, claimed, "consent", {}, myself(shop, seller)))[0] == 200

    me = myself(shop, buyer)
    _, read = await shop.get(f"/vehicles/{vehicle['id']}", me)
    assert (read["model"], read["mileage"]["km"]) == ("Sedan", 30_000)
    nothing = dict.fromkeys(("plate", "purchased_on", "insurance_ends_on"))
    assert read["owner"] == {"member_id": str(buyer.id), "since": BOUGHT} | nothing
    for token in (me, shop.director):
        _, history = await shop.get(f"/vehicles/{vehicle['id']}/history", token)
        assert history["items"] == [
            {"since": "2026-11-01", "until": BOUGHT, "member_id": None},
            {"since": BOUGHT, "until": None, "member_id": str(buyer.id)},
        ]
    _, history = await shop.get(f"/vehicles/{vehicle['id']}/history", shop.hq)
    assert [one["member_id"] for one in history["items"]] == [str(seller.id), str(buyer.id)]
    # the seller keeps what was the seller's, and sees the car no more
    _, kept = await shop.get(f"/members/{seller.id}/vehicles", myself(shop, seller))
    assert [(one["plate"], one["until"]) for one in kept["items"]] == [("沪A12345", BOUGHT)]
    assert (await shop.get(f"/vehicles/{vehicle['id']}", myself(shop, seller)))[0] == 404
    assert (await shop.get(f"/vehicles/{vehicle['id']}", shop.foreign))[0] == 404
    _, found = await shop.post("/members/search", {"plate": "沪A12345"}, shop.hq)
    assert found["items"] == []


async def test_points_go_to_whose_the_car_was(shop: Shop, seller: Person, buyer: Person):
    claimed = await claim(shop, seller, buyer)
    assert (await answer(shop, claimed, "consent", {}, myself(shop, seller)))[0] == 200
    made = [
        await shop.post("/repair-orders", order(seller.vin, closed_at=f"{day}T09:00:00+08:00"), shop.advisor)
        for day in ("2026-11-10", "2026-11-16")
    ]
    assert [one["member_id"] for _, one in made] == [str(seller.id), str(buyer.id)]


async def test_the_owners_chapter_hands_it_over_by_paper(shop: Shop, seller: Person, buyer: Person):
    claimed = await claim(shop, seller, buyer)
    theirs = shop.api.token(Role.CARE_DIRECTOR, dealer="SH001")
    status, refused = await answer(shop, claimed, "consent", {}, theirs)
    assert (status, pointers(refused)) == (422, [("/reference", "missing")])
    assert (await answer(shop, claimed, "consent", {"reference": "协议 1"}, shop.director))[0] == 403
    status, done = await answer(shop, claimed, "consent", {"reference": "协议 1"}, theirs)
    assert (status, done["handed_over"], done["from_member_id"]) == (200, "paper", str(seller.id))


async def test_an_objection_leaves_it_to_headquarters(shop: Shop, seller: Person, buyer: Person):
    claimed = await claim(shop, seller, buyer)
    status, objected = await answer(shop, claimed, "objection", {"reason": "没卖"}, myself(shop, seller))
    assert (status, objected["status"], objected["objection"]) == (200, "asked", "没卖")
    for token in (shop.director, shop.api.token(Role.CARE_DIRECTOR, dealer="SH001")):
        assert (await answer(shop, claimed, "decision", HQ_SAYS, token))[0] == 403
    status, done = await answer(shop, claimed, "decision", HQ_SAYS | {"accept": False}, shop.hq)
    assert (status, done["status"], done["handed_over"]) == (200, "refused", None)
    assert await stretches(shop, seller.vin) == [(seller.id, "2026-11-01", None)]


async def test_headquarters_decides_against_the_owner(shop: Shop, seller: Person, buyer: Person):
    claimed = await claim(shop, seller, buyer)
    status, done = await answer(shop, claimed, "decision", HQ_SAYS, shop.hq)
    assert (status, done["handed_over"], done["reason"]) == (200, "headquarters", HQ_SAYS["reason"])
    assert [owner for owner, *_ in await stretches(shop, seller.vin)] == [seller.id, buyer.id]


async def test_bought_before_the_owner_had_it_ends_on_the_owners_first_day(shop: Shop, seller: Person, buyer: Person):
    _, claimed = await shop.post("/vehicle-claims", wanted(seller.vin, bought_on="2026-01-01"), myself(shop, buyer))
    assert (await answer(shop, claimed, "decision", HQ_SAYS, shop.hq))[0] == 200
    first = "2026-11-01"
    assert await stretches(shop, seller.vin) == [(seller.id, first, first), (buyer.id, first, None)]


# --- nobody's car, and applicants ---


async def test_a_car_nobody_owns_goes_over_at_once_when_staff_claim_it(shop: Shop, buyer: Person):
    vin = car(next(_serials))
    status, done = await shop.post("/vehicle-claims", wanted(vin, member_id=str(buyer.id)), shop.advisor)
    assert (status, done["status"], done["handed_over"]) == (201, "accepted", "nobody")
    assert await stretches(shop, vin) == [(buyer.id, BOUGHT, None)]


async def test_a_members_word_alone_is_not_enough(shop: Shop, buyer: Person):
    vin = car(next(_serials))
    _, claimed = await shop.post("/vehicle-claims", wanted(vin), myself(shop, buyer))
    assert claimed["status"] == "asked"
    for how, body in (("consent", {}), ("decision", HQ_SAYS)):
        assert (await answer(shop, claimed, how, body, myself(shop, buyer)))[0] == 403
    theirs = shop.api.token(Role.CARE_DIRECTOR, dealer="SH001")
    assert (await answer(shop, claimed, "decision", HQ_SAYS, theirs))[0] == 404
    assert (await answer(shop, claimed, "decision", HQ_SAYS, shop.director))[0] == 200
    assert await stretches(shop, vin) == [(buyer.id, BOUGHT, None)]


async def test_an_applicant_gets_the_way_free(shop: Shop, seller: Person):
    serial = next(_serials)
    body = {
        "name": "赵云", "phone": f"138{serial:08d}", "vin": seller.vin, "source": "showroom", "dealer_code": "BJ001",
    }  # fmt: skip
    _, applied = await shop.post("/applications", body, shop.advisor)
    approval = f"/applications/{applied['id']}/approval"
    assert (await shop.post(approval, {}, shop.director))[0] == 409
    asked = wanted(seller.vin, application_id=applied["id"])
    assert (await shop.post("/vehicle-claims", asked, shop.foreign))[0] == 404
    status, faults = await shop.post("/vehicle-claims", asked | {"vin": car(next(_serials))}, shop.advisor)
    assert (status, pointers(faults)) == (422, [("/vin", "vin_not_applied_with")])
    status, claimed = await shop.post("/vehicle-claims", asked, shop.advisor)
    assert (status, claimed["status"], claimed["claimant"]) == (201, "asked", "赵*")
    assert (await answer(shop, claimed, "consent", {}, myself(shop, seller)))[0] == 200
    assert await stretches(shop, seller.vin) == [(seller.id, "2026-11-01", BOUGHT)]
    assert (await shop.post(approval, {}, shop.director))[0] == 200
    assert len(await stretches(shop, seller.vin)) == 2


# --- refused ---


async def test_what_cannot_be_claimed(shop: Shop, seller: Person, buyer: Person):
    me = myself(shop, buyer)
    for body, fault in (
        (wanted(buyer.vin), ("/vin", "already_owned")),
        (wanted(seller.vin, bought_on="2026-12-24"), ("/bought_on", "date_in_future")),
        (wanted("11111111111111111"), ("/vin", "vin_repeated")),
        (wanted(seller.vin, proof=" "), ("/proof", "string_too_short")),
        (wanted(seller.vin, application_id=str(UUID(int=3))), ("", "exactly_one")),
    ):
        status, faults = await shop.post("/vehicle-claims", body, me)
        assert (status, pointers(faults)) == (422, [fault])
    status, faults = await shop.post("/vehicle-claims", wanted(seller.vin), shop.advisor)
    assert (status, pointers(faults)) == (422, [("", "exactly_one")])
    for token, member in ((me, seller), (shop.foreign, buyer)):
        asked = wanted(seller.vin, member_id=str(member.id))
        assert (await shop.post("/vehicle-claims", asked, token))[0] == 404
    await claim(shop, seller, buyer)
    status, again = await shop.post("/vehicle-claims", wanted(seller.vin), me)
    assert (status, again["type"]) == (409, "/problems/claim-open")


async def test_only_active_members_claim(shop: Shop, seller: Person, buyer: Person):
    step = {"to": "suspended", "reason": "欠费"}
    assert (await shop.post(f"/members/{buyer.id}/status", step, shop.director))[0] == 200
    status, refused = await shop.post("/vehicle-claims", wanted(seller.vin, member_id=str(buyer.id)), shop.advisor)
    assert (status, refused["type"]) == (409, "/problems/wrong-status")


async def test_who_left_meanwhile_gets_no_car(shop: Shop, seller: Person, buyer: Person):
    claimed = await claim(shop, seller, buyer)
    step = {"to": "left", "reason": "退会"}
    assert (await shop.post(f"/members/{buyer.id}/status", step, shop.director))[0] == 200
    status, refused = await answer(shop, claimed, "consent", {}, myself(shop, seller))
    assert (status, refused["type"]) == (409, "/problems/wrong-status")
    assert await stretches(shop, seller.vin) == [(seller.id, "2026-11-01", None)]


async def test_strangers_see_nothing_of_it(shop: Shop, seller: Person, buyer: Person):
    claimed = await claim(shop, seller, buyer)
    stranger = myself(shop, await shop.member(dealer="SH001"))
    assert (await shop.get(f"/vehicle-claims/{claimed['id']}", stranger))[0] == 404
    _, listed = await shop.get("/vehicle-claims", stranger)
    assert listed["items"] == []
    for how, body in (("consent", {}), ("objection", {"reason": "不"}), ("withdrawal", {"reason": "不"})):
        assert (await answer(shop, claimed, how, body, stranger))[0] == 404
    assert (await answer(shop, claimed, "withdrawal", {"reason": "不"}, myself(shop, seller)))[0] == 403
    assert (await answer(shop, claimed, "objection", {"reason": "不"}, myself(shop, buyer)))[0] == 403
    status, done = await answer(shop, claimed, "withdrawal", {"reason": "不买了"}, myself(shop, buyer))
    assert (status, done["status"]) == (200, "withdrawn")


# --- races ---


async def test_of_two_buyers_one_gets_it(shop: Shop, seller: Person, buyer: Person):
    rival = await shop.member()
    claims = [await claim(shop, seller, one) for one in (buyer, rival)]
    answers = await asyncio.gather(*(answer(shop, one, "consent", {}, myself(shop, seller)) for one in claims))
    # the other is not the seller's to answer any more
    assert sorted(status for status, _ in answers) == [200, 404]
    current = [owner for owner, _, until in await stretches(shop, seller.vin) if until is None]
    assert len(current) == 1
    assert len(await stretches(shop, seller.vin)) == 2


async def test_sold_and_consented_at_once(shop: Shop, seller: Person, buyer: Person):
    claimed = await claim(shop, seller, buyer)
    sale = {"vin": seller.vin, "sold_on": "2026-11-20"}
    await asyncio.gather(
        answer(shop, claimed, "consent", {}, myself(shop, seller)),
        shop.post(f"/members/{seller.id}/sold-vehicles", sale, shop.hq),
    )
    found = await stretches(shop, seller.vin)
    assert found[0][2] is not None, "the seller's time has ended, once"
    assert sum(until is None for *_, until in found) <= 1


async def test_a_claim_of_the_erased_is_out_of_reach(shop: Shop, seller: Person, buyer: Person, dsn: str):
    claimed = await claim(shop, seller, buyer)
    await answer(shop, claimed, "objection", {"reason": "没卖"}, myself(shop, seller))
    await shop.pool.execute(
        "UPDATE member SET erased_at = now(), phone = NULL, phone_index = NULL, name = '*' WHERE id = $1", buyer.id
    )
    gone = await shop.pool.fetchval("SELECT count(*) FROM vehicle_claim WHERE id = $1", UUID(claimed["id"]))
    assert gone == 0
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await shop.pool.fetch("SELECT * FROM restricted.claim_record")
    assert await put_away(dsn, seller.vin) == [(buyer.id, True, "asked")]


async def test_of_a_claim_between_two_the_other_keeps_its_part(shop: Shop, seller: Person, buyer: Person, dsn: str):
    claimed = await claim(shop, seller, buyer)
    assert (await answer(shop, claimed, "consent", {}, myself(shop, seller)))[0] == 200
    await shop.pool.execute("UPDATE member SET status = 'left' WHERE id = $1", seller.id)
    await shop.pool.execute(
        "UPDATE member SET erased_at = now(), phone = NULL, phone_index = NULL, name = '*' WHERE id = $1", seller.id
    )
    _, own = await shop.get(f"/members/{buyer.id}/own-data", myself(shop, buyer))
    assert [(one["vin"], one["status"], one["proof"]) for one in own["claims"]] == [(seller.vin, "accepted", "erased")]
    row = await shop.pool.fetchrow("SELECT from_member_id FROM vehicle_claim WHERE id = $1", UUID(claimed["id"]))
    assert tuple(row or (1,)) == (None,)
    assert await put_away(dsn, seller.vin) == [(seller.id, False, "accepted")]


async def put_away(dsn: str, vin: str) -> list[tuple[Any, ...]]:
    """What the tables' owner, who the service never is, finds of a car's claims."""
    connection = await connect(dsn, role=None)
    try:
        rows = await connection.fetch(
            "SELECT pseudonym, is_claimant, status FROM restricted.claim_record WHERE vin = $1", vin
        )
    finally:
        await connection.close()
    return [tuple(row) for row in rows]


async def test_the_claimant_finds_it_among_its_own(shop: Shop, seller: Person, buyer: Person):
    claimed = await claim(shop, seller, buyer)
    assert (await answer(shop, claimed, "withdrawal", {"reason": "不买了"}, shop.director))[0] == 200
    me = myself(shop, buyer)
    _, told = await shop.get(f"/members/{buyer.id}/timeline", me, source="claim")
    assert [(one["source"], one["kind"]) for one in told["items"]] == [("claim", "withdrawn"), ("claim", "asked")]
    _, own = await shop.get(f"/members/{buyer.id}/own-data", me)
    assert [(one["vin"], one["status"], one["reason"]) for one in own["claims"]] == [
        (seller.vin, "withdrawn", "不买了")
    ]
    assert own["vehicles"][0]["plate"] is None
