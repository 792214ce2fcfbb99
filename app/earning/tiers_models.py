"""Tables of tiers (等级): the programme, its tiers, who holds one, and every change with its figures."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, Identity, Index
from sqlmodel import Field, SQLModel

from app.audit.rows import audited
from app.core.models import text_field, time_field


class Measure(StrEnum):
    """What tiers count: status points of awards, money paid for repair orders (fen), or days of visits."""

    STATUS_POINTS = "status_points"
    SPEND = "spend"
    VISITS = "visits"


@audited("tier-programme")
class TierProgramme(SQLModel, table=True):
    """How tiers are won and kept; the one row is there from the beginning. While it is not active nobody has a tier."""

    __tablename__ = "tier_programme"
    __table_args__ = (
        CheckConstraint("no = 1", name="one"),
        CheckConstraint("measure IN ('status_points', 'spend', 'visits')", name="measure"),
        CheckConstraint("window_months > 0 AND period_months > 0 AND warn_days >= 0", name="spans"),
    )

    no: int = Field(primary_key=True)
    measure: Measure = text_field()
    window_months: int
    """How far back is counted, from any day."""
    period_months: int
    """How many whole months a tier is kept after the one in which it was won."""
    warn_days: int
    is_active: bool
    version: int


@audited("tier")
class Tier(SQLModel, table=True):
    """A tier, from so much of the measure on; a higher threshold is a higher tier. One of 0 is everybody's."""

    __tablename__ = "tier"
    __table_args__ = (CheckConstraint("threshold >= 0", name="threshold"),)

    code: str = text_field(primary_key=True)
    label_zh: str = text_field()
    label_en: str = text_field()
    perks_zh: str | None = text_field(default=None)
    perks_en: str | None = text_field(default=None)
    threshold: int = Field(sa_type=BigInteger, unique=True)
    version: int = 1


class MemberTier(SQLModel, table=True):
    """The tier a member holds until the end of a day; who has none here is in the one of threshold 0, if there is."""

    __tablename__ = "member_tier"

    member_id: UUID = Field(primary_key=True, foreign_key="member.id")
    tier_code: str = text_field(foreign_key="tier.code")
    since: date
    held_until: date
    warned_on: date | None = None


class TierStep(StrEnum):
    """What happened to a member's tier; `merged` and `parted` when memberships were."""

    RISEN = "risen"
    RENEWED = "renewed"
    WARNED = "warned"
    FALLEN = "fallen"
    SET = "set"
    MERGED = "merged"
    PARTED = "parted"


class TierChange(SQLModel, table=True):
    """One step, in order of `no`: from which tier to which (null: none of one's own), at what amount of the measure."""

    __tablename__ = "tier_change"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('risen', 'renewed', 'warned', 'fallen', 'set', 'merged', 'parted')", name="kind"
        ),
        Index("ix_tier_change_member", "member_id", "no"),
    )  # fmt: skip

    no: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    member_id: UUID = Field(foreign_key="member.id")
    kind: TierStep = text_field()
    from_tier: str | None = text_field(default=None)
    to_tier: str | None = text_field(default=None)
    amount: int | None = Field(default=None, sa_type=BigInteger)
    day: date
    held_until: date | None = None
    reason: str | None = text_field(default=None)
    at: datetime = time_field()
    by: str = text_field()
