"""Events and what happens around them: members who leave or are merged, closed chapters, the counter, segments."""

from typing import Any

from app.core.actors import Role
from app.core.clock import china_date
from app.events import waiting
from app.privacy import retention
from tests.api import SETTINGS
from tests.events.desk import DAY, Desk, line
from tests.events.guests import DURING, Guests, disagreeing
from tests.now import NOW
from tests.shop import Person, Shop


async def works(desk: Desk) -> None:
    """The worker's minute."""
    await waiting.work(desk.shop.api.db, SETTINGS, now=NOW)


async def merge(shop: Shop, source: Person, target: Person) -> None:
    body = {"from_id": str(source.id), "into_id": str(target.id), "reason": "同一人"}
    status, merged = await shop.post("/members/merges", body, shop.hq)
    assert status == 201, merged


async def test_who_leaves_gives_up_its_seats(guests: Guests, desk: Desk, shop: Shop, dsn: str) -> None:
    event = await desk.opened(capacity=2)
    gone, _ = await guests.seated(event, party=2)
    next_one, _ = await guests.seated(event, party=2)
    await shop.post(f"/members/{gone.id}/status", {"to": "left", "reason": "迁居"}, shop.hq)
    await works(desk)
    (left,) = (await shop.get(f"/events/{event['id']}/registrations", desk.director, status="cancelled"))[1]["items"]
    assert left["member_id"] == str(gone.id)
    assert await guests.status(event, next_one) == "offered"
    assert await disagreeing(dsn) == {}


async def test_the_erased_give_up_their_seats(guests: Guests, desk: Desk, shop: Shop, dsn: str) -> None:
    event = await desk.opened(capacity=1, fee_points=5)
    gone, made = await guests.seated(event, points=5)
    next_one, _ = await guests.seated(event, points=5)
    assert (await shop.api.call("PUT", f"/members/{gone.id}/erasure", desk.of(gone), json={})).status_code == 200
    await shop.pool.execute("UPDATE erasure SET due_on = $2 WHERE member_id = $1", gone.id, china_date(NOW))
    await retention.apply(shop.api.db, SETTINGS, now=NOW)
    await works(desk)
    assert await guests.status(event, next_one) == "offered"
    assert await shop.pool.fetchval("SELECT status FROM registration WHERE id = $1", made["id"]) == "cancelled"
    assert await disagreeing(dsn) == {}


async def test_who_leaves_after_the_event_has_been_there(guests: Guests, desk: Desk, shop: Shop) -> None:
    event = await desk.opened()
    gone, made = await guests.seated(event)
    await shop.post(f"/members/{gone.id}/status", {"to": "left", "reason": "迁居"}, shop.hq)
    await waiting.work(shop.api.db, SETTINGS, now=DURING)
    assert await shop.pool.fetchval("SELECT status FROM registration WHERE id = $1", made["id"]) == "registered"


async def test_two_registrations_of_one_person_become_one(guests: Guests, desk: Desk, shop: Shop, dsn: str) -> None:
    event = await desk.opened(capacity=5, fee_points=5)
    source, _ = await guests.seated(event, party=2, points=10)
    target, kept = await guests.seated(event, party=3, points=15)
    waits, _ = await guests.seated(event, points=5)
    await merge(shop, source, target)
    await works(desk)
    assert (await guests.own(event, target))[1]["id"] == kept["id"]
    # what the other one paid goes to who goes on, its seats to the next
    assert (await shop.wallet(target))[0] == 10
    assert await guests.status(event, waits) == "offered"
    assert (await guests.seats(event))["seated"] == 3
    assert await disagreeing(dsn) == {}


