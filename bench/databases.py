"""Databases made for one run and dropped at its end, however it ends."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from hashlib import md5
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

from app.chapters.imports import COLUMNS as DEALER_COLUMNS
from app.chapters.imports import import_dealers
from app.core import db, migrations, tabular
from app.core.clock import china_date, month_of, system_clock
from app.core.db import Database
from app.core.vault import Vault
from app.members.imports import COLUMNS as MEMBER_COLUMNS
from app.members.imports import import_members
from app.points import ledger
from app.points.ledger import HQ, BatchEarning
from app.points.rules import last_spendable_day
from app.wiring import open_books
from bench.figures import BenchError
from bench.service import DATA_KEY

SHIPPED = Path(__file__).parents[1] / "app" / "demo" / "data"
FIRST_PERIOD = date(2025, 5, 1)
DEALER = "BJ001"
"""Where the measured postings happen."""
WALLETS = 50_000
"""Enough that no member's code is needed twice within 15 seconds: a code is good for one redemption."""
LOTS = 3
"""Each wallet's at the start: as many as a member of the shipped purchases has."""
LOT_POINTS = 2_000


def wallet(index: int) -> UUID:
    """The member of a seeded wallet, 0 … WALLETS − 1; pgbench's scripts make the same by md5()."""
    return UUID(md5(str(index).encode(), usedforsecurity=False).hexdigest())


@contextmanager
def scratch(server: str, *, template: str | None = None) -> Iterator[str]:
    """The DSN of a new database on the server, empty or like another one; dropped after the block."""
    name = f"club_bench_{uuid4().hex[:12]}"
    like = f" TEMPLATE {urlsplit(template).path[1:]}" if template else ""
    try:
        execute(server, f"CREATE DATABASE {name}{like}")
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    finally:
        execute(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def execute(dsn: str, statement: str) -> None:
    """Run one statement as the database's owner."""
    fetch(dsn, statement)


def fetch(dsn: str, query: str) -> object:
    """The first value of a query, asked as the database's owner; None when it has no rows."""

    async def ask() -> object:
        connection = await db.connect(dsn, role=None)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    return asyncio.run(ask())


def load_network(dsn: str) -> None:
    """The shipped dealers and members on opened books, analysed."""
    asyncio.run(_load_network(dsn))
    execute(dsn, "VACUUM (ANALYZE)")


async def _load_network(dsn: str) -> None:
    await migrations.migrate(dsn)
    now = system_clock()
    await open_books(dsn, FIRST_PERIOD, 5000, china_date(now))
    async with Database.open(dsn, vault=Vault(lambda: (DATA_KEY,))) as database:
        dealers = tabular.open_rows(SHIPPED / "dealers.csv.gz", DEALER_COLUMNS)
        await import_dealers(database, dealers, now=now, opened_on=FIRST_PERIOD)
        await import_members(database, tabular.open_rows(SHIPPED / "members.csv.gz", MEMBER_COLUMNS), now=now)


def fill_wallets(dsn: str) -> None:
    """WALLETS wallets of LOTS lots each beside the network, analysed: what is measured never runs dry."""
    asyncio.run(_fill_wallets(dsn))
    execute(dsn, "VACUUM (ANALYZE)")


async def _fill_wallets(dsn: str) -> None:
    now = system_clock()
    today = china_date(now)
    async with Database.open(dsn) as database:
        async with database.transaction() as connection:
            await ledger.open_wallets(connection, [wallet(index) for index in range(WALLETS)])
            await ledger.open_period(connection, month_of(today))
        for lot in range(LOTS):
            lots = [
                BatchEarning(
                    wallet(index), LOT_POINTS, HQ, DEALER, f"seed:{lot}/{index}", 1, today, last_spendable_day(today)
                )
                for index in range(WALLETS)
            ]
            async with database.transaction() as connection:
                await ledger.stage_batch(connection, lots)
                if await ledger.earn_staged(connection, actor="bench", now=now):
                    raise BenchError("the ledger refused part of the seed")


def settle(server: str) -> None:
    """Write out what filling left, so that it is not written while the first round is measured."""
    if fetch(server, "SELECT pg_has_role('pg_checkpoint', 'USAGE')"):
        execute(server, "CHECKPOINT")


def postings(dsn: str) -> int:
    """How many postings the books hold."""
    count = fetch(dsn, "SELECT sum(version)::bigint FROM ledger.member_balance")
    assert isinstance(count, int)
    return count


@contextmanager
def all_posted(dsn: str) -> Iterator[list[int]]:
    """Holds the block to its claims: what it adds to the list has to be what the books took meanwhile.

    Raises:
        BenchError: fewer, or more, were posted: the rate would count refusals.
    """
    before = postings(dsn)
    claimed: list[int] = []
    yield claimed
    posted = postings(dsn) - before
    if posted != sum(claimed):
        raise BenchError(f"{sum(claimed):,} calls were answered, {posted:,} were posted")
