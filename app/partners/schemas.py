"""Partners, agencies and blocks of points at the edge."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from app.chapters.schemas import DealerCode
from app.core.schemas import BusinessDate, Input, Line, Name, PartnerCode, Reason, may_be_left_out
from app.partners.rules import Category

Percent = Annotated[
    Decimal, Field(gt=0, le=100, decimal_places=2, examples=["5.00"]), PlainSerializer(str, return_type=str)
]
Points = Annotated[int, Field(ge=0, le=1_000_000_000, strict=True)]
Fen = Annotated[int, Field(ge=0, le=100_000_000_000, strict=True)]


class _Row(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class AgencyCreate(Input):
    """A company that finds and manages partners."""

    code: PartnerCode
    name: Name
    contact: Reason | None = None


class AgencyUpdate(Input):
    """What may change of an agency; what is left out stays."""

    name: Name = may_be_left_out()
    contact: Reason | None = None


class AgencyRead(_Row):
    """An agency."""

    code: str
    name: str
    contact: str | None
    version: int


class _Terms(Input):
    """What both creating and changing a partner name."""

    name_en: Name | None = None
    place: Reason | None = Field(default=None, description="city and address")
    contract_no: Name | None = None
    valid_until: BusinessDate | None = Field(default=None, description="last day; null: until further notice")
    agency_code: PartnerCode | None = Field(default=None, description="who found and manages it")
    agency_percent: Percent | None = Field(default=None, description="the agency's share of what the partner brings")


class PartnerCreate(_Terms):
    """A new partner: headquarters' for all, or one chapter's own."""

    code: PartnerCode
    name: Name
    category: Category
    dealer_code: DealerCode | None = Field(default=None, description="whose it is; national when null")
    valid_from: BusinessDate
    is_prepaid: bool = Field(default=False, description="it pays for points before they are given, in blocks; for good")
    reserve_points: Points = Field(default=0, description="of its blocks, what rules may not give")
    low_points: Points = Field(default=0, description="with so few left a warning is shown")


class PartnerUpdate(_Terms):
    """What may change of a partner; what is left out stays."""

    name: Name = may_be_left_out()
    category: Category = may_be_left_out()
    valid_from: BusinessDate = may_be_left_out()
    reserve_points: Points = may_be_left_out()
    low_points: Points = may_be_left_out()


class PartnerRead(_Row):
    """A partner; `funder` is its name in rules and in the ledger, `budget` what rules that it funds must draw on."""

    code: str
    name: str
    name_en: str | None
    category: Category
    dealer_code: str | None
    place: str | None
    contract_no: str | None
    valid_from: date
    valid_until: date | None
    agency_code: str | None
    agency_percent: Percent | None
    is_prepaid: bool
    reserve_points: int
    low_points: int
    version: int
    funder: str
    budget: str | None


class BlockCreate(Input):
    """Points that a partner has paid for ahead."""

    points: Annotated[int, Field(ge=1, le=1_000_000_000, strict=True)]
    amount_fen: Fen = Field(description="what it paid for them")
    reference: Annotated[Line, Field(max_length=100, examples=["2026112100017"])]


class BlockRead(_Row):
    """A block; `commission_fen` is the agency's share of its price."""

    id: UUID
    partner_code: str
    points: int
    amount_fen: int
    commission_fen: int
    reference: str
    at: datetime
    by: str


class AccountRead(BaseModel):
    """A prepaid partner's points: bought = reserve + given + left, but for a reserve raised above what was left."""

    partner_code: str
    bought: int
    reserve: int
    given: int
    left: int
    is_low: bool = Field(description="`left` is at `low_points` or below: time for another block")
