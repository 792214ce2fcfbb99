"""The network's SQL, and the one condition on what an actor may see of it."""

from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

import asyncpg
from sqlalchemy import ColumnElement, Select, false, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped
from sqlmodel import col

from app.chapters.models import Chapter, Dealer, Region
from app.core.actors import Actor, Reach
from app.core.db import Connection, Database
from app.core.problems import InvalidPayload


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """Dealer staff see their own dealer, a regional manager the region's; everyone else sees the network."""
    match actor.role.reach:
        case Reach.DEALER:
            return col(Dealer.code) == actor.dealer_code
        case Reach.REGION:
            return col(Dealer.region_code) == actor.region_code
    return true()


def dealer_visible_to(actor: Actor, dealer_code: Mapped[Any]) -> ColumnElement[bool]:
    """The same for rows of other tables that name their dealer; nothing for those who reach no dealer."""
    match actor.role.reach:
        case Reach.ALL:
            return true()
        case Reach.REGION | Reach.DEALER:
            return dealer_code.in_(select(col(Dealer.code)).where(visible_to(actor)))
    return false()


class DealerRow(NamedTuple):
    """A dealer and its chapter, if it has one."""

    dealer: Dealer
    chapter: Chapter | None


async def regions(session: AsyncSession) -> Sequence[Region]:
    """All regions by code; there are a handful."""
    return (await session.scalars(select(Region).order_by(col(Region.code)))).all()


async def dealers(
    session: AsyncSession, actor: Actor, *, region_code: str | None, has_chapter: bool | None,
    has_after_sales: bool | None, after: str, limit: int,
) -> list[DealerRow]:  # fmt: skip
    """The dealers an actor may see, by code from after one; None does not filter."""
    query = _dealers(actor).where(col(Dealer.code) > after).order_by(col(Dealer.code)).limit(limit)
    if region_code is not None:
        query = query.where(col(Dealer.region_code) == region_code)
    if has_after_sales is not None:
        query = query.where(col(Dealer.has_after_sales) == has_after_sales)
    if has_chapter is not None:
        query = query.where(col(Chapter.dealer_code).is_not(None) == has_chapter)
    return [DealerRow(dealer, chapter) for dealer, chapter in await session.execute(query)]


async def dealer(session: AsyncSession, actor: Actor, code: str) -> DealerRow | None:
    """One dealer, if the actor may see it."""
    row = (await session.execute(_dealers(actor).where(col(Dealer.code) == code))).one_or_none()
    return DealerRow(row[0], row[1]) if row is not None else None


def _dealers(actor: Actor) -> Select[Dealer, Chapter]:
    return select(Dealer, Chapter).outerjoin(Chapter).where(visible_to(actor))


async def region_exists(session: AsyncSession, code: str) -> bool:
    """Whether there is such a region."""
    return await session.get(Region, code) is not None


async def has_chapter(session: AsyncSession, dealer_code: str) -> bool:
    """Whether the dealer has a chapter (False too for an unknown dealer)."""
    return await session.get(Chapter, dealer_code) is not None


# --- for the posting path and batches ---


async def dealer_exists(connection: Connection, code: str) -> bool:
    """Whether there is such a dealer."""
    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM dealer WHERE code = $1)", code))


async def require_dealer(db: Database, pointer: str, code: str) -> None:
    """Refuse a payload that names an unknown dealer; one once found is not looked up again, since none is ever deleted.

    Raises:
        InvalidPayload: there is no such dealer.
    """
    if code in db.known_dealers:
        return
    if not await dealer_exists(db.pool, code):
        raise InvalidPayload.at(pointer, "unknown_dealer", value=code)
    db.known_dealers.add(code)


async def dealer_regions(connection: Connection) -> dict[str, str]:
    """The region code of every dealer, by dealer code."""
    rows = await connection.fetch("SELECT code, region_code FROM dealer")
    return {row["code"]: row["region_code"] for row in rows}


async def chapter_codes(connection: Connection) -> set[str]:
    """The codes of the dealers that have a chapter."""
    return {code for (code,) in await connection.fetch("SELECT dealer_code FROM chapter")}


class KnownDealer(NamedTuple):
    """A dealer as a line of dealers.csv tells it."""

    region_code: str
    has_after_sales: bool
    has_chapter: bool


async def known_dealers(connection: Connection) -> dict[str, KnownDealer]:
    """Every dealer by code."""
    rows = await connection.fetch(
        "SELECT d.code, d.region_code, d.has_after_sales, c.dealer_code IS NOT NULL"
        " FROM dealer d LEFT JOIN chapter c ON c.dealer_code = d.code"
    )
    return {code: KnownDealer(*known) for code, *known in rows}


async def region_names(connection: Connection) -> dict[str, str]:
    """Every region's name by code."""
    return {row["code"]: row["name"] for row in await connection.fetch("SELECT code, name FROM region")}


async def insert_network(
    connection: asyncpg.Connection,
    regions: Sequence[tuple[str, str]],
    dealers: Sequence[tuple[str, str, bool]],
    chapters: Sequence[tuple[str, date]],
) -> None:
    """New regions (code, name), dealers (code, region, after-sales) and chapters (dealer, opened on)."""
    await connection.executemany("INSERT INTO region (code, name) VALUES ($1, $2)", regions)
    await connection.executemany(
        "INSERT INTO dealer (code, region_code, has_after_sales, version) VALUES ($1, $2, $3, 1)", dealers
    )
    await connection.executemany("INSERT INTO chapter (dealer_code, opened_on, version) VALUES ($1, $2, 1)", chapters)
