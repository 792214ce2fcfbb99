"""Earnings brought one by one: points that were decided elsewhere, and events for the rules to judge."""

from app.chapters import queries as chapters
from app.core.actors import Actor, Reach
from app.core.clock import china_date
from app.core.db import Database, rehearsal
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
        InvalidPayload: the dealer is none that the actor reaches; who is bound to dealers has to name one.
        And what `awards.award` raises.
    """
    if actor.reach is not Reach.ALL:
        await chapters.require_reached(db, actor, "/dealer_code", body.dealer_code or ledger.HQ)
    on = body.occurred_on or china_date(request.now)
    event = Event(body.trigger, body.document, body.member_id, body.dealer_code, on, body.fields)
    async with db.transaction(undo=dry_run) as connection:
        return await awards.award(connection, event, request, every=dry_run)
