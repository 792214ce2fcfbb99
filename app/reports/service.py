"""The network's figures as of any month's end: frozen once the month is over, else computed from what is on record."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

import asyncpg

from app.chapters import queries as chapters
from app.core.actors import Actor, Reach
from app.core.clock import add_months, china_date, month_end, month_of
from app.core.db import Connection, Database
from app.core.problems import NotFound
from app.reports import queries
from app.reports.problems import MonthNotBegun
from app.reports.queries import Place
from app.reports.rules import Counts, Measure, ranked, total
from app.reports.schemas import Figures, NetworkRead, RankedRead, RegionReport

MOST_MONTHS = 120
"""So far back months are frozen that never were: ten years."""

Level = Literal["regions", "dealers"]


@dataclass(frozen=True, slots=True)
class Network:
    """Every place at a month's end, and what regions and dealers are called."""

    month: date
    as_of: date
    frozen_at: datetime | None
    places: list[Place]
    region_names: dict[str, str]
    dealer_names: dict[str, str | None]

    @property
    def when(self) -> dict[str, date | datetime | None]:
        """As reports tell it."""
        return {"month": self.month, "as_of": self.as_of, "frozen_at": self.frozen_at}

    def regions(self) -> list[str]:
        """The codes of the regions that have dealers, in order."""
        return sorted({place.region_code for place in self.places if place.region_code})

    def dealers(self, region: str | None = None) -> Iterator[tuple[str, Place]]:
        """Dealers by code, of one region or of all."""
        for place in self.places:
            if place.dealer_code is not None and region in {None, place.region_code}:
                yield place.dealer_code, place

    def region(self, code: str) -> Counts:
        """A region's sum."""
        return _sum(place for _, place in self.dealers(code))


def _sum(places: Iterable[Place]) -> Counts:
    return total(place.counts for place in places)


# --- who sees what ---


def sees_country(actor: Actor | None) -> bool:
    """Whether a caller sees the country's sum; None is the operator."""
    return actor is None or actor.reach is Reach.ALL


def sees_region(actor: Actor | None, code: str) -> bool:
    """Whether a caller sees a region's sum: its own manager, and who sees the country."""
    return sees_country(actor) or (actor is not None and actor.reach is Reach.REGION and actor.region_code == code)


def visible_to(actor: Actor | None, place: Place) -> bool:
    """Whether a caller sees a dealer's figures; a region sees the dealers that were its own then."""
    if place.region_code is not None and sees_region(actor, place.region_code):
        return True
    return actor is not None and actor.reach is Reach.DEALER and place.dealer_code in actor.dealers


# --- reports ---


async def read(connection: Connection, month: date | None, *, now: datetime) -> Network:
    """Every place at a month's end; today while the month lasts. Without a month: of the last that is over.

    Raises:
        MonthNotBegun.
    """
    today = china_date(now)
    month = month or add_months(month_of(today), -1)
    if month > today:
        raise MonthNotBegun(month)
    day = min(month_end(month), today)
    names = await chapters.region_names(connection), await queries.dealer_names(connection)
    if frozen := await queries.frozen(connection, month):
        return Network(month, day, frozen.at, frozen.places, *names)
    return Network(month, day, None, await queries.counted(connection, month, day), *names)


def network(found: Network, actor: Actor | None) -> NetworkRead:
    """The country and its regions, as far as a caller reaches."""
    return NetworkRead(
        **found.when,
        national=Figures.of(_sum(found.places)) if sees_country(actor) else None,
        regions={code: Figures.of(found.region(code)) for code in found.regions() if sees_region(actor, code)},
    )


def region(found: Network, actor: Actor | None, code: str) -> RegionReport:
    """A region and its dealers, as far as a caller reaches.

    Raises:
        NotFound: there is no such region, or the caller sees nothing of it.
    """
    own = {dealer: Figures.of(place.counts) for dealer, place in found.dealers(code) if visible_to(actor, place)}
    if code not in found.regions() or not (own or sees_region(actor, code)):
        raise NotFound("region")
    return RegionReport(
        **found.when,
        code=code,
        name=found.region_names[code],
        figures=Figures.of(found.region(code)) if sees_region(actor, code) else None,
        dealers=own,
    )


def ranking(found: Network, actor: Actor | None, level: Level, by: Measure, region: str | None) -> list[RankedRead]:
    """Those a caller sees, with their rank among all."""
    names: Mapping[str, str | None]
    if level == "regions":
        names = found.region_names
        counts = {code: found.region(code) for code in found.regions() if region in {None, code}}
        seen = {code for code in counts if sees_region(actor, code)}
    else:
        names, dealers = found.dealer_names, dict(found.dealers(region))
        counts = {code: place.counts for code, place in dealers.items()}
        seen = {code for code, place in dealers.items() if visible_to(actor, place)}
    return [
        RankedRead.at(rank, code, names[code], counts[code])
        for rank, code in ranked(counts.items(), by)
        if code in seen
    ]


# --- freezing ---


async def freeze_due(db: Database, *, now: datetime, after_days: int) -> list[date]:
    """Freeze every month that has been over for so many days and is not frozen; each in a transaction of its own."""
    last = add_months(month_of(china_date(now) - timedelta(days=after_days)), -1)
    return [
        month for month in await queries.months_to_freeze(db.pool, last, MOST_MONTHS) if await _freeze(db, month, now)
    ]


async def _freeze(db: Database, month: date, now: datetime) -> bool:
    async with db.transaction() as connection:
        await queries.lock_freezing(connection)
        return await _frozen_anew(connection, month, now)


async def _frozen_anew(connection: asyncpg.Connection, month: date, now: datetime) -> bool:
    if await queries.frozen(connection, month) is not None:
        return False
    await queries.freeze(connection, month, await queries.counted(connection, month, month_end(month)), now)
    return True
