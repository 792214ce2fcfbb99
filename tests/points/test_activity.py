"""Points that live by activity: renewed by each earning, lapsed after silence, undone and settled like all others."""

from datetime import date, datetime, time
from uuid import UUID

import asyncpg
import pytest

from app.core.clock import CHINA
from app.core.db import Database
from app.points import ledger, queries
from app.points.ledger import BatchEarning, Posting
from app.points.queries import Expiry, Wallet
from app.settlement import queries as settlement
from tests.points.books import TODAY, balances, earning, failures, open_wallets, request
from tests.points.test_races import together

LAST = date(2027, 2, 28)
"""What is earned on 21 November 2026 lives three months on, and to the month's end."""
LATER = date(2027, 4, 30)


def noon(day: date) -> datetime:
    return datetime.combine(day, time(12), CHINA)


async def earn(
    database: Database, member: UUID, points: int, on: date = TODAY, months: int | None = 3, funder: str = "HQ",
    expires_on: date = LAST,
) -> int:  # fmt: skip
    """An earning that lives by activity; without months, to a fixed day."""
    cause = f"survey:{member}:{on}:{points}"
    batch = [BatchEarning(member, points, funder, "GZ003", cause, 1, on, expires_on, None, months)]
    async with database.transaction() as connection:
        (posting_no,) = await ledger.earn_all(connection, batch, actor="tests", now=noon(max(on, TODAY)))
    return posting_no


async def visit(database: Database, member: UUID, on: date) -> Posting:
    """An ordinary earning of one point, which keeps the others alive."""
    return await ledger.earn(
        database.pool, earning(member, 1, booked_on=on, expires_on=date(2029, 1, 31)), request(now=noon(on))
    )


async def redeem(database: Database, member: UUID, points: int, on: date = TODAY) -> int:
    posting = await ledger.redeem(
        database.pool, member, points, place="BJ001", cause="order:1", request=request(now=noon(on))
    )
    return posting.posting_no


async def sweep(database: Database, day: date) -> None:
    await ledger.sweep(database.pool, now=noon(day))


async def wallet(database: Database, member: UUID, day: date) -> Wallet:
    async with database.connection() as connection:
        found = await queries.wallet(connection, member, day)
    assert found is not None
    return found


async def lots(database: Database, member: UUID) -> list[tuple[object, ...]]:
    rows = await database.pool.fetch(
        """SELECT lot_no, funder, available, carried, expires_on, activity_months FROM ledger.lot
            WHERE member_id = $1 ORDER BY lot_no""",
        member,
    )
    return [tuple(row) for row in rows]


async def kinds(database: Database, member: UUID) -> list[str]:
    rows = await database.pool.fetch("SELECT kind FROM ledger.posting WHERE member_id = $1 ORDER BY posting_no", member)
    return [row["kind"] for row in rows]


async def sound(database: Database) -> None:
    async with database.connection() as connection:
        assert await failures(connection) == {}


async def test_another_earning_keeps_points_alive(database: Database, member: UUID) -> None:
    await earn(database, member, 50, funder="SH002")
    await visit(database, member, date(2027, 1, 15))
    assert (await wallet(database, member, LAST)).next_expiries[0] == Expiry(LAST, 50, True)

    day = date(2027, 3, 1)
    before = await wallet(database, member, day)
    assert (before.available, before.next_expiries[0]) == (51, Expiry(LATER, 50, True))
    await sweep(database, day)
    assert await wallet(database, member, day) == before
    assert await kinds(database, member) == ["earn", "earn", "renew"]
    assert await lots(database, member) == [
        (1, "SH002", 0, 50, LAST, 3), (2, "HQ", 1, 0, date(2029, 1, 31), None), (3, "SH002", 50, 0, LATER, 3),
    ]  # fmt: skip
    posting = await database.pool.fetchrow(
        "SELECT points, cause, booked_on, resolves FROM ledger.posting WHERE member_id = $1 AND posting_no = 3", member
    )
    assert tuple(posting or ()) == (50, "lot:1", day, 1)

    await sweep(database, date(2027, 5, 1))
    assert await kinds(database, member) == ["earn", "earn", "renew", "expire"]
    assert await balances(database.pool, member) == (1, 0, 0, 0)
    await sound(database)


async def test_after_silence_they_lapse(database: Database, member: UUID) -> None:
    await earn(database, member, 50)
    assert (await wallet(database, member, date(2027, 3, 1))).available == 0
    # the visit of the day after comes too late, whether or not a night's sweep was there before it
    await visit(database, member, date(2027, 3, 1))
    assert await kinds(database, member) == ["earn", "expire", "earn"]
    assert await balances(database.pool, member) == (1, 0, 0, 0)
    await sound(database)


