"""Batches: what was due by then is done before, as by single earnings; what a batch cannot post it says."""

from collections.abc import Sequence
from datetime import date, timedelta
from uuid import UUID

import asyncpg

from app.core.db import Database
from app.points import ledger
from app.points.ledger import BatchEarning, Earning
from tests.now import NOW
from tests.points.books import TODAY, balances, earning, failures, open_wallets, request
from tests.points.test_races import post

EARLIER = TODAY - timedelta(days=60)
RIPE = TODAY - timedelta(days=30)
UNTIL = date(2027, 12, 31)


async def waiting(database: Database, member: UUID, *days: date, points: int = 100) -> None:
    """Points earned sixty days ago by single earnings, spendable from these days."""
    for number, day in enumerate(days):
        one = earning(
            member, points, cause=f"old:{member}:{number}", booked_on=EARLIER, spendable_from=day, expires_on=UNTIL
        )
        await ledger.earn(database.pool, one, request())


def now_earned(member: UUID, points: int = 10, on: date = TODAY) -> BatchEarning:
    return BatchEarning(member, points, "HQ", "GZ003", f"new:{member}:{points}", 1, on, UNTIL)


def singly(one: BatchEarning) -> Earning:
    return earning(one.member_id, one.points, cause=one.cause, booked_on=one.booked_on, expires_on=one.expires_on)


async def history(database: Database, member: UUID) -> Sequence[tuple[object, ...]]:
    """A member's postings with their movements, and its lots, as far as two members' can be alike."""
    postings = await database.pool.fetch(
        """SELECT p.posting_no, p.kind, p.points, p.place, p.resolves, p.booked_on, p.period, p.actor, p.available,
                  p.pending, p.held, p.owed, m.line, m.lot_no, m.from_bucket, m.to_bucket, m.funder, m.place
             FROM ledger.posting p JOIN ledger.movement m USING (member_id, posting_no)
            WHERE p.member_id = $1 ORDER BY p.posting_no, m.line""",
        member,
    )
    lots = await database.pool.fetch(
        "SELECT lot_no, pending, available, repaid, expired FROM ledger.lot WHERE member_id = $1 ORDER BY lot_no",
        member,
    )
    due = await database.pool.fetch(
        "SELECT version, lots, due_on FROM ledger.member_balance WHERE member_id = $1", member
    )
    return [tuple(row) for row in (*postings, *lots, *due)]


async def test_what_was_due_is_done_before_as_by_single_earnings(database: Database, owner: asyncpg.Connection) -> None:
    one_by_one, together = await open_wallets(database, 2)
    for member in (one_by_one, together):
        await waiting(database, member, RIPE, RIPE + timedelta(days=40), RIPE - timedelta(days=20))
        lapsing = earning(member, 7, cause=f"lapsing:{member}", booked_on=EARLIER, expires_on=RIPE)
        await ledger.earn(database.pool, lapsing, request())
    await ledger.earn(database.pool, singly(now_earned(one_by_one)), request())
    assert await post(database, [now_earned(together)]) == []
    assert await history(database, together) == await history(database, one_by_one)
    assert await balances(database.pool, together) == (210, 100, 0, 0)
    assert await failures(owner) == {}


async def test_the_matured_of_many_in_one_batch(database: Database, owner: asyncpg.Connection) -> None:
    members = await open_wallets(database, 30)
    for member in members[:20]:
        await waiting(database, member, *[RIPE + timedelta(days=n) for n in range(3)])
    batch = [now_earned(member, points) for points in (10, 11) for member in members]
    assert await post(database, batch) == []
    assert {await balances(database.pool, member) for member in members[:20]} == {(321, 0, 0, 0)}
    assert {await balances(database.pool, member) for member in members[20:]} == {(21, 0, 0, 0)}
    matured = await database.pool.fetchval(
        "SELECT count(*) FROM ledger.posting WHERE kind = 'mature' AND member_id = ANY ($1)", members
    )
    assert matured == 60
    assert await failures(owner) == {}


async def test_only_what_is_ripe_by_the_batch_matures(database: Database, owner: asyncpg.Connection) -> None:
    (member,) = await open_wallets(database)
    await waiting(database, member, RIPE, RIPE + timedelta(days=1))
    assert await post(database, [now_earned(member, on=RIPE)]) == []
    assert await balances(database.pool, member) == (110, 100, 0, 0)
    assert await failures(owner) == {}


async def test_what_matures_repays_a_debt_first(database: Database, owner: asyncpg.Connection) -> None:
    (member,) = await open_wallets(database)
    before = NOW - timedelta(days=2)
    spent = await ledger.earn(
        database.pool, earning(member, 50, booked_on=EARLIER, expires_on=UNTIL), request(now=before)
    )
    await ledger.redeem(database.pool, member, 50, place="BJ001", cause="order:debt", request=request(now=before))
    await waiting(database, member, TODAY)
    await ledger.reverse(
        database.pool, member, spent.posting_no, cause="cancelled", reason="cancelled", request=request(now=before)
    )
    assert await balances(database.pool, member) == (0, 100, 0, 50)
    assert await post(database, [now_earned(member)]) == []
    assert await balances(database.pool, member) == (60, 0, 0, 0)
    assert await failures(owner) == {}


async def test_a_row_in_the_future_is_refused_and_the_others_are_posted(database: Database) -> None:
    members = await open_wallets(database, 2)
    await waiting(database, members[0], TODAY + timedelta(days=1))
    tomorrow = now_earned(members[0], on=TODAY + timedelta(days=1))
    assert await post(database, [tomorrow, now_earned(members[1])]) == [0]
    assert await balances(database.pool, members[0]) == (0, 100, 0, 0)
    assert await balances(database.pool, members[1]) == (10, 0, 0, 0)
