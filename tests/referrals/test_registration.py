"""Pre-registration: who may, what stands against it, who sees it, and the appeal to headquarters."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.core.actors import Role
from app.members import queries as members
from app.referrals import guards
from app.settings import Settings
from tests.identity.staff import hire
from tests.referrals.conftest import Desk, buyer
from tests.shop import Answer, pointers

TODAY, YESTERDAY = "2026-11-21", "2026-11-20"


async def test_a_consultant_registers_a_buyer(desk: Desk):
    member = await desk.shop.member()
    made = await desk.registered(member, buyer_name="赵敏", buyer_phone="13612345678", visited_on=TODAY)
    assert (made["status"], made["registered_on"], made["valid_until"]) == ("open", TODAY, "2027-02-19")
    assert (made["dealer_code"], made["consultant"], made["due_on"]) == ("BJ001", "li", "2026-11-28")
    assert (made["may_contact"], made["buyer_phone"]) == (True, "+8613612345678")
    # the consultant does not care for the member, whose chapter is the same: its name is told
    assert (made["referrer_no"], made["referrer_name"]) == (member.member_no, "张伟")
    stored = await desk.shop.pool.fetchval("SELECT phone FROM referral WHERE id = $1", made["id"])
    assert stored.startswith(b"gAAAA")


async def test_a_referrer_of_another_chapter_is_masked(desk: Desk):
    member = await desk.shop.member(dealer="SH001")
    made = await desk.registered(member)
    assert made["referrer_name"] == "张*"


async def test_without_permission_nobody_calls(desk: Desk):
    made = await desk.registered(await desk.shop.member(), may_contact=False)
    assert "****" in made["buyer_phone"]
    status, told = await desk.do(made, "feedback", desk.li, status="following", horizon="month")
    assert (status, told["due_on"]) == (200, None)
    status, told = await desk.do(made, "feedback", desk.li, status="following", horizon="month", may_contact=True)
    assert (told["due_on"], told["may_contact"]) == ("2026-11-28", True)


# --- guards ---


async def test_not_oneself(desk: Desk):
    member = await desk.shop.member()
    status, body = await desk.register(member, buyer_phone=member.phone)
    assert (status, body["type"]) == (409, "/problems/self-referral")


async def test_not_ones_household(desk: Desk):
    member = await desk.shop.member()
    person = {"relation": "spouse", "name": "李静", "is_minor": False}
    assert (await desk.shop.post(f"/members/{member.id}/household", person, desk.shop.hq))[0] == 201
    status, body = await desk.register(member, buyer_name="李静")
    assert (status, body["type"]) == (409, "/problems/same-household")


async def test_not_an_owner(desk: Desk):
    member, owner = await desk.shop.member(), await desk.shop.member(name="赵敏")
    status, body = await desk.register(member, buyer_phone=owner.phone)
    assert (status, body["type"]) == (409, "/problems/buyer-is-owner")
    # who got a car and did not join is an owner, too
    delivered = await desk.deliver("13699999999")
    assert delivered["state"] == "open"
    assert (await desk.register(member, buyer_phone="13699999999"))[1]["type"] == "/problems/buyer-is-owner"


@pytest.mark.parametrize("when", ["visited_on", "ordered_on"])
async def test_not_after_the_order_or_the_first_visit(desk: Desk, when: str):
    member = await desk.shop.member()
    status, body = await desk.register(member, **{when: YESTERDAY})
    assert (status, body["type"], body["since"]) == (409, "/problems/registered-too-late", YESTERDAY)
    status, made = await desk.register(member, **{when: TODAY})
    assert status == 201, made
    assert pointers((await desk.register(member, **{when: "2026-11-22"}))[1]) == [(f"/{when}", "date_in_future")]


async def test_the_first_valid_one_wins_within_its_window(desk: Desk):
    first, second = await desk.shop.member(), await desk.shop.member(dealer="SH001")
    made = await desk.registered(first)
    again = {"buyer_phone": made["buyer_phone"]}
    status, body = await desk.register(second, desk.foreign, **again)
    assert (status, body["type"], body["valid_until"]) == (409, "/problems/already-referred", made["valid_until"])
    assert made["id"] not in str(body)
    await desk.night(days=91)
    assert (await desk.read(made))["status"] == "lapsed"
    assert (await desk.register(second, desk.foreign, **again))[0] == 201


async def test_the_window_is_90_days_of_china_to_the_minute(desk: Desk):
    first, second = await desk.shop.member(), await desk.shop.member()
    made = await desk.registered(first)
    again = {"buyer_phone": made["buyer_phone"], "dealer_code": "BJ001"}
    last_minute = datetime(2027, 2, 19, 15, 59, tzinfo=UTC)
    async with desk.shop.at(last_minute):
        assert (await desk.register(second, desk.shop.hq, **again))[1]["type"] == "/problems/already-referred"
    # no night's work in between
    late = {"status": "ordered", "ordered_on": "2027-02-20"}
    async with desk.shop.at(last_minute + timedelta(minutes=1)):
        assert (await desk.do(made, "feedback", desk.shop.director, **late))[1]["type"] == "/problems/wrong-status"
    async with desk.shop.at(last_minute + timedelta(minutes=1)):
        status, taken = await desk.register(second, desk.shop.hq, **again)
        assert (status, taken["registered_on"]) == (201, "2027-02-20")
    assert (await desk.read(made))["status"] == "lapsed"


async def test_only_active_members_refer(desk: Desk):
    member = await desk.shop.member()
    step = {"to": "suspended", "reason": "说明"}
    assert (await desk.shop.post(f"/members/{member.id}/status", step, desk.shop.hq))[0] == 200
    assert (await desk.register(member))[1]["type"] == "/problems/wrong-status"


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"referrer_no": None}, ("/referrer_no", "missing")),
        ({"buyer_phone": "123"}, ("/buyer_phone", "phone_format")),
        ({"may_contact": None}, ("/may_contact", "value_invalid")),
        ({"colour": "red"}, ("/colour", "extra_forbidden")),
    ],
)
async def test_what_is_wrong_with_a_registration(desk: Desk, fields: dict[str, Any], fault: tuple[str, str]):
    status, body = await desk.register(await desk.shop.member(), **fields)
    assert (status, pointers(body)) == (422, [fault])


async def test_whom_nobody_knows_cannot_refer(desk: Desk):
    body = {"referrer_phone": "13600000000"} | buyer()
    assert (await desk.shop.post("/referrals", body, desk.li))[0] == 404
    # nor can one register at another dealer
    member = await desk.shop.member()
    assert (await desk.register(member, dealer_code="SH001"))[0] == 404
    assert pointers((await desk.register(member, desk.shop.hq, dealer_code="XX999"))[1]) == [
        ("/dealer_code", "unknown_dealer")
    ]
    assert pointers((await desk.register(member, desk.shop.hq))[1]) == [("/dealer_code", "missing")]


async def test_a_lead_is_under_a_consultant_of_the_dealer(desk: Desk):
    for username, role, dealer in (
        ("selling", Role.SALES_CONSULTANT, "BJ001"), ("caring", Role.CARE_STAFF, "BJ001"),
        ("afar", Role.SALES_CONSULTANT, "SH001"),
    ):  # fmt: skip
        await hire(desk.shop.api, username, role, dealer=dealer)
    member = await desk.shop.member()
    for named in ("caring", "afar", "nobody"):
        status, body = await desk.register(member, desk.shop.director, consultant=named)
        assert (status, pointers(body)) == (422, [("/consultant", "unknown_consultant")])
    status, made = await desk.register(member, desk.shop.director, consultant="selling")
    assert (status, made["consultant"]) == (201, "selling")
    asked = (await desk.shop.post("/referrals", buyer(dealer_code="BJ001"), desk.of(member)))[1]
    assert (await desk.do(asked, "confirmation", desk.shop.director, consultant="afar"))[0] == 422
    assert (await desk.do(asked, "confirmation", desk.shop.director, consultant="selling"))[1]["status"] == "open"
    # who left sells no more; a dealer's system names its people as it knows them
    await desk.shop.pool.execute("UPDATE account SET is_active = false WHERE username = 'selling'")
    assert (await desk.register(member, desk.shop.director, consultant="selling"))[0] == 422
    program = desk.shop.api.token(Role.API_CLIENT, scopes="referrals:write referrals:read")
    status, made = await desk.register(member, program, dealer_code="BJ001", consultant="BJ001-3")
    assert (status, made["consultant"]) == (201, "BJ001-3")


async def test_a_retry_registers_once(desk: Desk):
    member = await desk.shop.member()
    body = {"referrer_no": member.member_no} | buyer()
    first = await desk.shop.post("/referrals", body, desk.li, key="referral-once")
    assert await desk.shop.post("/referrals", body, desk.li, key="referral-once") == first
    changed = body | {"may_contact": False}
    assert (await desk.shop.post("/referrals", changed, desk.li, key="referral-once"))[0] == 409


async def test_attempts_are_counted(desk: Desk):
    member = await desk.shop.member()
    asker = desk.shop.api.token(Role.SALES_CONSULTANT, dealer="BJ001", subject="prober")
    app, before = desk.shop.api.app, desk.shop.api.app.state.settings
    app.state.settings = Settings(**before.model_dump() | {"rate_lookups": "1/hour"})
    try:
        assert (await desk.register(member, asker, buyer_phone=member.phone))[0] == 409
        status, body = await desk.register(member, asker)
        assert (status, body["type"]) == (429, "/problems/too-many-requests")
        assert (await desk.register(member, desk.shop.hq, dealer_code="BJ001"))[0] == 201
    finally:
        app.state.settings = before


# --- a member's own ---


async def test_a_member_asks_and_a_consultant_confirms(desk: Desk):
    member = await desk.shop.member()
    status, made = await desk.shop.post("/referrals", buyer(dealer_code="BJ001"), desk.of(member))
    assert (status, made["status"], made["consultant"], made["due_on"]) == (201, "asked", None, "2026-11-28")
    assert "****" in made["buyer_phone"]
    status, taken = await desk.do(made, "confirmation", desk.wang)
    assert (status, taken["status"], taken["consultant"], taken["due_on"]) == (200, "open", "wang", "2026-11-28")
    assert (await desk.do(made, "confirmation", desk.wang))[1]["type"] == "/problems/wrong-status"
    # it is Wang's lead now
    assert (await desk.shop.get(f"/referrals/{made['id']}", desk.li))[0] == 404
    assert (await desk.read(made, desk.of(member)))["status"] == "open"


async def test_a_member_does_not_learn_who_is_an_owner(desk: Desk):
    member, owner = await desk.shop.member(), await desk.shop.member(name="赵敏")
    asked = buyer(dealer_code="BJ001", buyer_phone=owner.phone)
    status, made = await desk.shop.post("/referrals", asked, desk.of(member))
    assert status == 201
    assert (await desk.do(made, "confirmation", desk.li))[1]["type"] == "/problems/buyer-is-owner"
    status, refused = await desk.do(made, "refusal", desk.li, reason="已是车主")
    assert (status, refused["status"], refused["answer"]) == (200, "refused", "已是车主")


async def test_a_member_refers_in_its_own_name(desk: Desk):
    member, other = await desk.shop.member(), await desk.shop.member()
    own = buyer(dealer_code="BJ001")
    assert (await desk.shop.post("/referrals", own | {"buyer_phone": member.phone}, desk.of(member)))[0] == 409
    named = own | {"referrer_no": other.member_no}
    assert (await desk.shop.post("/referrals", named, desk.of(member)))[0] == 404
    made = (await desk.shop.post("/referrals", own, desk.of(member)))[1]
    assert (await desk.shop.get(f"/referrals/{made['id']}", desk.of(other)))[0] == 404
    status, ended = await desk.do(made, "withdrawal", desk.of(member), reason="不买了")
    assert (status, ended["status"]) == (200, "withdrawn")
    assert (await desk.do(made, "appeal", desk.of(member), reason="还是要买"))[1]["type"] == "/problems/wrong-status"


# --- who sees what ---


async def test_everyone_sees_their_own(desk: Desk):
    made = await desk.registered(await desk.shop.member())
    token = desk.shop.api.token
    served = [
        desk.li, desk.shop.director, desk.shop.hq, token(Role.REGIONAL_MANAGER, region="BJ"), token(Role.AUDITOR),
        token(Role.GENERAL_MANAGER, dealer="BJ001"),
    ]  # fmt: skip
    for reader in served:
        assert (await desk.shop.get(f"/referrals/{made['id']}", reader))[0] == 200
    hidden = [
        desk.wang, desk.foreign, token(Role.CARE_DIRECTOR, dealer="SH001"), token(Role.REGIONAL_MANAGER, region="SH"),
    ]  # fmt: skip
    for reader in hidden:
        assert (await desk.shop.get(f"/referrals/{made['id']}", reader))[0] == 404
        assert made["id"] not in str(await desk.shop.get("/referrals", reader, limit=200))
    assert (await desk.shop.get(f"/referrals/{made['id']}", desk.shop.advisor))[0] == 403
    masked = await desk.read(made, token(Role.AUDITOR))
    assert "****" in masked["buyer_phone"]


# --- appeals ---


async def test_what_a_guard_refuses_goes_to_headquarters(desk: Desk):
    first, second = await desk.shop.member(), await desk.shop.member()
    made = await desk.registered(first)
    body = {"referrer_no": second.member_no, "reason": "先来找我"} | buyer(buyer_phone=made["buyer_phone"])
    status, appealed = await desk.shop.post("/referrals/appeals", body, desk.wang)
    assert (status, appealed["status"], appealed["refusal"]) == (201, "appealed", "already-referred")
    decision = {"granted": True, "reason": "微信为证", "registered_on": "2026-11-01"}
    assert (await desk.do(appealed, "decision", desk.shop.director, **decision))[0] == 403
    ahead = decision | {"registered_on": "2026-12-01"}
    assert (await desk.do(appealed, "decision", desk.shop.hq, **ahead))[0] == 422
    status, granted = await desk.do(appealed, "decision", desk.shop.hq, **decision)
    assert (status, granted["status"], granted["valid_until"]) == (200, "open", "2027-01-30")
    assert (await desk.read(made))["status"] == "superseded"
    assert (await desk.do(appealed, "decision", desk.shop.hq, **decision))[1]["type"] == "/problems/wrong-status"


async def test_nothing_to_appeal(desk: Desk):
    member = await desk.shop.member()
    body = {"referrer_no": member.member_no, "reason": "说明"} | buyer()
    assert (await desk.shop.post("/referrals/appeals", body, desk.li))[1]["type"] == "/problems/nothing-to-appeal"


async def test_a_member_appeals_what_was_refused(desk: Desk):
    member = await desk.shop.member()
    made = (await desk.shop.post("/referrals", buyer(dealer_code="BJ001"), desk.of(member)))[1]
    await desk.do(made, "refusal", desk.li, reason="不认识")
    status, appealed = await desk.do(made, "appeal", desk.of(member), reason="认识")
    assert (status, appealed["status"], appealed["refusal"]) == (200, "appealed", "refused")
    status, refused = await desk.do(made, "decision", desk.shop.hq, granted=False, reason="查无此人")
    assert (refused["status"], refused["answer"]) == ("refused", "查无此人")
    steps = (await desk.shop.get(f"/referrals/{made['id']}/steps", desk.shop.hq))[1]["items"]
    assert [step["status"] for step in steps] == ["asked", "refused", "appealed", "refused"]
    assert [step["note"] for step in steps] == [None, "不认识", "认识", "查无此人"]


async def four_at_once(desk: Desk) -> list[Answer]:
    """Two members' referrals of one buyer, each by two consultants."""
    members, phone = [await desk.shop.member() for _ in range(2)], buyer()["buyer_phone"]
    asked = [desk.register(one, token, buyer_phone=phone) for one in members for token in (desk.li, desk.wang)]
    return await asyncio.gather(*asked)


async def test_the_first_valid_one_wins(desk: Desk):
    answers = await four_at_once(desk)
    assert sorted(status for status, _ in answers) == [201, 409, 409, 409]
    assert {body["type"] for status, body in answers if status == 409} == {"/problems/already-referred"}


async def test_without_the_lock_nobody_is_told_who_was_first(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    everyone_judged, judge = asyncio.Barrier(4), guards.judge

    async def unlocked(*_: Any) -> None: ...

    async def judged(*args: Any, **named: Any) -> None:
        await judge(*args, **named)
        await everyone_judged.wait()

    monkeypatch.setattr(members, "lock_phone", unlocked)
    monkeypatch.setattr(guards, "judge", judged)
    answers = await four_at_once(desk)
    # each was found valid; the index alone keeps the buyer to one, and cannot say why
    assert sorted(status for status, _ in answers) == [201, 500, 500, 500]
