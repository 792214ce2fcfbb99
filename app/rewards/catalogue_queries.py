"""The SQL of the catalogue of rewards."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg
from sqlalchemy import ColumnElement, and_, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chapters.queries import dealer_visible_to
from app.core.actors import Actor
from app.core.db import new_id
from app.members.models import Member
from app.members.rules import MemberStatus
from app.partners.queries import has_contract
from app.rewards.catalogue_models import Reward, RewardCode, RewardMovement
from app.rewards.catalogue_rules import RewardKind


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """Everyone sees headquarters' rewards, and those of the chapters it reaches."""
    return or_(col(Reward.dealer_code).is_(None), dealer_visible_to(actor, col(Reward.dealer_code)))


def belongs_to(dealer_code: str | None) -> ColumnElement[bool]:
    """Headquarters' rewards, and those of a member's chapter (None: headquarters' roll)."""
    return or_(col(Reward.dealer_code).is_(None), col(Reward.dealer_code) == dealer_code)


def open_to(dealer_code: str | None, tier: str | None, today: date) -> ColumnElement[bool]:
    """What a member of a chapter (None: headquarters' roll) and a tier may have on a day."""
    chapters = or_(col(Reward.dealer_codes).is_(None), literal(dealer_code) == func.any(col(Reward.dealer_codes)))
    tiers = [col(Reward.prices).contains([{"tier": one}]) for one in {tier, None}]
    return and_(
        col(Reward.is_offered),
        col(Reward.valid_from) <= today, or_(col(Reward.valid_until).is_(None), col(Reward.valid_until) >= today),
        belongs_to(dealer_code), chapters,
        or_(col(Reward.kind) == RewardKind.SERVICE, *tiers),
        or_(col(Reward.partner_code).is_(None), has_contract(col(Reward.partner_code), today)),
    )  # fmt: skip


async def rewards(
    session: AsyncSession, *conditions: ColumnElement[bool], kind: RewardKind | None, after: UUID | None, limit: int
) -> Sequence[Reward]:
    """The catalogue, oldest entry first; None does not filter."""
    query = select(Reward).where(*conditions).order_by(col(Reward.id)).limit(limit)
    if kind is not None:
        query = query.where(col(Reward.kind) == kind)
    if after is not None:
        query = query.where(col(Reward.id) > after)
    return (await session.scalars(query)).all()


async def reward(session: AsyncSession, *conditions: ColumnElement[bool], locked: bool = False) -> Reward | None:
    """The reward on which the conditions hold; `locked`: for change of the entry or its stock."""
    query = select(Reward).where(*conditions)
    if locked:
        query = query.with_for_update().execution_options(populate_existing=True)
    found: Reward | None = await session.scalar(query)
    return found


class Customer(NamedTuple):
    """Where a member belongs, for whom something is ordered."""

    dealer_code: str | None
    status: MemberStatus


async def customer(session: AsyncSession, member_id: UUID) -> Customer | None:
    """A member, of whatever chapter the session reads."""
    query = select(col(Member.dealer_code), col(Member.status)).where(
        col(Member.id) == member_id, col(Member.erased_at).is_(None)
    )
    row = (await session.execute(query)).one_or_none()
    return Customer(row[0], MemberStatus(row[1])) if row is not None else None


async def movements(
    session: AsyncSession, reward_id: UUID, *, after: UUID | None, limit: int
) -> Sequence[RewardMovement]:
    """The changes of a stock, oldest first."""
    query = select(RewardMovement).where(col(RewardMovement.reward_id) == reward_id)
    if after is not None:
        query = query.where(col(RewardMovement.id) > after)
    return (await session.scalars(query.order_by(col(RewardMovement.id)).limit(limit))).all()


# --- codes ---


async def add_codes(connection: asyncpg.Connection, reward_id: UUID, codes: Sequence[str]) -> int:
    """Put codes into a pool, in their order; how many it did not have."""
    rows = await connection.fetch(
        """INSERT INTO reward_code (id, reward_id, code)
           SELECT c.id, $1, c.code FROM unnest($2::uuid[], $3::text[]) AS c (id, code)
           ON CONFLICT (reward_id, code) DO NOTHING RETURNING 1""",
        reward_id, [new_id() for _ in codes], codes,
    )  # fmt: skip
    return len(rows)


async def give_codes(
    connection: asyncpg.Connection, reward_id: UUID, order_id: UUID, quantity: int, now: datetime
) -> int:
    """Give an order so many of the pool's codes, oldest first; how many there were."""
    rows = await connection.fetch(
        """UPDATE reward_code SET order_id = $2, given_at = $4 WHERE id IN (
             SELECT id FROM reward_code WHERE reward_id = $1 AND order_id IS NULL
              ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED) RETURNING 1""",
        reward_id, order_id, quantity, now,
    )  # fmt: skip
    return len(rows)


async def codes_of(session: AsyncSession, order_id: UUID) -> Sequence[RewardCode]:
    """The codes that an order gave, in the order of their making."""
    query = select(RewardCode).where(col(RewardCode.order_id) == order_id).order_by(col(RewardCode.id))
    return (await session.scalars(query)).all()


async def given_code(session: AsyncSession, reward_id: UUID, code: str) -> RewardCode | None:
    """A code that some member has, for change."""
    query = select(RewardCode).where(
        col(RewardCode.reward_id) == reward_id, col(RewardCode.code) == code, col(RewardCode.order_id).is_not(None)
    )
    return await session.scalar(query.with_for_update())
