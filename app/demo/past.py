"""The past, month by month: the month's orders, redemptions dated within it, expiry, close.

Stopped anywhere, it goes on from there: what is posted already is recognised, by document and by request key.
"""

import asyncio
import time as stopwatch
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from functools import partial
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from itertools import groupby

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from app.chapters.imports import COLUMNS as DEALER_COLUMNS
from app.chapters.imports import import_dealers
from app.core import tabular
from app.core.clock import CHINA, add_months, china_date, month_of, system_clock
from app.core.db import Connection, Database
from app.core.tabular import Row
from app.core.vault import vault_of
from app.demo import people, perks, plan, ruling, sums
from app.demo.plan import Redemption, Visit
from app.demo.sums import Month
from app.members import bulk
from app.members.imports import COLUMNS as MEMBER_COLUMNS
from app.members.imports import import_members
from app.members.rules import parse_mobile
from app.points import ledger, totals
from app.settings import Settings
from app.settlement import queries as settled
from app.settlement import service as settlement
from app.visits import service as visits
from app.visits.queries import cause
from app.visits.rules import COLUMNS as ORDER_COLUMNS

DATA = files("app.demo") / "data"
HEADQUARTERS = perks.HEADQUARTERS
ACTOR = HEADQUARTERS.subject
AT_ONCE = 12
"""Redemptions under way at the same time."""


class ForeignBooks(Exception):
    """The database has members already, and not the demonstration's."""

    def __str__(self) -> str:
        return "this database has members of its own: give the demonstration an empty one, or an empty CLUB_DATA_DIR"


Loader = Callable[[Database, date, date], Awaitable[None]]
"""Loads the network, its chapters open since the first month's first day, as it is at the last month's end."""

Also = Callable[[Database, date, date], Awaitable[None]]
"""What else happened in a month, given the last one; it is begun anew as the month is."""


async def nothing_else(_database: Database, _month: date, _last: date) -> None:
    """The purchases are all there was."""


async def run(
    dsn: str, settings: Settings, console: Console, *, data: Traversable = DATA, load: Loader | None = None,
    also: Also = nothing_else,
) -> None:  # fmt: skip
    """Load the files of `data` and settle every month of theirs that has ended; print each month and the sums.

    Args:
        load: loads a larger network, which that of `data` is part of.
        also: lives through what its members do besides.

    Raises:
        ForeignBooks: nothing was loaded.
    """
    orders = _orders_by_month(data)
    load = load or partial(load_network, console, data)
    async with Database.open(dsn, vault=vault_of(settings), pool_size=AT_ONCE + 2) as database:
        first = await settled.first_period(database.pool)
        assert first is not None
        months = _ended_months(first, max(orders))
        with _progress(console) as progress:
            task = progress.add_task("the network and its members", total=len(months))
            last = months[-1] if months else first
            if await _is_open(database.pool, last):
                await _require_own_books(database, data)
                await load(database, first, last)
            console.print(sums.HEADINGS, style="bold", highlight=False)
            lived = []
            for month in months:
                progress.update(task, description=f"{month:%Y-%m}")
                lived.append(await _live(database, month, orders, partial(also, database, month, last)))
                console.print(sums.line(lived[-1]), highlight=False)
                progress.advance(task)
        await perks.offer(database, now=system_clock())
        await people.hire(database, settings, system_clock())
        await ledger.roll_up(database.pool)
        console.print(sums.closing_words(lived, await totals.read(database.pool)), highlight=False)
    if (left_out := max(orders)) not in months:
        console.print(f"{left_out:%Y-%m} has not ended by this computer's clock: left out", style="yellow")


def _progress(console: Console) -> Progress:
    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _orders_by_month(data: Traversable) -> Mapping[date, Sequence[Row]]:
    closed_at = ORDER_COLUMNS.index("closed_at")
    with as_file(data / "repair_orders.csv.gz") as file:
        rows = tabular.open_rows(file, ORDER_COLUMNS)
        months = groupby(rows, key=lambda row: row.cells[closed_at][:7])
        return {date.fromisoformat(f"{month}-01"): list(group) for month, group in months}


