"""Deliveries and misses at the edge."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from app.audit import unmaskings
from app.chapters.schemas import DealerCode
from app.core.actors import Actor
from app.core.schemas import BusinessDate, Input, Name, Reason, may_be_left_out
from app.members.rules import masked_phone
from app.members.schemas import Phone, VinText, may_unmask
from app.visits.deliveries_models import Delivery
from app.visits.deliveries_rules import Delivered, MissReason, OwnerKind

State = Literal["joined", "open", "closed", "none"]


class DeliveryCreate(Input):
    """A car was delivered. The VIN is its own key: sent twice it is taken once."""

    dealer_code: DealerCode
    vin: VinText
    delivered_on: BusinessDate
    owner_kind: OwnerKind
    owner_name: Name | None = Field(default=None, description="needed of an individual")
    phone: Phone | None = Field(default=None, description="an individual's; a company's is not kept")
    consultant: Name | None = Field(default=None, description="username, or the name in the dealer's system")
    model: Name | None = None

    def delivered(self) -> Delivered:
        """As the feed has it."""
        phone = self.phone if self.owner_kind is OwnerKind.INDIVIDUAL else None
        return Delivered(**self.model_dump() | {"phone": phone})


class DeliveryUpdate(Input):
    """What may be corrected on a delivery; the owner's kind, name and phone only while the owner has not joined."""

    consultant: Name | None = may_be_left_out()
    model: Name | None = may_be_left_out()
    owner_kind: OwnerKind = may_be_left_out()
    owner_name: Name = may_be_left_out()
    phone: Phone | None = may_be_left_out()


class Closing(Input):
    """Why a miss is closed; `other` needs a note."""

    reason: MissReason
    note: Reason | None = None


class Cancellation(Input):
    """Why a sale was cancelled."""

    reason: Reason


class CancellationRead(BaseModel):
    """A cancelled sale."""

    id: UUID
    vin: str
    dealer_code: str
    delivered_on: date
    reason: str
    cancelled_at: datetime


class DeliveryRead(BaseModel):
    """A delivery. Name and phone are kept of owners who have not joined; the phone is masked unless the reader cares
    for the owner."""

    id: UUID
    dealer_code: str
    vin: str
    delivered_on: date
    owner_kind: OwnerKind
    owner_name: str | None
    phone: str | None
    consultant: str | None = Field(description="under whom the miss stands")
    model: str | None
    state: State = Field(description="joined; open or closed miss; none: no individual's")
    member_id: UUID | None = Field(description="the membership that matched")
    matched_on: date | None = Field(description="the day its owner joined")
    miss_reason: MissReason | None
    miss_note: str | None
    closed_at: datetime | None
    closed_by: str | None
    version: int


def state_of(delivery: Delivery) -> State:
    """Where the recruitment of a car's owner stands."""
    if delivery.owner_kind != OwnerKind.INDIVIDUAL:
        return "none"
    if delivery.matched_on is not None:
        return "joined"
    return "closed" if delivery.closed_at is not None else "open"


def delivery_read(actor: Actor, delivery: Delivery) -> DeliveryRead:
    """A delivery as the actor may see it."""
    return DeliveryRead(
        **dict(delivery) | {"phone": _phone_for(actor, delivery)},
        state=state_of(delivery),
    )


def _phone_for(actor: Actor, delivery: Delivery) -> str | None:
    if delivery.phone is None:
        return None
    cares = may_unmask(actor, delivery.dealer_code) or actor.subject == delivery.consultant
    if not cares:
        return masked_phone(delivery.phone)
    unmaskings.note("delivery", delivery.id)
    return delivery.phone
