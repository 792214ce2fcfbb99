"""What rewards tell of a member's timeline: what was ordered, and what became of it."""

from typing import Any
from uuid import UUID

from sqlalchemy import SelectBase, SQLColumnExpression, func, literal, union_all
from sqlmodel import col

from app.core.actors import Actor, Right
from app.core.timeline import Source, happening
from app.rewards.catalogue_models import Reward
from app.rewards.orders_models import RewardOrder


def _orders(member_id: UUID) -> SelectBase:
    order = RewardOrder

    def turn(kind: SQLColumnExpression[Any], at: SQLColumnExpression[Any], by: SQLColumnExpression[Any]) -> SelectBase:
        told = happening(
            at=at, id=func.concat(col(order.id), ":", kind), kind=kind, by=by,
            facts={
                "reward": col(Reward.name), "quantity": col(order.quantity), "points": col(order.points),
                "reason": col(order.reason),
            },
        )  # fmt: skip
        joined = told.join(Reward, col(Reward.id) == col(order.reward_id))
        return joined.where(col(order.member_id) == member_id, at.is_not(None))

    return union_all(
        turn(literal("ordered"), col(order.placed_at), col(order.placed_by)),
        turn(literal("delivered"), col(order.delivered_at), col(order.delivered_by)),
        turn(col(order.status), col(order.ended_at), col(order.ended_by)),
    )


def _reader(actor: Actor) -> bool:
    return actor.may(Right.REWARDS_READ) or actor.may(Right.OWN_CARD)


SOURCES = (Source("reward", ("ordered", "delivered", "cancelled", "lapsed", "returned"), _orders, _reader),)
