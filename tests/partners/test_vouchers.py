"""Vouchers: claimed with or without points, used once, returned, expired; and what the till may know."""

from datetime import timedelta
from hashlib import sha256

import pytest

from app.core.actors import Reach, Role
from app.core.clock import Clock
from app.worker import nightly_work
from tests.now import NOW
from tests.partners.deals import (
    agree,
    check,
    claim,
    claimed,
    clerk,
    disagreeing,
    give_back,
    kind,
    own,
    partner,
    perk,
    report,
    use,
)
from tests.shop import Answer, Person, Shop, pointers


def at(days: int) -> Clock:
    return lambda: NOW + timedelta(days=days)


async def test_claimed_shown_and_used_once(shop: Shop, dsn: str) -> None:
    hotel, member = await partner(shop), await shop.member()
    voucher = await claimed(shop, member, await perk(shop, hotel, terms="两人份"))
    picture = await shop.api.call("GET", f"/members/me/vouchers/{voucher['id']}/qr", own(shop, member))
    assert (picture.status_code, picture.headers["Content-Type"]) == (200, "image/svg+xml")
    seen = (await check(shop, hotel, voucher["code"].lower()))[1]
    assert (seen["perk"], seen["terms"], seen["state"], seen["member"]) == ("下午茶", "两人份", "good", {})
    assert (await use(shop, hotel, voucher["code"], key="once"))[0] == 201
    assert (await use(shop, hotel, voucher["code"], key="once"))[0] == 201, "a retry gets the first answer"
    again = await use(shop, hotel, voucher["code"])
    assert (kind(again), again[1]["used_on"]) == ((409, "voucher-used"), "2026-11-21")
    assert (await check(shop, hotel, voucher["code"]))[1]["state"] == "used"
    mine = (await shop.get("/members/me/vouchers", own(shop, member)))[1]["items"]
    assert [(one["status"], one["used_on"]) for one in mine] == [("used", "2026-11-21")]
    assert await disagreeing(dsn) == {}


async def test_another_partners_till_knows_nothing_of_it(shop: Shop) -> None:
    hotel, other = await partner(shop), await partner(shop)
    voucher = await claimed(shop, await shop.member(), await perk(shop, hotel))
    for answer in (await check(shop, other, voucher["code"]), await use(shop, other, voucher["code"])):
        assert kind(answer) == (404, "not-found")
    assert (await check(shop, hotel, "2222-2222-2222"))[0] == 404
    assert pointers((await check(shop, hotel, "hello"))[1]) == [("/code", "string_pattern_mismatch")]


async def test_staff_see_their_members_vouchers_without_codes(shop: Shop) -> None:
    member = await shop.member()
    voucher = await claimed(shop, member, await perk(shop, await partner(shop)))
    ours = (await shop.get("/vouchers", shop.director, member_id=str(member.id)))[1]["items"]
    assert [one["id"] for one in ours] == [voucher["id"]]
    assert "code" not in ours[0]
    assert (await shop.get("/vouchers", shop.foreign, member_id=str(member.id)))[1]["items"] == []
    other = await shop.api.call("GET", f"/members/me/vouchers/{voucher['id']}/qr", own(shop, await shop.member()))
    assert other.status_code == 404
    assert (await shop.get("/vouchers", clerk(shop, "P001")))[0] == 403


async def test_points_pay_for_a_perk_and_come_back_with_it(shop: Shop, dsn: str) -> None:
    member = await shop.member(points=500)
    tea = await perk(shop, await partner(shop), points=300, quota=1)
    voucher = await claimed(shop, member, tea)
    assert await shop.wallet(member) == (200, 0, 0, 0)
    assert kind(await claim(shop, await shop.member(points=500), tea)) == (409, "perk-gone")
    assert kind(await give_back(shop, await shop.member(), voucher)) == (404, "not-found")
    status, returned = await give_back(shop, member, voucher)
    assert (status, returned["status"]) == (200, "returned")
    assert await shop.wallet(member) == (500, 0, 0, 0)
    assert kind(await give_back(shop, member, voucher)) == (409, "wrong-status")
    assert (await claim(shop, await shop.member(points=500), tea))[0] == 201, "what is returned is somebody else's"
    assert await disagreeing(dsn) == {}


async def test_who_has_too_few_points_claims_nothing(shop: Shop, dsn: str) -> None:
    member = await shop.member(points=100)
    tea = await perk(shop, await partner(shop), points=300)
    assert kind(await claim(shop, member, tea)) == (409, "insufficient-points")
    assert (await shop.get(f"/perks/{tea}", shop.hq))[1]["claimed"] == 0
    assert await disagreeing(dsn) == {}


async def test_what_paid_for_a_voucher_goes_back_by_the_voucher_alone(shop: Shop) -> None:
    member = await shop.member(points=500)
    await claimed(shop, member, await perk(shop, await partner(shop), points=300))
    page = (await shop.get(f"/members/{member.id}/postings", shop.hq))[1]["items"]
    spent = next(one for one in page if one["cause"].startswith("voucher:"))
    path = f"/redemptions/{member.id}/{spent['posting_no']}/refund"
    answer = await shop.post(path, {"reason": "说明"}, shop.program)
    assert kind(answer) == (404, "not-found")


