"""Tables of the catalogue of rewards, its stock, and codes to give."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, Index, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from app.audit.rows import audited
from app.core.models import id_field, text_field, time_field
from app.rewards.catalogue_rules import CodeSource, RewardKind


@audited("reward", untold=("reserved", "issued"))
class Reward(SQLModel, table=True):
    """Something to be had for points: headquarters' (dealer_code null) or one chapter's own.

    `stock` is all that ever came in less what was written off, null where nothing is counted: reserved (orders held) +
    issued (orders from confirmed on) + left. `prices`: [{tier, points, least_points, money_fen}], a tier of null is
    everybody's. `version` counts changes of the entry, not of its stock, which changes by `RewardMovement` only.
    """

    __tablename__ = "reward"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('service', 'gift', 'coupon', 'partner_voucher', 'event_fee', 'donation')", name="kind"
        ),
        CheckConstraint("codes IS NULL OR codes = 'own' OR (codes = 'pool' AND stock IS NOT NULL)", name="codes"),
        CheckConstraint("(kind = 'service') = (max_share_percent IS NOT NULL)", name="service"),
        CheckConstraint("max_share_percent BETWEEN 1 AND 100 AND fen_per_point > 0", name="rate"),
        CheckConstraint("reserved >= 0 AND issued >= 0 AND reserved + issued <= stock", name="stock"),
    )

    id: UUID = id_field()
    kind: RewardKind = text_field()
    dealer_code: str | None = text_field(default=None, foreign_key="dealer.code")
    name: str = text_field()
    name_en: str | None = text_field(default=None)
    description: str | None = text_field(default=None)
    partner_code: str | None = text_field(default=None)
    reference: str | None = text_field(default=None)
    prices: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSONB)
    fen_per_point: int | None = None
    max_share_percent: int | None = None
    covers: list[str] = Field(default_factory=list, sa_type=ARRAY(Text))
    dealer_codes: list[str] | None = Field(default=None, sa_type=ARRAY(Text))
    valid_from: date
    valid_until: date | None = None
    limit_per_member: int | None = None
    image_urls: list[str] = Field(default_factory=list, sa_type=ARRAY(Text))
    codes: CodeSource | None = text_field(default=None)
    is_offered: bool = False
    stock: int | None = Field(default=None, sa_type=BigInteger)
    reserved: int = Field(default=0, sa_type=BigInteger)
    issued: int = Field(default=0, sa_type=BigInteger)
    version: int = 1


class RewardMovement(SQLModel, table=True):
    """What came into a stock, or was written off it: their sum is the stock."""

    __tablename__ = "reward_movement"
    __table_args__ = (
        Index("ix_reward_movement_reward", "reward_id", "id"),
        CheckConstraint("change <> 0", name="change"),
    )

    id: UUID = id_field()
    reward_id: UUID = Field(foreign_key="reward.id")
    change: int
    reason: str = text_field()
    at: datetime = time_field()
    by: str = text_field()


class RewardCode(SQLModel, table=True):
    """A code that a member shows somewhere. Each is given once, staying with its order for good, and used once.

    `used_with` is the dealer whose counter took it, null: headquarters.
    """

    __tablename__ = "reward_code"
    __table_args__ = (
        UniqueConstraint("reward_id", "code", name="uq_reward_code"),
        Index("ix_reward_code_free", "reward_id", "id", postgresql_where=text("order_id IS NULL")),
        CheckConstraint("(order_id IS NULL) = (given_at IS NULL)", name="given"),
        CheckConstraint(
            "(used_at IS NULL) = (used_by IS NULL) AND (used_at IS NULL OR order_id IS NOT NULL)", name="used"
        ),
    )

    id: UUID = id_field()
    reward_id: UUID = Field(foreign_key="reward.id")
    code: str = text_field()
    order_id: UUID | None = Field(default=None, foreign_key="reward_order.id", index=True)
    given_at: datetime | None = time_field(default=None)
    used_at: datetime | None = time_field(default=None)
    used_by: str | None = text_field(default=None)
    used_with: str | None = text_field(default=None, foreign_key="dealer.code")


class RewardImage(SQLModel, table=True):
    """A picture of a reward that is kept here; `image_urls` names it, and without that it goes."""

    __tablename__ = "reward_image"

    id: UUID = id_field()
    reward_id: UUID = Field(foreign_key="reward.id", index=True)
    media_type: str = text_field()
    sha256: bytes = Field(sa_type=LargeBinary)
    content: bytes = Field(sa_type=LargeBinary)
    uploaded_by: str = text_field()
    uploaded_at: datetime = time_field()
