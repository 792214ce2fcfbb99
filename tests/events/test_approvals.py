"""Deciding on proposals: who decides on what, and against which budget."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.actors import Role
from app.events import budgets as budgets_of_events
from app.events.models import ChapterBudget
from tests.events.desk import DAY, Body, Desk, faults, line, plan
from tests.shop import Shop

NEXT_YEAR: Body = {
    "starts_at": str(DAY + timedelta(days=90)), "ends_at": str(DAY + timedelta(days=91)),
    "registration_closes_at": str(DAY + timedelta(days=80)), "year": 2027,
}  # fmt: skip


@pytest.fixture
async def budgets(desk: Desk) -> None:
    """BJ001 may spend 10,000 yuan and 20,000 points of headquarters' in 2027, and 5,000 yuan of its own."""
    if not (await desk.shop.get("/event-budgets/2027", desk.hq))[1]["items"]:
        assert (await desk.grant("BJ001", 1_000_000, 20_000, year=2027))[0] == 200
        assert (await desk.own(500_000, year=2027))[0] == 200


async def test_each_decides_on_its_own_part(desk: Desk, budgets: None) -> None:
    event = await desk.proposed(lines=[line(planned=10_000), line("dealer:BJ001", 20_000)], **NEXT_YEAR)
    status, half = await desk.decide(event, desk.manager)
    assert (status, half["status"]) == (200, "proposed")
    assert half["awaits"] == [{"part": "rest", "dealer_code": None}]
    assert {one["payer"]: one["granted"] for one in half["lines"]} == {"hq": None, "dealer:BJ001": 20_000}
    status, answer = await desk.decide(event, desk.manager)
    assert (status, answer["type"]) == (409, "/problems/nothing-to-approve")
    status, whole = await desk.decide(event, desk.hq)
    assert (status, whole["status"], whole["awaits"]) == (200, "approved", [])
    assert [(one["part"], one["by"]) for one in whole["approvals"]] == [
        ("own", "general_manager:BJ001"), ("rest", "hq_operations:all")
    ]  # fmt: skip
    assert (await desk.decide(event, desk.hq))[1]["type"] == "/problems/wrong-status"


async def test_a_dealers_own_event_needs_its_manager_alone(desk: Desk, budgets: None) -> None:
    event = await desk.proposed(lines=[line("dealer:BJ001", 1_000)], **NEXT_YEAR)
    assert (await desk.decide(event, desk.hq))[1]["type"] == "/problems/nothing-to-approve"
    assert (await desk.decide(event, desk.manager))[1]["status"] == "approved"


async def test_what_costs_nothing_is_headquarters_to_approve(desk: Desk) -> None:
    event = await desk.proposed()
    assert (await desk.decide(event, desk.manager))[1]["type"] == "/problems/nothing-to-approve"
    assert (await desk.decide(event, desk.north))[1]["status"] == "approved"


async def test_a_region_grants_up_to_its_limit(desk: Desk) -> None:
    event = await desk.proposed(lines=[line(planned=2_000_001)])
    status, answer = await desk.decide(event, desk.north, beyond_budget=True, reason="展销")
    assert (status, answer["type"]) == (409, "/problems/beyond-region-limit")
    assert (answer["needed_fen"], answer["limit_fen"]) == (2_000_001, 2_000_000)
    less = [{"line_id": event["lines"][0]["id"], "granted": 2_000_000}]
    status, answer = await desk.decide(event, desk.north, beyond_budget=True, reason="展销", grants=less)
    assert (status, answer["status"], answer["lines"][0]["granted"]) == (200, "approved", 2_000_000)
    points = await desk.proposed(lines=[line(planned=50_001, kind="points")])
    assert (await desk.decide(points, desk.north))[1]["limit_points"] == 50_000


async def test_a_return_has_reasons_and_begins_a_new_round(desk: Desk, budgets: None) -> None:
    event = await desk.proposed(lines=[line(planned=10_000), line("dealer:BJ001", 1_000)], **NEXT_YEAR)
    assert (await desk.decide(event, desk.manager))[0] == 200
    status, answer = await desk.decide(event, desk.hq, "returned")
    assert (status, faults(answer)) == (422, {"/reason": "missing"})
    status, returned = await desk.decide(event, desk.hq, "returned", reason="费用过高")
    assert (status, returned["status"]) == (200, "returned")
    status, cheaper = await desk.change(returned, lines=[line(planned=5_000), line("dealer:BJ001", 1_000)])
    assert status == 200
    again = await desk.done(cheaper, "proposal")
    assert (again["round"], len(again["awaits"])) == (2, 2)  # the manager decides anew
    assert [one["granted"] for one in again["lines"]] == [None, None]
    assert (await desk.decide(event, desk.manager))[0] == 200
    assert (await desk.decide(event, desk.hq))[1]["status"] == "approved"