async def test_what_nobody_used_expires_and_the_points_are_back(shop: Shop, dsn: str) -> None:
    hotel, member = await partner(shop), await shop.member(points=500)
    voucher = await claimed(shop, member, await perk(shop, hotel, points=300, days=2))
    async with shop.at(NOW + timedelta(days=2)):
        assert kind(await use(shop, hotel, voucher["code"])) == (409, "voucher-not-good")
    await nightly_work(shop.api.db, at(4))
    assert await shop.wallet(member) == (200, 0, 0, 0), "tills that were offline may still report it"
    await nightly_work(shop.api.db, at(5))
    mine = (await shop.get("/members/me/vouchers", own(shop, member)))[1]["items"]
    assert [one["status"] for one in mine] == ["expired"]
    assert await shop.wallet(member) == (500, 0, 0, 0)
    assert await disagreeing(dsn) == {}


async def test_blackout_days_are_days_without_it(shop: Shop) -> None:
    hotel = await partner(shop)
    voucher = await claimed(shop, await shop.member(), await perk(shop, hotel, blackout=["2026-11-21"]))
    assert (await check(shop, hotel, voucher["code"]))[1]["state"] == "blacked_out"
    refused = await use(shop, hotel, voucher["code"])
    assert (kind(refused), refused[1]["reason"]) == ((409, "voucher-not-good"), "blacked_out")
    async with shop.at(NOW + timedelta(days=1)):
        assert (await use(shop, hotel, voucher["code"]))[0] == 201


async def test_the_till_sees_of_the_member_only_what_it_agreed_to(shop: Shop) -> None:
    hotel, member = await partner(shop), await shop.member(name="王芳")
    room = await perk(shop, hotel, hands_over=["name", "phone"])
    assert kind(await claim(shop, member, room)) == (409, "consent-missing")
    await agree(shop, member, hotel)
    voucher = await claimed(shop, member, room)
    assert (await check(shop, hotel, voucher["code"]))[1]["member"] == {"name": "王芳", "phone": f"+86{member.phone}"}
    given = (await shop.get(f"/members/{member.id}/provisions", shop.hq))[1]["items"]
    assert [(one["partner_code"], one["kinds"]) for one in given] == [(hotel, ["name", "phone"])]
    await agree(shop, member, hotel, "withdrawn")
    assert (await check(shop, hotel, voucher["code"]))[1]["member"] == {}
    assert (await use(shop, hotel, voucher["code"]))[0] == 201, "the perk is the member's all the same"


@pytest.mark.parametrize("role", [role for role in Role if role.reach is not Reach.PARTNER])
async def test_only_a_partners_people_use_vouchers(shop: Shop, role: Role) -> None:
    member = await shop.member()
    token = shop.api.token(role, dealer="BJ001", member=member.id, region="BJ")
    for path, body in (
        ("/vouchers/uses", {"code": "2222-2222-2222"}),
        ("/vouchers/checks", {"code": "2222-2222-2222"}),
    ):
        assert kind(await shop.post(path, body, token)) == (403, "forbidden")


async def test_the_tills_page_is_ours_alone(shop: Shop) -> None:
    page = await shop.api.http.get("/partner")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "/vouchers/uses" in page.text


# --- at the counter ---


async def claim_for(shop: Shop, member: Person, perk_id: str, *, token: str = "", code: str | None = None) -> Answer:
    body = {"perk_id": perk_id, "member_id": str(member.id), "code": code}
    return await shop.post("/counter/vouchers", body, token or shop.advisor)


async def test_staff_claim_for_who_has_no_app_at_hand(shop: Shop, dsn: str) -> None:
    hotel, member = await partner(shop), await shop.member()
    free = await perk(shop, hotel, quota_per_member=1)
    status, voucher = await claim_for(shop, member, free)
    assert (status, voucher["member_id"]) == (201, str(member.id))
    assert (await use(shop, hotel, voucher["code"]))[0] == 201
    assert kind(await claim_for(shop, member, free)) == (409, "perk-limit")
    assert kind(await claim_for(shop, await shop.member(dealer="SH001"), free)) == (404, "not-found")
    assert kind(await claim_for(shop, member, free, token=clerk(shop, hotel))) == (403, "forbidden")
    assert await disagreeing(dsn) == {}


async def test_at_the_counter_points_are_spent_by_the_members_code_alone(shop: Shop, dsn: str) -> None:
    member = await shop.member(points=500)
    tea = await perk(shop, await partner(shop), points=300)
    assert kind(await claim_for(shop, member, tea)) == (403, "confirmation-required")
    assert kind(await claim_for(shop, member, tea, code="000000")) == (403, "confirmation-wrong")
    assert (await shop.get(f"/perks/{tea}", shop.hq))[1]["claimed"] == 0
    assert (await claim_for(shop, member, tea, code=await shop.code(member)))[0] == 201
    assert await shop.wallet(member) == (200, 0, 0, 0)
    assert await disagreeing(dsn) == {}


