"""The worker as a process: imports are worked off exactly once, whoever is killed, and the schedule does its work."""

import asyncio
import multiprocessing
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from multiprocessing.context import SpawnProcess
from typing import Any
from uuid import UUID

import asyncpg
import psutil
import pytest

from app import worker
from app.core.db import connect
from app.visits import jobs, service
from app.visits.rules import COLUMNS
from app.wiring import verify
from tests.api import DATA_KEY
from tests.command import started
from tests.now import NOW
from tests.shop import Person, Shop, order

SILENCE = timedelta(seconds=2)
PATIENCE = 40
"""Seconds; a worker needs some to start when the machine is busy."""


def work(dsn: str) -> None:
    """A worker of small chunks that is soon thought dead."""
    service.CHUNK = 20
    asyncio.run(worker.run(dsn, clock=lambda: NOW, silence=SILENCE))


def break_down(dsn: str) -> None:
    """A worker whose every import breaks down."""

    async def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("no import today")

    jobs.import_orders = broken  # type: ignore[assignment, attr-defined]
    work(dsn)


def lose_the_database_once(dsn: str) -> None:
    """A worker whose database goes away in the second chunk, once."""
    worker._PAUSE = timedelta(seconds=0.1)
    import_orders, losses = service.import_orders, iter([2])

    async def lost(*arguments: Any, sink: service.Sink, **options: Any) -> Any:
        calls = iter(range(1, 100))
        chunk = next(losses, None)

        async def losing(*done: Any) -> None:
            if next(calls) == chunk:
                raise asyncpg.ConnectionDoesNotExistError("gone for a moment")
            await sink(*done)

        return await import_orders(*arguments, sink=losing, **options)

    jobs.import_orders = lost  # type: ignore[assignment, attr-defined]
    work(dsn)


@contextmanager
def process(target: Callable[[str], None], dsn: str) -> Iterator[SpawnProcess]:
    child = multiprocessing.get_context("spawn").Process(target=target, args=(dsn,))
    child.start()
    try:
        yield child
    finally:
        child.kill()
        child.join()


def orders_of(member: Person, count: int) -> list[dict[str, Any]]:
    return [order(member.vin) for _ in range(count)]


async def upload(shop: Shop, orders: list[dict[str, Any]]) -> UUID:
    lines = [",".join(COLUMNS), *(",".join(str(made[name]) for name in COLUMNS) for made in orders)]
    answer = await shop.api.call(
        "POST", "/repair-orders/imports", shop.hq, content="\n".join(lines), headers={"Content-Type": "text/csv"}
    )
    assert answer.status_code == 202
    return UUID(answer.json()["id"])


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(PATIENCE * 20):
        if await holds():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("waited in vain")


async def job_at(shop: Shop, job_id: UUID, line: int) -> None:
    """Wait until the job has come to a line."""
    query = "SELECT line = $2 FROM import_job WHERE id = $1"
    await until(lambda: shop.pool.fetchval(query, job_id, line))


async def ended(shop: Shop, job_id: UUID) -> tuple[Any, ...]:
    """What became of the job: its status, read, posted, already known, refused, points."""
    await until(lambda: shop.pool.fetchval("SELECT finished_at IS NOT NULL FROM import_job WHERE id = $1", job_id))
    counts = "SELECT status, read, posted, already_known, refused, points FROM import_job WHERE id = $1"
    [job] = await shop.pool.fetch(counts, job_id)
    return tuple(job)


@asynccontextmanager
async def held_up(dsn: str, member: Person) -> AsyncIterator[None]:
    """Nothing is posted to the member while the block lasts."""
    connection = await connect(dsn, role=None)
    try:
        async with connection.transaction():
            await connection.execute("SELECT FROM ledger.member_balance WHERE member_id = $1 FOR UPDATE", member.id)
            yield
    finally:
        await connection.close()


