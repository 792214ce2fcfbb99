"""How long records are kept: what is due is removed every night, with what a member asked to be forgotten."""

import logging
from datetime import date, datetime, time
from uuid import UUID

from sqlalchemy import delete, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.audit.models import Action
from app.audit.retention import forget_deeds
from app.audit.service import record
from app.core.clock import CHINA, china_date
from app.core.db import Database
from app.members.models import Birth, Member
from app.privacy import queries
from app.privacy.holdings import holdings
from app.privacy.rules import years_before
from app.settings import Settings
from app.visits.deliveries_queries import forget_contacts

log = logging.getLogger("club.privacy")

BATCH = 100
"""Members erased in one transaction."""
RETENTION = "retention"
"""Who asked for the erasures that nobody asked for."""


async def apply(database: Database, settings: Settings, *, now: datetime) -> int:
    """Remove everything whose time has come; the number of members erased."""
    today = china_date(now)
    async with database.session() as session:
        await _forget_records(session, settings, today)
    await _schedule_long_gone(database, settings, now)
    erased = 0
    while done := await _erase_batch(database, now):
        erased += done
    deeds = await forget_deeds(database, _midnight(years_before(today, settings.keep_audit_years)))
    log.info("erased %d members, forgot %d deeds", erased, deeds)
    return erased


async def _schedule_long_gone(database: Database, settings: Settings, now: datetime) -> None:
    today = china_date(now)
    before = _midnight(years_before(today, settings.keep_left_members_years))
    more = True
    while more:
        async with database.session() as session:
            gone = await queries.long_gone(session, before, BATCH)
            await queries.plan_erasures(session, gone, now=now, by=RETENTION, due_on=today)
        more = len(gone) == BATCH


async def _erase_batch(database: Database, now: datetime) -> int:
    async with database.session() as session:
        due = await queries.due(session, china_date(now), BATCH)
        for erasure in due:
            await erase(session, erasure.member_id, now)
            erasure.erased_at = now
    return len(due)


async def erase(session: AsyncSession, member_id: UUID, now: datetime) -> None:
    """Remove who a member was. The ledger stays under the member's id, which leads to nobody from then on;
    whose the vehicles and repair orders were goes to where the service cannot read it."""
    member = await session.get_one(Member, member_id, with_for_update=True, populate_existing=True)
    for holding in holdings():
        if holding.erase is not None:
            await holding.erase(session, member_id, now)
    await queries.forget_applications(session, member)
    await session.execute(delete(Birth).where(col(Birth.member_id) == member_id))
    await session.execute(text("SELECT restricted.erase(:member, :now)"), {"member": member_id, "now": now})
    session.expunge(member)
    await record(session, Action.DELETED, "member", [member_id])


async def _forget_records(session: AsyncSession, settings: Settings, today: date) -> None:
    await queries.forget_old_applications(session, _midnight(_days_before(today, settings.keep_applications_days)))
    await forget_contacts(session, _midnight(_days_before(today, settings.keep_delivery_contacts_days)))
    await queries.forget_rejections(session, _midnight(_days_before(today, settings.keep_rejections_days)))
    await queries.forget_provisions(session, _midnight(years_before(today, settings.keep_provisions_years)))
    await queries.forget_consents(session, _midnight(years_before(today, settings.keep_consents_years)))
    await session.execute(
        text("SELECT restricted.forget(:owners, :workshop)"),
        {
            "owners": years_before(today, settings.keep_owners_years),
            "workshop": years_before(today, settings.keep_workshop_years),
        },
    )


def _days_before(today: date, days: int) -> date:
    return date.fromordinal(today.toordinal() - days)


def _midnight(day: date) -> datetime:
    """When a day begins in China."""
    return datetime.combine(day, time.min, CHINA)
