"""The SQL of privacy."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

import asyncpg
from sqlalchemy import delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.vault import finds
from app.members.consent_models import Consent
from app.members.models import Application, Erasure, Member, Ownership, StatusChange
from app.members.rules import ApplicationStatus, MemberStatus
from app.privacy.models import Provision
from app.visits.models import ImportJob, ImportRejection

# --- provisions ---


async def provisions(session: AsyncSession, member_id: UUID, *, after: UUID | None, limit: int) -> Sequence[Provision]:
    """What partners got of a member, oldest first, from after an id."""
    query = select(Provision).where(col(Provision.member_id) == member_id).order_by(col(Provision.id)).limit(limit)
    return (await session.scalars(query if after is None else query.where(col(Provision.id) > after))).all()


# --- a member's own data ---


async def stretches(session: AsyncSession, member_id: UUID) -> Sequence[Ownership]:
    """The vehicles a member owns or owned, oldest first."""
    query = select(Ownership).where(col(Ownership.member_id) == member_id)
    return (await session.scalars(query.order_by(col(Ownership.since), col(Ownership.vin)))).all()


async def steps(session: AsyncSession, member_id: UUID) -> Sequence[StatusChange]:
    """The steps of a membership, oldest first."""
    query = select(StatusChange).where(col(StatusChange.member_id) == member_id)
    return (await session.scalars(query.order_by(col(StatusChange.at), col(StatusChange.id)))).all()


async def applications(session: AsyncSession, member: Member) -> Sequence[Application]:
    """A member's applications, oldest first: those it joined by, and others of its phone."""
    query = select(Application).where(
        or_(col(Application.member_id) == member.id, finds(col(Application.phone_index), member.phone))
    )
    return (await session.scalars(query.order_by(col(Application.id)))).all()


_ORDERS = (
    "SELECT business_date, dealer_code AS dealer, order_no, vin, kind, paid_fen, points FROM repair_order"
    " WHERE member_id = $1 AND cancelled_at IS NULL ORDER BY business_date, dealer_code, order_no, revision"
)


async def repair_orders(connection: asyncpg.Connection, member_id: UUID) -> list[asyncpg.Record]:
    """The repair orders on a member's vehicles while they were its own."""
    return await connection.fetch(_ORDERS, member_id)


# --- erasure and retention ---


async def erasures(session: AsyncSession, *, done: bool | None, after: UUID | None, limit: int) -> Sequence[Erasure]:
    """Erasures by member, from after one; None does not filter."""
    query = select(Erasure).order_by(col(Erasure.member_id)).limit(limit)
    if after is not None:
        query = query.where(col(Erasure.member_id) > after)
    if done is not None:
        query = query.where(col(Erasure.erased_at).is_not(None) if done else col(Erasure.erased_at).is_(None))
    return (await session.scalars(query)).all()


async def due(session: AsyncSession, today: date, limit: int) -> Sequence[Erasure]:
    """Erasures to be done today, each locked with its member; those another worker has are left to it."""
    query = (
        select(Erasure)
        .join(Member, col(Member.id) == col(Erasure.member_id))
        .where(col(Erasure.erased_at).is_(None), col(Erasure.due_on) <= today, col(Member.status) == MemberStatus.LEFT)
        .order_by(col(Erasure.due_on))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return (await session.scalars(query)).all()


async def long_gone(session: AsyncSession, before: datetime, limit: int) -> Sequence[UUID]:
    """Members who left before a moment, whose erasure nobody has asked for yet."""
    left_on = (
        select(func.max(col(StatusChange.at)))
        .where(col(StatusChange.member_id) == col(Member.id), col(StatusChange.to_status) == MemberStatus.LEFT)
        .scalar_subquery()
    )
    query = (
        select(col(Member.id))
        .outerjoin(Erasure, col(Erasure.member_id) == col(Member.id))
        .where(col(Member.status) == MemberStatus.LEFT, col(Erasure.member_id).is_(None), left_on < before)
        # who was merged goes with who goes on
        .where(col(Member.merged_into).is_(None))
        .order_by(col(Member.id))
        .limit(limit)
        .with_for_update(of=Member, skip_locked=True)
    )
    return (await session.scalars(query)).all()


async def plan_erasures(
    session: AsyncSession, member_ids: Sequence[UUID], *, now: datetime, by: str, due_on: date
) -> None:
    """Have members erased on a day, but for those of whom another worker has seen to it meanwhile."""
    rows = [{"member_id": one, "requested_at": now, "requested_by": by, "due_on": due_on} for one in member_ids]
    if rows:
        await session.execute(insert(Erasure).values(rows).on_conflict_do_nothing())


async def forget_applications(session: AsyncSession, member: Member) -> None:
    """Delete a member's applications, which repeat its name and phone."""
    await session.execute(
        delete(Application).where(
            or_(col(Application.member_id) == member.id, finds(col(Application.phone_index), member.phone))
        )
    )


ENDED = (ApplicationStatus.REFUSED, ApplicationStatus.WITHDRAWN)


async def forget_old_applications(session: AsyncSession, before: datetime) -> None:
    """Delete the applications that came to nothing before a moment."""
    await session.execute(
        delete(Application).where(col(Application.status).in_(ENDED), col(Application.decided_at) < before)
    )


async def forget_rejections(session: AsyncSession, before: datetime) -> None:
    """Delete the refused rows, which quote what was sent, of imports that ended before a moment."""
    ended = select(col(ImportJob.id)).where(col(ImportJob.finished_at) < before)
    await session.execute(delete(ImportRejection).where(col(ImportRejection.job_id).in_(ended)))


async def forget_provisions(session: AsyncSession, before: datetime) -> None:
    """Delete the records of what went to partners before a moment."""
    await session.execute(delete(Provision).where(col(Provision.at) < before))


async def forget_consents(session: AsyncSession, before: datetime) -> None:
    """Delete the answers of members erased before a moment, unless a provision still rests on one."""
    erased = select(col(Erasure.member_id)).where(col(Erasure.erased_at) < before)
    in_use = select(col(Provision.consent_id))
    await session.execute(delete(Consent).where(col(Consent.member_id).in_(erased), col(Consent.id).not_in(in_use)))
