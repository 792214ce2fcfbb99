"""The catalogue of rewards at the edge."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from app.chapters.schemas import DealerCode
from app.core.schemas import BusinessDate, Input, Line, Name, PartnerCode, Reason, may_be_left_out
from app.rewards.catalogue_rules import CodeSource, Part, RewardKind

Tier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$"), Field(examples=["gold"])]
Fen = Annotated[int, Field(ge=0, le=100_000_000)]
SomePoints = Annotated[int, Field(ge=1, le=100_000_000)]
FenPerPoint = Annotated[int, Field(ge=1, le=10_000, description="whole fen that one point is worth here")]
Percent = Annotated[int, Field(ge=1, le=100)]
ImageUrl = Annotated[
    str, StringConstraints(pattern=r"^(https://|/api/v1/rewards/)[^\s\x00-\x1f\x7f]+$", max_length=500),
    Field(examples=["https://static.club.example/cup.jpg"], description="of the web, or of a picture uploaded here"),
]  # fmt: skip
Images = Annotated[list[ImageUrl], Field(max_length=8)]
Code = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{4,64}$"), Field(examples=["TEA-7Q2M-9KXD"])]


class Price(Input):
    """What one costs for a tier (null: for everybody who has no price of their own)."""

    tier: Tier | None = None
    points: SomePoints
    least_points: SomePoints | None = Field(
        default=None, description="as few as the member may choose; the rest is paid at `fen_per_point`"
    )
    money_fen: Fen = Field(default=0, description="money besides the points")


Prices = Annotated[list[Price], Field(max_length=10)]


class _Terms(Input):
    """What both creating and changing a reward name."""

    name_en: Name | None = None
    description: Reason | None = None
    partner_code: PartnerCode | None = None
    reference: Name | None = Field(default=None, description="the partner's offer, the event, the charity")
    fen_per_point: FenPerPoint | None = None
    max_share_percent: Percent | None = Field(
        default=None, description="service: the share of what it covers that points may pay"
    )
    dealer_codes: Annotated[list[DealerCode], Field(min_length=1, max_length=500)] | None = Field(
        default=None, description="whose chapters' members may have it; null: everybody's"
    )
    valid_until: BusinessDate | None = Field(default=None, description="last day")
    limit_per_member: Annotated[int, Field(ge=1, le=1_000)] | None = None


class RewardCreate(_Terms):
    """Something new in the catalogue; not offered yet, and nothing of it in stock."""

    kind: RewardKind
    dealer_code: DealerCode | None = Field(default=None, description="whose it is; headquarters' when null")
    name: Name
    prices: Prices = Field(default_factory=list, description="none for a service: its price is the repair order's")
    covers: list[Part] = Field(default_factory=list, max_length=3, description="service: what of the order it pays")
    valid_from: BusinessDate
    image_urls: Images = Field(default_factory=list)
    codes: CodeSource | None = Field(default=None, description="what it gives are codes, made here or uploaded")
    is_counted: bool = Field(default=False, description="there is a stock of it; a pool of codes always is one")


class RewardUpdate(_Terms):
    """What may change of a reward; what is left out stays. Orders keep what they were placed at."""

    name: Name = may_be_left_out()
    prices: Prices = may_be_left_out()
    covers: Annotated[list[Part], Field(max_length=3)] = may_be_left_out()
    valid_from: BusinessDate = may_be_left_out()
    image_urls: Images = may_be_left_out()
    is_offered: bool = may_be_left_out()


class _Shown(BaseModel):
    """What everybody sees of a reward; `left` is null where nothing is counted."""

    id: UUID
    kind: RewardKind
    dealer_code: str | None
    name: str
    name_en: str | None
    description: str | None
    partner_code: str | None
    reference: str | None
    fen_per_point: int | None
    max_share_percent: int | None
    covers: list[Part]
    valid_until: date | None
    limit_per_member: int | None
    image_urls: list[str]
    left: int | None


class RewardRead(_Shown):
    """An entry of the catalogue. `stock` = `reserved` + `issued` + `left`; null where nothing is counted."""

    prices: list[Price]
    dealer_codes: list[str] | None
    valid_from: date
    codes: CodeSource | None
    is_offered: bool
    stock: int | None
    reserved: int
    issued: int
    version: int


class RewardOffer(_Shown):
    """A reward that a member may have today, at this member's price (null: a service at the counter)."""

    price: Price | None


class RewardStockChange(Input):
    """So many came in, or (negative) are written off."""

    change: Annotated[int, Field(ge=-1_000_000, le=1_000_000, description="not 0")]
    reason: Reason


class RewardMovementRead(BaseModel):
    """A change of a stock."""

    id: UUID
    change: int
    reason: str
    at: datetime
    by: str


class CodesUpload(Input):
    """Codes for the pool; those it has already are passed over."""

    codes: Annotated[list[Code], Field(min_length=1, max_length=10_000)]
    reason: Line = Field(max_length=500, description="where they come from")


class CodesUploaded(BaseModel):
    """How many came into the pool, and what is left in it now."""

    added: int
    already_known: int
    left: int


class CodeUse(Input):
    """A code that a member shows at the counter."""

    code: Code


class CodeUseRead(BaseModel):
    """A code that was taken; `used_with` is the dealer's counter, null: headquarters."""

    reward_id: UUID
    code: str
    used_at: datetime
    used_by: str
    used_with: str | None
