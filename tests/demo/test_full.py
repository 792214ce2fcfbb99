"""The full-size network: that it adds up, and that the published figures come out of the books."""

import io
from collections import Counter
from datetime import date
from functools import cache

import pytest
from rich.console import Console

from app.core.clock import month_end
from app.core.db import Database
from app.demo import full, full_network
from app.demo.full import Network
from app.members.rules import parse_mobile, parse_vin
from app.referrals import figures as referrals
from app.reports import service as reports
from app.reports.schemas import Figures
from app.wiring import verify
from tests.now import NOW

FIRST, LAST, BEFORE = date(2025, 5, 1), date(2026, 10, 1), date(2026, 9, 1)
PUBLISHED = {
    # region: chapters, members
    "CD": (12, 15_045), "BJ": (28, 26_021), "SH": (24, 18_470), "JN": (26, 19_691), "GZ": (12, 12_038),
    "HZ": (16, 23_993),
}  # fmt: skip


@cache
def network(last: date) -> Network:
    return full.network(full_network.shipped_dealers(), full_network.shipped_members(), FIRST, last)


def test_shares_add_up_to_the_whole():
    assert full.shares(10, {"a": 1, "b": 1, "c": 1}) == {"a": 4, "b": 3, "c": 3}
    assert full.shares(7, {"a": 0.1, "b": 99.9}) == {"a": 0, "b": 7}
    assert full.shares(0, {"a": 1, "b": 2}) == {"a": 0, "b": 0}


@pytest.mark.parametrize("last", [LAST, date(2026, 4, 1)])
def test_it_adds_up_whatever_the_month(last: date):
    made = network(last)
    regions = Counter(owner.chapter[:2] for owner in made.members)
    # the shipped members of the new chapters stand on headquarters' roll until these open
    waiting = Counter(owner.chapter for owner in full_network.shipped_members() if owner.chapter in full.NEW_CHAPTERS)
    assert len(made.members) == 115_261 == 3 + sum(members for _, members in PUBLISHED.values())
    assert regions.pop("") == 3 + waiting.total()
    assert regions + Counter(SH=waiting.total()) == {region: members for region, (_, members) in PUBLISHED.items()}
    assert sum(last <= owner.delivered_on <= month_end(last) for owner in made.members) == 8_182
    assert max(owner.delivered_on for owner in [*made.members, *made.others]) <= month_end(last)
    opened = full.opening_day(last)
    assert all(owner.delivered_on >= opened for owner in made.members if owner.chapter in full.NEW_CHAPTERS)


def test_everybody_is_somebody_else_and_well_formed():
    made = network(LAST)
    everybody = [*made.members, *made.others]
    assert len({owner.phone for owner in everybody}) == len({owner.vin for owner in everybody}) == len(everybody)
    assert all(parse_mobile(owner.phone) for owner in everybody)
    assert not [row for row in made.deliveries if isinstance(parse_vin(row[1]), str)]
    assert len({row[1] for row in made.deliveries}) == len(made.deliveries)
    assert {owner.vin for owner in full_network.shipped_members()} <= {owner.vin for owner in made.members}
    assert {application.owner for application in made.applications} <= set(made.others)
    assert all(application.applied_at.date() >= application.owner.delivered_on for application in made.applications)


def test_it_is_the_same_every_time():
    assert network.__wrapped__(LAST) == network(LAST)


# --- in the books ---


@pytest.fixture(scope="module")
async def loaded(dsn: str, database: Database) -> Database:
    """The network as `club demo --full` loads it, without its purchases."""
    await full_network.load(Console(file=io.StringIO()), database, FIRST, LAST)
    return database


async def figures(database: Database, month: date) -> dict[str, Figures]:
    """The regions' figures, and the country's."""
    found = reports.network(await reports.read(database.pool, month, now=NOW), None)
    assert found.national is not None
    return {"all": found.national, **found.regions}