async def test_what_is_refused_is_over(desk: Desk) -> None:
    event = await desk.proposed()
    assert (await desk.decide(event, desk.hq, "refused", reason="与品牌不符"))[1]["status"] == "refused"
    for deed in ("proposal", "publication"):
        assert (await desk.do(event, deed))[1]["type"] == "/problems/wrong-status"
    steps = (await desk.shop.get(f"/events/{event['id']}/steps", desk.director))[1]["items"]
    assert steps[-1]["reason"] == "与品牌不符"


async def test_no_more_is_granted_than_was_planned(desk: Desk) -> None:
    event = await desk.proposed(lines=[line(planned=100), line("dealer:BJ001", 100)])
    mine, own = (one["id"] for one in event["lines"])
    status, answer = await desk.decide(event, desk.hq, grants=[{"line_id": mine, "granted": 101}])
    assert (status, faults(answer)) == (422, {"/grants/0/granted": "less_than_equal"})
    status, answer = await desk.decide(event, desk.hq, grants=[{"line_id": own, "granted": 1}])
    assert (status, faults(answer)) == (422, {"/grants/0/line_id": "unknown_line"})  # the manager's
    assert (await desk.read(event))["awaits"] == event["awaits"]


async def test_an_approval_beyond_the_budget_says_so(desk: Desk, budgets: None) -> None:
    before = await desk.budget(year=2027)
    event = await desk.proposed(lines=[line(planned=before["left_fen"] + 1)], **NEXT_YEAR)
    asked = await desk.budget(year=2027)
    assert asked["asked_fen"] - before["asked_fen"] == before["left_fen"] + 1
    status, answer = await desk.decide(event, desk.hq)
    assert (status, answer["type"]) == (409, "/problems/budget-exceeded")
    assert (answer["year"], answer["left_fen"], answer["needed_fen"]) == (
        2027, before["left_fen"], before["left_fen"] + 1
    )  # fmt: skip
    status, answer = await desk.decide(event, desk.hq, beyond_budget=True)
    assert (status, faults(answer)) == (422, {"/reason": "missing"})
    status, approved = await desk.decide(event, desk.hq, beyond_budget=True, reason="总经理特批")
    assert (status, approved["approvals"][0]["beyond_fen"]) == (200, 1)
    assert (await desk.budget(year=2027))["left_fen"] == -1
    # what is cancelled gives its promise back
    assert (await desk.do(event, "cancellation", reason="测试"))[0] == 200
    assert (await desk.budget(year=2027))["left_fen"] == before["left_fen"]


async def test_a_year_without_a_budget_holds_nothing(desk: Desk) -> None:
    event = await desk.proposed(lines=[line("dealer:BJ001", 1)])
    status, answer = await desk.decide(event, desk.manager)
    assert (status, answer["type"], answer["left_fen"]) == (409, "/problems/budget-exceeded", 0)


async def test_budgets_are_set_by_whose_money_it_is(desk: Desk) -> None:
    assert (await desk.grant("SH001", 1, token=desk.director))[0] == 403
    assert (await desk.grant("SH001", 1, token=desk.foreign_manager))[0] == 403
    assert (await desk.own(1, code="SH001"))[0] == 404  # BJ001's manager
    assert (await desk.own(1, code="SH001", token=desk.hq))[0] == 403
    assert (await desk.grant("BJ002", 1))[0] == 404  # no chapter
    status, answer = await desk.grant("SH001", 1, year=2025)
    assert (status, answer["type"]) == (409, "/problems/budget-year-over")
    status, made = await desk.grant("SH001", 7, 8, token=desk.finance)
    assert (status, made["left_fen"], made["left_points"], made["version"]) == (200, 7, 8, 1)
    assert (await desk.grant("SH001", 9))[0] == 412
    assert (await desk.grant("SH001", 9, version=1))[1]["money_fen"] == 9
    seen = (await desk.shop.get("/event-budgets/2026", desk.director))[1]["items"]
    assert "SH001" not in {one["dealer_code"] for one in seen}
    status, central = await desk.grant("HQ", 5_000_000)
    assert (status, central["dealer_code"]) == (200, None)
    assert None not in {one["dealer_code"] for one in seen}


