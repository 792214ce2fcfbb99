"""Abuse signals: each kind is planted once, and once something near it must not be taken for it."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx
import pytest

from app.core.actors import Role
from app.core.clock import CHINA
from app.core.db import new_id
from app.points import ledger
from app.points.ledger import Earning, Request
from tests.api import Api
from tests.asking import Phones
from tests.members.conftest import car
from tests.now import NOW
from tests.reports.signalling import about, applied, found, judge, serials, spend
from tests.shop import Person, Shop, order


async def test_a_redemption_whose_order_never_came(shop: Shop):
    member = await shop.member(points=1_000)
    missing, kept, given_back = [f"RO-{next(serials)}" for _ in range(3)]
    await spend(shop, member, missing)
    await spend(shop, member, kept)
    status, _ = await shop.post("/repair-orders", order(member.vin, order_no=kept), shop.hq)
    assert status == 201
    undone = await spend(shop, member, given_back)
    path = f"/redemptions/{member.id}/{undone['posting_no']}/refund"
    answer = await shop.post(path, {"reason": "记错"}, shop.program)
    assert answer[0] == 201, answer
    assert about(await found(shop, "redemption_without_order", now=NOW), member) == [], "it may still come"
    (item,) = about(await found(shop, "redemption_without_order"), member)
    assert (item["facts"]["order_no"], item["facts"]["points"], item["dealer_code"]) == (missing, 50, "BJ001")
    assert missing in item["reason"]
    assert (item["status"], item["version"]) == ("open", 1)
    # found again, it is the same
    (again,) = about(await found(shop, "redemption_without_order"), member)
    assert again == item


async def test_a_redemption_of_a_cancelled_order_is_one_without(shop: Shop):
    member = await shop.member(points=1_000)
    number = f"RO-{next(serials)}"
    await spend(shop, member, number)
    assert (await shop.post("/repair-orders", order(member.vin, order_no=number), shop.hq))[0] == 201
    assert about(await found(shop, "redemption_without_order"), member) == []
    answer = await shop.post(f"/repair-orders/BJ001/{number}/cancellation", {"reason": "重复"}, shop.hq)
    assert answer[0] in (200, 201), answer
    assert len(about(await found(shop, "redemption_without_order"), member)) == 1


async def hired(shop: Shop, *phones: str, dealer: str = "BJ001") -> str:
    """A service advisor with mobile numbers; the account's name."""
    username = f"staff{next(serials)}"
    body = {"username": username, "name": "李", "password": "another horse battery 马", "role": Role.SERVICE_ADVISOR}
    status, made = await shop.post(f"/dealers/{dealer}/staff", body, shop.hq)
    assert status == 201, made
    answer = await numbers(shop, made["id"], *phones)
    assert (answer.status_code, answer.json()) == (200, {"count": len({*phones})})
    return str(username)


async def numbers(shop: Shop, account_id: object, *phones: str, token: str = "") -> httpx.Response:
    body = {"phones": list(phones)}
    return await shop.api.call("PUT", f"/accounts/{account_id}/phones", token or shop.hq, json=body)


async def test_staff_who_redeem_for_themselves(shop: Shop):
    member, elsewhere, customer = [await shop.member(points=1_000) for _ in range(3)]
    username = await hired(shop, "13700000001", member.phone)
    await hired(shop, elsewhere.phone, dealer="SH001")
    token = shop.api.token(Role.SERVICE_ADVISOR, dealer="BJ001", subject=username)
    for person in (member, customer):
        await spend(shop, person, "RO-S", token, code=await shop.code(person))
    # as any member may: at a dealer where one does not work
    await spend(shop, elsewhere, "RO-S")
    items = await found(shop, "self_redemption")
    (item,) = about(items, member)
    assert item["facts"] == {"account": username, "points": 50, "times": 1, "by_oneself": 1}
    assert about(items, elsewhere) == about(items, customer) == []


