"""The past, month by month: the month's orders, redemptions dated within it, expiry, close. Stopped anywhere, it goes on from there."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from importlib.resources import as_file, files
from itertools import groupby
from typing import NamedTuple

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from app.chapters.imports import COLUMNS as DEALER_COLUMNS
from app.chapters.imports import import_dealers
from app.core import tabular
from app.core.clock import CHINA, add_months, china_date, month_of, system_clock
from app.core.db import Connection, Database
from app.core.tabular import Row
from app.demo import people, plan
from app.demo.plan import Redemption, Visit
from app.earning import service as earning
from app.earning.rules import Funding, Rule
from app.members.imports import COLUMNS as MEMBER_COLUMNS
from app.members.imports import import_members
from app.points import ledger, totals
from app.settings import Settings
from app.settlement import service as settlement
from app.settlement.schemas import Closing
from app.visits import service as visits
from app.visits.queries import cause
from app.visits.rules import COLUMNS as ORDER_COLUMNS

DATA = files("app.demo") / "data"
ACTOR = "demo"
AT_ONCE = 12
"""Redemptions under way at the same time."""


class Month(NamedTuple):
    """One settled month."""

    period: date
    orders: int
    earned: int
    redemptions: int
    redeemed: int
    expired: int
    closing: Closing


async def run(dsn: str, settings: Settings, console: Console) -> None:
    """Load what is shipped and settle every month of it that has ended."""
    async with Database.open(dsn, pool_size=AT_ONCE + 2) as database:
        with Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        ) as progress:
            await _load_network(database, settings, progress)
            months = await _live_through(database, settings.first_period, progress)
        await ledger.roll_up(database.pool)
        console.print(_table(months))
        console.print(_totals(await totals.read(database.pool)))


async def _load_network(database: Database, settings: Settings, progress: Progress) -> None:
    task = progress.add_task("network, members", total=2)
    now = system_clock()
    with as_file(DATA / "dealers.csv.gz") as file:
        await import_dealers(
            database, tabular.open_rows(file, DEALER_COLUMNS), now=now, opened_on=settings.first_period
        )
    async with database.transaction() as connection:
        # so that both directions of settlement show: Hangzhou's dealers pay for the points of their own orders
        await earning.add_order_rule(
            connection, Rule(funding=Funding.DEALER), region_code="HZ", valid_from=settings.first_period
        )
    await people.hire(database, settings, now)
    progress.advance(task)
    with as_file(DATA / "members.csv.gz") as file:
        await import_members(database, tabular.open_rows(file, MEMBER_COLUMNS), now=now)
    progress.advance(task)


async def _live_through(database: Database, first: date, progress: Progress) -> list[Month]:
    with as_file(DATA / "repair_orders.csv.gz") as file:
        rows = list(tabular.open_rows(file, ORDER_COLUMNS))
    by_month = {date.fromisoformat(f"{name}-01"): list(group) for name, group in groupby(rows, key=_month_name)}
    present = month_of(china_date(system_clock()))
    months = [month for month in _months(first, max(by_month)) if month < present]
    task = progress.add_task("months", total=len(months))
    settled = []
    for month in months:
        progress.update(task, description=f"{month:%Y-%m}")
        settled.append(await _live(database, month, by_month.get(month, [])))
        progress.advance(task)
    return settled


def _month_name(row: Row) -> str:
    return row.cells[ORDER_COLUMNS.index("closed_at")][:7]


def _months(first: date, last: date) -> list[date]:
    count = (last.year - first.year) * 12 + last.month - first.month + 1
    return [add_months(first, index) for index in range(count)]


async def _live(database: Database, month: date, rows: Sequence[Row]) -> Month:
    # the clock of that time: two o'clock in the night after the month's last day
    now = datetime.combine(add_months(month, 1), time(2), CHINA)
    if not await _is_sealed(database.pool, month):
        await visits.import_orders(database, rows, actor=ACTOR, now=now)
        await _redeem(database, await _planned(database.pool, month))
        await ledger.sweep(database.pool, now=now)
    closing = await settlement.close(database, month, now=now)
    return await _summary(database.pool, month, closing)


async def _is_sealed(connection: Connection, month: date) -> bool:
    return bool(await connection.fetchval("SELECT sealed_at IS NOT NULL FROM ledger.period WHERE period = $1", month))


async def _planned(connection: Connection, month: date) -> list[Redemption]:
    """The month's redemptions, from orders and from what was booked before the month."""
    rows = await connection.fetch(
        """SELECT member_id, business_date, dealer_code, order_no, points FROM repair_order
            WHERE business_date >= $1 AND business_date < $2 AND member_id IS NOT NULL
            ORDER BY business_date, dealer_code, order_no""",
        month, add_months(month, 1),
    )  # fmt: skip
    balances = await connection.fetch(
        """SELECT member_id, sum(CASE WHEN to_bucket = 'available' THEN points ELSE -points END)::bigint
             FROM ledger.movement WHERE period < $1 AND 'available' IN (from_bucket, to_bucket) GROUP BY member_id""",
        month,
    )
    return list(plan.redemptions((Visit(*row) for row in rows), {member_id: points for member_id, points in balances}))


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
                    request=ledger.Request(ACTOR, f"{visit.dealer_code}/{visit.order_no}", _evening(visit.business_date)),
                )  # fmt: skip

    await asyncio.gather(*(counter() for _ in range(AT_ONCE)))


