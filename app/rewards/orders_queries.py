"""The SQL of orders of rewards, and the one condition on which orders an actor may see."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, exists, func, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chapters.queries import dealer_visible_to
from app.core.actors import Actor, Reach
from app.core.db import Connection, raw
from app.members import queries as members
from app.members.models import Member
from app.rewards.bills_queries import lock_bill
from app.rewards.catalogue_models import Reward
from app.rewards.orders_models import RewardOrder
from app.rewards.orders_rules import GONE, OrderStatus


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """Who serves an order sees it, and who sees its member."""
    theirs = exists().where(col(Member.id) == col(RewardOrder.member_id), members.visible_to(actor))
    return or_(dealer_visible_to(actor, col(RewardOrder.dealer_code)), theirs)


def served_by(actor: Actor) -> ColumnElement[bool]:
    """Headquarters may take every order further, a dealer those that are served with it."""
    if actor.reach is Reach.ALL:
        return true()
    return dealer_visible_to(actor, col(RewardOrder.dealer_code))


class Ordered(NamedTuple):
    """An order and its reward."""

    order: RewardOrder
    reward: Reward


async def orders(
    session: AsyncSession, *conditions: ColumnElement[bool], status: OrderStatus | None, after: UUID | None, limit: int
) -> list[Ordered]:
    """Orders with their rewards, oldest first; None does not filter."""
    query = select(RewardOrder, Reward).join(Reward, col(Reward.id) == col(RewardOrder.reward_id)).where(*conditions)
    if status is not None:
        query = query.where(col(RewardOrder.status) == status)
    if after is not None:
        query = query.where(col(RewardOrder.id) > after)
    rows = await session.execute(query.order_by(col(RewardOrder.id)).limit(limit))
    return [Ordered(order, reward) for order, reward in rows]


async def order(session: AsyncSession, order_id: UUID, *conditions: ColumnElement[bool]) -> Ordered | None:
    """One order with its reward."""
    found = await orders(session, col(RewardOrder.id) == order_id, *conditions, status=None, after=None, limit=1)
    return found[0] if found else None


async def locked(session: AsyncSession, order_id: UUID, *conditions: ColumnElement[bool]) -> RewardOrder | None:
    """An order for its next step; before it, the repair order that it pays."""
    bill = select(col(RewardOrder.dealer_code), col(RewardOrder.order_no)).where(
        col(RewardOrder.id) == order_id, col(RewardOrder.order_no).is_not(None), *conditions
    )
    if (row := (await session.execute(bill)).one_or_none()) is not None:
        dealer_code, order_no = row
        assert dealer_code is not None
        assert order_no is not None
        await lock_bill(await raw(session), dealer_code, order_no)
    query = select(RewardOrder).where(col(RewardOrder.id) == order_id, *conditions).with_for_update(of=RewardOrder)
    found: RewardOrder | None = await session.scalar(query.execution_options(populate_existing=True))
    return found


async def taken(session: AsyncSession, reward_id: UUID, member_id: UUID) -> int:
    """How many of a reward a member has, or has ordered."""
    query = select(func.sum(col(RewardOrder.quantity))).where(
        col(RewardOrder.reward_id) == reward_id, col(RewardOrder.member_id) == member_id,
        col(RewardOrder.status).not_in(GONE),
    )  # fmt: skip
    return int((await session.execute(query)).scalar_one() or 0)


async def reopen_bill(session: AsyncSession, gone: RewardOrder) -> None:
    """What an order does not pay any more of a repair order, which is locked, is left to pay by those after it."""
    if gone.bill_fen is None:
        return
    paid = gone.bill_fen - gone.money_fen
    after = update(RewardOrder).where(
        col(RewardOrder.dealer_code) == gone.dealer_code, col(RewardOrder.order_no) == gone.order_no,
        col(RewardOrder.id) > gone.id, col(RewardOrder.status).not_in(GONE),
    )  # fmt: skip
    more = after.values(bill_fen=col(RewardOrder.bill_fen) + paid, money_fen=col(RewardOrder.money_fen) + paid)
    # a sealed column cannot be compared, which is how the session would look for rows it holds
    await session.execute(more.execution_options(synchronize_session=False))


async def lapsed(session: AsyncSession, now: datetime, limit: int) -> Sequence[UUID]:
    """Held orders whose time has run out, oldest first: the ledger captures their holds no more, and releases them."""
    query = select(col(RewardOrder.id)).where(
        col(RewardOrder.status) == OrderStatus.HELD, col(RewardOrder.held_until) <= now
    )
    return (await session.scalars(query.order_by(col(RewardOrder.held_until)).limit(limit))).all()


async def is_an_orders(connection: Connection, wallet_id: UUID, posting_no: int) -> bool:
    """Whether a posting is the hold or the capture of an order, whose steps alone resolve it."""
    query = "SELECT EXISTS (SELECT FROM reward_order WHERE wallet_id = $1 AND (hold_no = $2 OR capture_no = $2))"
    return bool(await connection.fetchval(query, wallet_id, posting_no))


async def has_lapsed(connection: Connection, wallet_id: UUID, hold_no: int, today: date) -> bool:
    """Whether some of the points of a hold could be spent until some day before only."""
    query = """
        SELECT EXISTS (
          SELECT FROM ledger.movement m JOIN ledger.lot l ON l.member_id = m.member_id AND l.lot_no = m.lot_no
           WHERE m.member_id = $1 AND m.posting_no = $2 AND l.expires_on < $3)"""
    return bool(await connection.fetchval(query, wallet_id, hold_no, today))
