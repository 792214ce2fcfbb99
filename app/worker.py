"""The background worker: works off queued jobs and runs the schedule. Any number of workers may run at once."""

import asyncio
import logging
import signal
from datetime import timedelta
from uuid import UUID

from pgqueuer import AsyncpgDriver, PgQueuer
from pgqueuer.models import Job, Schedule

from app.core import db, idempotency
from app.core.clock import Clock, add_months, china_date, month_of, system_clock
from app.core.db import Database
from app.points import ledger
from app.visits import jobs

log = logging.getLogger("club.worker")

# pgqueuer's clock is UTC: 16:05 there is 00:05 of the next day in China
JUST_AFTER_CHINA_MIDNIGHT = "5 16 * * *"
EVERY_MINUTE = "* * * * *"


async def run(dsn: str, *, clock: Clock = system_clock) -> None:
    """Work until SIGINT or SIGTERM; the job under way is finished first."""
    listener = await db.connect(dsn)
    try:
        async with Database.open(dsn) as database:
            queue = PgQueuer(AsyncpgDriver(listener))
            _register(queue, database, clock)
            loop = asyncio.get_running_loop()
            for signum in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(signum, queue.shutdown.set)
            await queue.run(dequeue_timeout=timedelta(seconds=5))
    finally:
        await listener.close()


def _register(queue: PgQueuer, database: Database, clock: Clock) -> None:
    @queue.entrypoint(jobs.ENTRYPOINT, on_failure="hold")
    async def import_orders(job: Job) -> None:
        await jobs.work_off(database, UUID((job.payload or b"").decode()), clock())

    @queue.schedule("nightly", JUST_AFTER_CHINA_MIDNIGHT)
    async def nightly(_: Schedule) -> None:
        await nightly_work(database, clock)

    @queue.schedule("every_minute", EVERY_MINUTE)
    async def every_minute(_: Schedule) -> None:
        await ledger.release_expired_holds(database.pool, now=clock())
        await ledger.roll_up(database.pool)


async def nightly_work(database: Database, clock: Clock) -> None:
    """Book what matured or lapsed, make the coming months' partitions, forget old answers."""
    now = clock()
    swept = await ledger.sweep(database.pool, now=now)
    log.info("swept %d members, %d points expired", swept.members, swept.points)
    this_month = month_of(china_date(now))
    for ahead in range(3):
        await ledger.open_period(database.pool, add_months(this_month, ahead))
    await idempotency.forget(database.pool, now)
