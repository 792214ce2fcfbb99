"""What of a member's visits a filter can ask for: recency, frequency and amount, over orders that still stand."""

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, select
from sqlalchemy.orm import aliased
from sqlmodel import col

from app.core.actors import Right
from app.core.filters import Field, Kind, Scope, needing
from app.core.relative_dates import Relative, Unit
from app.visits.models import RepairOrder

YEAR = Relative(Unit.MONTHS_AGO, 12)
"""How far back frequency and amount are counted."""


def _visits(scope: Scope, value: ColumnElement[Any]) -> Select[Any]:
    later = aliased(RepairOrder)
    corrected = exists().where(
        and_(
            col(later.dealer_code) == col(RepairOrder.dealer_code),
            col(later.order_no) == col(RepairOrder.order_no),
            col(later.revision) > col(RepairOrder.revision),
            col(later.revision) > 1,  # by the small index of those
        )
    )
    standing = select(value).select_from(RepairOrder).where(col(RepairOrder.member_id) == scope.id)
    return standing.where(col(RepairOrder.cancelled_at).is_(None), ~corrected)


def _of_the_year(scope: Scope, value: ColumnElement[Any]) -> ColumnElement[Any]:
    return _visits(scope, value).where(col(RepairOrder.business_date) > YEAR.on(scope.today)).scalar_subquery()


def _last(scope: Scope) -> ColumnElement[Any]:
    return _visits(scope, func.max(col(RepairOrder.business_date))).scalar_subquery()


def _count(scope: Scope) -> ColumnElement[Any]:
    return _of_the_year(scope, func.count())


def _paid(scope: Scope) -> ColumnElement[Any]:
    return _of_the_year(scope, func.coalesce(func.sum(col(RepairOrder.paid_fen)), 0))


_reader = needing(Right.ORDERS_READ)

FIELDS = (
    Field("visits.last_on", Kind.DATE, _last, visible=_reader),
    Field("visits.count_12m", Kind.NUMBER, _count, visible=_reader),
    Field("visits.paid_12m_fen", Kind.MONEY, _paid, visible=_reader),
)
