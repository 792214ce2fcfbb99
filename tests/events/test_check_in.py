"""At the door: by ticket, card or list, once; retries, scanners without a network, and points for coming."""

from datetime import timedelta
from typing import Any

from app.core.clock import CHINA
from app.events import tickets
from tests.earning.writing import published
from tests.events.desk import Body, Desk, faults
from tests.events.guests import DURING, Guests, disagreeing
from tests.now import NOW
from tests.shop import Person, Shop


async def test_the_first_scan_counts_and_others_are_told_of_it(guests: Guests, desk: Desk, dsn: str) -> None:
    event, member, made = await seated(guests, desk, party=2)
    ticket = await guests.ticket(event, member)
    door = desk.shop.director
    async with desk.shop.at(DURING):
        status, first = await guests.scan(event, door, ticket=ticket, device="门口 1")
        assert (status, first["is_first"], first["party"], first["registration_id"]) == (201, True, 2, made["id"])
        desk.shop.api.app.state.now = DURING + timedelta(minutes=1)
        _, second = await guests.scan(event, desk.shop.hq, member_no=member.member_no, device="门口 2")
        _, third = await guests.scan(event, door, registration_id=made["id"])
    for again in (second, third):
        assert again == first | {"is_first": False, "points": None}
    assert first["at"] == DURING.isoformat().replace("+00:00", "Z")
    assert (first["by"], first["device"]) == ("care_director:BJ001", "门口 1")
    assert (await guests.seats(event))["checked_in"] == 2
    assert await disagreeing(dsn) == {}


async def seated(guests: Guests, desk: Desk, party: int = 1, **fields: Any) -> tuple[Body, Person, Body]:
    """An event about to begin, and a member with a party who has seats."""
    event = await desk.opened(**fields)
    member, made = await guests.seated(event, party)
    return await desk.done(event, "closing"), member, made


async def test_a_retry_with_the_same_nonce_is_one_record(guests: Guests, desk: Desk, shop: Shop) -> None:
    event, _, made = await seated(guests, desk)
    _, other = await guests.seated(await desk.opened())
    async with shop.at(DURING):
        answers = [await guests.scan(event, shop.director, nonce="n-000001", registration_id=made["id"]) for _ in "12"]
        assert [(status, body["is_first"]) for status, body in answers] == [(201, True), (201, True)]
        assert answers[0][1]["id"] == answers[1][1]["id"]
        # the same nonce at another registration is no retry
        status, _ = await guests.scan(event, shop.director, nonce="n-000001", registration_id=other["id"])
        assert status == 404
    kept = await shop.pool.fetchval("SELECT count(*) FROM check_in WHERE registration_id = $1", made["id"])
    assert kept == 1


async def test_codes_that_are_not_this_events(guests: Guests, desk: Desk, shop: Shop) -> None:
    event, member, _ = await seated(guests, desk)
    other, _, _ = await seated(guests, desk)
    ticket = await guests.ticket(event, member)
    async with shop.at(DURING):
        status, answer = await guests.scan(other, shop.director, ticket=ticket)
        assert (status, answer["type"]) == (409, "/problems/ticket-of-other-event")
        forged = ticket[:-4] + ("AAAA" if ticket[-4:] != "AAAA" else "BBBB")
        for wrong in (forged, "EVT1.", "hello", ticket.replace("EVT1.", ""), "EVT1.中文"):
            assert (await guests.scan(event, shop.director, ticket=wrong))[0] == 404
        assert (await guests.scan(event, shop.director, member_no="0000000000"))[0] == 404
        status, answer = await guests.scan(event, shop.director)
        assert (status, faults(answer)) == (422, {"": "one_of_three"})


async def test_who_has_no_seats_is_not_let_in(guests: Guests, desk: Desk, shop: Shop) -> None:
    event = await desk.opened(capacity=1)
    gone, made = await guests.seated(event)
    await guests.seated(event)
    waits, other = await guests.seated(event)
    await guests.do(event, gone, "cancellation")
    await desk.done(event, "closing")
    assert (await guests.own(event, waits, "ticket"))[1]["type"] == "/problems/not-seated"
    async with shop.at(DURING):
        for one, status in ((made, "cancelled"), (other, "waiting")):
            code, answer = await guests.scan(event, shop.director, registration_id=one["id"])
            assert (code, answer["type"], answer["registration_status"]) == (409, "/problems/not-seated", status)


async def test_only_about_its_time(guests: Guests, desk: Desk, shop: Shop) -> None:
    event, _, made = await seated(guests, desk)
    by = {"registration_id": made["id"]}
    status, answer = await guests.scan(event, **by)
    assert (status, answer["type"]) == (409, "/problems/check-in-not-open")
    await desk.done(event, "cancellation", reason="暴雨")
    async with shop.at(DURING):
        assert (await guests.scan(event, shop.director, **by))[1]["type"] == "/problems/wrong-status"


