"""A database of an earlier release is brought up to this one, with what is in it."""

from collections.abc import AsyncIterator
from datetime import date
from uuid import uuid4

import asyncpg
import pytest
from alembic import command
from sqlalchemy.ext.asyncio import create_async_engine

from app.core import migrations
from app.core.db import connect, engine_options
from tests.conftest import with_database

LOT = """
INSERT INTO ledger.lot (member_id, lot_no, posting_no, origin_lot, funder, granted, pending, available, spent,
                        granted_on, spendable_from, expires_on)
VALUES ($1, $2::int, $2::int, $2::int, 'HQ', 100, $3, $4, $5, '2026-01-01', '2026-03-01', '2028-01-31')
"""


@pytest.fixture
async def empty(server: str) -> AsyncIterator[str]:
    """A database without any table."""
    name = f"club_test_{uuid4().hex[:12]}"
    owner = await asyncpg.connect(server)
    try:
        await owner.execute(f'CREATE DATABASE "{name}"')
        yield with_database(server, name)
    finally:
        await owner.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await owner.close()


async def upgrade(dsn: str, revision: str) -> None:
    engine = create_async_engine("postgresql+asyncpg://", **engine_options(dsn, role=None))
    async with engine.connect() as connection:
        await connection.run_sync(lambda sync: command.upgrade(migrations.config(sync), revision))
    await engine.dispose()


async def test_wallets_learn_when_they_are_due(empty: str) -> None:
    await upgrade(empty, "0003")
    owner = await connect(empty, role=None)
    try:
        waiting, spending, spent = uuid4(), uuid4(), uuid4()
        for member, lots in {
            waiting: [(1, 100, 0, 0), (2, 0, 100, 0)],
            spending: [(1, 0, 0, 100), (2, 0, 40, 60)],
            spent: [(1, 0, 0, 100)],
        }.items():
            await owner.execute("INSERT INTO ledger.member_balance (member_id) VALUES ($1)", member)
            for lot in lots:
                await owner.execute(LOT, member, *lot)
        assert not await migrations.is_current(empty)

        await migrations.migrate(empty)

        assert await migrations.is_current(empty)
        rows = await owner.fetch("SELECT member_id, nullif(due_on, 'infinity') FROM ledger.member_balance")
        assert {row[0]: row[1] for row in rows} == {waiting: date(2026, 3, 1), spending: date(2028, 2, 1), spent: None}
        await owner.execute("UPDATE ledger.lot SET available = 0, spent = 100 WHERE member_id = $1", spending)
        assert not await owner.fetchval("SELECT bool_or(is_open) FROM ledger.lot WHERE member_id = $1", spending)
    finally:
        await owner.close()


async def test_functions_of_another_release_are_replaced(dsn: str) -> None:
    owner = await connect(dsn, role=None)
    try:
        await owner.execute(
            "COMMENT ON SCHEMA ledger IS 'functions of another release';"
            " CREATE OR REPLACE FUNCTION ledger.month_of(p_day date) RETURNS date LANGUAGE sql AS 'SELECT p_day'"
        )
        assert not await migrations.is_current(dsn)

        await migrations.migrate(dsn)

        assert await migrations.is_current(dsn)
        assert await owner.fetchval("SELECT ledger.month_of('2026-11-22')") == date(2026, 11, 1)
    finally:
        await owner.close()
