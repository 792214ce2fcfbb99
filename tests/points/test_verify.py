"""Each check finds what it is for: a superuser tampers behind the triggers, and the check names the row."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from uuid import UUID

import asyncpg
import pytest

from app.core.db import Database
from app.points import ledger
from app.points.verify import CHECKS
from tests.now import NOW
from tests.points.books import TODAY, earning, failures, open_wallets, request, seal_through

SEALED = date(2026, 8, 1)

# $1 is the member whose story `told` tells; posting numbers are those of the story
TAMPERS = {
    "balances-lots": [
        "UPDATE ledger.lot SET available = available + 1, spent = spent - 1 WHERE member_id = $1 AND lot_no = 2"
    ],
    "balances-movements": ["UPDATE ledger.member_balance SET held = held + 1 WHERE member_id = $1"],
    "owed-debts": ["UPDATE ledger.member_balance SET owed = owed + 1 WHERE member_id = $1"],
    "debts-movements": [
        "UPDATE ledger.debt SET repaid = repaid - 1, written_off = written_off + 1 WHERE member_id = $1",
        "UPDATE ledger.debt SET incurred = incurred + 1 WHERE member_id = $1",
        "UPDATE ledger.debt SET funder = 'SH002' WHERE member_id = $1",
        "DELETE FROM ledger.debt WHERE member_id = $1",
    ],
    "lots-movements": [
        "UPDATE ledger.lot SET spent = spent - 1, expired = expired + 1 WHERE member_id = $1 AND lot_no = 2",
        "UPDATE ledger.lot SET funder = 'GZ003' WHERE member_id = $1 AND lot_no = 2",
        "DELETE FROM ledger.lot WHERE member_id = $1 AND lot_no = 2",
        "UPDATE ledger.movement SET funder = 'GZ003' WHERE member_id = $1 AND posting_no = 2",
    ],
    "lots-kept": [
        "UPDATE ledger.lot SET available = 1, expires_on = '2020-01-01' WHERE member_id = $1 AND lot_no = 2",
    ],
    "versions": [
        "UPDATE ledger.member_balance SET version = version + 1 WHERE member_id = $1",
        "UPDATE ledger.member_balance SET lots = lots + 1 WHERE member_id = $1",
        "DELETE FROM ledger.posting WHERE member_id = $1 AND posting_no = 3",
        "DELETE FROM ledger.member_balance WHERE member_id = $1",
    ],
    "after-chain": [
        "UPDATE ledger.posting SET available = available + 1 WHERE member_id = $1 AND posting_no = 3",
        "UPDATE ledger.posting SET owed = owed + 1 WHERE member_id = $1 AND posting_no = 1",
    ],
    "postings-movements": [
        "DELETE FROM ledger.movement WHERE member_id = $1 AND posting_no = 2",
        "DELETE FROM ledger.posting WHERE member_id = $1 AND posting_no = 2",
        "UPDATE ledger.movement SET booked_on = booked_on - 1 WHERE member_id = $1 AND posting_no = 2",
        "UPDATE ledger.movement SET period = '2026-08-01' WHERE member_id = $1 AND posting_no = 2",
    ],
    "points-movements": [
        "UPDATE ledger.posting SET points = points + 1 WHERE member_id = $1 AND posting_no = 1",
        "UPDATE ledger.posting SET points = points - 1 WHERE member_id = $1 AND kind = 'capture'",
    ],
    "holds": [
        "UPDATE ledger.hold SET captured = captured - 1 WHERE member_id = $1 AND NOT is_open",
        "UPDATE ledger.hold SET is_open = true WHERE member_id = $1 AND NOT is_open",
        "UPDATE ledger.hold SET is_open = false WHERE member_id = $1 AND is_open",
        "UPDATE ledger.hold SET points = points + 1 WHERE member_id = $1 AND is_open",
        "DELETE FROM ledger.hold WHERE member_id = $1 AND is_open",
        "UPDATE ledger.posting SET kind = 'redeem' WHERE member_id = $1 AND kind = 'hold'",
    ],
    "refunds": [
        "UPDATE ledger.posting SET points = 31 WHERE member_id = $1 AND kind = 'refund'",
        "UPDATE ledger.posting SET resolves = 1 WHERE member_id = $1 AND kind = 'refund'",
        "UPDATE ledger.posting SET resolves = 99 WHERE member_id = $1 AND kind = 'refund'",
    ],
    "carried": ["UPDATE ledger.movement SET points = points + 1 WHERE member_id = $1 AND to_bucket = 'carried'"],
    "renewals": [
        "UPDATE ledger.lot SET origin_lot = 99 WHERE member_id = $1 AND lot_no = 3",
        "UPDATE ledger.lot SET activity_months = 3 WHERE member_id = $1 AND lot_no = 3",
        "UPDATE ledger.posting SET kind = 'renew' WHERE member_id = $1 AND kind = 'refund'",
    ],
    "merges": [
        "UPDATE ledger.carried_lot SET from_lot = 99 WHERE into_member = $1",
        "UPDATE ledger.member_balance SET is_open = true WHERE merged_into = $1",
        "UPDATE ledger.carry SET is_undone = true WHERE into_member = $1",
    ],
    "periods": [
        "UPDATE ledger.posting SET period = '2026-10-01' WHERE member_id = $1 AND posting_no = 2",
        "UPDATE ledger.posting SET period = '2026-12-01' WHERE member_id = $1 AND posting_no = 2",
    ],
    "seals": [
        "UPDATE ledger.movement SET points = points + 1 WHERE member_id = $1 AND period = '2026-08-01'",
        "UPDATE ledger.movement SET place = 'SH002' WHERE member_id = $1 AND period = '2026-08-01'",
        "UPDATE ledger.period SET statements = 'others' WHERE period = '2026-08-01'",
        "UPDATE ledger.period SET seal = 'forged' WHERE period = '2026-07-01'",
        "UPDATE ledger.period SET sealed_at = NULL, digest = NULL, statements = NULL, seal = NULL"
        " WHERE period = '2026-07-01'",
        "DELETE FROM ledger.period WHERE period = '2026-07-01'",
    ],
    "rollups": [
        "UPDATE ledger.rollup SET points = points + 1 WHERE period = '2026-08-01'",
        "UPDATE ledger.rollup SET movements = movements + 1 WHERE period = '2026-08-01'",
        "DELETE FROM ledger.rollup WHERE period = '2026-08-01'",
    ],
    "totals": ["UPDATE ledger.member_balance SET available = available + 1 WHERE member_id = $1"],
}
NAMED_BY_PERIOD = {"seals", "rollups"}


@pytest.fixture(scope="module")
async def told(database: Database) -> UUID:
    """A member whose story touches every table, months sealed through August, all rolled up."""
    (member,) = await open_wallets(database)
    db = database.pool
    await ledger.earn(db, earning(member, 20, booked_on=SEALED, expires_on=TODAY), request())
    await ledger.earn(db, earning(member, 100, funder="BJ001"), request())
    redeemed = await ledger.redeem(db, member, 30, place="SH002", cause="order:1", request=request())
    tomorrow = NOW + timedelta(days=1)
    await ledger.refund(
        db,
        member,
        redeemed.posting_no,
        20,
        grace_until=TODAY + timedelta(days=30),
        cause="order:1",
        reason="back",
        request=request(now=tomorrow),
    )
    for captured in (15, None):
        hold = await ledger.hold(
            db,
            member,
            20,
            place="SH002",
            cause="order:2",
            until=tomorrow + timedelta(days=1),
            request=request(now=tomorrow),
        )
        if captured:
            await ledger.capture(db, member, hold.posting_no, captured, cause="order:2", request=request(now=tomorrow))
    await ledger.reverse(db, member, 2, cause="correction:1", reason="wrong", request=request(now=tomorrow))
    await ledger.earn(db, earning(member, 5, funder="SH002"), request())
    await ledger.write_off(db, member, 3, reason="goodwill", request=request(now=tomorrow))
    (twin,) = await open_wallets(database)
    await ledger.earn(db, earning(twin, 9), request())
    await ledger.merge(db, twin, member, cause="merge:1", reason="one person", request=request(now=tomorrow))
    await seal_through(database, SEALED)
    await rolled_up(database)
    return member


async def rolled_up(database: Database) -> None:
    """The roll-up follows the oldest transaction of the whole server, which other tests may hold back."""
    covered = "SELECT bool_and(xid < below_xid) FROM ledger.movement, ledger.rollup_watermark"
    async with asyncio.timeout(60):
        while not await database.pool.fetchval(covered):
            await asyncio.sleep(0.05)
            await ledger.roll_up(database.pool)


@asynccontextmanager
async def tampered(owner: asyncpg.Connection, member: UUID, sql: str) -> AsyncIterator[None]:
    """The ledger with something changed behind its triggers, until the block ends."""
    transaction = owner.transaction()
    await transaction.start()
    try:
        await owner.execute("SET LOCAL session_replication_role = replica")
        changed = await owner.execute(sql, *([member] if "$1" in sql else []))
        assert not changed.endswith(" 0"), "the tampering found nothing to change"
        yield
    finally:
        await transaction.rollback()


async def test_an_untouched_ledger_holds(told: UUID, service: asyncpg.Connection) -> None:
    assert await failures(service) == {}


def test_every_check_has_its_tampering() -> None:
    assert list(TAMPERS) == [check.name for check in CHECKS]


@pytest.mark.parametrize(("name", "sql"), [(name, sql) for name, tampers in TAMPERS.items() for sql in tampers])
async def test_tampering_is_named(told: UUID, owner: asyncpg.Connection, name: str, sql: str) -> None:
    async with tampered(owner, told, sql):
        found = await failures(owner)
    assert name in found, f"found only {found}"
    if name in NAMED_BY_PERIOD:
        assert any("2026-08" in row or "2026-07" in row for row in found[name])
    elif name != "totals":
        assert all(str(told) in row for row in found[name])


async def test_an_empty_ledger_holds(told: UUID, owner: asyncpg.Connection) -> None:
    async with tampered(owner, told, "DELETE FROM ledger.period"):
        for table in ("movement", "posting", "lot", "hold", "debt", "member_balance", "rollup"):
            await owner.execute(f"DELETE FROM ledger.{table}")
        assert await failures(owner) == {}