async def test_coming_earns_once_and_undoing_takes_it_back(guests: Guests, desk: Desk, shop: Shop, dsn: str) -> None:
    await published(
        shop, shop.hq, trigger="event_attended", amount="10 + event.companions", condition='event.class == "care"',
        examples=[{"fields": {"code": "x", "class": "care", "companions": 2}, "on": "2026-12-12", "points": 12}],
    )  # fmt: skip
    event, member, made = await seated(guests, desk, party=3)
    by = {"registration_id": made["id"]}
    async with shop.at(DURING):
        _, first = await guests.scan(event, shop.director, **by)
        await guests.scan(event, shop.director, **by)
        assert (first["points"], await shop.wallet(member)) == (12, (12, 0, 0, 0))
        path = f"check-ins/{first['id']}/undoing"
        assert (await guests.staff(event, path, shop.director, reason="扫错"))[0] == 200
        assert (await guests.staff(event, path, shop.director, reason="扫错"))[1]["type"] == "/problems/wrong-status"
        assert (await shop.wallet(member))[0] == 0
        assert await disagreeing(dsn) == {}
        _, anew = await guests.scan(event, shop.director, **by)
        assert (anew["is_first"], anew["points"]) == (True, 12)
        assert (await shop.wallet(member))[0] == 12
        # a party that has come is not cancelled
        status, answer = await guests.staff(event, f"registrations/{made['id']}/cancellation", shop.director)
        assert (status, answer["type"], answer["by"]) == (409, "/problems/checked-in", anew["by"])
    assert await disagreeing(dsn) == {}


async def test_scanners_without_a_network(guests: Guests, desk: Desk, shop: Shop, dsn: str) -> None:
    event = await desk.opened(capacity=5)
    members = [await guests.seated(event) for _ in range(4)]
    await desk.done(event, "closing")
    (one, first), (_, second), (_, third), (_, fourth) = members
    ticket = await guests.ticket(event, one)
    async with shop.at(DURING):
        listed = (await shop.get(f"/events/{event['id']}/check-in-list", shop.director))[1]
        assert [entry["registration_id"] for entry in listed["entries"]] == [made["id"] for _, made in members]
        # a scanner knows the ticket, and cannot make one
        assert listed["entries"][0]["ticket_sha256"] == tickets.digest_of(ticket)
        assert ticket not in str(listed)
        # meanwhile, with a network: one is let in, one cancels
        await guests.scan(event, shop.hq, registration_id=second["id"])
        await guests.staff(event, f"registrations/{fourth['id']}/cancellation", shop.director)
        shop.api.app.state.now = DURING + timedelta(hours=3)
        moment = (DURING + timedelta(minutes=10)).isoformat()
        scans = [
            {"nonce": "off-0001", "ticket": ticket, "at": moment},
            {"nonce": "off-0002", "registration_id": second["id"], "at": moment},
            {"nonce": "off-0003", "registration_id": fourth["id"], "at": moment},
            {"nonce": "off-0004", "registration_id": first["id"], "at": (DURING + timedelta(minutes=9)).isoformat()},
            {"nonce": "off-0005", "ticket": "EVT1.x", "at": moment},
            {"nonce": "off-0006", "registration_id": third["id"], "at": (DURING + timedelta(days=1)).isoformat()},
        ]
        body = {"token": listed["token"], "device": "pad-7", "scans": scans}
        status, done = await shop.post(f"/events/{event['id']}/check-in-uploads", body, shop.director)
        assert status == 200
        outcomes = [(item["outcome"], item["problem"]) for item in done["items"]]
        # of two scans the earlier one counts, whatever their order in the file
        assert outcomes == [
            ("already", None), ("already", None), ("refused", "not-seated"), ("checked_in", None),
            ("refused", "not-found"), ("refused", "future-date"),
        ]  # fmt: skip
        assert done["items"][1]["first_by"].startswith("hq_admin")
        again = (await shop.post(f"/events/{event['id']}/check-in-uploads", body, shop.director))[1]["items"]
        assert [item["outcome"] for item in again][3] == "repeated"
        assert (await guests.seats(event))["checked_in"] == 2
    assert await disagreeing(dsn) == {}


async def test_uploads_go_with_a_list_of_this_event(guests: Guests, desk: Desk, shop: Shop) -> None:
    event, _, made = await seated(guests, desk)
    other, _, _ = await seated(guests, desk)
    listed = (await shop.get(f"/events/{other['id']}/check-in-list", shop.director))[1]
    scan = {"nonce": "off-9999", "registration_id": made["id"], "at": NOW.astimezone(CHINA).isoformat()}
    for token in (listed["token"], "made up"):
        body = {"token": token, "device": "pad", "scans": [scan]}
        status, answer = await shop.post(f"/events/{event['id']}/check-in-uploads", body, shop.director)
        assert (status, answer["type"]) == (409, "/problems/list-not-ours")
