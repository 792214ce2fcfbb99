"""Races that happen: everybody waits at the same row before anybody goes on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@asynccontextmanager
async def held_back(pool: asyncpg.Pool, count: int, locking: str, *arguments: object) -> AsyncIterator[None]:
    """Keeps the row that a query locks until `count` requests started inside wait for it or for one another."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL ROLE NONE")
        await connection.execute(locking, *arguments)
        yield
        async with asyncio.timeout(20):
            while await connection.fetchval(WAITING) < count:
                await asyncio.sleep(0.02)
                await connection.execute("SELECT pg_stat_clear_snapshot()")
