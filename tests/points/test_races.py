"""Races on a committed database. Where a lock is what saves the day, its control takes the lock out first."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from app.core.clock import add_months
from app.core.db import Database, new_id
from app.points import ledger
from app.points.ledger import BatchEarning, Posting, Request
from tests import racing
from tests.now import NOW
from tests.points.books import TODAY, balances, earning, failures, open_wallets, request, seal, seal_through

LEDGER_SQL = Path(ledger.__file__).with_name("ledger.sql")


async def together(*work: Awaitable[object]) -> list[object]:
    """All at once; exceptions are outcomes."""
    return list(await asyncio.gather(*work, return_exceptions=True))


def kinds(outcomes: Sequence[object]) -> Counter[str]:
    """How often each outcome came: posted, replayed, or an exception's name."""
    return Counter(
        ("replayed" if o.replayed else "posted") if isinstance(o, Posting) else type(o).__name__ for o in outcomes
    )


def held_back(database: Database, member: UUID, count: int) -> AbstractAsyncContextManager[None]:
    """Keeps the member's balance locked until `count` postings started inside wait for it or for one another."""
    locking = "SELECT FROM ledger.member_balance WHERE member_id = $1 FOR UPDATE"
    return racing.held_back(database.pool, count, locking, member)


@asynccontextmanager
async def without_the_lock(owner: asyncpg.Connection) -> AsyncIterator[None]:
    """`ledger.redeem` reads the balance without locking it, for the length of the block."""
    text = LEDGER_SQL.read_text(encoding="utf-8")
    function = re.search(r"CREATE OR REPLACE FUNCTION ledger\.redeem\(.*?END \$\$;", text, re.DOTALL)
    assert function is not None
    assert function[0].count(" FOR UPDATE") == 1
    await owner.execute(function[0].replace(" FOR UPDATE", ""))
    try:
        yield
    finally:
        await owner.execute(function[0])


async def spend(database: Database, member: UUID, points: int, asked: Request) -> Posting:
    """One redemption at a counter."""
    return await ledger.redeem(database.pool, member, points, place="BJ001", cause="order:1", request=asked)


async def forty_spends(database: Database, member: UUID) -> Counter[str]:
    await ledger.earn(database.pool, earning(member, 1000), request())
    async with held_back(database, member, 40):
        spends = asyncio.gather(*(spend(database, member, 300, request()) for _ in range(40)), return_exceptions=True)
    return kinds(await spends)


@pytest.mark.parametrize("locked", [True, False])
async def test_forty_spends_race_for_three(
    database: Database, owner: asyncpg.Connection, member: UUID, locked: bool
) -> None:
    clean = Counter(posted=3, InsufficientPoints=37)
    if locked:
        assert await forty_spends(database, member) == clean
        assert await balances(database.pool, member) == (100, 0, 0, 0)
        assert await failures(owner) == {}
    else:
        async with without_the_lock(owner):
            assert await forty_spends(database, member) != clean


async def test_twenty_retries_post_once(database: Database, owner: asyncpg.Connection, member: UUID) -> None:
    one = earning(member, 60)
    outcomes = await together(*(ledger.earn(database.pool, one, request("same")) for _ in range(20)))
    assert kinds(outcomes) == Counter(posted=1, replayed=19)
    assert {(o.posting_no, o.available) for o in outcomes if isinstance(o, Posting)} == {(1, 60)}
    assert await failures(owner) == {}


async def test_twenty_retries_of_a_redemption_spend_once(database: Database, member: UUID) -> None:
    await ledger.earn(database.pool, earning(member, 60), request())
    outcomes = await together(*(spend(database, member, 60, request("spend")) for _ in range(20)))
    assert kinds(outcomes) == Counter(posted=1, replayed=19)
    assert await balances(database.pool, member) == (0, 0, 0, 0)


async def test_twenty_clients_bring_one_document(database: Database, owner: asyncpg.Connection, member: UUID) -> None:
    one = earning(member, 60, "order:twenty")
    outcomes = await together(*(ledger.earn(database.pool, one, request()) for _ in range(20)))
    assert kinds(outcomes) == Counter(posted=1, replayed=19)
    assert await balances(database.pool, member) == (60, 0, 0, 0)
    assert await failures(owner) == {}


async def test_one_key_on_two_members(database: Database) -> None:
    for _ in range(10):
        both, key = await open_wallets(database, 2), new_id().hex
        outcomes = await together(*(ledger.earn(database.pool, earning(member, 60), request(key)) for member in both))
        assert kinds(outcomes) == Counter(posted=1, KeyConflict=1)
        assert sorted([await balances(database.pool, member) for member in both]) == [
            (0, 0, 0, 0),
            (60, 0, 0, 0),
        ]


