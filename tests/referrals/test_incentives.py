"""Incentives: headquarters pays chapters, a chapter its consultants, each month by a list with its reasons."""

import csv
from asyncio import gather
from io import BytesIO, StringIO
from itertools import count

import asyncpg
import pytest
from openpyxl import load_workbook

from app.core.actors import Role
from app.privacy import retention
from tests.members.conftest import car
from tests.now import NOW
from tests.referrals.conftest import Desk, buyer
from tests.referrals.office import (
    CHAPTER,
    DECEMBER,
    JANUARY,
    RECRUIT,
    SUCCESS,
    Body,
    Office,
    document,
    later,
    rule,
    sold,
)
from tests.shop import pointers

_cars = count(600_001)


async def test_a_chapter_pays_its_consultants_and_mends_it_next_month(office: Office, desk: Desk):
    written = await office.write("director")
    kept, undone = await sold(desk), await sold(desk)
    later(office, DECEMBER)
    first = await office.draw_up("director", "2026-11")
    mine = {document(made) for made in (kept, undone)}
    earned = [line for line in await office.lines("director", first) if line[2] in mine]
    assert sorted(earned) == sorted(("earned", "li", one, SUCCESS) for one in mine)
    assert (first["status"], first["dealer_code"]) == ("draft", "BJ001")
    assert first["payees"] == [{"payee": "li", "lines": first["fen"] // SUCCESS, "fen": first["fen"]}]
    found = (await office.send("director", "GET", f"/incentive-lists/{first['id']}/lines?limit=1"))[1]["items"][0]
    assert (found["rule"], found["inputs"]) == (written["code"], {})

    approved = await office.approved("manager", first)
    paid = (await office.step("manager", approved, "payment", {"reference": "11月工资"}))[1]
    assert (paid["status"], paid["approved_by"], paid["paid_by"]) == ("paid", "manager", "manager")

    # what was taken back after the month is taken back by the next list, which has nothing else to say of it
    reason = {"reason": "退车"}
    answer = await office.send("admin", "POST", f"/deliveries/{undone['delivery']}/cancellation", reason)
    assert answer[0] in (200, 201, 204), answer
    later(office, JANUARY)
    second = await office.draw_up("director", "2026-12")
    assert await office.lines("director", second) == [("correction", "li", document(undone), -SUCCESS)]
    assert second["fen"] == -SUCCESS
    await office.approved("manager", second)
    assert (await office.lines("manager", first)) == (await office.lines("director", first))


async def test_what_came_to_light_late_is_paid_late(office: Office, desk: Desk):
    await office.write("director")
    later(office, DECEMBER)
    await office.approved("manager", await office.draw_up("director", "2026-11"))
    later(office, NOW)
    found = await sold(desk)
    later(office, JANUARY)
    lines = await office.lines("director", await office.draw_up("director", "2026-12"))
    assert lines == [("late", "li", document(found), SUCCESS)]


async def test_a_lead_that_changed_hands_is_paid_to_one(office: Office, desk: Desk):
    await office.write("director")
    found = await sold(desk)
    later(office, DECEMBER)
    await office.approved("manager", await office.draw_up("director", "2026-11"))
    await office.shop.pool.execute("UPDATE referral SET consultant = 'wang' WHERE id = $1::uuid", found["id"])
    later(office, JANUARY)
    lines = await office.lines("director", await office.draw_up("director", "2026-12"))
    assert sorted(lines) == [
        ("correction", "li", document(found), -SUCCESS), ("late", "wang", document(found), SUCCESS)
    ]  # fmt: skip


async def test_recruits_are_whose_car_was_delivered(office: Office, desk: Desk):
    await office.write("director", trigger="enrolment", amount=str(RECRUIT), condition='event.source == "delivery"')
    phone = buyer()["buyer_phone"]
    delivered = await desk.deliver(phone)
    body = {"name": "王芳", "phone": phone, "vin": delivered["vin"], "source": "delivery", "dealer_code": "BJ001"}
    status, member = await desk.shop.post("/members", body, desk.shop.hq)
    assert status == 201, member
    nobodys = await desk.shop.member()
    later(office, DECEMBER)
    made = await office.draw_up("director", "2026-11")
    lines = await office.lines("director", made)
    assert ("earned", "li", f"enrolment:{member['id']}", RECRUIT) in lines
    # a member without a consultant is nobody's recruit, and said to be so
    assert not [line for line in lines if str(nobodys.id) in line[2]]
    assert made["unassigned"] > 0


async def test_headquarters_pays_chapters_which_see_their_own_part(office: Office, desk: Desk):
    await office.write("hq", amount=str(CHAPTER))
    own = await sold(desk)
    later(office, DECEMBER)
    made = await office.draw_up("hq", "2026-11")
    assert (made["dealer_code"], {payee["payee"] for payee in made["payees"]}) == (None, {"BJ001"})
    assert ("earned", "BJ001", document(own), CHAPTER) in await office.lines("hq", made)
    path = f"/incentive-lists/{made['id']}"
    assert (await office.send("director", "GET", path))[0] == 404, "a draft is headquarters' own"
    approved = await office.approved("finance", made)
    assert (await office.send("director", "GET", path))[1]["fen"] == made["fen"]
    for who, fen in (("director", made["fen"]), ("foreign", 0)):
        listed = (await office.send(who, "GET", "/incentive-lists?month=2026-11&status=approved"))[1]["items"]
        assert [(one["id"], one["fen"]) for one in listed] == [(made["id"], fen)]
    assert (await office.send("foreign", "GET", path))[1]["payees"] == []
    assert await office.lines("foreign", made) == []
    # a chapter's manager does not pay with headquarters' money
    assert (await office.step("manager", approved, "payment", {"reference": "x"}))[0] == 403
    assert (await office.step("finance", approved, "payment", {"reference": "x"}))[0] == 200


async def test_a_list_is_approved_as_it_was_seen(office: Office, desk: Desk):
    await office.write("director")
    later(office, DECEMBER)
    made = await office.draw_up("director", "2026-11")
    later(office, NOW)
    await sold(desk)
    later(office, DECEMBER)
    status, refusal = await office.step("manager", made, "approval")
    assert (status, refusal["type"]) == (409, "/problems/incentive-list-outdated")
    anew = await office.draw_up("director", "2026-11")
    assert (anew["id"], anew["fen"]) == (made["id"], made["fen"] + SUCCESS)
    assert (await office.step("manager", made, "approval"))[0] == 412
    approved = await office.approved("manager", anew)
    status, refusal = await office.send("director", "POST", "/incentive-lists", {"month": "2026-11"})
    assert (status, refusal["type"]) == (409, "/problems/wrong-status")
    assert (await office.step("manager", approved, "approval"))[0] == 409
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await office.shop.pool.execute("UPDATE incentive_line SET fen = 1 WHERE list_id = $1::uuid", made["id"])
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await office.shop.pool.execute("DELETE FROM incentive_line WHERE list_id = $1::uuid", made["id"])


async def test_a_rule_without_a_value_says_so_and_stops_nothing(office: Office, desk: Desk):
    # whole for the example, but of a first success there is nothing to divide by
    amount = "100 / (event.successes - 1)"
    example = {"fields": {"party": "referrer", "successes": 2}, "on": "2026-11-10", "fen": 100}
    await office.write("director", amount=amount, fen=100, examples=[example])
    await office.write("director")
    found = await sold(desk)
    later(office, DECEMBER)
    made = await office.draw_up("director", "2026-11")
    lines = [line for line in await office.lines("director", made) if line[2] == document(found)]
    assert sorted(lines) == [("earned", "li", document(found), SUCCESS), ("failed", "li", document(found), 0)]


async def test_who_was_merged_was_no_recruit(office: Office, desk: Desk):
    await office.write("director", trigger="enrolment", amount=str(RECRUIT), condition='event.source == "showroom"',
                       examples=[{"fields": {"source": "showroom"}, "on": "2026-11-10", "fen": RECRUIT}])  # fmt: skip
    before = await desk.shop.member()
    await hired(office, "ling")
    again = await enrolled(desk, "ling")
    later(office, DECEMBER)
    first = await office.approved("manager", await office.draw_up("director", "2026-11"))
    # who enrolled goes before whose car it was
    assert await office.lines("director", first) == [("earned", "ling", f"enrolment:{again}", RECRUIT)]
    merged = {"from_id": again, "into_id": str(before.id), "reason": "同一人"}
    assert (await office.send("admin", "POST", "/members/merges", merged))[0] == 201
    later(office, JANUARY)
    lines = await office.lines("director", await office.draw_up("director", "2026-12"))
    assert lines == [("correction", "ling", f"enrolment:{again}", -RECRUIT)]


async def enrolled(desk: Desk, username: str) -> str:
    """A new member whom somebody of BJ001 enrols; its id."""
    token = desk.shop.api.token(Role.CARE_STAFF, dealer="BJ001", subject=username)
    serial = next(_cars)
    body = {"name": "周杰", "phone": f"134{serial:08d}", "vin": car(serial), "source": "showroom"}
    status, made = await desk.shop.post("/members", body, token)
    assert status == 201, made
    return str(made["id"])


async def hired(office: Office, username: str) -> None:
    """One of BJ001's staff."""
    body = {"username": username, "name": "玲", "role": "care_staff", "password": "another horse battery 马"}
    status, made = await office.send("admin", "POST", "/dealers/BJ001/staff", body)
    assert status == 201, made


async def test_what_tells_of_a_member_is_forgotten_with_it_and_the_money_stays(office: Office, desk: Desk):
    await office.write("director", condition='member.source == "delivery"', examples=[
        {"fields": {"party": "referrer"}, "member": {"source": "delivery"}, "on": "2026-11-10", "fen": SUCCESS},
    ])  # fmt: skip
    member = await desk.shop.member()
    made = await desk.registered(member)
    await desk.deliver(made["buyer_phone"])
    later(office, DECEMBER)
    approved = await office.approved("manager", await office.draw_up("director", "2026-11"))
    inputs = "SELECT inputs::text FROM incentive_line WHERE member_id = $1"
    assert await office.shop.pool.fetchval(inputs, member.id) == '{"member.source": "delivery"}'
    left = {"to": "left", "reason": "搬家"}
    assert (await office.send("admin", "POST", f"/members/{member.id}/status", left))[0] == 200
    async with office.shop.api.db.session() as session:
        await retention.erase(session, member.id, DECEMBER)
    assert await office.shop.pool.fetchval(inputs, member.id) == "{}"
    assert ("earned", "li", document(made), SUCCESS) in await office.lines("manager", approved)


async def test_two_who_draw_up_at_once_draw_up_one_list(office: Office, desk: Desk):
    await office.write("director")
    await sold(desk)
    later(office, DECEMBER)
    one, other = await gather(office.draw_up("director", "2026-11"), office.draw_up("director", "2026-11"))
    assert (one["id"], one["fen"]) == (other["id"], other["fen"])
    assert sorted([one["version"], other["version"]]) == [1, 2]


async def test_a_list_is_a_file_to_pay_from(office: Office, desk: Desk):
    await office.write("director", amount=f"event.is_repurchase ? 0 : {SUCCESS}", fen=SUCCESS)
    found = await sold(desk)
    later(office, DECEMBER)
    made = await office.draw_up("director", "2026-11")
    path = f"/incentive-lists/{made['id']}/export"
    status, content = await office.send("director", "GET", path)
    assert status == 200
    rows = {row["document"]: row for row in csv.DictReader(StringIO(content.decode("utf-8-sig")))}
    row = rows[document(found)]
    assert (row["payee"], row["to_pay_fen"], row["to_take_back_fen"]) == ("li", str(SUCCESS), "0")
    assert row["reason"] == "event.is_repurchase=False"
    book = (await office.send("director", "GET", f"{path}?format=xlsx"))[1]
    assert load_workbook(BytesIO(book)).worksheets[0].max_row == len(rows) + 1
    assert (await office.send("manager", "GET", path))[0] == 403, "to view is not to export"


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ({"amount": "event.sum", "fen": 0}, ("/terms/amount_fen", "expression_unknown_name")),
        ({"amount": "event.party", "fen": 0}, ("/terms/amount_fen", "expression_not_number")),
        ({"fen": 1}, ("/terms/examples/0/fen", "rule_example_differs")),
        ({"amount": "0 - 5", "fen": 0}, ("/terms/examples/0", "rule_example_fails")),
        ({"condition": "event.successes / 0 == 1"}, ("/terms/examples/0", "rule_example_fails")),
        ({"valid_until": "2026-10-31"}, ("/terms", "rule_dates")),
        ({"trigger": "birthday"}, ("/terms/trigger", "enum")),
        ({"examples": []}, ("/terms/examples", "value_invalid")),
        ({"pace": {"from_nth": 3, "to_nth": 2}}, ("/terms/pace", "pace_order")),
        ({"pace": {"from_nth": 0}}, ("/terms/pace/from_nth", "greater_than_equal")),
        ({"pace": {"least_joining_percent": 101}}, ("/terms/pace/least_joining_percent", "less_than_equal")),
    ],
)
async def test_a_wrong_rule_is_refused(office: Office, written: Body, fault: tuple[str, str]):
    status, refusal = await office.send("director", "POST", "/incentive-rules", rule(**written))
    assert (status, pointers(refusal)) == (422, [fault])


