"""What the ledger's tests share."""

from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest

from app.core.db import Database, connect
from tests.points.books import open_wallets


@pytest.fixture
async def member(database: Database) -> UUID:
    """A new member with an open wallet, committed."""
    return (await open_wallets(database))[0]


@pytest.fixture
async def service(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the service makes them."""
    connection = await connect(dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def owner(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the tables' owner, who is a superuser in tests: what the service never is."""
    connection = await connect(dsn, role=None)
    yield connection
    await connection.close()
