"""Delivery makes a referral a success: matched, awarded at once, reversed with the sale."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import orjson
import pytest

from app.core.db import new_id
from app.core.tabular import Row
from app.visits.deliveries import import_deliveries
from app.wiring import CHECKS
from tests.members.conftest import car
from tests.now import NOW
from tests.referrals.conftest import Desk, buyer
from tests.shop import Person, Shop

TODAY = "2026-11-21"
REFERRER, BUYER, SECOND_CAR, TRADED_IN, DELIVERED = 5_000, 800, 300, 70, 9

RULES: dict[str, tuple[str, str]] = {
    "referrer": ("referral_success", f'event.party == "referrer" ? {REFERRER} * event.successes : 0'),
    "buyer": ("referral_success", f'event.party == "buyer" ? {BUYER} : 0'),
    "repurchase": ("repurchase", f"{SECOND_CAR} * event.cars_before"),
    "trade-in": ("trade_in", str(TRADED_IN)),
    "delivered": ("vehicle_delivered", str(DELIVERED)),
}


@pytest.fixture(scope="module", autouse=True)
async def _rules(shop: Shop) -> AsyncIterator[None]:
    """Published as they would be from the console; the repurchase rule lets owners be referred as well."""
    for code, (trigger, amount) in RULES.items():
        definition = {
            "trigger": trigger, "condition": "true", "amount": amount, "factor_percent": None, "status_amount": None,
            "funders": [{"party": "hq", "percent": "100"}], "pending": {"kind": "at_once"},
            "expiry": {"kind": "rolling_months", "months": 24}, "caps": {}, "budgets": [], "stacking": None,
            "audience": None, "hold_for_review": None, "valid_from": "2026-01-01", "valid_until": None, "examples": [],
        }  # fmt: skip
        rule_id = new_id()
        await shop.pool.execute(
            "INSERT INTO rule (id, code, label_zh, label_en, created_by, created_at, version)"
            " VALUES ($1, $2, $2, $2, 'test', $3, 1)",
            rule_id, code, NOW,
        )  # fmt: skip
        await shop.pool.execute(
            "INSERT INTO rule_version (rule_id, version, status, definition, valid_from, published_at, published_by)"
            " VALUES ($1, 1, 'published', $2, '2026-01-01', $3, 'test')",
            rule_id, orjson.dumps(definition).decode(), NOW,
        )  # fmt: skip
    yield
    assert await broken(shop) == {}


async def broken(shop: Shop, damage: str = "SELECT") -> dict[str, Sequence[str]]:
    """The checks that find something after some damage, which is undone."""
    async with shop.api.db.transaction(undo=True) as connection:
        await connection.execute(damage)
        return {check.name: rows for check in CHECKS if (rows := await check.run(connection))}


async def test_the_checks_find_what_does_not_agree(desk: Desk):
    member = await desk.shop.member()
    made = await desk.registered(member)
    await desk.deliver(made["buyer_phone"])
    document = f"referral:{made['id']}:referrer"
    cancelled = f"UPDATE referral SET status = 'cancelled' WHERE id = '{made['id']}'"
    assert (await broken(desk.shop, cancelled)) == {"referrals-taken-back": [document]}
    other_day = f"UPDATE referral SET delivered_on = '2026-11-30' WHERE id = '{made['id']}'"
    assert (await broken(desk.shop, other_day)) == {"referrals-delivered": [made["id"]]}
    owner = await desk.shop.member()
    sold = await desk.deliver(owner.phone)
    undone = (
        "INSERT INTO cancelled_delivery (id, vin, dealer_code, delivered_on, reason, cancelled_at, cancelled_by)"
        f" SELECT id, vin, dealer_code, delivered_on, 'x', now(), 'x' FROM delivery WHERE id = '{sold['id']}'"
    )
    assert (await broken(desk.shop, undone)) == {"sales-cancelled-reversed": [f"vehicle_delivered:{sold['id']}"]}


async def enrolled(desk: Desk, phone: str, vin: str, name: str = "赵敏") -> Person:
    """The buyer joins."""
    body = {"name": name, "phone": phone, "vin": vin, "source": "delivery", "dealer_code": "BJ001"}
    status, made = await desk.shop.post("/members", body, desk.shop.hq)
    assert status == 201, made
    return Person(made["id"], made["member_no"], phone, vin)


async def available(desk: Desk, member: Person) -> int:
    return (await desk.shop.wallet(member))[0]


async def test_the_phone_matches_and_the_referrer_gets_points_at_once(desk: Desk):
    member = await desk.shop.member()
    made = await desk.registered(member)
    car_sold = await desk.deliver(made["buyer_phone"])
    found = await desk.read(made)
    assert (found["status"], found["delivered_on"], found["vin"]) == ("delivered", TODAY, car_sold["vin"])
    assert (found["due_on"], found["is_repurchase"]) == (None, False)
    assert await available(desk, member) == REFERRER
    # told twice, paid once
    await desk.night()
    assert await available(desk, member) == REFERRER
    second = await desk.registered(member)
    await desk.deliver(second["buyer_phone"])
    assert await available(desk, member) == REFERRER + 2 * REFERRER
    timeline = (await desk.shop.get(f"/members/{member.id}/timeline", desk.shop.hq))[1]["items"]
    told = [item["kind"] for item in timeline if item["source"] == "referral"]
    assert sorted(told) == ["delivered", "delivered", "open", "open"]


async def test_the_buyer_gets_points_after_enrolment(desk: Desk):
    made = await desk.registered(await desk.shop.member())
    phone = made["buyer_phone"]
    car_sold = await desk.deliver(phone)
    assert (await desk.read(made))["buyer_id"] is None
    joined = await enrolled(desk, phone, car_sold["vin"])
    await desk.night()
    assert await available(desk, joined) == BUYER + DELIVERED
    assert (await desk.read(made))["buyer_id"] == str(joined.id)
    await desk.night()
    assert await available(desk, joined) == BUYER + DELIVERED


async def test_who_joined_at_the_delivery_is_found_by_the_membership(desk: Desk):
    made = await desk.registered(await desk.shop.member())
    vin = car(799_001)
    joined = await enrolled(desk, made["buyer_phone"], vin)
    await desk.deliver(None, vin=vin)
    assert (await desk.read(made))["status"] == "delivered"
    assert await available(desk, joined) == BUYER + DELIVERED


async def test_the_vin_that_was_ordered_matches(desk: Desk):
    made = await desk.registered(await desk.shop.member())
    vin = car(799_002)
    status, ordered = await desk.do(made, "feedback", desk.li, status="ordered", ordered_on=TODAY, vin=vin)
    assert (status, ordered["status"], ordered["vin"]) == (200, "ordered", vin)
    await desk.deliver(None, vin=vin, owner_kind="company", owner_name="某公司")
    assert (await desk.read(made))["status"] == "delivered"


async def test_a_vin_reported_late_finds_its_car(desk: Desk):
    made = await desk.registered(await desk.shop.member())
    sold = await desk.deliver(None)
    status, found = await desk.do(made, "feedback", desk.li, status="ordered", ordered_on=TODAY, vin=sold["vin"])
    assert (status, found["status"]) == (200, "delivered")


async def test_a_car_of_before_is_no_success(desk: Desk):
    member = await desk.shop.member()
    made = await desk.registered(member)
    await desk.deliver(made["buyer_phone"], delivered_on="2026-11-20")
    assert (await desk.read(made))["status"] == "open"
    assert await available(desk, member) == 0


async def test_a_car_of_another_dealer_counts_there(desk: Desk):
    made = await desk.registered(await desk.shop.member())
    await desk.deliver(made["buyer_phone"], dealer_code="SH001", consultant="hu")
    found = await desk.read(made)
    assert (found["status"], found["dealer_code"], found["consultant"]) == ("delivered", "SH001", "hu")


async def test_delivered_in_time_but_told_late(desk: Desk):
    made = await desk.registered(await desk.shop.member())
    await desk.night(days=91)
    assert (await desk.read(made))["status"] == "lapsed"
    await desk.deliver(made["buyer_phone"])
    assert (await desk.read(made))["status"] == "delivered"


@pytest.mark.parametrize(("delivered_on", "became"), [("2027-02-19", "delivered"), ("2027-02-20", "lapsed")])
async def test_the_ninetieth_day_is_the_last(desk: Desk, delivered_on: str, became: str):
    made = await desk.registered(await desk.shop.member())
    async with desk.shop.at(NOW + timedelta(days=92)):
        await desk.deliver(made["buyer_phone"], delivered_on=delivered_on)
    await desk.night(days=92)
    assert (await desk.read(made))["status"] == became


async def test_an_order_outlives_the_window(desk: Desk):
    made = await desk.registered(await desk.shop.member())
    await desk.do(made, "feedback", desk.li, status="ordered", ordered_on=TODAY)
    await desk.night(days=200)
    assert (await desk.read(made))["status"] == "ordered"


async def test_a_cancelled_sale_takes_the_points_back(desk: Desk):
    member = await desk.shop.member()
    made = await desk.registered(member)
    sold = await desk.deliver(made["buyer_phone"])
    joined = await enrolled(desk, made["buyer_phone"], sold["vin"])
    await desk.night()
    assert (await available(desk, member), await available(desk, joined)) == (REFERRER, BUYER + DELIVERED)
    path, why = f"/deliveries/{sold['id']}/cancellation", {"reason": "退车"}
    assert (await desk.shop.post(path, why, desk.li))[0] == 403
    assert (await desk.shop.post(path, why, desk.foreign_director))[0] == 404
    status, cancelled = await desk.shop.post(path, why, desk.shop.director)
    assert (status, cancelled["vin"], cancelled["reason"]) == (200, sold["vin"], "退车")
    assert (await desk.read(made))["status"] == "cancelled"
    assert (await available(desk, member), await available(desk, joined)) == (0, 0)
    assert (await desk.shop.get(f"/deliveries/{sold['id']}", desk.shop.hq))[0] == 404
    assert (await desk.shop.post(path, why, desk.shop.director))[0] == 404
    await desk.night()
    assert (await available(desk, member), await available(desk, joined)) == (0, 0)


async def test_a_cancelled_sale_sent_again_stays_cancelled_and_another_counts(desk: Desk):
    member = await desk.shop.member()
    made = await desk.registered(member)
    sold = await desk.deliver(made["buyer_phone"], delivered_on=TODAY)
    await desk.shop.post(f"/deliveries/{sold['id']}/cancellation", {"reason": "退车"}, desk.shop.hq)
    again = {"dealer_code": "BJ001", "vin": sold["vin"], "delivered_on": TODAY, "owner_kind": "individual"}
    again |= {"owner_name": "王芳", "phone": made["buyer_phone"]}
    status, body = await desk.shop.post("/deliveries", again, desk.shop.hq)
    assert (status, body["type"]) == (409, "/problems/delivery-conflict")
    # headquarters finds that the buyer took another car after all
    await desk.do(made, "appeal", desk.li, reason="换了一辆")
    await desk.do(made, "decision", desk.shop.hq, granted=True, reason="属实")
    await desk.deliver(made["buyer_phone"])
    assert (await desk.read(made))["status"] == "delivered"
    assert await available(desk, member) == REFERRER


async def test_an_appeal_moves_a_success(desk: Desk):
    first, second = await desk.shop.member(), await desk.shop.member()
    made = await desk.registered(first)
    body = {"referrer_no": second.member_no, "reason": "先来找我"} | buyer(buyer_phone=made["buyer_phone"])
    appealed = (await desk.shop.post("/referrals/appeals", body, desk.wang))[1]
    await desk.deliver(made["buyer_phone"])
    assert await available(desk, first) == REFERRER
    status, granted = await desk.do(appealed, "decision", desk.shop.hq, granted=True, reason="属实")
    assert (status, granted["status"]) == (200, "delivered")
    assert (await desk.read(made))["status"] == "superseded"
    assert (await available(desk, first), await available(desk, second)) == (0, REFERRER)


async def test_an_owner_may_be_referred_while_a_rule_rewards_repurchases(desk: Desk):
    member, owner = await desk.shop.member(), await desk.shop.member(name="赵敏")
    await desk.shop.pool.execute("UPDATE ownership SET since = '2024-01-01' WHERE vin = $1", owner.vin)
    made = await desk.registered(member, buyer_phone=owner.phone)
    await desk.deliver(owner.phone)
    found = await desk.read(made)
    assert (found["status"], found["is_repurchase"]) == ("delivered", True)
    assert await available(desk, owner) == BUYER + DELIVERED + SECOND_CAR


async def test_a_traded_in_car_is_a_trigger_of_its_own(desk: Desk):
    owner = await desk.shop.member()
    await desk.shop.pool.execute(
        "UPDATE ownership SET since = '2024-01-01', until = '2026-11-10' WHERE vin = $1", owner.vin
    )
    sold = await desk.deliver(owner.phone)
    assert await available(desk, owner) == DELIVERED + SECOND_CAR + TRADED_IN
    await desk.shop.post(f"/deliveries/{sold['id']}/cancellation", {"reason": "退车"}, desk.shop.hq)
    assert await available(desk, owner) == 0


async def left(desk: Desk, member: Person, to: str = "left") -> None:
    """The member leaves, or is back."""
    answer = await desk.shop.post(f"/members/{member.id}/status", {"to": to, "reason": "搬家"}, desk.shop.hq)
    assert answer[0] == 200, answer


async def case_of(desk: Desk, member: Person) -> Any:
    """What waits for a person of a member's earnings: just one."""
    cases = (await desk.shop.get("/points/cases", desk.shop.hq, status="open"))[1]["items"]
    (case,) = [one for one in cases if one["member_id"] == str(member.id)]
    return case


