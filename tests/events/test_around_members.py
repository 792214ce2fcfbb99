"""What events keep on a member: shown to it, moved in a merge, forgotten with it."""

from itertools import count

from app.events.gathering_holdings import HOLDINGS
from tests.events.after import LATER, After
from tests.events.desk import Body
from tests.shop import Person

_serials = count(1)


async def said(after: After) -> tuple[Body, Person]:
    """A member who was invited, came, and said how it was."""
    name = f"章节{next(_serials)}"
    member = await after.agreeing(name=name)
    event = await after.desk.opened(title="合影日")
    await after.invite(event, filter={"field": "name", "op": "is", "value": name})
    assert (await after.answers(event, member, "yes"))[0] == 200
    assert (await after.guests.register(event, member))[0] == 201
    await after.held(event)
    await after.comes(event, member)
    async with after.desk.at(LATER):
        answer = await after.put(
            f"/members/me/events/{event['id']}/survey", after.desk.of(member), score=9, comment="我是章节"
        )
        assert answer[0] == 200
    return event, member


async def own_data(after: After, member: Person) -> tuple[int, Body]:
    return await after.desk.shop.get(f"/members/{member.id}/own-data", after.desk.of(member))


async def test_a_member_reads_what_is_kept_of_it(after: After) -> None:
    _, member = await said(after)
    status, kept = await own_data(after, member)
    assert status == 200, kept
    held = kept["more"]
    (invitation,) = held["event_invitations"]
    assert (invitation["event"], invitation["answer"], invitation["control_group"]) == ("合影日", "yes", False)
    (survey,) = held["survey_answers"]
    assert (survey["score"], survey["comment"]) == (9, "我是章节")
    path = f"/members/{member.id}/own-data/page"
    page = await after.desk.shop.api.call("GET", path, after.desk.of(member))
    assert page.status_code == 200
    assert "活动邀请" in page.text
    assert "我是章节" in page.text


async def test_they_move_with_a_member_and_back(after: After) -> None:
    desk, (event, member) = after.desk, await said(after)
    other = await after.guests.member()
    merge = {"from_id": str(member.id), "into_id": str(other.id), "reason": "同一人"}
    status, merged = await desk.shop.post("/members/merges", merge, desk.shop.hq)
    assert status == 201, merged
    assert [one["title"] for one in (await desk.shop.get("/members/me/event-history", desk.of(other)))[1]["items"]] == [
        "合影日"
    ]
    path = f"/members/merges/{merged['id']}/undo"
    status, undone = await desk.shop.post(path, {"reason": "并非一人"}, desk.shop.hq)
    assert status in {200, 201}, undone
    assert (await desk.shop.get("/members/me/event-history", desk.of(other)))[1]["items"] == []
    assert (await desk.shop.get(f"/members/me/events/{event['id']}/survey", desk.of(member)))[1]["score"] == 9


async def test_what_was_written_is_forgotten_and_the_score_stays_a_figure(after: After) -> None:
    event, member = await said(after)
    async with after.desk.shop.api.db.session() as session:
        for holding in HOLDINGS:
            if holding.erase is not None:
                await holding.erase(session, member.id, LATER)
    shown = (await after.get(event, "survey"))[1]
    assert (shown["answers"], shown["mean"], shown["comments"]) == (1, 9.0, [])