async def test_sigterm_lets_the_job_under_way_finish(shop: Shop, dsn: str):
    quick, slow = await shop.member(), await shop.member()
    with process(work, dsn) as child:
        async with held_up(dsn, slow):
            job_id = await upload(shop, orders_of(quick, 40) + orders_of(slow, 10))
            await job_at(shop, job_id, 41)
            child.terminate()
            await asyncio.sleep(0.5)
            assert child.is_alive()
        assert await ended(shop, job_id) == ("done", 50, 50, 0, 0, 50 * 123)
        await asyncio.to_thread(child.join, PATIENCE)
        assert child.exitcode == 0
    assert await shop.pool.fetchval("SELECT count(*) FROM pgqueuer") == 0


async def test_a_killed_workers_job_is_taken_over(shop: Shop, dsn: str):
    quick, slow = await shop.member(), await shop.member()
    async with held_up(dsn, slow):
        with process(work, dsn) as first:
            job_id = await upload(shop, orders_of(quick, 40) + orders_of(slow, 10))
            await job_at(shop, job_id, 41)
            first.kill()
    with process(work, dsn):
        assert await ended(shop, job_id) == ("done", 50, 50, 0, 0, 50 * 123)
    assert await shop.wallet(quick) == (40 * 123, 0, 0, 0)
    assert await shop.wallet(slow) == (10 * 123, 0, 0, 0)


async def test_two_workers_post_the_same_orders_once(shop: Shop, dsn: str):
    member = await shop.member()
    orders = orders_of(member, 100)
    with process(work, dsn), process(work, dsn):
        job_ids = [await upload(shop, orders) for _ in range(6)]
        results = [await ended(shop, job_id) for job_id in job_ids]
    assert {result[:2] for result in results} == {("done", 100)}
    assert [sum(column) for column in zip(*(result[2:] for result in results), strict=True)] == [100, 500, 0, 100 * 123]
    assert await shop.wallet(member) == (100 * 123, 0, 0, 0)


