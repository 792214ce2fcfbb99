"""A first page is the same whichever way it is looked for."""

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
WALKING = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off"


@pytest.fixture(scope="module")
async def people(shop: Shop) -> list[UUID]:
    """Five members, every other with points, in the order in which they joined."""
    return [(await shop.member(points=100 * (number % 2))).id for number in range(5)]


@pytest.mark.parametrize("tree", [NEW, {"and": [NEW, RICH]}, RICH])
async def test_gathered_or_walked_the_page_is_the_same(shop: Shop, people: list[UUID], tree: Tree) -> None:
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
            first = await queries.members(session, HQ, condition, after=None, limit=2)
            rest = await queries.members(session, HQ, condition, after=first[-1].id, limit=10)
        pages.append([member.id for member in (*first, *rest)])
        # the wallet alone is only guessed at, so it is never gathered
        assert any("AS MATERIALIZED" in one for one in sent) == (planned is WALKING and tree is not RICH)
    assert pages[0] == pages[1] == (people if tree is NEW else people[1::2])


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