async def test_one_document_for_two_members(database: Database) -> None:
    for _ in range(10):
        both, cause = await open_wallets(database, 2), f"order:{new_id().hex}"
        outcomes = await together(
            *(ledger.earn(database.pool, earning(member, 60, cause), request()) for member in both)
        )
        assert kinds(outcomes) == Counter(posted=1, DocumentConflict=1)


async def a_hold(database: Database, member: UUID) -> int:
    await ledger.earn(database.pool, earning(member, 50), request())
    posting = await ledger.hold(
        database.pool,
        member,
        50,
        place="BJ001",
        cause="order:1",
        until=NOW + timedelta(minutes=30),
        request=request(),
    )
    return posting.posting_no


@pytest.mark.parametrize("rival", ["capture", "release"])
async def test_a_hold_ends_once(database: Database, owner: asyncpg.Connection, rival: str) -> None:
    for _ in range(10):
        (member,) = await open_wallets(database)
        hold = await a_hold(database, member)
        if rival == "capture":
            other = ledger.capture(database.pool, member, hold, 20, cause="order:1", request=request())
        else:
            other = ledger.release(database.pool, member, hold, cause="order:1", request=request())
        outcomes = await together(
            ledger.capture(database.pool, member, hold, 50, cause="order:1", request=request()), other
        )
        assert kinds(outcomes) == Counter(posted=1, HoldResolved=1)
        assert (await balances(database.pool, member))[2] == 0
    assert await failures(owner) == {}


def batch_of(members: Sequence[UUID], count: int) -> list[BatchEarning]:
    """So many earnings for each, by turns today's and older ones."""
    days = [TODAY - timedelta(days=40 * (n % 2)) for n in range(count)]
    return [
        BatchEarning(member, 10, "HQ", "GZ003", f"batch:{new_id().hex}", 1, day, date(2027, 12, 31))
        for day in days
        for member in members
    ]


async def post(database: Database, batch: Sequence[BatchEarning]) -> list[int]:
    """The indexes of those refused."""
    async with database.transaction() as connection:
        await ledger.stage_batch(connection, batch)
        return await ledger.earn_staged(connection, actor="tests", now=NOW)


async def test_one_batch_sent_four_times_posts_once(database: Database, owner: asyncpg.Connection) -> None:
    members = await open_wallets(database, 5)
    batch = batch_of(members, 4)
    assert await together(*(post(database, batch) for _ in range(4))) == [[]] * 4
    assert {await balances(database.pool, member) for member in members} == {(40, 0, 0, 0)}
    assert await failures(owner) == {}


async def test_batches_race_single_earnings(database: Database, owner: asyncpg.Connection) -> None:
    members = await open_wallets(database, 6)
    for member in members[:2]:
        await ledger.earn(database.pool, earning(member, 30, spendable_from=TODAY + timedelta(days=9)), request())

    batches = [post(database, batch_of(members if n % 2 else members[::-1], 5)) for n in range(6)]
    singles = [ledger.earn(database.pool, earning(member, 1), request()) for member in members for _ in range(8)]
    outcomes = await together(*batches, *singles)
    assert outcomes[:6] == [[]] * 6
    assert kinds(outcomes[6:]) == Counter(posted=48)
    assert [(await balances(database.pool, member))[:2] for member in members] == [(308, 30)] * 2 + [(308, 0)] * 4
    assert await failures(owner) == {}


async def test_the_sweep_races_redemptions(database: Database, owner: asyncpg.Connection) -> None:
    """What lapsed yesterday is spent by nobody, however the two meet."""
    members = await open_wallets(database, 10)
    for member in members:
        await ledger.earn(database.pool, earning(member, 40, expires_on=TODAY), request())
        await ledger.earn(database.pool, earning(member, 60), request())
    tomorrow = NOW + timedelta(days=1)
    spends = [spend(database, member, 50, request(now=tomorrow)) for _ in range(2) for member in members]
    sweeps = [ledger.sweep(database.pool, now=tomorrow, batch=3) for _ in range(3)]
    outcomes = await together(*spends, *sweeps)
    assert kinds(outcomes[:20]) == Counter(posted=10, InsufficientPoints=10)
    await ledger.sweep(database.pool, now=tomorrow)
    assert {await balances(database.pool, member) for member in members} == {(10, 0, 0, 0)}
    assert await failures(owner) == {}


