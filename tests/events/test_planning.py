"""Planning an event: what may be said, what not, and who may change it."""

from datetime import timedelta
from uuid import UUID

import pytest

from app.core.actors import Role
from tests.events.desk import DAY, Body, Desk, faults, line, plan
from tests.now import NOW
from tests.partners.deals import partner

NOWHERE = {"id": str(UUID(int=9))}


async def test_a_chapter_plans_and_proposes_an_event(desk: Desk) -> None:
    hotel = await partner(desk.shop)
    event = await desk.plan(lines=[line(), line("dealer:BJ001", 100_000), line(f"partner:{hotel}", 500, "points")])
    assert (event["status"], event["dealer_code"], event["round"], event["awaits"]) == ("draft", "BJ001", 0, [])
    proposed = await desk.done(event, "proposal")
    assert (proposed["status"], proposed["round"]) == ("proposed", 1)
    assert proposed["awaits"] == [
        {"part": "own", "dealer_code": "BJ001"}, {"part": "rest", "dealer_code": None}
    ]  # fmt: skip
    status, steps = await desk.shop.get(f"/events/{event['id']}/steps", desk.director)
    assert status == 200
    assert [step["to_status"] for step in steps["items"]] == ["draft", "proposed"]
    assert steps["items"][1]["by"] == "care_director:BJ001"


async def test_staff_of_a_dealer_plan_their_own_chapters_events(desk: Desk) -> None:
    mine = plan()
    del mine["dealer_code"]
    status, made = await desk.shop.post("/events", mine, desk.director)
    assert (status, made["dealer_code"]) == (201, "BJ001")
    assert (await desk.shop.post("/events", plan(dealer_code="SH001"), desk.director))[0] == 404
    assert (await desk.shop.post("/events", plan(dealer_code="BJ002"), desk.hq))[0] == 404  # no chapter


async def test_a_key_makes_one_event(desk: Desk) -> None:
    answers = [await desk.shop.post("/events", plan(), desk.director, key="autumn") for _ in range(2)]
    assert [status for status, _ in answers] == [201, 201]
    assert answers[0][1]["id"] == answers[1][1]["id"]


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"starts_at": str(NOW - timedelta(hours=1))}, {"/starts_at": "time_in_past"}),
        ({"ends_at": str(DAY)}, {"/ends_at": "later_than"}),
        ({"registration_opens_at": str(DAY)}, {"/registration_closes_at": "later_than"}),
        ({"registration_closes_at": str(DAY + timedelta(hours=7))}, {"/registration_closes_at": "not_later_than"}),
        ({"year": 2027}, {"/year": "year_of_event"}),
        ({"lines": [line("dealer:SH001")]}, {"/lines/0/payer": "payer_foreign"}),
        ({"lines": [line("bank")]}, {"/lines/0/payer": "string_pattern_mismatch"}),
        ({"lines": [line(material_id=NOWHERE["id"])]}, {"/lines/0/material_id": "unknown_material"}),
        ({"supporters": ["SH001"]}, {"/supporters": "supports_headquarters"}),
        ({"capacity": 0}, {"/capacity": "greater_than_equal"}),
        ({"questions": [{"key": "size", "text": "尺码", "kind": "choice"}]}, {"/questions/0": "question_choices"}),
        ({"starts_at": "2026-12-12T10:00:00"}, {"/starts_at": "timezone_aware"}),
    ],
)  # fmt: skip
async def test_a_plan_that_does_not_go_together_is_refused(
    desk: Desk, said: Body, fault: dict[str, str]
) -> None:  # fmt: skip
    status, answer = await desk.shop.post("/events", plan(**said), desk.director)
    assert (status, faults(answer)) == (422, fault)


async def test_who_is_no_partner_of_the_chapter_pays_nothing(desk: Desk) -> None:
    southern = await partner(desk.shop, dealer_code="SH001")
    for code in (southern, "NOBODY"):
        status, answer = await desk.shop.post("/events", plan(lines=[line(f"partner:{code}")]), desk.director)
        assert (status, faults(answer)) == (422, {"/lines/0/payer": "unknown_partner"})
    # headquarters' own event draws on those whom its supporters found
    joint: Body = {"dealer_code": None, "lines": [line(f"partner:{southern}")]}
    assert faults((await desk.shop.post("/events", plan(**joint), desk.hq))[1]) == {"/lines/0/payer": "unknown_partner"}
    await desk.plan(desk.hq, supporters=["SH001"], **joint)


