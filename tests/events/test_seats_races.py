"""Races for seats and at the door; the controls take the lock out, and fail."""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.event import listen, remove
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.db import unrestricted
from app.events import registration_queries as queries
from app.events import registrations, waiting
from app.events.models import ClubEvent
from app.events.registration_models import Registration
from app.events.registration_rules import Room
from app.events.registration_schemas import RegistrationCreate
from tests.api import SETTINGS
from tests.events.desk import Body, Desk
from tests.events.guests import DURING, Guests, disagreeing, family
from tests.now import NOW
from tests.shop import Answer, Person, Shop

locks = pytest.mark.parametrize("locked", [True, False])


async def unlocked_event(session: AsyncSession, event_id: UUID) -> ClubEvent | None:
    """As `queries.locked_event`, but for the lock."""
    await unrestricted(session)
    found: ClubEvent | None = await session.scalar(select(ClubEvent).where(col(ClubEvent.id) == event_id))
    return found


async def unlocked_registration(session: AsyncSession, event_id: UUID, *conditions: Any) -> Registration | None:
    """As `queries.locked`, but for the lock."""
    query = select(Registration).where(col(Registration.event_id) == event_id, *conditions)
    found: Registration | None = await session.scalar(query.order_by(col(Registration.id).desc()).limit(1))
    await asyncio.sleep(0.05)
    return found


room = queries.room


async def slow_room(session: AsyncSession, event: ClubEvent) -> Room:
    """The seats as they were a moment ago, as on a busy machine."""
    found = await room(session, event)
    await asyncio.sleep(0.4)
    return found


def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for anybody."""
    monkeypatch.setattr(queries, "locked_event", unlocked_event)
    monkeypatch.setattr(queries, "locked", unlocked_registration)
    monkeypatch.setattr(queries, "room", slow_room)


async def mend(shop: Shop, event: Body) -> None:
    """What a control broke is made good, so that the module's other tests see whole books."""
    await shop.pool.execute("UPDATE club_event SET capacity = 100 WHERE id = $1", event["id"])


async def outcomes(*asked: Awaitable[Answer]) -> Counter[str]:
    """How often each came: a status of a registration, or a refusal's type."""
    answers = await asyncio.gather(*asked)
    return Counter(
        body["status"] if code < 300 else body["type"].removeprefix("/problems/") for code, body in answers
    )  # fmt: skip


def entry_of(shop: Shop, member: Person) -> registrations.Entry:
    """A member's wish to come alone."""
    alone = RegistrationCreate(companions=[], answers={})
    return registrations.Entry(member.id, alone, member.member_no, shop.api.app.state.now, "race")


async def of_many_processes(shop: Shop, event: Body, members: list[Person]) -> Counter[str]:
    """Each in a transaction of its own, as in as many processes: the desk would serve those of one together."""

    async def ask(member: Person) -> str:
        try:
            async with shop.api.db.session() as session:
                (outcome,) = await registrations.register_all(session, UUID(event["id"]), [entry_of(shop, member)])
        except Exception as error:
            return type(error).__name__
        return str(outcome.registration.status) if isinstance(outcome, registrations.Shown) else outcome.type

    return Counter(await asyncio.gather(*(ask(member) for member in members)))


@locks
async def test_twelve_clients_for_the_last_seat(
    guests: Guests, desk: Desk, shop: Shop, dsn: str, monkeypatch: pytest.MonkeyPatch, locked: bool
) -> None:
    event = await desk.opened(capacity=3)
    await guests.seated(event, party=2)
    members = [await guests.member() for _ in range(12)]
    clean = Counter({"registered": 1, "waiting": 11})
    if locked:
        assert await of_many_processes(shop, event, members) == clean
        numbers = [await _queue_no(guests, event, member) for member in members]
        assert sorted(numbers) == list(range(2, 14))
        assert await disagreeing(dsn) == {}
        return
    without_locks(monkeypatch)
    assert await of_many_processes(shop, event, members) != clean
    await mend(shop, event)


async def _queue_no(guests: Guests, event: Body, member: Person) -> int:
    return int((await guests.own(event, member))[1]["queue_no"])


async def test_of_one_process_they_are_served_together_and_in_order(guests: Guests, desk: Desk, dsn: str) -> None:
    event = await desk.opened(capacity=5)
    members = [await guests.member() for _ in range(70)]
    # one of them asks twice, another with a party that never fits
    asked = [guests.register(event, member) for member in members[2:]]
    twice = [guests.register(event, members[0], key="twice") for _ in "12"]
    came = await outcomes(*twice, guests.register(event, members[1], *family(6)), *asked)
    assert came == Counter({"registered": 6, "party-too-big": 1, "waiting": 64})
    assert (await guests.seats(event))["seated"] == 5
    assert await disagreeing(dsn) == {}


