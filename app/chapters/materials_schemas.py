"""Materials and requests for them at the edge."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from app.chapters.materials_rules import MaterialKind, RequestStatus
from app.core.schemas import Input, Line, Name, Reason, may_be_left_out

Quantity = Annotated[int, Field(ge=1, le=100_000)]
Unit = Annotated[Line, StringConstraints(max_length=20), Field(examples=["件"])]
TrackingNo = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{4,40}$"), Field(examples=["SF1234567890"])]


class MaterialCreate(Input):
    """Something new in the catalogue; nothing of it is there yet."""

    name: Name
    kind: MaterialKind
    unit: Unit
    description: Reason | None = None


class MaterialUpdate(Input):
    """What may change of an entry; what is left out stays."""

    name: Name = may_be_left_out()
    unit: Unit = may_be_left_out()
    description: Reason | None = None
    is_offered: bool = may_be_left_out()


class MaterialRead(BaseModel):
    """An entry of the catalogue; `stock` is what can still be approved. The ETag does not cover the stock."""

    id: UUID
    name: str
    kind: MaterialKind
    unit: str
    description: str | None
    is_offered: bool
    stock: int
    version: int


class StockChange(Input):
    """So many came in, or (negative) are gone."""

    change: Annotated[int, Field(ge=-1_000_000, le=1_000_000, description="not 0")]
    reason: Reason


class MovementRead(BaseModel):
    """A change of a stock."""

    id: UUID
    change: int
    reason: str | None
    request_id: UUID | None
    at: datetime
    by: str


class RequestLine(Input):
    """So many of one material."""

    material_id: UUID
    quantity: Quantity


class RequestCreate(Input):
    """What a chapter asks for; each material once."""

    lines: Annotated[list[RequestLine], Field(min_length=1, max_length=50)]
    note: Reason | None = None


class RequestReason(Input):
    """Why a request is not fulfilled."""

    reason: Reason


class Shipment(Input):
    """How a request's materials travel."""

    carrier: Name
    tracking_no: TrackingNo


class DifferingLine(Input):
    """So many of one material, or none of it."""

    material_id: UUID
    quantity: Annotated[int, Field(ge=0, le=100_000)]


Differing = Annotated[list[DifferingLine], Field(default_factory=list, max_length=50)]


class Approval(Input):
    """What is sent: as it was asked for, but for less of the materials named here, and why it is less."""

    differing: Differing
    reason: Reason | None = Field(default=None, description="required when less is approved")


class Receipt(Input):
    """What arrived: as it was approved, but for the materials named here, and why these differ."""

    differing: Differing
    difference: Reason | None = Field(default=None, description="required when something differs")


class RequestLineRead(BaseModel):
    """So many of one material; `approved` and `received` are null until then."""

    material_id: UUID
    name: str
    unit: str
    quantity: int
    approved: int | None
    received: int | None


class RequestRead(BaseModel):
    """A chapter's request and where it stands."""

    id: UUID
    dealer_code: str
    status: RequestStatus
    lines: list[RequestLineRead]
    note: str | None
    asked_by: str
    asked_at: datetime
    reason: str | None
    decided_by: str | None
    decided_at: datetime | None
    carrier: str | None
    tracking_no: str | None
    shipped_by: str | None
    shipped_at: datetime | None
    difference: str | None
    received_by: str | None
    received_at: datetime | None
