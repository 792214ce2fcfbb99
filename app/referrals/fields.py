"""What of a member's referrals a filter can ask for."""

from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlmodel import col

from app.core.actors import Right
from app.core.filters import Field, Kind, Scope, needing
from app.referrals.models import Referral
from app.referrals.rules import ReferralStatus


def _of(scope: Scope, value: ColumnElement[Any], *conditions: ColumnElement[bool]) -> ColumnElement[Any]:
    referred = select(value).select_from(Referral).where(col(Referral.referrer_id) == scope.id, *conditions)
    return referred.scalar_subquery()


def _delivered(scope: Scope, value: ColumnElement[Any]) -> ColumnElement[Any]:
    return _of(scope, value, col(Referral.status) == ReferralStatus.DELIVERED)


_reader = needing(Right.REFERRALS_READ)

FIELDS = (
    Field("referrals.made", Kind.NUMBER, lambda scope: _of(scope, func.count()), visible=_reader),
    Field("referrals.successes", Kind.NUMBER, lambda scope: _delivered(scope, func.count()), visible=_reader),
    Field(
        "referrals.last_success_on", Kind.DATE,
        lambda scope: _delivered(scope, func.max(col(Referral.delivered_on))), visible=_reader,
    ),
)  # fmt: skip
