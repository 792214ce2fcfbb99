"""The waiting list: whose turn it is, offers and their deadlines, the quiet hours, and why somebody waits still."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.clock import CHINA
from app.events import waiting
from app.events.registration_rules import Night, Passed, RegistrationStatus, Room, given_out
from app.events.rules import Queue
from app.settings import Settings
from tests.api import SETTINGS
from tests.events.desk import DAY, Desk, faults
from tests.events.guests import Guests, disagreeing
from tests.now import NOW

NIGHT = Night(time(21), time(8))
parties = st.lists(st.integers(1, 6), max_size=8)


def at(day: int, hour: int) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=CHINA)


# --- pure ---


@pytest.mark.parametrize(
    ("moment", "is_night"), [(at(21, 20), False), (at(21, 21), True), (at(22, 3), True), (at(22, 8), False)]
)
def test_the_night_goes_over_midnight(moment: datetime, is_night: bool) -> None:
    assert NIGHT.holds(moment) is is_night


def test_only_waking_hours_count_towards_a_deadline() -> None:
    assert NIGHT.deadline(at(21, 10), 3) == at(21, 13)
    assert NIGHT.deadline(at(21, 20), 2) == at(22, 9)
    assert NIGHT.deadline(at(21, 10), 24) == at(22, 21)
    assert NIGHT.deadline(at(21, 10), 25) == at(23, 9)
    assert Night(time(8), time(8)).deadline(at(21, 10), 24) == at(22, 10)


@given(st.integers(0, 12), parties, st.sampled_from(Queue))
def test_no_more_seats_are_given_out_than_are_free(free: int, waits: list[int], queue: Queue) -> None:
    passed = given_out(Room(free, waits, queue))
    offered = [waits[one.place] for one in passed if one.is_offered]
    assert sum(offered) <= free
    left = free - sum(offered)
    if queue is Queue.STRICT:
        # the first ones, and the next is too big
        assert offered == waits[: len(offered)]
        assert len(offered) == len(waits) or waits[len(offered)] > left
    else:
        assert all(party > left for place, party in enumerate(waits) if not _is_offered(passed, place))


def _is_offered(passed: Sequence[Passed], place: int) -> bool:
    return any(one.place == place and one.is_offered for one in passed)


@given(st.integers(0, 6), parties, st.integers(1, 6), st.sampled_from(Queue))
def test_a_newcomer_takes_no_seat_somebody_waits_for(free: int, waits: list[int], party: int, queue: Queue) -> None:
    room = Room(free, list(waits), queue)
    could_go_ahead = bool(waits) if queue is Queue.STRICT else any(one <= free for one in waits)
    seated = room.admit(party) is RegistrationStatus.REGISTERED
    assert seated == (party <= free and not could_go_ahead)
    assert (room.free, room.waiting) == ((free - party, waits) if seated else (free, [*waits, party]))


# --- through the API ---


@asynccontextmanager
async def later(desk: Desk, moment: datetime) -> AsyncIterator[None]:
    """The lists' work, and the desk, at another time."""
    async with desk.shop.at(moment):
        await waiting.work(desk.shop.api.db, SETTINGS, now=moment)
        yield


async def test_a_seat_that_is_given_up_is_offered_to_the_next_at_once(guests: Guests, desk: Desk, dsn: str) -> None:
    event = await desk.opened(capacity=2, fee_points=10)
    first, _ = await guests.seated(event, party=2, points=20)
    family_of_two, made = await guests.seated(event, party=2, points=20)
    alone, other = await guests.seated(event, points=10)
    assert (made["position"], other["position"]) == (1, 2)
    await guests.do(event, first, "cancellation")
    offered = (await guests.own(event, family_of_two))[1]
    # 10:00 and 24 waking hours
    assert (offered["status"], offered["offered_until"]) == ("offered", "2026-11-22T13:00:00Z")
    assert await guests.status(event, alone) == "waiting"
    # it pays when it accepts
    assert (await desk.shop.wallet(family_of_two))[0] == 20
    assert (await guests.do(event, family_of_two, "acceptance"))[1]["status"] == "registered"
    assert (await desk.shop.wallet(family_of_two))[0] == 0
    assert (await guests.do(event, family_of_two, "acceptance"))[1]["type"] == "/problems/wrong-status"
    assert await disagreeing(dsn) == {}