async def test_a_visit_on_the_last_day_counts(database: Database, member: UUID) -> None:
    await earn(database, member, 50)
    await visit(database, member, LAST)
    await sweep(database, date(2027, 3, 1))
    assert (await wallet(database, member, date(2027, 3, 1))).next_expiries[0] == Expiry(date(2027, 5, 31), 50, True)
    await sound(database)


async def test_each_earning_counts_from_its_own_day(database: Database, member: UUID) -> None:
    """Asleep for long: earnings that are told late renew step by step, as if each night had been swept."""
    await earn(database, member, 50)
    for day in (date(2027, 2, 1), date(2027, 5, 20), date(2027, 10, 2)):
        async with database.transaction() as connection:
            batch = [BatchEarning(member, 1, "HQ", "GZ003", f"late:{member}:{day}", 1, day, date(2029, 1, 31))]
            await ledger.earn_all(connection, batch, actor="tests", now=noon(date(2027, 10, 2)))
    assert await balances(database.pool, member) == (3, 0, 0, 0)
    assert await kinds(database, member) == ["earn", "earn", "renew", "earn", "renew", "expire", "earn"]
    await sound(database)


async def test_an_earning_that_was_taken_back_keeps_nothing_alive(database: Database, member: UUID) -> None:
    await earn(database, member, 50)
    visited = await visit(database, member, date(2027, 1, 15))
    await ledger.reverse(
        database.pool, member, visited.posting_no, cause="r", reason="wrong", request=request(now=noon(LAST))
    )
    await sweep(database, date(2027, 3, 1))
    assert await balances(database.pool, member) == (0, 0, 0, 0)
    await sound(database)


@pytest.mark.parametrize(("visits", "left"), [(True, 51), (False, 0)])
async def test_held_while_they_come_due(database: Database, member: UUID, visits: bool, left: int) -> None:
    await earn(database, member, 50)
    hold = await ledger.hold(
        database.pool, member, 20, place="BJ001", cause="order:1", until=noon(date(2027, 4, 1)), request=request()
    )
    if visits:
        await visit(database, member, date(2027, 1, 15))
    await sweep(database, date(2027, 3, 1))
    assert (await balances(database.pool, member))[2] == 20
    released = await ledger.release(
        database.pool, member, hold.posting_no, cause="order:2", request=request(now=noon(date(2027, 3, 5)))
    )
    assert released.available == left
    if visits:
        assert [lot[2:5] for lot in await lots(database, member) if lot[2]][1:] == [(30, 0, LATER), (20, 0, LATER)]
    await sound(database)


async def test_what_is_captured_of_a_lot_that_came_due_is_honoured(database: Database, member: UUID) -> None:
    await earn(database, member, 50)
    await visit(database, member, date(2027, 1, 15))
    until = noon(date(2027, 4, 1))
    hold = await ledger.hold(
        database.pool, member, 20, place="BJ001", cause="order:1", until=until, request=request(now=noon(LAST))
    )
    captured = await ledger.capture(
        database.pool, member, hold.posting_no, 15, cause="order:2", request=request(now=noon(date(2027, 3, 5)))
    )
    assert (captured.available, captured.held) == (36, 0)
    await sound(database)


async def test_a_reversal_follows_renewed_points(database: Database, member: UUID) -> None:
    earned = await earn(database, member, 50, funder="SH002")
    await redeem(database, member, 5)
    await visit(database, member, date(2027, 1, 15))
    day = date(2027, 3, 1)
    await redeem(database, member, 10, day)

    reversed_ = await ledger.reverse(
        database.pool, member, earned, cause="r", reason="wrong", request=request(now=noon(day))
    )
    assert (reversed_.points, reversed_.available, reversed_.owed) == (50, 1, 15)
    assert await database.pool.fetchval("SELECT funder FROM ledger.debt WHERE member_id = $1", member) == "SH002"
    await sound(database)


@pytest.mark.parametrize(
    ("day", "last"), [(date(2027, 3, 1), LATER), (date(2027, 5, 5), date(2027, 5, 31))], ids=["living", "lapsed"]
)
async def test_a_refund_goes_to_a_living_lot(database: Database, member: UUID, day: date, last: date) -> None:
    await earn(database, member, 50)
    redeemed = await redeem(database, member, 20)
    await visit(database, member, date(2027, 1, 15))
    await sweep(database, day)
    await ledger.refund(
        database.pool, member, redeemed, None, grace_until=date(2027, 5, 31), cause="f", reason="back",
        request=request(now=noon(day)),
    )  # fmt: skip
    assert (await lots(database, member))[-1] == (4, "HQ", 20, 0, last, 3)
    await sound(database)


