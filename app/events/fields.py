"""What of a member's events a filter can ask for: those it came to, and those it missed."""

from typing import Any

from sqlalchemy import ColumnElement, Date, Select, cast, func, select
from sqlmodel import col

from app.core.actors import Right
from app.core.filters import Field, Kind, Scope, needing
from app.core.relative_dates import Relative, Unit
from app.events.attendance import SCANNED, SEATED
from app.events.models import ClubEvent
from app.events.registration_models import Registration
from app.events.rules import PUBLIC, EventStatus

YEAR = Relative(Unit.MONTHS_AGO, 12)
"""How far back events are counted."""

_OVER = sorted(PUBLIC & {EventStatus.HELD, EventStatus.REPORTED, EventStatus.SETTLED})
_DAY = cast(func.timezone("Asia/Shanghai", col(ClubEvent.starts_at)), Date)


def _seats(scope: Scope, value: ColumnElement[Any], *conditions: ColumnElement[bool]) -> Select[Any]:
    joined = select(value).select_from(Registration).join(ClubEvent, col(ClubEvent.id) == col(Registration.event_id))
    return joined.where(col(Registration.member_id) == scope.id, SEATED, *conditions)


def _last(scope: Scope) -> ColumnElement[Any]:
    return _seats(scope, func.max(_DAY), SCANNED).scalar_subquery()


def _attended(scope: Scope) -> ColumnElement[Any]:
    return _seats(scope, func.count(), SCANNED, YEAR.on(scope.today) < _DAY).scalar_subquery()


def _missed(scope: Scope) -> ColumnElement[Any]:
    conditions = (~SCANNED, col(ClubEvent.status).in_(_OVER), YEAR.on(scope.today) < _DAY)
    return _seats(scope, func.count(), *conditions).scalar_subquery()


_reader = needing(Right.EVENTS_READ)

FIELDS = (
    Field("events.last_on", Kind.DATE, _last, visible=_reader),
    Field("events.attended_12m", Kind.NUMBER, _attended, visible=_reader),
    Field("events.missed_12m", Kind.NUMBER, _missed, visible=_reader),
)