async def test_many_together_take_no_more_statements_than_one(guests: Guests, desk: Desk, shop: Shop) -> None:
    event = await desk.opened(capacity=5)
    members = [await guests.member() for _ in range(13)]
    taken = 0

    def count(*call: Any) -> None:
        nonlocal taken
        *_, parameters, _, is_many = call
        taken += len(parameters) if is_many else 1

    async def together(those: list[Person]) -> int:
        nonlocal taken
        taken = 0
        async with shop.api.db.session() as session:
            entries = [entry_of(shop, member) for member in those]
            outcomes = await registrations.register_all(session, UUID(event["id"]), entries)
        assert all(isinstance(outcome, registrations.Shown) for outcome in outcomes)
        return taken

    listen(shop.api.db.engine.sync_engine, "before_cursor_execute", count)
    try:
        assert await together(members[:1]) == await together(members[1:])
    finally:
        remove(shop.api.db.engine.sync_engine, "before_cursor_execute", count)


@locks
async def test_cancelling_against_promotion(
    guests: Guests, desk: Desk, dsn: str, monkeypatch: pytest.MonkeyPatch, locked: bool
) -> None:
    """Three give up their seats at once: each seat is offered once, to those who wait longest."""
    event = await desk.opened(capacity=3)
    seated = [(await guests.seated(event))[0] for _ in range(3)]
    waits = [(await guests.seated(event))[0] for _ in range(5)]
    if not locked:
        without_locks(monkeypatch)
    await asyncio.gather(*(guests.do(event, member, "cancellation") for member in seated))
    stand = [await guests.status(event, member) for member in waits]
    decided = await desk.shop.pool.fetchval(
        "SELECT count(*) FROM queue_decision WHERE event_id = $1 AND kind = 'offered'", event["id"]
    )
    is_right = stand == ["offered"] * 3 + ["waiting"] * 2 and decided == 3
    assert is_right is locked
    if locked:
        assert await disagreeing(dsn) == {}
    await mend(desk.shop, event)


@locks
async def test_by_hand_against_by_itself(
    guests: Guests, desk: Desk, dsn: str, monkeypatch: pytest.MonkeyPatch, locked: bool
) -> None:
    """One seat is free: the list offers it to the first while staff give it to the second by hand."""
    await waiting.work(desk.shop.api.db, SETTINGS, now=NOW)  # other tests' events are not in its way
    event = await desk.opened(capacity=2)
    await guests.seated(event, party=2)
    await guests.seated(event)
    _, second = await guests.seated(event)
    # a larger room, of which nobody has been told yet
    await desk.shop.pool.execute("UPDATE club_event SET capacity = 3 WHERE id = $1", event["id"])
    if not locked:
        without_locks(monkeypatch)
    await asyncio.gather(
        waiting.work(desk.shop.api.db, SETTINGS, now=NOW),
        guests.staff(event, f"registrations/{second['id']}/promotion", reason="贵宾"),
    )
    seats = await guests.seats(event)
    assert seats["seated"] + seats["offered"] == (3 if locked else 4)
    assert ("events-seats" not in await disagreeing(dsn)) is locked
    await mend(desk.shop, event)


@locks
async def test_two_scanners(
    guests: Guests, desk: Desk, shop: Shop, dsn: str, monkeypatch: pytest.MonkeyPatch, locked: bool
) -> None:
    event = await desk.opened()
    _, made = await guests.seated(event)
    await desk.done(event, "closing")
    if not locked:
        without_locks(monkeypatch)
    async with shop.at(DURING):
        answers = await asyncio.gather(
            *(guests.scan(event, shop.director, registration_id=made["id"]) for _ in range(4))
        )  # fmt: skip
    codes = Counter(status for status, _ in answers)
    if not locked:
        # the index alone keeps it from being counted twice, and the others have no answer
        assert codes[500] > 0
        return
    assert codes == Counter({201: 4})
    assert Counter(body["is_first"] for _, body in answers) == Counter({False: 3, True: 1})
    assert len({body["id"] for _, body in answers}) == 1
    assert await disagreeing(dsn) == {}


@locks
async def test_two_parties_grow_by_the_last_seat(
    guests: Guests, desk: Desk, dsn: str, monkeypatch: pytest.MonkeyPatch, locked: bool
) -> None:
    event = await desk.opened(capacity=3)
    members = [(await guests.seated(event))[0] for _ in range(2)]
    if not locked:
        without_locks(monkeypatch)

    async def grow(member: Person) -> int:
        path, tag = f"/members/me/events/{event['id']}/registration", {"If-Match": '"1"'}
        body = {"companions": family(2)}
        return (await desk.shop.api.call("PATCH", path, desk.of(member), json=body, headers=tag)).status_code

    answers = sorted(await asyncio.gather(*map(grow, members)))
    assert (answers == [200, 409]) is locked
    if locked:
        assert await disagreeing(dsn) == {}
    await mend(desk.shop, event)
