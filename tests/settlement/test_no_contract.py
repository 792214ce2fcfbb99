"""Books without general terms: a month that needs a rate is not guessed at."""

from datetime import date

import asyncpg
import pytest

from app.core.db import Database
from app.settlement import service
from app.settlement.problems import NoContract
from app.settlement.rules import Charging
from tests.settlement.books import MAY, Books, noon

LATER = noon(date(2025, 6, 5))


@pytest.fixture(scope="module", autouse=True)
async def _no_terms(dsn: str) -> None:
    """Opened books have general terms, which only the owner of the tables can take away."""
    owner = await asyncpg.connect(dsn)
    await owner.execute("DELETE FROM contract")
    await owner.close()


async def test_a_month_closes_only_when_every_dealer_has_terms(database: Database) -> None:
    books = Books(database)
    place, quiet = await books.dealer(), await books.dealer(chapter=True)
    member = await books.member()
    await books.earn(member, 100, MAY)
    await books.redeem(member, 100, place, MAY)

    for dry_run in (True, False):
        with pytest.raises(NoContract) as refused:
            await service.close(database, MAY, now=LATER, dry_run=dry_run)
        assert refused.value.members == {"dealer_code": place}

    await books.contract(place, MAY, 5000, Charging.REDEMPTION)
    with pytest.raises(NoContract) as refused:
        await service.close(database, MAY, now=LATER)
    assert refused.value.members == {"dealer_code": quiet}
    assert await database.pool.fetchval("SELECT count(*) FROM statement") == 0

    await books.contract(quiet, MAY, 5000, Charging.REDEMPTION)
    assert (await service.close(database, MAY, now=LATER)).statements == 2
