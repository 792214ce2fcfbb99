"""Perks at the edge."""

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.chapters.schemas import DealerCode
from app.core.schemas import BusinessDate, Input, Name, PartnerCode, Reason, may_be_left_out
from app.earning.definitions import Share, Shares
from app.partners.schemas import Fen, Points
from app.privacy.rules import DataKind

Handed = Literal[DataKind.NAME, DataKind.PHONE, DataKind.MEMBER_NO]
"""What a partner can need of a member to honour a voucher."""
Count = Annotated[int, Field(ge=1, le=1_000_000, strict=True)]
Days = Annotated[int, Field(ge=1, le=730, strict=True)]
Chapters = Annotated[list[DealerCode], Field(min_length=1, max_length=500)]
Blackout = Annotated[list[BusinessDate], Field(max_length=366)]


class _Terms(Input):
    """What both creating and changing a perk name."""

    name_en: Name | None = None
    terms: Reason | None = None
    dealer_codes: Chapters | None = Field(default=None, description="whose members may have it; null: everybody's")
    segment_id: UUID | None = Field(default=None, description="only members of this segment, as of the claim")
    quota: Count | None = Field(default=None, description="vouchers in all")
    quota_per_member: Count | None = None
    valid_until: BusinessDate | None = Field(default=None, description="last day")


class PerkCreate(_Terms):
    """A new perk; not offered yet."""

    partner_code: PartnerCode
    name: Name
    valid_from: BusinessDate
    blackout: Blackout = Field(default_factory=list, description="days on which its vouchers are not good")
    days: Days = Field(default=30, description="a voucher is good for so many days, that of the claim included")
    points: Points = Field(default=0, description="what a voucher costs the member")
    value_fen: Fen = Field(default=0, description="what it is worth to the member, besides its points")
    shares: Shares | None = Field(default=None, description="who bears the value; the partner alone when left out")
    hands_over: Annotated[list[Handed], Field(max_length=3)] = Field(
        default_factory=list, description="what of the member the partner gets with it, by the member's consent"
    )


class PerkUpdate(_Terms):
    """What may change of a perk; what is left out stays. Vouchers that are claimed keep value, shares and last day."""

    name: Name = may_be_left_out()
    valid_from: BusinessDate = may_be_left_out()
    blackout: Blackout = may_be_left_out()
    days: Days = may_be_left_out()
    points: Points = may_be_left_out()
    value_fen: Fen = may_be_left_out()
    shares: Shares = may_be_left_out()
    is_offered: bool = may_be_left_out()


class _Shown(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    partner_code: str
    name: str
    name_en: str | None
    terms: str | None
    valid_from: date
    valid_until: date | None
    blackout: list[date]
    days: int
    points: int
    value_fen: int
    quota_per_member: int | None
    hands_over: list[Handed]


class PerkRead(_Shown):
    """A perk as those see it who keep it."""

    dealer_codes: list[str] | None
    segment_id: UUID | None
    quota: int | None
    claimed: int
    shares: list[Share]
    is_offered: bool
    version: int


class PerkOffer(_Shown):
    """A perk that a member may claim today."""

    partner: str
    partner_en: str | None
    place: str | None
    left: int | None = Field(description="vouchers left; null: as many as are asked for")
