"""Closing months: in order, once, and never losing a posting."""

import asyncio
from datetime import date, timedelta

import pytest

from app.core.clock import add_months
from app.core.db import Database
from app.points import ledger
from app.settlement import queries, service
from app.settlement.problems import PeriodBeforeFirst, PeriodGap, PeriodNotEnded
from app.settlement.verify import CHECKS
from tests.settlement.books import Books, noon


def after(month: date) -> date:
    """A day on which the month has ended."""
    return add_months(month, 1) + timedelta(days=4)


async def statements(database: Database, month: date) -> list[tuple[object, ...]]:
    """A month's statements without their ids."""
    rows = await database.pool.fetch(
        "SELECT dealer_code, credit_fen, charge_fen, net_fen, status, confirm_by FROM statement"
        " WHERE period = $1 ORDER BY dealer_code", month,
    )  # fmt: skip
    return [tuple(row) for row in rows]


async def failures(database: Database) -> list[str]:
    """What verification finds, each under its check."""
    async with database.transaction() as connection:
        return [f"{check.name}: {row}" for check in CHECKS for row in await check.run(connection)]


async def test_a_month_is_sealed_with_a_statement_for_each_dealer(database: Database, books: Books) -> None:
    month = await queries.first_open(database.pool)
    funder, place, quiet = await books.dealer(), await books.dealer(), await books.dealer(chapter=True)
    member = await books.member()
    await books.earn(member, 100, month, funder=funder)
    await books.redeem(member, 30, place, month + timedelta(days=3))
    forecast = await service.close(database, month, now=noon(after(month)), dry_run=True)
    assert await statements(database, month) == []

    closing = await service.close(database, month, now=noon(after(month)))

    confirm_by = after(month) + timedelta(days=5)
    assert await statements(database, month) == sorted([
        (funder, 0, 150, -150, "issued", confirm_by),
        (place, 150, 0, 150, "issued", confirm_by),
        (quiet, 0, 0, 0, "issued", confirm_by),
    ])  # fmt: skip
    assert (closing.credit_fen, closing.charge_fen, closing.net_fen, closing.hq_net_fen) == (150, 150, 0, 0)
    assert closing.statements == 3
    assert closing.model_copy(update={"sealed_at": None, "seal": None}) == forecast
    row = await database.pool.fetchrow("SELECT seal, sealed_at FROM ledger.period WHERE period = $1", month)
    assert row is not None
    assert (closing.seal, closing.sealed_at) == (row["seal"].hex(), noon(after(month)))
    assert await failures(database) == []


async def test_closing_twice_changes_nothing_and_answers_the_same(database: Database, books: Books) -> None:
    month = await queries.first_open(database.pool)
    place, member = await books.dealer(), await books.member()
    await books.earn(member, 100, month)
    await books.redeem(member, 30, place, month)
    first = await service.close(database, month, now=noon(after(month)))
    kept = await database.pool.fetch("SELECT * FROM statement ORDER BY id")
    lines = await database.pool.fetch("SELECT * FROM statement_line ORDER BY statement_id, line_no")

    for again in (after(month), after(month) + timedelta(days=40)):
        assert await service.close(database, month, now=noon(again)) == first
        assert await service.close(database, month, now=noon(again), dry_run=True) == first
    assert first.hq_net_fen == -150
    assert await database.pool.fetch("SELECT * FROM statement ORDER BY id") == kept
    assert await database.pool.fetch("SELECT * FROM statement_line ORDER BY statement_id, line_no") == lines


async def test_two_closers_at_once_seal_once(database: Database, books: Books) -> None:
    month = await queries.first_open(database.pool)
    place, member = await books.dealer(), await books.member()
    await books.earn(member, 100, month)
    await books.redeem(member, 30, place, month)
    closings = await asyncio.gather(
        *(service.close(database, month, now=noon(after(month) + timedelta(days=n))) for n in range(6))
    )
    assert all(closing == closings[0] for closing in closings)
    assert len([row for row in await statements(database, month) if row[0] == place]) == 1


async def test_months_are_closed_in_order_after_they_have_ended(database: Database, books: Books) -> None:
    month = await queries.first_open(database.pool)
    today = after(add_months(month, 1))
    with pytest.raises(PeriodGap) as gap:
        await service.close(database, add_months(month, 1), now=noon(today))
    assert gap.value.members == {"period": f"{add_months(month, 1):%Y-%m}", "first_open": f"{month:%Y-%m}"}
    with pytest.raises(PeriodNotEnded):
        await service.close(database, add_months(month, 2), now=noon(today))
    for dry_run in (True, False):
        with pytest.raises(PeriodBeforeFirst):
            await service.close(database, date(2025, 4, 1), now=noon(today), dry_run=dry_run)
    assert await statements(database, month) == []
    assert await queries.closing(database.pool, month) is None


