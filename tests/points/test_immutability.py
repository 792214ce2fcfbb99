"""What is posted stays: the service has no privilege to change it, and its owner is stopped by triggers."""

from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text

from app.core.db import Database
from app.points import ledger
from tests.points.books import TODAY, earning, request

PARTITION = f"ledger.movement_{TODAY:%Y_%m}"
BOOKS = ("ledger.posting", "ledger.movement", PARTITION)
TABLES = (
    *BOOKS,
    "ledger.lot",
    "ledger.member_balance",
    "ledger.hold",
    "ledger.debt",
    "ledger.period",
    "ledger.confirmation",
)
CHANGES = {
    "INSERT": "INSERT INTO {table} DEFAULT VALUES",
    "UPDATE": "UPDATE {table} SET {column} = {column}",
    "DELETE": "DELETE FROM {table}",
    "TRUNCATE": "TRUNCATE {table}",
}


@pytest.fixture(autouse=True)
async def _a_posting(database: Database, member: UUID) -> None:
    await ledger.earn(database.pool, earning(member, 10), request())


def statement(change: str, table: str) -> str:
    return CHANGES[change].format(table=table, column="period" if table == "ledger.period" else "member_id")


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("change", CHANGES)
async def test_the_service_may_not(service: asyncpg.Connection, change: str, table: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
        await service.execute(statement(change, table))


@pytest.mark.parametrize("table", BOOKS)
@pytest.mark.parametrize("change", ["UPDATE", "DELETE", "TRUNCATE"])
async def test_the_owner_is_stopped(owner: asyncpg.Connection, change: str, table: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await owner.execute(statement(change, table))


async def test_a_new_months_partition_is_guarded_too(service: asyncpg.Connection, owner: asyncpg.Connection) -> None:
    await ledger.open_period(service, TODAY.replace(year=2031, month=5, day=1))
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await owner.execute("TRUNCATE ledger.movement_2031_05")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
        await service.execute("INSERT INTO ledger.movement_2031_05 SELECT * FROM ledger.movement")


async def test_the_steps_of_a_posting_are_not_for_the_service(service: asyncpg.Connection, member: UUID) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for function"):
        await service.execute("SELECT ledger.consume_code($1, 1)", member)


async def test_connections_run_as_the_service(database: Database) -> None:
    """Superusers and owners escape revokes: neither way in may be one."""
    query = "SELECT current_user::text, rolsuper FROM pg_roles WHERE rolname = current_user"
    assert [tuple(row) for row in await database.pool.fetch(query)] == [("club_app", False)]
    async with database.session() as session:
        assert tuple((await session.execute(text(query))).one()) == ("club_app", False)
    owned = await database.pool.fetchval("SELECT count(*) FROM pg_class WHERE relowner = 'club_app'::regrole")
    assert owned == 0


@pytest.mark.parametrize(
    "change",
    [
        "spent = spent + 1",
        "granted = granted - 1",
        "available = 0",
        "spent = spent - 5, expired = expired + 5",
    ],
)
async def test_a_lots_parts_add_up(owner: asyncpg.Connection, member: UUID, change: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="do not add up"):
        await owner.execute(f"UPDATE ledger.lot SET {change} WHERE member_id = $1", member)
