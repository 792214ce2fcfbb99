"""Events under rules, through the API: judged, posted once, explained, limited, kept for a person, taken back."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from app.core.actors import Role
from app.core.tabular import Row
from app.earning import awards, limits
from app.earning.awards import Event
from app.earning.triggers import Trigger
from app.points.ledger import Request
from app.visits.rules import COLUMNS
from app.visits.service import import_orders
from app.wiring import verify
from tests.earning.telling import answered, budget, cases, decide, lots, survey_rule, tell, used
from tests.earning.writing import Body, act, published
from tests.members.merges import merged, undo
from tests.now import NOW
from tests.shop import Shop, order

# --- one event ---


async def test_a_rehearsal_tells_of_every_rule_and_posts_nothing(shop: Shop):
    rule, other = await survey_rule(shop), await survey_rule(shop)
    member = await shop.member()
    told = await tell(shop, answered(rule, member), dry_run=True)
    verdicts = {one["code"]: (one["verdict"], one["points"]) for one in told["considered"]}
    assert verdicts[rule["code"]] == ("gives", 50)
    assert verdicts[other["code"]] == ("not_matched", 0)
    assert (told["points"], await lots(shop, member)) == (50, [])


async def test_an_event_earns_once(shop: Shop):
    rule, member = await survey_rule(shop), await shop.member()
    event = answered(rule, member)
    first = await tell(shop, event)
    assert (first["points"], first["replayed"], first["lots"][0]["funder"]) == (50, False, "HQ")
    again = await shop.api.call("POST", "/points/earnings", shop.program, json=event, key="another key")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json()["posting_nos"] == first["posting_nos"]
    for changed in (answered(rule, member, score=4, key=event["key"]), event | {"dealer_code": "SH001"}):
        status, answer = await shop.post("/points/earnings", changed, shop.program)
        assert (status, answer["type"]) == (409, "/problems/document-conflict")
    assert await shop.wallet(member) == (50, 0, 0, 0)


async def test_an_event_brought_again_after_a_merge_has_its_first_answer(shop: Shop):
    rule, kept, gone = await survey_rule(shop), await shop.member(), await shop.member()
    event = answered(rule, gone)
    first = await tell(shop, event)
    await merged(shop, gone, kept)
    again = await tell(shop, event)
    assert (again["replayed"], again["posting_nos"]) == (True, first["posting_nos"])
    assert await shop.wallet(kept) == (50, 0, 0, 0)


@pytest.mark.parametrize(
    ("trigger", "fields", "amount", "points"),
    [
        (Trigger.SURVEY_ANSWERED, {"survey": "spring", "answers": 3, "score": 5}, "event.answers * event.score", 15),
        (Trigger.PROFILE_COMPLETED, {"percent": 80}, "event.percent >= 80 ? 40 : 0", 40),
        (Trigger.COMMUNITY_ACTIVITY, {"kind": "post", "count": 3}, 'event.kind == "post" ? event.count * 2 : 0', 6),
        (Trigger.CUSTOM, {"name": "wash", "label": "洗车", "amount_fen": 9_900}, "event.amount_fen / 100", 99),
    ],
)
async def test_events_of_programs_earn_by_published_rules(
    shop: Shop, trigger: Trigger, fields: Body, amount: str, points: int
):
    """For a dealer of its own each, so that no rule of another test answers."""
    example = {"fields": fields, "dealer": {"code": "SH001"}, "on": "2026-11-21", "points": points}
    rule = await published(
        shop, shop.hq, trigger=trigger, condition='dealer.code == "SH001"', amount=amount, examples=[example]
    )
    member = await shop.member()
    event = {"trigger": trigger, "key": uuid4().hex, "member_id": str(member.id), "dealer_code": "SH001"}
    told = await tell(shop, event | {"fields": fields})
    assert [(lot["code"], lot["points"]) for lot in told["lots"]] == [(rule["code"], points)]
    assert await shop.wallet(member) == (points, 0, 0, 0)
    elsewhere = event | {"key": uuid4().hex, "dealer_code": "BJ001", "fields": fields}
    assert rule["code"] not in [lot["code"] for lot in (await tell(shop, elsewhere))["lots"]]


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"fields": {"survey": "x", "grade": 1}}, "/fields/grade", "rule_field_unknown"),
        ({"fields": {"score": 1}}, "/fields/survey", "missing"),
        ({"fields": {"survey": "x", "score": "1"}}, "/fields/score", "rule_value_number"),
        ({"dealer_code": "XX999"}, "/dealer_code", "unknown_dealer"),
        ({"trigger": "repair_order"}, "", "cause_reserved"),
        ({"points": 5}, "/points", "extra_forbidden"),
    ],
)
async def test_events_that_cannot_be_judged(shop: Shop, change: Body, pointer: str, code: str):
    rule, member = await survey_rule(shop), await shop.member()
    status, answer = await shop.post("/points/earnings", answered(rule, member) | change, shop.program)
    assert status == 422, answer
    assert (pointer, code) in [(error["pointer"], error["code"]) for error in answer["errors"]]


async def test_each_share_is_a_lot_and_all_go_back_together(shop: Shop):
    funders = [{"party": "hq", "percent": "33.33"}, {"party": "dealer", "percent": "66.67"}]
    rule, member = await survey_rule(shop, funders=funders), await shop.member()
    event = answered(rule, member)
    told = await tell(shop, event)
    document = f"survey_answered:{event['key']}"
    assert [lot[:2] for lot in await lots(shop, member)] == [("HQ", 17), ("BJ001", 33)]
    assert [lot[-1] for lot in await lots(shop, member)] == [document, f"survey_answered.2:{event['key']}"]
    body = {"member_id": str(member.id), "posting_no": told["posting_nos"][1], "reason": "误报"}
    assert (await shop.post("/points/reversals", body, shop.hq))[0] == 201
    assert await shop.wallet(member) == (0, 0, 0, 0)


async def test_a_domain_takes_back_what_its_document_earned(shop: Shop):
    rule, member = await survey_rule(shop), await shop.member()
    document = f"survey_answered:{uuid4().hex}"
    fields = {"survey": rule["survey"], "score": 3}
    event = Event(Trigger.SURVEY_ANSWERED, document, member.id, None, NOW.date(), fields)
    async with shop.api.db.transaction() as connection:
        assert (await awards.award(connection, event, Request("test", "k", NOW))).points == 30
        assert await awards.reverse(connection, document, reason="撤回", request=Request("test", "r", NOW)) == 30
        assert await awards.reverse(connection, document, reason="撤回", request=Request("test", "s", NOW)) == 0
        # a document that earns anew is another attempt
        again = await awards.award(connection, event._replace(attempt=2), Request("test", "k2", NOW))
    assert (again.points, await shop.wallet(member)) == (30, (30, 0, 0, 0))


# --- why ---


async def test_a_member_is_told_why(shop: Shop):
    rule, member = await survey_rule(shop), await shop.member()
    posting = (await tell(shop, answered(rule, member)))["posting_nos"][0]
    own = shop.api.token(Role.MEMBER, member=member.id)
    path = f"/members/{member.id}/postings/{posting}/why"
    status, told = await shop.get(path, own)
    assert (status, told["code"], told["points"]) == (200, rule["code"], 50)
    assert told["inputs"] == {"event.score": 5, "event.survey": rule["survey"]}
    assert (told["funder"], told["amount"]) == (None, None)
    status, told = await shop.get(path, shop.hq)
    assert (told["funder"], told["amount"], told["names"]) == ("HQ", "event.score * 10", {"zh": "规则", "en": "Rule"})
    stranger = await shop.member()
    assert (await shop.get(path, shop.api.token(Role.MEMBER, member=stranger.id)))[0] == 404
    decided = await shop.earn(member, 7)
    assert (await shop.get(f"/members/{member.id}/postings/{decided[1]['posting_no']}/why", shop.hq))[0] == 404


async def test_an_order_is_explained_by_its_own_row(shop: Shop):
    member = await shop.member()
    assert (await shop.post("/repair-orders", order(member.vin), shop.hq))[0] == 201
    status, told = await shop.get(f"/members/{member.id}/postings/1/why", shop.hq)
    assert (status, told["code"], told["points"], told["inputs"]["event.paid_fen"]) == (200, "orders", 123, 12_345)
    assert not await shop.pool.fetchval("SELECT count(*) FROM award WHERE member_id = $1", member.id)


# --- limits ---


async def test_a_cap_cuts_what_is_given(shop: Shop):
    rule, member = await survey_rule(shop, caps={"per_member_month": 70}), await shop.member()
    assert [(await tell(shop, answered(rule, member)))["points"] for _ in range(3)] == [50, 20, 0]
    other = await shop.member()
    assert (await tell(shop, answered(rule, other)))["points"] == 50


async def test_what_is_taken_back_may_be_given_again(shop: Shop):
    code = await budget(shop, 100)
    rule, member = await survey_rule(shop, caps={"per_member_day": 50}, budgets=[code]), await shop.member()
    told = await tell(shop, answered(rule, member))
    assert ((await tell(shop, answered(rule, member)))["points"], await used(shop, code)) == (0, 50)
    body = {"member_id": str(member.id), "posting_no": told["posting_nos"][0], "reason": "误报"}
    assert (await shop.post("/points/reversals", body, shop.hq))[0] == 201
    assert await used(shop, code) == 0
    assert (await tell(shop, answered(rule, member)))["points"] == 50


@pytest.mark.parametrize("locked", [True, False])
async def test_a_budget_is_never_overdrawn_by_a_race(shop: Shop, monkeypatch: pytest.MonkeyPatch, locked: bool):
    """Without the lock of its counter the same race overdraws it: all of them read it before one has written."""
    code = await budget(shop, 170)
    rule = await survey_rule(shop, budgets=[code])
    assert (await tell(shop, answered(rule, await shop.member())))["points"] == 50
    members = [await shop.member() for _ in range(8)]
    if not locked:
        monkeypatch.setattr(limits, "_LOCK_PURSES", "SELECT budget_code, begins, points FROM budget_use" + _THESE)
        monkeypatch.setattr(limits._Counters, "write", _late(limits._Counters.write))
    told = await asyncio.gather(*(tell(shop, answered(rule, member)) for member in members))
    given = sum(one["points"] for one in told)
    if locked:
        assert (given, await used(shop, code), sum(len(one["cases"]) for one in told)) == (100, 150, 6)
    else:
        assert given > 120


_THESE = " WHERE (budget_code, begins) IN (SELECT * FROM unnest($1::text[], $2::date[]))"


def _late(write: Any) -> Any:
    async def later(*counters: Any) -> None:
        await asyncio.sleep(0.3)
        await write(*counters)

    return later


async def test_a_cap_counts_for_both_of_two_who_are_merged(shop: Shop):
    rule, one, other = await survey_rule(shop, caps={"per_member_month": 70}), await shop.member(), await shop.member()
    assert (await tell(shop, answered(rule, one)))["points"] == 50
    await merged(shop, one, other)
    assert (await tell(shop, answered(rule, other)))["points"] == 20


async def test_what_was_given_counts_for_whom_it_was_given_after_a_merge_is_undone(shop: Shop):
    rule, one, other = await survey_rule(shop, caps={"per_member_month": 70}), await shop.member(), await shop.member()
    assert (await tell(shop, answered(rule, one)))["points"] == 50
    merge = await merged(shop, one, other)
    assert (await tell(shop, answered(rule, other)))["points"] == 20
    status, answer = await undo(shop, merge)
    assert status == 200, answer
    told = [await tell(shop, answered(rule, member)) for member in (one, other)]
    assert [one["points"] for one in told] == [20, 50]
    body = {"member_id": str(other.id), "posting_no": told[1]["posting_nos"][0], "reason": "误报"}
    assert (await shop.post("/points/reversals", body, shop.hq))[0] == 201
    assert [(await tell(shop, answered(rule, member)))["points"] for member in (one, other)] == [0, 50]


async def test_what_the_merged_gave_back_may_be_given_again(shop: Shop):
    """The points went on to another: taken back there, they count no longer for either."""
    rule, one, other = await survey_rule(shop, caps={"per_member_month": 70}), await shop.member(), await shop.member()
    event = answered(rule, one)
    await tell(shop, event)
    await merged(shop, one, other)
    async with shop.api.db.transaction() as connection:
        document = f"survey_answered:{event['key']}"
        assert await awards.reverse(connection, document, reason="撤回", request=Request("test", "m", NOW)) == 50
    assert await shop.wallet(other) == (0, 0, 0, 0)
    assert [(await tell(shop, answered(rule, other)))["points"] for _ in range(2)] == [50, 20]


async def test_what_failed_is_given_under_the_newest_version(shop: Shop):
    rule, member = await survey_rule(shop, amount="event.score * 10 / (event.answers - 3)", examples=[
        {"fields": {"survey": "other", "score": 2}, "on": "2026-11-21", "points": 0}]), await shop.member()  # fmt: skip
    event = answered(rule, member)
    event["fields"]["answers"] = 3
    assert (await tell(shop, event))["points"] == 0
    (case,) = await cases(shop, member)
    assert (case["kind"], "zero" in case["reason"].lower()) == ("parked", True), case
    status, answer = await decide(shop, case, "approval")
    assert (status, answer["type"]) == (409, "/problems/earning-still-fails")

    _, read = await shop.get(f"/rules/{rule['id']}", shop.hq)
    mended = read["published"]["definition"] | {"amount": "event.score * 10"}
    status, read = await act(shop, read, "", shop.hq, definition=mended)
    assert status == 200, read
    assert (await act(shop, read, "/publication", shop.hq))[0] == 200
    assert (await decide(shop, case, "approval"))[1]["points"] == 50
    assert await shop.wallet(member) == (50, 0, 0, 0)
    assert (await decide(shop, case, "approval"))[0] == 409


async def test_a_budget_used_up_in_the_middle_of_an_import(shop: Shop):
    """Every row is posted; those that the budget could not give to say so, and wait for a person."""
    code = await budget(shop, 250)
    await published(
        shop, shop.hq, budgets=[code], condition='dealer.code == "BJ001" && event.labour_fen == 7',
        examples=[{"fields": {"kind": "repair", "paid_fen": 12_345, "labour_fen": 7}, "dealer": {"code": "BJ001"},
                   "on": "2026-11-21", "points": 123}],
    )  # fmt: skip
    member = await shop.member()
    rows = [
        Row(line, [cells[name] for name in COLUMNS])
        for line in range(2, 6)
        for cells in [{key: str(value) for key, value in order(member.vin, labour_fen=7, parts_fen=12_338).items()}]
    ]
    report, notes = await import_orders(shop.api.db, rows, actor="test", now=NOW)
    assert (report.posted, report.refused, report.parked) == (4, 0, 2)
    assert report.points == 4 * 123 + 2 * 123
    assert [note.line for note in notes] == [4, 5]
    assert f"budget {code} has 4 of 123 points left" in notes[0].reason
    waiting = await cases(shop, member, kind="budget", status="open")
    assert [case["points"] for case in waiting] == [123, 123]

    status, answer = await decide(shop, waiting[0], "approval")
    assert (status, answer["type"]) == (409, "/problems/earning-still-fails")
    raised = await shop.api.call(
        "PATCH", f"/points/budgets/{code}", shop.hq, json={"points": 400}, headers={"If-Match": '"1"'}
    )
    assert raised.status_code == 200
    assert (await decide(shop, waiting[0], "approval"))[1]["status"] == "approved"
    assert (await decide(shop, waiting[1], "refusal"))[1]["status"] == "refused"
    status, answer = await decide(shop, waiting[1], "approval")
    assert (status, answer["type"]) == (409, "/problems/wrong-status")
    assert await shop.wallet(member) == (7 * 123, 0, 0, 0)
    # an order's lots stand and fall together
    cancelled = await shop.post(f"/repair-orders/BJ001/{rows[0].cells[1]}/cancellation", {"reason": "退单"}, shop.hq)
    assert cancelled[0] in (200, 204), cancelled
    left = 7 * 123 - 246 - (123 if waiting[0]["document"].endswith(rows[0].cells[1]) else 0)
    assert await shop.wallet(member) == (left, 0, 0, 0)


# --- for a person ---


async def test_what_is_held_for_review_waits(shop: Shop):
    rule, member = await survey_rule(shop, hold_for_review="event.score > 4"), await shop.member()
    event = answered(rule, member)
    told = await tell(shop, event)
    assert (told["points"], len(told["cases"])) == (0, 1)
    assert (await tell(shop, event))["cases"] == told["cases"]
    for other in ({"member_id": str((await shop.member()).id)}, {"dealer_code": "SH001"}):
        status, answer = await shop.post("/points/earnings", event | other, shop.program)
        assert (status, answer["type"]) == (409, "/problems/document-conflict")
    (case,) = await cases(shop, member)
    assert (case["kind"], case["points"], case["reason"]) == ("review", 50, "event.score > 4")
    assert (await shop.post(f"/points/cases/{case['id']}/approval", {"reason": "好"}, shop.director))[0] == 403
    status, answer = await decide(shop, case, "approval")
    assert status == 200, answer
    assert await shop.wallet(member) == (50, 0, 0, 0)
    assert (await tell(shop, answered(rule, member, score=4)))["points"] == 40


async def test_the_timeline_tells_the_staff_of_a_case(shop: Shop):
    rule, member = await survey_rule(shop, hold_for_review="event.score > 4"), await shop.member()
    await tell(shop, answered(rule, member))
    (case,) = await cases(shop, member)
    async with shop.at(NOW + timedelta(hours=1)):
        assert (await decide(shop, case, "refusal"))[0] == 200
    path, own = f"/members/{member.id}/timeline", shop.api.token(Role.MEMBER, member=member.id)
    _, told = await shop.get(path, shop.director, source="earning_case")
    assert [(one["kind"], one["text"]) for one in told["items"]] == [
        ("refused", "规则“规则”的 50 积分未予发放：核对无误"),
        ("review", "规则“规则”的 50 积分待审核：event.score > 4"),
    ]  # fmt: skip
    for token in (own, shop.advisor):
        assert (await shop.get(path, token, source="earning_case"))[1]["items"] == []


# --- pending ---


async def test_points_wait_for_their_event(shop: Shop):
    pending = {"kind": "until_event", "event": "returned-nothing", "at_most_days": 30}
    rule, member = await survey_rule(shop, pending=pending), await shop.member()
    event = answered(rule, member)
    await tell(shop, event)
    assert await shop.wallet(member) == (0, 50, 0, 0)
    came = {
        "trigger": "custom", "key": f"survey_answered:{event['key']}", "member_id": str(member.id),
        "fields": {"name": "another"},
    }  # fmt: skip
    assert (await tell(shop, came))["released"] == 0
    assert (await tell(shop, came | {"fields": {"name": "returned-nothing"}}))["released"] == 50
    assert await shop.wallet(member) == (50, 0, 0, 0)


async def test_the_books_hold(dsn: str):
    assert {check.name: found for check, found in await verify(dsn) if found} == {}


async def test_points_by_activity_live_on_while_the_member_earns(shop: Shop):
    rule, member = await survey_rule(shop, expiry={"kind": "activity", "months": 3}), await shop.member()
    told = await tell(shop, answered(rule, member))
    assert told["lots"][0]["expires_on"] == "2027-02-28"
    wallet = f"/members/{member.id}/points"
    due = {"expires_on": "2027-02-28", "points": 50, "is_extendable": True}
    assert (await shop.get(wallet, shop.hq))[1]["next_expiries"] == [due]

    async with shop.at(datetime(2027, 1, 10, 4, tzinfo=UTC)):
        assert (await shop.earn(member, 1))[0] == 201
        assert (await shop.get(wallet, shop.hq))[1]["next_expiries"][0] == due
    async with shop.at(datetime(2027, 3, 1, 4, tzinfo=UTC)):
        later = {"expires_on": "2027-04-30", "points": 50, "is_extendable": True}
        assert (await shop.get(wallet, shop.hq))[1]["next_expiries"][0] == later
        assert (await shop.redeem(member, 1, shop.program, dealer_code="BJ001"))[0] == 201
        assert (await shop.get(wallet, shop.hq))[1]["next_expiries"][0] == later | {"points": 49}
        _, page = await shop.get(f"/members/{member.id}/timeline", shop.hq, source="points")
        assert "50 分有效期顺延" in str(page)
        body = {"member_id": str(member.id), "posting_no": told["posting_nos"][0], "reason": "误报"}
        assert (await shop.post("/points/reversals", body, shop.hq))[0] == 201
        assert await shop.wallet(member) == (1, 0, 0, 1)


async def test_points_by_activity_lapse_after_silence(shop: Shop):
    rule, member = await survey_rule(shop, expiry={"kind": "activity", "months": 1}), await shop.member()
    await tell(shop, answered(rule, member))
    async with shop.at(datetime(2026, 12, 31, 4, tzinfo=UTC)):
        assert await shop.wallet(member) == (50, 0, 0, 0)
    async with shop.at(datetime(2027, 1, 1, 4, tzinfo=UTC)):
        assert (await shop.earn(member, 1))[0] == 201
        assert await shop.wallet(member) == (1, 0, 0, 0)
