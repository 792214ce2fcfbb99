"""A year of events and partners, on the chapters alone that hold events: that it is whole, and stays so."""

import io
from collections import Counter
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from app.core.clock import add_months, china_date
from app.core.db import Database
from app.demo import full, full_calendar, full_events, full_network, past, ruling
from app.demo.full_guests import REGULARS
from app.events.rules import EventClass, EventKind, EventStatus
from app.points import totals
from app.wiring import verify
from tests.api import SETTINGS
from tests.now import NOW

FIRST, LAST = date(2025, 5, 1), date(2026, 10, 1)
YEAR = [add_months(LAST, -months) for months in reversed(range(12))]


@cache
def hosting() -> list[str]:
    return full_calendar.hosts(full_network.shipped_dealers())


async def lived(database: Database) -> None:
    """The year, and what is planned after it."""
    dealers, console = full_network.shipped_dealers(), Console(file=io.StringIO())
    for month in [add_months(FIRST, 1), *YEAR]:
        await full_network.live(SETTINGS, console, dealers, database, month, LAST)
    await full_events.plan_ahead(database, SETTINGS, dealers, NOW)


@pytest.fixture(scope="module")
async def year(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Database:
    """The year as `club demo --full` leaves it, without the purchases."""
    folder, there = tmp_path_factory.mktemp("network"), Counter[tuple[str, bool]]()
    network = full.network(full_network.shipped_dealers(), full_network.shipped_members(), FIRST, LAST)

    def is_wanted(owner: full.Owner) -> bool:
        kind = owner.chapter, int(owner.vin[-6:]) >= full.FIRST_SERIAL
        there[kind] += owner.chapter in hosting() and owner.delivered_on < YEAR[0]
        return owner.chapter in hosting() and owner.delivered_on < YEAR[0] and there[kind] <= REGULARS

    small = network._replace(members=[owner for owner in network.members if is_wanted(owner)], deliveries=[])
    full_network.write(folder, small)
    await past.load_network(Console(file=io.StringIO()), Path(folder), database, FIRST, LAST)
    await lived(database)
    return database


async def counts(database: Database, sql: str, *arguments: Any) -> dict[str, int]:
    """What a statement counts, by its first column."""
    return {row[0]: row[1] for row in await database.pool.fetch(sql, *arguments)}


async def test_each_kind_of_the_four_classes_took_place(year: Database):
    took_place = "status IN ('reported', 'settled')"
    kinds = await counts(year, f"SELECT kind, count(*) FROM club_event WHERE {took_place} GROUP BY 1")
    assert set(kinds) == set(EventKind)
    chapters = full_calendar.EVENTS_A_MONTH * len(YEAR)
    assert sum(kinds.values()) == chapters + len(full_calendar.HEADQUARTERS_OWN)
    assert all(kinds[kind] == 1 for kind in full_calendar.HEADQUARTERS_OWN)
    classes = await counts(year, f"SELECT event_class, count(*) FROM club_event WHERE {took_place} GROUP BY 1")
    assert set(classes) == set(EventClass)
    hosts = await counts(year, f"SELECT dealer_code, count(*) FROM club_event WHERE {took_place} GROUP BY 1")
    assert set(hosts) == {None, *hosting()}
    assert {code[:2] for code in hosting()} == set(full.MEMBERS)
    days = await year.pool.fetch(f"SELECT starts_at FROM club_event WHERE {took_place}")
    assert Counter(china_date(row["starts_at"]).replace(day=1) for row in days).keys() == set(YEAR)


async def test_what_is_not_over_stands_at_every_stage(year: Database):
    assert await counts(
        year, "SELECT status, count(*) FROM club_event WHERE status NOT IN ('reported', 'settled') GROUP BY 1"
    ) == {
        EventStatus.DRAFT: 1, EventStatus.PROPOSED: 1, EventStatus.RETURNED: 1, EventStatus.APPROVED: 1,
        EventStatus.PUBLISHED: 1, EventStatus.REGISTRATION: 2, EventStatus.CANCELLED: 1,
    }  # fmt: skip
    upcoming = "SELECT min(starts_at) FROM club_event WHERE status NOT IN ('reported', 'settled')"
    assert await year.pool.fetchval(upcoming) > NOW
    # the last month's latest reports are not accepted yet
    reported = "SELECT min(starts_at) FROM club_event WHERE status = 'reported'"
    assert china_date(await year.pool.fetchval(reported)).replace(day=1) == LAST


async def test_the_joint_event_is_as_published(year: Database):
    event = await year.pool.fetchrow("SELECT id, starts_at, capacity FROM club_event WHERE kind = 'partner_joint'")
    assert event is not None
    assert china_date(event["starts_at"]) == date(2026, 7, 25)
    came = """SELECT count(*) AS parties, sum(party) AS persons FROM registration r
               WHERE event_id = $1 AND status = 'registered' AND EXISTS (
                     SELECT FROM check_in c WHERE c.registration_id = r.id AND c.undone_at IS NULL)"""
    assert [tuple(row) for row in await year.pool.fetch(came, event["id"])] == [(48, 120)]
    assert await year.pool.fetchval("SELECT guests FROM event_report WHERE event_id = $1", event["id"]) == 120
    payers = await year.pool.fetch(
        "SELECT payer, actual FROM event_budget_line WHERE event_id = $1 AND payer LIKE 'partner:%'", event["id"]
    )
    known = await year.pool.fetch("SELECT code FROM partner WHERE dealer_code IS NULL")
    assert {row["payer"] for row in payers} == {f"partner:{row['code']}" for row in known}
    assert (len(payers), {row["actual"] for row in payers}) == (6, {500_000})
    given = await counts(
        year, "SELECT funder, sum(granted)::int FROM ledger.lot WHERE funder LIKE 'partner:%' GROUP BY 1"
    )  # fmt: skip
    assert given == {"partner:INSURER-AN": 48 * ruling.POINTS_OF_A_PARTNER}


async def test_contests_draws_and_auctions_have_their_results(year: Database):
    winners = await counts(
        year, "SELECT e.kind, sum(r.points)::int FROM event_result r JOIN club_event e ON e.id = r.event_id GROUP BY 1"
    )
    held = await counts(year, "SELECT kind, count(*) FROM club_event GROUP BY 1")
    assert winners == {kind: held[kind] * full_calendar.PRIZE_POINTS for kind in (EventKind.CONTEST, EventKind.DRAW)}
    drawn = "SELECT count(*) FROM event_draw WHERE drawn_at IS NOT NULL AND entries IS NOT NULL"
    assert await year.pool.fetchval(drawn) == held[EventKind.DRAW]
    assert await counts(year, "SELECT status, count(*) FROM auction_lot GROUP BY 1") == {
        "sold": held[EventKind.AUCTION]
    }
    bids = await counts(year, "SELECT status, count(*) FROM auction_bid GROUP BY 1")
    assert bids == {"won": held[EventKind.AUCTION], "outbid": 2 * held[EventKind.AUCTION]}


async def test_some_wait_some_cancel_some_do_not_come(year: Database):
    parties = await counts(year, "SELECT status, count(*) FROM registration GROUP BY 1")
    assert set(parties) == {"registered", "waiting", "cancelled"}
    absent = """SELECT count(*) FROM registration r JOIN club_event e ON e.id = r.event_id
                 WHERE r.status = 'registered' AND e.status = 'settled' AND NOT EXISTS (
                       SELECT FROM check_in c WHERE c.registration_id = r.id)"""
    assert await year.pool.fetchval(absent) > 0
    offered = "SELECT count(*) FROM queue_decision d JOIN registration r ON r.id = d.registration_id"
    assert await year.pool.fetchval(f"{offered} WHERE d.kind = 'offered' AND r.status = 'registered'") > 0
    assert await year.pool.fetchval("SELECT count(*) FROM survey_answer") > 0


async def test_some_are_invited_a_part_is_left_out_and_reports_have_photos(year: Database):
    said = "coalesce(answer, CASE WHEN is_control THEN 'control' ELSE 'silent' END)"
    asked = await counts(year, f"SELECT {said}, count(*) FROM invitation GROUP BY 1")
    assert set(asked) == {"yes", "no", "silent", "control"}
    assert 0.1 < asked["control"] / sum(asked.values()) < 0.3
    # nobody of the control group comes
    both = "SELECT count(*) FROM registration r JOIN invitation i USING (event_id, member_id) WHERE i.is_control"
    assert await year.pool.fetchval(both) == 0
    shown = "SELECT count(DISTINCT event_id) FROM event_photo"
    assert await year.pool.fetchval(shown) == await year.pool.fetchval("SELECT count(*) FROM event_report")


async def test_points_are_for_coming_prizes_and_fees_and_nobody_with_shipped_purchases_has_any(year: Database):
    earned = await counts(
        year,
        """SELECT split_part(cause, ':', 1), sum(points)::int FROM ledger.posting WHERE kind = 'earn' GROUP BY 1""",
    )
    assert set(earned) == {"event_attended", "event_attended.2", "event_prize"}
    assert (await totals.read(year.pool)).issued == sum(earned.values())
    shipped = [owner.vin for owner in full_network.shipped_members()]
    touched = """SELECT count(*) FROM ledger.posting p JOIN ownership o ON o.member_id = p.member_id
                  WHERE o.vin = ANY ($1)"""
    assert await year.pool.fetchval(touched, shipped) == 0
    # who serve their cars come, too: to what gives no points
    visited = "SELECT count(*) FROM registration r JOIN ownership o USING (member_id) WHERE o.vin = ANY ($1)"
    assert await year.pool.fetchval(visited, shipped) > 0


async def test_partners_national_and_local_with_their_vouchers(year: Database):
    kept_by = "SELECT CASE WHEN dealer_code IS NULL THEN 'hq' ELSE 'chapter' END, count(*) FROM partner GROUP BY 1"
    assert await counts(year, kept_by) == {"hq": 6, "chapter": 6}
    agencies = await counts(year, "SELECT agency_code, count(*) FROM partner WHERE agency_code IS NOT NULL GROUP BY 1")
    assert list(agencies.values()) == [3]
    fates = await counts(year, "SELECT status, count(*) FROM voucher GROUP BY 1")
    assert set(fates) == {"claimed", "used", "returned", "expired"}
    earliest = await year.pool.fetchval("SELECT min(claimed_at) FROM voucher WHERE status = 'claimed'")
    assert china_date(earliest) > LAST - timedelta(days=30)
    assert await year.pool.fetchval("SELECT count(*) FROM voucher WHERE points > 0 AND status = 'used'") > 0


async def test_the_books_are_in_order(year: Database, dsn: str):
    assert [(check.name, rows) for check, rows in await verify(dsn) if rows] == []


async def test_taken_up_again_it_changes_nothing(year: Database):
    sums = """SELECT (SELECT sum(version) FROM club_event), (SELECT count(*) FROM registration),
                     (SELECT count(*) FROM voucher), (SELECT count(*) FROM ledger.posting), count(*) FROM rule"""
    before = await year.pool.fetch(sums)
    await lived(year)
    assert await year.pool.fetch(sums) == before


def test_it_is_the_same_every_time_and_none_is_outside_the_year():
    plans = [plan for month in YEAR for plan in full_calendar.of_month(month, LAST, hosting())]
    again = [plan for month in YEAR for plan in full_calendar.of_month(month, LAST, hosting())]
    assert plans == again
    assert len({plan.title for plan in plans}) == len(plans)
    assert full_calendar.of_month(add_months(YEAR[0], -1), LAST, hosting()) == []
    assert full_calendar.of_month(add_months(LAST, 1), LAST, hosting()) == []
    assert not full.NEW_CHAPTERS & set(hosting())