def _evening(day: date) -> datetime:
    return datetime.combine(day, time(20), CHINA).astimezone(UTC)


async def _summary(connection: Connection, month: date, closing: Closing) -> Month:
    row = await connection.fetchrow(
        """SELECT count(*) FILTER (WHERE kind = 'earn'), coalesce(sum(points) FILTER (WHERE kind = 'earn'), 0),
                  count(*) FILTER (WHERE kind = 'redeem'), coalesce(sum(points) FILTER (WHERE kind = 'redeem'), 0),
                  coalesce(sum(points) FILTER (WHERE kind = 'expire'), 0)
             FROM ledger.posting WHERE period = $1""",
        month,
    )
    assert row is not None
    orders, earned, redeemings, redeemed, expired = (int(value) for value in row)
    return Month(month, orders, earned, redeemings, redeemed, expired, closing)


def _table(months: Sequence[Month]) -> Table:
    table = Table(title="Settled months (points; money in yuan)", show_footer=True)
    columns = [
        ("month", "", [f"{m.period:%Y-%m}" for m in months]),
        ("earning orders", f"{sum(m.orders for m in months):,}", [f"{m.orders:,}" for m in months]),
        ("earned", f"{sum(m.earned for m in months):,}", [f"{m.earned:,}" for m in months]),
        ("redemptions", f"{sum(m.redemptions for m in months):,}", [f"{m.redemptions:,}" for m in months]),
        ("redeemed", f"{sum(m.redeemed for m in months):,}", [f"{m.redeemed:,}" for m in months]),
        ("expired", f"{sum(m.expired for m in months):,}", [f"{m.expired:,}" for m in months]),
        ("dealers' credit", _yuan(sum(m.closing.credit_fen for m in months)), [_yuan(m.closing.credit_fen) for m in months]),
        ("dealers' charge", _yuan(sum(m.closing.charge_fen for m in months)), [_yuan(m.closing.charge_fen) for m in months]),
        ("dealers' net", _yuan(sum(m.closing.net_fen for m in months)), [_yuan(m.closing.net_fen) for m in months]),
        ("HQ's net", _yuan(sum(m.closing.hq_net_fen for m in months)), [_yuan(m.closing.hq_net_fen) for m in months]),
        ("nets add to", _yuan(sum(m.closing.net_fen + m.closing.hq_net_fen for m in months)),
         [_yuan(m.closing.net_fen + m.closing.hq_net_fen) for m in months]),
    ]  # fmt: skip
    for name, footer, _ in columns:
        table.add_column(name, footer=footer, justify="right")
    for cells in zip(*(values for _, _, values in columns), strict=True):
        table.add_row(*cells)
    return table


def _yuan(fen: int) -> str:
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100:,}.{abs(fen) % 100:02d}"


def _totals(sums: totals.Totals) -> str:
    return (
        f"[bold]issued = {sums.issued:,}[/]   redeemed = {sums.redeemed:,}   expired = {sums.expired:,}   "
        f"reversed = {sums.reversed:,}   outstanding = {sums.outstanding:,}   owed = {sums.owed:,}"
    )
