"""The second wall: a query that forgets its condition returns nothing that is not the caller's."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import date

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlmodel import SQLModel, col, select

from app.core.actors import Actor, Role, acting
from app.core.db import Database, unrestricted
from app.members.models import Application, Member, Ownership, StatusChange
from app.settlement import service as settlement
from app.settlement.models import Statement, StatementLine
from tests.api import Api, running_api
from tests.members.conftest import car
from tests.shop import Person, Shop

HQ = Actor("hq", Role.HQ_ADMIN)
BJ = Actor("director.bj001", Role.CARE_DIRECTOR, "BJ001")
SH = Actor("advisor.sh001", Role.SERVICE_ADVISOR, "SH001")
NORTH = Actor("north", Role.REGIONAL_MANAGER, region_code="BJ")
PARTNER = Actor("till", Role.PARTNER_CLERK, partner_code="coffee")


@contextmanager
def as_caller(actor: Actor) -> Iterator[None]:
    """As `Requires` leaves it for the rest of a request."""
    token = acting.set(actor)
    try:
        yield
    finally:
        acting.reset(token)


@pytest.fixture(scope="module")
async def rows(dsn: str) -> AsyncIterator[Api]:
    async with running_api(dsn) as api:
        yield api


@pytest.fixture(scope="module")
async def people(rows: Api) -> dict[str, Person]:
    """A member of BJ001 and one of SH001, each with an application elsewhere; May is settled."""
    shop = await Shop.open(rows)
    people = {dealer: await shop.member(dealer=dealer, points=100) for dealer in ("BJ001", "SH001")}
    for serial, dealer in enumerate(people, 700_001):
        applicant = {"name": "王芳", "phone": f"138{serial:08d}", "vin": car(serial), "source": "event"}
        assert (await shop.post("/applications", applicant | {"dealer_code": dealer}, shop.hq))[0] == 201
    return people


async def seen(database: Database, actor: Actor, table: type[SQLModel]) -> int:
    """How many rows a query without any condition finds in the caller's session."""
    with as_caller(actor):
        async with database.session() as session:
            return len((await session.scalars(select(table))).all())


@pytest.mark.parametrize("table", [Member, Application, Ownership, StatusChange])
async def test_a_forgotten_filter_shows_only_ones_own(
    rows: Api, people: dict[str, Person], table: type[SQLModel]
) -> None:
    found = [await seen(rows.db, actor, table) for actor in (HQ, BJ, SH, NORTH, PARTNER)]
    assert found == [2, 1, 1, 1, 0]


async def test_a_member_sees_itself(rows: Api, people: dict[str, Person]) -> None:
    me = Actor("me", Role.MEMBER, member_id=people["SH001"].id)
    found = [await seen(rows.db, me, table) for table in (Member, Ownership, StatusChange, Application, Statement)]
    assert found == [1, 1, 1, 0, 0]
    with as_caller(me):
        async with rows.db.session() as session:
            assert await session.scalar(select(col(Member.id))) == people["SH001"].id


async def test_statements_are_their_dealers(rows: Api, people: dict[str, Person]) -> None:
    await settlement.close(rows.db, date(2025, 5, 1), now=rows.app.state.now)
    all_of_them, north = await seen(rows.db, HQ, Statement), await seen(rows.db, NORTH, Statement)
    assert 0 < north < all_of_them
    assert await seen(rows.db, BJ, Statement) == 1
    assert await seen(rows.db, PARTNER, StatementLine) == 0


async def test_nor_does_it_change_others(rows: Api, people: dict[str, Person]) -> None:
    with as_caller(SH):
        async with rows.db.session() as session:
            await session.execute(text("UPDATE member SET name = 'x'"))
    unchanged = "SELECT count(*) FROM member WHERE name <> 'x' AND dealer_code = 'BJ001'"
    assert await rows.db.pool.fetchval(unchanged) == 1
    with as_caller(SH), pytest.raises(ProgrammingError, match="row-level security"):
        async with rows.db.session() as session:
            await session.execute(text("UPDATE member SET dealer_code = 'BJ001'"))


async def test_a_rule_that_must_reads_all(rows: Api, people: dict[str, Person]) -> None:
    with as_caller(SH):
        async with rows.db.session() as session:
            await unrestricted(session)
            assert len((await session.scalars(select(Member))).all()) == 2
        async with rows.db.session() as session:
            assert len((await session.scalars(select(Member))).all()) == 1


async def test_without_a_setting_nothing_is_seen(rows: Api, people: dict[str, Person]) -> None:
    async with rows.db.transaction() as connection:
        await connection.execute("SET LOCAL club.reach = ''")
        assert await connection.fetchval("SELECT count(*) FROM member") == 0
