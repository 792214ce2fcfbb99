"""Vehicles, mileages, claims and service intervals at the edge."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from app.audit import unmaskings
from app.core.actors import Actor, Role
from app.core.schemas import Input, Line, Reason
from app.members.models import Member, Ownership
from app.members.plates import masked_plate
from app.members.schemas import PlateText, VinText, may_unmask
from app.members.vehicle_rules import ClaimStatus, HandedOver

Day = Annotated[date, Field(ge=date(1980, 1, 1), le=date(2199, 12, 31))]
ModelName = Annotated[Line, StringConstraints(max_length=100), Field(examples=["Sedan 1.8T"])]
Kilometres = Annotated[int, Field(ge=0, le=9_999_999, strict=True)]
Reference = Annotated[Line, StringConstraints(max_length=200), Field(examples=["transfer certificate 2026-000123"])]


class VehicleSearch(Input):
    """Which car is meant: exactly one of the two. A body, because neither belongs into URLs."""

    vin: VinText | None = None
    plate: PlateText | None = None


class VehicleUpdate(Input):
    """What changes on a car; null is: not known. Model and warranty are the car's, the rest its owner's of the day."""

    model: ModelName | None = None
    warranty_ends_on: Day | None = None
    plate: PlateText | None = None
    purchased_on: Day | None = None
    insurance_ends_on: Day | None = None


class OwnerRead(BaseModel):
    """Whose the car is now, and what that owner told; the plate is masked unless the reader cares for the member."""

    member_id: UUID
    since: date
    plate: str | None
    purchased_on: date | None
    insurance_ends_on: date | None


class MileageNow(BaseModel):
    """The last reading that counts."""

    km: int
    read_on: date


class ServiceRead(BaseModel):
    """The last service, and when the next is due: after the model's months or km, whichever comes first."""

    last_on: date | None = Field(description="null: none is known, the car's first day counts")
    due_on: date | None
    due_km: int | None
    is_due: bool


class VehicleDetail(BaseModel):
    """A car with what is known of it."""

    id: UUID
    vin: str
    check_digit_ok: bool
    model: str | None
    warranty_ends_on: date | None
    owner: OwnerRead | None = Field(description="null: nobody owns it now")
    mileage: MileageNow | None
    next_service: ServiceRead | None = Field(description="null: no interval is set for its model")
    version: int


class VehicleList(BaseModel):
    """The cars found."""

    items: list[VehicleDetail]


class PeriodRead(BaseModel):
    """Somebody's time with the car."""

    since: date
    until: date | None
    member_id: UUID | None = Field(description="null: somebody whom the caller does not see")


class HistoryRead(BaseModel):
    """The car's owners, oldest first."""

    items: list[PeriodRead]


class OwnedRead(BaseModel):
    """A member's time with a car."""

    vehicle_id: UUID
    vin: str
    model: str | None
    since: date
    until: date | None
    plate: str | None
    purchased_on: date | None
    insurance_ends_on: date | None


class MileageCreate(Input):
    """A car's mileage as read."""

    km: Kilometres
    read_on: Day


class MileageRead(BaseModel):
    """A reading; one that is a drop, or was withdrawn, counts for nothing."""

    id: UUID
    km: int
    read_on: date
    source: str = Field(description="owner, staff or workshop")
    is_drop: bool = Field(description="it contradicts an earlier note, as a mileage only rises")
    noted_at: datetime
    withdrawn_at: datetime | None


class IntervalCreate(Input):
    """How often a model wants service."""

    model: ModelName | None = Field(default=None, description="null: models without an interval of their own")
    months: int | None = Field(default=None, ge=1, le=240)
    km: int | None = Field(default=None, ge=1, le=1_000_000)


class IntervalUpdate(Input):
    """What changes on an interval; null is: not by that."""

    months: int | None = Field(default=None, ge=1, le=240)
    km: int | None = Field(default=None, ge=1, le=1_000_000)


class IntervalRead(BaseModel):
    """How often a model wants service: after so many months or km, whichever comes first."""

    id: UUID
    model: str | None
    months: int | None
    km: int | None
    version: int


class ClaimCreate(Input):
    """A car is somebody else's now."""

    vin: VinText
    member_id: UUID | None = Field(default=None, description="the new owner; members leave it out")
    application_id: UUID | None = Field(default=None, description="or who has applied with this car")
    bought_on: Day
    proof: Reference = Field(description="what proves it: a certificate, a contract, an invoice")


class Consent(Input):
    """The owner hands the car over."""

    reference: Reference | None = Field(default=None, description="staff name the owner's signed paper")


class Objection(Input):
    """Why the owner does not hand the car over."""

    reason: Reason


class Decision(Input):
    """Headquarters' word on a claim."""

    accept: bool
    reason: Reason


class ClaimWithdrawal(Input):
    """Why a claim is taken back."""

    reason: Reason


class ClaimRead(BaseModel):
    """A claim: each side sees its own people, and of the other a masked name."""

    id: UUID
    vin: str
    status: ClaimStatus
    bought_on: date
    claimant: str = Field(description="masked")
    member_id: UUID | None = Field(description="null: not the caller's to see, or who has applied")
    application_id: UUID | None
    proof: str | None = Field(description="for the claimant's side and headquarters")
    from_member_id: UUID | None = Field(description="who owned it; for the owner's side and headquarters")
    objection: str | None
    handed_over: HandedOver | None
    reason: str | None
    asked_at: datetime
    decided_at: datetime | None


def plate_for(actor: Actor, owner: Member, ownership: Ownership) -> str | None:
    """The plate as the actor may see it; whole ones shown to others are recorded."""
    plate = ownership.plate
    if plate is None:
        return None
    if not may_unmask(actor, owner.dealer_code, owner.id):
        return masked_plate(plate)
    if actor.role is not Role.MEMBER:
        unmaskings.note("ownership", ownership.id)
    return plate