async def test_points_of_a_referrer_who_is_away_wait_for_a_person(desk: Desk):
    member = await desk.shop.member()
    made = await desk.registered(member)
    await left(desk, member, "suspended")
    await desk.deliver(made["buyer_phone"])
    await desk.night()
    assert (await desk.read(made))["status"] == "delivered"
    case = await case_of(desk, member)
    assert (case["kind"], case["points"], case["reason"]) == ("parked", REFERRER, "the member is not active")
    approval, reason = f"/points/cases/{case['id']}/approval", {"reason": "已恢复"}
    status, refused = await desk.shop.post(approval, reason, desk.shop.hq)
    assert (status, refused["type"]) == (409, "/problems/wallet-closed")
    await left(desk, member, "active")
    assert (await desk.shop.post(approval, reason, desk.shop.hq))[0] == 200
    assert await available(desk, member) == REFERRER


async def test_a_case_of_a_sale_that_is_cancelled_is_refused(desk: Desk):
    member = await desk.shop.member()
    made = await desk.registered(member)
    await left(desk, member)
    sold = await desk.deliver(made["buyer_phone"])
    case = await case_of(desk, member)
    cancelled = await desk.shop.post(f"/deliveries/{sold['id']}/cancellation", {"reason": "退车"}, desk.shop.hq)
    assert cancelled[0] == 200, cancelled
    assert (await desk.shop.get(f"/points/cases/{case['id']}", desk.shop.hq))[1]["status"] == "refused"


