"""Inviting by segment: who is reached, who is left out, what they answer, and what is refused."""

from app.core.db import new_id
from app.events.gathering_rules import is_control
from tests.events.after import After
from tests.events.desk import Body, faults
from tests.events.guests import disagreeing


async def test_only_members_who_agreed_are_invited_and_each_once(after: After, dsn: str) -> None:
    agreeing = [await after.agreeing(name="张三丰") for _ in range(2)]
    await after.desk.shop.member(name="张三丰")
    await after.agreeing(name="张三丰", dealer="SH001")
    event = await after.desk.opened()
    who: Body = {"filter": {"field": "name", "op": "is", "value": "张三丰"}}
    wanted = {"matching": 3, "without_consent": 1, "wants_none": 0, "known": 0, "invited": 2, "control": 0}
    assert await after.invite(event, path="/preview", **who) == (200, wanted)
    assert await after.invite(event, **who) == (201, wanted)
    assert (await after.invite(event, **who))[1] == wanted | {"known": 2, "invited": 0}
    status, page = await after.get(event, "invitations")
    assert (status, {one["member_id"] for one in page["items"]}) == (200, {str(one.id) for one in agreeing})
    notices = (await after.desk.shop.get("/members/me/event-notices", after.desk.of(agreeing[0])))[1]["items"]
    assert [(one["kind"], "秋日采摘" in one["text"]) for one in notices] == [("invited", True)]
    assert await disagreeing(dsn) == {}


async def test_who_wants_no_contact_or_agrees_no_more_is_left_in_peace(after: After) -> None:
    desk = after.desk
    who: Body = {"filter": {"field": "name", "op": "is", "value": "张清静"}}
    silent, keen, hermit = [await after.agreeing(name="张清静") for _ in range(3)]
    contact, first = {"contact": {"channels": [], "days": "any"}}, {"If-Match": '"0"'}
    answer = await desk.shop.api.call("PATCH", f"/members/{hermit.id}/profile", desk.hq, json=contact, headers=first)
    assert answer.status_code == 200
    event = await desk.opened()
    assert (await after.invite(event, **who))[1] == {
        "matching": 3, "without_consent": 0, "wants_none": 1, "known": 0, "invited": 2, "control": 0
    }  # fmt: skip
    await after.answers(event, keen, "maybe")
    for member in (silent, keen):
        withdrawn = {"purpose": "marketing", "decision": "withdrawn", "channel": "app", "version": 1}
        assert (await desk.shop.post(f"/members/{member.id}/consents", withdrawn, desk.hq))[0] == 200
    await desk.done(event, "cancellation", reason="下雨")
    # who meant to come has to know
    for member, told in ((hermit, []), (silent, ["invited"]), (keen, ["cancelled", "invited"])):
        notices = (await desk.shop.get("/members/me/event-notices", desk.of(member)))[1]["items"]
        assert [notice["kind"] for notice in notices] == told


async def test_a_saved_segment_is_invited(after: After) -> None:
    desk, who = after.desk, {"field": "name", "op": "is", "value": "张翠山"}
    await after.agreeing(name="张翠山")
    status, segment = await desk.shop.post("/segments", {"name": "采摘", "filter": who}, desk.director)
    assert status == 201, segment
    event = await desk.opened()
    status, chosen = await after.invite(event, segment_id=segment["id"], filter=None)
    assert (status, chosen["invited"]) == (201, 1)
    # of another chapter it is not there
    status, answer = await after.invite(
        await desk.opened(desk.foreign_director, dealer_code="SH001"), desk.foreign_director, filter=None,
        segment_id=segment["id"],
    )  # fmt: skip
    assert (status, answer["type"]) == (404, "/problems/not-found")


async def test_a_control_group_is_noted_and_hears_nothing(after: After) -> None:
    members = [await after.agreeing(name="张无忌") for _ in range(12)]
    event = await after.desk.opened(is_open=False)
    who: Body = {"filter": {"field": "name", "op": "is", "value": "张无忌"}, "control_percent": 50}
    status, chosen = await after.invite(event, **who)
    assert (status, chosen["invited"] + chosen["control"]) == (201, 12)
    rows = (await after.get(event, "invitations"))[1]["items"]
    control = {one["member_id"] for one in rows if one["is_control"]}
    assert len(control) == chosen["control"] > 0
    for member in members:
        own = (await after.desk.shop.get("/members/me/event-invitations", after.desk.of(member)))[1]["items"]
        assert len(own) == (str(member.id) not in control)
    left_out = next(one for one in members if str(one.id) in control)
    assert (await after.answers(event, left_out, "yes"))[0] == 404
    # nor does it get in where only the invited do
    assert (await after.guests.register(event, left_out))[1]["type"] == "/problems/not-invited"
    invited = next(one for one in members if str(one.id) not in control)
    assert (await after.guests.register(event, invited))[0] == 201