def _ended_months(first: date, last: date) -> list[date]:
    end = min(add_months(last, 1), month_of(china_date(system_clock())))
    count = (end.year - first.year) * 12 + end.month - first.month
    return [add_months(first, index) for index in range(count)]


async def _is_open(connection: Connection, month: date) -> bool:
    sealed = await settled.last_sealed(connection)
    return sealed is None or month > sealed


async def load_network(console: Console, data: Traversable, database: Database, first: date, _last: date) -> None:
    """The dealers and members of `data`, and the rule of the demonstration."""
    now = system_clock()
    with as_file(data / "dealers.csv.gz") as file:
        dealers, _ = await import_dealers(database, tabular.open_rows(file, DEALER_COLUMNS), now=now, opened_on=first)
    await ruling.rule(database, HEADQUARTERS, since=first, now=now)
    begun = stopwatch.monotonic()
    with as_file(data / "members.csv.gz") as file:
        members, _ = await import_members(database, tabular.open_rows(file, MEMBER_COLUMNS), now=now)
    seconds = stopwatch.monotonic() - begun
    console.print(f"{dealers.read:,} dealers, {members.read:,} members ({seconds:.1f} s)\n", highlight=False)


async def _require_own_books(database: Database, data: Traversable) -> None:
    if not await database.pool.fetchval("SELECT EXISTS (SELECT FROM member)"):
        return
    with as_file(data / "members.csv.gz") as file:
        first = next(tabular.open_rows(file, MEMBER_COLUMNS))
    phone = parse_mobile(first.cells[MEMBER_COLUMNS.index("phone")])
    assert phone is not None
    if not await bulk.people(database.pool, database.vault, [phone]):
        raise ForeignBooks


async def _live(
    database: Database, month: date, orders: Mapping[date, Sequence[Row]], also: Callable[[], Awaitable[None]]
) -> Month:
    # the clock of that time: two o'clock in the night after the month's last day
    now = datetime.combine(add_months(month, 1), time(2), CHINA)
    if await _is_open(database.pool, month):
        await visits.import_orders(database, orders.get(month, ()), actor=ACTOR, now=now)
        await _redeem(database, await _planned(database.pool, month))
        await also()
        await ledger.sweep(database.pool, now=now)
    return await sums.of_month(database.pool, await settlement.close(database, month, now=now))


async def _planned(connection: Connection, month: date) -> list[Redemption]:
    """The month's redemptions, from its orders and from what was booked before: the same each time it is begun."""
    rows = await connection.fetch(
        """SELECT member_id, business_date, dealer_code, order_no, points FROM repair_order
            WHERE business_date >= $1 AND business_date < $2 AND member_id IS NOT NULL
            ORDER BY business_date, dealer_code, order_no""",
        month, add_months(month, 1),
    )  # fmt: skip
    balances = await connection.fetch(
        """SELECT member_id, sum(CASE WHEN to_bucket = 'available' THEN points ELSE -points END)::bigint AS points
             FROM ledger.movement WHERE period < $1 AND 'available' IN (from_bucket, to_bucket) GROUP BY member_id""",
        month,
    )
    available = {row["member_id"]: row["points"] for row in balances}
    return list(plan.redemptions((Visit(*row) for row in rows), available))


async def _redeem(database: Database, planned: Sequence[Redemption]) -> None:
    """Post redemptions on their dates; those of one member one after another."""
    queue = iter(planned)
    by_member: dict[object, asyncio.Lock] = {}

    async def counter() -> None:
        for visit, points in queue:
            async with by_member.setdefault(visit.member_id, asyncio.Lock()):
                await ledger.redeem(
                    database.pool, visit.member_id, points, place=visit.dealer_code,
                    cause=cause(visit.dealer_code, visit.order_no), booked_on=visit.business_date,
                    request=_request(visit),
                )  # fmt: skip

    await asyncio.gather(*(counter() for _ in range(AT_ONCE)))


def _request(visit: Visit) -> ledger.Request:
    evening = datetime.combine(visit.business_date, time(20), CHINA)
    return ledger.Request(ACTOR, f"{visit.dealer_code}/{visit.order_no}", evening.astimezone(UTC))
