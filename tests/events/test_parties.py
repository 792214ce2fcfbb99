"""Members bring fewer or more than they said, and answer anew; seats, fees and the waiting list follow."""

from typing import Any

from tests.events.desk import Body, Desk, faults
from tests.events.guests import Guests, disagreeing, family
from tests.shop import Answer, Person, Shop


async def change(
    desk: Desk, event: Body, member: Person, *with_whom: Body, version: int = 1, **body: Any
) -> Answer:  # fmt: skip
    """A member changes its party, as it read it."""
    path, tag = f"/members/me/events/{event['id']}/registration", {"If-Match": f'"{version}"'}
    sent = {"companions": list(with_whom)} | body
    answer = await desk.shop.api.call("PATCH", path, desk.of(member), json=sent, headers=tag)
    return answer.status_code, answer.json()


async def by_staff(desk: Desk, event: Body, made: Body, token: str = "", **body: Any) -> Answer:
    path, tag = f"/events/{event['id']}/registrations/{made['id']}", {"If-Match": f'"{made["version"]}"'}
    answer = await desk.shop.api.call("PATCH", path, token or desk.director, json=body, headers=tag)
    return answer.status_code, answer.json()


async def test_fewer_come_and_the_next_has_the_seats(guests: Guests, desk: Desk, dsn: str) -> None:
    event = await desk.opened(capacity=3)
    first, made = await guests.seated(event, party=3)
    second, _ = await guests.seated(event, party=2)
    assert await guests.status(event, second) == "waiting"
    status, changed = await change(desk, event, first)
    assert (status, changed["party"], changed["companions"], changed["version"]) == (200, 1, [], made["version"] + 1)
    assert await guests.status(event, second) == "offered"
    assert await disagreeing(dsn) == {}


async def test_more_come_while_there_are_seats_that_nobody_waits_for(guests: Guests, desk: Desk, dsn: str) -> None:
    event = await desk.opened(capacity=4)
    first, _ = await guests.seated(event)
    other, _ = await guests.seated(event)
    assert (await change(desk, event, first, *family(3)))[1]["party"] == 3
    status, answer = await change(desk, event, first, *family(4), version=2)
    assert (status, answer["type"], answer["free"], answer["needed"]) == (409, "/problems/no-seats", 0, 1)
    status, answer = await change(desk, event, first, *family(5), version=2)
    assert (status, answer["type"]) == (409, "/problems/party-too-big")
    await guests.seated(event, party=2)  # waits
    assert (await change(desk, event, first, *family(2), version=2))[0] == 200
    # one seat is free, but the list is strict
    status, answer = await change(desk, event, other, *family(2))
    assert (status, answer["type"]) == (409, "/problems/no-seats")
    assert await disagreeing(dsn) == {}


async def test_only_as_it_was_last_read_and_while_it_stands(guests: Guests, desk: Desk) -> None:
    event = await desk.opened()
    member, made = await guests.seated(event)
    assert (await change(desk, event, member, version=2))[0] == 412
    assert (await by_staff(desk, event, made, desk.foreign_director, companions=[]))[0] == 404
    stranger = await guests.member()
    assert (await change(desk, event, stranger))[0] == 404
    await desk.done(event, "closing")
    assert (await change(desk, event, member, *family(2)))[1]["type"] == "/problems/registration-not-open"
    assert (await by_staff(desk, event, made, companions=family(2)))[1]["party"] == 2
    await guests.do(event, member, "cancellation")
    assert (await change(desk, event, member, version=2))[1]["type"] == "/problems/wrong-status"


async def test_the_fee_is_the_new_partys(guests: Guests, desk: Desk, shop: Shop, dsn: str) -> None:
    event = await desk.opened(fee_points=10, fee_fen=500)
    member, made = await guests.seated(event, party=3, points=45)
    assert (await shop.wallet(member))[0] == 15
    status, changed = await change(desk, event, member, *family(4))
    assert (status, changed["fee_points"], changed["fee_fen"], changed["fee_refunded"]) == (200, 40, 2_000, False)
    assert (await shop.wallet(member))[0] == 5
    status, answer = await change(desk, event, member, *family(5), version=2)
    assert (status, answer["type"]) == (409, "/problems/insufficient-points")
    # staff name fewer; more points are the member's own to spend
    assert (await by_staff(desk, event, changed, companions=[]))[1]["fee_points"] == 10
    assert (await shop.wallet(member))[0] == 35
    status, answer = await by_staff(desk, event, made | {"version": 3}, companions=family(2))
    assert (status, answer["type"]) == (403, "/problems/confirmation-required")
    assert (await change(desk, event, member, *family(2), version=3))[0] == 200
    assert await disagreeing(dsn) == {}
    assert (await guests.do(event, member, "cancellation"))[1]["fee_refunded"]
    assert (await shop.wallet(member))[0] == 45
    assert await disagreeing(dsn) == {}


async def test_answers_are_given_anew(guests: Guests, desk: Desk) -> None:
    event = await desk.opened(questions=[{"key": "size", "text": "尺码", "kind": "choice", "choices": ["M", "L"]}])
    member = await guests.member()
    await guests.register(event, member, *family(2), answers={"size": "M"})
    path, tag = f"/members/me/events/{event['id']}/registration", {"If-Match": '"1"'}
    refused = await desk.shop.api.call("PATCH", path, desk.of(member), json={"answers": {"size": "S"}}, headers=tag)
    assert faults(refused.json()) == {"/answers/size": "answer_choice"}
    answer = await desk.shop.api.call("PATCH", path, desk.of(member), json={"answers": {"size": "L"}}, headers=tag)
    assert (answer.json()["answers"], answer.json()["party"]) == ({"size": "L"}, 2)
