"""What rewards keep on a member: orders, of which the place of delivery is forgotten with the member."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Executable, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.holdings import Holding
from app.rewards.catalogue_models import Reward
from app.rewards.orders_models import RewardOrder


class OwnRewardOrder(BaseModel):
    """An order as its member sees it; `delivery` is where it was sent, as it was given."""

    placed_at: datetime
    reward: str
    quantity: int
    points: int
    money_fen: int
    order_status: str
    delivery: str | None
    tracking_no: str | None
    reason: str | None


def _rows(member_id: UUID) -> Executable:
    order = RewardOrder
    return (
        select(
            col(order.placed_at), col(Reward.name).label("reward"), col(order.quantity), col(order.points),
            col(order.money_fen), col(order.status).label("order_status"), col(order.delivery), col(order.tracking_no),
            col(order.reason),
        )
        .join(Reward, col(Reward.id) == col(order.reward_id))
        .where(col(order.member_id) == member_id)
        .order_by(col(order.id))
    )  # fmt: skip


async def _erase(session: AsyncSession, member_id: UUID, _: datetime) -> None:
    whose = col(RewardOrder.member_id) == member_id
    forgotten = update(RewardOrder).where(whose).values(delivery=None, tracking_no=None, reason=None)
    # a sealed column cannot be compared, which is how the session would look for rows it holds
    await session.execute(forgotten.execution_options(synchronize_session=False))


HOLDINGS = (Holding("reward_orders", OwnRewardOrder, _rows, _erase),)
