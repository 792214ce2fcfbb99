"""A first page is the same whichever way it is looked for."""

from functools import partial
from uuid import UUID

import pytest
from sqlalchemy import event, select, text
from sqlmodel import col

from app.core.actors import Actor, Role
from app.core.estimates import by_statistics, walks
from app.members import queries, segments
from app.members.models import Member
from app.members.segments import Tree
from tests.core.test_filters import where
from tests.now import NOW
from tests.shop import Shop

HQ = Actor("hq", Role.HQ_ADMIN)
NEW = where("joined_on", "at_least", {"days_ago": 7})
RICH = where("points.available", "at_least", 100)
INSURED = {"and": [where("vehicle.model", "is", "X5"), where("vehicle.insurance_ends_on", "at_least", "2026-12-01")]}
WALKING = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off"


@pytest.fixture(scope="module")
async def people(shop: Shop) -> list[UUID]:
    """Five members, every other with points and an insured X5, in the order in which they joined."""
    people = [await shop.member(points=100 * (number % 2)) for number in range(5)]
    cars = [one.vin for one in people[1::2]]
    await shop.pool.execute("UPDATE vehicle SET model = 'X5' WHERE vin = ANY ($1)", cars)
    await shop.pool.execute("UPDATE ownership SET insurance_ends_on = '2026-12-31' WHERE vin = ANY ($1)", cars)
    return [one.id for one in people]


HOW = {"gathered": "AS MATERIALIZED", "listed": "AS listed"}
"""What tells the ways from a walk."""


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize(
    ("tree", "way"), [(NEW, "gathered"), ({"and": [NEW, RICH]}, "gathered"), (RICH, None), (INSURED, "listed")]
)
async def test_gathered_listed_or_walked_the_page_is_the_same(
    shop: Shop, people: list[UUID], tree: Tree, way: str | None, newest_first: bool
) -> None:
    database = shop.api.db
    sent: list[str] = []
    event.listen(database.engine.sync_engine, "before_cursor_execute", lambda *called: sent.append(called[2]))
    pages = []
    for planned in ("SELECT 1", WALKING):
        sent.clear()
        async with database.session() as session:
            for setting in planned.split(";"):
                await session.execute(text(setting))
            condition = segments.condition(await segments.read(session, HQ, tree), NOW.date())
            ask = partial(queries.members, session, HQ, condition, newest_first=newest_first)
            first = await ask(after=None, limit=2)
            rest = await ask(after=first[-1].id, limit=10)
        pages.append([member.id for member in (*first, *rest)])
        # the wallet alone is only guessed at, so it is never gathered
        ways = {name for name, sign in HOW.items() if any(sign in one for one in sent)}
        assert ways == ({way} if planned is WALKING and way else set())
    expected = people if tree is NEW else people[1::2]
    assert pages[0] == pages[1] == (expected[::-1] if newest_first else expected)


async def test_who_came_last_comes_first_where_dates_are_asked_for_from_a_day_on(shop: Shop, people: list[UUID]):
    for tree, expected in (({"and": [NEW, RICH]}, people[3::-2]), ({"or": [NEW, RICH]}, people), (RICH, people[1::2])):
        found, cursor = list[str](), None
        while not found or cursor is not None:
            params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
            answer = await shop.api.call("POST", "/members/search", shop.hq, json={"filter": tree}, params=params)
            found += [member["id"] for member in answer.json()["items"]]
            cursor = answer.json()["next_cursor"]
        assert found == [str(member_id) for member_id in expected]


async def test_a_walk_is_told_from_a_sort(shop: Shop, people: list[UUID]) -> None:
    ordered = select(col(Member.id)).where(col(Member.name) == "x").order_by(col(Member.id)).limit(1)
    async with shop.api.db.session() as session:
        assert not await walks(session, ordered, "pk_member")
        for setting in WALKING.split(";"):
            await session.execute(text(setting))
        assert await walks(session, ordered, "pk_member")
        assert not await walks(session, ordered, "ix_member_dealer_code")


async def test_what_the_planner_knows(shop: Shop) -> None:
    async with shop.api.db.session() as session:
        node = await segments.read(session, HQ, {"and": [NEW, {"and": [RICH]}, {"not": RICH}, {"or": [NEW, RICH]}]})
    known, guessed = by_statistics([segments.condition(node, NOW.date())])
    assert (len(known), len(guessed)) == (1, 3)
