"""Counters of what may happen a few times only: exact among those who come at once, and forgotten in time."""

import asyncio
from datetime import timedelta

from app.core import tallies
from app.core.db import Database
from app.core.tallies import Limit
from tests.now import NOW

THREE = Limit.of("3/hour")


async def test_a_window_begins_with_the_first_and_ends_after_its_span(database: Database):
    for number in range(1, 4):
        window = await tallies.count(database.pool, THREE, b"hour", NOW + timedelta(minutes=number))
        assert (window.counted, window.has_room) == (number, True)
    late = NOW + timedelta(minutes=60, seconds=59)
    window = await tallies.count(database.pool, THREE, b"hour", late)
    assert (window.counted, window.has_room, window.seconds_left(late)) == (3, False, 1)
    window = await tallies.count(database.pool, THREE, b"hour", NOW + timedelta(minutes=61))
    assert (window.counted, window.has_room) == (1, True)


async def test_of_many_at_once_so_many_are_counted(database: Database):
    windows = await asyncio.gather(*(tallies.count(database.pool, THREE, b"rush", NOW) for _ in range(20)))
    assert sorted(window.has_room for window in windows) == [False] * 17 + [True] * 3


async def test_to_look_counts_nothing(database: Database):
    for _ in range(4):
        assert (await tallies.look(database.pool, THREE, b"looked at", NOW)).has_room
    for counted in range(1, 4):
        await tallies.count(database.pool, THREE, b"looked at", NOW)
        window = await tallies.look(database.pool, THREE, b"looked at", NOW)
        assert (window.counted, window.has_room) == (counted, counted < 3)


async def test_what_is_taken_back_leaves_room_for_one(database: Database):
    await tallies.take_back(database.pool, b"back", NOW)
    for _ in range(5):
        await tallies.count(database.pool, THREE, b"back", NOW)
    await tallies.take_back(database.pool, b"back", NOW)
    rooms = [(await tallies.count(database.pool, THREE, b"back", NOW)).has_room for _ in range(2)]
    assert rooms == [True, False]


async def test_ended_counters_are_forgotten(database: Database):
    for key, limit in ((b"long", Limit.of("3/day")), (b"short", THREE)):
        await tallies.count(database.pool, limit, key, NOW)
    await tallies.forget(database.pool, NOW + timedelta(hours=1))
    left = {row["key"] for row in await database.pool.fetch("SELECT key FROM tally")}
    assert b"long" in left
    assert b"short" not in left