async def test_numbers_of_staff_are_replaced_and_shown_to_nobody(shop: Shop):
    username = await hired(shop, "13700000002", "13700000002")
    account_id = await shop.pool.fetchval("SELECT id FROM account WHERE username = $1", username)
    known = "SELECT count(*) FROM staff_phone WHERE account_id = $1"
    assert await shop.pool.fetchval(known, account_id) == 1
    assert (await numbers(shop, account_id)).json() == {"count": 0}
    assert await shop.pool.fetchval(known, account_id) == 0
    assert (await numbers(shop, new_id(), "13700000002")).status_code == 404
    assert (await numbers(shop, account_id, "13700000002", token=shop.director)).status_code == 403
    assert (await numbers(shop, account_id, "1")).status_code == 422


async def granted(api: Api, member: Person, points: int, day: date, place: str) -> None:
    """Points earned at a place on a day."""
    at = datetime.combine(day, datetime.min.time(), CHINA) + timedelta(hours=12)
    earning = Earning(member.id, points, place, place, f"campaign:{new_id()}", day, day, date(2028, 12, 31))
    await ledger.earn(api.db.pool, earning, Request("test", str(new_id()), at))


async def test_a_month_end_like_no_other_day(shop: Shop, api: Api):
    member = await shop.member()
    for day in range(1, 29):
        await granted(api, member, 100, date(2026, 9, day), "BJ001")
        await granted(api, member, 1_000, date(2026, 9, day), "SH001")
    for place in ("BJ001", "SH001"):
        await granted(api, member, 6_000, date(2026, 9, 29), place)
        await granted(api, member, 2_900, date(2026, 9, 30), place)
    october = datetime(2026, 10, 3, 2, 0, tzinfo=UTC)
    items = await found(shop, "month_end_earning", now=october, signal_month_end_points=8_000)
    # from the 28th on: 3,000 a day against 100, and 3,300 against 1,000
    assert [(item["dealer_code"], item["facts"]["points"], item["facts"]["a_day"]) for item in items] == [
        ("BJ001", 9_000, 100), ("SH001", 9_900, 1_000)
    ]  # fmt: skip
    assert await found(shop, "month_end_spending", now=october) == []


@pytest.mark.parametrize(("settings", "places"), [
    ({"signal_month_end_percent": 350}, ["BJ001"]),
    ({"signal_month_end_percent": 350, "signal_month_end_points": 9_001}, []),
])  # fmt: skip
async def test_what_a_spike_is_can_be_set(shop: Shop, settings: dict[str, int], places: list[str]):
    await shop.pool.execute("DELETE FROM signal WHERE kind = 'month_end_earning'")
    october = datetime(2026, 10, 3, 2, 0, tzinfo=UTC)
    settings = {"signal_month_end_points": 8_000} | settings
    items = await found(shop, "month_end_earning", now=october, **settings)
    assert [item["dealer_code"] for item in items] == places


async def test_a_steady_month_and_a_small_one_are_none(shop: Shop, api: Api):
    """As it comes: 5,000 points every day, 30 times as many of a few, and four times as many of many."""
    member = await shop.member()
    for day in range(1, 32):
        at_end = day > 28
        await granted(api, member, 5_000, date(2026, 8, day), "HQ")
        await granted(api, member, 3_000 if at_end else 100, date(2026, 8, day), "BJ001")
        await granted(api, member, 4_000 if at_end else 1_000, date(2026, 8, day), "SH001")
    items = await found(shop, "month_end_earning", now=datetime(2026, 9, 3, 2, 0, tzinfo=UTC))
    of_august = [item for item in items if item["facts"]["month"] == "2026-08"]
    assert [(item["facts"]["place"], item["facts"]["points"]) for item in of_august] == [("SH001", 12_000)]


async def test_points_spent_at_the_last_moment(shop: Shop, api: Api):
    """BJ001 takes 50 points on each of June's last three days and none before; SH001 50 on every second day."""
    member = await shop.member()
    await granted(api, member, 10_000, date(2026, 5, 20), "HQ")
    for place, days in (("BJ001", (28, 29, 30)), ("SH001", range(2, 31, 2))):
        for day in days:
            async with shop.at(datetime(2026, 6, day, 4, tzinfo=UTC)):
                await spend(shop, member, f"RO-{next(serials)}", dealer_code=place)
    july = datetime(2026, 7, 3, 2, 0, tzinfo=UTC)
    (item,) = await found(shop, "month_end_spending", now=july, signal_month_end_points=100)
    assert (item["dealer_code"], item["facts"]["points"], item["facts"]["a_day"]) == ("BJ001", 150, 0)
    assert "150" in item["reason"]
    await shop.pool.execute("DELETE FROM signal WHERE kind = 'month_end_spending'")
    assert await found(shop, "month_end_spending", now=july, signal_month_end_points=151) == []