async def test_rules_only_end(office: Office):
    made = await office.write("director")
    path = f"/incentive-rules/{made['id']}"
    status, refusal = await office.send("director", "POST", f"{path}/ending", {"last_day": "2026-11-20"})
    assert (status, pointers(refusal)) == (422, [("/last_day", "incentive_ending")])
    status, ended = await office.send("director", "POST", f"{path}/ending", {})
    assert (status, ended["valid_until"], ended["terms"]["valid_until"]) == (200, "2026-11-21", None)
    later_day = {"last_day": "2026-11-22"}
    assert (await office.send("director", "POST", f"{path}/ending", later_day, 2))[0] == 422
    assert (await office.send("director", "POST", f"{path}/ending", {}, 1))[0] == 412
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await office.shop.pool.execute("UPDATE incentive_rule SET definition = '{}' WHERE id = $1::uuid", made["id"])


async def test_whose_scheme_it_is(office: Office):
    own, general = await office.write("director"), await office.write("hq")
    assert (await office.send("foreign", "GET", f"/incentive-rules/{own['id']}"))[0] == 404
    assert (await office.send("foreign", "GET", f"/incentive-rules/{general['id']}"))[0] == 200
    assert (await office.send("director", "POST", f"/incentive-rules/{general['id']}/ending", {}))[0] == 403
    assert (await office.send("consultant", "GET", "/incentive-rules"))[0] == 403
    foreign = rule() | {"dealer_code": "SH001"}
    assert (await office.send("director", "POST", "/incentive-rules", foreign))[0] == 404
    taken = rule() | {"code": own["code"]}
    status, refusal = await office.send("hq", "POST", "/incentive-rules", taken)
    assert (status, refusal["type"]) == (409, "/problems/rule-exists")
    status, refusal = await office.send("director", "POST", "/incentive-lists", {"month": "2026-11"})
    assert (status, pointers(refusal)) == (422, [("/month", "month_not_over")])
    later(office, DECEMBER)
    made = await office.draw_up("director", "2026-11")
    assert (await office.send("foreign", "GET", f"/incentive-lists/{made['id']}"))[0] == 404
    assert (await office.step("foreign", made, "approval"))[0] == 404
    assert (await office.step("director", made, "approval"))[0] == 403
    assert (await office.step("manager", made, "payment", {"reference": "x"}))[0] == 409