async def test_a_month_ends_at_midnight_in_china(database: Database, books: Books) -> None:
    month = await queries.first_open(database.pool)
    midnight = noon(add_months(month, 1)) - timedelta(hours=20)  # 16:00 in Greenwich, the day before
    with pytest.raises(PeriodNotEnded):
        await service.close(database, month, now=midnight - timedelta(seconds=1))
    assert (await service.close(database, month, now=midnight)).seal is not None


async def test_a_dry_run_foretells_an_open_month_and_writes_nothing(database: Database, books: Books) -> None:
    month = await queries.first_open(database.pool)
    running = add_months(month, 1)
    place, member = await books.dealer(), await books.member()
    await books.earn(member, 100, running)
    await books.redeem(member, 30, place, running)
    forecast = await service.close(database, running, now=noon(running + timedelta(days=3)), dry_run=True)
    assert (forecast.seal, forecast.sealed_at, forecast.hq_net_fen) == (None, None, -150)
    assert await statements(database, running) == []


async def test_a_late_posting_goes_to_the_first_open_month(database: Database, books: Books) -> None:
    month = await queries.first_open(database.pool)
    place, member = await books.dealer(), await books.member()
    await books.earn(member, 100, month)
    closed = await service.close(database, month, now=noon(after(month)))
    late = await books.redeem(member, 30, place, month, sent=after(month))
    assert (late.booked_on, late.period) == (month, add_months(month, 1))
    assert await books.told(month, place) == []
    assert await books.told(late.period, place) == ["A credit redemption: HQ at A 30 x 5000 = 150"]
    assert await service.close(database, month, now=noon(after(month))) == closed
    assert await failures(database) == []


@pytest.mark.parametrize("locked", [True, False])
async def test_a_posting_under_way_is_waited_for(database: Database, books: Books, locked: bool) -> None:
    month = await queries.first_open(database.pool)
    place, member = await books.dealer(), await books.member()
    await books.earn(member, 100, month)
    async with database.transaction() as posting:
        slow = Books(database)
        slow.pool = posting
        await slow.redeem(member, 30, place, month)
        if locked:
            closing = asyncio.create_task(service.close(database, month, now=noon(after(month))))
            await asyncio.sleep(0.3)
            assert not closing.done()
        else:
            # a closer that did not wait would issue this, and lose the points for good
            assert await books.told(month, place) == []
    if locked:
        await closing
        row = await database.pool.fetchval(
            "SELECT net_fen FROM statement WHERE period = $1 AND dealer_code = $2", month, place
        )
        assert row == 150
        assert await failures(database) == []


async def test_a_posting_during_the_close_waits_and_goes_to_the_next_month(database: Database, books: Books) -> None:
    month = await queries.first_open(database.pool)
    place, member = await books.dealer(), await books.member()
    await books.earn(member, 100, month)
    async with database.transaction() as closer:
        assert await ledger.lock_period(closer, month, now=noon(after(month))) == "ready"
        posting = asyncio.create_task(books.redeem(member, 30, place, month, sent=after(month)))
        await asyncio.sleep(0.3)
        assert not posting.done()
        await service._seal(closer, month, noon(after(month)))
    assert (await posting).period == add_months(month, 1)
    assert await failures(database) == []


async def test_posters_racing_a_closer_lose_nothing(database: Database, books: Books) -> None:
    month = await queries.first_open(database.pool)
    place = await books.dealer()
    members = [await books.member() for _ in range(30)]
    for member in members:
        await books.earn(member, 100, month)

    async def spend(index: int) -> ledger.Posting:
        await asyncio.sleep(index * 0.002)
        return await books.redeem(members[index], 7, place, month, sent=after(month))

    async def close() -> None:
        await asyncio.sleep(0.02)
        await service.close(database, month, now=noon(after(month)))

    postings = asyncio.gather(*(spend(index) for index in range(30)))
    await close()
    early = sum(posting.period == month for posting in await postings)
    late = sum(posting.period == add_months(month, 1) for posting in await postings)
    assert early + late == 30
    stored = [line for line in await queries.stored_lines(database.pool, month) if line.dealer_code == place]
    assert sum(line.points for line in stored) == 7 * early
    assert await books.told(add_months(month, 1), place) == (
        [f"A credit redemption: HQ at A {7 * late} x 5000 = {35 * late}"] if late else []
    )
    assert await failures(database) == []
