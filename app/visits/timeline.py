"""What the dealers' systems tell of a member's timeline: visits to the workshop, and cars delivered."""

from uuid import UUID

from sqlalchemy import SelectBase, and_, exists, func, literal
from sqlalchemy.orm import aliased
from sqlmodel import col

from app.core.actors import Actor, Right
from app.core.timeline import Source, beginning, happening
from app.visits.deliveries_models import Delivery
from app.visits.models import RepairOrder


def _visits(member_id: UUID) -> SelectBase:
    """The orders that stand: neither cancelled nor corrected by a later revision."""
    order, later = RepairOrder, aliased(RepairOrder)
    corrected = exists().where(
        and_(
            col(later.dealer_code) == col(order.dealer_code),
            col(later.order_no) == col(order.order_no),
            col(later.revision) > col(order.revision),
        )
    )
    told = happening(
        at=col(order.closed_at),
        id=func.concat(col(order.dealer_code), ":", col(order.order_no)),
        kind=col(order.kind),
        facts={"dealer": col(order.dealer_code), "order_no": col(order.order_no), "paid_fen": col(order.paid_fen)},
    )
    return told.where(col(order.member_id) == member_id, col(order.cancelled_at).is_(None), ~corrected)


def _deliveries(member_id: UUID) -> SelectBase:
    told = happening(
        at=beginning(col(Delivery.delivered_on)),
        id=col(Delivery.id),
        kind=literal("delivered"),
        facts={"dealer": col(Delivery.dealer_code), "model": col(Delivery.model)},
    )
    return told.where(col(Delivery.member_id) == member_id)


def _reader(actor: Actor) -> bool:
    return actor.may(Right.ORDERS_READ) or actor.may(Right.OWN_CARD)


def _recruiter(actor: Actor) -> bool:
    return actor.may(Right.RECRUITMENT_READ)


SOURCES = (
    Source("visit", ("maintenance", "repair"), _visits, _reader),
    Source("delivery", ("delivered",), _deliveries, _recruiter),
)