async def test_the_published_table_comes_out(loaded: Database):
    found = await figures(loaded, LAST)
    assert {region: (sums.chapters, sums.members) for region, sums in found.items()} == {
        **PUBLISHED, "all": (118, 115_261),
    }  # fmt: skip
    country = found["all"]
    assert (country.recruitment_rate, country.coverage, country.new_members) == (0.566, 0.8082, 8_182)
    assert country.dealers_after_sales == 146
    assert [found[region].coverage for region in ("HZ", "GZ", "SH")] == [0.8889, 0.6, 0.8571]
    assert country.applying > 0
    assert sum(sums.members for region, sums in found.items() if region != "all") == 115_258


async def test_the_month_before_shanghai_had_nineteen_chapters(loaded: Database):
    found = await figures(loaded, BEFORE)
    assert (found["SH"].chapters, found["all"].chapters) == (19, 113)
    assert found["all"].members == 115_261 - 8_182
    assert (found["SH"].applying, found["all"].applying) == (0, 0)


async def test_the_busiest_chapter_reaches_its_rate(loaded: Database):
    found = await reports.read(loaded.pool, LAST, now=NOW)
    dealers = {code: place.counts for code, place in found.dealers()}
    rates = {code: counts.recruitment_rate for code, counts in dealers.items() if counts.chapters}
    assert max(rates, key=lambda code: rates[code] or 0) == full.BUSIEST
    assert rates[full.BUSIEST] == pytest.approx(0.87, abs=0.0005)


async def test_who_is_on_the_roll_and_who_does_not_count(loaded: Database):
    assert await loaded.pool.fetchval("SELECT count(*) FROM member WHERE dealer_code IS NULL") == 3
    shipped = [owner.vin for owner in full_network.shipped_members()]
    owned = "SELECT count(DISTINCT member_id) FROM ownership WHERE until IS NULL AND vin = ANY ($1)"
    assert await loaded.pool.fetchval(owned, shipped) == 23_570
    kinds = await loaded.pool.fetch("SELECT owner_kind, count(*) FROM delivery GROUP BY 1")
    assert {kind for kind, number in kinds if number} == {"individual", "company", "government"}
    assert await loaded.pool.fetchval("SELECT count(*) FROM delivery WHERE matched_on IS NOT NULL") == 115_261
    early = """SELECT count(*) FROM member_place p JOIN chapter c USING (dealer_code) WHERE p.since < c.opened_on"""
    assert await loaded.pool.fetchval(early) == 0


async def test_the_months_are_frozen_as_they_were_counted(loaded: Database):
    frozen = await reports.read(loaded.pool, LAST, now=NOW)
    assert frozen.frozen_at is not None
    months = await loaded.pool.fetchval("SELECT count(DISTINCT month) FROM network_month")
    assert months == 18


async def test_the_books_are_in_order(loaded: Database, dsn: str):
    assert [(check.name, rows) for check, rows in await verify(dsn) if rows] == []


async def test_taken_up_again_it_changes_nothing(loaded: Database):
    sums = "SELECT (SELECT sum(version) FROM member), (SELECT count(*) FROM delivery), count(*) FROM application"
    before = await loaded.pool.fetch(sums)
    await full_network.load(Console(file=io.StringIO()), loaded, FIRST, LAST)
    assert await loaded.pool.fetch(sums) == before


async def test_the_published_referral_purchases_come_out(loaded: Database):
    report = referrals.network(await referrals.counted(loaded.pool, LAST), LAST, None)
    assert report.national is not None
    assert (report.national.cumulative, report.regions["SH"].cumulative) == (1_749, 298)
    assert sum(region.cumulative for region in report.regions.values()) == 1_749
    before = referrals.network(await referrals.counted(loaded.pool, BEFORE), BEFORE, None)
    assert before.national is not None
    assert before.national.cumulative + report.national.month == 1_749
    assert await loaded.pool.fetchval("SELECT count(*) FROM referral WHERE status <> 'delivered'") == 0
