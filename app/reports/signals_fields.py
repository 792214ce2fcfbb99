"""What of abuse signals a filter can ask for: for headquarters alone, as the signals are."""

from sqlalchemy import ColumnElement, func, select
from sqlmodel import col

from app.core.actors import Right
from app.core.filters import Field, Kind, Scope, needing
from app.reports.signals_models import Signal, SignalKind, SignalStatus


def _named(scope: Scope) -> ColumnElement[bool]:
    # an earning that a rule held already is no reason to hold more
    standing = select(func.unnest(col(Signal.member_ids))).where(
        col(Signal.status) != SignalStatus.CLEARED, col(Signal.kind) != SignalKind.HELD_EARNING
    )
    return scope.id.in_(standing)


FIELDS = (Field("signal", Kind.BOOL, _named, visible=needing(Right.SIGNALS_READ)),)
