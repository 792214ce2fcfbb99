"""What members find of events before they register."""

from datetime import timedelta

from tests.events.after import After
from tests.events.desk import DAY, Body
from tests.shop import Person


async def listed(after: After, member: Person, **params: object) -> list[str]:
    """The events a member may come to."""
    status, page = await after.desk.shop.get("/members/me/events", after.desk.of(member), **params)
    assert status == 200, page
    return [one["id"] for one in page["items"]]


async def test_a_member_finds_what_is_open_nearby_and_what_it_is_invited_to(after: After) -> None:
    desk = after.desk
    member, foreign = await after.agreeing(name="张找找"), await after.agreeing(name="张远远", dealer="SH001")
    later = {"starts_at": str(DAY + timedelta(days=1)), "ends_at": str(DAY + timedelta(days=2))}
    nearby = await desk.opened(**later)
    national = await desk.opened(desk.hq, dealer_code=None)
    closed = await desk.opened(is_open=False)
    far = await desk.opened(desk.foreign_director, dealer_code="SH001")
    draft = await desk.plan()
    shown = await listed(after, member)
    assert [one for one in (national["id"], nearby["id"]) if one in shown] == [national["id"], nearby["id"]]
    assert shown.index(national["id"]) < shown.index(nearby["id"]), "the next first"
    assert not {closed["id"], far["id"], draft["id"]} & set(shown)
    await after.invite(closed, filter={"field": "name", "op": "is", "value": "张找找"})
    assert closed["id"] in await listed(after, member)
    assert closed["id"] not in await listed(after, foreign)
    # far away one may come as well, and has it from then on
    assert (await after.guests.register(far, member))[0] == 201
    assert far["id"] in await listed(after, member)
    async with desk.at(DAY + timedelta(days=3)):
        assert await listed(after, member) == []


async def test_the_list_goes_on_where_it_stopped(after: After) -> None:
    member = await after.guests.member()
    for _ in range(2):
        await after.desk.opened(starts_at=str(DAY + timedelta(hours=1)))
    whole = await listed(after, member)
    page: list[str] = []
    cursor: Body = {}
    while len(page) < len(whole):
        answer = (await after.desk.shop.get("/members/me/events", after.desk.of(member), limit=1, **cursor))[1]
        page += [one["id"] for one in answer["items"]]
        cursor = {"cursor": answer["next_cursor"]}
    assert page == whole
    assert answer["next_cursor"] is None


async def test_what_one_has_to_know_before_registering(after: After) -> None:
    desk, member = after.desk, await after.guests.member()
    questions = [{"key": "size", "text": "T恤尺码", "kind": "choice", "choices": ["M", "L"], "is_required": True}]
    event = await desk.opened(capacity=3, questions=questions, fee_fen=5_000)
    for party in (2, 2):
        guest = await after.guests.member()
        with_whom = [{"name": "家人"}] * (party - 1)
        assert (await after.guests.register(event, guest, *with_whom, answers={"size": "L"}))[0] == 201
    path = f"/members/me/events/{event['id']}"
    status, found = await desk.shop.get(path, desk.of(member))
    assert (status, found["fee_fen"], found["questions"][0]["choices"]) == (200, 5_000, ["M", "L"])
    assert (found["free_seats"], found["waiting_parties"], found["is_invited"]) == (1, 1, False)
    assert found["registration_status"] is None
    assert (await desk.shop.get(path, desk.of(guest)))[1]["registration_status"] == "waiting"
    assert "lines" not in found
    await desk.done(event, "cancellation", reason="下雨")
    # who had registered may look it up still
    assert (await desk.shop.get(path, desk.of(guest)))[1]["status"] == "cancelled"
    assert (await desk.shop.get(path, desk.of(member)))[0] == 404
    draft = await desk.plan()
    assert (await desk.shop.get(f"/members/me/events/{draft['id']}", desk.of(member)))[0] == 404
    assert (await desk.shop.get(path, desk.director))[0] == 403