async def test_of_two_who_do_the_same_job_one_gives_way(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(service, "CHUNK", 10)
    member = await shop.member()
    job_id = await upload(shop, orders_of(member, 100))
    both = await asyncio.gather(*(jobs.work_off(shop.api.db, job_id, NOW) for _ in range(2)), return_exceptions=True)
    assert {type(outcome) for outcome in both} == {type(None), jobs.Overtaken}
    assert await ended(shop, job_id) == ("done", 100, 100, 0, 0, 100 * 123)
    assert await shop.wallet(member) == (100 * 123, 0, 0, 0)


async def test_a_job_that_breaks_down_is_parked_and_says_so(shop: Shop, dsn: str):
    member = await shop.member()
    with process(break_down, dsn):
        job_id = await upload(shop, orders_of(member, 3))
        assert await ended(shop, job_id) == ("failed", 0, 0, 0, 0, 0)
        await until(
            lambda: shop.pool.fetchval(
                "SELECT status = 'failed' FROM pgqueuer WHERE payload = $1", str(job_id).encode()
            )
        )
    status, job = await shop.get(f"/repair-orders/imports/{job_id}", shop.hq)
    assert (status, job["fault"]) == (200, "an unexpected error; what was posted stands: send the file again")


@pytest.mark.parametrize(("retries", "becomes"), [(0, "failed"), (1, "done")])
async def test_a_job_over_which_six_workers_died_is_given_up(shop: Shop, dsn: str, retries: int, becomes: str):
    member = await shop.member()
    job_id = await upload(shop, orders_of(member, 3))
    # as they leave it: begun, picked up by each, and once more for each retry that a worker asked for itself
    async with shop.pool.acquire() as connection, connection.transaction():
        await connection.execute("UPDATE import_job SET status = 'running' WHERE id = $1", job_id)
        await connection.execute(
            """WITH queued AS (UPDATE pgqueuer SET attempts = $2 WHERE payload = $1 RETURNING id)
               INSERT INTO pgqueuer_log (job_id, status, entrypoint, priority)
               SELECT id, 'picked', $3, 0 FROM queued, generate_series(1, 6)""",
            str(job_id).encode(), retries, jobs.ENTRYPOINT,
        )  # fmt: skip
    with process(work, dsn):
        assert (await ended(shop, job_id))[0] == becomes
    points = 0 if becomes == "failed" else 3 * 123
    assert await shop.wallet(member) == (points, 0, 0, 0)
    assert await shop.pool.fetchval("SELECT count(*) FROM import_chunk WHERE job_id = $1", job_id) == 0


async def test_a_database_lost_for_a_moment_is_waited_for(shop: Shop, dsn: str):
    member = await shop.member()
    with process(lose_the_database_once, dsn):
        job_id = await upload(shop, orders_of(member, 50))
        assert await ended(shop, job_id) == ("done", 50, 50, 0, 0, 50 * 123)


def test_a_worker_ends_with_the_process_that_made_it(dsn: str):
    program = (
        "import multiprocessing, sys, time; from app import worker\n"
        "if __name__ == '__main__':\n"
        " child = multiprocessing.get_context('spawn').Process(target=worker.main, args=(sys.argv[1],))\n"
        " child.start(); print(child.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, dsn], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    gone, left = psutil.wait_procs([child], timeout=PATIENCE)
    assert (gone, left) == ([child], [])


async def test_a_lost_database_ends_it_with_a_word(shop: Shop, dsn: str):
    await shop.pool.execute("DELETE FROM pgqueuer_schedules")
    admin = await connect(dsn, role=None)
    begun = await admin.fetchval("SELECT clock_timestamp()")
    with started("worker", database_url=dsn, data_keys=DATA_KEY) as command:
        await until(lambda: admin.fetchval("SELECT count(*) = 2 FROM pgqueuer_schedules"))
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        assert await admin.fetch(f"{ended} AND backend_start > $1", begun)
        said, _ = await asyncio.to_thread(command.communicate, timeout=PATIENCE)
    await admin.close()
    assert command.returncode == 1
    assert said.startswith("club: the database was lost: connection ")
    assert len(said.splitlines()) == 1


async def test_every_minute_overdue_holds_are_released_and_the_rollup_follows(shop: Shop):
    member = await shop.member(points=500)
    status, _ = await shop.post(
        "/holds", {"member_id": str(member.id), "points": 200, "order_no": "RO-1", "code": await shop.code(member)},
        shop.advisor,
    )  # fmt: skip
    assert status == 201
    await worker.minutely_work(shop.api.db, lambda: NOW + timedelta(minutes=29))
    assert await shop.wallet(member) == (300, 0, 200, 0)
    await worker.minutely_work(shop.api.db, lambda: NOW + timedelta(minutes=31))
    assert await shop.wallet(member) == (500, 0, 0, 0)
    folded = await shop.pool.fetchval("SELECT sum(points) FROM ledger.rollup WHERE from_bucket = 'issued'")
    assert folded == await shop.pool.fetchval("SELECT sum(points) FROM ledger.posting WHERE kind = 'earn'")


async def test_every_night_lots_lapse_months_open_and_old_answers_are_forgotten(shop: Shop):
    member = await shop.member(points=500)
    assert await shop.pool.fetchval("SELECT count(*) FROM idempotency_record") > 0
    await worker.nightly_work(shop.api.db, lambda: NOW)
    assert await shop.wallet(member) == (500, 0, 0, 0)
    periods = [period for (period,) in await shop.pool.fetch("SELECT period::text FROM ledger.period ORDER BY 1 DESC")]
    assert periods[:3] == ["2027-01-01", "2026-12-01", "2026-11-01"]

    await worker.nightly_work(shop.api.db, lambda: NOW.replace(year=2029))
    assert await shop.wallet(member) == (0, 0, 0, 0)
    assert await shop.pool.fetchval("SELECT count(*) FROM idempotency_record") == 0


async def test_the_schedule_is_kept(shop: Shop, dsn: str):
    await shop.pool.execute("UPDATE pgqueuer_schedules SET next_run = now() - interval '1 hour'")
    with process(work, dsn):
        await until(lambda: shop.pool.fetchval("SELECT count(last_run) = 2 FROM pgqueuer_schedules"))
    next_night = (
        "SELECT (next_run AT TIME ZONE 'UTC')::time(0)::text FROM pgqueuer_schedules WHERE entrypoint = 'nightly'"
    )
    assert await shop.pool.fetchval(next_night) == "16:05:00"


async def test_the_books_hold(dsn: str):
    assert [(check.name, rows) for check, rows in await verify(dsn) if rows] == []
