"""The life of an event, from the first idea to the settled report, as those who live it go through it."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from app import wiring
from app.events import life
from tests.events.after import After
from tests.events.desk import DAY, Body, Desk, line
from tests.events.guests import Guests
from tests.partners.deals import partner
from tests.shop import Person, Shop

ATTENDANCE = 20
FEE = 50

RULE: Body = {
    "code": "family-days", "label_zh": "参加家庭日", "label_en": "Came to a family day", "dealer_code": None,
    "definition": {
        "trigger": "event_attended", "condition": 'event.kind == "family_day"', "amount": str(ATTENDANCE),
        "funders": [{"party": "hq", "percent": "100"}], "expiry": {"kind": "rolling_months", "months": 24}, "caps": {},
        "valid_from": "2026-11-01",
        "examples": [{
            "fields": {"code": "x", "class": "care", "kind": "family_day", "companions": 2}, "on": "2026-12-12",
            "points": ATTENDANCE,
        }],
    },
}  # fmt: skip


class Story(Desk):
    """The desk, and members who do things by themselves."""

    async def registers(self, member: Person, event: Body, *with_whom: Body) -> Body:
        """A member registers with its party."""
        return await self._done(
            "/members/me/event-registrations", member, event_id=event["id"], companions=list(with_whom)
        )

    async def mine(self, member: Person, event: Body, deed: str, **body: Any) -> Body:
        """A member's step with its registration."""
        return await self._done(f"/members/me/events/{event['id']}/registration/{deed}", member, **body)

    async def _done(self, path: str, member: Person, **body: Any) -> Body:
        status, answer = await self.shop.post(path, body, self.of(member))
        assert status in {200, 201}, (path, answer)
        return dict(answer)

    async def reads(self, member: Person, path: str) -> Any:
        """What a member reads of its own."""
        status, answer = await self.shop.get(path, self.of(member))
        assert status == 200, answer
        return answer

    async def told(self, member: Person) -> list[str]:
        """What a member was told, newest first."""
        return [notice["kind"] for notice in (await self.reads(member, "/members/me/event-notices"))["items"]]

    async def points(self, member: Person) -> int:
        """A member's available points."""
        return int((await self.reads(member, f"/members/{member.id}/points"))["available"])


@pytest.fixture
def story(shop: Shop) -> Story:
    """Everybody's tokens."""
    return Story(shop)


