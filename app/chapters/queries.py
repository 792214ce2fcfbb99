"""The network's SQL, and the one condition on what an actor may see of it."""

from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

import asyncpg
from sqlalchemy import ColumnElement, Select, and_, false, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped
from sqlmodel import col

from app.chapters.models import Chapter, Dealer, Officer, Region, Target
from app.core.actors import Actor, Reach
from app.core.db import Connection, Database
from app.core.problems import InvalidPayload


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """Who is bound to dealers or a region sees those; everyone else sees the network."""
    match actor.reach:
        case Reach.DEALER:
            return col(Dealer.code).in_(sorted(actor.dealers))
        case Reach.REGION:
            return col(Dealer.region_code) == actor.region_code
    return true()


def dealer_visible_to(actor: Actor, dealer_code: Mapped[Any]) -> ColumnElement[bool]:
    """The same for rows of other tables that name their dealer; nothing for those who reach no dealer."""
    match actor.reach:
        case Reach.ALL:
            return true()
        case Reach.REGION | Reach.DEALER:
            return dealer_code.in_(select(col(Dealer.code)).where(visible_to(actor)))
    return false()


class DealerRow(NamedTuple):
    """A dealer and its chapter, if it has one that is not closed."""

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
    its_own = and_(col(Chapter.dealer_code) == col(Dealer.code), col(Chapter.closed_on).is_(None))
    return select(Dealer, Chapter).outerjoin(Chapter, its_own).where(visible_to(actor))


async def region_exists(session: AsyncSession, code: str) -> bool:
    """Whether there is such a region."""
    return await session.get(Region, code) is not None


async def has_chapter(session: AsyncSession, dealer_code: str) -> bool:
    """Whether the dealer has a chapter (False too for an unknown dealer); until commit it is not closed."""
    there = select(col(Chapter.dealer_code)).where(
        col(Chapter.dealer_code) == dealer_code, col(Chapter.closed_on).is_(None)
    )
    return await session.scalar(there.with_for_update(read=True, key_share=True)) is not None


async def officers(session: AsyncSession, dealer_code: str, *, on: date | None) -> Sequence[Officer]:
    """Who holds an office of a chapter on a day, or ever did (None), by first day; there are a handful."""
    query = select(Officer).where(col(Officer.dealer_code) == dealer_code)
    if on is not None:
        query = query.where(col(Officer.since) <= on, or_(col(Officer.until).is_(None), col(Officer.until) >= on))
    return (await session.scalars(query.order_by(col(Officer.since), col(Officer.id)))).all()


async def end_offices(session: AsyncSession, dealer_code: str, last_day: date) -> None:
    """End a chapter's offices; those that were to begin later never do."""
    for officer in await officers(session, dealer_code, on=None):
        if officer.since > last_day:
            await session.delete(officer)
        elif officer.until is None or officer.until > last_day:
            officer.until = last_day
            officer.version += 1
    await session.flush()


async def targets(session: AsyncSession, dealer_code: str, *, after: str, limit: int) -> Sequence[Target]:
    """A chapter's targets by period from after one."""
    query = select(Target).where(col(Target.dealer_code) == dealer_code, col(Target.period) > after)
    return (await session.scalars(query.order_by(col(Target.period)).limit(limit))).all()


# --- for the posting path and batches ---


async def dealer_exists(connection: Connection, code: str) -> bool:
    """Whether there is such a dealer."""
    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM dealer WHERE code = $1)", code))


async def reached(connection: Connection, actor: Actor) -> frozenset[str] | None:
    """The codes of the dealers for which an actor may act; None: for all."""
    match actor.reach:
        case Reach.ALL:
            return None
        case Reach.DEALER:
            return actor.dealers
        case Reach.REGION:
            rows = await connection.fetch("SELECT code FROM dealer WHERE region_code = $1", actor.region_code)
            return frozenset(code for (code,) in rows)
    return frozenset()


async def reaches(connection: Connection, actor: Actor, dealer_code: str) -> bool:
    """Whether an actor may act for a dealer."""
    dealers = await reached(connection, actor)
    return dealers is None or dealer_code in dealers


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


async def require_reached(db: Database, actor: Actor, pointer: str, code: str) -> None:
    """Refuse a payload that names a dealer that is unknown, or not the actor's to act for.

    Raises:
        InvalidPayload: there is no such dealer for the actor.
    """
    if actor.reach is not Reach.ALL and not await reaches(db.pool, actor, code):
        raise InvalidPayload.at(pointer, "unknown_dealer", value=code)
    await require_dealer(db, pointer, code)


async def dealer_regions(connection: Connection) -> dict[str, str]:
    """The region code of every dealer, by dealer code."""
    rows = await connection.fetch("SELECT code, region_code FROM dealer")
    return {row["code"]: row["region_code"] for row in rows}


async def chapter_codes(connection: Connection, *, locked: bool = False) -> set[str]:
    """The codes of the dealers that have a chapter; `locked`: until commit none of these is closed."""
    lock = " ORDER BY dealer_code FOR KEY SHARE" if locked else ""
    rows = await connection.fetch(f"SELECT dealer_code FROM chapter WHERE closed_on IS NULL{lock}")  # noqa: S608
    return {code for (code,) in rows}


class KnownDealer(NamedTuple):
    """A dealer as a line of dealers.csv tells it."""

    region_code: str
    has_after_sales: bool
    has_chapter: bool


async def known_dealers(connection: Connection) -> dict[str, KnownDealer]:
    """Every dealer by code."""
    rows = await connection.fetch(
        "SELECT d.code, d.region_code, d.has_after_sales, c.dealer_code IS NOT NULL"
        " FROM dealer d LEFT JOIN chapter c ON c.dealer_code = d.code AND c.closed_on IS NULL"
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