async def test_renewed_points_repay_no_older_debt(database: Database, member: UUID) -> None:
    wrong = await ledger.earn(database.pool, earning(member, 30, expires_on=date(2026, 12, 31)), request())
    await redeem(database, member, 30)
    await earn(database, member, 50)
    await visit(database, member, date(2027, 1, 15))
    await ledger.reverse(
        database.pool, member, wrong.posting_no, cause="r", reason="wrong", request=request(now=noon(LAST))
    )
    assert await balances(database.pool, member) == (51, 0, 0, 30)
    await sweep(database, date(2027, 3, 1))
    assert await balances(database.pool, member) == (51, 0, 0, 30)
    await sound(database)


async def test_a_merged_members_earnings_count(database: Database) -> None:
    first, second = await open_wallets(database, 2)
    earned = await earn(database, first, 50)
    await earn(database, second, 7)
    await visit(database, first, date(2027, 1, 15))
    await redeem(database, first, 1, date(2027, 1, 16))
    day = date(2027, 2, 1)
    await ledger.merge(database.pool, first, second, cause="m", reason="twice", request=request(now=noon(day)))
    await sweep(database, date(2027, 3, 1))
    assert (await wallet(database, second, date(2027, 3, 1))).next_expiries == [
        Expiry(LATER, 56, True), Expiry(date(2029, 1, 31), 1, False),
    ]  # fmt: skip
    await sound(database)

    day = date(2027, 3, 2)
    await ledger.reverse(database.pool, first, earned, cause="r", reason="wrong", request=request(now=noon(day)))
    assert await balances(database.pool, second) == (8, 0, 0, 1)
    await sound(database)
    await ledger.unmerge(database.pool, first, second, cause="m", reason="two", request=request(now=noon(day)))
    await sound(database)


async def test_settlement_does_not_see_a_renewal(database: Database) -> None:
    renewed, plain = await open_wallets(database, 2)
    await earn(database, renewed, 50, funder="SZ001")
    await earn(database, plain, 50, funder="SZ002", months=None, expires_on=LATER)
    flows = []
    for member, funder in ((renewed, "SZ001"), (plain, "SZ002")):
        await visit(database, member, date(2027, 1, 15))
        await sweep(database, date(2027, 3, 1))
        await ledger.redeem(
            database.pool, member, 20, place="GZ003", cause="order:1", request=request(now=noon(date(2027, 3, 2)))
        )
        async with database.connection() as connection:
            found = await settlement.fold(connection, date(2027, 3, 1))
        flows.append([(flow.direction, flow.basis, flow.points) for flow in found if flow.dealer_code == funder])
    assert flows[0] == flows[1]
    assert flows[0]


async def test_sweeps_race_visits(database: Database, owner: asyncpg.Connection) -> None:
    """Whoever comes first, a visit of before the last day keeps the points alive or comes after they lapsed."""
    members = await open_wallets(database, 12)
    day = date(2027, 3, 1)
    for member in members:
        await earn(database, member, 50)
    visits = [
        ledger.earn(
            database.pool, earning(member, 1, booked_on=LAST, expires_on=date(2029, 1, 31)), request(now=noon(day))
        )
        for member in members
    ]
    await together(*visits, *(ledger.sweep(database.pool, now=noon(day), batch=3) for _ in range(4)))
    await sweep(database, day)
    for member in members:
        what, available = await kinds(database, member), (await balances(database.pool, member))[0]
        assert (what, available) in (
            (["earn", "earn", "renew"], 51), (["earn", "expire", "earn"], 1),
        ), what  # fmt: skip
    assert await failures(owner) == {}


async def test_the_service_may_ask_how_long_points_live(service: asyncpg.Connection, member: UUID) -> None:
    assert await service.fetchval("SELECT ledger.active_until($1, $2, 3::smallint)", member, LAST) == LAST


async def test_an_earning_after_the_lapse_brings_nothing_held_back(database: Database, member: UUID) -> None:
    await earn(database, member, 50)
    hold = await ledger.hold(
        database.pool, member, 20, place="BJ001", cause="order:1", until=noon(date(2027, 4, 1)), request=request()
    )
    await visit(database, member, date(2027, 3, 2))
    released = await ledger.release(
        database.pool, member, hold.posting_no, cause="order:2", request=request(now=noon(date(2027, 3, 5)))
    )
    assert (released.available, released.held) == (1, 0)
    await sound(database)