async def test_points_of_a_buyer_who_is_away_wait_for_a_person(desk: Desk):
    made = await desk.registered(await desk.shop.member())
    car_sold = await desk.deliver(made["buyer_phone"])
    joined = await enrolled(desk, made["buyer_phone"], car_sold["vin"])
    await left(desk, joined, "suspended")
    await desk.night()
    cases = (await desk.shop.get("/points/cases", desk.shop.hq, status="open"))[1]["items"]
    assert sorted(one["points"] for one in cases if one["member_id"] == str(joined.id)) == [DELIVERED, BUYER]


async def test_points_of_who_has_left_are_not_taken_back(desk: Desk):
    member = await desk.shop.member()
    made = await desk.registered(member)
    sold = await desk.deliver(made["buyer_phone"])
    left = {"to": "left", "reason": "搬家"}
    assert (await desk.shop.post(f"/members/{member.id}/status", left, desk.shop.hq))[0] == 200
    status, refused = await desk.shop.post(f"/deliveries/{sold['id']}/cancellation", {"reason": "退车"}, desk.shop.hq)
    assert (status, refused["type"]) == (409, "/problems/wallet-closed")
    assert (await desk.read(made))["status"] == "delivered"


async def test_a_file_of_deliveries_makes_successes_set_based(desk: Desk):
    member = await desk.shop.member()
    made = [await desk.registered(member) for _ in range(3)]
    rows = [
        Row(line, ["BJ001", car(799_100 + line), TODAY, "individual", "王芳", one["buyer_phone"], "li", "Sedan"])
        for line, one in enumerate(made, 2)
    ]
    rehearsed, _ = await import_deliveries(desk.shop.api.db, rows, now=NOW, dry_run=True)
    assert (rehearsed.posted, (await desk.read(made[0]))["status"]) == (3, "open")
    report, rejections = await import_deliveries(desk.shop.api.db, rows, now=NOW)
    assert (report.posted, rejections) == (3, [])
    assert {(await desk.read(one))["status"] for one in made} == {"delivered"}
    assert await available(desk, member) == REFERRER * (1 + 2 + 3)
    # sent again, nothing changes; a cancelled sale's row is known, too
    sold = await desk.shop.pool.fetchval("SELECT id FROM delivery WHERE vin = $1", rows[2].cells[1])
    assert (await desk.shop.post(f"/deliveries/{sold}/cancellation", {"reason": "退车"}, desk.shop.hq))[0] == 200
    report, rejections = await import_deliveries(desk.shop.api.db, rows, now=NOW)
    assert (report.posted, report.already_known, rejections) == (0, 3, [])


async def test_what_was_awarded_stays_when_more_comes_to_light(desk: Desk):
    owner = await desk.shop.member()
    await desk.shop.pool.execute("UPDATE ownership SET since = '2024-01-01' WHERE vin = $1", owner.vin)
    sold = await desk.deliver(owner.phone)
    assert await available(desk, owner) == DELIVERED + SECOND_CAR
    # the car given up, and the model, are told later
    given_up = "UPDATE ownership SET until = '2026-11-15' WHERE vin = $1"
    await desk.shop.pool.execute(given_up, owner.vin)
    await desk.shop.pool.execute("UPDATE delivery SET model = 'Coupe' WHERE id = $1", sold["id"])
    await desk.night()
    await desk.night()
    assert await available(desk, owner) == DELIVERED + SECOND_CAR + TRADED_IN
