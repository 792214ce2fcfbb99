"""Earnings brought one by one: points that were decided elsewhere, and events for the rules to judge."""

from datetime import date, datetime

import asyncpg

from app.chapters import queries as chapters
from app.core.actors import Actor, Reach
from app.core.clock import china_date
from app.core.db import Database, rehearsal
from app.core.problems import InvalidPayload
from app.earning import awards
from app.earning.awards import Event, Outcome
from app.earning.schemas import EarningCreate, EventCreate
from app.points import ledger
from app.points.ledger import Posting, Request


async def earn(db: Database, actor: Actor, order: EarningCreate, request: Request, *, dry_run: bool) -> Posting:
    """Post an earning that a program or headquarters brings.

    Raises:
        InvalidPayload: the funder or the place is no dealer that the actor reaches; who is bound to dealers has to
            name one as the place.
        And what `ledger.earn` raises.
    """
    if order.funder != ledger.HQ:
        await chapters.require_reached(db, actor, "/funder", order.funder)
    if order.place != ledger.HQ or actor.reach is not Reach.ALL:
        await chapters.require_reached(db, actor, "/place", order.place)
    async with rehearsal(db.pool, dry_run) as connection:
        return await ledger.earn(connection, order.earning(request.now), request)


async def judge(db: Database, actor: Actor, body: EventCreate, request: Request, *, dry_run: bool) -> Outcome:
    """Let the rules judge an event that a program or headquarters brings, and post what it earns.

    A dry run tells of every rule of the trigger.

    Raises:
        InvalidPayload: the dealer is none that the actor reaches; who is bound to dealers has to name one. Or it
            happened in the future.
        And what `awards.award` raises.
    """
    if actor.reach is not Reach.ALL:
        await chapters.require_reached(db, actor, "/dealer_code", body.dealer_code or ledger.HQ)
    if body.occurred_at is not None and body.occurred_at > request.now:
        raise InvalidPayload.at("/occurred_at", "time_in_future")
    async with db.transaction(undo=dry_run) as connection:
        on = china_date(body.occurred_at) if body.occurred_at else await _first_day(connection, body, request.now)
        event = Event(body.trigger, body.document, body.member_id, body.dealer_code, on, body.fields)
        return await awards.award(connection, event, request, every=dry_run)


_FIRST_DAY = """
SELECT booked_on FROM award WHERE document = $1
 UNION ALL SELECT booked_on FROM earning_case WHERE document = $1 LIMIT 1"""


async def _first_day(connection: asyncpg.Connection, body: EventCreate, now: datetime) -> date:
    # what the day's date fills in must not turn a retry after midnight into a refusal, also of one under way
    await awards.lock(connection, body.document)
    first: date | None = await connection.fetchval(_FIRST_DAY, body.document)
    return first or china_date(now)