async def test_two_who_set_a_budget_first_are_told_apart(desk: Desk) -> None:
    answers = await asyncio.gather(*(desk.grant("SH001", amount, year=2028) for amount in (1, 2, 3)))
    assert sorted(status for status, _ in answers) == [200, 412, 412]


@pytest.mark.parametrize("locked", [True, False])
async def test_approvals_at_once_never_promise_the_same_money(
    desk: Desk, budgets: None, monkeypatch: pytest.MonkeyPatch, locked: bool
) -> None:
    left = (await desk.budget(year=2027))["left_fen"]
    third = left // 3
    events = [await desk.proposed(lines=[line(planned=third)], **NEXT_YEAR) for _ in range(6)]
    if not locked:
        monkeypatch.setattr(budgets_of_events, "_locked_row", _unlocked_row)
    answers = await asyncio.gather(*(desk.decide(event, desk.hq) for event in events))
    assert (sorted(status for status, _ in answers) == [200, 200, 200, 409, 409, 409]) is locked
    assert ((await desk.budget(year=2027))["left_fen"] == left - 3 * third) is locked
    for event in events:
        assert (await desk.do(event, "cancellation", reason="测试"))[0] == 200


async def _unlocked_row(session: AsyncSession, year: int, key: budgets_of_events.Key) -> ChapterBudget | None:
    query = select(ChapterBudget).filter_by(dealer_code=key[0], purse=key[1], year=year)
    found: ChapterBudget | None = await session.scalar(query)
    return found


async def test_headquarters_event_takes_a_supporters_money_only_with_its_word(desk: Desk) -> None:
    lines = [line(planned=1_000), line("dealer:SH001", 500)]
    hidden = await desk.plan(desk.hq, dealer_code=None, supporters=["SH001"], lines=lines)
    assert (await desk.shop.get(f"/events/{hidden['id']}", desk.director))[0] == 404
    event = await desk.done(hidden, "proposal", desk.hq)
    shown = await desk.read(event, desk.foreign_director)
    assert (shown["supporters"], len(shown["lines"])) == (["SH001"], 2)
    beyond: Body = {"beyond_budget": True, "reason": "年会"}
    assert (await desk.decide(event, desk.south, **beyond))[0] == 403  # a region does not decide for headquarters
    assert (await desk.decide(event, desk.hq, **beyond))[1]["status"] == "proposed"
    assert (await desk.decide(event, desk.foreign_manager, **beyond))[1]["status"] == "approved"
    assert (await desk.do(event, "publication", desk.foreign_director))[0] == 403  # supporters do not run it
    await desk.done(event, "publication", desk.hq)
    seen = await desk.read(event, desk.director)
    assert (seen["title"], seen["lines"], seen["approvals"]) == (event["title"], [], [])
    foreign = plan(dealer_code=None, supporters=["SH001"], lines=[line("dealer:BJ001")])
    assert faults((await desk.shop.post("/events", foreign, desk.hq))[1]) == {"/lines/0/payer": "payer_foreign"}


async def test_granted_materials_are_asked_for(desk: Desk, shop: Shop) -> None:
    admin = shop.api.token(Role.HQ_ADMIN)
    status, material = await shop.post("/materials", {"name": "横幅", "kind": "material", "unit": "条"}, admin)
    assert status == 201
    event = await desk.approved(lines=[line(planned=4, kind="material", material_id=material["id"])])
    status, request = await shop.get(f"/material-requests/{event['material_request_id']}", desk.director)
    assert (status, request["status"], request["dealer_code"], request["note"]) == (200, "asked", "BJ001", "秋日采摘")
    assert [(one["name"], one["quantity"]) for one in request["lines"]] == [("横幅", 4)]
    assert (await desk.do(event, "cancellation", reason="大雨"))[0] == 200
    _, request = await shop.get(f"/material-requests/{event['material_request_id']}", desk.director)
    assert (request["status"], request["reason"]) == ("withdrawn", "大雨")