async def test_many_names_behind_one_number(shop: Shop):
    family, crowd = f"135{next(serials):08d}", f"135{next(serials):08d}"
    for name in ("王一", "王二"):
        await applied(shop, family, name)
    for name in ("张一", "张二", "张三", "张三"):
        await applied(shop, crowd, name)
    items = await found(shop, "shared_phone")
    assert [item["facts"] for item in items] == [{"names": 3, "dealers": 1}]
    assert crowd not in str(items)


async def signed_in(shop: Shop, member: Person, address: str, device: str) -> None:
    """A session as signing in leaves it, with its record."""
    at = NOW - timedelta(minutes=next(serials) % 1_000)
    await shop.pool.execute(
        """INSERT INTO login_session (id, member_id, role, device, opened_at, refreshed_at, expires_at)
           VALUES ($1, $2, 'member', $3, $4, $4, $4)""",
        new_id(), member.id, device, at,
    )  # fmt: skip
    await shop.pool.execute(
        """INSERT INTO audit_event (id, at, actor, action, target_kind, target_ids, changes, outcome, address)
           VALUES ($1, $2, 'm', 'signed-in', 'member', $3, '{}', 'done', $4)""",
        new_id(), at, [str(member.id)], address,
    )  # fmt: skip


async def test_many_members_on_one_device(shop: Shop):
    people = [await shop.member() for _ in range(5)]
    for person in people:
        await signed_in(shop, person, "10.0.0.1", "one phone")
        # in one house or office many have the same address, and many have the same model
        await signed_in(shop, person, "10.0.0.2", f"phone of {person.member_no}")
    for person in people[:4]:
        await signed_in(shop, person, "10.0.0.3", "family's")
    (item,) = await found(shop, "shared_device")
    assert sorted(item["member_ids"]) == sorted(str(person.id) for person in people)
    assert item["facts"] == {"members": 5, "device": "one phone"}


async def test_signing_in_leaves_what_a_device_is_known_by(shop: Shop, api: Api):
    api.app.state.sms = phones = Phones()
    people = [await shop.member() for _ in range(2)]
    for person in people:
        asked = {"phone": person.phone}
        assert (await api.call("POST", "/member-sign-in/code", json=asked)).status_code == 202
        await api.app.state.detached.finish()
        told = asked | {"code": phones.codes[f"+86{person.phone}"]}
        answer = await api.call("POST", "/member-sign-in", json=told, headers={"User-Agent": "a shared phone"})
        assert answer.status_code == 200, answer.text
    items = await found(shop, "shared_device", signal_members_a_device=2)
    (item,) = [one for one in items if one["facts"]["device"] == "a shared phone"]
    assert sorted(item["member_ids"]) == sorted(str(person.id) for person in people)


async def referred(shop: Shop, *chain: Person) -> None:
    """Each bought by the one before."""
    for referrer, buyer in pairwise(chain):
        await shop.pool.execute(
            """INSERT INTO referral (id, referrer_id, buyer_id, dealer_code, status, asked_by, asked_at, registered_on,
                                     valid_until, may_contact, permission_at, is_repurchase, buyer_awarded, vin,
                                     delivered_on)
               VALUES ($1, $2, $3, 'BJ001', 'delivered', 't', $4, '2026-11-01', '2026-12-01', true, $4, false, true,
                       $5, '2026-11-10')""",
            new_id(), referrer.id, buyer.id, NOW, car(next(serials)),
        )  # fmt: skip


async def test_members_who_refer_each_other_in_a_ring(shop: Shop):
    a, b, c, d, e, f = [await shop.member() for _ in range(6)]
    await referred(shop, a, b, c, a)
    await referred(shop, d, e, f)
    (item,) = await found(shop, "referral_ring")
    assert sorted(item["member_ids"]) == sorted(str(person.id) for person in (a, b, c))
    await referred(shop, f, d)
    assert len(await found(shop, "referral_ring")) == 2
    await shop.pool.execute("DELETE FROM signal WHERE kind = 'referral_ring'")
    assert await found(shop, "referral_ring", signal_ring_members=2) == []