async def test_a_strict_list_stops_at_a_party_too_big_and_says_so(guests: Guests, desk: Desk) -> None:
    event = await desk.opened(capacity=3, queue="strict")
    first, _ = await guests.seated(event)
    await guests.seated(event, party=2)
    big, _ = await guests.seated(event, party=3)
    small, _ = await guests.seated(event)
    await guests.do(event, first, "cancellation")
    assert [await guests.status(event, member) for member in (big, small)] == ["waiting", "waiting"]
    why = (await guests.own(event, big, "registration/why"))[1]
    assert [(one["kind"], one["own"], one["free"], one["needed"]) for one in why["decisions"]] == [
        ("too_big", True, 1, 3)
    ]
    why = (await guests.own(event, small, "registration/why"))[1]
    assert (why["position"], why["parties_ahead"], why["persons_ahead"], why["free"]) == (2, 1, 3, 1)
    assert (why["queue"], why["blocked_by_bigger"], why["decisions"]) == ("strict", True, [])


async def test_the_other_list_passes_it_over_and_says_so(guests: Guests, desk: Desk, dsn: str) -> None:
    event = await desk.opened(capacity=3, queue="skip")
    first, _ = await guests.seated(event)
    await guests.seated(event, party=2)
    big, _ = await guests.seated(event, party=3)
    small, _ = await guests.seated(event)
    await guests.do(event, first, "cancellation")
    assert [await guests.status(event, member) for member in (big, small)] == ["waiting", "offered"]
    why = (await guests.own(event, big, "registration/why"))[1]
    assert [(one["kind"], one["own"], one["free"]) for one in why["decisions"]] == [
        ("too_big", True, 1), ("offered", False, 1),
    ]  # fmt: skip
    assert await disagreeing(dsn) == {}


async def test_a_cancelled_offer_frees_its_seat_at_once(guests: Guests, desk: Desk) -> None:
    event = await desk.opened(capacity=1)
    first, _ = await guests.seated(event)
    second, _ = await guests.seated(event)
    third, _ = await guests.seated(event)
    await guests.do(event, first, "cancellation")
    await guests.do(event, second, "cancellation")
    assert await guests.status(event, third) == "offered"
    # one seat, one offer
    assert (await guests.seats(event))["offered"] == 1


async def test_an_offer_lapses_and_goes_on(guests: Guests, desk: Desk, dsn: str) -> None:
    event = await desk.opened(capacity=1)
    first, _ = await guests.seated(event)
    second, _ = await guests.seated(event)
    third, _ = await guests.seated(event)
    await guests.do(event, first, "cancellation")
    async with later(desk, at(22, 20)):
        pass
    assert await guests.status(event, second) == "offered"
    async with later(desk, at(22, 21)):
        pass
    # its time is out, but nobody is woken for the next
    assert [await guests.status(event, member) for member in (second, third)] == ["lapsed", "waiting"]
    async with later(desk, at(23, 7)):
        pass
    assert await guests.status(event, third) == "waiting"
    async with later(desk, at(23, 8)):
        pass
    assert await guests.status(event, third) == "offered"
    told = (await desk.shop.get("/members/me/event-notices", desk.of(second)))[1]["items"]
    assert [notice["kind"] for notice in told] == ["offer_lapsed", "offered"]
    assert await disagreeing(dsn) == {}


