"""The SQL of consent: texts, answers, and whose answers let something be done."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    SQLColumnExpression,
    and_,
    func,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from app.core.clock import china_date
from app.members.consent_models import Consent, Notice
from app.members.consent_rules import Decision, Purpose
from app.members.models import Birth
from app.members.rules import guarded_since

PUBLISHING = 7_310_000_017
"""Advisory lock of the notices."""

# --- texts ---


class InForce(NamedTuple):
    """A purpose's newest notice, and the oldest version to which a consent still counts."""

    notice: Notice
    renewed: int


async def in_force(session: AsyncSession) -> dict[Purpose, InForce]:
    """The notice in force for each purpose."""
    notices = await session.scalars(select(Notice).order_by(col(Notice.purpose), col(Notice.version)))
    current: dict[Purpose, InForce] = {}
    for notice in notices:
        purpose = Purpose(notice.purpose)
        renewed = notice.version if notice.renews or purpose not in current else current[purpose].renewed
        current[purpose] = InForce(notice, renewed)
    return current


async def lock_notices(session: AsyncSession) -> None:
    """Until commit nobody else publishes: of two new versions at once, one is the next after the other."""
    await session.execute(select(func.pg_advisory_xact_lock(PUBLISHING)))


# --- answers ---


async def answers(session: AsyncSession, member_id: UUID) -> Sequence[Consent]:
    """A member's last answers, one for each purpose and partner."""
    newest = (
        select(Consent)
        .where(col(Consent.member_id) == member_id)
        .ext(distinct_on(col(Consent.purpose), col(Consent.partner_code)))
        .order_by(col(Consent.purpose), col(Consent.partner_code), col(Consent.at).desc(), col(Consent.id).desc())
    )
    return (await session.scalars(newest)).all()


async def all_answers(session: AsyncSession, member_id: UUID) -> Sequence[Consent]:
    """All a member ever answered, oldest first."""
    query = select(Consent).where(col(Consent.member_id) == member_id).order_by(col(Consent.at), col(Consent.id))
    return (await session.scalars(query)).all()


async def last(session: AsyncSession, member_id: UUID, purpose: Purpose, partner: str | None = None) -> Consent | None:
    """A member's last answer to a purpose (and partner)."""
    found = await answers(session, member_id)
    return next((one for one in found if (one.purpose, one.partner_code) == (purpose, partner)), None)


# --- what rests on them, as conditions over a member's id ---

_Later = aliased(Consent)


def consents(member_id: SQLColumnExpression[UUID], purpose: Purpose, partner: str | None = None) -> ColumnElement[bool]:
    """The member's last answer is a consent that counts: the rule `stands`, for many at once."""
    return _last(member_id, purpose, partner).where(_stands(purpose)).exists()


def may_be_asked(
    member_id: SQLColumnExpression[UUID],
    purpose: Purpose,
    partner: str | None = None,
    *,
    now: datetime,
    quiet: timedelta,
) -> ColumnElement[bool]:
    """The member has neither agreed nor said no within `quiet`, as the rule `may_ask` has it; and is not under 14."""
    said_no = and_(col(Consent.decision) != Decision.GIVEN, col(Consent.at) > now - quiet)
    answered = _last(member_id, purpose, partner).where(or_(_stands(purpose), said_no))
    youngest = col(Birth.born_on) >= guarded_since(china_date(now))
    child = select(Birth).where(col(Birth.member_id) == member_id, youngest).correlate_except(Birth)
    return and_(~answered.exists(), ~child.exists())


def _last(member_id: SQLColumnExpression[UUID], purpose: Purpose, partner: str | None) -> Select[Consent]:
    same = (col(Consent.member_id) == member_id, col(Consent.purpose) == purpose)
    whose = col(Consent.partner_code).is_not_distinct_from(partner)
    later = select(_Later).where(
        col(_Later.member_id) == col(Consent.member_id), col(_Later.purpose) == purpose,
        col(_Later.partner_code).is_not_distinct_from(partner),
        tuple_(col(_Later.at), col(_Later.id)) > tuple_(col(Consent.at), col(Consent.id)),
    )  # fmt: skip
    return select(Consent).where(*same, whose, ~later.exists()).correlate_except(Consent)


def _stands(purpose: Purpose) -> ColumnElement[bool]:
    renewed = func.coalesce(func.max(col(Notice.version)).filter(col(Notice.renews)), func.min(col(Notice.version)))
    newest = select(renewed).where(col(Notice.purpose) == purpose).scalar_subquery()
    return and_(col(Consent.decision) == Decision.GIVEN, col(Consent.version) >= newest)
