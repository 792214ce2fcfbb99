"""Orders of rewards at the edge."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from app.chapters.materials_schemas import TrackingNo
from app.core.schemas import Input, Line, Name, Reason
from app.members.schemas import Phone
from app.rewards.catalogue_rules import RewardKind
from app.rewards.catalogue_schemas import Fen, SomePoints
from app.rewards.orders_rules import OrderStatus
from app.rewards.schemas import OneTimeCode


class Delivery(Input):
    """Where a gift is sent; kept sealed, and forgotten with the member."""

    recipient: Name
    phone: Phone
    address: Annotated[Line, StringConstraints(max_length=200)] = Field(examples=["北京市朝阳区建国路1号"])


class Bill(Input):
    """A repair order that is about to be paid; its parts in fen."""

    order_no: str = Field(min_length=1, max_length=64)
    labour_fen: Fen = 0
    parts_fen: Fen = 0
    accessories_fen: Fen = 0

    @property
    def total_fen(self) -> int:
        """All of it."""
        return self.labour_fen + self.parts_fen + self.accessories_fen

    def by_part(self) -> dict[str, int]:
        """Fen by what they are for."""
        return {"labour": self.labour_fen, "parts": self.parts_fen, "accessories": self.accessories_fen}


class RewardOrderCreate(Input):
    """What a member orders."""

    reward_id: UUID
    quantity: Annotated[int, Field(ge=1, le=100)] = 1
    points: SomePoints | None = Field(
        default=None, description="how many the member chooses to spend in all; the whole price in points when left out"
    )
    delivery: Delivery | None = Field(default=None, description="gifts: where to; handed over at the counter without")


class CounterOrderCreate(RewardOrderCreate):
    """What a member orders at the actor's counter; a service pays part of a repair order."""

    member_id: UUID
    bill: Bill | None = Field(default=None, description="service: the repair order, with `points` chosen for it")
    code: OneTimeCode | None = Field(default=None, description="the member's one-time code")


class Confirmation(Input):
    """The order goes through; its money was paid."""

    payment_reference: Name | None = Field(default=None, description="required when money is due, but for a service")


class RewardShipment(Input):
    """How a gift travels."""

    carrier: Name
    tracking_no: TrackingNo


class Cancellation(Input):
    """Why an order is not fulfilled."""

    reason: Reason


class Return(Input):
    """Why what was given came back, and whether it can be given again."""

    reason: Reason
    is_restocked: bool


class RewardOrderRead(BaseModel):
    """An order: `points` were or are to be spent, `money_fen` is paid besides.

    Of a repair order, other orders had left `bill_fen` to pay, and this one leaves `money_fen`. `codes` are the
    member's alone; `delivery` is shown of a single order, to the member and to who fulfils it.
    """

    id: UUID
    reward_id: UUID
    reward: str
    kind: RewardKind
    member_id: UUID
    dealer_code: str | None = Field(description="where it is served; null: headquarters")
    quantity: int
    points: int
    money_fen: int
    order_no: str | None
    bill_fen: int | None
    status: OrderStatus
    held_until: datetime
    placed_at: datetime
    payment_reference: str | None
    confirmed_at: datetime | None
    carrier: str | None
    tracking_no: str | None
    shipped_at: datetime | None
    delivered_at: datetime | None
    reason: str | None
    is_restocked: bool
    ended_at: datetime | None
    codes: list[str] = Field(default_factory=list)
    used_codes: list[str] = Field(default_factory=list, description="those of `codes` that a counter has taken")
    delivery: Delivery | None = None
