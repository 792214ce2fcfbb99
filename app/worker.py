"""The background worker: works off queued jobs and runs the schedule. Any number of workers may run at once."""

import asyncio
import logging
import signal
import sys
from datetime import timedelta
from uuid import UUID

import asyncpg
from pgqueuer import AsyncpgDriver, PgQueuer
from pgqueuer.errors import FailingListenerError, RetryRequested
from pgqueuer.models import Job, Schedule

import app.wiring  # noqa: F401 (what upper domains give to lower ones)
from app.core import db, idempotency, outbound, process, tallies
from app.core.clock import Clock, add_months, china_date, month_of, system_clock
from app.core.db import Database
from app.core.sms import SmsSender, sender
from app.core.vault import NO_VAULT, Vault, vault_of
from app.earning import audiences, occasions, tiers
from app.events import auctions, life, texts, waiting
from app.identity import sessions
from app.members import duplicates, sign_in_queries, transfers
from app.partners import vouchers
from app.points import ledger
from app.privacy import retention
from app.referrals import nightly as referrals
from app.reports import service as reports
from app.reports import signals
from app.rewards import orders
from app.settings import Settings
from app.visits import jobs
from app.visits.deliveries_queries import match_open

log = logging.getLogger("club.worker")

# pgqueuer's clock is UTC: 16:05 there is 00:05 of the next day in China
JUST_AFTER_CHINA_MIDNIGHT = "5 16 * * *"
EVERY_MINUTE = "* * * * *"
SILENCE = timedelta(seconds=30)
"""A job whose worker has not been heard of for so long is taken over by another."""

_PASSING = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.TransactionRollbackError,
    OSError,
)
_ATTEMPTS = 5
_PAUSE = timedelta(seconds=5)


def main(dsn: str) -> None:
    """A worker as a process of its own, which ends with the one that started it."""
    process.begin()
    try:
        asyncio.run(run(dsn, vault=vault_of(Settings())))
    except ConnectionError as error:
        sys.exit(f"club worker: the database was lost: {error}")


async def run(dsn: str, *, vault: Vault = NO_VAULT, clock: Clock = system_clock, silence: timedelta = SILENCE) -> None:
    """Work until SIGINT or SIGTERM; the jobs under way are finished first.

    Raises:
        ConnectionError: the database is gone.
    """
    listener = await db.connect(dsn)
    settings = Settings()
    try:
        async with Database.open(dsn, vault=vault) as database, outbound.client(settings.outbound_seconds) as calls:
            queue = PgQueuer(AsyncpgDriver(listener))
            _register(queue, database, sender(settings, calls, clock), clock)
            loop = asyncio.get_running_loop()
            for signum in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(signum, queue.shutdown.set)
            # two jobs at a time; one by one, so that those waiting are left to other workers
            await queue.run(
                dequeue_timeout=timedelta(seconds=5), batch_size=1, max_concurrent_tasks=2, heartbeat_timeout=silence,
                shutdown_on_listener_failure=True,
            )  # fmt: skip
    except (asyncpg.InterfaceError, asyncpg.PostgresConnectionError, FailingListenerError) as error:
        if not listener.is_closed():
            raise
        # whoever keeps processes running starts a new one; a job under way is taken over
        raise ConnectionError(str(error)) from error
    finally:
        await listener.close()


def _register(queue: PgQueuer, database: Database, sms: SmsSender, clock: Clock) -> None:
    # a job that fails is parked, not lost
    @queue.entrypoint(jobs.ENTRYPOINT, on_failure="hold")
    async def import_orders(job: Job) -> None:
        await _import(database, job, clock)

    @queue.entrypoint(texts.ENTRYPOINT, on_failure="hold")
    async def send_texts(job: Job) -> None:
        await _send_texts(database, sms, job, clock)

    @queue.schedule("nightly", JUST_AFTER_CHINA_MIDNIGHT)
    async def nightly(_: Schedule) -> None:
        await nightly_work(database, clock)

    @queue.schedule("every_minute", EVERY_MINUTE)
    async def every_minute(_: Schedule) -> None:
        await minutely_work(database, clock)


async def _import(database: Database, job: Job, clock: Clock) -> None:
    job_id = UUID((job.payload or b"").decode())
    try:
        if await jobs.broke_off(database, job, job_id) > jobs.MOST_TAKEN_OVER:
            log.error("import %s is given up: %d workers died over it", job_id, jobs.MOST_TAKEN_OVER + 1)
            await jobs.give_up(database, job_id, clock())
            return
        await jobs.work_off(database, job_id, clock(), jobs.limits_of(job, Settings()))
    except jobs.Overtaken:
        log.warning("import %s was taken over by another worker", job_id)
    except _PASSING as error:
        if job.attempts < _ATTEMPTS:
            raise RetryRequested(delay=_PAUSE, reason=str(error)) from error
        await jobs.give_up(database, job_id, clock())
        raise
    except Exception:
        await jobs.give_up(database, job_id, clock())
        raise


async def _send_texts(database: Database, sms: SmsSender, job: Job, clock: Clock) -> None:
    event_id = UUID((job.payload or b"").decode())
    try:
        pause = await texts.work_off(database, sms, event_id, settings=Settings(), clock=clock)
    except _PASSING as error:
        raise RetryRequested(delay=_PAUSE, reason=str(error)) from error
    except Exception:
        await texts.give_up(database, event_id)
        raise
    if pause is not None:
        raise RetryRequested(delay=pause, reason="the night, or the provider")


async def nightly_work(database: Database, clock: Clock) -> None:
    """Book what matured or lapsed, make coming months' partitions, freeze figures, forget what is kept no longer."""
    now = clock()
    swept = await ledger.sweep(database.pool, now=now)
    log.info("swept %d members, %d points expired", swept.members, swept.points)
    this_month = month_of(china_date(now))
    for ahead in range(3):
        await ledger.open_period(database.pool, add_months(this_month, ahead))
    grace = timedelta(days=Settings().refund_grace_days)
    log.info("%d vouchers expired", await vouchers.expire(database, grace=grace, now=now))
    await idempotency.forget(database.pool, now)
    await tallies.forget(database.pool, now)
    await sign_in_queries.forget_codes(database.pool, now)
    await sessions.forget(database, now)
    await match_open(database.pool)
    worked = await transfers.work(database, now=now)
    log.info("%d transfers accepted unanswered, %d members moved on their day", *worked)
    log.info("%d pairs of members may be one person", await duplicates.find(database, now=now))
    await referrals.work(database, Settings(), now=now)
    await tiers.work(database, now=now)
    # before audiences: a rule may be for whom a signal names
    log.info("%d signals of abuse", await signals.find(database, Settings(), now=now))
    await audiences.choose_anew(database, now=now)
    awarded = await occasions.work(database, occasions.OF_THE_DAY, now=now)
    log.info("%d members were awarded for their birthday or anniversary", awarded)
    # before what they count is kept no longer
    await reports.freeze_due(database, now=now, after_days=Settings().freeze_figures_after_days)
    await retention.apply(database, Settings(), now=now)


async def minutely_work(database: Database, clock: Clock) -> None:
    """Release holds that ran out, with their orders, award who joined, open and close registrations, roll up."""
    now = clock()
    await ledger.release_expired_holds(database.pool, now=now)
    await orders.lapse(database, now=now)
    await life.keep_time(database, now=now)
    await waiting.work(database, Settings(), now=now)
    await auctions.close_due(database, now=now)
    await occasions.work(database, occasions.JOINED, now=now)
    await ledger.roll_up(database.pool)
