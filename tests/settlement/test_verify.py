"""Verification names what was tampered with, by a superuser who first takes the triggers away."""

from collections.abc import AsyncIterator
from datetime import date, timedelta

import asyncpg
import pytest

from app.core.db import Database
from app.settlement import service
from app.settlement.verify import CHECKS
from tests.settlement.books import JUNE, MAY, Books, noon


@pytest.fixture(scope="module")
async def place(database: Database, books: Books) -> str:
    """A dealer with credit in two sealed months."""
    place, member = await books.dealer(), await books.member()
    for month in (MAY, JUNE):
        await books.earn(member, 100, month)
        await books.redeem(member, 40, place, month)
        await service.close(database, month, now=noon(month + timedelta(days=40)))
    return place


@pytest.fixture
async def owner(dsn: str, place: str) -> AsyncIterator[asyncpg.Connection]:
    """The database's owner, with triggers out of the way; what it does is undone after the test."""
    connection = await asyncpg.connect(dsn)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("ALTER TABLE ledger.movement DISABLE TRIGGER no_change")
    try:
        yield connection
    finally:
        await transaction.rollback()
        await connection.close()


async def found(connection: asyncpg.Connection) -> dict[str, list[str]]:
    """Rows that disagree, by check."""
    rows = {check.name: await check.run(connection) for check in CHECKS}
    return {name: disagreeing for name, disagreeing in rows.items() if disagreeing}


async def test_untouched_books_hold(owner: asyncpg.Connection) -> None:
    assert await found(owner) == {}


async def test_a_changed_movement_names_its_month(owner: asyncpg.Connection, place: str) -> None:
    await owner.execute("UPDATE ledger.movement SET points = points + 1 WHERE period = $1 AND to_bucket = 'spent'", MAY)
    assert await found(owner) == {
        "statements-recompute": [
            f"2025-05 {place} line 1: statement credit redemption HQ at {place}: 40 points, 200 fen,"
            f" ledger credit redemption HQ at {place}: 41 points, 205 fen"
        ]
    }


async def test_a_removed_movement_leaves_a_line_without_its_points(owner: asyncpg.Connection, place: str) -> None:
    await owner.execute("DELETE FROM ledger.movement WHERE period = $1 AND to_bucket = 'spent'", JUNE)
    assert list(await found(owner)) == ["statements-recompute"]


async def test_a_changed_line_is_seen_by_ledger_seal_and_sums(owner: asyncpg.Connection, place: str) -> None:
    await owner.execute(
        "UPDATE statement_line SET amount_fen = amount_fen + 1 WHERE statement_id ="
        " (SELECT id FROM statement WHERE period = $1 AND dealer_code = $2)", JUNE, place,
    )  # fmt: skip
    rows = await found(owner)
    assert list(rows) == [
        "statements-recompute", "statements-digest", "statements-net-zero", "statement-sums",
    ]  # fmt: skip
    assert rows["statements-digest"] == ["2025-06"]
    assert rows["statement-sums"] == [f"2025-06 {place}"]
    assert rows["statements-net-zero"] == ["2025-06: dealers 200 fen, headquarters -201 fen"]


async def test_a_removed_statement_is_missed(owner: asyncpg.Connection, place: str) -> None:
    await owner.execute("DELETE FROM statement_line")
    await owner.execute("DELETE FROM statement WHERE period = $1", MAY)
    assert {"statements-recompute", "statements-digest"} <= (await found(owner)).keys()


async def test_a_changed_contract_no_longer_recomputes(owner: asyncpg.Connection, place: str) -> None:
    await owner.execute("UPDATE contract SET rate_fen_per_thousand = 5001")
    assert list(await found(owner)) == ["statements-recompute"]


async def test_a_statement_of_an_open_month_is_named(owner: asyncpg.Connection, place: str) -> None:
    await owner.execute("UPDATE statement SET period = $2 WHERE period = $1", JUNE, date(2025, 7, 1))
    assert (await found(owner))["statements-sealed"] == [f"2025-07 {place}"]