async def test_the_year_of_an_event_is_chinas(desk: Desk) -> None:
    eve = "2026-12-31T17:00:00+00:00"  # one in the morning of New Year's Day in China
    moved: Body = {"starts_at": eve, "ends_at": "2026-12-31T19:00:00+00:00"}
    status, answer = await desk.shop.post("/events", plan(**moved), desk.director)
    assert (status, faults(answer)) == (422, {"/year": "year_of_event"})
    assert (await desk.plan(year=2027, **moved))["year"] == 2027


async def test_a_draft_changes_as_its_reader_knew_it(desk: Desk) -> None:
    event = await desk.plan(lines=[line()])
    status, changed = await desk.change(event, title="冬日采摘", lines=[line(planned=1), line("dealer:BJ001")])
    assert (status, changed["title"], changed["version"]) == (200, "冬日采摘", 2)
    assert [one["planned"] for one in changed["lines"]] == [1, 300_000]
    assert (await desk.change(event, title="春日采摘"))[0] == 412
    assert faults((await desk.change(changed, ends_at=str(DAY)))[1]) == {"/ends_at": "later_than"}
    assert (await desk.change(changed, desk.foreign_director, title="x"))[0] == 404


async def test_what_is_decided_on_stands(desk: Desk) -> None:
    event = await desk.proposed()
    status, refused = await desk.change(event, title="冬日采摘")
    assert (status, refused["type"]) == (409, "/problems/wrong-status")
    approved = await desk.approved()
    status, refused = await desk.change(approved, title="冬日采摘", place="顺义")
    assert (status, faults(refused)) == (422, {"/title": "event_approved"})
    status, moved = await desk.change(approved, place="顺义", ends_at=str(DAY + timedelta(hours=8)))
    assert (status, moved["place"]) == (200, "顺义")


async def test_a_plan_whose_day_went_by_is_not_proposed(desk: Desk) -> None:
    event = await desk.plan()
    async with desk.at(DAY):
        status, answer = await desk.do(event, "proposal")
    assert (status, answer["type"]) == (409, "/problems/event-in-the-past")
    assert (await desk.read(event))["status"] == "draft"


async def test_a_foreign_chapters_event_is_not_there(desk: Desk) -> None:
    event = await desk.proposed(lines=[line("dealer:BJ001")])
    tag = {"If-Match": '"1"'}
    for method, path, body in (
        ("GET", "", None), ("GET", "/steps", None), ("PATCH", "", {"title": "x"}), ("POST", "/proposal", None),
        ("POST", "/cancellation", {"reason": "x"}), ("POST", "/publication", None), ("GET", "/report", None),
    ):  # fmt: skip
        url = f"/events/{event['id']}{path}"
        answer = await desk.shop.api.call(method, url, desk.foreign_director, json=body, headers=tag)
        assert answer.status_code == 404, (method, path)
    assert (await desk.decide(event, desk.foreign_manager))[0] == 404
    assert (await desk.decide(event, desk.south))[0] == 404
    assert (await desk.do(NOWHERE, "proposal"))[0] == 404
    _, found = await desk.shop.get("/events", desk.foreign_director, limit=200)
    assert event["id"] not in {one["id"] for one in found["items"]}


async def test_lists_are_filtered(desk: Desk) -> None:
    event = await desk.proposed(kind="contest")
    wanted: Body = {"status": "proposed", "kind": "contest", "dealer_code": "BJ001", "year": 2026}
    status, found = await desk.shop.get("/events", desk.director, **wanted)
    assert status == 200
    assert event["id"] in {one["id"] for one in found["items"]}
    assert (await desk.shop.get("/events", desk.director, **wanted | {"year": 2027}))[1]["items"] == []
    pages = (await desk.shop.get("/events", desk.hq, limit=1))[1]
    assert len(pages["items"]) == 1
    assert (await desk.shop.get("/events", desk.hq, limit=1, cursor=pages["next_cursor"]))[0] == 200


@pytest.mark.parametrize("role", [Role.SERVICE_ADVISOR, Role.SALES_CONSULTANT, Role.FINANCE_CLERK, Role.AUDITOR])
async def test_who_has_no_part_in_events_plans_none(desk: Desk, role: Role) -> None:
    token = desk.shop.api.token(role, dealer="BJ001" if role.is_dealer_staff else None)
    assert (await desk.shop.post("/events", plan(), token))[0] == 403
