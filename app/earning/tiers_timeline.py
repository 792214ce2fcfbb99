"""What tiers tell of a member's timeline: every step, with the tier it led to."""

from uuid import UUID

from sqlalchemy import SelectBase, Text, cast, func, select
from sqlmodel import col

from app.core.timeline import Source, happening
from app.earning.tiers_models import Tier, TierChange, TierStep
from app.members.timeline import everyone


def _changes(member_id: UUID) -> SelectBase:
    change = TierChange
    label = select(col(Tier.label_zh)).where(col(Tier.code) == col(change.to_tier)).scalar_subquery()
    return happening(
        at=col(change.at), id=func.lpad(cast(col(change.no), Text), 20, "0"), kind=col(change.kind), by=col(change.by),
        facts={"tier": label, "held_until": col(change.held_until), "reason": col(change.reason)},
    ).where(col(change.member_id) == member_id)  # fmt: skip


SOURCES = (Source("tier", tuple(TierStep), _changes, everyone),)
