"""Members who came say how it was; what they said is told without their names."""

from datetime import timedelta

from tests.events.after import LATER, After
from tests.events.desk import Body, faults
from tests.events.guests import disagreeing
from tests.shop import Person

RULE: Body = {
    "code": "surveys", "label_zh": "填写活动问卷", "label_en": "Answered a survey", "dealer_code": None,
    "definition": {
        "trigger": "survey_answered", "condition": 'event.survey == "club_event"', "amount": "5",
        "funders": [{"party": "hq", "percent": "100"}], "expiry": {"kind": "rolling_months", "months": 24}, "caps": {},
        "valid_from": "2026-11-01",
        "examples": [{"fields": {"survey": "club_event", "score": 9}, "on": "2026-12-13", "points": 5}],
    },
}  # fmt: skip


async def says(after: After, event: Body, member: Person, score: int, comment: str | None = None) -> tuple[int, Body]:
    body = {"score": score} | ({"comment": comment} if comment else {})
    return await after.put(f"/members/me/events/{event['id']}/survey", after.desk.of(member), **body)


async def test_who_came_is_asked_and_gets_points_once(after: After, dsn: str) -> None:
    shop = after.desk.shop
    rule = (await shop.post("/rules", RULE, shop.hq))[1]
    first = {"If-Match": '"1"'}
    assert (await shop.api.call("POST", f"/rules/{rule['id']}/publication", shop.hq, headers=first)).status_code == 200
    event = await after.desk.opened()
    members = [(await after.guests.seated(event))[0] for _ in range(4)]
    *came, absent = members
    assert (await says(after, event, came[0], 9))[0] == 404
    await after.held(event)
    await after.comes(event, *came)
    async with after.desk.at(LATER):
        assert (await says(after, event, came[0], 9, "孩子很开心"))[1]["points"] == 5
        status, again = await says(after, event, came[0], 10, "孩子非常开心")
        assert (status, again["points"], again["score"]) == (200, 0, 10)
        assert (await says(after, event, came[1], 6))[0] == 200
        status, answer = await says(after, event, absent, 0)
        assert (status, answer["type"]) == (404, "/problems/not-found")
        status, answer = await says(after, event, came[2], 11)
        assert (status, faults(answer)) == (422, {"/score": "less_than_equal"})
        assert await after.get(event, "survey") == (200, {
            "asked": 3, "answers": 2, "by_score": [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1], "mean": 8.0, "balance": 0,
            "comments": [{"score": 10, "comment": "孩子非常开心", "on": "2026-12-13"}],
        })  # fmt: skip
        status, own = await after.desk.shop.get(f"/members/me/events/{event['id']}/survey", after.desk.of(came[1]))
        assert (status, own) == (200, {"score": 6, "comment": None})
    assert (await shop.wallet(came[0]))[0] == 5
    async with after.desk.at(LATER + timedelta(days=30)):
        status, answer = await says(after, event, came[2], 8)
        assert (status, answer["type"]) == (409, "/problems/survey-closed")
    assert (await after.get(event, "survey", after.desk.foreign_director))[0] == 404
    assert await disagreeing(dsn) == {}


async def test_no_survey_before_the_event_was_held(after: After) -> None:
    event = await after.desk.opened()
    member, _ = await after.guests.seated(event)
    await after.comes(event, member)
    async with after.desk.at(LATER):
        status, answer = await says(after, event, member, 8)
    assert (status, answer["type"]) == (409, "/problems/survey-closed")