async def test_a_month_closes_under_thirty_earnings(database: Database, owner: asyncpg.Connection) -> None:
    """Each posting is in the month as it was sealed, or in the next; one after the close is in the next."""
    closing = date(2026, 6, 1)
    await seal_through(database, add_months(closing, -1))
    members = await open_wallets(database, 30)

    async def close() -> None:
        async with database.transaction() as connection:
            await seal(connection, closing)

    booked_on = closing + timedelta(days=19)
    earnings = [ledger.earn(database.pool, earning(member, 10, booked_on=booked_on), request()) for member in members]
    outcomes = await together(*earnings[:15], close(), *earnings[15:])
    assert outcomes.pop(15) is None
    late = await ledger.earn(database.pool, earning(members[0], 10, booked_on=booked_on), request())
    assert late.period == add_months(closing, 1)
    periods = {o.period for o in outcomes if isinstance(o, Posting)}
    assert kinds(outcomes) == Counter(posted=30)
    assert periods <= {closing, late.period}
    assert await failures(owner) == {}


async def test_a_month_without_postings_closes_under_its_first(
    database: Database, member: UUID, owner: asyncpg.Connection
) -> None:
    """Both want the month's partition made: the closer must not take that lock before the month's."""
    closing = date(2026, 8, 1)
    await seal_through(database, add_months(closing, -1))
    assert not await owner.fetchval("SELECT EXISTS (SELECT FROM ledger.period WHERE period = $1)", closing)

    async def close() -> None:
        async with database.transaction() as connection:
            await seal(connection, closing)

    async with owner.transaction():
        await owner.execute("SELECT pg_advisory_xact_lock(7309999999)")
        closer = asyncio.ensure_future(close())
        await asyncio.sleep(0.2)
        first = asyncio.ensure_future(ledger.earn(database.pool, earning(member, 10, booked_on=closing), request()))
        await asyncio.sleep(0.2)
    await closer
    assert (await first).period == add_months(closing, 1)
    assert await failures(owner) == {}


async def test_a_closer_waits_for_the_posting_under_way(
    database: Database, member: UUID, owner: asyncpg.Connection
) -> None:
    """And seals it in, even when it did not lock the month beforehand."""
    closing = date(2026, 9, 1)
    await seal_through(database, add_months(closing, -1))

    async def close() -> None:
        async with database.transaction() as connection:
            await ledger.seal_period(connection, closing, b"statements", now=NOW)

    async with database.transaction() as connection:
        posting = await ledger.earn(connection, earning(member, 10, booked_on=closing + timedelta(days=19)), request())
        closer = asyncio.ensure_future(close())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(closer), 0.3)
    await closer
    assert posting.period == closing
    assert await failures(owner) == {}


async def test_one_opens_a_month_while_another_closes_one(database: Database, owner: asyncpg.Connection) -> None:
    """Who opens a month and then posts to the closing one waits for its closer, who waits for nobody."""
    closing, (member,) = date(2026, 10, 1), await open_wallets(database)
    later = NOW + timedelta(days=80)
    await ledger.earn(database.pool, earning(member, 10, booked_on=closing), request())
    await seal_through(database, add_months(closing, -1))

    async def close() -> None:
        async with database.transaction() as connection:
            await seal(connection, closing)
            await asyncio.sleep(0.2)

    async with database.transaction() as connection:
        await ledger.earn(connection, earning(member, 10, booked_on=date(2027, 2, 1)), request(now=later))
        closer = asyncio.ensure_future(close())
        await asyncio.sleep(0.1)
        late = await ledger.earn(connection, earning(member, 10, booked_on=closing), request())
    await closer
    assert late.period == add_months(closing, 1)
    assert await failures(owner) == {}


async def test_a_partition_made_meanwhile_may_be_missed_once(
    database: Database, member: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL shows a transaction under way the month's row, but not always its partition: the next one has both."""
    fetchrow, missed = asyncpg.Pool.fetchrow, list[str]()

    async def missing(pool: asyncpg.Pool, query: str, *arguments: object) -> asyncpg.Record | None:
        if len(missed) < 1:
            missed.append(query)
            raise asyncpg.CheckViolationError('no partition of relation "movement" found for row')
        return await fetchrow(pool, query, *arguments)

    monkeypatch.setattr(asyncpg.Pool, "fetchrow", missing)
    asked = request()
    assert not (await ledger.earn(database.pool, earning(member, 10), asked)).replayed
    assert missed
    assert await balances(database.pool, member) == (10, 0, 0, 0)
