"""COPY is whole, or nothing of the transaction is: also for who is cancelled in the middle of it."""

import asyncio
from collections.abc import Iterator

import pytest

from app.core.db import Database, copy_rows

ROWS = 100_000


async def test_who_is_cancelled_in_a_copy_leaves_the_connection_in_order(database: Database) -> None:
    begun = asyncio.Event()

    def rows() -> Iterator[tuple[int, str]]:
        for number in range(ROWS):
            if number == ROWS // 2:
                begun.set()
            yield number, "x" * 100

    async with database.connection() as connection:

        async def copying() -> None:
            async with connection.transaction():
                await connection.execute("CREATE TEMP TABLE copied (number int, filling text) ON COMMIT DROP")
                await copy_rows(connection, "copied", rows())
                pytest.fail("it was cancelled before")

        task = asyncio.create_task(copying())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await connection.fetchval("SELECT to_regclass('pg_temp.copied')") is None, "rolled back"
        assert not connection.is_in_transaction()


async def test_a_refused_copy_says_why(database: Database) -> None:
    async with database.transaction(undo=True) as connection:
        await connection.execute("CREATE TEMP TABLE small (number smallint)")
        with pytest.raises(Exception, match="value out of int16 range"):
            await copy_rows(connection, "small", [(100_000,)])