def test_the_control_group_is_by_chance_and_the_same_whenever_asked() -> None:
    event, members = new_id(), [new_id() for _ in range(2_000)]
    chosen = [is_control(event, member, 20) for member in members]
    assert chosen == [is_control(event, member, 20) for member in members]
    assert 300 < sum(chosen) < 500
    assert not any(is_control(event, member, 0) for member in members)


async def test_the_invited_answer_and_change_their_minds(after: After) -> None:
    one, other = [await after.agreeing(name="张君宝") for _ in range(2)]
    event = await after.desk.opened()
    await after.invite(event, filter={"field": "name", "op": "is", "value": "张君宝"})
    assert (await after.answers(event, one, "maybe"))[1]["answer"] == "maybe"
    status, answered = await after.answers(event, one, "yes")
    assert (status, answered["answer"], answered["event"]["title"]) == (200, "yes", "秋日采摘")
    assert (await after.guests.register(event, one))[0] == 201
    status, summary = await after.get(event, "invitations/summary")
    assert (status, summary) == (200, {
        "invited": 2, "control": 0, "yes": 1, "no": 0, "maybe": 0, "unanswered": 1, "registered": 1, "attended": 0,
    })  # fmt: skip
    assert [one["member_id"] for one in (await after.get(event, "invitations", answer="yes"))[1]["items"]] == [
        str(one.id)
    ]
    timeline = (await after.desk.shop.get(f"/members/{one.id}/timeline", after.desk.director))[1]["items"]
    assert {"yes", "invited"} <= {entry["kind"] for entry in timeline}
    stranger = await after.guests.member()
    assert (await after.answers(event, stranger, "yes"))[0] == 404
    await after.desk.done(event, "cancellation", reason="下雨")
    status, answer = await after.answers(event, other, "no")
    assert (status, answer["type"]) == (409, "/problems/wrong-status")


async def test_what_is_refused(after: After) -> None:
    desk, event = after.desk, await after.desk.opened()
    status, answer = await after.invite(event, segment_id=event["id"])
    assert (status, faults(answer)) == (422, {"": "segment_or_filter"})
    assert (await after.invite(event, control_percent=51))[0] == 422
    assert (await after.invite(event, desk.foreign_director))[0] == 404
    assert (await after.invite(event, desk.north))[0] == 403
    status, answer = await after.invite(await desk.approved())
    assert (status, answer["type"]) == (409, "/problems/wrong-status")
    status, answer = await after.invite(event, filter={"field": "nothing", "op": "is", "value": 1})
    assert (status, faults(answer)) == (422, {"/filter/field": "filter_unknown_field"})


async def test_who_supports_an_event_of_headquarters_invites_its_own(after: After) -> None:
    desk = after.desk
    await after.agreeing(name="张松溪", dealer="SH001")
    await after.agreeing(name="张松溪")
    event = await desk.opened(desk.hq, dealer_code=None, supporters=["SH001"])
    who: Body = {"filter": {"field": "name", "op": "is", "value": "张松溪"}}
    assert (await after.invite(event, desk.director, **who))[0] == 403
    assert (await after.invite(event, desk.foreign_director, **who))[1]["invited"] == 1
    assert (await after.invite(event, desk.hq, **who))[1] == {
        "matching": 2, "without_consent": 0, "wants_none": 0, "known": 1, "invited": 1, "control": 0,
    }  # fmt: skip


async def test_the_invited_are_told_that_an_event_moves_and_is_called_off(after: After) -> None:
    desk = after.desk
    event = await desk.published(is_open=False)
    silent, refusing = [await after.agreeing() for _ in range(2)]
    await after.invite(event)
    await after.answers(event, refusing, "no")
    await desk.change(await desk.read(event), place="顺义")
    await desk.done(event, "cancellation", reason="下雨")
    for member, told in ((silent, ["cancelled", "changed", "invited"]), (refusing, ["invited"])):
        notices = (await desk.shop.get("/members/me/event-notices", desk.of(member)))[1]["items"]
        assert [notice["kind"] for notice in notices if notice["event_id"] == event["id"]] == told
