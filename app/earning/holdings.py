"""What earning keeps on a member: what rules gave and from which inputs, which are forgotten with the member."""

from datetime import date, datetime
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Executable, Text, cast, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.holdings import Holding
from app.earning.awards_models import Award, EarningCase
from app.earning.rules_models import EarningRule, RuleVersion
from app.earning.tiers_models import Tier, TierChange, TierStep


class OwnAward(BaseModel):
    """What a rule gave, and the inputs it was computed from."""

    booked_on: date
    rule: str
    points: int
    inputs: str


class OwnCase(BaseModel):
    """What a rule would have given, had a person not had to decide."""

    booked_on: date
    rule: str
    points: int
    case_status: str
    decision: str | None


def _awards(member_id: UUID) -> Executable:
    return (
        select(
            col(Award.booked_on), col(EarningRule.label_zh).label("rule"), col(Award.points),
            cast(col(Award.inputs), Text).label("inputs"),
        )
        .join(RuleVersion, col(RuleVersion.no) == col(Award.rule_no))
        .join(EarningRule, col(EarningRule.id) == col(RuleVersion.rule_id))
        .where(col(Award.member_id) == member_id)
        .order_by(col(Award.booked_on), col(Award.document), col(Award.part))
    )  # fmt: skip


def _cases(member_id: UUID) -> Executable:
    case = EarningCase
    return (
        select(
            col(case.booked_on), col(EarningRule.label_zh).label("rule"), col(case.points),
            col(case.status).label("case_status"), col(case.decision),
        )
        .join(RuleVersion, col(RuleVersion.no) == col(case.rule_no))
        .join(EarningRule, col(EarningRule.id) == col(RuleVersion.rule_id))
        .where(col(case.member_id) == member_id)
        .order_by(col(case.id))
    )  # fmt: skip


class OwnTierChange(BaseModel):
    """A step of the member's tier."""

    day: date
    tier_step: TierStep
    tier: str | None
    held_until: date | None


def _tier_changes(member_id: UUID) -> Executable:
    change = TierChange
    return (
        select(
            col(change.day), col(change.kind).label("tier_step"), col(Tier.label_zh).label("tier"),
            col(change.held_until),
        )
        .outerjoin(Tier, col(Tier.code) == col(change.to_tier))
        .where(col(change.member_id) == member_id)
        .order_by(col(change.no))
    )  # fmt: skip


async def _forget_reasons(session: AsyncSession, member_id: UUID, _: datetime) -> None:
    await session.execute(update(TierChange).where(col(TierChange.member_id) == member_id).values(reason=None))


# erased by the trigger forget_earning_inputs, whoever erases
HOLDINGS = (
    Holding("awards", OwnAward, _awards), Holding("earning_cases", OwnCase, _cases),
    Holding("tier_changes", OwnTierChange, _tier_changes, _forget_reasons),
)  # fmt: skip