async def test_an_offer_that_is_over_cannot_be_accepted_and_goes_to_the_next(guests: Guests, desk: Desk) -> None:
    event = await desk.opened(capacity=1)
    first, _ = await guests.seated(event)
    second, _ = await guests.seated(event)
    third, _ = await guests.seated(event)
    await guests.do(event, first, "cancellation")
    await desk.shop.pool.execute(
        "UPDATE registration SET offered_until = $2 WHERE event_id = $1 AND status = 'offered'", event["id"], NOW
    )
    assert (await guests.do(event, second, "acceptance"))[1]["type"] == "/problems/offer-over"
    assert [await guests.status(event, member) for member in (second, third)] == ["lapsed", "offered"]


async def test_nothing_is_offered_once_the_event_has_begun(guests: Guests, desk: Desk) -> None:
    event = await desk.opened(capacity=1)
    _, made = await guests.seated(event)
    second, _ = await guests.seated(event)
    async with desk.shop.at(DAY):
        cancelled = await guests.staff(event, f"registrations/{made['id']}/cancellation", desk.shop.director)
        assert cancelled[0] == 200
        assert await waiting.work(desk.shop.api.db, SETTINGS, now=DAY) == 0
    assert await guests.status(event, second) == "waiting"


async def test_a_walk_up_never_jumps_the_queue(guests: Guests, desk: Desk, dsn: str) -> None:
    event = await desk.opened(capacity=1)
    _, made = await guests.seated(event)
    waits, one = await guests.seated(event)
    await desk.done(event, "closing")
    walks_up = await guests.member()
    async with desk.shop.at(DAY):
        door = desk.shop.director
        await guests.staff(event, f"registrations/{made['id']}/cancellation", door)
        status, walked = await guests.staff(event, "registrations", door, member_id=str(walks_up.id))
        assert (status, walked["status"], walked["is_walk_up"]) == (201, "waiting", True)
        why = (await guests.own(event, waits, "registration/why"))[1]
        assert (why["position"], why["free"], why["has_begun"]) == (1, 1, True)
        path = f"registrations/{walked['id']}/promotion"
        status, answer = await guests.staff(event, path, door)
        assert (status, faults(answer)) == (422, {"/reason": "missing"})
        status, seated = await guests.staff(event, path, door, reason="前一位未到场")
        assert (status, seated["status"]) == (200, "registered")
        status, answer = await guests.staff(event, f"registrations/{one['id']}/promotion", door)
        assert (status, answer["type"], answer["free"], answer["needed"]) == (409, "/problems/no-seats", 0, 1)
    why = (await guests.own(event, waits, "registration/why"))[1]
    assert [(one["kind"], one["own"], one["reason"]) for one in why["decisions"]] == [
        ("by_hand", False, "前一位未到场")
    ]
    assert await disagreeing(dsn) == {}


async def test_by_hand_where_points_are_due(guests: Guests, desk: Desk) -> None:
    event = await desk.opened(capacity=2, fee_points=5)
    await guests.seated(event, party=2, points=10)
    _, made = await guests.seated(event, points=5)
    path = f"registrations/{made['id']}/promotion"
    assert (await guests.staff(event, path))[1]["type"] == "/problems/no-seats"
    await desk.shop.pool.execute("UPDATE club_event SET capacity = 3 WHERE id = $1", event["id"])
    # without the member's code it is offered, with it taken
    assert (await guests.staff(event, path))[1]["status"] == "offered"
    assert (await guests.staff(event, path))[1]["type"] == "/problems/wrong-status"
    other, second = await guests.seated(event, points=5)
    await desk.shop.pool.execute("UPDATE club_event SET capacity = 4 WHERE id = $1", event["id"])
    code = await desk.shop.code(other)
    seated = await guests.staff(event, f"registrations/{second['id']}/promotion", code=code)
    assert (seated[0], seated[1]["status"]) == (200, "registered")
    assert (await desk.shop.wallet(other))[0] == 0


def test_the_settings_say_when() -> None:
    assert waiting.Waiting.of(Settings()).night == NIGHT
