"""What referrals tell of a member's timeline: whom a member referred is not told there."""

from uuid import UUID

from sqlalchemy import SelectBase
from sqlmodel import col

from app.core.timeline import Source, happening
from app.members.timeline import everyone
from app.referrals.models import Referral, ReferralStep
from app.referrals.rules import ReferralStatus


def _steps(member_id: UUID) -> SelectBase:
    told = happening(
        at=col(ReferralStep.at), id=col(ReferralStep.id), kind=col(ReferralStep.status),
        facts={"dealer": col(Referral.dealer_code)}, by=col(ReferralStep.actor),
    )  # fmt: skip
    return told.where(col(ReferralStep.referral_id) == col(Referral.id), col(Referral.referrer_id) == member_id)


SOURCES = (Source("referral", tuple(ReferralStatus), _steps, everyone),)
