"""Table of members' orders of rewards."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, text
from sqlmodel import Field, SQLModel

from app.audit.rows import audited
from app.core.models import id_field, text_field, time_field
from app.core.vault import Sealed
from app.rewards.orders_rules import OrderStatus


@audited("reward_order", personal=("delivery", "reason"))
class RewardOrder(SQLModel, table=True):
    """So many of a reward for a member, until it has them or the points are back.

    `wallet_id` is whose points they were: the member's, but for an order that came with a merge. `dealer_code` is
    where it is served and its points are spent, null: headquarters. `delivery` (JSON: recipient, phone, address) is
    sealed. A service pays part of a repair order, `order_no`: of `bill_fen`, all that other orders had not paid of it,
    `money_fen` is left to pay.
    """

    __tablename__ = "reward_order"
    __table_args__ = (
        Index("ix_reward_order_member", "member_id", "id"),
        Index("ix_reward_order_dealer", "dealer_code", "id"),
        Index("ix_reward_order_reward", "reward_id", "member_id"),
        Index("ix_reward_order_hold", "wallet_id", "hold_no", unique=True),
        Index("ix_reward_order_held", "held_until", postgresql_where=text("status = 'held'")),
        Index("ix_reward_order_repair", "dealer_code", "order_no", postgresql_where=text("order_no IS NOT NULL")),
        CheckConstraint(
            "status IN ('held', 'confirmed', 'shipped', 'delivered', 'cancelled', 'lapsed', 'returned')", name="status"
        ),
        CheckConstraint("quantity > 0 AND points > 0 AND money_fen >= 0", name="amounts"),
        CheckConstraint("(order_no IS NULL) = (bill_fen IS NULL)", name="bill"),
        CheckConstraint("(capture_no IS NULL) = (confirmed_at IS NULL)", name="confirmed"),
        CheckConstraint("(status IN ('cancelled', 'lapsed', 'returned')) = (ended_at IS NOT NULL)", name="ended"),
        CheckConstraint("is_restocked <= (status = 'returned')", name="restocked"),
    )

    id: UUID = id_field()
    reward_id: UUID = Field(foreign_key="reward.id")
    member_id: UUID = Field(foreign_key="member.id")
    wallet_id: UUID
    dealer_code: str | None = text_field(default=None, foreign_key="dealer.code")
    quantity: int
    tier: str | None = text_field(default=None)
    points: int = Field(sa_type=BigInteger)
    money_fen: int = Field(sa_type=BigInteger)
    order_no: str | None = text_field(default=None)
    bill_fen: int | None = Field(default=None, sa_type=BigInteger)
    delivery: str | None = Field(default=None, sa_type=Sealed)
    status: OrderStatus = text_field(default=OrderStatus.HELD)
    hold_no: int = Field(sa_type=BigInteger)
    capture_no: int | None = Field(default=None, sa_type=BigInteger)
    held_until: datetime = time_field()
    placed_by: str = text_field()
    placed_at: datetime = time_field()
    payment_reference: str | None = text_field(default=None)
    confirmed_by: str | None = text_field(default=None)
    confirmed_at: datetime | None = time_field(default=None)
    carrier: str | None = text_field(default=None)
    tracking_no: str | None = text_field(default=None)
    shipped_by: str | None = text_field(default=None)
    shipped_at: datetime | None = time_field(default=None)
    delivered_by: str | None = text_field(default=None)
    delivered_at: datetime | None = time_field(default=None)
    reason: str | None = text_field(default=None)
    is_restocked: bool = False
    ended_by: str | None = text_field(default=None)
    ended_at: datetime | None = time_field(default=None)