async def test_an_earning_that_a_rule_holds_is_shown_until_it_is_decided(shop: Shop):
    member, other = await shop.member(), await shop.member()
    number = await shop.pool.fetchval("SELECT min(no) FROM rule_version")
    cases = {}
    for person, kind in ((member, "review"), (other, "budget")):
        cases[kind] = await shop.pool.fetchval(
            """INSERT INTO earning_case (id, kind, status, document, attempt, trigger, member_id, dealer_code,
                                         booked_on, values, rule_no, points, status_points, reason, created_at)
               VALUES ($1, $2, 'open', $3, 1, 'custom', $4, 'BJ001', '2026-11-20', '{}', $5, 77, 0, 'x', $6)
               RETURNING id""",
            new_id(), kind, f"custom:{new_id()}", person.id, number, NOW,
        )  # fmt: skip
    items = await found(shop, "held_earning")
    assert about(items, other) == []
    (item,) = about(items, member)
    assert (item["facts"]["case_id"], item["facts"]["points"]) == (str(cases["review"]), 77)
    await shop.pool.execute(
        "UPDATE earning_case SET status = 'refused', decided_at = $2, decided_by = 'hq', decision = '假' WHERE id = $1",
        cases["review"], NOW,
    )  # fmt: skip
    (item,) = about(await found(shop, "held_earning"), member)
    assert (item["status"], item["decided_by"], item["decision"]) == ("confirmed", "hq", "假")


async def test_what_was_cleared_stays_so_until_there_is_more_of_it(shop: Shop):
    phone = f"135{next(serials):08d}"
    for name in ("赵一", "赵二", "赵三"):
        await applied(shop, phone, name)
    known = {item["id"] for item in (await shop.get("/signals", shop.hq, kind="shared_phone"))[1]["items"]}
    (item,) = [one for one in await found(shop, "shared_phone") if one["id"] not in known]
    assert (await judge(shop, item, "cleared", 9))[0] == 412
    status, cleared = await judge(shop, item, "cleared")
    assert (status, cleared["status"], cleared["decision"]) == (200, "cleared", "查过")

    async def now_is() -> str:
        await found(shop, "shared_phone")
        return str((await shop.get(f"/signals/{item['id']}", shop.hq))[1]["status"])

    assert await now_is() == "cleared"
    await applied(shop, phone, "赵四")
    assert await now_is() == "open"
    current = (await shop.get(f"/signals/{item['id']}", shop.hq))[1]
    assert (await judge(shop, current, "confirmed"))[1]["status"] == "confirmed"
    await applied(shop, phone, "赵五")
    assert await now_is() == "confirmed"
    assert (await judge(shop, current, "open"))[0] == 422
    # decided long ago, and not found since
    aged = "UPDATE signal SET seen_at = seen_at - interval '3 years', key = 'gone' WHERE id = $1::uuid"
    await shop.pool.execute(aged, item["id"])
    await found(shop, "shared_phone")
    assert (await shop.get(f"/signals/{item['id']}", shop.hq))[0] == 404


@pytest.mark.parametrize(("role", "place", "status"), [
    (Role.AUDITOR, {}, 200), (Role.HQ_FINANCE, {}, 200), (Role.CARE_DIRECTOR, {"dealer": "BJ001"}, 403),
    (Role.GENERAL_MANAGER, {"dealer": "BJ001"}, 403), (Role.REGIONAL_MANAGER, {"region": "BJ"}, 403),
])  # fmt: skip
async def test_signals_are_headquarters(shop: Shop, role: Role, place: dict[str, Any], status: int):
    token = shop.api.token(role, **place)
    assert (await shop.get("/signals", token))[0] == status
    path = f"/signals/{new_id()}"
    assert (await shop.get(path, shop.hq))[0] == 404
    answer = await shop.api.call("POST", f"{path}/judgement", token, json={"status": "cleared", "reason": "x"},
                                 headers={"If-Match": '"1"'})  # fmt: skip
    assert answer.status_code == 403