async def test_of_two_registrations_the_one_with_seats_goes_on(guests: Guests, desk: Desk, shop: Shop) -> None:
    event = await desk.opened(capacity=2)
    source, seated = await guests.seated(event, party=2)
    target, _ = await guests.seated(event)
    assert await guests.status(event, target) == "waiting"
    await merge(shop, source, target)
    await works(desk)
    status, own = await guests.own(event, target)
    assert (status, own["status"], own["member_id"]) == (200, "registered", str(target.id))
    counted = await guests.seats(event)
    assert (counted["seated"], counted["waiting_parties"]) == (2, 0)
    _, listed = await shop.get(f"/events/{event['id']}/registrations", desk.director, status="registered")
    assert [one["id"] for one in listed["items"]] == [seated["id"]]


async def test_the_counter_cannot_give_a_fee_back(guests: Guests, desk: Desk, shop: Shop) -> None:
    event = await desk.opened(fee_points=5)
    member, made = await guests.seated(event, points=5)
    posting = await shop.pool.fetchval("SELECT fee_posting_no FROM registration WHERE id = $1", made["id"])
    for token in (shop.advisor, shop.program):
        status, answer = await shop.post(f"/redemptions/{member.id}/{posting}/refund", {"reason": "误操作"}, token)
        assert (status, answer["type"]) == (404, "/problems/not-found")
    await desk.done(event, "cancellation", reason="暴雨")
    assert (await shop.wallet(member))[0] == 5


async def test_a_chapter_with_events_is_not_closed(desk: Desk, shop: Shop) -> None:
    assert (await shop.post("/dealers/BJ002/chapter", {"opened_on": "2026-10-01", "name": "车友会"}, shop.hq))[0] == 201
    director = shop.api.token(Role.CARE_DIRECTOR, dealer="BJ002")
    event = await desk.plan(director, dealer_code="BJ002")
    path, nobody = "/dealers/BJ002/chapter/closing", {"to_dealer_code": None, "reason": "退网"}
    status, answer = await shop.post(path, nobody, shop.hq)
    assert (status, answer["type"]) == (409, "/problems/events-open"), answer
    assert answer["events"] == 1
    await desk.done(event, "cancellation", director, reason="停办")
    assert (await shop.post(path, nobody, shop.hq))[0] == 200


async def test_what_a_cancelled_event_cost_is_spent(desk: Desk) -> None:
    await desk.grant("BJ001", 500_000)
    event = await desk.approved(lines=[line(planned=100_000)])
    (one,) = event["lines"]
    costs: dict[str, Any] = {"costs": [{"line_id": one["id"], "actual": 120_000}]}
    assert (await desk.do(event, "cancellation/costs", **costs))[1]["type"] == "/problems/wrong-status"
    await desk.done(event, "cancellation", reason="暴雨")
    assert (await desk.budget())["spent_fen"] == 0
    assert (await desk.do(event, "cancellation/costs", desk.foreign_director, **costs))[0] == 404
    noted = await desk.done(event, "cancellation/costs", **costs)
    assert noted["due_fen"] == 100_000
    budget = await desk.budget()
    assert (budget["promised_fen"], budget["spent_fen"], budget["left_fen"]) == (0, 120_000, 380_000)


async def test_members_are_chosen_by_the_events_they_came_to(guests: Guests, desk: Desk, shop: Shop) -> None:
    event = await desk.opened()
    (came, made), (missed, _) = [await guests.seated(event) for _ in range(2)]
    async with desk.at(DAY):
        await desk.done(event, "closing")
        await desk.done(event, "holding")
        assert (await guests.scan(event, registration_id=made["id"]))[0] == 201
        for field, op, value, who in (
            ("events.attended_12m", "at_least", 1, came), ("events.missed_12m", "is", 1, missed),
            ("events.last_on", "is", "2026-12-12", came),
        ):  # fmt: skip
            asked = {"filter": {"field": field, "op": op, "value": value}}
            status, found = await shop.post("/members/search", asked, desk.director)
            assert (status, [one["id"] for one in found["items"]]) == (200, [str(who.id)]), field
    refused = await shop.post("/members/search", asked, shop.advisor)
    assert (refused[0], refused[1]["type"]) == (403, "/problems/field-not-visible")
