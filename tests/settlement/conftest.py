"""Books over the module's database, and statements to talk about."""

from collections.abc import AsyncIterator, Iterator

import pytest

from app.core.db import Database
from app.settlement import queries, service
from tests.api import Api
from tests.now import NOW
from tests.settlement.books import Books
from tests.settlement.desk import Desk

_DESKS = 40


@pytest.fixture(scope="module")
async def books(database: Database) -> Books:
    """Posting through the service's connections, under the general contract."""
    books = Books(database)
    await books.default_contract()
    return books


@pytest.fixture(scope="module")
async def desks(api: Api, books: Books) -> Iterator[Desk]:
    """Statements of many dealers over a sealed month, each with 30 points."""
    month = await queries.first_open(api.db.pool)
    for _ in range(_DESKS):
        dealer, member = await books.dealer(), await books.member()
        await books.earn(member, 100, month, funder=dealer, place=dealer)
        await books.redeem(member, 30, dealer, month)
    await service.close(api.db, month, now=NOW)
    rows = await api.db.pool.fetch(
        "SELECT dealer_code, id::text FROM statement WHERE period = $1 AND charge_fen = 150",
        month,
    )
    return (Desk(api, dealer, month, statement) for dealer, statement in rows)


@pytest.fixture
async def desk(desks: Iterator[Desk]) -> AsyncIterator[Desk]:
    """A statement nobody has touched yet."""
    desk = next(desks)
    yield desk
    desk.api.app.state.now = NOW