# --- without a connection ---


async def test_a_report_is_by_a_list_of_this_partner(shop: Shop) -> None:
    hotel, other = await partner(shop), await partner(shop)
    voucher = await claimed(shop, await shop.member(), await perk(shop, hotel))
    uses = [{"code": voucher["code"], "used_on": "2026-11-21"}]
    theirs = (await shop.get("/vouchers/offline", clerk(shop, other)))[1]["token"]
    for token in (theirs, "made-up", theirs[:-8] + "AAAAAAA="):
        refused = await shop.post("/vouchers/offline", {"token": token, "uses": uses}, clerk(shop, hotel))
        assert kind(refused) == (409, "list-not-ours")
    assert (await check(shop, hotel, voucher["code"]))[1]["state"] == "good"


async def test_a_till_works_on_without_a_connection(shop: Shop, dsn: str) -> None:
    hotel, member = await partner(shop), await shop.member()
    tea = await perk(shop, hotel, blackout=["2026-12-24"])
    first, second = [await claimed(shop, member, tea) for _ in range(2)]
    status, known = await shop.get("/vouchers/offline", clerk(shop, hotel))
    digests = [sha256(one["code"].encode()).hexdigest() for one in (first, second)]
    assert (status, [one["digest"] for one in known["vouchers"]]) == (200, digests)
    assert known["perks"][0]["blackout"] == ["2026-12-24"]
    assert first["code"] not in str(known)
    uses = [{"code": one["code"], "used_on": "2026-11-21", "note": str(n)} for n, one in enumerate((first, second))]
    for _ in range(2):
        _, told = await report(shop, hotel, uses)
        assert [(one["state"], one["note"]) for one in told["items"]] == [("good", "0"), ("good", "1")]
        assert told["conflicts"] == 0, "sent again it is no conflict"
    assert await disagreeing(dsn) == {}


async def test_what_was_used_with_a_connection_is_not_given_again_without(shop: Shop) -> None:
    hotel, member = await partner(shop), await shop.member()
    voucher = await claimed(shop, member, await perk(shop, hotel))
    known = (await shop.get("/vouchers/offline", clerk(shop, hotel)))[1]
    assert (await use(shop, hotel, voucher["code"]))[0] == 201
    body = {"token": known["token"], "uses": [{"code": voucher["code"], "used_on": "2026-11-21"}]}
    told = (await shop.post("/vouchers/offline", body, clerk(shop, hotel)))[1]
    assert [one["state"] for one in told["items"]] == ["used"], "the same till, the same day, a second perk"


async def test_a_list_is_good_for_some_days(shop: Shop) -> None:
    hotel, member = await partner(shop), await shop.member()
    tea = await perk(shop, hotel)
    vouchers = [await claimed(shop, member, tea) for _ in range(2)]
    known = (await shop.get("/vouchers/offline", clerk(shop, hotel)))[1]
    assert known["good_until"] == "2026-11-24"
    uses = [
        {"code": voucher["code"], "used_on": day}
        for voucher, day in zip(vouchers, ("2026-11-24", "2026-11-25"), strict=True)
    ]
    async with shop.at(NOW + timedelta(days=9)):
        told = (await shop.post("/vouchers/offline", {"token": known["token"], "uses": uses}, clerk(shop, hotel)))[1]
    assert [one["state"] for one in told["items"]] == ["good", "list_over"], "reported late, but worked by in time"
    assert told["conflicts"] == 1


async def test_conflicts_are_told_line_by_line(shop: Shop, dsn: str) -> None:
    hotel, member = await partner(shop), await shop.member()
    tea = await perk(shop, hotel, days=2, blackout=["2026-11-22"])
    used, twice, returned, late, away = [await claimed(shop, member, tea) for _ in range(5)]
    assert (await use(shop, hotel, used["code"], till="other"))[0] == 201
    assert (await give_back(shop, member, returned))[0] == 200
    lines = [
        (used, "2026-11-21", "used"), (twice, "2026-11-21", "good"), (twice, "2026-11-21", "used"),
        (returned, "2026-11-21", "returned"), (late, "2026-11-23", "expired"), (late, "2026-11-20", "too_early"),
        (away, "2026-11-22", "blacked_out"), (away, "2026-11-25", "in_the_future"),
    ]  # fmt: skip
    uses = [{"code": voucher["code"], "used_on": day} for voucher, day, _ in lines]
    async with shop.at(NOW + timedelta(days=3)):
        status, told = await report(shop, hotel, [*uses, uses[0] | {"code": "2222-2222-2222"}])
    assert status == 200
    assert [one["state"] for one in told["items"]] == [*(state for _, _, state in lines), "unknown"]
    assert told["conflicts"] == len(lines)
    assert await disagreeing(dsn) == {}
