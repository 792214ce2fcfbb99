"""Who asks the database, and what a query without any condition finds in its session."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlmodel import SQLModel, select

from app.core.actors import Actor, Role, acting
from app.core.db import Database, raw

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


async def seen(database: Database, actor: Actor, table: type[SQLModel]) -> int:
    """How many rows a query without any condition finds in the caller's session."""
    with as_caller(actor):
        async with database.session() as session:
            return len((await session.scalars(select(table))).all())


async def counted(database: Database, actor: Actor, table: str) -> int:
    """How many rows of a table or view the caller's session finds, without any condition."""
    with as_caller(actor):
        async with database.session() as session:
            found: int = await (await raw(session)).fetchval(f"SELECT count(*) FROM {table}")
            return found