async def test_a_family_day_from_its_proposal_to_its_settlement(story: Story, dsn: str) -> None:
    # headquarters has points for who comes to family days, and money for BJ001's events; the dealer has some, too
    shop = story.shop
    rule = (await shop.post("/rules", RULE, shop.hq))[1]
    first = {"If-Match": '"1"'}
    assert (await shop.api.call("POST", f"/rules/{rule['id']}/publication", shop.hq, headers=first)).status_code == 200
    assert (await story.grant("BJ001", 1_000_000, 1_000))[0] == 200
    assert (await story.own(300_000))[0] == 200

    # the care director plans and proposes it; a café brings the cakes
    await partner(shop, code="CAFE", category="restaurant")
    lines = [
        line("hq", 400_000),
        line("hq", 500, "points"),
        line("dealer:BJ001", 200_000),
        line("partner:CAFE", 50_000),
    ]
    plan: Body = {
        "title": "亲子家庭日",
        "kind": "family_day",
        "capacity": 5,
        "expected_guests": 5,
        "fee_points": FEE,
        "is_open": False,
    }
    event = await story.plan(**plan, lines=lines)
    event = await story.done(event, "proposal")

    # the general manager finds it too dear; the director makes it cheaper
    event = (await story.decide(event, story.manager, "returned", reason="请压缩餐饮费用"))[1]
    lines[2]["planned"] = 150_000
    event = (await story.change(event, lines=lines))[1]
    event = await story.done(event, "proposal")
    assert (await story.decide(event, story.manager))[1]["status"] == "proposed"

    # the region may grant so much; it keeps some points
    points = next(one["id"] for one in event["lines"] if one["kind"] == "points")
    event = (await story.decide(event, story.north, grants=[{"line_id": points, "granted": 400}]))[1]
    assert event["status"] == "approved"
    budget = await story.budget()
    assert (budget["promised_fen"], budget["left_fen"], budget["left_points"]) == (400_000, 600_000, 600)
    event = await story.done(event, "publication")

    # three members agreed to be written to, and are invited; they answer
    after = After(Guests(story))
    zhang, li, zhao = [await after.agreeing(points=500) for _ in range(3)]
    chen = await shop.member(points=500)
    assert (await after.invite(event, path="/preview"))[1]["invited"] == 3
    assert (await after.invite(event))[1] | {"matching": 0} == {
        "matching": 0, "without_consent": 1, "wants_none": 0, "known": 0, "invited": 3, "control": 0
    }  # fmt: skip
    for member, answer in ((zhang, "yes"), (li, "yes"), (zhao, "maybe")):
        assert (await story.told(member))[0] == "invited"
        assert (await after.answers(event, member, answer))[0] == 200

    # they register when it opens: the third party waits
    async with story.at(DAY - timedelta(days=14)):
        await life.keep_time(shop.api.db, now=DAY - timedelta(days=14))
        family: list[Body] = [{"name": "王丽"}, {"name": "张小宝", "is_minor": True, "guardian": "张伟"}]
        assert (await story.registers(zhang, event, *family))["status"] == "registered"
        assert (await story.registers(li, event, {"name": "李雷"}))["status"] == "registered"
        waiting = await story.registers(zhao, event)
        assert (waiting["status"], waiting["position"]) == ("waiting", 1)
        assert [await story.points(one) for one in (zhang, li, zhao)] == [500 - 3 * FEE, 500 - 2 * FEE, 500]

        # one family cannot come: its points come back, and who waited is offered the seat at once
        assert (await story.mine(li, event, "cancellation", reason="孩子发烧"))["status"] == "cancelled"
        assert await story.points(li) == 500
        assert (await story.told(zhao))[0] == "offered"
        assert (await story.mine(zhao, event, "acceptance"))["status"] == "registered"
        assert await story.points(zhao) == 500 - FEE
    await life.keep_time(shop.api.db, now=DAY - timedelta(days=2))
    assert (await story.read(event))["status"] == "closed"

    # the day: one ticket is scanned twice, somebody comes to the door, somebody does not come
    async with story.at(DAY):
        await story.done(event, "holding")
        code = (await story.reads(zhang, f"/members/me/events/{event['id']}/ticket"))["code"]
        came = await story.done(event, "check-ins", nonce="scanner-0001", ticket=code)
        assert (came["is_first"], came["party"], came["points"]) == (True, 3, ATTENDANCE)
        again = await story.done(event, "check-ins", nonce="scanner-0002", ticket=code)
        assert (again["is_first"], again["by"]) == (False, "care_director:BJ001")
        assert datetime.fromisoformat(again["at"]) == datetime.fromisoformat(came["at"])
        walked_in = await story.done(
            event, "registrations", member_id=str(chen.id), code=await shop.code(chen)
        )  # fmt: skip
        assert (walked_in["status"], walked_in["is_walk_up"]) == ("registered", True)
        came = await story.done(event, "check-ins", nonce="scanner-0003", registration_id=walked_in["id"])
        assert came["points"] == ATTENDANCE
    assert [await story.points(one) for one in (zhang, zhao, chen)] == [
        500 - 3 * FEE + ATTENDANCE, 500 - FEE, 500 - FEE + ATTENDANCE
    ]  # fmt: skip

    # who came says how it was; the summary is drafted from what is known
    async with story.at(DAY + timedelta(days=1)):
        path, thought = f"/members/me/events/{event['id']}/survey", {"score": 9, "comment": "孩子很开心"}
        assert (await shop.api.call("PUT", path, story.of(zhang), json=thought)).status_code == 200
        assert (await shop.api.call("PUT", path, story.of(zhao), json=thought)).status_code == 404  # was not there
        opinion = (await shop.get(f"/events/{event['id']}/survey", story.director))[1]
        assert (opinion["asked"], opinion["answers"], opinion["mean"]) == (2, 1, 9)
        outcome = (await shop.get(f"/events/{event['id']}/outcome", story.director))[1]
        assert (outcome["attended"], outcome["no_shows"], outcome["points_awarded"]) == (2, 1, 2 * ATTENDANCE)
        draft = (await shop.get(f"/events/{event['id']}/report/draft", story.director))[1]["summary"]
        assert "亲子家庭日" in draft

    # the report, sent back once for a missing invoice, and settled
    async with story.at(DAY + timedelta(days=2)):
        actual = {
            "hq money": 420_000,
            "hq points": 2 * ATTENDANCE,
            "dealer:BJ001 money": 120_000,
            "partner:CAFE money": 0,
        }
        costs = [{"line_id": one["id"], "actual": actual[one["purpose"]]} for one in event["lines"]]
        report: Body = {"guests": 4, "summary": f"{draft}\n一人未到。", "costs": costs}
        await story.done(event, "report", **report)
        back = await shop.api.call(
            "POST", f"/events/{event['id']}/report/return", story.finance, json={"reason": "缺少场地发票"}
        )
        assert back.status_code == 204
        await story.done(event, "report", **report)
        settled = await story.done(event, "settlement", story.finance)
    assert settled["due_fen"] == 400_000  # of what exceeded the grant the chapter bears the rest

    # what remains: the books of the year, a life that can be read, and ledgers that agree
    budget = await story.budget()
    assert (budget["promised_fen"], budget["spent_fen"], budget["spent_points"]) == (0, 420_000, 2 * ATTENDANCE)
    assert (await story.budget(purse="own"))["left_fen"] == 300_000 - 120_000
    steps = (await shop.get(f"/events/{event['id']}/steps", story.director))[1]["items"]
    assert [step["to_status"] for step in steps] == [
        "draft", "proposed", "returned", "proposed", "approved", "published", "registration", "closed", "held",
        "reported", "held", "reported", "settled",
    ]  # fmt: skip
    assert {check.name: rows for check, rows in await wiring.verify(dsn) if rows} == {}
