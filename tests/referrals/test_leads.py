"""Leads: feedback within its deadline, the rhythm by horizon, escalation, and the table of states."""

from itertools import product

import pytest

from app.core.actors import Role
from app.referrals.rules import ENDED, LIVE, REFERRAL_TRANSITIONS, Horizon, ReferralStatus
from app.settings import Settings
from tests.api import DATA_KEY
from tests.referrals.conftest import Desk
from tests.shop import pointers

TODAY = "2026-11-21"


@pytest.mark.parametrize(
    ("horizon", "due_on"),
    [("month", "2026-11-28"), ("quarter", "2026-12-05"), ("half_year", "2026-12-21"), ("later", "2027-02-19")],
)
async def test_each_horizon_has_its_rhythm(desk: Desk, horizon: str, due_on: str):
    made = await desk.registered(await desk.shop.member())
    status, told = await desk.do(made, "feedback", desk.li, status="following", horizon=horizon, note="已联系")
    assert (status, told["status"], told["horizon"], told["due_on"]) == (200, "following", horizon, due_on)
    steps = (await desk.shop.get(f"/referrals/{made['id']}/steps", desk.li))[1]["items"]
    assert [(step["status"], step["note"], step["actor"]) for step in steps] == [
        ("open", None, "li"), ("following", "已联系", "li"),
    ]  # fmt: skip


def test_the_rhythm_is_a_setting():
    assert Settings(data_keys=(DATA_KEY,), lead_rhythm_days="1,2,3,4").lead_rhythm_days == (1, 2, 3, 4)
    with pytest.raises(ValueError, match="at least 4"):
        Settings(data_keys=(DATA_KEY,), lead_rhythm_days="1,2")
    assert len(Horizon) == 4


async def test_overdue_feedback_goes_to_the_chapter_then_to_headquarters(desk: Desk):
    made = await desk.registered(await desk.shop.member())
    await desk.night(days=7)
    assert (await desk.read(made))["escalated"] is None
    await desk.night(days=8)
    assert (await desk.read(made, desk.shop.director))["escalated"] == "chapter"
    found = (await desk.shop.get("/referrals", desk.shop.director, escalated="chapter", limit=200))[1]
    assert made["id"] in [one["id"] for one in found["items"]]
    await desk.night(days=15)
    found = (await desk.shop.get("/referrals", desk.shop.hq, escalated="headquarters", limit=200))[1]
    assert made["id"] in [one["id"] for one in found["items"]]
    # whoever reports ends it
    status, told = await desk.do(made, "feedback", desk.shop.director, status="following", horizon="month")
    assert (status, told["escalated"]) == (200, None)


async def test_leads_by_the_day_they_are_due(desk: Desk):
    member = await desk.shop.member()
    soon, late = await desk.registered(member), await desk.registered(member)
    await desk.do(late, "feedback", desk.li, status="following", horizon="later")
    due = (await desk.shop.get("/referrals", desk.li, due_by="2026-11-28", limit=200))[1]["items"]
    ids = [one["id"] for one in due]
    assert soon["id"] in ids
    assert late["id"] not in ids


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"status": "following"}, ("/horizon", "missing")),
        ({"status": "ordered"}, ("/ordered_on", "missing")),
        ({"status": "lost"}, ("/note", "missing")),
        ({"status": "ordered", "ordered_on": "2026-11-22"}, ("/ordered_on", "date_in_future")),
        ({"status": "delivered"}, ("/status", "literal_error")),
    ],
)
async def test_what_feedback_lacks(desk: Desk, body: dict[str, str], fault: tuple[str, str]):
    made = await desk.registered(await desk.shop.member())
    status, refused = await desk.do(made, "feedback", desk.li, **body)
    assert (status, pointers(refused)) == (422, [fault])


async def test_an_order_before_the_referral_is_too_late(desk: Desk):
    made = await desk.registered(await desk.shop.member())
    status, refused = await desk.do(made, "feedback", desk.li, status="ordered", ordered_on="2026-11-20")
    assert (status, refused["type"]) == (409, "/problems/registered-too-late")


async def test_a_lost_lead_frees_its_buyer(desk: Desk):
    first, second = await desk.shop.member(), await desk.shop.member()
    made = await desk.registered(first)
    status, lost = await desk.do(made, "feedback", desk.li, status="lost", note="买了别的")
    assert (status, lost["status"], lost["due_on"]) == (200, "lost", None)
    status, refused = await desk.do(made, "feedback", desk.li, status="following", horizon="month")
    assert (status, refused["type"]) == (409, "/problems/wrong-status")
    assert (await desk.register(second, buyer_phone=made["buyer_phone"]))[0] == 201


async def test_members_give_no_feedback(desk: Desk):
    member = await desk.shop.member()
    made = await desk.registered(member)
    assert (await desk.do(made, "feedback", desk.of(member), status="lost", note="x"))[0] == 403
    assert (await desk.shop.get(f"/referrals/{made['id']}/steps", desk.of(member)))[0] == 403
    assert (await desk.do(made, "feedback", desk.foreign, status="lost", note="x"))[0] == 404
    assert (await desk.do(made, "decision", desk.shop.api.token(Role.MEMBER, member=member.id), granted=True))[0] == 403


def test_the_table_has_a_way_out_of_all_but_the_ends():
    assert set(REFERRAL_TRANSITIONS) == set(ReferralStatus)
    for status, to in product(LIVE, (ReferralStatus.DELIVERED, ReferralStatus.LOST, ReferralStatus.WITHDRAWN)):
        assert to in REFERRAL_TRANSITIONS[status]
    assert not REFERRAL_TRANSITIONS[ReferralStatus.WITHDRAWN]
    assert set(ENDED).isdisjoint(LIVE)


async def test_buyers_of_long_ago_are_forgotten(desk: Desk):
    made = await desk.registered(await desk.shop.member())
    await desk.do(made, "feedback", desk.li, status="lost", note="电话 13612345678")
    await desk.night(days=365)
    assert (await desk.read(made))["buyer_name"] == "赵敏"
    await desk.night(days=366)
    found = await desk.read(made)
    assert (found["buyer_name"], found["buyer_phone"], found["status"]) == (None, None, "lost")
    steps = (await desk.shop.get(f"/referrals/{made['id']}/steps", desk.shop.hq))[1]["items"]
    assert [step["note"] for step in steps] == [None, None]
    assert (await desk.do(made, "appeal", desk.li, reason="x"))[1]["type"] == "/problems/wrong-status"
