"""An event's steps, one after the other: by hand, by the clock, and those that are refused."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from app import wiring
from app.core.actors import Role
from app.events import life, notices
from app.events.rules import TRANSITIONS, EventStatus, NoticeKind, Part, shares
from tests.events.desk import DAY, Body, Desk, faults, line
from tests.now import NOW
from tests.partners.deals import partner
from tests.shop import Shop

REPORT: Body = {"guests": 22, "summary": "天气晴好，采摘愉快。"}
DEEDS = {
    "proposal": "proposed", "publication": "published", "opening": "registration", "closing": "closed",
    "holding": "held",
}  # fmt: skip


async def held(desk: Desk, **fields: Any) -> Body:
    """An event of BJ001 that took place."""
    event = await desk.done(await desk.opened(**fields), "closing")
    async with desk.at(DAY):
        return await desk.done(event, "holding")


async def test_step_by_step(desk: Desk) -> None:
    event = await desk.opened()
    assert event["registration_opens_at"] == NOW.isoformat().replace("+00:00", "Z")
    for deed, reached in (("closing", "closed"), ("opening", "registration"), ("closing", "closed")):
        assert (await desk.done(event, deed))["status"] == reached
    status, answer = await desk.do(event, "holding")
    assert (status, answer["type"]) == (409, "/problems/event-not-begun")
    assert (await desk.read(event))["status"] == "closed"


@pytest.mark.parametrize("deed", DEEDS)
async def test_no_step_is_taken_from_a_draft_but_the_first(desk: Desk, deed: str) -> None:
    event = await desk.plan()
    status, answer = await desk.do(event, deed)
    if deed == "proposal":
        assert (status, answer["status"]) == (200, "proposed")
        return
    assert (status, answer["type"]) == (409, "/problems/wrong-status")
    assert answer["current"] == "draft"


async def test_the_clock_opens_and_closes_registrations(desk: Desk) -> None:
    event = await desk.published()
    opens, closes = (datetime.fromisoformat(event[f"registration_{name}_at"]) for name in ("opens", "closes"))
    for now, status in (
        (opens - timedelta(seconds=1), "published"), (opens, "registration"),
        (closes - timedelta(seconds=1), "registration"), (closes, "closed"),
    ):  # fmt: skip
        await life.keep_time(desk.shop.api.db, now=now)
        assert (await desk.read(event))["status"] == status
    steps = (await desk.shop.get(f"/events/{event['id']}/steps", desk.director))[1]["items"]
    assert [step["by"] for step in steps[-2:]] == ["clock", "clock"]
    # who looked away for long finds it closed, not open
    late = await desk.published()
    await life.keep_time(desk.shop.api.db, now=closes)
    assert (await desk.read(late))["status"] == "closed"


async def test_nobody_opens_a_registration_that_is_over(desk: Desk) -> None:
    published, approved = await desk.published(), await desk.approved()
    async with desk.at(DAY - timedelta(days=2)):
        for event, deed in ((published, "opening"), (approved, "publication")):
            status, answer = await desk.do(event, deed)
            assert (status, answer["type"]) == (409, "/problems/registration-over")


@pytest.mark.parametrize("status", EventStatus)
async def test_an_event_is_called_off_wherever_it_stands_before_it_took_place(status: EventStatus) -> None:
    over = {EventStatus.HELD, EventStatus.REPORTED, EventStatus.SETTLED, EventStatus.REFUSED, EventStatus.CANCELLED}
    assert (EventStatus.CANCELLED in TRANSITIONS[status]) is (status not in over)


async def test_who_follows_an_event_hears_of_its_end_and_its_changes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    heard: list[tuple[str, str | None]] = []

    async def follow(_: object, move: life.Move) -> None:
        heard.append((move.to, move.reason))

    async def note(_: object, event: object, by: str, at: datetime) -> None:
        heard.append(("changed", by))

    monkeypatch.setattr(life, "_FOLLOWERS", [*life._FOLLOWERS, follow])
    monkeypatch.setattr(life, "_CHANGED", [*life._CHANGED, note])
    event = await desk.plan()
    assert (await desk.change(event, place="顺义"))[0] == 200  # of a draft nobody is told
    event = await desk.done(event, "proposal")
    event = (await desk.decide(event, desk.hq))[1]
    assert (await desk.change(event, place="密云"))[0] == 200
    assert (await desk.do(event, "cancellation"))[0] == 422  # without a reason
    assert (await desk.done(event, "cancellation", reason="大雨"))["status"] == "cancelled"
    changed = ("changed", "care_director:BJ001")
    assert heard == [("proposed", None), ("approved", None), changed, ("cancelled", "大雨")]


async def test_a_report_needs_an_event_that_took_place(desk: Desk) -> None:
    event = await desk.done(await desk.opened(), "closing")
    status, answer = await desk.do(event, "report", **REPORT)
    assert (status, answer["type"]) == (409, "/problems/wrong-status")
    assert (await desk.shop.get(f"/events/{event['id']}/report", desk.director))[0] == 404


async def test_a_report_says_what_each_line_came_to(desk: Desk) -> None:
    hotel = f"partner:{await partner(desk.shop)}"
    lines = [line(planned=100_000), line(planned=50_000), line(hotel, 1_000, "points")]
    event = await held(desk, lines=lines)
    first, second, third = (one["id"] for one in event["lines"])
    status, answer = await desk.do(event, "report", **REPORT, costs=[{"line_id": first, "actual": 1}])
    assert (status, faults(answer)) == (422, {"/costs": "costs_missing"})
    assert answer["errors"][0]["detail"].endswith(f"hq money, {hotel} points")
    costs = [
        {"line_id": first, "actual": 120_000}, {"line_id": second, "actual": 30_000}, {"line_id": third, "actual": 900}
    ]  # fmt: skip
    status, answer = await desk.do(event, "report", **REPORT, costs=[*costs, costs[0]])
    assert (status, faults(answer)) == (422, {"/costs/3/line_id": "unknown_line"})
    foreign = {"kind": "money", "payer": "dealer:SH001", "purpose": "停车", "actual": 100}
    status, answer = await desk.do(event, "report", **REPORT, costs=costs, extra_costs=[foreign])
    assert faults(answer) == {"/extra_costs/0/payer": "payer_foreign"}
    extra = [foreign | {"payer": "dealer:BJ001"}]
    report = await desk.done(event, "report", **REPORT, costs=costs, extra_costs=extra)
    # of what exceeded its line headquarters pays what it granted
    assert report["due_fen"] == 100_000 + 30_000
    assert {(cost["payer"], cost["kind"]): (cost["planned"], cost["actual"]) for cost in report["costs"]} == {
        ("dealer:BJ001", "money"): (0, 100), ("hq", "money"): (150_000, 150_000),
        (hotel, "points"): (1_000, 900),
    }  # fmt: skip


async def test_a_report_can_be_sent_back_and_is_settled_once(desk: Desk) -> None:
    event = await held(desk, lines=[line(planned=1_000)])
    before = await desk.budget() if await _has_budget(desk) else None
    costs = [{"line_id": event["lines"][0]["id"], "actual": 400}]
    await desk.done(event, "report", **REPORT, costs=costs)
    path = f"/events/{event['id']}"
    sent_back = await desk.shop.api.call("POST", f"{path}/report/return", desk.finance, json={"reason": "缺发票"})
    assert sent_back.status_code == 204
    assert (await desk.do(event, "settlement", desk.finance))[1]["type"] == "/problems/wrong-status"
    costs[0]["actual"] = 450
    assert (await desk.done(event, "report", guests=23, summary="补发票", costs=costs))["guests"] == 23
    assert (await desk.do(event, "settlement"))[0] == 403  # a chapter does not settle with itself
    settled = await desk.done(event, "settlement", desk.finance)
    assert (settled["due_fen"], (await desk.read(event))["status"]) == (450, "settled")
    assert (await desk.do(event, "settlement", desk.finance))[0] == 409
    assert (await desk.do(event, "cancellation", reason="x"))[0] == 409
    if before:
        after = await desk.budget()
        assert (after["promised_fen"], after["spent_fen"]) == (
            before["promised_fen"] - 1_000,
            before["spent_fen"] + 450,
        )


async def _has_budget(desk: Desk) -> bool:
    return (await desk.grant("BJ001", 100_000_000))[0] in {200, 412}


async def test_members_read_what_they_are_told(desk: Desk) -> None:
    event, member, other = await desk.opened(), await desk.shop.member(), await desk.shop.member()
    async with desk.shop.api.db.session() as session:
        told = (UUID(event["id"]), [member.id, other.id], NoticeKind.CANCELLED)
        await notices.tell(session, *told, at=NOW, reason="大雨")
    path, token = "/members/me/event-notices", desk.of(member)
    status, found = await desk.shop.get(path, token)
    assert (status, [one["text"] for one in found["items"]]) == (200, ["活动「秋日采摘」已取消：大雨"])
    notice = found["items"][0]["id"]
    read = await desk.shop.api.call("POST", f"{path}/{notice}/reading", token)
    assert read.status_code == 204
    assert (await desk.shop.get(path, token, unread=True))[1]["items"] == []
    assert (await desk.shop.get(path, token))[1]["items"][0]["read_at"] is not None
    foreign = await desk.shop.api.call("POST", f"{path}/{notice}/reading", desk.of(other))
    assert foreign.status_code == 404
    timeline = (await desk.shop.get(f"/members/{member.id}/timeline", desk.director))[1]
    assert "收到活动「秋日采摘」取消通知：大雨" in {one["text"] for one in timeline["items"]}
    own = (await desk.shop.get(f"/members/{member.id}/own-data", token))[1]
    assert [(one["event"], one["reason"]) for one in own["more"]["event_notices"]] == [("秋日采摘", "大雨")]


async def test_the_checks_find_what_is_not_as_it_must_be(desk: Desk, dsn: str) -> None:
    event = await held(desk, lines=[line(planned=1_000)])
    await desk.done(event, "report", **REPORT, costs=[{"line_id": event["lines"][0]["id"], "actual": 1}])
    assert await _disagreeing(dsn) == set()
    for statement, check in (
        ("UPDATE club_event SET status = 'settled' WHERE id = $1", "events-steps"),
        ("UPDATE event_budget_line SET granted = planned + 1 WHERE event_id = $1", "events-approvals"),
        ("UPDATE club_event SET round = 7 WHERE id = $1", "events-approvals"),
        ("UPDATE event_budget_line SET actual = NULL WHERE event_id = $1", "events-reports"),
    ):
        async with desk.shop.api.db.connection() as connection:
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute(statement, UUID(event["id"]))
            found = [one.name for one in wiring.CHECKS if one.name == check and await one.run(connection)]
            await transaction.rollback()
        assert found == [check], statement


async def _disagreeing(dsn: str) -> set[str]:
    return {check.name for check, rows in await wiring.verify(dsn) if rows and check.name.startswith("events")}


@pytest.mark.parametrize(
    ("payers", "of_chapter", "expected"),
    [
        ([], True, [(Part.REST, None)]),
        (["hq"], True, [(Part.REST, None)]),
        (["dealer:A1"], True, [(Part.OWN, "A1")]),
        (["dealer:A1", "dealer:A1", "partner:P1"], True, [(Part.OWN, "A1"), (Part.REST, None)]),
        (["dealer:B2", "dealer:A1"], False, [(Part.OWN, "A1"), (Part.OWN, "B2"), (Part.REST, None)]),
    ],
)
async def test_whose_word_is_needed(payers: list[str], of_chapter: bool, expected: list[object]) -> None:
    assert shares(payers, of_chapter=of_chapter) == expected


async def test_advisors_see_no_events(shop: Shop) -> None:
    assert (await shop.get("/events", shop.api.token(Role.SERVICE_ADVISOR, dealer="BJ001")))[0] == 403
